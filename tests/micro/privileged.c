// SPDX-License-Identifier: GPL-2.0
/*
 * Privileged instructions: in guest kernel a record for the launcher, in guest
 * user #GP.  Device memory: records too.  Software interrupts and system calls:
 * each arrives where it belongs, from 32-bit code too.  And what guest user may
 * see of the tables of the host's CPU.  Read next: frames.c.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"
#include "traps.h"

SNIPPET(x_ud, "ud2\n");

/* ---- What ring 3 may not do ---- */

#define PRIVILEGED(X) \
	X(p_outb, "mov $0x80, %dx; out %al, %dx\n", 0xee) \
	X(p_outi, "out %al, $0x80\n", 0xe6) \
	X(p_outl, "out %eax, %dx\n", 0xef) \
	X(p_inb, "in %dx, %al\n", 0xec) \
	X(p_ini, "in $0x60, %eax\n", 0xe5) \
	X(p_insb, "insb\n", 0x6c) \
	X(p_outsl, "outsl\n", 0x6f) \
	X(p_hlt, "hlt\n", 0xf4) \
	X(p_cli, "cli\n", 0xfa) \
	X(p_sti, "sti\n", 0xfb) \
	X(p_lgdt, "lgdt (%rsp)\n", 0x0f) \
	X(p_lidt, "lidt (%rsp)\n", 0x0f) \
	X(p_ltr, "ltr %ax\n", 0x0f) \
	X(p_lldt, "lldt %ax\n", 0x0f) \
	X(p_cr0, "mov %cr0, %rax\n", 0x0f) \
	X(p_cr3, "mov %rax, %cr3\n", 0x0f) \
	X(p_cr4, "mov %rax, %cr4\n", 0x0f) \
	X(p_dr7, "mov %rax, %db7\n", 0x0f) \
	X(p_dr0, "mov %db0, %rax\n", 0x0f) \
	X(p_rdmsr, "rdmsr\n", 0x0f) \
	X(p_wrmsr, "wrmsr\n", 0x0f) \
	X(p_invlpg, "invlpg (%rax)\n", 0x0f) \
	X(p_xsetbv, "xsetbv\n", 0x0f) \
	X(p_swapgs, "swapgs\n", 0x0f) \
	X(p_clts, "clts\n", 0x0f) \
	X(p_lmsw, "lmsw %ax\n", 0x0f) \
	X(p_sysret, "sysretq\n", 0x48) \
	X(p_rdpmc, "rdpmc\n", 0x0f)
#define DEFINE_P(name, code, byte) SNIPPET(name, code);
PRIVILEGED(DEFINE_P)

/*
 * In the user's version every event comes back to run(); in the kernel's the
 * launcher gets a record, skips to the next ud2, and so ends the run().
 */
static void privileged_user(void)
{
	struct frame f;

#define TRY_USER(name, code, byte) \
	f = state(name, true); \
	f.rdx = 0x80; \
	run(&f); \
	EXPECT_EQ(f.vector, 13); \
	EXPECT_EQ(f.error, 0);
	PRIVILEGED(TRY_USER)
}

TEST("D5 AT-24 privileged instructions in guest user: #GP, no record")
{
	struct guest *g = make_guest(privileged_user);

	passes(g);
	CHECK_EQ(stat_of(g, "launcher_visits"), 0);
}

static void privileged_kernel(void)
{
	struct frame f;

#define TRY_KERNEL(name, code, byte) \
	f = state(name, false); \
	f.rdx = 0x80; \
	run(&f); \
	EXPECT_EQ(f.vector, 6);
	PRIVILEGED(TRY_KERNEL)
}

