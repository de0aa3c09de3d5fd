/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of the kernel's remedies.  An option that is renamed takes what depends on it
 * away without a word, so options are asked for here and nowhere else, by each of their
 * names, and tests/system/built.sh looks into lg.ko, for each kernel, whether everything
 * that the kernel has is in it.
 */
#ifndef _LG_COMPAT_MITIGATIONS_H
#define _LG_COMPAT_MITIGATIONS_H

#ifndef __ASSEMBLY__
#include <linux/cpu.h>
#include <asm/cpufeature.h>
#include <asm/nospec-branch.h>

/*
 * Does the kernel want an IBPB between guests?  A feature of the CPU before 6.15.  From
 * 7.2 on at the latest only KVM may ask (LG_KVM_ONLY, see Kbuild): then always, if it
 * wants anything at all.
 */
static inline bool lg_wants_ibpb(void)
{
#ifdef X86_FEATURE_USE_IBPB
	return boot_cpu_has(X86_FEATURE_USE_IBPB);
#elif defined(LG_KVM_ONLY)
	return boot_cpu_has(X86_FEATURE_IBPB) && !cpu_mitigations_off();
#else
	return static_branch_likely(&switch_vcpu_ibpb);
#endif
}

/* VERW before a guest: as before a user, or as before a guest of KVM, if that alone. */
static inline bool lg_wants_verw(void)
{
#ifdef X86_FEATURE_CLEAR_CPU_BUF_VM
	if (boot_cpu_has(X86_FEATURE_CLEAR_CPU_BUF_VM))
		return true;
#endif
	return boot_cpu_has(X86_FEATURE_CLEAR_CPU_BUF);
}
#else

/*
 * As after a guest of KVM: spec_rstack_overflow=ibpb-vmexit wants the barrier there only.
 * Where it is wanted after a user, it is after a guest.  6.1 has no macro for it.
 */
#include <asm/nospec-branch.h>
#ifndef UNTRAIN_RET_VM
.macro UNTRAIN_RET_VM
	UNTRAIN_RET
	ALTERNATIVE "", "call entry_ibpb", X86_FEATURE_IBPB_ON_VMEXIT
.endm
#endif
#endif

/* CPU_IBRS_ENTRY is MITIGATION_IBRS_ENTRY since 6.9. */
#if defined(CONFIG_CPU_IBRS_ENTRY) || defined(CONFIG_MITIGATION_IBRS_ENTRY)
#define LG_IBRS_ENTRY
#endif

#endif
