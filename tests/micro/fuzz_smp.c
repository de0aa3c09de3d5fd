// SPDX-License-Identifier: GPL-2.0
/*
 * Random guests with several vCPUs: all of them call, change tables that all use, and
 * write into each other's shared pages, rings and records, while the launcher holds some,
 * takes memory away, and has vCPUs that never run or whose thread ends.  Each guest is a
 * process, killed at a random moment if it does not end by itself before.
 * Read next: fuzz_kill.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"
#include "fuzz.h"

#define MOST	8		/* vCPUs */
#define SPACES	4		/* of TABLES, the first ones are top levels */
#define TABLES	12

/* Each has random numbers of its own: with one state for all it would soon be zero. */
static u64 roll(u64 *state, u64 n)
{
	return (next_random(state) >> 11) % n;
}

/* ---- guest half */

extern u64 guest_sibling;
static u64 nr_vcpus;		/* that there are; the first of them run this */
static u64 tables[TABLES];
static u64 seen;		/* events: as hard to lose as a counter can be */

SNIPPET(s_read, "mov (%rdi), %rax\n");
SNIPPET(s_write, "mov %rsi, (%rdi)\n");
SNIPPET(s_call, "syscall\n");

/*
 * Faults of the kernel's own are its end; interrupts and NMIs are not, nor page faults:
 * a sibling may have written fill_error, and so asked for one at the next visit.
 */
static void take_all(struct frame *f)
{
	seen++;
	if (f->vector != 2 && f->vector != 14 && f->vector < 0x20)
		guest_fail("a fault: rip instead of vector", f->rip, f->vector);
}

static volatile u64 *page_of(u64 n)
{
	return AT(n ? SIBLINGS_GPA + n * SIBLING_SIZE : SHARED_GPA);
}

static u64 some_space(u64 *s)
{
	return roll(s, 4) ? tables[roll(s, SPACES)] : MAIN_CR3;
}

/* Few addresses, so that all meet at them. */
static u64 some_address(u64 *s)
{
	u64 va = (1 + roll(s, 2)) << 39 | roll(s, 2) << 30 | roll(s, 3) << 21 | roll(s, 4) << 12;

	return roll(s, 64) ? va : any_from(s);
}

static u64 some_page(u64 *s)
{
	u64 bits = P_ | A_ | (roll(s, 4) ? W_ | D_ : 0) | (roll(s, 3) ? U_ : 0);

	if (roll(s, 8) == 0)
		return roll(s, 2) ? 0 : (DATA + roll(s, 2) * (2UL << 20)) | bits | PS_;
	return (DATA + roll(s, 32) * PAGE) | bits;
}

/* Mostly what a table of that place may have, so that walks get far. */
static void change_table(u64 *s)
{
	u64 n = roll(s, TABLES), i = n < SPACES ? 1 + roll(s, 2) : roll(s, 4);
	u64 next = n < SPACES ? SPACES + roll(s, 2) : n < SPACES + 2 ? SPACES + 2 + roll(s, 3) :
		   SPACES + 5 + roll(s, 3);
	volatile u64 *entry = (volatile u64 *)AT(tables[n]) + i;

	if (roll(s, 512) == 0)
		*entry = any_from(s) | P_;
	else if (n < SPACES + 5 && roll(s, 4))
		*entry = tables[next] | P_ | W_ | U_ | (roll(s, 8) ? A_ : 0);
	else if (n < SPACES + 2)
		*entry = 0;
	else
		*entry = some_page(s) & (n < SPACES + 5 ? ~0UL : ~PS_);
}

/* Two may do so at once, and then it is a call that neither meant. */
static void put_in_ring(volatile struct lguest_shared *to, u64 *s)
{
	u64 n = roll(s, LGUEST_RING_SIZE), call = roll(s, 3), space = some_space(s);

	to->hcalls[n].number = !call ? LHCALL_FLUSH_TLB : call == 1 ? LHCALL_NEW_SPACE :
			       LHCALL_DROP_SPACE;
	to->hcalls[n].arg[0] = call || !roll(s, 64) ? space : roll(s, 3);
	to->hcalls[n].arg[1] = some_address(s);
	to->hcall_status[n] = 0;
}

/* Into the page of any vCPU: what ends the guest at once only now and then. */
static void scribble(u64 *s)
{
	volatile struct lguest_shared *to = (void *)page_of(roll(s, nr_vcpus));
	volatile u64 *words = (void *)to;

	switch (roll(s, 8)) {
	case 0:
		to->irq_enabled = roll(s, 2) ? LGUEST_IF : any_from(s);
		break;
	case 1:
		to->irq_pending = roll(s, 2);
		to->blocked_interrupts = roll(s, 4) ? 0 : any_from(s);
		break;
	case 2:
		to->fill_address = some_address(s);
		to->fill_error = roll(s, 32) | (roll(s, 2) ? LGUEST_FILL_STRICT : LGUEST_FILL_HINT);
		to->direct_faults = roll(s, 2);
		break;
	case 3:
	case 4:
		put_in_ring(to, s);
		break;
	case 5:
		to->set_timer = roll(s, 100000);
		break;
	case 6:			/* the records: once in a while whatever, where it is in use */
		if (roll(s, 64) == 0)
			words[LGS_BUSY / 8 + roll(s, 18)] = any_from(s);
		break;
	default:
		if (roll(s, 64) == 0)
			words[roll(s, 512)] = any_from(s);
	}
}

