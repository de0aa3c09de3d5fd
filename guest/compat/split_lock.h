/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A split lock of a process (#AC, and its flag AC is off): Linux switches the CPU's
 * detection off for a moment and lets the process try again.  That is the Host's to do; it
 * gives us such an exception only if its kernel does not let it (host/compat/split_lock.h),
 * and the process would try for ever.  So it shall be as with split_lock_detect=fatal:
 * SIGBUS.
 *
 * The type of Linux's variable is in no header; its values are the same in all kernels.
 */
#ifndef _GUEST_COMPAT_SPLIT_LOCK_H
#define _GUEST_COMPAT_SPLIT_LOCK_H

#define SLD_FATAL	2

extern unsigned int sld_state __weak;

static inline void split_locks_are_fatal(void)
{
	if (&sld_state)
		sld_state = SLD_FATAL;
}

#endif /* _GUEST_COMPAT_SPLIT_LOCK_H */
