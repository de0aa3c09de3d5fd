/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_KERNEL_H
#define _LGUEST_LINKER_KERNEL_H

#include "kallsyms.h"

/* A kernel, unpacked, with its names. */
struct kernel {
	const char *name;	/* in sentences: the path it came from */
	struct blob image;
	struct elf elf;		/* of image */
	struct kallsyms ks;
	char *release;
};

int kernel_open(struct kernel *k, const struct blob *file, const char *name,
		struct lguest_error *err);
void kernel_close(struct kernel *k);

/* Does it have what a guest needs? */
int kernel_check(const struct kernel *k, struct lguest_error *err);

/* The address of a symbol that must be there, and only once. */
int kernel_symbol(const struct kernel *k, const char *name, uint64_t *address,
		  struct lguest_error *err);

#endif /* _LGUEST_LINKER_KERNEL_H */
