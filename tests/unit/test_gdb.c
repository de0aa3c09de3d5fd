// SOURCES: launcher/debugger/gdb_packet.c launcher/debugger/gdb_memory.c launcher/debugger/gdb_commands.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c
// SPDX-License-Identifier: GPL-2.0
/*
 * The debugger's packets, and what they do to a guest of our own: some memory
 * with tables in it, and registers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/user.h>
#include <cmocka.h>

#include "debugger/gdb_commands.h"
#include "hardware/host.h"

/* The Host, which has several vCPUs; each is asked on its own thread. */
static struct user_regs_struct all_regs[LGUEST_VCPUS];
static uint64_t all_cr3[LGUEST_VCPUS];
static unsigned int thread;
#define regs	all_regs[0]
#define cr3	all_cr3[0]

int vcpu_do(struct guest *guest, unsigned int vcpu,
	    int (*what)(struct guest *guest, void *with), void *with)
{
	int result;

	assert_true(vcpu < guest->vcpus.count);
	thread = vcpu;
	result = what(guest, with);
	thread = 0;
	return result;
}

int host_get_register(int fd, size_t offset, uint64_t *value)
{
	(void)fd;
	if (offset == LHREG_CR3)
		*value = all_cr3[thread];
	else
		memcpy(value, (char *)&all_regs[thread] + offset, 8);
	return 0;
}

int host_set_register(int fd, size_t offset, uint64_t value)
{
	(void)fd;
	if (offset == offsetof(struct user_regs_struct, eflags))
		return -ENOENT;
	memcpy((char *)&all_regs[thread] + offset, &value, 8);
	return 0;
}

/* The guest: KERNEL is mapped to DATA by 4 KiB pages, the page behind it is not. */
#define KERNEL	0xffffffff81000000ULL
#define LARGE	0xffffffff82000000ULL	/* 2 MiB at 2 MiB */
#define USER	0x400000ULL
#define OUTSIDE	0xffffffff83000000ULL	/* mapped to where no memory is */
#define DATA	0x10000ULL
#define TABLES	0x1000ULL

static struct guest guest;
#define memory	guest.memory
static struct gdb_memory m;
static struct gdb_threads threads;
static struct gdb_reply reply;

static void entry(uint64_t table, unsigned int n, uint64_t value)
{
	assert_true(memory_write(&memory, GPA(table + 8 * n), &value, 8));
}

