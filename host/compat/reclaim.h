/* SPDX-License-Identifier: GPL-2.0 */
/* Since 6.4 there is a function by which a task that reclaims memory learns of pages. */
#ifndef _LG_COMPAT_RECLAIM_H
#define _LG_COMPAT_RECLAIM_H

#include <linux/sched.h>
#include <linux/swap.h>
#include <linux/version.h>

/* Does nothing in a task that does not reclaim memory. */
static inline void lg_account_reclaimed(unsigned long pages)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	mm_account_reclaimed_pages(pages);
#else
	if (current->reclaim_state)
		current->reclaim_state->reclaimed_slab += pages;
#endif
}

#endif
