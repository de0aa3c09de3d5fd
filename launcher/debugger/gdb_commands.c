// SPDX-License-Identifier: GPL-2.0
/*
 * The commands of the remote protocol.  A debugger that is told nothing (the
 * empty reply) knows that we do not have what it asked for, and does without: so
 * here is only what it cannot do without, and what makes it quick.
 * Next: gdb.c, which sends and receives.
 * Read next: gdb_memory.c.
 */
#include <stdio.h>
#include <string.h>
#include <sys/user.h>

#include "gdb_commands.h"
#include "hardware/host.h"

#define REG(name) offsetof(struct user_regs_struct, name)
#define NONE	((size_t)-1)

/*L:455
 * Registers by their number, in the order of the description below.  Those of
 * the coprocessor are not to be had, but gdb wants them described.
 :*/
static const struct reg {
	size_t offset;
	uint8_t size;
} regs[] = {
	{ REG(rax), 8 }, { REG(rbx), 8 }, { REG(rcx), 8 }, { REG(rdx), 8 },
	{ REG(rsi), 8 }, { REG(rdi), 8 }, { REG(rbp), 8 }, { REG(rsp), 8 },
	{ REG(r8), 8 }, { REG(r9), 8 }, { REG(r10), 8 }, { REG(r11), 8 },
	{ REG(r12), 8 }, { REG(r13), 8 }, { REG(r14), 8 }, { REG(r15), 8 },
	{ REG(rip), 8 }, { REG(eflags), 4 },
	{ REG(cs), 4 }, { REG(ss), 4 }, { REG(ds), 4 }, { REG(es), 4 },
	{ REG(fs), 4 }, { REG(gs), 4 },
	{ NONE, 10 }, { NONE, 10 }, { NONE, 10 }, { NONE, 10 },
	{ NONE, 10 }, { NONE, 10 }, { NONE, 10 }, { NONE, 10 },
	{ NONE, 4 }, { NONE, 4 }, { NONE, 4 }, { NONE, 4 },
	{ NONE, 4 }, { NONE, 4 }, { NONE, 4 }, { NONE, 4 },
	{ REG(fs_base), 8 }, { REG(gs_base), 8 },
};
#define REGS (sizeof(regs) / sizeof(regs[0]))

#define R(name, size, type) "<reg name='" name "' bitsize='" #size "' type='" type "'/>"
#define R64(name) R(name, 64, "int64")
#define R32(name) R(name, 32, "int32")
#define X87(name) R(name, 80, "i387_ext")
static const char description[] =
	"<?xml version='1.0'?><!DOCTYPE target SYSTEM 'gdb-target.dtd'>"
	"<target><architecture>i386:x86-64</architecture>"
	"<feature name='org.gnu.gdb.i386.core'>"
	R64("rax") R64("rbx") R64("rcx") R64("rdx") R64("rsi") R64("rdi")
	R("rbp", 64, "data_ptr") R("rsp", 64, "data_ptr")
	R64("r8") R64("r9") R64("r10") R64("r11") R64("r12") R64("r13") R64("r14") R64("r15")
	R("rip", 64, "code_ptr") R32("eflags")
	R32("cs") R32("ss") R32("ds") R32("es") R32("fs") R32("gs")
	X87("st0") X87("st1") X87("st2") X87("st3") X87("st4") X87("st5") X87("st6") X87("st7")
	R32("fctrl") R32("fstat") R32("ftag") R32("fiseg")
	R32("fioff") R32("foseg") R32("fooff") R32("fop")
	"</feature><feature name='org.gnu.gdb.i386.segments'>"
	R64("fs_base") R64("gs_base")
	"</feature></target>";

static void say(struct gdb_reply *reply, const char *text)
{
	reply->size = strlen(text);
	memcpy(reply->text, text, reply->size + 1);
}

static void say_done(struct gdb_reply *reply, bool ok)
{
	say(reply, ok ? "OK" : "E01");
}

static bool says(const char *packet, const char *word)
{
	return !strncmp(packet, word, strlen(word));
}

