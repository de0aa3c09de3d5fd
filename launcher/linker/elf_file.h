/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_ELF_FILE_H
#define _LGUEST_LINKER_ELF_FILE_H

#include <elf.h>

#include "util.h"

/*
 * An ELF file whose header, program headers and section headers have been
 * checked: every segment and section lies inside the file.  The tables are
 * copies; the contents stay in @file.
 */
struct elf {
	const struct blob *file;
	Elf64_Ehdr header;
	Elf64_Phdr *segments;
	unsigned int nr_segments;
	Elf64_Shdr *sections;
	unsigned int nr_sections;
};

/* @name is what the file is called in sentences; @type is ET_EXEC or ET_REL. */
int elf_open(struct elf *elf, const struct blob *file, const char *name,
	     unsigned int type, struct lguest_error *err);
void elf_close(struct elf *elf);

/*
 * The @len bytes which the file holds for virtual address @va, or NULL (no
 * segment there, or bss).
 */
uint8_t *elf_at(const struct elf *elf, uint64_t va, uint64_t len);

/* The section called @name, or NULL. */
const Elf64_Shdr *elf_section(const struct elf *elf, const char *name);

/* The name of a section, or NULL if it is damaged. */
const char *elf_section_name(const struct elf *elf, const Elf64_Shdr *section);

/* Go through the symbols; stops when @each does not return 0, and returns it. */
int elf_each_symbol(const struct elf *elf,
		    int (*each)(void *arg, const char *name,
				const Elf64_Sym *sym), void *arg);

#endif /* _LGUEST_LINKER_ELF_FILE_H */