static int setup(void **state)
{
	(void)state;
	assert_true(memory_create(&memory, MEMORY_LEAST));
	memset(&m, 0, sizeof(m));
	memset(&threads, 0, sizeof(threads));
	memset(all_regs, 0, sizeof(all_regs));
	m.guest = &guest;
	guest.vcpus.count = 1;
	guest.vcpus.halted = 0;
	cr3 = TABLES;
	entry(TABLES, 511, 0x2003);
	entry(TABLES, 0, 0x5007);
	entry(0x2000, 510, 0x3003);
	entry(0x3000, 8, 0x4003);		/* KERNEL */
	entry(0x3000, 16, 0x200000 | 0x83);	/* LARGE */
	entry(0x3000, 24, 0x7003);		/* OUTSIDE */
	entry(0x4000, 0, DATA | 3);
	entry(0x5000, 0, 0x6007);
	entry(0x6000, 2, 0x400000 | 0x87);	/* USER */
	entry(0x7000, 0, 0x000ffffffffff003);
	memset(memory_at(&memory, GPA(DATA), 4096), 0x90, 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memory_destroy(&memory);
	return 0;
}

/* ---- Packets ---- */

static struct gdb_stream stream;
static char packet[GDB_PACKET_MOST + 1];
static size_t size;

static enum gdb_event next_of(const char *bytes)
{
	stream.size = strlen(bytes);
	memcpy(stream.bytes, bytes, stream.size);
	return gdb_next(&stream, packet, &size);
}

static void packets(void **state)
{
	(void)state;
	assert_int_equal(next_of("$m1,2#fc"), GDB_PACKET);
	assert_string_equal(packet, "m1,2");
	assert_int_equal(stream.size, 0);
	assert_int_equal(next_of("++$#00$g#67"), GDB_PACKET);
	assert_int_equal(size, 0);
	assert_int_equal(gdb_next(&stream, packet, &size), GDB_PACKET);
	assert_string_equal(packet, "g");
	assert_int_equal(gdb_next(&stream, packet, &size), GDB_NOTHING);
	assert_int_equal(next_of("+\x03$g#6"), GDB_INTERRUPT);
	assert_int_equal(gdb_next(&stream, packet, &size), GDB_NOTHING);
	assert_int_equal(next_of("$g#68"), GDB_BAD_PACKET);
	assert_int_equal(next_of("$g#zz"), GDB_BAD_PACKET);
	assert_int_equal(next_of("$}#7d"), GDB_BAD_PACKET);	/* ends in an escape */
	assert_int_equal(next_of("$}\x03#80"), GDB_PACKET);
	assert_string_equal(packet, "#");
	assert_int_equal(next_of("-"), GDB_REPEAT);
}

static void long_packets(void **state)
{
	(void)state;
	memset(stream.bytes, 'a', sizeof(stream.bytes));
	stream.bytes[0] = '$';
	stream.size = sizeof(stream.bytes) - 1;
	assert_int_equal(gdb_next(&stream, packet, &size), GDB_NOTHING);
	stream.size = sizeof(stream.bytes);
	assert_int_equal(gdb_next(&stream, packet, &size), GDB_NONSENSE);
	/* It ends, but is longer than packets are. */
	stream.bytes[GDB_PACKET_MOST + 2] = '#';
	assert_int_equal(gdb_next(&stream, packet, &size), GDB_BAD_PACKET);
}

static void frames(void **state)
{
	char frame[GDB_FRAME_MOST], all[256];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(all); i++)
		all[i] = i;
	stream.size = gdb_frame(all, sizeof(all), frame);
	memcpy(stream.bytes, frame, stream.size);
	assert_int_equal(gdb_next(&stream, packet, &size), GDB_PACKET);
	assert_int_equal(size, sizeof(all));
	assert_memory_equal(packet, all, size);
	assert_int_equal(gdb_frame("OK", 2, frame), 6);
	assert_memory_equal(frame, "$OK#9a", 6);
}

/* ---- Commands ---- */

static const char *ask(const char *what)
{
	reply.text[0] = 'Q';
	assert_int_equal(gdb_command(&m, &threads, what, strlen(what), &reply), GDB_STAY);
	assert_true(reply.size <= GDB_PACKET_MOST);
	reply.text[reply.size] = '\0';
	return reply.text;
}

static const char *askf(const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return ask(text);
}

static void reads_memory(void **state)
{
	(void)state;
	memory_write(&memory, GPA(DATA + 0xffc), "\x12\x34\xab\xcd", 4);
	assert_string_equal(askf("m%llx,4", KERNEL + 0xffc), "1234abcd");
	assert_string_equal(askf("m%llx,8", KERNEL + 0xffc), "1234abcd");	/* less */
	assert_string_equal(askf("m%llx,4", KERNEL + 0x1000), "E01");
	assert_string_equal(askf("m%llx,4", KERNEL & 0x7fffffffffffffff), "E01");
	assert_string_equal(askf("m%llx,2", OUTSIDE), "E01");
	memory_write(&memory, GPA(0x3ffffe), "\x01\x02", 2);
	assert_string_equal(askf("m%llx,2", LARGE + 0x1ffffe), "0102");
	memory_write(&memory, GPA(0x400001), "\x77", 1);
	assert_string_equal(askf("m%llx,1", USER + 1), "77");
	assert_string_equal(ask("mffffffffffffffff,ffffffffffffffff"), "E01");
	assert_string_equal(ask("m11111111111111111,1"), "E01");
	assert_string_equal(ask("m,1"), "E01");
	assert_int_equal(strlen(askf("m%llx,ffff", LARGE)), GDB_PACKET_MOST);
	cr3 = 0xffffffffff000;
	assert_string_equal(askf("m%llx,4", KERNEL), "E01");
	/* Before there are tables: physical, and the kernel's own addresses. */
	cr3 = ~0ULL;
	assert_string_equal(askf("m%llx,2", DATA + 0xffc), "1234");
	assert_string_equal(askf("m%llx,2", 0xffffffff80000000 + DATA + 0xffc), "1234");
	assert_string_equal(ask("m1000000,2"), "E01");
	assert_string_equal(ask("mfffffffffffffff0,20"), "E01");
}

