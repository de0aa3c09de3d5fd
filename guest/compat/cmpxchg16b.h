/* SPDX-License-Identifier: GPL-2.0 */
/*
 * this_cpu_cmpxchg16b_emu(): %rsi is the per-CPU address, rdx:rax the expected
 * and rcx:rbx the new value.  Until 6.4 it says in %al whether it succeeded;
 * from 6.5 on it leaves ZF and rdx:rax as CMPXCHG16B does.
 */
#ifndef _GUEST_COMPAT_CMPXCHG16B_H
#define _GUEST_COMPAT_CMPXCHG16B_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define CMPXCHG16B_RESULT	sete %al
#else
#define CMPXCHG16B_RESULT
#endif

#endif /* _GUEST_COMPAT_CMPXCHG16B_H */
