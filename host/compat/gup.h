/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that NUMA balancing has hidden, to see who uses them, are brought back by
 * get_user_pages_fast(): always before 6.6, and since then if this flag says so.
 */
#ifndef _LG_COMPAT_GUP_H
#define _LG_COMPAT_GUP_H

#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define LG_FOLL_NUMA	FOLL_HONOR_NUMA_FAULT
#else
#define LG_FOLL_NUMA	0
#endif

#endif
