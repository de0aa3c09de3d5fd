/* SPDX-License-Identifier: GPL-2.0 */
/* Names of what asks the CPU: 6.16 gave them new ones. */
#ifndef _LG_COMPAT_CPU_H
#define _LG_COMPAT_CPU_H

#include <linux/version.h>
#include <asm/msr.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#include <asm/cpuid/api.h>
#define rdmsrl_safe(msr, value)			rdmsrq_safe(msr, value)
#define hypervisor_cpuid_base(signature, leaves) cpuid_base_hypervisor(signature, leaves)
#endif

#endif