static void tables_that_loop(void **state)
{
	(void)state;
	entry(TABLES, 511, TABLES | 3);
	assert_string_equal(ask("mfffffffffffffff8,8"), "0310000000000000");
	assert_string_equal(ask("mfffffffffffffff8,10"), "0310000000000000");
}

static void writes_memory(void **state)
{
	uint8_t bytes[4];

	(void)state;
	assert_string_equal(askf("M%llx,3:616263", KERNEL + 8), "OK");
	memory_read(&memory, GPA(DATA + 8), bytes, 4);
	assert_memory_equal(bytes, "abc\x90", 4);
	assert_string_equal(askf("X%llx,2:xy", KERNEL + 8), "OK");
	memory_read(&memory, GPA(DATA + 8), bytes, 4);
	assert_memory_equal(bytes, "xyc\x90", 4);
	assert_string_equal(askf("X%llx,0:", KERNEL), "OK");
	assert_string_equal(askf("M%llx,2:6162", KERNEL + 0xfff), "E01");
	assert_string_equal(askf("M%llx,2:61", KERNEL), "E01");
	assert_string_equal(askf("M%llx,1:6g", KERNEL), "E01");
	assert_string_equal(askf("X%llx,3:xy", KERNEL), "E01");
	assert_string_equal(ask("M0"), "E01");
	assert_string_equal(ask("Xffffffffffffffff,ffffffffffffffff:"), "E01");
}

static uint8_t at_data(uint64_t offset)
{
	uint8_t byte;

	assert_true(memory_read(&memory, GPA(DATA + offset), &byte, 1));
	return byte;
}

static void breakpoints(void **state)
{
	(void)state;
	assert_string_equal(askf("Z0,%llx,1", KERNEL + 16), "OK");
	assert_string_equal(askf("Z0,%llx,1", KERNEL + 16), "OK");
	assert_int_equal(at_data(16), 0xf4);
	assert_string_equal(askf("m%llx,3", KERNEL + 15), "909090");
	assert_string_equal(askf("M%llx,3:010203", KERNEL + 15), "OK");
	assert_int_equal(at_data(16), 0xf4);
	assert_string_equal(askf("m%llx,3", KERNEL + 15), "010203");
	assert_int_equal(gdb_hit(&m, KERNEL + 16), GDB_HIT);
	assert_int_equal(gdb_hit(&m, KERNEL + 17), GDB_NO_HIT);
	assert_string_equal(askf("z0,%llx,1", KERNEL + 16), "OK");
	assert_int_equal(at_data(16), 2);
	/* A record that was on its way: once. */
	assert_int_equal(gdb_hit(&m, KERNEL + 16), GDB_HIT_GONE);
	assert_int_equal(gdb_hit(&m, KERNEL + 16), GDB_NO_HIT);
	assert_string_equal(askf("z0,%llx,1", KERNEL + 16), "OK");

	assert_string_equal(askf("Z0,%llx,1", USER), "E01");
	assert_string_equal(askf("Z0,%llx,1", KERNEL + 0x1000), "E01");
	assert_string_equal(ask("Z0,0,1"), "E01");
	assert_string_equal(ask("Z0"), "");
	assert_string_equal(ask("Z"), "");
	assert_string_equal(askf("Z1,%llx,1", KERNEL), "");
	assert_string_equal(askf("Z2,%llx,8", KERNEL), "");
}

static void guest_changes_its_code(void **state)
{
	(void)state;
	assert_true(gdb_insert(&m, KERNEL + 5));
	memory_write(&memory, GPA(DATA + 5), "\x66", 1);
	assert_int_equal(gdb_hit(&m, KERNEL + 5), GDB_NO_HIT);
	gdb_remove_all(&m);
	assert_int_equal(at_data(5), 0x66);
}

/* One byte by two names. */
static void the_same_twice(void **state)
{
	(void)state;
	entry(0x4000, 1, DATA | 3);
	assert_true(gdb_insert(&m, KERNEL + 7));
	assert_true(gdb_insert(&m, KERNEL + 0x1007));
	gdb_remove(&m, KERNEL + 7);
	assert_int_equal(at_data(7), 0xf4);
	assert_string_equal(askf("m%llx,1", KERNEL + 7), "90");
	gdb_remove(&m, KERNEL + 0x1007);
	assert_int_equal(at_data(7), 0x90);
}

