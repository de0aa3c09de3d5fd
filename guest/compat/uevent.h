/* SPDX-License-Identifier: GPL-2.0 */
/* What the uevent operation of a device type gets: const since 6.2. */
#ifndef _GUEST_COMPAT_UEVENT_H
#define _GUEST_COMPAT_UEVENT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
typedef struct device uevent_device_t;
#else
typedef const struct device uevent_device_t;
#endif

#endif /* _GUEST_COMPAT_UEVENT_H */
