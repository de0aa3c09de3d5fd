/* SPDX-License-Identifier: GPL-2.0 */
/* native_cpuid(), and the names of CPUID's registers, moved out of asm/processor.h. */
#ifndef _GUEST_COMPAT_CPUID_H
#define _GUEST_COMPAT_CPUID_H

#include <asm/processor.h>
#if __has_include(<asm/cpuid/api.h>)
#include <asm/cpuid/api.h>
#endif

#endif /* _GUEST_COMPAT_CPUID_H */
