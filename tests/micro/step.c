// SPDX-License-Identifier: GPL-2.0
/*
 * STEP: one instruction at a time, whatever it is, and nothing of it left
 * behind.  Read next: state.c.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "micro.h"
#include "abi.h"
#include "traps.h"

/* ---- Snippets that know where each of their instructions ends ---- */

#define CODE(name, text) \
	extern const u32 name##_ends[], name##_ends_end[]; \
	asm(".pushsection .rodata." #name ", \"a\"\n.balign 4\n" \
	    #name "_ends:\n.popsection"); \
	SNIPPET(name, text); \
	asm(".pushsection .rodata." #name ", \"a\"\n" \
	    #name "_ends_end:\n.popsection")
#define I(name, insn) \
	insn "\n999:\n.pushsection .rodata." #name ", \"a\"\n" \
	".long 999b - " #name "\n.popsection\n"

static volatile struct lguest_shared *shared_of(struct guest *g)
{
	return (void *)(g->mem + SHARED_GPA);
}

static int step(struct guest *g)
{
	CHECK_EQ(request(g, LHREQ_STEP, 1), 16);
	return go(g);
}

static u64 kernel_rip(const char *at)
{
	return KERNEL_VA + IMAGE_GPA + (at - __executable_start);
}

static u64 user_rip(const char *at)
{
	return USER_VA + IMAGE_GPA + (at - __executable_start);
}

static void step_to(struct guest *g, u64 rip)
{
	for (int i = 0; i < 500 && getreg(g, REG(rip)) != rip; i++)
		CHECK_EQ(step(g), LGUEST_EXIT_STEP);
	CHECK_EQ(getreg(g, REG(rip)), rip);
}

static void step_through(struct guest *g, u64 rip, const u32 *ends, const u32 *end)
{
	for (; ends < end; ends++) {
		CHECK_EQ(step(g), LGUEST_EXIT_STEP);
		CHECK_EQ(getreg(g, REG(rip)), rip + *ends);
		CHECK_EQ(getreg(g, REG(eflags)) & TF, 0);
	}
}
#define STEP_KERNEL(g, name) \
	step_through(g, kernel_rip(name), name##_ends, name##_ends_end)
#define STEP_USER(g, name) \
	step_through(g, user_rip(name), name##_ends, name##_ends_end)

static u64 interrupts;

static void count_interrupt(struct frame *f)
{
	if (f->rflags & TF)
		guest_fail("the trap flag in an interrupt's record", f->rflags, 0);
	interrupts++;
}

static void stands(void)
{
	on_event = count_interrupt;
	SHARED->irq_enabled = IF;
	HCALL(NOTIFY, 1);
	spins();
}

static struct guest *standing(char *at)
{
	struct guest *g = make_guest(stands);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	skip_to(g, at);
	return g;
}

/* ---- Requests ---- */

TEST("L7 STEP: errno, CR3, and taken back it is none")
{
	struct guest *g = make_guest(stands);

	CHECK_EQ(getreg(g, LHREG_CR3), ~0ULL);
	CHECK_ERRNO(request(g, LHREQ_STEP, 2), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_STEP, ~0ULL), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_SETREG, LHREG_CR3, MAIN_CR3), ENOENT);
	CHECK_EQ(request(g, LHREQ_STEP, 1), 16);
	CHECK_EQ(request(g, LHREQ_STEP, 0), 16);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(getreg(g, LHREG_CR3), MAIN_CR3);
	CHECK_EQ(request(g, LHREQ_STEP, 1), 16);
	CHECK_EQ(getreg(g, REG(rax)), LHCALL_NOTIFY);	/* no step */
	CHECK_ERRNO(read(g->fd, BAD, 40), EFAULT);
	CHECK_EQ(go(g), LGUEST_EXIT_STEP);	/* the same one */
	run_a_while(g);
}

/* ---- The kernel's instructions ---- */

CODE(plain,
	I(plain, "nop")
	I(plain, "mov $0x1234, %eax")
	I(plain, "pushf")
	I(plain, "pop %rbp")
	I(plain, "pushfw")
	I(plain, "popw %r12w")
	I(plain, "std")
	I(plain, "pushf")
	I(plain, "popf")
	I(plain, "cld")
	I(plain, "jmp 1f\n1:")
	I(plain, "call 1f\n1:")
	I(plain, "pop %rdx")
	I(plain, "cpuid")
	I(plain, "mov %rsp, %rax")
	I(plain, "pushq $0x2b")
	I(plain, "push %rax")
	I(plain, "pushf")
	I(plain, "pushq $0x33")
	I(plain, "lea 1f(%rip), %rdx")
	I(plain, "push %rdx")
	I(plain, "iretq\n1:")
	I(plain, "xor %edi, %edi")
	I(plain, "mov $0, %eax")		/* FLUSH_ASYNC */
	I(plain, "syscall")
	I(plain, "nop"));

TEST("L7 STEP: each instruction of the kernel is one, and none sees the trap flag")
{
	struct guest *g = standing(plain);

	STEP_KERNEL(g, plain);
	CHECK_EQ(getreg(g, REG(rbp)) & ~0xcd5ULL, 2 | IF);
	CHECK_EQ(getreg(g, REG(r12)) & TF, 0);
	CHECK_EQ(getreg(g, REG(r11)) & TF, 0);	/* by syscall */
}

/* Each word of the stack, at an address that is no multiple of 8, across pages. */
SNIPPET(many_pushf, "lea -1(%rsp), %rsp\n.rept 600\npushf\n.endr\n");

TEST("L7 STEP: pushf across pages")
{
	struct guest *g = standing(many_pushf);
	u8 *at;
	u64 rsp;

	for (int i = 0; i < 601; i++)
		CHECK_EQ(step(g), LGUEST_EXIT_STEP);
	rsp = getreg(g, REG(rsp));
	CHECK_EQ(rsp % 8, 7);
	for (at = g->mem + (rsp - KERNEL_VA); rsp + 600 * 8 > KERNEL_VA + (u64)(at - g->mem); at += 8)
		CHECK_EQ(at[1] & TF >> 8, 0);
}

TEST("L7 STEP: no interrupt while stepping, all of them afterwards")
{
	struct guest *g = standing(plain);

	for (u64 i = 0; i < 64; i++)
		CHECK_EQ(request(g, LHREQ_IRQ, i), 16);
	STEP_KERNEL(g, plain);
	CHECK_EQ(IN_GUEST(g, interrupts), 0);
	skip_to(g, (char *)spins);
	/* A busy machine may not let it take all of them in so short a while. */
	for (int i = 0; i < 100 && IN_GUEST(g, interrupts) < 64; i++)
		run_a_while(g);
	CHECK_EQ(IN_GUEST(g, interrupts), 64);
	CHECK_EQ(getreg(g, REG(eflags)) & TF, 0);
}

CODE(halts,
	I(halts, "mov $10, %eax")
	I(halts, "syscall")
	I(halts, "nop")
	I(halts, "mov $10, %eax")
	I(halts, "syscall"));

TEST("L7 STEP: HALT does not sleep; without a step it does, and wakes")
{
	struct guest *g = standing(halts);

	STEP_KERNEL(g, halts);
	CHECK_EQ(shared_of(g)->irq_enabled, IF);
	set_alarm(20000, 20000);
	CHECK_EQ(go(g), -EINTR);
	CHECK_EQ(getreg(g, REG(rip)), kernel_rip(halts_end));	/* asleep */
	skip_to(g, (char *)spins);
	CHECK_EQ(request(g, LHREQ_IRQ, 3), 16);
	CHECK_EQ(go(g), -EINTR);
	CHECK_EQ(IN_GUEST(g, interrupts), 1);
}

SNIPPET(for_launcher, "rdmsr\nmov $17, %eax\nsyscall\nnop\n");

TEST("L7 STEP: what is for the launcher comes as that, and is the step")
{
	struct guest *g = standing(for_launcher);

	CHECK_EQ(step(g), LGUEST_EXIT_TRAP);
	CHECK_EQ(getreg(g, REG(rip)), kernel_rip(for_launcher));
	CHECK_EQ(request(g, LHREQ_SETREG, REG(rip), kernel_rip(for_launcher) + 2), 24);
	CHECK_EQ(step(g), LGUEST_EXIT_STEP);
	CHECK_EQ(step(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(getreg(g, REG(rip)), kernel_rip(for_launcher) + 9);
	CHECK_EQ(step(g), LGUEST_EXIT_STEP);
	CHECK_EQ(getreg(g, REG(rip)), kernel_rip(for_launcher) + 10);
	CHECK_EQ(request(g, LHREQ_TRAP, 3, 0), 24);
	CHECK_EQ(step(g), LGUEST_EXIT_STEP);
	CHECK_EQ(getreg(g, REG(rip)), kernel_rip(guest_event_entry));
	CHECK_EQ(shared_of(g)->event.rip, kernel_rip(for_launcher) + 10);
}

/* ---- Events ---- */

static bool wants_tf, all_direct;
static char *volatile code;
static u64 untouched;		/* guest-physical, in no shadow table yet */

/* To some code of a user, and back; what comes back is told and checked. */
static void goes_to_user(void)
{
	struct frame f = state(code, true);

	if (wants_tf)
		f.rflags |= TF;
	SHARED->direct_faults = all_direct;
	untouched = guest_page();
	map(MAIN_CR3, 0x500000000, untouched, P_ | W_ | U_);
	f.rbx = 0x500000000;
	HCALL(NOTIFY, 1);
	run(&f);
	HCALL(NOTIFY, f.vector);
	EXPECT_EQ(!!(f.rflags & TF), wants_tf);
	guest_done();
}

/* A pointer of the host's would be none of the guest's. */
static struct guest *about_to_enter(char *at)
{
	struct guest *g;

	code = at;
	g = make_guest(goes_to_user);
	IN_GUEST(g, code) = (char *)kernel_rip(at);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	step_to(g, user_rip(at));
	return g;
}

static void returns_with(struct guest *g, u64 vector)
{
	int kind;

	while ((kind = step(g)) == LGUEST_EXIT_STEP)
		;
	CHECK_EQ(kind, LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, vector);
	while ((kind = step(g)) == LGUEST_EXIT_STEP)
		;
	CHECK_EQ(kind, 0);
	CHECK(strstr(g->reason, "POWEROFF: ok"));
}

CODE(user_code,
	I(user_code, "pushf")
	I(user_code, "pop %r15")
	I(user_code, "mov %rsp, %rax")
	I(user_code, "pushq $0x2b")
	I(user_code, "push %rax")
	I(user_code, "pushf")
	I(user_code, "pushq $0x33")
	I(user_code, "lea 1f(%rip), %rdx")
	I(user_code, "push %rdx")
	I(user_code, "iretq\n1:")
	I(user_code, "mov (%rbx), %rax")	/* fills a shadow entry */
	I(user_code, "mov %rax, (%rbx)")
	"syscall\n");

TEST("L7 STEP: a user's code, to its system call")
{
	struct guest *g = about_to_enter(user_code);
	volatile struct lguest_event *event = &shared_of(g)->event;

	STEP_USER(g, user_code);
	CHECK_EQ(getreg(g, REG(r15)) & TF, 0);
	CHECK_EQ(step(g), LGUEST_EXIT_STEP);
	CHECK_EQ(getreg(g, REG(rip)), kernel_rip(guest_syscall_entry));
	CHECK_EQ(event->vector, LGUEST_VECTOR_SYSCALL);
	CHECK_EQ(event->rip, user_rip(user_code_end));
	CHECK_EQ(event->rflags & TF, 0);
	CHECK_EQ(event->r11 & TF, 0);
	returns_with(g, LGUEST_VECTOR_SYSCALL);
}

SNIPPET(step_faults, "mov 0x20000000(%rbx), %rax\n");

static void fault(bool direct)
{
	struct guest *g;
	volatile struct lguest_event *event;

	all_direct = direct;
	g = about_to_enter(step_faults);
	event = &shared_of(g)->event;
	CHECK_EQ(step(g), LGUEST_EXIT_STEP);
	CHECK_EQ(getreg(g, REG(rip)), kernel_rip(guest_event_entry));
	CHECK_EQ(event->vector, 14);
	CHECK_EQ(event->rip, user_rip(step_faults));
	CHECK_EQ(event->rflags & TF, 0);
	returns_with(g, 14);
}

TEST("L7 STEP: a user's fault ends at the event entry")
{
	fault(false);
}

TEST("L7 STEP: ... and one that the Switcher gives by itself")
{
	fault(true);
}

TEST("L7 STEP: a user's own trap flag works as ever")
{
	struct guest *g;
	volatile struct lguest_event *event;

	wants_tf = true;
	g = about_to_enter(user_code);
	event = &shared_of(g)->event;
	CHECK_EQ(step(g), LGUEST_EXIT_STEP);
	CHECK_EQ(getreg(g, REG(rip)), kernel_rip(guest_event_entry));
	CHECK_EQ(event->vector, 1);
	CHECK_EQ(event->rip, user_rip(user_code) + user_code_ends[0]);
	CHECK_EQ(event->rflags & TF, TF);
	CHECK(shared_of(g)->dr6 & 0x4000);
	returns_with(g, 1);
}

CODE(sets_tf,
	I(sets_tf, "pushf")
	I(sets_tf, "orq $0x100, (%rsp)")
	"popf\nnop\nnop\n");

TEST("L7 STEP: a user that sets its trap flag has it from there on")
{
	struct guest *g = about_to_enter(sets_tf);
	u64 popf = user_rip(sets_tf) + sets_tf_ends[1];

	IN_GUEST(g, wants_tf) = true;	/* in the end */
	STEP_USER(g, sets_tf);
	CHECK_EQ(step(g), LGUEST_EXIT_STEP);	/* popf */
	CHECK_EQ(getreg(g, REG(rip)), popf + 1);
	CHECK_EQ(getreg(g, REG(eflags)) & TF, TF);
	CHECK_EQ(step(g), LGUEST_EXIT_STEP);	/* nop, and its trap */
	CHECK_EQ(getreg(g, REG(rip)), kernel_rip(guest_event_entry));
	CHECK_EQ(shared_of(g)->event.vector, 1);
	CHECK_EQ(shared_of(g)->event.rip, popf + 2);
	returns_with(g, 1);
}

/* ---- All of a guest ---- */

SNIPPET(a_call, "pushf; pop %r15; syscall\n");
SNIPPET(a_trap, "int3\n");
SNIPPET(a_loop, "mov $50, %ecx\n1: add %rcx, %rdx\nloop 1b\nrep stosb\nud2\n");

static void does_all(void)
{
	struct frame f, g;
	u64 pages[4];

	on_event = count_interrupt;
	for (int i = 0; i < 3; i++) {
		f = g = state(a_call, true);
		run(&f);
		EXPECT_EQ(f.vector, LGUEST_VECTOR_SYSCALL);
		EXPECT_EQ(f.r15 & TF, 0);
		EXPECT_EQ(f.rflags & TF, 0);
		f = state(a_trap, i & 1);
		run(&f);
		EXPECT_EQ(f.vector, 3);
		EXPECT_EQ(f.rflags & TF, 0);
		f = state(a_loop, true);
		f.rdx = 0;
		run(&f);
		EXPECT_EQ(f.vector, 6);
		EXPECT_EQ(f.rdx, 50 * 51 / 2);
		pages[i] = new_space();
		HCALL(LOAD_CR3, pages[i]);
		f = state(a_call, true);
		run(&f);
		EXPECT_EQ(f.vector, LGUEST_VECTOR_SYSCALL);
		HCALL(LOAD_CR3, MAIN_CR3);
		HCALL(HALT);
		SHARED->irq_enabled = 0;
	}
	guest_done();
}

TEST("L7 STEP: a whole guest, step by step, from its first instruction")
{
	struct guest *g = make_guest(does_all);
	u64 steps = 0;
	int kind;

	while ((kind = step(g)) == LGUEST_EXIT_STEP) {
		CHECK_EQ(getreg(g, REG(eflags)) & TF, 0);
		request(g, LHREQ_IRQ, steps & 63);
		steps++;
	}
	CHECK_EQ(kind, 0);
	if (!strstr(g->reason, "POWEROFF: ok"))
		fail("after %llu steps: %s", (unsigned long long)steps, g->reason);
	CHECK(steps > 1000);
}
