// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest teaches the branch predictors is for nobody else.  To the CPU guest,
 * launcher and other guests are all user space, so nothing but a barrier (IBPB) keeps
 * them apart.  Whether there is one is the kernel's choice (lg_wants_ibpb()).
 * Read next: timer.c.
 */
#include <linux/cpuhotplug.h>
#include <linux/percpu.h>
#include <linux/user-return-notifier.h>
#include <asm/cpufeature.h>
#include <asm/nospec-branch.h>
#include "lg.h"
#include "compat/mitigations.h"

struct predictions {
	struct user_return_notifier notifier;
	bool watched;			/* a guest ran here since user space did */
	u64 last;			/* number of the guest that ran here last */
};

static DEFINE_PER_CPU(struct predictions, predictions);
static int hotplug_state;

static void end_watch(struct predictions *p)
{
	unsigned long flags;

	local_irq_save(flags);
	if (p->watched)
		user_return_notifier_unregister(&p->notifier);
	p->watched = false;
	local_irq_restore(flags);
}

/* This CPU is about to return to user space: of a launcher, or of anybody. */
static void forget_predictions(struct user_return_notifier *notifier)
{
	end_watch(container_of(notifier, struct predictions, notifier));
	indirect_branch_prediction_barrier();
}

/*
 * Since it knows VMSCAPE the kernel does the same after KVM's guests, and for us if
 * asked; but only on CPUs where it was shown, and in no virtual machine.
 */
static void separate_from_user_space(struct predictions *p)
{
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	if (boot_cpu_has(X86_FEATURE_IBPB_EXIT_TO_USER)) {
		this_cpu_write(x86_ibpb_exit_to_user, true);
		return;
	}
#endif
	if (p->watched || !lg_wants_ibpb())
		return;
	p->watched = true;
	p->notifier.on_user_return = forget_predictions;
	user_return_notifier_register(&p->notifier);
}

/**
 * separate_predictions() - a guest is about to be entered
 * @cpu: its vCPU; interrupts are off
 */
void separate_predictions(struct lg_cpu *cpu)
{
	struct predictions *p = this_cpu_ptr(&predictions);

	separate_from_user_space(p);
	if (p->last == cpu->lg->number)
		return;
	p->last = cpu->lg->number;
	if (lg_wants_ibpb())
		indirect_branch_prediction_barrier();
}

static int cpu_goes(unsigned int cpu)
{
	end_watch(per_cpu_ptr(&predictions, cpu));
	return 0;
}

int init_predictions(void)
{
	hotplug_state = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN,
						  "lguest:predictions", NULL, cpu_goes);
	return hotplug_state < 0 ? hotplug_state : 0;
}

/* On each CPU, as if it went. */
void free_predictions(void)
{
	cpuhp_remove_state(hotplug_state);
}
