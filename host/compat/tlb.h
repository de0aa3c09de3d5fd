/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does a CPU compare an address space's tlb_gen with its own whenever it loads it?
 * Always, until kernels came that can flush other CPUs' TLBs by an instruction (6.15).
 */
#ifndef _LG_COMPAT_TLB_H
#define _LG_COMPAT_TLB_H

#include <asm/cpufeature.h>

static inline bool tlb_gen_is_looked_at(void)
{
#ifdef X86_FEATURE_INVLPGB
	return !boot_cpu_has(X86_FEATURE_INVLPGB);
#else
	return true;
#endif
}

#endif
