// SOURCES: tests/unit/shim/shim.c
// CFLAGS: -Itests/unit/shim -O2 -Wno-unused-parameter -Wno-unused-function
// SPDX-License-Identifier: GPL-2.0
/*
 * No wake-up is lost: host/core.c, host/pending.c and host/end.c as they are, a vCPU's
 * task in run_guest() and one or two that tell it something, in every order of their
 * steps.  A step is one access to a word that both use, and as on a real CPU a store may
 * become visible to the others later than the load that follows it.
 *
 * What must be in the end: nothing that was told waits for a vCPU that sleeps, or that is
 * in the guest and was not interrupted.
 *
 * Does it find anything?  Each of these was tried and is found: in_guest set after the
 * look (mutation `look-before-mark`), or without the barrier; kick_cpu() without its
 * barrier, or with only one of its two ways; asleep set after the look; a kick taken
 * back before the sleep that it was to end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <ucontext.h>
#include "shim.h"
#include <cmocka.h>

/* ---- steps */

void point(void);
u64 see(const volatile void *p, size_t size);
void put(volatile void *p, size_t size, u64 value);
u64 change(volatile void *p, size_t size, u64 and, u64 or);
void barrier_here(void);

#undef READ_ONCE
#undef WRITE_ONCE
#undef smp_mb
#undef smp_store_release
#define READ_ONCE(x)		((__typeof__(x))see(&(x), sizeof(x)))
#define WRITE_ONCE(x, value)	put(&(x), sizeof(x), (u64)(value))
#define smp_store_release(p, value) put(p, sizeof(*(p)), (u64)(value))
#define smp_mb()		barrier_here()
#define set_bit(n, p)		((void)change(p, 8, ~0ULL, 1ULL << (n)))
#define clear_bit(n, p)		((void)change(p, 8, ~(1ULL << (n)), 0))
#define test_and_set_bit(n, p)	((change(p, 8, ~0ULL, 1ULL << (n)) >> (n)) & 1)
#define xchg(p, value)		((__typeof__(*(p)))change(p, sizeof(*(p)), 0, (u64)(value)))
#define cmpxchg(p, old, new)	((void)(old), *(p) ? *(p) : \
				 ((void)change(p, sizeof(*(p)), 0, (u64)(new)), NULL))

/* ---- what the files need of the kernel, beyond the shim */

#define _LG_TRACE_H
#define _LG_COMPAT_ASYNC_FAULT_H
#define _LG_COMPAT_FPU_H
#define _LG_COMPAT_HOST_WORK_H
#define _LG_COMPAT_SPLIT_LOCK_H
#define current			(&task)
#define X86_TRAP_NMI		2
#define LG_TIF_USER_SPACE	1
#define LG_TIF_RESCHED		2
#define TIF_SIGPENDING		0
#define KVM_PV_REASON_PAGE_NOT_PRESENT 1
#define TASK_RUNNING		0
#define TASK_INTERRUPTIBLE	1
#define GFP_ATOMIC		0
#define IS_ERR(p)		((unsigned long)(p) > -4096UL)
#define kvasprintf(gfp, fmt, args) ((void)(args), (char *)NULL)
#define rdtsc()			0ULL
#define ilog2(n)		((int)(n) & 1)
#define take_async_flags()	0
#define wait_for_async_page(token) ((void)(token))
#define kernel_fpu_begin()	((void)0)
#define kernel_fpu_end()	((void)0)
#define kernel_fpu_end_irqs_off() ((void)0)
#define local_irq_disable()	((void)0)
#define rcu_note_context_switch(preempt) ((void)0)
#define trace_lguest_exit(...)	((void)0)
#define read_thread_flags()	0
#define task_sigpending(task)	true
#define set_thread_flag(flag)	((void)0)
#define softirq_count()		0
#define local_softirq_pending()	0
#define smp_processor_id()	1
#define wait_event_interruptible(queue, condition) ((condition) ? 0 : -1)
#define judge_split_lock(ip)	true
#define schedule_timeout_interruptible(n) ((void)0)
#define schedule_timeout_killable(n) ((void)0)
#define msecs_to_jiffies(n)	(n)
#define copy_to_user(to, from, n) ((void)(to), (void)(from), 0)
#define set_current_state(s)	((void)change(&task.state, sizeof(task.state), 0, s))
#define __set_current_state(s)	put(&task.state, sizeof(task.state), s)

static struct task_struct { int pid, state; } task;
static const unsigned int tsc_khz = 1000000;

static void schedule(void);
static void local_irq_enable(void);
static void kick_process(struct task_struct *who);
static void wake_up_process(struct task_struct *who);

#include "host/end.c"
#include "host/pending.c"
#include "host/core.c"

