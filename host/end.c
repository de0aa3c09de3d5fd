// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a guest, and how a vCPU is made to look around.
 * Read next: segments.c.
 */
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include "lg.h"

/*H:125
 * Any file ends a guest: one that broke a rule ends with a sentence that says which.
:*/

/* The first reason is kept: an allocated sentence, or an errno. */
void end_guest(struct lguest *lg, char *reason)
{
	struct lg_cpu *cpu;
	unsigned int i;

	if (cmpxchg(&lg->dead, NULL, reason) != NULL && !IS_ERR(reason))
		kfree(reason);
	for_each_vcpu(lg, cpu, i)
		kick_cpu(cpu);
	wake_up_all(&lg->breakers);
}

/**
 * kill_guest() - end a guest, with a sentence
 * @cpu: the vCPU that did it
 * @fmt: as for printf, with its arguments
 *
 * The first reason is kept.  Callers go on with harmless values: the guest does
 * not run again, and read() gives the sentence to the launcher.
 */
void kill_guest(struct lg_cpu *cpu, const char *fmt, ...)
{
	struct lguest *lg = cpu->lg;
	va_list args;
	char *reason;

	if (READ_ONCE(lg->dead))
		return;
	va_start(args, fmt);
	reason = kvasprintf(GFP_ATOMIC, fmt, args);
	va_end(args);
	end_guest(lg, reason ?: ERR_PTR(-ENOMEM));
}

/*
 * Make a vCPU look around: interrupt it if it runs, wake it if it sleeps.  It is
 * woken from sleep_halted() only, not from wherever else its task may wait for
 * something.  Who calls has made a change, then looks at both marks; the vCPU sets
 * in_guest or asleep, then looks for changes; so one of them sees the other.  If
 * neither mark is set, it is in the Host, and looks before it enters or sleeps.
 */
void kick_cpu(struct lg_cpu *cpu)
{
	smp_mb();
	if (READ_ONCE(cpu->in_guest) >= 0)
		kick_process(cpu->tsk);
	else if (READ_ONCE(cpu->asleep))
		wake_up_process(cpu->tsk);
}
