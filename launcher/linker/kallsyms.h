/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_KALLSYMS_H
#define _LGUEST_LINKER_KALLSYMS_H

#include "elf_file.h"

struct symbol {
	uint64_t address;
	uint32_t name;		/* offset into names */
	char type;		/* as nm(1) has it: T t D d R r A ... */
};

struct kallsyms {
	struct symbol *symbols;	/* in the kernel's order: by address */
	uint32_t *by_name;	/* their numbers, sorted by name, address */
	uint32_t nr;
	char *names;		/* each NUL-ended */
	const char *layout;	/* what was found, for -v */
};

/* Recover all symbols of @vmlinux, called @name, from its own tables. */
int kallsyms_read(struct kallsyms *ks, const struct elf *vmlinux,
		  const char *name, struct lguest_error *err);
void kallsyms_free(struct kallsyms *ks);

static inline const char *symbol_name(const struct kallsyms *ks,
				      const struct symbol *s)
{
	return ks->names + s->name;
}

/*
 * What an `extern` of that name means: the only global symbol of the name or,
 * without any, the only static one.  Returns 0 if there is none, 1 and the
 * address, or else how many different addresses it could be.
 */
unsigned int kallsyms_lookup(const struct kallsyms *ks, const char *name,
			     uint64_t *address);

#endif /* _LGUEST_LINKER_KALLSYMS_H */
