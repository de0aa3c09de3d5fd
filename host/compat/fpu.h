/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From 6.15 on kernel_fpu_begin() keeps softirqs off if interrupts are on, and
 * kernel_fpu_end() has to find interrupts on, or it leaves them so.  A PREEMPT_RT kernel
 * keeps preemption off instead; it is refused, but lg.ko must be built to say so.
 */
#ifndef _LG_COMPAT_FPU_H
#define _LG_COMPAT_FPU_H

#include <linux/bottom_half.h>
#include <linux/version.h>
#include <asm/fpu/api.h>

/* The end of what began with interrupts on; now they are off. */
static inline void kernel_fpu_end_irqs_off(void)
{
	kernel_fpu_end();
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0) && !defined(CONFIG_PREEMPT_RT)
	_local_bh_enable();
#endif
}

#endif
