// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/lguest: what a launcher reads of a guest's registers, what it sets, and
 * what it makes trap: GETREG, SETREG, TRAP.  Names begin with the row of
 * ACCEPTANCE.md.  Read next: abi_events.c.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include "micro.h"
#include "abi.h"

/* ---- GETREG, SETREG ---- */

/* Pattern in every register, then NOTIFY. */
SNIPPET(all_patterns,
	"mov $0x1501, %r15; mov $0x1401, %r14; mov $0x1301, %r13\n"
	"mov $0x1201, %r12; mov $0x1011, %r10; mov $0x0901, %r9\n"
	"mov $0x0801, %r8; mov $0xb901, %rbp; mov $0xb801, %rbx\n"
	"mov $0xd801, %rdx; mov $0x5101, %rsi; mov $0xd101, %rdi\n"
	"mov $0x5901, %rsp; mov $17, %eax; syscall\n"
	"all_patterns_next: nop\n");
extern char all_patterns_next[];

static void shows_registers(void)
{
	asm volatile("mov $0xf5ba5e, %%eax; wrfsbase %%rax" : : : "rax");
	asm volatile("jmp *%0" : : "r" (all_patterns));
}

TEST("H18 GETREG of every register, ENOENT for others, EFAULT keeps it armed")
{
	struct guest *g = make_guest(shows_registers);
	u64 value, next;
	static const struct { u64 off, want; } regs[] = {
		{ REG(r15), 0x1501 }, { REG(r14), 0x1401 }, { REG(r13), 0x1301 },
		{ REG(r12), 0x1201 }, { REG(r10), 0x1011 }, { REG(r9), 0x0901 },
		{ REG(r8), 0x0801 }, { REG(rbp), 0xb901 }, { REG(rbx), 0xb801 },
		{ REG(rdx), 0xd801 }, { REG(rsi), 0x5101 }, { REG(rdi), 0xd101 },
		{ REG(rsp), 0x5901 }, { REG(rax), 17 }, { REG(cs), USER_CS },
		{ REG(ss), USER_SS }, { REG(fs_base), 0xf5ba5e },
		{ REG(gs_base), KERNEL_VA + SHARED_GPA },
	};

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 0xd101);
	for (size_t i = 0; i < sizeof(regs) / sizeof(*regs); i++) {
		value = getreg(g, regs[i].off);
		if (value != regs[i].want)
			fail("register %lld is %#llx", (long long)regs[i].off,
			     (long long)value);
	}
	next = KERNEL_VA + IMAGE_GPA + (all_patterns_next - __executable_start);
	CHECK_EQ(getreg(g, REG(rip)), next);
	CHECK_EQ(getreg(g, REG(rcx)), next);
	CHECK_EQ(getreg(g, REG(r11)) & ~0x8d5ULL, 0x202);

	CHECK_ERRNO(request(g, LHREQ_GETREG, REG(orig_rax)), ENOENT);
	CHECK_ERRNO(request(g, LHREQ_GETREG, 4), ENOENT);
	CHECK_ERRNO(request(g, LHREQ_GETREG, 216), ENOENT);
	CHECK_ERRNO(request(g, LHREQ_GETREG, 0x1010), ENOENT);
	CHECK_ERRNO(request(g, LHREQ_GETREG, ~0ULL), ENOENT);
	CHECK_ERRNO(request(g, LHREQ_GETREG, -8ULL), ENOENT);
	CHECK_EQ(request(g, LHREQ_GETREG, REG(r15)), 16);
	CHECK_ERRNO(read(g->fd, BAD, 8), EFAULT);
	CHECK_ERRNO(read(g->fd, &value, 7), EINVAL);
	CHECK_EQ(read(g->fd, &value, 8), 8);
	CHECK_EQ(value, 0x1501);
}

SNIPPET(after_setreg,
	"push %rdi; push %rsi; push %rbp; push %rbx; push %rdx; push %rcx\n"
	"push %rax; push %r8; push %r9; push %r10; push %r11; push %r12\n"
	"push %r13; push %r14; push %r15\n"
	"mov %rsp, %rdi; mov $17, %eax; syscall\n");

TEST("H19 SETREG of every settable register, seen by the guest")
{
	static const u64 order[] = { REG(r15), REG(r14), REG(r13), REG(r12),
		REG(r11), REG(r10), REG(r9), REG(r8), REG(rax), REG(rcx),
		REG(rdx), REG(rbx), REG(rbp), REG(rsi), REG(rdi) };
	static const u64 never[] = { REG(cs), REG(ss), REG(ds), REG(es), REG(fs),
		REG(gs), REG(eflags), REG(fs_base), REG(gs_base), REG(orig_rax),
		LHREG_CR2, LHREG_CR3, 4, 216, ~0ULL, -8ULL };
	struct guest *g = make_guest(notifies);
	u64 stack = 0x50000, *at;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	for (int i = 0; i < 15; i++)
		CHECK_EQ(request(g, LHREQ_SETREG, order[i], 0x1000 + i), 24);
	CHECK_EQ(request(g, LHREQ_SETREG, REG(rsp), KERNEL_VA + stack), 24);
	CHECK_EQ(request(g, LHREQ_SETREG, REG(rip), KERNEL_VA + IMAGE_GPA +
			 (after_setreg - __executable_start)), 24);
	for (size_t i = 0; i < sizeof(never) / 8; i++)
		CHECK_ERRNO(request(g, LHREQ_SETREG, never[i], 1), ENOENT);
	CHECK_ERRNO(request(g, LHREQ_SETREG, REG(rip), 0x800000000000), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_SETREG, REG(rip), 1ULL << 63), EINVAL);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, KERNEL_VA + stack - 15 * 8);
	at = (u64 *)(g->mem + stack - 15 * 8);
	for (int i = 0; i < 15; i++)
		CHECK_EQ(at[i], 0x1000 + i);
}