static void many_breakpoints(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < GDB_BREAKPOINTS_MOST; i++)
		assert_true(gdb_insert(&m, KERNEL + i));
	assert_false(gdb_insert(&m, KERNEL + i));
	gdb_remove_all(&m);
	for (i = 0; i < 4096; i++)
		assert_int_equal(at_data(i), 0x90);
	for (i = 0; i < 4096; i++) {	/* places are used again */
		assert_true(gdb_insert(&m, KERNEL + i));
		gdb_remove(&m, KERNEL + i);
	}
}

static void registers(void **state)
{
	char all[GDB_PACKET_MOST + 1];

	(void)state;
	regs.rax = 0x1122334455667788;
	regs.rip = KERNEL;
	regs.eflags = 0x202;
	regs.gs_base = 0xabc;
	assert_string_equal(ask("p0"), "8877665544332211");
	assert_string_equal(ask("p10"), "00000081ffffffff");
	assert_string_equal(ask("p11"), "02020000");
	assert_string_equal(ask("p18"), "xxxxxxxxxxxxxxxxxxxx");
	assert_string_equal(ask("p29"), "bc0a000000000000");
	assert_string_equal(ask("p2a"), "E01");
	assert_string_equal(ask("p"), "E01");
	assert_string_equal(ask("P2=0100000000000000"), "OK");
	assert_int_equal(regs.rcx, 1);
	assert_string_equal(ask("P2=01"), "E01");
	assert_string_equal(ask("P2"), "E01");
	assert_string_equal(ask("P11=02020000"), "OK");	/* as it is */
	assert_string_equal(ask("P11=02030000"), "E01");
	snprintf(all, sizeof(all), "G%s", ask("g"));
	assert_string_equal(ask(all), "OK");
	memcpy(all + 1 + 16, "7700000000000000", 16);
	assert_string_equal(ask(all), "OK");
	assert_int_equal(regs.rbx, 0x77);
	all[strlen(all) - 1] = '\0';
	assert_string_equal(ask(all), "E01");
	assert_string_equal(ask("G"), "OK");
}

static void going_on(void **state)
{
	(void)state;
	assert_int_equal(gdb_command(&m, &threads, "c", 1, &reply), GDB_GO);
	assert_int_equal(gdb_command(&m, &threads, "s", 1, &reply), GDB_STEP);
	assert_int_equal(gdb_command(&m, &threads, "C05", 3, &reply), GDB_GO);
	assert_int_equal(gdb_command(&m, &threads, "s1234", 5, &reply), GDB_STEP);
	assert_int_equal(regs.rip, 0x1234);
	assert_int_equal(gdb_command(&m, &threads, "vCont;s:1;c", 11, &reply), GDB_STEP);
	assert_int_equal(gdb_command(&m, &threads, "vCont;c", 7, &reply), GDB_GO);
	assert_string_equal(ask("vCont;"), "E01");
	assert_string_equal(ask("cx"), "E01");
	assert_string_equal(ask("vCont;cx"), "E01");
	assert_string_equal(ask("vCont;c;"), "E01");
	assert_string_equal(ask("vCont;s:2"), "E01");
	assert_string_equal(ask("vCont;r:1"), "E01");
	assert_int_equal(gdb_command(&m, &threads, "D", 1, &reply), GDB_DETACH);
	assert_int_equal(gdb_command(&m, &threads, "k", 1, &reply), GDB_KILL);
	assert_int_equal(gdb_command(&m, &threads, "QStartNoAckMode", 15, &reply), GDB_NO_ACK);
}

static void queries(void **state)
{
	char whole[16384] = "";
	unsigned int i;

	(void)state;
	assert_non_null(strstr(ask("qSupported:multiprocess+"), "qXfer:features:read+"));
	for (i = 0; i < 1000; i++) {
		const char *part = askf("qXfer:features:read:target.xml:%zx,40", strlen(whole));

		strcat(whole, part + 1);
		if (*part == 'l')
			break;
		assert_int_equal(*part, 'm');
	}
	assert_string_equal(whole + strlen(whole) - strlen("</target>"), "</target>");
	assert_string_equal(ask("qXfer:features:read:target.xml:fffff,40"), "E01");
	assert_string_equal(ask("qXfer:features:read:other.xml:0,40"), "");
	assert_string_equal(ask("?"), "T05thread:1;");
	assert_string_equal(ask("qfThreadInfo"), "m1");
	assert_string_equal(ask("qsThreadInfo"), "l");
	assert_string_equal(ask("Hg0"), "OK");
	assert_string_equal(ask("vMustReplyEmpty"), "");
	assert_string_equal(ask("QPassSignals:"), "");
	assert_string_equal(ask(""), "");
}

