/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host's policy towards a process that locks memory across two cache lines: a warning
 * and a delay, or SIGBUS.  From 7.2 on at the latest the kernel has it for itself and KVM
 * (LG_KVM_ONLY, see Kbuild), and there it cannot even be asked which one it is.  So
 * there it is the guest's exception, whose kernel has to do with the process; the host
 * loses nothing, as its bus is never locked.
 */
#ifndef _LG_COMPAT_SPLIT_LOCK_H
#define _LG_COMPAT_SPLIT_LOCK_H

#include <asm/cpu.h>
#include <asm/cpufeature.h>

#ifdef LG_KVM_ONLY
static inline bool host_judges_split_locks(void)
{
	return false;
}

static inline bool judge_split_lock(unsigned long ip)
{
	return false;
}
#else
static inline bool host_judges_split_locks(void)
{
	return boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT);
}
#define judge_split_lock	handle_guest_split_lock
#endif

#endif
