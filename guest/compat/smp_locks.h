/* SPDX-License-Identifier: GPL-2.0 */
/*
 * On one CPU Linux takes out its LOCK prefixes one by one, thousands of them,
 * each with two loads of CR3 and a flush: that costs more than they do.  From
 * 7.3 on it leaves them alone, and the variable is gone, as is its address.
 */
#ifndef _GUEST_COMPAT_SMP_LOCKS_H
#define _GUEST_COMPAT_SMP_LOCKS_H

extern int noreplace_smp __weak;

static inline void keep_lock_prefixes(void)
{
	if (&noreplace_smp)
		noreplace_smp = 1;
}

#endif /* _GUEST_COMPAT_SMP_LOCKS_H */