void enter_guest_to_step(struct lg_cpu *cpu) { }
void look_at_step(struct lg_cpu *cpu) { }
void begin_step_read(struct lg_cpu *cpu) { }
void raise_nmi(struct lg_cpu *cpu) { }
void take_clockevent(struct lg_cpu *cpu) { }
void write_times(struct lg_cpu *cpu) { }
void load_guest_fpu(struct lg_cpu *cpu) { }
void save_guest_fpu(struct lg_cpu *cpu) { }
void do_sleeping_hypercall(struct lg_cpu *cpu) { }
int refill_spares(struct lg_cpu *cpu) { return 0; }
void chase(struct lguest *lg, u64 vcpus, u64 stamp) { }
int fault_in(unsigned long address, bool write) { return 0; }
bool page_is_changing(struct lguest *lg, unsigned long page) { return false; }
int check_task(void) { return 0; }
bool cpu_is_good(void) { return true; }

/* ---- the machine */

#define THREADS	3
#define STORES	8

static struct thread {
	ucontext_t at;
	char *stack;
	void (*program)(void);
	bool done;
	enum { RUNS, IN_GUEST, ASLEEP } where;
	struct store { volatile void *p; size_t size; u64 value; } stores[STORES];
	unsigned int nr_stores;
	u64 history;		/* hash of its steps and what it read: where it is, and why */
} threads[THREADS];

static ucontext_t explorer;
static unsigned int now, nr_threads;
static bool interrupted;		/* the vCPU's CPU: an interrupt is pending */
static unsigned int kicks, delivered[256];
static struct lguest guest;
static struct lg_cpu vcpu;
static struct lg_state state;
static struct lguest_shared shared;
static unsigned int halts;		/* calls that the guest makes before it only runs */
static u64 halt_call;

extern void __asan_unpoison_memory_region(void const volatile *p, size_t size);

#define STACK	(256 << 10)

/* Words that others use, too: a step each.  All else is the vCPU's own business. */
static bool is_shared(const volatile void *p)
{
	return p == &vcpu.in_guest || p == &vcpu.asleep || p == &vcpu.ipis ||
	       p == &vcpu.irqs_pending || p == &vcpu.nmi || p == &vcpu.kicked ||
	       p == &guest.dead || p == &task.state;
}

static const volatile void *told_by;	/* which of them this run is about */

static bool is_watched(const volatile void *p)
{
	return p == told_by || p == &vcpu.in_guest || p == &vcpu.asleep || p == &task.state;
}

void point(void)
{
	struct thread *t = &threads[now];

	swapcontext(&t->at, &explorer);
}

static u64 load(const volatile void *p, size_t size)
{
	u64 value = 0;

	memcpy(&value, (const void *)p, size);
	return value;
}

static void store(volatile void *p, size_t size, u64 value)
{
	memcpy((void *)p, &value, size);
}

static void drain_one(struct thread *t)
{
	struct store *s = &t->stores[0];

	store(s->p, s->size, s->value);
	memmove(s, s + 1, --t->nr_stores * sizeof(*s));
}

static void drain(struct thread *t)
{
	while (t->nr_stores)
		drain_one(t);
}

static u64 mix(u64 hash, u64 value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 29;
}

static u64 note(u64 value)
{
	threads[now].history = mix(threads[now].history, value + 1);
	return value;
}

u64 see(const volatile void *p, size_t size)
{
	struct thread *t = &threads[now];
	unsigned int i;

	if (!is_watched(p))
		return load(p, size);
	point();
	for (i = t->nr_stores; i--; )
		if (t->stores[i].p == p)
			return note(t->stores[i].value);
	return note(load(p, size));
}

void put(volatile void *p, size_t size, u64 value)
{
	struct thread *t = &threads[now];

	if (!is_watched(p)) {
		store(p, size, value);
		return;
	}
	point();
	assert_true(t->nr_stores < STORES);
	t->stores[t->nr_stores++] = (struct store){ p, size, value };
}

u64 change(volatile void *p, size_t size, u64 and, u64 or)
{
	u64 old;

	if (is_watched(p))
		point();
	drain(&threads[now]);
	old = load(p, size);
	store(p, size, (old & and) | or);
	return is_watched(p) ? note(old) : old;
}

void barrier_here(void)
{
	point();
	drain(&threads[now]);
}

static void local_irq_enable(void)
{
	interrupted = false;
}

/* As the kernel's: nothing, if the task does not run. */
static void kick_process(struct task_struct *who)
{
	point();
	drain(&threads[now]);
	kicks++;
	if (threads[0].where != ASLEEP)
		interrupted = true;
}

static void wake_up_process(struct task_struct *who)
{
	point();
	drain(&threads[now]);
	task.state = TASK_RUNNING;
}

static void schedule(void)
{
	point();
	drain(&threads[0]);
	if (task.state == TASK_RUNNING)
		return;
	threads[0].where = ASLEEP;
	point();
	threads[0].where = RUNS;
}

