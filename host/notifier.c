// SPDX-License-Identifier: GPL-2.0
/*
 * The launcher's memory is the guest's memory, and stays under the rule of the
 * host's memory management: pages may be swapped, moved, merged or unmapped at
 * any time.  Before that happens the kernel tells us, and we take every shadow
 * entry for them away and make sure that no CPU still uses one.  Until it tells
 * us that the change is done, none is made for them.
 * Read next: shrink.c.
 */
#include <linux/mmu_notifier.h>
#include "lg.h"

/*
 * Most of the launcher's memory is not the guest's: what becomes of it does not
 * matter.  The kernel gives the same range at the beginning and at the end of a
 * change, so both times the answer is the same.
 */
static bool is_guests(struct lguest *lg, unsigned long start, unsigned long end)
{
	return end > lg->base && start < lg->base + (lg->pfn_limit << PAGE_SHIFT);
}

/*
 * Changes under way: how many, and the range that holds them all.  It shrinks
 * when the last of them ends.
 */
static void begin_change(struct lguest *lg, unsigned long start,
			 unsigned long end)
{
	if (!lg->changing++) {
		lg->changing_start = start;
		lg->changing_end = end;
		return;
	}
	lg->changing_start = min(lg->changing_start, start);
	lg->changing_end = max(lg->changing_end, end);
}

/**
 * is_changing() - is the launcher's memory there about to change?
 * @lg: the guest; lg->lock is held
 * @start: launcher address
 * @size: in bytes
 *
 * Then nothing may be believed that its tables say of it.
 */
bool is_changing(struct lguest *lg, unsigned long start, unsigned long size)
{
	return lg->changing && start < lg->changing_end &&
	       start + size > lg->changing_start;
}

/* The same for one page, to wait for. */
bool page_is_changing(struct lguest *lg, unsigned long page)
{
	bool changing;

	spin_lock(&lg->lock);
	changing = is_changing(lg, page, PAGE_SIZE);
	spin_unlock(&lg->lock);
	return changing;
}

static int invalidate_start(struct mmu_notifier *mn,
			    const struct mmu_notifier_range *range)
{
	struct lguest *lg = container_of(mn, struct lguest, notifier);
	u64 stamp;

	if (!is_guests(lg, range->start, range->end))
		return 0;
	spin_lock(&lg->lock);
	begin_change(lg, range->start, range->end);
	zap_launcher_range(lg, range->start, range->end,
			   mmu_notifier_range_blockable(range));
	stamp = lg->shrinks;
	spin_unlock(&lg->lock);
	chase(lg, LG_ALL_VCPUS, stamp);
	return 0;
}

static void invalidate_end(struct mmu_notifier *mn,
			   const struct mmu_notifier_range *range)
{
	struct lguest *lg = container_of(mn, struct lguest, notifier);

	if (!is_guests(lg, range->start, range->end))
		return;
	spin_lock(&lg->lock);
	lg->changing--;
	spin_unlock(&lg->lock);
	wake_up_all(&lg->changed);
}

/* The launcher's address space ends; its vCPUs have left the guest for good. */
static void launcher_gone(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct lguest *lg = container_of(mn, struct lguest, notifier);
	u64 stamp;

	spin_lock(&lg->lock);
	zap_launcher_range(lg, 0, ULONG_MAX, true);
	stamp = lg->shrinks;
	spin_unlock(&lg->lock);
	chase(lg, LG_ALL_VCPUS, stamp);
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
