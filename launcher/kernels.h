/* SPDX-License-Identifier: GPL-2.0 */
/* Which kernel a guest boots. */
#ifndef LGUEST_KERNELS_H
#define LGUEST_KERNELS_H

#include <stddef.h>

#define KERNELS_PLACE "/boot/vmlinuz-*"

/*
 * The linked file for a kernel named by the user, or with NULL for the newest
 * installed one that can be used; NULL after a message.  To be freed.
 */
char *choose_kernel(const char *wanted);
/*
 * The same without messages: *vmlinuz names what was chosen, *why what is wrong with the
 * newest, if it could not be.
 */
char *newest_kernel(char **vmlinuz, char **why);

/* Newer versions first, as 6.10 before 6.9. */
int compare_kernels(const void *a, const void *b);

#endif /* LGUEST_KERNELS_H */