void enter_guest(struct lg_cpu *cpu)
{
	point();
	drain(&threads[0]);
	state.trapnum = halts ? LG_TRAP_SYSCALL : 253;
	if (halts || shared.irq_pending)	/* a handler's end is a visit then */
		return;
	threads[0].where = IN_GUEST;
	point();
	threads[0].where = RUNS;
	interrupted = false;
}

void handle_host_interrupt(struct lg_cpu *cpu)
{
}

/* As do_call() does. */
enum lg_next handle_trap(struct lg_cpu *cpu)
{
	cpu->trap_pending = false;
	if (state.trapnum != LG_TRAP_SYSCALL)
		return LG_RUN;
	halts--;
	if (halt_call == LHCALL_HALT)
		shared.irq_enabled = LGUEST_IF;
	cpu->halted = true;
	try_to_wake(cpu);
	return LG_LEAVE;
}

/* The handler is done at once. */
void deliver_trap(struct lg_cpu *cpu, unsigned int vector, u64 error)
{
	delivered[vector]++;
	cpu->halted = false;
}

/* ---- every order */

static unsigned int choice[1000], choices[1000], depth;
#define KNOWN	(1 << 20)
static u64 known[KNOWN];
static unsigned int nr_known;
static unsigned long runs, asleep_once, in_guest_once;

static void entry(void)
{
	threads[now].program();
	drain(&threads[now]);
	threads[now].done = true;
	swapcontext(&threads[now].at, &explorer);
}

static bool can_step(const struct thread *t)
{
	if (t->done)
		return false;
	if (t->where == IN_GUEST)
		return interrupted;
	return t->where != ASLEEP || task.state == TASK_RUNNING;
}

/* Which of the possible steps: those of the last run but its last choice, then the first. */
static unsigned int choose(unsigned int of)
{
	assert_true(depth < ARRAY_SIZE(choice));
	if (!choices[depth]) {
		choices[depth] = of;
		choice[depth] = 0;
	}
	assert_int_equal(choices[depth], of);
	return choice[depth++];
}

static bool next_run(void)
{
	unsigned int i = ARRAY_SIZE(choice);

	while (i--) {
		if (!choices[i])
			continue;
		if (++choice[i] < choices[i])
			return true;
		choices[i] = 0;
	}
	return false;
}

/* All that the rest depends on, but for where each thread is: that is its history. */
static u64 state_now(void)
{
	u64 hash = mix(kicks, interrupted);
	unsigned int i, n;

	hash = mix(mix(hash, vcpu.in_guest), vcpu.asleep);
	hash = mix(mix(hash, task.state), load(told_by, 8));
	for (i = 0; i < nr_threads; i++) {
		hash = mix(mix(hash, threads[i].history), threads[i].nr_stores);
		for (n = 0; n < threads[i].nr_stores; n++)
			hash = mix(mix(hash, (uintptr_t)threads[i].stores[n].p),
				   threads[i].stores[n].value);
	}
	return hash | 1;
}

/* Has another order led to the same, so that all that can follow was tried? */
static bool is_known(u64 hash)
{
	u64 i;

	for (i = hash >> 8; known[i % KNOWN]; i++)
		if (known[i % KNOWN] == hash)
			return true;
	known[i % KNOWN] = hash;
	assert_true(++nr_known < KNOWN / 2);
	return false;
}

/* Return: false if it need not be looked at to its end. */
static bool run_once(void)
{
	unsigned int possible[2 * THREADS], nr, i, what;

	depth = 0;
	for (;;) {
		if (!choices[depth] && is_known(state_now()))
			return false;
		nr = 0;
		for (i = 0; i < nr_threads; i++) {
			if (can_step(&threads[i]))
				possible[nr++] = i;
			if (threads[i].nr_stores)
				possible[nr++] = THREADS + i;
		}
		if (!nr)
			return true;
		what = possible[choose(nr)];
		if (what >= THREADS) {
			drain_one(&threads[what - THREADS]);
			continue;
		}
		now = what;
		note(0);
		swapcontext(&explorer, &threads[what].at);
	}
}

