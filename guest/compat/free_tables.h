/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Page tables that Linux frees: at once, unless an operation says otherwise.  From 6.15
 * on RCU always decides when, and there is no operation.
 */
#ifndef _GUEST_COMPAT_FREE_TABLES_H
#define _GUEST_COMPAT_FREE_TABLES_H

#include <linux/version.h>
#include <asm/paravirt.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
struct mmu_gather;
void tlb_remove_table(struct mmu_gather *tlb, void *table);

static inline void free_tables_late(void)
{
	pv_ops.mmu.tlb_remove_table = tlb_remove_table;
}
#else
static inline void free_tables_late(void)
{
}
#endif

#endif /* _GUEST_COMPAT_FREE_TABLES_H */