/* Digits of a register, or 'x' for one that is not to be had. */
static size_t show_register(const struct gdb_memory *m, const struct reg *reg, char *to)
{
	uint64_t value;

	if (reg->offset == NONE || host_get_register(m->fd, reg->offset, &value)) {
		memset(to, 'x', 2 * reg->size);
		to[2 * reg->size] = '\0';
	} else {
		gdb_digits(&value, reg->size, to);
	}
	return 2 * reg->size;
}

/* What is the same already needs no setting; gdb gives all at once. */
static bool change_register(const struct gdb_memory *m, const struct reg *reg,
			    const char *digits)
{
	uint64_t value = 0, old = 0;

	if (reg->offset == NONE)
		return digits[0] == 'x';
	if (!gdb_bytes(digits, &value, reg->size) ||
	    host_get_register(m->fd, reg->offset, &old))
		return false;
	if (reg->size == 4)
		old = (uint32_t)old;
	return old == value || !host_set_register(m->fd, reg->offset, value);
}

static void read_registers(const struct gdb_memory *m, struct gdb_reply *reply)
{
	unsigned int i;

	for (i = 0; i < REGS; i++)
		reply->size += show_register(m, &regs[i], reply->text + reply->size);
}

static bool write_registers(const struct gdb_memory *m, const char *at, size_t size)
{
	unsigned int i;
	bool ok = true;

	for (i = 0; i < REGS && size >= 2U * regs[i].size; i++) {
		/* As unknown as when we said so. */
		if (regs[i].offset != NONE)
			ok &= change_register(m, &regs[i], at);
		at += 2 * regs[i].size;
		size -= 2 * regs[i].size;
	}
	return ok && !size;
}

static void read_register(const struct gdb_memory *m, const char *at, struct gdb_reply *reply)
{
	uint64_t n;

	if (!gdb_number(&at, &n) || n >= REGS)
		say_done(reply, false);
	else
		reply->size = show_register(m, &regs[n], reply->text);
}

static bool write_register(const struct gdb_memory *m, const char *at)
{
	uint64_t n;

	return gdb_number(&at, &n) && n < REGS && *at == '=' &&
	       strlen(at + 1) == 2U * regs[n].size && change_register(m, &regs[n], at + 1);
}

/* Less than was asked for is an answer, nothing is not. */
static void read_memory(struct gdb_memory *m, const char *at, struct gdb_reply *reply)
{
	uint8_t bytes[GDB_PACKET_MOST / 2];
	uint64_t address, size;

	if (!gdb_two_numbers(&at, &address, &size))
		return say_done(reply, false);
	if (size > sizeof(bytes))
		size = sizeof(bytes);
	reply->size = 2 * gdb_read(m, address, bytes, size);
	if (size && !reply->size)
		return say_done(reply, false);
	gdb_digits(bytes, reply->size / 2, reply->text);
}

/* "ADDRESS,SIZE:" and the bytes, as digits or as they are. */
static bool write_memory(struct gdb_memory *m, const char *at, const char *end, bool digits)
{
	uint8_t bytes[GDB_PACKET_MOST];
	uint64_t address, size;

	if (!gdb_two_numbers(&at, &address, &size) || *at++ != ':' ||
	    size > sizeof(bytes) || size * (digits ? 2 : 1) != (size_t)(end - at))
		return false;
	if (!digits)
		memcpy(bytes, at, size);
	else if (!gdb_bytes(at, bytes, size))
		return false;
	return gdb_write(m, address, bytes, size) == size;
}

/* Z0,ADDRESS,KIND.  Others than type 0 would take the CPU's debug registers. */
static void breakpoint(struct gdb_memory *m, const char *packet, struct gdb_reply *reply)
{
	const char *at = packet + 3;
	uint64_t address, kind;

	if (packet[1] != '0' || packet[2] != ',')
		return;
	if (!gdb_two_numbers(&at, &address, &kind))
		return say_done(reply, false);
	if (*packet == 'Z')
		return say_done(reply, gdb_insert(m, address));
	gdb_remove(m, address);
	say_done(reply, true);
}

