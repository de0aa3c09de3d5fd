/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Without MTRRs Linux takes all memory for uncached since 6.5, and maps none of it
 * for itself by large pages.  It can be told that all is cached; earlier ones
 * neither need that nor have the function.
 */
#ifndef _GUEST_COMPAT_MTRR_H
#define _GUEST_COMPAT_MTRR_H

#include <asm/mtrr.h>

#ifdef CONFIG_MTRR
struct mtrr_var_range;
void guest_force_mtrr_state(struct mtrr_var_range *var, unsigned int n,
			    mtrr_type default_type) __weak;
#endif

static inline void all_memory_is_cached(void)
{
#ifdef CONFIG_MTRR
	if (guest_force_mtrr_state)
		guest_force_mtrr_state(NULL, 0, MTRR_TYPE_WRBACK);
#endif
}

#endif /* _GUEST_COMPAT_MTRR_H */
