/* SPDX-License-Identifier: GPL-2.0 */
/* Names of what asks the CPU: 6.16 gave them new ones, and the old ones went later. */
#ifndef _LG_COMPAT_CPU_H
#define _LG_COMPAT_CPU_H

#include <asm/msr.h>
#include <asm/processor.h>

#ifndef __CHECKER__	/* sparse does not know it, and needs no newer kernel's */
#if __has_include(<asm/cpuid/api.h>)
#include <asm/cpuid/api.h>
#endif
#endif

#ifndef rdmsrq
#define rdmsrq(msr, value)			rdmsrl(msr, value)
#define wrmsrq(msr, value)			wrmsrl(msr, value)
#define rdmsrq_safe(msr, value)			rdmsrl_safe(msr, value)
#define cpuid_base_hypervisor(signature, leaves) hypervisor_cpuid_base(signature, leaves)
#endif

#endif
