/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A task's shadow stack, which Linux knows from 6.6 on.  Before, no task has one.
 */
#ifndef _LG_COMPAT_SHADOW_STACK_H
#define _LG_COMPAT_SHADOW_STACK_H

#include <asm/cpufeature.h>
#include "cpu.h"

/* Until the task's extended state is loaded again. */
static inline void user_shadow_stack_off(void)
{
#ifdef X86_FEATURE_USER_SHSTK
	if (boot_cpu_has(X86_FEATURE_USER_SHSTK))
		wrmsrq(MSR_IA32_U_CET, 0);
#endif
}

#endif
