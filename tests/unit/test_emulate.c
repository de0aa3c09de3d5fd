// SOURCES: launcher/hardware/decode.c launcher/hardware/emulate.c launcher/hardware/mmio.c launcher/message.c launcher/terminal.c
// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder against objdump and against random bytes; the emulation with a
 * Host of our own, whose registers we look at afterwards.
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
#include <unistd.h>
#include <cmocka.h>

#include "hardware/decode.h"
#include "hardware/emulate.h"
#include "hardware/host.h"
#include "lguest.h"
#include "hardware/mmio.h"

/* The Host. */
static struct user_regs_struct regs;
static int traps, trap_number;
#define CR2 0x123456789abcULL

int host_get_register(int fd, size_t offset, uint64_t *value)
{
	(void)fd;
	if (offset == LHREG_CR2)
		*value = CR2;
	else
		memcpy(value, (char *)&regs + offset, 8);
	return 0;
}

int host_set_register(int fd, size_t offset, uint64_t value)
{
	(void)fd;
	memcpy((char *)&regs + offset, &value, 8);
	return 0;
}

int host_trap(int fd, unsigned int number, uint64_t error)
{
	(void)fd;
	assert_int_equal(error, 0);
	traps++;
	trap_number = number;
	return 0;
}

#define PATTERN 0x1122334455667788ULL
#define RIP 0xffffffff81000000ULL

static struct lguest_exit record(const char *bytes, size_t size)
{
	struct lguest_exit exit = { .kind = LGUEST_EXIT_TRAP, .insn_len = size };
	unsigned long long *reg = (void *)&regs;
	size_t i;

	memcpy(exit.insn, bytes, size);
	for (i = 0; i < sizeof(regs) / 8; i++)
		reg[i] = PATTERN;
	regs.rip = RIP;
	traps = 0;
	return exit;
}

/* Does the instruction end in the guest's fault? */
static bool faults(const char *bytes, size_t size)
{
	struct lguest_exit exit = record(bytes, size);

	assert_int_equal(emulate_trap(3, &exit), 0);
	if (traps) {
		assert_int_equal(traps, 1);
		assert_int_equal(trap_number, 13);
		assert_int_equal(regs.rip, RIP);
	} else {
		assert_int_equal(regs.rip, RIP + size);
	}
	return traps;
}

#define DONE(bytes) assert_false(faults(bytes, sizeof(bytes) - 1))
#define FAULT(bytes) assert_true(faults(bytes, sizeof(bytes) - 1))

static void test_in_out(void **state)
{
	(void)state;
	DONE("\xe4\x60");
	assert_int_equal(regs.rax, 0x11223344556677ffULL);
	DONE("\xec");
	assert_int_equal(regs.rax, 0x11223344556677ffULL);
	DONE("\x66\xec");
	assert_int_equal(regs.rax, 0x11223344556677ffULL);
	DONE("\x48\xec");
	assert_int_equal(regs.rax, 0x11223344556677ffULL);
	DONE("\x66\xed");
	assert_int_equal(regs.rax, 0x112233445566ffffULL);
	DONE("\x66\xe5\x60");
	assert_int_equal(regs.rax, 0x112233445566ffffULL);
	DONE("\x66\x40\xed");
	assert_int_equal(regs.rax, 0x112233445566ffffULL);
	DONE("\xed");
	assert_int_equal(regs.rax, 0xffffffffULL);
	DONE("\xe5\x60");
	assert_int_equal(regs.rax, 0xffffffffULL);
	DONE("\x48\xed");
	assert_int_equal(regs.rax, 0xffffffffULL);
	DONE("\x66\x48\xed");
	assert_int_equal(regs.rax, 0xffffffffULL);
	/* REX before a prefix does not count. */
	DONE("\x48\x66\xed");
	assert_int_equal(regs.rax, 0x112233445566ffffULL);
	DONE("\xe6\x80");
	DONE("\xe7\x80");
	DONE("\xee");
	DONE("\xef");
	DONE("\x66\xef");
	DONE("\x66\xe7\x80");
	DONE("\x48\xef");
	assert_int_equal(regs.rax, PATTERN);
	FAULT("\x6c");			/* ins, outs */
	FAULT("\x6d");
	FAULT("\xf3\x6e");
	FAULT("\x6f");
	FAULT("\xf0\xec");		/* lock */
}

