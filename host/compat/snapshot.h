/* SPDX-License-Identifier: GPL-2.0 */
/* ktime_get_snapshot() is ktime_get_snapshot_id() from 7.2 on at the latest, of any clock. */
#ifndef _LG_COMPAT_SNAPSHOT_H
#define _LG_COMPAT_SNAPSHOT_H

#include <linux/timekeeping.h>
#include <linux/version.h>

static inline void lg_get_snapshot(struct system_time_snapshot *now)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0)
	ktime_get_snapshot_id(CLOCK_MONOTONIC, now);
#else
	ktime_get_snapshot(now);
#endif
}

#endif