TEST("H19 C16 SETREG of odd rsp and rip hurts the guest only")
{
	static const u64 odd[] = { 0, 1, 0x7fffffffffff, 0x800000000000,
		0xffff7fffffffffff, 0xffff800000000000, 0xffff800000003000,
		0xff00000000003000, 0xfffffe0000000000, ~0ULL, 1ULL << 63 };

	for (size_t i = 0; i < sizeof(odd) / 8; i++) {
		struct guest *g = make_guest(notifies);

		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		CHECK_EQ(request(g, LHREQ_SETREG, REG(rsp), odd[i]), 24);
		request(g, LHREQ_SETREG, REG(rip), odd[i]);
		set_alarm(30000, 30000);
		go(g);
		set_alarm(0, 0);
		end_guest(g);
	}
}

static void on_timer(int sig)
{
	(void)sig;
}

/*
 * The kernel raises the signal of such a timer in its work for a task that returns to
 * user space: when read() ended there was none, and it seemed to be begun anew.
 */
TEST("H18 GETREG is answered at once after a read() that a timer of CPU time ended")
{
	static const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never;
	struct sigaction sa = { .sa_handler = on_timer };
	struct guest *g = make_guest(spins);
	u64 rip;

	CHECK(!sigaction(SIGPROF, &sa, NULL));
	for (int i = 0; i < 20; i++) {
		CHECK(!setitimer(ITIMER_PROF, &often, NULL));
		CHECK_EQ(go(g), -EINTR);
		CHECK(!setitimer(ITIMER_PROF, &never, NULL));
		CHECK_EQ(request(g, LHREQ_GETREG, REG(rip)), 16);
		CHECK_EQ(read(g->fd, &rip, sizeof(rip)), sizeof(rip));
	}
}

/* ---- TRAP ---- */

static u64 vectors[32];

static void count_event(struct frame *f)
{
	if (f->vector < 32)
		vectors[f->vector]++;
	if (f->error != 0x1230 + f->vector)
		guest_fail("error code", f->error, f->vector);
}

static void takes_traps(void)
{
	on_event = count_event;
	for (;;)
		HCALL(NOTIFY, 1);
}

TEST("H20 TRAP 0 to 31 arrives with its error code")
{
	struct guest *g = make_guest(takes_traps);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	for (u64 n = 0; n < 32; n++) {
		CHECK_EQ(request(g, LHREQ_TRAP, n, 0x1230 + n), 24);
		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		CHECK_EQ(IN_GUEST(g, vectors[n]), 1);
	}
	CHECK_ERRNO(request(g, LHREQ_TRAP, 32, 0), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_TRAP, 0x80, 0), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_TRAP, 1ULL << 32, 0), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_TRAP, ~0ULL, 0), EINVAL);
}

static void spins_with_traps(void)
{
	on_event = count_event;
	HCALL(NOTIFY, 1);
	spins();
}

TEST("H20 TRAP reaches a guest that spins")
{
	struct guest *g = make_guest(spins_with_traps);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	for (u64 i = 0; i < 5; i++) {
		CHECK_EQ(IN_GUEST(g, vectors[3]), i);
		CHECK_EQ(request(g, LHREQ_TRAP, 3, 0x1233), 24);
		do
			run_a_while(g);
		while (IN_GUEST(g, vectors[3]) == i);
	}
}

TEST("H20 TRAP before the guest has an event entry is EINVAL")
{
	struct guest *g = raw_guest(1 << 20);

	CHECK_EQ(initialize(g, 0x1000), 0);
	CHECK_ERRNO(request(g, LHREQ_TRAP, 3, 0), EINVAL);
}

static void takes_irqs(void)
{
	on_event = count_event;
	SHARED->irq_enabled = IF;
	spins();
}

static volatile bool trap_stop;

static void *trap_often(void *arg)
{
	struct guest *g = arg;

	while (!trap_stop)
		request(g, LHREQ_TRAP, 3, 0x1233);
	return NULL;
}

/*
 * At worst: a double fault; or, when one comes while the guest fills its return
 * record, and is itself returned from by that record, a return into the middle of
 * this with another register rdi: a page fault.
 */
TEST("H20 TRAP storm from another thread: a fault of the guest at worst")
{
	struct guest *g = make_guest(takes_irqs);
	pthread_t thread;
	int err = -EINTR;

	run_a_while(g);
	pthread_create(&thread, NULL, trap_often, g);
	for (int i = 0; i < 20 && err == -EINTR; i++) {
		set_alarm(20000, 20000);
		err = go(g);
	}
	trap_stop = true;
	pthread_join(thread, NULL);
	if (err != -EINTR && !strstr(g->reason, "triple fault: trap 3") &&
	    !strstr(g->reason, "error code: got 0x0, want 0x8") &&
	    !strstr(g->reason, "error code: got 0x0, want 0xe"))
		fail("ends with %d: %s", err, g->reason);
}
