/* SPDX-License-Identifier: GPL-2.0 */
/* Drivers for the guest's initramfs, out of /lib/modules. */
#ifndef LGUEST_MODULES_H
#define LGUEST_MODULES_H

#include "cpio.h"

#ifndef MODULES_PLACE		/* a test has its own */
#define MODULES_PLACE	"/lib/modules"
#endif

/*
 * Add these modules (names, NULL-ended) and what they depend on, and the file
 * lguest/modules, which lists them in the order of loading.  What is missing is
 * told, and left out.  release may be NULL: not known.
 */
void add_modules(struct archive *archive, const char *release,
		 const char *const *names);

#endif /* LGUEST_MODULES_H */
