// SPDX-License-Identifier: GPL-2.0
/*
 * Traps: every exception from guest kernel and from guest user arrives with
 * what the CPU would have pushed; what ring 3 may not do goes to the launcher
 * or to the guest; odd return frames hurt the guest only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <signal.h>
#include "micro.h"

#define REG(r) offsetof(struct user_regs_struct, r)
#define NOWHERE 0x20000000000		/* not mapped in any guest table */
#define NONCANONICAL 0x800000000000

/* ---- Each exception ---- */

SNIPPET(x_de, "xor %edx, %edx; mov $1, %eax; xor %ecx, %ecx\n"
	".globl x_de_at\nx_de_at: div %ecx\n");
SNIPPET(x_bp, "int3\n.globl x_bp_at\nx_bp_at:\n");
SNIPPET(x_ud, ".globl x_ud_at\nx_ud_at: ud2\n");
SNIPPET(x_gp, "mov $0x40, %eax\n.globl x_gp_at\nx_gp_at: mov %eax, %ds\n");
/* QEMU's TCG calls it #GP, so not among the others. */
SNIPPET(x_ss, "mov $0x800000000000, %rax; mov %rax, %rbp\n"
	".globl x_ss_at\nx_ss_at: mov (%rbp), %rax\n");
SNIPPET(x_int80, "mov $5, %eax; int $0x80\n.globl x_int80_at\nx_int80_at:\n");
SNIPPET(x_mf, "fninit; pushq $0x340; fldcw (%rsp); fldz; fld1; fdivp\n"
	".globl x_mf_at\nx_mf_at: fwait\n");
SNIPPET(x_xm, "pushq $0x1d80; ldmxcsr (%rsp); xorps %xmm0, %xmm0\n"
	"mov $1, %eax; cvtsi2ss %eax, %xmm1\n"
	".globl x_xm_at\nx_xm_at: divss %xmm0, %xmm1\n");
SNIPPET(x_ac, "pushf; orq $0x40000, (%rsp); popf\n"
	".globl x_ac_at\nx_ac_at: movl -7(%rsp), %eax\n");
SNIPPET(x_db, "nop\n.globl x_db_at\nx_db_at: nop\n");	/* with TF set */
SNIPPET(x_icebp, ".byte 0xf1\n");
SNIPPET(x_pf, "mov $0x20000000123, %rdi\n.globl x_pf_at\nx_pf_at: movl $1, (%rdi)\n");
extern char x_de_at[], x_bp_at[], x_ud_at[], x_gp_at[], x_int80_at[], x_mf_at[],
	x_xm_at[], x_ac_at[], x_db_at[], x_pf_at[], x_ss_at[];

static void check_frame(struct frame *f, struct frame *before, u64 vector,
			u64 error, u64 rip, bool user)
{
	EXPECT_EQ(f->vector, vector);
	EXPECT_EQ(f->error, error);
	EXPECT_EQ(f->rip, rip);
	EXPECT_EQ(f->cs & 3, user ? 3 : 0);
	EXPECT_EQ(f->cs, user ? USER_CS : KERNEL_CS);
	EXPECT_EQ(f->ss, user ? USER_SS : KERNEL_SS);
	EXPECT_EQ(f->r15, before->r15);
	EXPECT_EQ(f->rbx, before->rbx);
	EXPECT_EQ(f->r11, before->r11);
	EXPECT_EQ(f->rsi, before->rsi);
	EXPECT_EQ(f->rflags & 0x200, before->rflags & 0x200);
	EXPECT_EQ(f->rflags & 0x3000, 0);	/* IOPL */
	EXPECT_EQ(SHARED->busy, 0);
	EXPECT_EQ(SHARED->irq_enabled, 0);
}

static struct frame state(char *code, bool user)
{
	struct frame f = user ? user_at((void (*)(void))code) :
				kernel_at((void (*)(void))code);

	f.r15 = 0x15151515;
	f.rbx = 0xbbbbbbbb;
	f.r11 = 0x1111111111;
	f.rsi = 0x5151;
	f.rflags |= IF;		/* to see that the virtual one arrives */
	return f;
}

static void one(char *code, char *at, u64 vector, u64 error, bool user, u64 flags)
{
	struct frame f = state(code, user), before = f;
	u64 rip = user ? TO_USER(at) : (u64)at;

	f.rflags |= flags;
	run(&f);
	check_frame(&f, &before, vector, error, rip, user);
}

