/* SPDX-License-Identifier: GPL-2.0 */
/* Whether port I/O is followed by a delay: an operation, by 7.2 a flag. */
#ifndef _GUEST_COMPAT_IO_DELAY_H
#define _GUEST_COMPAT_IO_DELAY_H

#include <asm/paravirt.h>

static inline void no_io_delay(void)
{
#if __has_include(<asm/paravirt-base.h>)
	pv_info.io_delay = false;
#else
	pv_ops.cpu.io_delay = paravirt_nop;
#endif
}

#endif /* _GUEST_COMPAT_IO_DELAY_H */
