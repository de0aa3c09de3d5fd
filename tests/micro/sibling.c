// SPDX-License-Identifier: GPL-2.0
/*
 * What a second thread of the launcher changes while the vCPU runs: the vCPU's
 * registers, which the Switcher has tested already, and the launcher's LDT, which
 * was not there yet when read() began.  Both once led to ring 0.
 */
#include <asm/ldt.h>
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"

#define IOPL		0x3000
#define BEYOND		0x800000000000	/* the first address that is not canonical */

static volatile bool stop;

/* ---- SETREG ---- */

static void *setreg_each(void *arg)
{
	struct guest *g = arg;
	u64 reg;

	for (reg = 0; reg < sizeof(struct user_regs_struct); reg += 8)
		CHECK_ERRNO(request(g, LHREQ_SETREG, reg, 1), EPERM);
	return NULL;
}

static void notifies_once(void)
{
	HCALL(NOTIFY, 1);
	guest_done();
}

TEST("H9 AT-57 SETREG by another thread: EPERM, and nothing changes")
{
	struct guest *g = make_guest(notifies_once);
	u64 before, reg;
	pthread_t thread;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	for (reg = 0; reg <= REG(rsp); reg += 8) {
		if (reg == REG(orig_rax))
			continue;
		before = getreg(g, reg);
		pthread_create(&thread, NULL, setreg_each, g);
		pthread_join(thread, NULL);
		CHECK_EQ(getreg(g, reg), before);
	}
	passes(g);
}

/*
 * A direct switch tests where it goes, loads CR3, and goes there by sysret.  For
 * the hundreds of cycles between, another thread may try to change it.
 */
static void loads_cr3(void)
{
	u64 flags;

	HCALL(LOAD_CR3, MAIN_CR3);	/* the Switcher knows it now */
	for (int i = 0; i < 30000; i++) {
		HCALL(LOAD_CR3, MAIN_CR3 | LGUEST_CR3_NOFLUSH);
		asm volatile("pushf; pop %0" : "=r" (flags));
		EXPECT_EQ(flags & IOPL, 0);
	}
	guest_done();
}

static void *sets_flags_and_rip(void *arg)
{
	struct guest *g = arg;

	while (!stop) {
		request(g, LHREQ_SETREG, REG(r11), IOPL | IF | 2);
		request(g, LHREQ_SETREG, REG(rcx), BEYOND);
	}
	return NULL;
}

TEST_S(60, "AT-80 rip and flags from another thread between test and sysret")
{
	struct guest *g = make_guest(loads_cr3);
	pthread_t thread;

	pthread_create(&thread, NULL, sets_flags_and_rip, g);
	passes(g);
	stop = true;
	pthread_join(thread, NULL);
	CHECK_EQ(stat_of(g, "direct_cr3_loads"), 30000);
}

/* ---- The LDT ---- */

SNIPPET(loads_from_ldt, "mov $7, %eax; mov %eax, %ds");

/* A page fault would be the CPU's look for the LDT in the guest's tables. */
static void wants_ldt(void)
{
	struct frame start = kernel_at((void (*)(void))loads_from_ldt), f;

	for (;;) {
		f = start;
		run(&f);
		EXPECT_EQ(f.vector, 13);
		EXPECT_EQ(f.error, 4);
	}
}

static void *makes_ldt(void *arg)
{
	struct user_desc d = { .limit = 0xfffff, .seg_32bit = 1,
			       .limit_in_pages = 1 };

	usleep(*(unsigned int *)arg);
	return (void *)syscall(SYS_modify_ldt, 1, &d, sizeof(d));
}

static void one_launcher(unsigned int delay)
{
	struct guest *g = make_guest(wants_ldt);
	pthread_t thread;
	void *err;
	int end;

	pthread_create(&thread, NULL, makes_ldt, &delay);
	end = go(g);
	pthread_join(thread, &err);
	if (err)
		skip("the host has no modify_ldt");
	if (end == 0)
		fail("dies: %s", g->reason);
	CHECK_EQ(end, -EPERM);
	CHECK_EQ(go(g), -EPERM);
	_exit(0);
}

TEST_S(60, "AT-81 a launcher that gets an LDT while its guest runs: it runs no more")
{
	int status;

	for (unsigned int round = 0; round < 20; round++) {
		if (fork() == 0)
			one_launcher(round * 500);
		wait(&status);
		CHECK(WIFEXITED(status));
		if (WEXITSTATUS(status))
			_exit(WEXITSTATUS(status));	/* it has said why */
	}
}

/* ---- AT-57: the number of a request ---- */

static volatile u64 words[2];

static void *changes_number(void *arg)
{
	while (!stop) {
		words[0] = LHREQ_STEP;
		words[0] = 1ULL << 40;	/* far from the end of any table */
	}
	return arg;
}

TEST("AT-57 a request whose number another thread changes while it is read")
{
	struct guest *g = make_guest(notifies_once);
	u64 done = 0, refused = 0, until = now_ns() + 15000000000;
	pthread_t thread;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("needs two CPUs (lab --smp 2)");
	stop = false;
	pthread_create(&thread, NULL, changes_number, NULL);
	while ((done < 20000 || refused < 20000) && now_ns() < until) {
		if (write(g->fd, (void *)words, sizeof(words)) == sizeof(words)) {
			done++;
		} else {
			CHECK_EQ(errno, EINVAL);
			refused++;
		}
	}
	stop = true;
	pthread_join(thread, NULL);
	CHECK(done && refused);
}
