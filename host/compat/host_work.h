/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The flags by which the kernel calls a task.  6.13 has a lazy wish to reschedule.
 */
#ifndef _LG_COMPAT_HOST_WORK_H
#define _LG_COMPAT_HOST_WORK_H

#include <linux/thread_info.h>

#ifndef _TIF_NEED_RESCHED_LAZY
#define _TIF_NEED_RESCHED_LAZY 0
#endif

#define LG_TIF_RESCHED (_TIF_NEED_RESCHED | _TIF_NEED_RESCHED_LAZY)
#define LG_TIF_USER_SPACE (_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL | \
			   _TIF_NOTIFY_RESUME | _TIF_PATCH_PENDING)

#endif