static bool as_user;

static void exceptions(void)
{
	bool u = as_user;
	one(x_de, x_de_at, 0, 0, u, 0);
	one(x_db, x_db_at, 1, 0, u, TF);
	one(x_bp, x_bp_at, 3, 0, u, 0);
	one(x_ud, x_ud_at, 6, 0, u, 0);
	one(x_gp, x_gp_at, 13, 0x40, u, 0);
	one(x_int80, x_int80_at, 0x80, 0, u, 0);
	one(x_mf, x_mf_at, 16, 0, u, 0);
	one(x_pf, x_pf_at, 14, PF_WRITE | (u ? PF_USER : 0), u, 0);
	EXPECT_EQ(SHARED->cr2, NOWHERE + 0x123);
}

TEST("D9 E7 #DE #DB #BP #UD #GP #MF #PF int 0x80 from guest kernel")
{
	guest_passes(exceptions);
}

TEST("D9 E7 #DE #DB #BP #UD #GP #MF #PF int 0x80 from guest user")
{
	as_user = true;
	guest_passes(exceptions);
}

static void alignment(void)
{
	one(x_ac, x_ac_at, 17, 0, true, 0);
}

static void stack_fault(void)
{
	struct frame f = state(x_ss, true);

	run(&f);
	EXPECT(f.vector == 12 || f.vector == 13);
	EXPECT_EQ(f.error, 0);
}

TEST("D9 AT-14 #SS (or #GP) from guest user")
{
	guest_passes(stack_fault);
}

static void simd(void)
{
	one(x_xm, x_xm_at, 19, 0, false, 0);
	one(x_xm, x_xm_at, 19, 0, true, 0);
}

static bool have_simd_exceptions(void)
{
	int status;

	if (fork() == 0) {
		((void (*)(void))x_xm)();
		_exit(0);
	}
	wait(&status);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGFPE;
}

TEST("D9 #XM from guest kernel and user")
{
	if (!have_simd_exceptions())
		skip("this CPU has no SIMD exceptions (QEMU's TCG)");
	guest_passes(simd);
}

/* Does the host's CPU say #AC to a program of its own?  Emulators do not. */
static bool have_alignment_check(void)
{
	int status;

	if (fork() == 0) {
		asm volatile("pushf; orq $0x40000, (%%rsp); popf\n"
			     "movl -7(%%rsp), %%eax\n"
			     "pushf; andq $~0x40000, (%%rsp); popf"
			     : : : "rax", "memory", "cc");
		_exit(0);
	}
	wait(&status);
	return WIFSIGNALED(status);
}

TEST("D9 #AC from guest user")
{
	if (!have_alignment_check())
		skip("this CPU has no alignment check (QEMU's TCG)");
	guest_passes(alignment);
}

static void single_step_flag(void)
{
	struct frame f = state(x_db, true);

	f.rflags |= TF;
	run(&f);
	EXPECT_EQ(f.vector, 1);
	EXPECT(SHARED->dr6 & 0x4000);		/* BS */
	EXPECT(f.rflags & TF);
}

TEST("D9 #DB: dr6 in the shared page says single step")
{
	guest_passes(single_step_flag);
}

/* ---- Before INIT ---- */

#define NO_INIT(name, code, text) \
	SNIPPET(name, code); \
	static void name##_dies(void) \
	{ \
		struct guest *g = raw_guest(GUEST_SIZE); \
		load_image(g, NULL); \
		CHECK_EQ(initialize(g, IMAGE_GPA + (name - __executable_start)), 0); \
		dies(g, text); \
		end_guest(g); \
	}
NO_INIT(n_de, "xor %ecx, %ecx; div %ecx\n", "unhandled trap 0 at 0x")
NO_INIT(n_bp, "int3\n", "unhandled trap 3 at 0x")
NO_INIT(n_ud, "ud2\n", "unhandled trap 6 at 0x")
NO_INIT(n_gp, "mov $0x40, %eax; mov %eax, %ds\n", "(0x40)")
NO_INIT(n_pf, "mov $0x20000000123, %rax; mov (%rax), %rax\n", "unhandled trap 14 at 0x")
NO_INIT(n_far, "mov $0xffffffff80000000, %rax; mov (%rax), %rax\n", "(0xffffffff80000000)")
NO_INIT(n_high, "mov $0x40000000, %rax; mov (%rax), %rax\n", "nothing at 0x40000000")
NO_INIT(n_80, "int $0x80\n", "unhandled trap 128 at 0x")
NO_INIT(n_33, "int $0x21\n", "unhandled trap 13 at 0x")