static void test_system(void **state)
{
	struct lguest_exit exit;

	(void)state;
	DONE("\x0f\x32");		/* rdmsr */
	assert_int_equal(regs.rax, 0);
	assert_int_equal(regs.rdx, 0);
	assert_int_equal(regs.rcx, PATTERN);
	exit = record("\x0f\x32", 2);
	regs.rcx = 0x1111111100000000 | 0x8b;	/* the microcode is new */
	assert_int_equal(emulate_trap(3, &exit), 0);
	assert_int_equal(regs.rax, UINT32_MAX);
	assert_int_equal(regs.rdx, UINT32_MAX);
	DONE("\x0f\x33");		/* rdpmc */
	assert_int_equal(regs.rax, 0);
	DONE("\x0f\x30");		/* wrmsr */
	assert_int_equal(regs.rax, PATTERN);
	DONE("\x0f\x06");		/* clts */
	DONE("\x0f\x08");		/* invd */
	DONE("\x0f\x09");		/* wbinvd */
	DONE("\xf3\x0f\x09");		/* wbnoinvd */
	DONE("\x0f\x01\xd1");		/* xsetbv */
	DONE("\x0f\x01\x15\x01\x02\x03\x04");	/* lgdt */
	DONE("\x0f\x01\x1c\x24");	/* lidt (%rsp) */
	DONE("\x0f\x01\x38");		/* invlpg (%rax) */
	DONE("\x41\x0f\x01\x38");
	DONE("\x0f\x01\xf0");		/* lmsw */
	DONE("\x0f\x00\xd0");		/* lldt */
	DONE("\x0f\x00\xd8");		/* ltr */
	DONE("\x0f\x00\xc8");		/* str %eax */
	assert_int_equal(regs.rax, 0);
	DONE("\x66\x0f\x00\xc0");	/* sldt %ax */
	assert_int_equal(regs.rax, 0x1122334455660000ULL);
	DONE("\x0f\x01\xe3");		/* smsw %ebx */
	assert_int_equal(regs.rbx, 0x80050033);
	FAULT("\x0f\x01\x00");		/* sgdt */
	FAULT("\x0f\x01\xf8");		/* swapgs */
	FAULT("\x0f\x01\xd0");		/* xgetbv */
	FAULT("\x0f\x01\xc1");		/* vmcall */
	FAULT("\xfa");			/* cli */
	FAULT("\xfb");			/* sti */
	FAULT("\xf4");			/* hlt */
	FAULT("\xcf");			/* iret */
	FAULT("\x0f\x07");		/* sysret */
	FAULT("\x66\x0f\x38\x82\x00");	/* invpcid */
	FAULT("\x0f\x00\x00");		/* sldt to memory */
}

static void test_control_registers(void **state)
{
	(void)state;
	DONE("\x0f\x20\xc0");		/* mov %cr0,%rax */
	assert_int_equal(regs.rax, 0x80050033);
	DONE("\x41\x0f\x20\xd7");	/* mov %cr2,%r15 */
	assert_int_equal(regs.r15, CR2);
	DONE("\x0f\x20\xdb");		/* mov %cr3,%rbx */
	assert_int_equal(regs.rbx, 0);
	DONE("\x0f\x20\x24");		/* mov %cr4,%rsp: mod is ignored, no SIB */
	assert_int_equal(regs.rsp, 0x706f0);
	DONE("\x44\x0f\x20\xc1");	/* mov %cr8,%rcx */
	assert_int_equal(regs.rcx, 0);
	DONE("\x0f\x22\xc0");		/* mov %rax,%cr0 */
	DONE("\x0f\x22\xe0");
	DONE("\x44\x0f\x22\xc0");
	FAULT("\x0f\x22\xd8");		/* cr3 must not be lost */
	FAULT("\x0f\x20\xc8");		/* cr1 */
	FAULT("\x44\x0f\x20\xc8");	/* cr9 */
	DONE("\x0f\x21\xf0");		/* mov %dr6,%rax */
	assert_int_equal(regs.rax, 0xffff0ff0);
	DONE("\x41\x0f\x21\xf8");	/* mov %dr7,%r8 */
	assert_int_equal(regs.r8, 0x400);
	DONE("\x0f\x21\xc2");
	assert_int_equal(regs.rdx, 0);
	DONE("\x0f\x23\xf8");
	FAULT("\x44\x0f\x21\xc0");	/* dr8 */
}

static void test_cut_short(void **state)
{
	static const char longest[] = "\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\xe4\x60";
	static const char lgdt[] = "\x0f\x01\x15\x01\x02\x03\x04";
	size_t i;

	(void)state;
	DONE(longest);
	for (i = 0; i < sizeof(longest) - 1; i++)
		assert_true(faults(longest, i));
	for (i = 0; i < sizeof(lgdt) - 1; i++)
		assert_true(faults(lgdt, i));
	/* Sixteen bytes are never an instruction, nor read. */
	for (i = 0; i <= 255; i++) {
		struct insn insn;
		uint8_t *bytes = malloc(i);

		memset(bytes, 0x66, i);
		assert_false(decode(bytes, i, &insn));
		free(bytes);
	}
}

