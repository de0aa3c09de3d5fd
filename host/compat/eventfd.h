/* SPDX-License-Identifier: GPL-2.0 */
/* eventfd_signal() lost its count in 6.8. */
#ifndef _LG_COMPAT_EVENTFD_H
#define _LG_COMPAT_EVENTFD_H

#include <linux/eventfd.h>
#include <linux/version.h>

static inline void lg_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx);
#else
	eventfd_signal(ctx, 1);
#endif
}

#endif
