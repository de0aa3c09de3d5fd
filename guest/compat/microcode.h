/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The loader of microcode.  It stays away unless code that we take the place of,
 * x86_64_start_kernel(), has called it; 7.x, later, just asks what that code would
 * have found in CPUID: is there a hypervisor?  If not, it reads and writes MSRs
 * without asking us.
 *
 * Older kernels do not have the variable, nor an address for it.  To one that must have it
 * and does not the layer is not linked.
 */
#ifndef _GUEST_COMPAT_MICROCODE_H
#define _GUEST_COMPAT_MICROCODE_H

#include <linux/types.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0) && defined(CONFIG_MICROCODE)
extern bool x86_hypervisor_present;
#else
extern bool x86_hypervisor_present __weak;
#endif

static inline void no_microcode_loader(void)
{
	bool *present = &x86_hypervisor_present;

	OPTIMIZER_HIDE_VAR(present);
	if (present)
		*present = true;
}

/*
 * Each other CPU would load it for itself, without asking: 6.12 on AMD's CPUs.  The
 * variable says that it was told not to; where it is not, nobody does.
 */
extern bool dis_ucode_ldr __weak;

static inline void no_other_microcode(void)
{
	bool *disabled = &dis_ucode_ldr;

	OPTIMIZER_HIDE_VAR(disabled);
	if (disabled)
		*disabled = true;
}

#endif /* _GUEST_COMPAT_MICROCODE_H */
