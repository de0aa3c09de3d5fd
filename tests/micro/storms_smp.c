// SPDX-License-Identifier: GPL-2.0
/*
 * Several vCPUs at their worst: all tell all others something at once, fall asleep at
 * the moment that they are told, write into each other's pages, and are killed.  What is
 * lost is a HANG: each waits for what it is told.
 * Read next: tables_smp.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"

#define VCPUS	4
#define FIRST	LGUEST_IPI_VECTOR

static volatile u64 rounds;
static volatile u64 mail[VCPUS][VCPUS];		/* to, from: not yet seen */
static volatile u64 sent[VCPUS], got[VCPUS], done;

static u64 next_random(u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

/* ---- all to all */

static void opens_mail(struct frame *f)
{
	u64 me = own()->vcpu;

	EXPECT(f->vector >= FIRST && f->vector < FIRST + 8);
	for (int from = 0; from < VCPUS; from++)
		if (mail[me][from])
			mail[me][from] = 0;
	__atomic_add_fetch(&got[me], 1, __ATOMIC_SEQ_CST);
}

static bool all_seen(u64 me)
{
	for (int to = 0; to < VCPUS; to++)
		if (mail[to][me])
			return false;
	return true;
}

static void sends_to_all(void)
{
	u64 me = own()->vcpu, random = me * 77 + 5;

	if (!me) {
		on_event = opens_mail;
		for (int n = 1; n < VCPUS; n++)
			HCALL(KICK, n);
	}
	enable_interrupts();
	for (u64 i = 0; i < rounds; i++) {
		u64 mask = next_random(&random) % (1 << VCPUS);

		for (int to = 0; to < VCPUS; to++)
			if (mask & 1 << to) {
				mail[to][me] = 1;
				__atomic_add_fetch(&sent[to], 1, __ATOMIC_SEQ_CST);
			}
		HCALL(SEND_IPI, mask, FIRST + next_random(&random) % 8);
		/* Now and then the last one has to be seen before the next is sent. */
		while (i % 16 == 0 && !all_seen(me))
			asm volatile("pause");
	}
	while (!all_seen(me))
		asm volatile("pause");
	if (__atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST) < VCPUS)
		for (;;)
			asm volatile("pause");
	for (int n = 0; n < VCPUS; n++)
		EXPECT(got[n] && got[n] <= sent[n]);
	guest_done();
}

TEST_S(120, "L1 AT-88 IPIs of all to all: none is lost, and none comes that was not sent")
{
	rounds = 250;
	guest_with_passes(VCPUS, sends_to_all, sends_to_all);
}

/* ---- asleep at the very moment */

static volatile u64 ball;		/* who has it */

static void nothing_to_note(struct frame *f)
{
	(void)f;
}

static void plays_by_halt(void)
{
	u64 me = own()->vcpu;

	if (!me) {
		on_event = nothing_to_note;
		HCALL(KICK, 1);
	}
	for (u64 i = 0; i < rounds; i++) {
		for (;;) {
			own()->irq_enabled = 0;
			if (ball == me)
				break;
			HCALL(HALT);
		}
		ball = !me;
		HCALL(SEND_IPI, 1 << !me, FIRST);
	}
	if (me)
		guest_done();
	for (;;)
		HCALL(HALT);
}

TEST_S(120, "L1 C8 AT-17 HALT against IPIs: no wake-up is lost")
{
	rounds = 3000;
	guest_with_passes(2, plays_by_halt, plays_by_halt);
}

static void plays_by_wait(void)
{
	u64 me = own()->vcpu;

	if (!me)
		HCALL(KICK, 1);
	for (u64 i = 0; i < rounds; i++) {
		while (ball != me)
			HCALL(WAIT);
		ball = !me;
		HCALL(KICK, !me);
	}
	if (me)
		guest_done();
	for (;;)
		HCALL(WAIT);
}

