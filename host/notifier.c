// SPDX-License-Identifier: GPL-2.0
/*
 * The launcher's memory is the guest's memory, and stays under the rule of the
 * host's memory management: pages may be swapped, moved, merged or unmapped at
 * any time.  Before that happens the kernel tells us, and we take every shadow
 * entry for them away and make sure that no CPU still uses one.
 */
#include <linux/mmu_notifier.h>
#include <linux/smp.h>
#include "lg.h"

static void nothing(void *unused)
{
}

/* Interrupt a vCPU that runs: its next entry keeps nothing that is gone. */
void flush_running(struct lguest *lg)
{
	unsigned int i;
	int where;

	smp_mb();
	for (i = 0; i < lg->nr_cpus; i++) {
		where = READ_ONCE(lg->cpus[i].in_guest);
		if (where >= 0 && where != raw_smp_processor_id())
			smp_call_function_single(where, nothing, NULL, 1);
	}
}

static int invalidate_start(struct mmu_notifier *mn,
			    const struct mmu_notifier_range *range)
{
	struct lguest *lg = container_of(mn, struct lguest, notifier);

	spin_lock(&lg->lock);
	lg->changing++;
	zap_launcher_range(lg, range->start, range->end,
			   mmu_notifier_range_blockable(range));
	spin_unlock(&lg->lock);
	flush_running(lg);
	return 0;
}

static void invalidate_end(struct mmu_notifier *mn,
			   const struct mmu_notifier_range *range)
{
	struct lguest *lg = container_of(mn, struct lguest, notifier);

	spin_lock(&lg->lock);
	lg->changing--;
	spin_unlock(&lg->lock);
	wake_up_all(&lg->changed);
}

/* The launcher's address space ends; its vCPUs have left the guest for good. */
static void launcher_gone(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct lguest *lg = container_of(mn, struct lguest, notifier);

	spin_lock(&lg->lock);
	zap_launcher_range(lg, 0, ULONG_MAX, true);
	spin_unlock(&lg->lock);
	flush_running(lg);
}

static const struct mmu_notifier_ops ops = {
	.invalidate_range_start = invalidate_start,
	.invalidate_range_end = invalidate_end,
	.release = launcher_gone,
};

int watch_launcher(struct lguest *lg)
{
	lg->notifier.ops = &ops;
	return mmu_notifier_register(&lg->notifier, lg->mm);
}

void unwatch_launcher(struct lguest *lg)
{
	mmu_notifier_unregister(&lg->notifier, lg->mm);
}