/* Exactly as many bytes as there are: ASan sees a step too far. */
static void test_random_bytes(void **state)
{
	int i, known = 0;

	(void)state;
	srandom(3);
	for (i = 0; i < 2000000; i++) {
		size_t size = random() % 16, j;
		uint8_t bytes[15], *exact = NULL;
		struct insn insn;

		for (j = 0; j < size; j++)
			bytes[j] = random();
		if (size > 2 && random() % 2)
			bytes[random() % 2] = 0x0f;
		if (i % 16 == 0) {
			exact = malloc(size);
			memcpy(exact, bytes, size);
		}
		if (decode(exact ? exact : bytes, size, &insn)) {
			known++;
			assert_true(insn.length >= 1 && insn.length <= size);
			assert_true(insn.reg < 16 && insn.rm < 16);
			assert_int_not_equal(insn.meaning, INSN_UNKNOWN);
		}
		free(exact);
	}
	assert_true(known > 10000);
}

/*
 * All forms of all opcodes in one stream, which objdump disassembles: its
 * boundaries must be ours, or it falls out of step.
 */
static size_t forms(uint8_t *to, size_t *starts, size_t *count)
{
	static const uint8_t rexes[] = { 0, 0x40, 0x48, 0x4f };
	size_t used = 0, n = 0;
	unsigned int code, map, rex, modrm, opsize, sib;

	for (map = 0; map < 2; map++)
	for (code = 0; code < 256; code++)
	for (rex = 0; rex < 4; rex++)
	for (opsize = 0; opsize < 2; opsize++)
	for (modrm = 0; modrm < 256; modrm++)
	for (sib = 0; sib < 2; sib++) {
		uint8_t bytes[20] = "", *at = bytes;
		struct insn insn;

		if (opsize)
			*at++ = 0x66;
		if (rexes[rex])
			*at++ = rexes[rex];
		if (map)
			*at++ = 0x0f;
		*at++ = code;
		*at++ = modrm;
		*at++ = sib ? 0x25 : 0x24;
		memset(at, 0x11, 12);
		if (!decode(bytes, 15, &insn))
			continue;
		if (!map && (code & 0xf0) == 0x40)
			continue;
		if (!map && (code == 0x66 || code == 0x67 || code == 0x0f ||
			     code == 0x26 || code == 0x2e || code == 0x36 ||
			     code == 0x3e || code == 0x64 || code == 0x65 ||
			     code == 0xf2 || code == 0xf3))
			continue;
		/* objdump refuses what has no register of that number. */
		if (map && code >= 0x20 && code <= 0x23 && modrm < 0xc0)
			continue;
		memcpy(to + used, bytes, insn.length);
		starts[n++] = used;
		used += insn.length;
	}
	*count = n;
	return used;
}

static void test_objdump(void **state)
{
	static uint8_t stream[4 << 20];
	static size_t starts[1 << 20];
	char name[] = "/tmp/lguest-forms-XXXXXX", command[128], *line = NULL;
	size_t count, size = forms(stream, starts, &count), room = 0, seen = 0;
	int fd = mkstemp(name);
	FILE *pipe;

	(void)state;
	assert_int_equal(write(fd, stream, size), size);
	close(fd);
	snprintf(command, sizeof(command),
		 "objdump -D -z -w -b binary -m i386:x86-64 %s 2>/dev/null", name);
	pipe = popen(command, "r");
	while (getline(&line, &room, pipe) > 0) {
		unsigned long address;
		char colon;

		if (line[0] != ' ' || sscanf(line, "%lx%c", &address, &colon) != 2 || colon != ':')
			continue;
		if (seen < count && address != starts[seen])
			fail_msg("ours begins at %#zx: %s", starts[seen], line);
		seen++;
	}
	pclose(pipe);
	free(line);
	unlink(name);
	if (!seen)
		skip();
	assert_true(count > 20000);
	assert_int_equal(seen, count);
}

/* A device that remembers. */
static uint64_t device_offset, device_value = 0x8182838485868788ULL;
static unsigned int device_width;

static uint64_t device_read(const struct device_memory *d, uint64_t offset,
			    unsigned int width)
{
	(void)d;
	device_offset = offset;
	device_width = width;
	return device_value;
}

static void device_write(const struct device_memory *d, uint64_t offset,
			 unsigned int width, uint64_t value)
{
	device_read(d, offset, width);
	device_value = value;
}

