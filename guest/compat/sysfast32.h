/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The feature that makes the 32-bit vDSO enter the kernel by SYSENTER: by 7.2 it
 * has a new name, as it stands for SYSCALL, too.
 */
#ifndef _GUEST_COMPAT_SYSFAST32_H
#define _GUEST_COMPAT_SYSFAST32_H

#include <asm/cpufeatures.h>

#ifndef X86_FEATURE_SYSFAST32
#define X86_FEATURE_SYSFAST32	X86_FEATURE_SYSENTER32
#endif

#endif /* _GUEST_COMPAT_SYSFAST32_H */
