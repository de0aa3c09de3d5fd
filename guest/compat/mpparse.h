/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hooks with which Linux looks for a table of CPUs in the firmware: 6.9
 * renamed them, and made of the one that reads, early or late, two.
 */
#ifndef _GUEST_COMPAT_MPPARSE_H
#define _GUEST_COMPAT_MPPARSE_H

#include <linux/version.h>
#include <asm/x86_init.h>

static inline void no_cpu_table(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
	x86_init.mpparse.find_smp_config = x86_init_noop;
	x86_init.mpparse.get_smp_config = x86_init_uint_noop;
#else
	x86_init.mpparse.find_mptable = x86_init_noop;
	x86_init.mpparse.early_parse_smp_cfg = x86_init_noop;
	x86_init.mpparse.parse_smp_cfg = x86_init_noop;
#endif
}

#endif /* _GUEST_COMPAT_MPPARSE_H */
