// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest is told of time: the date, and whether it may read the TSC by itself.
 * Read next: dev.c.
 */
#include <linux/ktime.h>
#include <linux/suspend.h>
#include <linux/syscore_ops.h>
#include <linux/timekeeping.h>
#include <asm/tsc.h>
#include "lg.h"
#include "compat/snapshot.h"
#include "compat/syscore.h"

/*H:520
 * The guest reads the CPU's own TSC: nobody can put an offset in between.  So it is
 * told the rate only if the host's kernel keeps its own time that way, having looked
 * at it better than we could.  Where another clock is in use (kvm-clock: the machine
 * may be moved to a CPU of another rate; hpet: the TSC stops, or CPUs differ) guests
 * ask us for each reading.
 *
 * That may change.  The kernel finds out that the TSC cannot be trusted; or the host
 * is suspended to RAM, where most CPUs begin at 0 again.  Then the rate is taken back,
 * and the guest goes on with our clock (guest/time.c).
 *
 * The date goes on while the host sleeps, by whatever means, but not the clock that it
 * is counted by.  So guests are told that it slept.
 */
static unsigned int restarts, sleeps;

static int tsc_restarts(void)
{
	restarts++;
	return 0;
}

LG_DEFINE_SYSCORE(sleeper, tsc_restarts);

/* Odd from before the host sleeps until it is awake again. */
static int count_sleep(struct notifier_block *nb, unsigned long event, void *unused)
{
	if (event == PM_SUSPEND_PREPARE || event == PM_HIBERNATION_PREPARE)
		WRITE_ONCE(sleeps, sleeps | 1);
	else if (event == PM_POST_SUSPEND || event == PM_POST_HIBERNATION)
		WRITE_ONCE(sleeps, (sleeps | 1) + 1);
	return NOTIFY_DONE;
}

static struct notifier_block sleep_counter = {
	.notifier_call = count_sleep,
};

/* The kernel's clock, in its own unit, read between two looks at the TSC. */
static bool kernel_uses_tsc(void)
{
	struct system_time_snapshot now;
	u64 before = rdtsc_ordered();

	lg_get_snapshot(&now);
	return now.cycles - before <= rdtsc_ordered() - before;
}

/**
 * start_clock() - the shared page is there: what clock has this guest?
 * @cpu: the vCPU
 */
void start_clock(struct lg_cpu *cpu)
{
	cpu->restarts = READ_ONCE(restarts);
	cpu->sleeps = READ_ONCE(sleeps) & ~1;
	cpu->shared->tsc_khz = !check_tsc_unstable() && kernel_uses_tsc() ? tsc_khz : 0;
	write_times(cpu);
}

static void look_at_tsc(struct lg_cpu *cpu)
{
	if (check_tsc_unstable() || cpu->restarts != READ_ONCE(restarts))
		WRITE_ONCE(cpu->shared->tsc_khz, 0);
}

/* The wall clock, for a guest that starts or that just took an interrupt. */
void write_times(struct lg_cpu *cpu)
{
	struct lguest_shared *shared = cpu->shared;
	struct timespec64 now;

	look_at_tsc(cpu);
	WRITE_ONCE(shared->sleeps, READ_ONCE(sleeps) - cpu->sleeps);
	ktime_get_real_ts64(&now);
	WRITE_ONCE(shared->time_seq, shared->time_seq + 1);
	smp_wmb();
	shared->wall_sec = now.tv_sec;
	shared->wall_nsec = now.tv_nsec;
	smp_wmb();
	WRITE_ONCE(shared->time_seq, shared->time_seq + 1);
}

void init_clock(void)
{
	register_syscore(&sleeper);
	register_pm_notifier(&sleep_counter);
}

void free_clock(void)
{
	unregister_pm_notifier(&sleep_counter);
	unregister_syscore(&sleeper);
}