static struct device_memory device = {
	.start = { 0x10000000 }, .size = 0x1000,
	.read = device_read, .write = device_write,
};

static int access_memory(uint64_t address, unsigned int access, const char *bytes,
			 size_t size)
{
	struct lguest_exit exit = record(bytes, size);

	exit.kind = LGUEST_EXIT_MMIO;
	exit.value = address;
	exit.access = access;
	device_width = 0;
	assert_int_equal(emulate_mmio(3, &exit), 0);
	assert_int_equal(regs.rip, traps ? RIP : RIP + size);
	return traps;
}

#define READ(address, bytes) access_memory(address, 0, bytes, sizeof(bytes) - 1)
#define WRITE(address, bytes) \
	access_memory(address, LGUEST_ACCESS_WRITE, bytes, sizeof(bytes) - 1)
#define DEVICE 0x10000000ULL

static void test_device_memory(void **state)
{
	(void)state;
	assert_int_equal(mmio_limit(0x1000000), 0x1000000);
	mmio_add(&device);
	assert_int_equal(mmio_limit(0x1000000), DEVICE + 0x1000);

	device_value = 0x8182838485868788ULL;
	assert_int_equal(READ(DEVICE + 8, "\x8b\x03"), 0);	/* mov (%rbx),%eax */
	assert_int_equal(regs.rax, 0x85868788);
	assert_int_equal(device_offset, 8);
	assert_int_equal(device_width, 4);
	READ(DEVICE, "\x4c\x8b\x3b");				/* %r15 */
	assert_int_equal(regs.r15, device_value);
	READ(DEVICE, "\x66\x8b\x03");
	assert_int_equal(regs.rax, 0x1122334455668788ULL);
	READ(DEVICE, "\x8a\x23");				/* %ah */
	assert_int_equal(regs.rax, 0x1122334455668888ULL);
	READ(DEVICE, "\x40\x8a\x23");				/* %spl */
	assert_int_equal(regs.rsp, 0x1122334455667788ULL);
	READ(DEVICE, "\x0f\xb6\x03");				/* movzbl */
	assert_int_equal(regs.rax, 0x88);
	READ(DEVICE, "\x48\x0f\xbf\x03");			/* movswq */
	assert_int_equal(regs.rax, 0xffffffffffff8788ULL);
	READ(DEVICE, "\x0f\xbe\x03");				/* movsbl */
	assert_int_equal(regs.rax, 0xffffff88ULL);
	READ(DEVICE, "\xa1\0\0\0\x10\0\0\0\0");			/* moffs */
	assert_int_equal(regs.rax, 0x85868788);

	WRITE(DEVICE + 4, "\x89\x03");
	assert_int_equal(device_value, 0x55667788);
	WRITE(DEVICE, "\x48\x89\x03");
	assert_int_equal(device_value, PATTERN);
	WRITE(DEVICE, "\x88\x23");				/* %ah */
	assert_int_equal(device_value, 0x77);
	WRITE(DEVICE, "\xc6\x03\xfe");
	assert_int_equal(device_value, 0xfe);
	WRITE(DEVICE, "\x66\xc7\x03\x34\x12");
	assert_int_equal(device_value, 0x1234);
	WRITE(DEVICE, "\x48\xc7\x03\xfe\xff\xff\xff");
	assert_int_equal(device_value, 0xfffffffffffffffeULL);
	assert_int_equal(device_width, 8);
}

static void test_no_device(void **state)
{
	(void)state;
	assert_int_equal(READ(DEVICE + 0x1000, "\x8b\x03"), 0);
	assert_int_equal(regs.rax, 0xffffffff);
	READ(DEVICE + 0xffd, "\x8b\x03");	/* half beyond the device */
	assert_int_equal(device_width, 0);
	READ(UINT64_MAX - 1, "\x48\x8b\x03");
	assert_int_equal(regs.rax, UINT64_MAX);
	assert_int_equal(WRITE(DEVICE + 0x1000, "\x89\x03"), 0);
	assert_int_equal(READ(DEVICE, "\xf3\xa4"), 1);		/* rep movs */
	assert_int_equal(READ(DEVICE, "\x01\x03"), 1);		/* add */
	assert_int_equal(READ(DEVICE, "\x89\x03"), 1);		/* record and bytes differ */
	assert_int_equal(access_memory(DEVICE, LGUEST_ACCESS_FETCH, "\x8b\x03", 2), 1);
	assert_int_equal(READ(DEVICE, ""), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_out),
		cmocka_unit_test(test_system),
		cmocka_unit_test(test_control_registers),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_objdump),
		cmocka_unit_test(test_device_memory),
		cmocka_unit_test(test_no_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
