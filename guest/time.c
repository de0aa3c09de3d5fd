// SPDX-License-Identifier: GPL-2.0
/*
 * Time: the TSC where it is good enough, else the Host's clock; a one-shot
 * timer on interrupt line 0; and the date from the shared page.
 * Read next: console.c.
 */
#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <asm/cpufeature.h>
#include <asm/hw_irq.h>
#include <asm/pvclock.h>
#include <asm/timer.h>
#include <asm/tsc.h>
#include <asm/x86_init.h>
#include "compat/cpu_cap.h"
#include "layer.h"

/*G:600
 * The date: time_seq is odd while the Host changes it.  The Host does that
 * only while this vCPU does not run, but one can be stopped between two reads.
:*/
static void get_wallclock(struct timespec64 *now)
{
	unsigned long flags;
	u32 seq;

	local_irq_save(flags);			/* another vCPU's date is older */
	hcall(LHCALL_GET_TIME, 0, 0, 0);	/* brings it up to date */
	do {
		seq = READ_SHARED(lguest_shared.time_seq) & ~1;
		barrier();
		now->tv_sec = READ_SHARED(lguest_shared.wall_sec);
		now->tv_nsec = READ_SHARED(lguest_shared.wall_nsec);
		barrier();
	} while (seq != READ_SHARED(lguest_shared.time_seq));
	local_irq_restore(flags);
}

static int set_wallclock(const struct timespec64 *now)
{
	return -ENODEV;
}

/*G:610
 * The clock without a TSC: a call to the Host for each reading.  With one it is there,
 * too, for the day on which the TSC is no good any more.
:*/
static u64 host_time(void)
{
	return hcall(LHCALL_GET_TIME, 0, 0, 0);
}

static u64 read_host_clock(struct clocksource *cs)
{
	return host_time();
}

static struct clocksource host_clock = {
	.name	= "lguest",
	.rating	= 250,		/* below the TSC, above the rest */
	.read	= read_host_clock,
	.mask	= CLOCKSOURCE_MASK(64),
	.flags	= CLOCK_SOURCE_IS_CONTINUOUS,
};

static unsigned long tsc_khz_from_host(void)
{
	return lguest_shared.tsc_khz;
}

/*G:620
 * The timer: one-shot, in nanoseconds from now.  It is set with interrupts off,
 * often several times before they are on again, so the last word is left in the
 * shared page, and the Host is visited when interrupts are enabled; HALT and
 * IRET take it along.  An interrupt that ended a HALT needs no such visit: next is
 * another HALT, or another task, and then lguest_do_late_calls().
 *
 * The word comes first: a visit in between takes it, and clears the other.
:*/
#define NEVER	(~0UL)

static int timer_set(unsigned long ns, struct clock_event_device *timer)
{
	WRITE_ONCE(lguest_shared.set_timer, max(ns, 1UL));
	barrier();
	if (!READ_SHARED(lguest_local.in_halt))
		WRITE_ONCE(lguest_shared.irq_pending, LGUEST_IF);
	return 0;
}

/* If the old time comes before the next visit, Linux finds nothing to do. */
static int timer_off(struct clock_event_device *timer)
{
	WRITE_ONCE(lguest_shared.set_timer, NEVER);
	return 0;
}

static const struct clock_event_device timer = {
	.name			= "lguest",
	.features		= CLOCK_EVT_FEAT_ONESHOT,
	.set_next_event		= timer_set,
	.set_state_shutdown	= timer_off,
	.set_state_oneshot_stopped = timer_off,
	.rating			= 400,
	.irq			= LGUEST_IRQ_TIMER,
};

/*G:625
 * The Host takes tsc_khz back when its TSC has stopped or begun anew.  Linux then takes
 * the next clock, in a thread of its own; until then its time stands still.
 *
 * The Host's clock, too, stands still while its machine sleeps, and the date must not:
 * it is put right a second later.  A date of the guest's own making keeps its distance.
:*/
static bool uses_tsc;
static s64 ahead;		/* of the Host's date, in seconds */
static u32 seen = 1, mended = 1;	/* sleeps of the Host; 1: it is not mended for the first time */

static void mend_date(struct work_struct *work)
{
	u32 until = READ_ONCE(seen);
	struct timespec64 now;

	get_wallclock(&now);
	if (abs(ahead) > 1)
		now.tv_sec += ahead;
	do_settimeofday64(&now);
	WRITE_ONCE(mended, until);
}

static DECLARE_DELAYED_WORK(date_work, mend_date);

/*
 * What a date is ahead that is not mended yet, perhaps just now, is no wish of the guest's.
 * Until Linux takes one of our clocks it counts ticks, and loses those that come too late.
 */
int timekeeping_valid_for_hres(void);