TEST("A9 D10 a trap before INIT ends the guest: number, rip, value")
{
	n_de_dies();
	n_bp_dies();
	n_ud_dies();
	n_gp_dies();
	n_pf_dies();
	n_far_dies();
	n_high_dies();
	n_80_dies();
	n_33_dies();
}

SNIPPET(linear, "lea linear_end(%rip), %rax; and $-4096, %rax\n"
	"mov $0x300000, %ecx; mov $0x5a, %edi\n"
	"1: mov %rdi, (%rcx); cmp %rdi, (%rcx); jne 2f\n"
	"add $4096, %rcx; cmp $0x800000, %ecx; jb 1b\n"
	"hlt\n2: ud2\n");

TEST("F1 all RAM can be read and written before any CR3 load")
{
	struct guest *g = raw_guest(GUEST_SIZE);

	load_image(g, NULL);
	CHECK_EQ(initialize(g, IMAGE_GPA + (linear - __executable_start)), 0);
	CHECK_EQ(go(g), LGUEST_EXIT_TRAP);
	CHECK_EQ(g->exit.insn[0], 0xf4);
	for (u64 gpa = 0x300000; gpa < GUEST_SIZE; gpa += PAGE)
		CHECK_EQ(g->mem[gpa], 0x5a);
}

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
	X(p_wbinvd, "wbinvd\n", 0x0f) \
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

static void skip_to(struct guest *g, char *to)
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

/* ---- Page fault error codes ---- */

SNIPPET(reads, ".globl reads_at\nreads_at: mov (%rdi), %al\n");
SNIPPET(writes, ".globl writes_at\nwrites_at: mov %al, (%rdi)\n");
SNIPPET(fetches, "jmp *%rdi\n");

#define NO_FAULT 1000

/* Access @va in a mode: the error code, or NO_FAULT. */
static u64 fault_of(char *code, u64 va, bool user)
{
	struct frame f = state(code, user);
	u64 asked = 0;

	f.rdi = va;
	SHARED->cr2 = 0;
	run(&f);
	while (f.vector == 14 && SHARED->direct_faults &&
	       SHARED->cr2 != asked) {
		/* The hardware's word, maybe of the code's own page. */
		EXPECT_EQ(f.error & PF_USER, user ? PF_USER : 0);
		asked = SHARED->cr2;
		SHARED->fill_address = asked;
		SHARED->fill_error = f.error | LGUEST_FILL_STRICT;
		run(&f);
	}
	if (f.vector == 6)
		return NO_FAULT;
	EXPECT_EQ(f.vector, 14);
	EXPECT_EQ(SHARED->cr2, va);
	return f.error;
}

static void error_codes(void)
{
	u64 page = guest_page(), va;
	static const struct {
		u64 bits;
		u64 kr, kw, kx, ur, uw, ux;	/* kernel, user: read, write, fetch */
	} cases[] = {
		/* absent */
		{ 0, 0, 2, 16, 4, 6, 20 },
		{ W_ | U_ | NX_, 0, 2, 16, 4, 6, 20 },
		/* supervisor, in the lower half */
		{ P_ | W_, NO_FAULT, NO_FAULT, NO_FAULT, 5, 7, 21 },
		{ P_, NO_FAULT, 3, NO_FAULT, 5, 7, 21 },
		{ P_ | W_ | NX_, NO_FAULT, NO_FAULT, 17, 5, 7, 21 },
		/* user */
		{ P_ | W_ | U_, NO_FAULT, NO_FAULT, 17, NO_FAULT, NO_FAULT, NO_FAULT },
		{ P_ | U_, NO_FAULT, 3, 17, NO_FAULT, 7, NO_FAULT },
		{ P_ | U_ | NX_, NO_FAULT, 3, 17, NO_FAULT, 7, 21 },
		{ P_ | W_ | U_ | NX_, NO_FAULT, NO_FAULT, 17, NO_FAULT, NO_FAULT, 21 },
		/* reserved bit 51: no CPU here has that many */
		{ P_ | W_ | U_ | 1UL << 51, 9, 11, 25, 13, 15, 29 },
	};

	((u8 *)AT(page))[0] = 0x0f;	/* ud2: the fetch worked */
	((u8 *)AT(page))[1] = 0x0b;
	for (u64 i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		/* A fresh address each time: nothing cached. */
#define ACCESS(n, code, user, want) \
		va = 0x30000000000 + (i << 21) + n * PAGE; \
		map(MAIN_CR3, va, page, cases[i].bits); \
		EXPECT_EQ(fault_of(code, va, user) | i << 32, cases[i].want | i << 32); \
		((u8 *)AT(page))[0] = 0x0f;
		ACCESS(0, reads, false, kr);
		ACCESS(1, writes, false, kw);
		ACCESS(2, fetches, false, kx);
		ACCESS(3, reads, true, ur);
		ACCESS(4, writes, true, uw);
		ACCESS(5, fetches, true, ux);
	}
}

