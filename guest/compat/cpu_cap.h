/* SPDX-License-Identifier: GPL-2.0 */
/*
 * setup_force_cpu_cap() without the WARN that it has by 6.12, that it is too late:
 * the layer has no place for one (see layer.lds), and never is.
 */
#ifndef _GUEST_COMPAT_CPU_CAP_H
#define _GUEST_COMPAT_CPU_CAP_H

#include <asm/cpufeature.h>

static inline void force_cpu_cap(unsigned int bit)
{
	set_cpu_cap(&boot_cpu_data, bit);
	set_bit(bit, (unsigned long *)cpu_caps_set);
}

#endif /* _GUEST_COMPAT_CPU_CAP_H */
