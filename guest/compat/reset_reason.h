/* SPDX-License-Identifier: GPL-2.0 */
/*
 * On AMD's CPUs from Zen on, Linux since 6.16 asks the chipset why the machine was reset,
 * at an address that it just knows.  For us there is nothing, or memory; the Host would end
 * the guest.  Linux finds its initcalls in a table: this one becomes a function that
 * returns 0.
 *
 * Older kernels do not have the function, nor an address for it.  To one that must have it
 * and does not (by another name, say) the layer is not linked.
 */
#ifndef _GUEST_COMPAT_RESET_REASON_H
#define _GUEST_COMPAT_RESET_REASON_H

#include <linux/init.h>
#include <linux/printk.h>
#include <linux/static_call.h>
#include <linux/version.h>

extern initcall_entry_t __initcall0_start[], __initcall_end[];

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0) && defined(CONFIG_CPU_SUP_AMD)
int print_s5_reset_status_mmio(void);

static inline void no_reset_reason(void)
{
	initcall_entry_t *at;

	for (at = __initcall0_start; at < __initcall_end; at++) {
		if (initcall_from_entry(at) != print_s5_reset_status_mmio)
			continue;
		*at = (long)__static_call_return0 - (long)at;
		return;
	}
	pr_err("lguest: print_s5_reset_status_mmio is not in Linux's table of initcalls; on an AMD CPU it will end the guest\n");
}
#else
static inline void no_reset_reason(void)
{
}
#endif

#endif /* _GUEST_COMPAT_RESET_REASON_H */