TEST("D6 F2 #PF error code and cr2: absent, write, user, fetch, reserved")
{
	guest_passes(error_codes);
}

static void direct_error_codes(void)
{
	SHARED->direct_faults = 1;
	error_codes();
}

TEST("D6 F2 the same with direct faults, resolved by IRET with a strict fill")
{
	guest_passes(direct_error_codes);
}

static void fill_hints(void)
{
	static const u64 odd[] = { 0, ~0ULL, NONCANONICAL, 0xffff800000003000,
		0xfffffe0000000000, KERNEL_VA, KERNEL_VA + GUEST_SIZE, NOWHERE };

	/* Hints for anything do no harm; strict ones fault like an access. */
	for (u64 i = 0; i < 8; i++)
		for (u64 bits = 1; bits < 64; bits += 3) {
			struct frame f = state(x_ud, true);

			SHARED->fill_address = odd[i];
			SHARED->fill_error = bits | (i & 1 ? ~0x7fffffffULL : 0);
			run(&f);
			EXPECT_EQ(f.vector, 6);
			f = state(x_ud, true);
			SHARED->fill_address = odd[i];
			SHARED->fill_error = bits | LGUEST_FILL_STRICT;
			run(&f);
			EXPECT(f.vector == 14 || f.vector == 13);
			EXPECT_EQ(f.rip, TO_USER(x_ud));
			SHARED->fill_error = 0;
		}
}

TEST("AT-28 AT-39 fill hints for every odd address")
{
	guest_passes(fill_hints);
}

static void faults_of_others(void)
{
	/* Non-canonical data: #GP without a record from user; slots of the host. */
	struct frame f = state(reads, true);

	f.rdi = NONCANONICAL;
	run(&f);
	EXPECT_EQ(f.vector, 13);
	f = state(reads, true);
	f.rdi = 0xffff7fffffffffff;
	run(&f);
	EXPECT_EQ(f.vector, 13);
}

TEST("AT-14 a non-canonical data address in guest user is #GP, 5 levels or not")
{
	guest_passes(faults_of_others);
}

/* ---- Double and triple faults ---- */

static void breaks_event_stack(void)
{
	struct frame f = state(x_ud, true);

	SHARED->sp0 = NOWHERE;
	run(&f);
}

TEST("AT-09 AT-10 no stack for an event: double, then triple fault")
{
	guest_dies(breaks_event_stack, "triple fault: trap 14");
}

static u64 odd_stack;

static void odd_event_stack(void)
{
	struct frame f = state(x_ud, true);

	SHARED->sp0 = odd_stack;
	run(&f);
}

TEST("AT-09 event stacks everywhere they should not be: the guest's end")
{
	static const u64 odd[] = { 0, 1, NONCANONICAL, 0xffff800000000000,
		0xffff800000004000, 0xfffffe0000001000, ~0ULL, 0x7ffffffff000,
		KERNEL_VA, KERNEL_VA + GUEST_SIZE + DEVICE_SIZE };

	for (size_t i = 0; i < sizeof(odd) / 8; i++) {
		struct guest *g;

		odd_stack = odd[i];
		g = make_guest(odd_event_stack);
		if (odd_stack == KERNEL_VA + GUEST_SIZE + DEVICE_SIZE)
			CHECK_EQ(go(g), LGUEST_EXIT_MMIO);	/* a device */
		else {
			/* Not canonical: #SS, which QEMU's TCG calls #GP. */
			CHECK_EQ(go_reflecting(g), 0);
			CHECK(strstr(g->reason, "triple fault"));
		}
		end_guest(g);
	}
}