static u64 some_mask(u64 *s)
{
	return roll(s, 1 << nr_vcpus);
}

static void flush_for_some(u64 *s)
{
	static const u8 strides[] = { 0, 12, 21, 30 };
	u64 stride = strides[roll(s, 4)], start = some_address(s);
	u64 pages = roll(s, 4) ? roll(s, 4) : any_from(s), mask = some_mask(s);

	if (roll(s, 2048) == 0)
		stride = any_from(s);
	HCALL(FLUSH_MULTI, mask | stride << 32 | (roll(s, 8) ? 0 : 0xffff0000), some_space(s),
	      start, start + (pages << (stride ? stride & 63 : 12)));
}

/* To sleep for good is allowed, if somebody wakes it; the timer does, mostly. */
static void sleep_a_little(u64 *s)
{
	if (roll(s, 16))
		HCALL(SET_CLOCKEVENT, 1 + roll(s, 200000));
	if (roll(s, 2))
		HCALL(HALT);
	else
		HCALL(WAIT);
}

static void flush_or_load(u64 *s)
{
	switch (roll(s, 5)) {
	case 0:
		HCALL(LOAD_CR3, some_space(s) | (roll(s, 2) ? LGUEST_CR3_NOFLUSH : 0));
		break;
	case 1:
		HCALL(NEW_SPACE, tables[roll(s, SPACES)]);
		break;
	case 2:
		HCALL(DROP_SPACE, tables[roll(s, SPACES)]);
		break;
	case 3:
		flush_for_some(s);
		break;
	default:
		HCALL(FLUSH_TLB, roll(s, 3), some_address(s));
	}
}

static void tell(u64 *s)
{
	if (roll(s, 3) == 0)
		HCALL(KICK, roll(s, nr_vcpus));
	else
		HCALL(SEND_IPI, some_mask(s), roll(s, 8) ? LGUEST_IPI_VECTOR + roll(s, 64) : 2);
}

static void other_call(u64 *s)
{
	switch (roll(s, 8)) {
	case 0:
		sleep_a_little(s);
		break;
	case 1:
		own()->irq_enabled = 0;
		HCALL(GET_TIME);
		break;
	case 2:
		HCALL(NOTIFY, 1 + roll(s, 100));
		break;
	case 3:
		HCALL(LOAD_TLS, 0x00cff3000000ffff, 0, roll(s, 256) ? 0 : any_from(s));
		break;
	case 4:
		if (roll(s, 1024) == 0)
			hcall(roll(s, 30), any_from(s), any_from(s), any_from(s), any_from(s));
		break;
	default:
		enable_interrupts();
	}
}

/* By user or kernel; what comes of it is a fault or not. */
static void touch(u64 *s)
{
	char *code = roll(s, 4) ? s_read : roll(s, 2) ? s_write : s_call;
	struct frame f = roll(s, 2) || code == s_call ? user_at((void (*)(void))code) :
						       kernel_at((void (*)(void))code);

	f.rdi = some_address(s);
	f.rsi = next_random(s) & ~P_;		/* no entry, should it land in a table */
	f.rflags |= roll(s, 2) ? IF : 0;
	run(&f);
}

static void anything(void)
{
	u64 me = own()->vcpu, s = random_state + me * 0x9e3779b97f4a7c15;

	if (!me) {
		on_event = take_all;
		for (int i = 0; i < TABLES; i++)
			tables[i] = i < SPACES ? new_space() : guest_page();
		for (u64 n = 1; n < nr_vcpus; n++)
			HCALL(KICK, n);
	}
	for (;;) {
		__atomic_add_fetch(&cases, 1, __ATOMIC_RELAXED);
		switch (roll(&s, 8)) {
		case 0: tell(&s); break;
		case 1: flush_or_load(&s); break;
		case 2: other_call(&s); break;
		case 3: scribble(&s); break;
		case 4: case 5: change_table(&s); break;
		default: touch(&s);
		}
	}
}

/* ---- the launcher: a process for each guest */

struct shared_counts { u64 cases, ended, killed; };
static struct shared_counts *counts;	/* of all processes */

struct vcpu {
	struct guest *g;
	u64 n, state;
	enum { RUNS, NEVER_RUNS, ENDS_SOON } kind;
};

static void answer(struct guest *g, u64 n, int kind)
{
	if (kind == LGUEST_EXIT_TRAP || kind == LGUEST_EXIT_MMIO)
		request_at(g, n, LHREQ_TRAP, 13, 0);
}