TEST_S(120, "L1 C8 AT-17 WAIT against KICKs: no wake-up is lost")
{
	rounds = 3000;
	guest_with_passes(2, plays_by_wait, plays_by_wait);
}

/* With calls instead of sleep: interrupts strike on the way into the guest. */
static void plays_by_spinning(void)
{
	u64 me = own()->vcpu;

	if (!me) {
		on_event = opens_mail;
		HCALL(KICK, 1);
	}
	enable_interrupts();
	for (u64 i = 0; i < rounds; i++) {
		mail[!me][me] = 1;
		HCALL(SEND_IPI, 1 << !me, FIRST);
		while (mail[!me][me])
			HCALL(FLUSH_ASYNC);
	}
	if (__atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST) == 2)
		guest_done();
	for (;;)
		asm volatile("pause");
}

TEST_S(120, "L1 AT-88 IPIs against entries: none is lost")
{
	rounds = 500;
	guest_with_passes(2, plays_by_spinning, plays_by_spinning);
}

/* ---- into each other's pages */

static void any_event(struct frame *f)
{
	(void)f;
}

/* What a guest may do to itself; the Host must not mind. */
static void scribbles(void)
{
	u64 me = own()->vcpu, random = rdtsc() | 1, page;

	if (!me) {
		on_event = any_event;
		for (int n = 1; n < VCPUS; n++)
			HCALL(KICK, n);
	}
	for (;;) {
		u64 n = next_random(&random) % VCPUS;
		volatile u64 *words;

		page = n ? SIBLINGS_GPA + n * SIBLING_SIZE : SHARED_GPA;
		words = AT(page);
		words[next_random(&random) % 400] = next_random(&random) % 3 ?
			next_random(&random) % 600 : next_random(&random) << 33;
		HCALL(SEND_IPI, next_random(&random) % (1 << VCPUS),
		      next_random(&random) % 4 ? FIRST : 2);
		if (next_random(&random) % 8 == 0)
			HCALL(KICK, next_random(&random) % VCPUS);
	}
}

/* In a process of its own, which is killed if the guest does not end by itself. */
static void one_storm(void (*fn)(void), unsigned int ms)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct guest *g = make_guest_with(VCPUS, fn, fn);
		int kind;

		do
			kind = go_reflecting(g);
		while (kind > 0 || kind == -EINTR);
		_exit(0);
	}
	for (unsigned int i = 0; i < ms && waitpid(pid, &status, WNOHANG) == 0; i++)
		usleep(1000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

TEST_S(120, "L1 AT-89 siblings write into each other's shared pages")
{
	for (int i = 0; i < 20; i++)
		one_storm(scribbles, 60);
}

TEST_S(120, "L1 H8 AT-59 AT-87 SIGKILL while all vCPUs tell each other something")
{
	unsigned int seed = getpid();

	rounds = 1 << 30;
	for (int i = 0; i < 10; i++)
		one_storm(sends_to_all, rand_r(&seed) % 60);
}

/* ---- the end of a thread */

static void *makes_and_ends(void *arg)
{
	CHECK_EQ(make_vcpu(arg, 1), 8);
	return NULL;
}

static void sends_to_the_dead(void)
{
	HCALL(SEND_IPI, 2, FIRST);
	HCALL(SEND_IPI, 2, 2);
	HCALL(KICK, 1);
	guest_done();
}

TEST("L1 H23 AT-87 a vCPU whose thread has ended: the others go on, and close frees it")
{
	struct guest *g = make_guest(sends_to_the_dead);
	struct lguest_exit exit;
	pthread_t thread;

	allow_vcpus(LGUEST_VCPUS);
	pthread_create(&thread, NULL, makes_and_ends, g);
	pthread_join(thread, NULL);
	CHECK_EQ(go_at(g, 1, &exit), -EPERM);
	CHECK_EQ(request_at(g, 1, LHREQ_IRQ, 3, 0), 16);
	passes(g);
	end_guest(g);
}