static void stays_busy(void)
{
	struct frame f = state(x_ud, false);

	SHARED->busy = 1;
	run(&f);
	EXPECT_EQ(f.vector, 8);
	EXPECT_EQ(f.error, 0);
	EXPECT_EQ(f.rip, (u64)x_ud);
	/* The entry cleared busy: all is well again. */
	f = state(x_ud, false);
	run(&f);
	EXPECT_EQ(f.vector, 6);
}

TEST("AT-10 an exception while the record is in use is a double fault")
{
	guest_passes(stays_busy);
}

static void busy_syscall(void)
{
	struct frame f = state(does_syscall, true);

	SHARED->busy = 1;
	run(&f);
	EXPECT_EQ(f.vector, 8);
}

TEST("AT-10 AT-03 a system call while the record is in use: the guest's end")
{
	struct guest *g = make_guest(busy_syscall);

	CHECK_EQ(go(g), 0);
	CHECK(strstr(g->reason, "record is in use"));
}

/* ---- Return frames ---- */

static u64 random_state = 88172645463325252ULL;

static u64 random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void odd_selectors(void)
{
	/* Every selector as cs with ss right, and the other way round. */
	for (u64 sel = 0; sel < 0x10000; sel += sel < 0x400 ? 1 : 0x3f) {
		struct frame f = state(x_ud, true);

		f.cs = sel;
		run(&f);
		if (sel == USER_CS) {
			EXPECT_EQ(f.vector, 6);
		} else if (sel == USER32_CS) {
			EXPECT(f.vector == 14 || f.vector == 6);
		} else if ((sel & 3) == 3) {
			EXPECT_EQ(f.vector, 13);
			EXPECT_EQ(f.error, sel & 0xfffc);
		} else {		/* means guest kernel; fetch is SMEP's */
			EXPECT_EQ(f.vector, 14);
			EXPECT_EQ(f.cs & 3, 0);
		}
		f = state(x_ud, true);
		f.ss = sel;
		run(&f);
		EXPECT_EQ(f.vector, sel == USER_SS ? 6 : 13);
	}
}

TEST_S(30, "AT-07 G4 IRET with every kind of cs and ss")
{
	guest_passes(odd_selectors);
}

static void odd_flags(void)
{
	for (int i = 0; i < 500; i++) {
		struct frame f = state(x_ud, i & 1);
		u64 flags = i < 128 ? 1ULL << (i / 2) : random_u64();

		f.rflags = flags;
		run(&f);
		if (flags & TF)
			continue;
		EXPECT_EQ(f.vector, 6);
		EXPECT_EQ(f.rflags & 0x3000, 0);		/* IOPL */
		EXPECT_EQ(f.rflags & (NT | 0x1a0000), 0);	/* VM VIF VIP */
		EXPECT_EQ(f.rflags & IF, flags & IF);		/* the virtual one */
		EXPECT_EQ(f.rflags & 0x8d5, flags & 0x8d5);
		EXPECT_EQ(f.rflags & DF, flags & DF);
		EXPECT_EQ(f.rflags >> 22, 0);
		if (!(i & 1))
			EXPECT_EQ(f.rflags & AC, 0);
	}
}

TEST("AT-08 IRET with all kinds of flags: IOPL, NT, VM never, IF is virtual")
{
	guest_passes(odd_flags);
}

