/* SPDX-License-Identifier: GPL-2.0 */
/* Which kernel a guest boots. */
#ifndef LGUEST_KERNELS_H
#define LGUEST_KERNELS_H

#include <stdbool.h>

/*
 * The linked file for a kernel named by the user, or with NULL for the newest
 * installed one that can be used; NULL after a message.  To be freed.  With
 * @try_anyway also one of a version that the linker does not know.
 */
char *choose_kernel(const char *wanted, bool try_anyway);
/*
 * The same without messages: *vmlinuz names what was chosen, *why what is wrong with the
 * newest, if it could not be.
 */
char *newest_kernel(bool try_anyway, char **vmlinuz, char **why);

#endif /* LGUEST_KERNELS_H */
