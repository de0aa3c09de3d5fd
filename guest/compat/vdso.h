/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The names of the three pages of code that Linux has for its programs, which changed
 * after 6.19.  One that a kernel lacks has no address.
 */
#ifndef _GUEST_COMPAT_VDSO_H
#define _GUEST_COMPAT_VDSO_H

#include <linux/compiler.h>
#include <asm/vdso.h>

extern const struct vdso_image vdso_image_64 __weak, vdso64_image __weak;
extern const struct vdso_image vdso_image_32 __weak, vdso32_image __weak;
extern const struct vdso_image vdso_image_x32 __weak, vdsox32_image __weak;

static const struct vdso_image *const vdso_images[] = {
	&vdso_image_64, &vdso64_image, &vdso_image_32, &vdso32_image,
	&vdso_image_x32, &vdsox32_image,
};

#endif /* _GUEST_COMPAT_VDSO_H */