static void odd_addresses(void)
{
	static const u64 odd[] = { 0, 1, 0x7ffffffff000, 0x7fffffffffff,
		NONCANONICAL, 0xdead000000000000, 0xffff7fffffffffff,
		0xffff800000000000, 0xffff800000001000, 0xffff800000003000,
		0xfffffe0000000000, 0xfffffe0000003000, ~0ULL, 1ULL << 63,
		0xff00000000000000, 0xff11000000000000, 0xffffffff81000000,
		KERNEL_VA + GUEST_SIZE + DEVICE_SIZE, KERNEL_VA };

	for (u64 i = 0; i < 4 * sizeof(odd) / 8; i++) {
		struct frame f = state(x_ud, i & 1);
		u64 a = odd[i / 4];
		bool canonical = (u64)((int64_t)(a << 16) >> 16) == a;

		if (!(i & 2)) {			/* as rip */
			if (!(i & 1) && a == KERNEL_VA)
				continue;	/* is executable: zeros */
			f.rip = a;
			run(&f);
			EXPECT_EQ(f.vector, canonical ? 14 : 13);
			EXPECT_EQ(f.rip, a);
			if (canonical)
				EXPECT_EQ(SHARED->cr2, a);
		} else {			/* as rsp, not used */
			f.rsp = a;
			run(&f);
			EXPECT_EQ(f.vector, 6);
			EXPECT_EQ(f.rsp, a);
		}
		EXPECT_EQ(f.cs & 3, i & 1 ? 3 : 0);
	}
}

TEST("AT-01 AT-07 IRET to rip and rsp at every boundary, in both modes")
{
	guest_passes(odd_addresses);
}

static void syscall_at_the_end(void)
{
	u64 page = guest_page();
	struct frame f = user_at(NULL);

	/* The last instruction below the hole. */
	((u8 *)AT(page))[PAGE - 2] = 0x0f;
	((u8 *)AT(page))[PAGE - 1] = 0x05;
	map(MAIN_CR3, 0x7ffffffff000, page, P_ | W_ | U_);
	f.rip = 0x7ffffffffffe;
	run(&f);
	EXPECT_EQ(f.vector, LGUEST_VECTOR_SYSCALL);
	EXPECT_EQ(f.rip, NONCANONICAL);
	run(&f);		/* and return there */
	EXPECT_EQ(f.vector, 13);
	EXPECT_EQ(f.rip, NONCANONICAL);
	EXPECT_EQ(f.cs, USER_CS);
}

TEST("AT-01 syscall as the last instruction below the hole, and back")
{
	guest_passes(syscall_at_the_end);
}

static void random_frames(void)
{
	for (int i = 0; i < 3000; i++) {
		struct frame f = state(x_ud, i & 1);
		u64 what = random_u64();

		if (what & 1)
			f.rip = random_u64() >> (what >> 8 & 63);
		if (what & 2)
			f.rsp = random_u64() >> (what >> 16 & 63);
		if (what & 4)
			f.rflags = random_u64();
		if ((what & 24) == 24)
			f.cs = random_u64() >> (what >> 24 & 63);
		if ((what & 96) == 96)
			f.ss = random_u64() >> (what >> 32 & 63);
		SHARED->user_gs_base = what & 128 ? random_u64() : 0;
		/* Never run into mapped zeros or our own code. */
		if (what & 1 && f.rip < 1ULL << 40)
			f.rip |= 1ULL << 46;
		if ((f.rip >> 39) == 0x1ffffff)
			f.rip = NONCANONICAL;
		run(&f);
		EXPECT(f.vector < 0x81 || f.vector == 256);
	}
}

TEST("AT-07 thousands of random return frames")
{
	struct guest *g = make_guest(random_frames);
	int kind;

	while ((kind = go(g)) > 0)
		skip_to(g, x_ud);
	if (!strstr(g->reason, "POWEROFF: ok"))
		fail("%s", g->reason);
}

/* ---- Registers ---- */

static void round_trips(void)
{
	/* Exits of many kinds, from both modes; all registers must survive. */
	for (int i = 0; i < 2500; i++) {
		char *code = x_ud;
		struct frame f, before;
		bool user = i & 1;

		switch (i >> 1 & 3) {
		case 1: code = user ? does_syscall : x_ud; break;
		case 2: code = x_bp; break;
		case 3: code = ints + 8 * 0x80; break;
		}
		f = state(code, user);
		for (int r = 0; r < 15; r++)
			((volatile u64 *)&f)[r] = random_u64();
		f.rsp = random_u64();
		before = f;
		run(&f);
		for (int r = 0; r < 15; r++) {
			if (code == does_syscall && (r == 6 || r == 11))
				continue;	/* r11, rcx */
			EXPECT_EQ(((u64 *)&f)[r], ((u64 *)&before)[r]);
		}
		EXPECT_EQ(f.rsp, before.rsp);
	}
}

TEST_S(30, "A7 A15 random patterns in all registers over thousands of exits")
{
	guest_passes(round_trips);
}