static void *runs_vcpu(void *arg)
{
	struct vcpu *v = arg;
	struct lguest_exit exit;
	u64 left = v->kind == ENDS_SOON ? roll(&v->state, 4) : ~0UL;
	int kind;

	if (make_vcpu(v->g, v->n) < 0)
		fail("vCPU %llu: errno %d", (unsigned long long)v->n, errno);
	v->g->made[v->n] = 1;
	while (v->kind == NEVER_RUNS)
		pause();
	while (left--) {
		kind = go_at(v->g, v->n, &exit);
		if (kind == -ENOENT || kind == -ERESTART)
			break;
		answer(v->g, v->n, kind);
	}
	return NULL;
}

static void change_memory(struct guest *g, u64 *s)
{
	u8 *at = g->mem + DATA + roll(s, 512) * PAGE;
	u64 size = (1 + roll(s, 16)) * PAGE;

	switch (roll(s, 4)) {
	case 0:
		madvise(at, size, MADV_DONTNEED);
		break;
	case 1:
		mprotect(at, size, PROT_READ);
		mprotect(at, size, PROT_READ | PROT_WRITE);
		break;
	case 2:
		madvise(g->mem + DATA, 4UL << 20, roll(s, 2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		break;
	default:
		((volatile u64 *)(g->mem + SIBLINGS_GPA + roll(s, g->vcpus) * SIBLING_SIZE))
			[roll(s, 512)] = roll(s, 16) ? 0 : any_from(s);
	}
}

/* It runs no vCPU: what it may ask for, and what it may not. */
static __attribute__((noreturn)) void *meddles(void *arg)
{
	struct vcpu *v = arg;
	u64 *s = &v->state;

	for (;;) {
		u64 n = roll(s, v->g->vcpus + 1);

		switch (roll(s, 6)) {
		case 0:
			request_at(v->g, n, LHREQ_BREAK, 1, 0);
			usleep(roll(s, 3000));
			request_at(v->g, n, LHREQ_BREAK, 0, 0);
			break;
		case 1:
			request_at(v->g, n, LHREQ_IRQ, roll(s, 65), 0);
			break;
		case 2:
			/* What vCPU 0 is asked for its registers, go() would get. */
			request_at(v->g, n ?: 1, roll(s, 16), any_from(s), any_from(s));
			break;
		default:
			change_memory(v->g, s);
		}
		usleep(roll(s, 2000));
	}
}

/* A BREAK waits for a thread that is there no more: another one lets it go on. */
static __attribute__((noreturn)) void *ends_breaks(void *arg)
{
	struct vcpu *v = arg;

	for (;;) {
		usleep(10000 * slow);
		for (u64 n = 0; n < v->g->vcpus; n++)
			request_at(v->g, n, LHREQ_BREAK, 0, 0);
	}
}

static void start_thread(void *(*fn)(void *), struct guest *g, u64 n, int kind)
{
	struct vcpu *v = malloc(sizeof(*v));
	pthread_t thread;

	*v = (struct vcpu){ .g = g, .n = n, .state = random_state ^ (n + 1) << 20, .kind = kind };
	if (pthread_create(&thread, NULL, fn, v))
		fail("no thread");
}

static void one_process(u64 nr)
{
	struct guest *g;
	int kind;

	allow_vcpus(LGUEST_VCPUS);
	nr_vcpus = nr;
	guest_sibling = (char *)anything - __executable_start;
	g = make_guest(anything);
	g->vcpus = nr;
	for (u64 n = 1; n < nr; n++) {
		u64 r = below(16);

		start_thread(runs_vcpu, g, n, r == 0 ? NEVER_RUNS : r == 1 ? ENDS_SOON : RUNS);
		while (!*(volatile int *)&g->made[n])
			usleep(100);
	}
	start_thread(meddles, g, 100, RUNS);
	start_thread(ends_breaks, g, 101, RUNS);
	tick(5 * slow);
	do {
		kind = go(g);
		counts->cases += IN_GUEST(g, cases);
		IN_GUEST(g, cases) = 0;
		answer(g, 0, kind);
	} while (kind > 0 || kind == -EINTR || kind == -EAGAIN);
	if (kind == 0)
		judge(g);
	counts->ended++;
	_exit(0);
}

/* Whether it ends by itself or is killed: soon, and with nothing to complain of. */
static void one_guest(void)
{
	u64 nr = 2 + below(MOST - 1), lasts = now_ns() + (20 + below(300)) * 1000000 * slow;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		one_process(nr);
	while (now_ns() < lasts && waitpid(pid, &status, WNOHANG) == 0)
		usleep(1000);
	if (now_ns() >= lasts && waitpid(pid, &status, WNOHANG) == 0) {
		counts->killed++;
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));		/* it has said why */
	guests++;
	other_numbers();
}

TEST_S(15, "L1 AT-85 AT-87 AT-89 fuzz: several vCPUs do anything to each other")
{
	counts = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(counts != MAP_FAILED);
	begin();
	while (now_ns() < until || !counts->cases || !counts->killed)
		one_guest();
	all_cases = counts->cases;
	report("several vCPUs");
	dprintf(1, "# %llu ended, %llu were killed\n", (unsigned long long)counts->ended,
		(unsigned long long)counts->killed);
}
