/* SPDX-License-Identifier: GPL-2.0 */
/*
 * On AMD's CPUs from Zen on, 7.x asks the chipset why the machine was reset, at an
 * address that it just knows.  For us there is nothing, or memory; the Host would end
 * the guest.  Older kernels do not have the function, nor an address for it.
 */
#ifndef _GUEST_COMPAT_RESET_REASON_H
#define _GUEST_COMPAT_RESET_REASON_H

#include <linux/compiler.h>

int print_s5_reset_status_mmio(void) __weak;

#endif /* _GUEST_COMPAT_RESET_REASON_H */