/* qXfer:features:read:target.xml:OFFSET,LENGTH */
static void describe(const char *at, struct gdb_reply *reply)
{
	uint64_t offset, length, left;

	if (!gdb_two_numbers(&at, &offset, &length) || offset > sizeof(description) - 1)
		return say_done(reply, false);
	left = sizeof(description) - 1 - offset;
	if (length > GDB_PACKET_MOST / 2)
		length = GDB_PACKET_MOST / 2;
	reply->text[0] = length < left ? 'm' : 'l';
	if (length > left)
		length = left;
	memcpy(reply->text + 1, description + offset, length);
	reply->size = length + 1;
}

/* There is one vCPU: thread 1. */
static void query(const char *packet, struct gdb_reply *reply)
{
	static const char features[] = "qXfer:features:read:target.xml:";

	if (says(packet, "qSupported"))
		reply->size = snprintf(reply->text, sizeof(reply->text),
				       "PacketSize=%x;qXfer:features:read+;"
				       "QStartNoAckMode+;vContSupported+", GDB_PACKET_MOST);
	else if (says(packet, features))
		describe(packet + sizeof(features) - 1, reply);
	else if (!strcmp(packet, "qC"))
		say(reply, "QC1");
	else if (!strcmp(packet, "qfThreadInfo"))
		say(reply, "m1");
	else if (!strcmp(packet, "qsThreadInfo"))
		say(reply, "l");
	else if (says(packet, "qThreadExtraInfo,"))
		say(reply, "764350552030");	/* "vCPU 0" */
	else if (!strcmp(packet, "qAttached"))
		say(reply, "1");
}

/* "ACTION[:THREAD];...": the first one is ours, whatever thread it is for. */
static enum gdb_action proceed(const char *actions, struct gdb_reply *reply)
{
	switch (*actions) {
	case 'c':
	case 'C':
		return GDB_GO;
	case 's':
	case 'S':
		return GDB_STEP;
	}
	say_done(reply, false);
	return GDB_STAY;
}

/* "c" and "s", perhaps with the address to go on at. */
static enum gdb_action proceed_at(const struct gdb_memory *m, const char *packet,
				  struct gdb_reply *reply)
{
	const char *at = packet + 1;
	uint64_t address;

	if (*at && (!gdb_number(&at, &address) ||
		    host_set_register(m->fd, REG(rip), address))) {
		say_done(reply, false);
		return GDB_STAY;
	}
	return proceed(packet, reply);
}

/*L:457
 * One letter says what a packet is, for most.
 :*/
enum gdb_action gdb_command(struct gdb_memory *m, const char *packet, size_t size,
			    struct gdb_reply *reply)
{
	reply->size = 0;
	switch (*packet) {
	case '?':
		say(reply, "T05thread:1;");
		break;
	case 'g':
		read_registers(m, reply);
		break;
	case 'G':
		say_done(reply, write_registers(m, packet + 1, size - 1));
		break;
	case 'p':
		read_register(m, packet + 1, reply);
		break;
	case 'P':
		say_done(reply, write_register(m, packet + 1));
		break;
	case 'm':
		read_memory(m, packet + 1, reply);
		break;
	case 'M':
	case 'X':
		say_done(reply, write_memory(m, packet + 1, packet + size, *packet == 'M'));
		break;
	case 'z':
	case 'Z':
		breakpoint(m, packet, reply);
		break;
	case 'H':
	case 'T':
		say(reply, "OK");
		break;
	case 'q':
		query(packet, reply);
		break;
	case 'Q':
		if (strcmp(packet, "QStartNoAckMode"))
			break;
		say(reply, "OK");
		return GDB_NO_ACK;
	case 'v':
		if (!strcmp(packet, "vCont?"))
			say(reply, "vCont;c;C;s;S");
		else if (says(packet, "vCont;"))
			return proceed(packet + strlen("vCont;"), reply);
		break;
	case 'c':
	case 's':
		return proceed_at(m, packet, reply);
	case 'C':
	case 'S':
		return proceed(packet, reply);
	case 'D':
		say(reply, "OK");
		return GDB_DETACH;
	case 'k':
		return GDB_KILL;
	}
	return GDB_STAY;
}
