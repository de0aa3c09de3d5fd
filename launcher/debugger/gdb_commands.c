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

	if (reg->offset == NONE || gdb_get_register(m, reg->offset, &value)) {
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
	    gdb_get_register(m, reg->offset, &old))
		return false;
	if (reg->size == 4)
		old = (uint32_t)old;
	return old == value || !gdb_set_register(m, reg->offset, value);
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

/* Of a thread, from 1 on; 0 is any. */
#define ALL	(-1)

static bool read_thread(const struct gdb_memory *m, const char **at, int *thread)
{
	uint64_t n;

	if (says(*at, "-1")) {
		*at += 2;
		*thread = ALL;
		return true;
	}
	if (!gdb_number(at, &n) || n > m->guest->vcpus.count)
		return false;
	*thread = n;
	return true;
}

/* qfThreadInfo */
static void list_threads(const struct gdb_memory *m, struct gdb_reply *reply)
{
	unsigned int n;

	for (n = 1; n <= m->guest->vcpus.count; n++)
		reply->size += sprintf(reply->text + reply->size, "%c%x", n == 1 ? 'm' : ',', n);
}

/* qThreadExtraInfo,THREAD */
static void describe_thread(const struct gdb_memory *m, const char *at, struct gdb_reply *reply)
{
	char text[32];
	int thread;

	if (!read_thread(m, &at, &thread) || thread <= 0)
		return say_done(reply, false);
	snprintf(text, sizeof(text), "vCPU %d%s", thread - 1,
		 m->guest->vcpus.halted >> (thread - 1) & 1 ? ", stopped" : "");
	gdb_digits(text, strlen(text), reply->text);
	reply->size = 2 * strlen(text);
}

static void query(const struct gdb_memory *m, const struct gdb_threads *threads,
		  const char *packet, struct gdb_reply *reply)
{
	static const char features[] = "qXfer:features:read:target.xml:";
	static const char extra[] = "qThreadExtraInfo,";

	if (says(packet, "qSupported"))
		reply->size = snprintf(reply->text, sizeof(reply->text),
				       "PacketSize=%x;qXfer:features:read+;"
				       "QStartNoAckMode+;vContSupported+", GDB_PACKET_MOST);
	else if (says(packet, features))
		describe(packet + sizeof(features) - 1, reply);
	else if (!strcmp(packet, "qC"))
		reply->size = sprintf(reply->text, "QC%x", threads->stopped + 1);
	else if (!strcmp(packet, "qfThreadInfo"))
		list_threads(m, reply);
	else if (!strcmp(packet, "qsThreadInfo"))
		say(reply, "l");
	else if (says(packet, extra))
		describe_thread(m, packet + sizeof(extra) - 1, reply);
	else if (!strcmp(packet, "qAttached"))
		say(reply, "1");
}

/* "HgTHREAD": which one is looked at.  "HcTHREAD" is of no use to those who have vCont. */
static bool look_at(struct gdb_memory *m, const struct gdb_threads *threads, const char *packet)
{
	const char *at = packet + 2;
	int thread;

	if (!packet[1] || !read_thread(m, &at, &thread) || *at)
		return false;
	if (packet[1] == 'g')
		m->vcpu = thread > 0 ? (unsigned int)thread - 1 : threads->stopped;
	return true;
}

static bool is_there(const struct gdb_memory *m, const char *packet)
{
	const char *at = packet + 1;
	int thread;

	return read_thread(m, &at, &thread) && thread > 0 && !*at;
}

/* "C" and "S" have a signal, which is of no use to us. */
static bool read_action(const char **at, char *action)
{
	uint64_t signal;

	*action = *(*at)++;
	switch (*action) {
	case 'C':
	case 'S':
		return gdb_number(at, &signal);
	case 'c':
	case 's':
		return true;
	}
	return false;
}

/* ":THREAD", or all; then the packet ends, or there is another action. */
static bool read_threads(const struct gdb_memory *m, const char **at, unsigned int *which)
{
	int thread = ALL;

	if (**at == ':') {
		++*at;
		if (!read_thread(m, at, &thread))
			return false;
	}
	*which = thread > 0 ? 1U << (thread - 1) : ~0U;
	return !**at || **at == ';';
}

/*L:458
 * "ACTION[:THREAD];...": for each thread the first one that names it, or none.  One that
 * is to step does so alone: the others stand meanwhile, whatever is said of them, so that
 * it is the instruction which is looked at and nothing else.
 :*/
static enum gdb_action proceed(const struct gdb_memory *m, struct gdb_threads *threads,
			       const char *at, struct gdb_reply *reply)
{
	unsigned int left = (1U << m->guest->vcpus.count) - 1, which, step = 0;
	char action;

	threads->move = 0;
	do {
		if (!read_action(&at, &action) || !read_threads(m, &at, &which)) {
			say_done(reply, false);
			return GDB_STAY;
		}
		which &= left;
		left &= ~which;
		if (action == 'c' || action == 'C')
			threads->move |= which;
		else if (!step)
			step = which;
	} while (*at++ == ';');
	if (!step)
		return GDB_GO;
	threads->step = step & 1U << m->vcpu ? m->vcpu : (unsigned int)__builtin_ctz(step);
	return GDB_STEP;
}

/* "c" and "s", perhaps with the address to go on at. */
static enum gdb_action proceed_at(const struct gdb_memory *m, struct gdb_threads *threads,
				  const char *packet, struct gdb_reply *reply)
{
	const char word[2] = { *packet };
	const char *at = packet + 1;
	uint64_t address;

	if (*at && (!gdb_number(&at, &address) ||
		    gdb_set_register(m, REG(rip), address))) {
		say_done(reply, false);
		return GDB_STAY;
	}
	return proceed(m, threads, word, reply);
}

/*L:457
 * One letter says what a packet is, for most.
 :*/
enum gdb_action gdb_command(struct gdb_memory *m, struct gdb_threads *threads,
			    const char *packet, size_t size, struct gdb_reply *reply)
{
	reply->size = 0;
	switch (*packet) {
	case '?':
		reply->size = sprintf(reply->text, "T05thread:%x;", threads->stopped + 1);
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
		say_done(reply, look_at(m, threads, packet));
		break;
	case 'T':
		say_done(reply, is_there(m, packet));
		break;
	case 'q':
		query(m, threads, packet, reply);
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
			return proceed(m, threads, packet + strlen("vCont;"), reply);
		break;
	case 'c':
	case 's':
		return proceed_at(m, threads, packet, reply);
	case 'C':
	case 'S':
		return proceed(m, threads, packet, reply);
	case 'D':
		say(reply, "OK");
		return GDB_DETACH;
	case 'k':
		return GDB_KILL;
	}
	return GDB_STAY;
}
