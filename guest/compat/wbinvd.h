/* SPDX-License-Identifier: GPL-2.0 */
/*
 * WBINVD had an operation; without it the launcher skips the instruction.  The
 * Kbuild file looks for the member, as nothing of C's can.
 */
#ifndef _GUEST_COMPAT_WBINVD_H
#define _GUEST_COMPAT_WBINVD_H

#include <asm/paravirt.h>

static inline void no_wbinvd(void)
{
#ifdef GUEST_HAS_WBINVD_OP
	pv_ops.cpu.wbinvd = paravirt_nop;
#endif
}

#endif /* _GUEST_COMPAT_WBINVD_H */