static u64 seen_flags;

static void entry_flags(void)
{
	/* popf with everything, then each gate; the C handler looks. */
	static const u64 flags[] = { AC, DF, TF, NT, AC | DF | NT, 0x8d5 };

	for (u64 i = 0; i < 6; i++) {
		struct frame f = state(does_syscall, true);

		f.rflags |= flags[i];
		run(&f);
		asm volatile("pushf; pop %0" : "=r" (seen_flags));
		EXPECT_EQ(seen_flags & (AC | DF | TF | NT), 0);
		f = state(x_bp, true);
		f.rflags |= flags[i];
		run(&f);
		asm volatile("pushf; pop %0" : "=r" (seen_flags));
		EXPECT_EQ(seen_flags & (AC | DF | TF | NT), 0);
	}
}

TEST("AT-03 AC, DF, TF, NT are clear when an event arrives")
{
	guest_passes(entry_flags);
}

SNIPPET(sets_nt, "pushf; orq $0x4000, (%rsp); popf\n syscall\n");

static void nt_from_user(void)
{
	for (int i = 0; i < 20; i++) {
		struct frame f = state(sets_nt, true);

		run(&f);
		EXPECT_EQ(f.vector, 256);
		EXPECT_EQ(f.rflags & NT, NT);
		run(&f);
		EXPECT_EQ(f.vector, 6);
	}
}

TEST("AT-04 NT set by guest user does no harm")
{
	guest_passes(nt_from_user);
}

SNIPPET(steps_syscall, "pushf; orq $0x100, (%rsp); popf\n syscall\n nop\n nop\n");

static void steps_over_syscall(void)
{
	for (int user = 0; user < 2; user++) {
		struct frame f = state(steps_syscall, user);
		int n = 0;

		f.rax = LHCALL_GET_TIME;
		do {
			run(&f);
			EXPECT(f.vector == 1 || f.vector == 256 || f.vector == 6);
			EXPECT(n++ < 10);
		} while (f.vector != 6);
		EXPECT(n > 2);
	}
}

TEST("AT-13 single step over syscall, in both modes")
{
	guest_passes(steps_over_syscall);
}

SNIPPET(mov_ss, "mov %ss, %eax; mov %eax, %ss; syscall\n");
SNIPPET(mov_ss_bp, "mov %ss, %eax; mov %eax, %ss; int3\n");
SNIPPET(mov_ss_80, "mov %ss, %eax; mov %eax, %ss; int $0x80\n");
SNIPPET(mov_ss_ud, "mov %ss, %eax; mov %eax, %ss; ud2\n");

static void mov_ss_tricks(void)
{
	for (u64 i = 0; i < 16; i++) {
		/* No array: its pointers would be the host's. */
		struct frame f = state((i & 3) == 0 ? mov_ss :
				       (i & 3) == 1 ? mov_ss_bp :
				       (i & 3) == 2 ? mov_ss_80 : mov_ss_ud, true);
		int n = 0;

		f.rflags |= i & 4 ? TF : 0;
		do {
			run(&f);
			EXPECT(n++ < 12);
		} while (f.vector == 1);
	}
}

TEST("AT-02 mov ss, then syscall, int3, int 0x80, ud2; with single step")
{
	guest_passes(mov_ss_tricks);
}

static void no_return_to_host_flags(void)
{
	/* popf in guest kernel with AC and NT, then exits of each kind. */
	asm volatile("pushf; orq $0x44000, (%%rsp); popf" : : : "cc", "memory");
	for (int i = 0; i < 10; i++)
		HCALL(GET_TIME);
	asm volatile("pushf; andq $~0x44000, (%%rsp); popf" : : : "cc", "memory");
}

TEST("AT-08 AC and NT in the guest kernel's own flags")
{
	guest_passes(no_return_to_host_flags);
}

static void debug_storm(void)
{
	for (int i = 0; i < 2000; i++) {
		struct frame f = state(i & 2 ? x_icebp : x_db, i & 1);

		f.rflags |= i & 2 ? 0 : TF;
		run(&f);
		/* QEMU's TCG ignores icebp. */
		EXPECT(f.vector == 1 || (i & 2 && f.vector == 6));
	}
}

TEST("AT-13 a storm of debug exceptions")
{
	guest_passes(debug_storm);
}

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
