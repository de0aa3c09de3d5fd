// SPDX-License-Identifier: GPL-2.0
/*
 * The clock event device of a vCPU: one shot, on the monotonic clock, so that
 * nobody who sets the host's time moves a guest's timers.
 * Read next: clock.c.
 */
#include <linux/hrtimer.h>
#include "lg.h"
#include "compat/hrtimer.h"

static enum hrtimer_restart clockdev_fired(struct hrtimer *timer)
{
	struct lg_cpu *cpu = container_of(timer, struct lg_cpu, timer);

	set_interrupt(cpu, LGUEST_IRQ_TIMER);
	return HRTIMER_NORESTART;
}

void init_clockdev(struct lg_cpu *cpu)
{
	lg_hrtimer_setup(&cpu->timer, clockdev_fired, CLOCK_MONOTONIC,
			 HRTIMER_MODE_REL);
}

/**
 * set_clockevent() - SET_CLOCKEVENT
 * @cpu: the vCPU
 * @ns: from now; 0 disarms; more than 2^62 (146 years) is never
 */
void set_clockevent(struct lg_cpu *cpu, u64 ns)
{
	if (!ns) {
		hrtimer_cancel(&cpu->timer);
		return;
	}
	hrtimer_start(&cpu->timer, ns_to_ktime(min_t(u64, ns, 1ULL << 62)),
		      HRTIMER_MODE_REL);
}

/**
 * take_clockevent() - the guest is out: has it left a word about its timer?
 * @cpu: the vCPU; its registers are ours
 *
 * Such a timer costs no visit of its own.
 */
void take_clockevent(struct lg_cpu *cpu)
{
	u64 ns = cpu->shared ? READ_ONCE(cpu->shared->set_timer) : 0;

	if (!ns)
		return;
	WRITE_ONCE(cpu->shared->set_timer, 0);
	set_clockevent(cpu, ns);
}

/* How many nanoseconds, at least 1; 0: it is off. */
u64 clockevent_left(struct lg_cpu *cpu)
{
	s64 left;

	if (!hrtimer_active(&cpu->timer))
		return 0;
	left = ktime_to_ns(hrtimer_get_remaining(&cpu->timer));
	return max_t(s64, left, 1);
}

void cancel_clockevent(struct lg_cpu *cpu)
{
	hrtimer_cancel(&cpu->timer);
}