static enum gdb_action act(const char *what)
{
	return gdb_command(&m, &threads, what, strlen(what), &reply);
}

/* Several vCPUs: thread N is vCPU N - 1, and each has registers and tables of its own. */
static void several(void **state)
{
	(void)state;
	guest.vcpus.count = 16;
	assert_string_equal(ask("qfThreadInfo"), "m1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,10");
	assert_string_equal(ask("qThreadExtraInfo,10"), "76435055203135");
	guest.vcpus.halted = 1 << 2;
	assert_string_equal(ask("qThreadExtraInfo,3"), "764350552032" "2c2073746f70706564");
	assert_string_equal(ask("qThreadExtraInfo,11"), "E01");
	assert_string_equal(ask("T10"), "OK");
	assert_string_equal(ask("T11"), "E01");
	assert_string_equal(ask("T0"), "E01");
	threads.stopped = 1;
	assert_string_equal(ask("qC"), "QC2");
	assert_string_equal(ask("?"), "T05thread:2;");

	all_regs[0].rax = 0x10;
	all_regs[1].rax = 0x11;
	all_regs[15].rax = 0x1f;
	all_cr3[15] = 0x5000;	/* whose first entry is of level 3 in the others' */
	assert_string_equal(ask("Hg10"), "OK");
	assert_string_equal(ask("p0"), "1f00000000000000");
	assert_string_equal(ask("P0=2200000000000000"), "OK");
	assert_int_equal(all_regs[15].rax, 0x22);
	assert_string_equal(askf("m%llx,1", KERNEL), "E01");
	assert_string_equal(ask("Hg1"), "OK");
	assert_string_equal(askf("m%llx,1", KERNEL), "90");
	assert_string_equal(ask("p0"), "1000000000000000");
	assert_string_equal(ask("Hg0"), "OK");	/* any: the one that stopped */
	assert_string_equal(ask("p0"), "1100000000000000");
	assert_string_equal(ask("Hg11"), "E01");
	assert_string_equal(ask("Hgx"), "E01");
	assert_string_equal(ask("Hc-1"), "OK");
	assert_string_equal(ask("H"), "E01");
	assert_string_equal(ask("p0"), "1100000000000000");
}

/* Who goes on: the first action that names a thread is its; one that steps does so alone. */
static void who_goes_on(void **state)
{
	(void)state;
	guest.vcpus.count = 4;
	m.vcpu = 2;
	assert_int_equal(act("vCont;c"), GDB_GO);
	assert_int_equal(threads.move, 0xf);
	assert_int_equal(act("vCont;c:2"), GDB_GO);
	assert_int_equal(threads.move, 0x2);
	assert_int_equal(act("vCont;c:2;c:4"), GDB_GO);
	assert_int_equal(threads.move, 0xa);
	assert_int_equal(act("vCont;s:2;c"), GDB_STEP);
	assert_int_equal(threads.step, 1);
	assert_int_equal(act("vCont;c:1;s:4;c:-1"), GDB_STEP);
	assert_int_equal(threads.step, 3);
	assert_int_equal(act("vCont;S05:3"), GDB_STEP);
	assert_int_equal(threads.step, 2);
	assert_int_equal(act("vCont;s"), GDB_STEP);
	assert_int_equal(threads.step, 2);
	assert_int_equal(act("vCont;c:3;s"), GDB_STEP);
	assert_int_equal(threads.step, 0);
	assert_int_equal(act("s1000"), GDB_STEP);
	assert_int_equal(threads.step, 2);
	assert_int_equal(all_regs[2].rip, 0x1000);
	assert_int_equal(act("c"), GDB_GO);
	assert_int_equal(threads.move, 0xf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(packets), TEST(long_packets), TEST(frames), TEST(reads_memory),
		TEST(tables_that_loop), TEST(writes_memory), TEST(breakpoints),
		TEST(guest_changes_its_code), TEST(the_same_twice), TEST(many_breakpoints),
		TEST(registers), TEST(going_on), TEST(queries), TEST(several),
		TEST(who_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