TEST("D1 D13 privileged instructions in guest kernel: a record with their bytes")
{
	struct guest *g = make_guest(privileged_kernel);

#define RECORD(name, code, byte) { \
	u64 rip; \
	CHECK_EQ(go(g), LGUEST_EXIT_TRAP); \
	CHECK_EQ(g->exit.insn_len, 15); \
	CHECK_EQ(g->exit.access | g->exit.value, 0); \
	CHECK_EQ(g->exit.insn[0], byte); \
	rip = getreg(g, REG(rip)); \
	CHECK(!memcmp(g->exit.insn, g->mem + (rip - KERNEL_VA), 15)); \
	CHECK_EQ(request(g, LHREQ_SETREG, REG(rip), KERNEL_VA + IMAGE_GPA + \
			 (name##_end - __executable_start)), 24); }
	PRIVILEGED(RECORD)
	passes(g);
}

/* QEMU 10 emulates a CPU that lets everybody do this one. */
SNIPPET(p_wbinvd, "wbinvd\n");

static void wbinvd_user(void)
{
	struct frame f = state(p_wbinvd, true);

	run(&f);
	EXPECT_EQ(f.vector, 13);
	f = state(p_wbinvd, false);
	run(&f);
	EXPECT_EQ(f.vector, 6);
}

TEST("D1 D5 AT-24 wbinvd in guest user and in guest kernel")
{
	struct guest *g = make_guest(wbinvd_user);
	int status;

	if (fork() == 0) {
		signal(SIGSEGV, _exit);	/* handled, so the kernel's log has no word of it */
		asm volatile("wbinvd" : : : "memory");
		_exit(0);
	}
	wait(&status);
	if (status == 0)
		skip("this emulator's CPU lets user space do wbinvd");
	CHECK_EQ(WEXITSTATUS(status), SIGSEGV);
	CHECK_EQ(go(g), LGUEST_EXIT_TRAP);
	CHECK_EQ(g->exit.insn[0], 0x0f);
	CHECK_EQ(g->exit.insn[1], 0x09);
	CHECK_EQ(request(g, LHREQ_SETREG, REG(rip), KERNEL_VA + IMAGE_GPA +
			 (p_wbinvd_end - __executable_start)), 24);
	passes(g);
}

/* Of #GP by `int n`: 8 n + 2; but QEMU before 8 says 16 n + 2 in long mode. */
static bool is_gate_error(u64 error, u64 n)
{
	return error == 8 * n + 2 || error == 16 * n + 2;
}

static void record_at_page_end(void)
{
	u64 page = guest_page();
	/* In the upper half, where the kernel may execute. */
	u64 va = 0xffffc00000000000;
	u8 *end = (u8 *)AT(page) + PAGE;
	struct frame f;

	map(MAIN_CR3, va, page, P_ | W_);
	end[-1] = 0xf4;			/* hlt */
	f = kernel_at((void *)(va + PAGE - 1));
	run(&f);			/* the launcher sets rip */
	end[-2] = 0xcd;			/* a record cut short, then ... */
	end[-1] = 0x06;
	f = kernel_at((void *)(va + PAGE - 2));
	run(&f);
	EXPECT_EQ(f.vector, 13);	/* ... int 6: #GP with an error code */
	EXPECT(is_gate_error(f.error, 6));
}

TEST("D13 a record at the end of a page, the next absent: one byte")
{
	struct guest *g = make_guest(record_at_page_end);

	CHECK_EQ(go(g), LGUEST_EXIT_TRAP);
	CHECK_EQ(g->exit.insn_len, 1);
	CHECK_EQ(g->exit.insn[0], 0xf4);
	for (int i = 1; i < 15; i++)
		CHECK_EQ(g->exit.insn[i], 0);
	CHECK_EQ(request(g, LHREQ_SETREG, REG(rip), KERNEL_VA + IMAGE_GPA +
			 (x_ud - __executable_start)), 24);
	passes(g);
}

#define DEVICE (KERNEL_VA + GUEST_SIZE)

SNIPPET(mmio_write, "mov $0xffffffff80801234, %rdi; mov $0x55, %eax\n"
	".globl mmio_write_at\nmmio_write_at: mov %eax, (%rdi)\n");
SNIPPET(mmio_read, "mov $0xffffffff80800008, %rdi\n"
	".globl mmio_read_at\nmmio_read_at: movzwl (%rdi), %ecx\n");
SNIPPET(mmio_fetch, "mov $0xffffffff80800010, %rdi; jmp *%rdi\n");
extern char mmio_write_at[], mmio_read_at[];

static void uses_device(void)
{
	struct frame f = state(mmio_write, false);

	run(&f);
	EXPECT_EQ(f.vector, 6);
	f = state(mmio_read, false);
	run(&f);
	EXPECT_EQ(f.vector, 6);
	EXPECT_EQ(f.rcx, 0xabcd);
	f = state(mmio_fetch, false);
	run(&f);
	EXPECT_EQ(f.vector, 6);
}

void skip_to(struct guest *g, char *to)
{
	CHECK_EQ(request(g, LHREQ_SETREG, REG(rip), KERNEL_VA + IMAGE_GPA +
			 (to - __executable_start)), 24);
}

TEST("D13 K13 device memory: write, read and fetch give records")
{
	struct guest *g = make_guest(uses_device);

	CHECK_EQ(go(g), LGUEST_EXIT_MMIO);
	CHECK_EQ(g->exit.value, GUEST_SIZE + 0x1234);
	CHECK_EQ(g->exit.access, LGUEST_ACCESS_WRITE);
	CHECK(!memcmp(g->exit.insn, mmio_write_at, 2));
	skip_to(g, mmio_write_end);
	CHECK_EQ(go(g), LGUEST_EXIT_MMIO);
	CHECK_EQ(g->exit.value, GUEST_SIZE + 8);
	CHECK_EQ(g->exit.access, 0);
	CHECK_EQ(request(g, LHREQ_SETREG, REG(rcx), 0xabcd), 24);
	skip_to(g, mmio_read_end);
	CHECK_EQ(go(g), LGUEST_EXIT_MMIO);
	CHECK_EQ(g->exit.value, GUEST_SIZE + 0x10);
	CHECK_EQ(g->exit.access, LGUEST_ACCESS_FETCH);
	skip_to(g, mmio_fetch_end);
	passes(g);
}

static void mmio_across(void)
{
	u64 a = guest_page(), b = guest_page(), va = 0xffffc00000000000;
	static const u8 insn[] = { 0x89, 0x07, 0x0f, 0x0b };	/* mov; ud2 */
	struct frame f;

	map(MAIN_CR3, va, a, P_ | W_);
	map(MAIN_CR3, va + PAGE, b, P_ | W_);
	((u8 *)AT(a))[PAGE - 1] = insn[0];
	for (u64 i = 1; i < 4; i++)
		((u8 *)AT(b))[i - 1] = insn[i];
	f = kernel_at((void *)(va + PAGE - 1));
	f.rdi = DEVICE;
	run(&f);
	EXPECT_EQ(f.vector, 6);
}

TEST("D13 AT-15 a device access whose instruction crosses a page")
{
	struct guest *g = make_guest(mmio_across);

	CHECK_EQ(go(g), LGUEST_EXIT_MMIO);
	CHECK_EQ(g->exit.insn_len, 15);
	CHECK(!memcmp(g->exit.insn, "\x89\x07\x0f\x0b\0\0\0", 7));
	CHECK_EQ(request(g, LHREQ_SETREG, REG(rip), 0xffffc00000000000 + PAGE + 1), 24);
	passes(g);
}

/* ---- Software interrupts and system calls ---- */

static bool as_user;

/* 256 times "int n; ud2; nop...", 8 bytes each. */
asm(".pushsection .text\n.balign 16\nints:\n"
    ".set n, 0\n.rept 256\n.byte 0xcd, n, 0x0f, 0x0b, 0x90, 0x90, 0x90, 0x90\n"
    ".set n, n + 1\n.endr\n.popsection");
extern char ints[];

static void all_ints(void)
{
	for (u64 n = 0; n < 256; n++) {
		char *code = ints + 8 * n;
		struct frame f = state(code, as_user);
		bool open = n == 3 || n == 4 || n == 0x80;

		run(&f);
		if (open) {
			EXPECT_EQ(f.vector, n);
			EXPECT_EQ(f.error, 0);
			code += 2;
		} else {
			EXPECT_EQ(f.vector, 13);
			EXPECT(is_gate_error(f.error, n));
		}
		EXPECT_EQ(f.rip, as_user ? TO_USER(code) : (u64)code);
	}
}

TEST("AT-11 I1 all 256 int n from guest kernel")
{
	guest_passes(all_ints);
}

TEST("AT-11 I1 all 256 int n from guest user")
{
	as_user = true;
	guest_passes(all_ints);
}

SNIPPET(does_syscall, "syscall\n.globl does_syscall_at\ndoes_syscall_at:\n");
extern char does_syscall_at[];

static void user_syscalls(void)
{
	for (u64 n = 0; n < 300; n++) {
		struct frame f = state(does_syscall, true);
		u64 entries = SHARED->scratch[2];

		f.rax = n;
		f.rdi = 0xd1;
		f.rdx = 0xdddddddd00000000;
		f.r10 = 10;
		f.rflags |= 0x8d5 | (n & 1 ? DF : 0);
		run(&f);
		EXPECT_EQ(f.vector, LGUEST_VECTOR_SYSCALL);
		EXPECT_EQ(f.rip, TO_USER(does_syscall_at));
		EXPECT_EQ(f.rsp, USER_VA + USER_STACK - 8);
		EXPECT_EQ(f.rflags, 0x2 | IF | 0x8d5 | (n & 1 ? DF : 0));
		EXPECT_EQ(f.cs, USER_CS);
		EXPECT_EQ(f.ss, USER_SS);
		EXPECT_EQ(f.rax, n);
		EXPECT_EQ(f.rdi, 0xd1);
		EXPECT_EQ(f.rdx, 0xdddddddd00000000);
		EXPECT_EQ(f.r10, 10);
		EXPECT_EQ(SHARED->scratch[2], entries + 1);
		EXPECT_EQ(SHARED->irq_enabled, 0);
	}
}

TEST("I1 AT-50 syscall in guest user, every hypercall number: a system call")
{
	struct guest *g = make_guest(user_syscalls);

	passes(g);
	CHECK_EQ(stat_of(g, "hypercall_NOTIFY"), 0);
	CHECK_EQ(stat_of(g, "hypercall_HALT"), 0);
	CHECK_EQ(stat_of(g, "hypercall_INIT"), 1);
}

SNIPPET(does_sysenter, "sysenter\n");
SNIPPET(does_compat, ".code32\n sysenter\n.code64\n");
SNIPPET(does_compat_int, ".code32\n int $0x80\n.code64\n");
SNIPPET(does_compat_syscall, ".code32\n syscall\n.code64\n");

/* 32-bit code needs addresses below 4 GiB. */
static u64 low_code(char *code, char *end)
{
	u64 page = guest_page();

	for (char *c = code; c < end; c++)
		((char *)AT(page))[c - code] = *c;
	map(MAIN_CR3, 0x10000, page, P_ | W_ | U_);
	map(MAIN_CR3, 0x20000, guest_page(), P_ | W_ | U_);
	HCALL(FLUSH_TLB, LGUEST_FLUSH_ALL, 0);
	return 0x10000;
}

static void sysenter_64(void)
{
	struct frame f = state(does_sysenter, true);

	run(&f);
	EXPECT(f.vector == 13 || f.vector == 6);	/* #UD: AMD */
}

TEST("C11 AT-05 sysenter from 64-bit guest user")
{
	guest_passes(sysenter_64);
}

static u64 from_compat(char *code, char *end)
{
	struct frame f = user_at(NULL);

	f.rip = low_code(code, end + 2);
	f.cs = USER32_CS;
	f.rsp = 0x20800;
	run(&f);
	EXPECT_EQ(f.cs, USER32_CS);
	return f.vector;
}

static void sysenter_32(void)
{
	u64 vector = from_compat(does_compat, does_compat_end);

	EXPECT(vector == 13 || vector == 6);
}

static void int80_32(void)
{
	EXPECT_EQ(from_compat(does_compat_int, does_compat_int_end), 0x80);
}

static void syscall_32(void)
{
	EXPECT_EQ(from_compat(does_compat_syscall, does_compat_syscall_end), 6);
}

TEST("C11 AT-05 sysenter from 32-bit guest user")
{
	guest_passes(sysenter_32);
}

TEST("L11 AT-05 int 0x80 from 32-bit guest user")
{
	guest_passes(int80_32);
}

TEST("C11 AT-05 syscall from 32-bit guest user is #UD")
{
	guest_passes(syscall_32);
}

/* ---- The tables of the host's CPU ---- */

SNIPPET(s_sgdt, "sgdt (%rsp)\n");
SNIPPET(s_sidt, "sidt (%rsp)\n");
SNIPPET(s_str, "str %ax\n");
SNIPPET(s_sldt, "sldt %ax\n");
SNIPPET(s_smsw, "smsw %ax\n");

static void reads_tables(void)
{
	struct frame f;

#define READ_TABLE(code) \
	f = state(code, true); \
	run(&f); \
	EXPECT_EQ(f.vector, 13)
	READ_TABLE(s_sgdt);
	READ_TABLE(s_sidt);
	READ_TABLE(s_str);
	READ_TABLE(s_sldt);
	READ_TABLE(s_smsw);
}
static bool have_umip(void)
{
	u32 a = 7, b, c = 0, d;

	asm("cpuid" : "+a" (a), "=b" (b), "+c" (c), "=d" (d));
	return c & 4;
}

TEST("AT-16 AT-22 no addresses of host tables (UMIP)")
{
	if (!have_umip())
		skip("this CPU has no UMIP: sgdt and sidt cannot be forbidden");
	guest_passes(reads_tables);
}

SNIPPET(probes, "mov %rdi, %rax; xor %ecx, %ecx; xor %edx, %edx\n"
	"lar %ax, %ecx; lsl %ax, %edx; verr %ax; verw %ax\n");

static void probes_selectors(void)
{
	for (u64 sel = 0; sel < 0x400; sel++) {
		struct frame f = state(probes, true);

		f.rdi = sel;
		run(&f);
		EXPECT_EQ(f.vector, 6);
	}
}

TEST("AT-22 lar, lsl, verr, verw of every selector")
{
	guest_passes(probes_selectors);
}
