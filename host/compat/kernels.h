/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernels that lg.ko knows, as the file KERNELS says (tests/system/kernels.sh
 * compares).  One that is older or newer may have everything that we name, and mean
 * something else by it: so for that one it is built only if told to, and says so.
 */
#ifndef _LG_COMPAT_KERNELS_H
#define _LG_COMPAT_KERNELS_H

#include <linux/version.h>

#define LG_KNOWN_KERNELS	"6.1 to 7.3"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(7, 4, 0)
#define LG_KERNEL_IS_KNOWN	1
#else
#define LG_KERNEL_IS_KNOWN	0
#ifndef LG_TRY_ANYWAY
#error "lguest knows Linux 6.1 to 7.3 and not this kernel; take one of those, or try it with make TRY_ANYWAY=1"
#endif
#endif

#endif