static void look_at_date(void)
{
	u32 sleeps = READ_SHARED(lguest_shared.sleeps);

	if (sleeps & 1 || lguest_shared.vcpu || !timekeeping_valid_for_hres())
		return;
	if (sleeps != seen) {
		unsigned long delay = seen == 1 ? 0 : HZ;

		WRITE_ONCE(seen, sleeps);
		schedule_delayed_work(&date_work, delay);
	} else if (READ_ONCE(mended) == seen) {
		ahead = ktime_get_real_seconds() - READ_SHARED(lguest_shared.wall_sec);
	}
}

static void look_at_tsc(void)
{
	if (!uses_tsc || READ_SHARED(lguest_shared.tsc_khz))
		return;
	uses_tsc = false;
	mark_tsc_unstable("the Host's word");
}

/*G:630
 * A guest that was paused, or whose machine slept, finds that its clocks went
 * on.  Linux's watchdogs would take that for a lockup of its own.  They need a
 * timer every four seconds, so a longer gap was none of Linux's doing.
:*/
#define LONGEST_GAP	8	/* s */

static void forgive_gap(void)
{
	u64 now = READ_SHARED(lguest_shared.wall_sec), last = lguest_local.last_second;

	if (last && now - last > LONGEST_GAP)
		pvclock_touch_watchdogs();
	lguest_local.last_second = now;
}

static struct clock_event_device __percpu *timers;

static irqreturn_t timer_interrupt(int irq, void *data)
{
	struct clock_event_device *own = this_cpu_ptr(timers);

	look_at_tsc();
	look_at_date();
	forgive_gap();
	own->event_handler(own);
	return IRQ_HANDLED;
}

static void start_timer(void)
{
	struct clock_event_device *own = this_cpu_ptr(timers);

	*own = timer;
	own->cpumask = cpumask_of(smp_processor_id());
	clockevents_config_and_register(own, NSEC_PER_SEC, 1, LONG_MAX);
	enable_percpu_irq(LGUEST_IRQ_TIMER, IRQ_TYPE_NONE);
}

/* On another vCPU: Linux has just forgotten all its vectors. */
static void start_other_timer(void)
{
	per_cpu(vector_irq, smp_processor_id())[LGUEST_IRQ_VECTOR + LGUEST_IRQ_TIMER] =
		irq_to_desc(LGUEST_IRQ_TIMER);
	start_timer();
}

/*
 * As with the timer of an APIC, its interrupts are each CPU's own: no lock, and
 * not counted as randomness, which would start a timer for each wake-up.
 */
static void timer_init(void)
{
	int irq = lguest_setup_irq(LGUEST_IRQ_TIMER);

	timers = alloc_percpu(struct clock_event_device);
	if (irq < 0 || !timers || irq_set_percpu_devid(irq))
		lguest_shutdown("No timer interrupt", LGUEST_SHUTDOWN_CRASH);
	__irq_set_handler(irq, handle_percpu_devid_irq, 0, "timer");
	if (request_percpu_irq(irq, timer_interrupt, "timer", timers))
		lguest_shutdown("No timer interrupt", LGUEST_SHUTDOWN_CRASH);
	start_timer();
	clocksource_register_hz(&host_clock, NSEC_PER_SEC);
}

/**
 * setup_time_ops() - tell Linux where time comes from
 *
 * With a usable TSC Linux's own clock source and vDSO do the work; they only
 * need to hear that it can be trusted.  Otherwise there is no TSC for Linux.
 */
void setup_time_ops(void)
{
	x86_platform.calibrate_tsc = tsc_khz_from_host;
	x86_platform.calibrate_cpu = tsc_khz_from_host;
	x86_platform.get_wallclock = get_wallclock;
	x86_platform.set_wallclock = set_wallclock;
	x86_init.timers.wallclock_init = x86_init_noop;
	x86_init.timers.timer_init = timer_init;
	x86_init.timers.setup_percpu_clockev = x86_init_noop;
	x86_cpuinit.setup_percpu_clockev = start_other_timer;

	uses_tsc = lguest_shared.tsc_khz != 0;
	if (uses_tsc) {
		force_cpu_cap(X86_FEATURE_CONSTANT_TSC);
		force_cpu_cap(X86_FEATURE_NONSTOP_TSC);
		force_cpu_cap(X86_FEATURE_TSC_KNOWN_FREQ);
		force_cpu_cap(X86_FEATURE_TSC_RELIABLE);
		/* Measured, it is 50 ms for each of the others. */
		if (lguest_shared.vcpus > 1)
			preset_lpj = lguest_shared.tsc_khz * 1000 / HZ;
	} else {
		setup_clear_cpu_cap(X86_FEATURE_TSC);
		/* No measuring of delay loops: any sane value will do. */
		preset_lpj = 1000000;
	}
}