static void prepare(unsigned int calls)
{
	volatile unsigned int i;

	memset(&vcpu, 0, sizeof(vcpu));
	memset(&guest, 0, sizeof(guest));
	memset(&state, 0, sizeof(state));
	memset(&shared, 0, sizeof(shared));
	memset(&task, 0, sizeof(task));
	memset(delivered, 0, sizeof(delivered));
	guest.cpus[0] = &vcpu;
	guest.nr_cpus = 1;
	vcpu.lg = &guest;
	vcpu.tsk = &task;
	vcpu.state = &state;
	vcpu.shared = &shared;
	vcpu.getreg = vcpu.inject = vcpu.in_guest = -1;
	shared.irq_enabled = LGUEST_IF;
	interrupted = false;
	kicks = 0;
	halts = calls;
	for (i = 0; i < nr_threads; i++) {
		struct thread *t = &threads[i];

		if (!t->stack)
			t->stack = malloc(STACK);
		__asan_unpoison_memory_region(t->stack, STACK);
		t->done = false;
		t->where = RUNS;
		t->nr_stores = 0;
		t->history = 0;
		getcontext(&t->at);
		t->at.uc_stack.ss_sp = t->stack;
		t->at.uc_stack.ss_size = STACK;
		t->at.uc_link = &explorer;
		makecontext(&t->at, entry, 0);
	}
}

static bool ended_well(void)
{
	unsigned int i;

	for (i = 1; i < nr_threads; i++)
		assert_true(threads[i].done);
	asleep_once += threads[0].where == ASLEEP;
	in_guest_once += threads[0].where == IN_GUEST;
	if (threads[0].done)
		return guest.dead;
	if (guest.dead || vcpu.nmi)
		return false;
	if (threads[0].where == ASLEEP)
		return !vcpu.kicked && (!(shared.irq_enabled & LGUEST_IF) ||
					(!vcpu.ipis[0] && !vcpu.irqs_pending[0]));
	return !vcpu.ipis[0] && !vcpu.irqs_pending[0];
}

static void vcpu_runs(void)
{
	run_guest(&vcpu, NULL, 0);
}

/* @calls of HALT or WAIT first, then the guest only runs. */
static void every_order(unsigned int calls, u64 call, const volatile void *about,
			void (*teller)(void), void (*second)(void), void (*check)(void))
{
	unsigned long before = runs;

	assert_true(is_shared(about));
	told_by = about;
	halt_call = call;
	nr_threads = second ? 3 : 2;
	threads[0].program = vcpu_runs;
	threads[1].program = teller;
	threads[2].program = second;
	memset(choices, 0, sizeof(choices));
	memset(known, 0, sizeof(known));
	nr_known = 0;
	do {
		prepare(calls);
		if (!run_once())
			continue;
		runs++;
		if (!ended_well())
			fail_msg("after %lu orders: the vCPU %s, and was told something",
				 runs, threads[0].where == ASLEEP ? "sleeps" : "runs");
		if (check)
			check();
	} while (next_run());
	print_message("# %u states, %lu ends\n", nr_known, runs - before);
}

/* ---- what is told */

static void tells_ipi(void) { send_ipi(&vcpu, 253); }
static void tells_another_ipi(void) { send_ipi(&vcpu, 252); }
static void tells_nmi(void) { send_ipi(&vcpu, X86_TRAP_NMI); }
static void raises_line(void) { set_interrupt(&vcpu, 3); }
static void kicks_it(void) { end_wait(&vcpu); }
static void kills_it(void) { end_guest(&guest, LG_DEAD_RESTART); }

static void one_or_two(void)
{
	assert_in_range(delivered[253], 1, 2);
	assert_in_range(kicks, 0, delivered[253]);
}

/* It called WAIT once and was kicked once, before or after. */
static void is_awake(void)
{
	assert_int_not_equal(threads[0].where, ASLEEP);
}

static void test_running(void **unused)
{
	every_order(0, 0, &vcpu.ipis, tells_ipi, NULL, NULL);
	every_order(0, 0, &vcpu.irqs_pending, raises_line, NULL, NULL);
	every_order(0, 0, &vcpu.nmi, tells_nmi, NULL, NULL);
	every_order(0, 0, &guest.dead, kills_it, NULL, NULL);
	assert_true(in_guest_once);
}

static void test_goes_to_sleep(void **unused)
{
	every_order(1, LHCALL_HALT, &vcpu.ipis, tells_ipi, NULL, NULL);
	every_order(1, LHCALL_HALT, &vcpu.irqs_pending, raises_line, NULL, NULL);
	every_order(1, LHCALL_WAIT, &vcpu.nmi, tells_nmi, NULL, NULL);
	every_order(1, LHCALL_WAIT, &vcpu.kicked, kicks_it, NULL, is_awake);
	every_order(1, LHCALL_WAIT, &guest.dead, kills_it, NULL, NULL);
	every_order(2, LHCALL_HALT, &vcpu.ipis, tells_ipi, NULL, NULL);
	assert_true(asleep_once);
}

static void test_two_tell(void **unused)
{
	every_order(0, 0, &vcpu.ipis, tells_ipi, tells_ipi, one_or_two);
	every_order(1, LHCALL_HALT, &vcpu.ipis, tells_ipi, tells_another_ipi, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_running),
		cmocka_unit_test(test_goes_to_sleep),
		cmocka_unit_test(test_two_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
