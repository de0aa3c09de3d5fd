// SPDX-License-Identifier: GPL-2.0
/*
 * Code of Linux's own that is changed, before it runs.
 * Read next: page.c.
 */
#include <linux/string.h>
#include <linux/types.h>
#include "layer.h"

extern char xen_iret[], early_xen_iret_patch[], this_cpu_cmpxchg16b_emu[];

/*G:150
 * Places of Linux's text that no op reaches.  Under XENPV Linux returns
 * to user by way of xen_iret, and to itself by way of a jump that is there to
 * be patched: both become jumps to lguest_iret, before the first trap needs
 * one.  The third executes `cli` before Linux has patched itself.  Others are
 * functions of which the layer has its own (privileged.c, absent.c, poke.c).
:*/

/**
 * patch_jump() - code of the kernel's becomes a jump
 * @at: its first byte, or NULL: this kernel does not have it
 * @to: where to
 *
 * Before anything write-protects the kernel's text.
 */
void patch_jump(char *at, const void *to)
{
	s32 distance;

	if (!at)
		return;
	/* Kernels with IBT look for an ENDBR where they put one. */
	if (!memcmp(at, "\xf3\x0f\x1e\xfa", 4))
		at += 4;
	/* And tracers for a call to them, of which Linux makes no operation. */
	if (*at == '\xe8')
		at += 5;
	distance = (char *)to - (at + 5);
	at[0] = 0xe9;
	memcpy(at + 1, &distance, sizeof(distance));
}

/**
 * patch_text() - the ways in which Linux returns, and its first `cli`
 */
void patch_text(void)
{
	patch_jump(xen_iret, lguest_iret);
	patch_jump(early_xen_iret_patch, lguest_iret);
	patch_jump(this_cpu_cmpxchg16b_emu, lguest_cmpxchg16b);
}
