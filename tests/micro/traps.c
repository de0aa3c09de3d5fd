// SPDX-License-Identifier: GPL-2.0
/*
 * Traps: every exception from guest kernel and from guest user arrives with
 * what the CPU would have pushed; those that cannot arrive end the guest.
 * Read next: privileged.c.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"
#include "traps.h"

#define NOWHERE 0x20000000000		/* not mapped in any guest table */

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

struct frame state(char *code, bool user)
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

SNIPPET(does_syscall, "syscall\n");

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
