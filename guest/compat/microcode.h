/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The loader of microcode.  It stays away unless code that we take the place of,
 * x86_64_start_kernel(), has called it; 7.x, later, just asks what that code would
 * have found in CPUID: is there a hypervisor?  If not, it reads and writes MSRs
 * without asking us.
 *
 * Kernels without the variable have no address for it.
 */
#ifndef _GUEST_COMPAT_MICROCODE_H
#define _GUEST_COMPAT_MICROCODE_H

#include <linux/types.h>

extern bool x86_hypervisor_present __weak;

static inline void no_microcode_loader(void)
{
	if (&x86_hypervisor_present)
		x86_hypervisor_present = true;
}

#endif /* _GUEST_COMPAT_MICROCODE_H */
