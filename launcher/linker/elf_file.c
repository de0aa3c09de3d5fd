// SPDX-License-Identifier: GPL-2.0
/*P:040
 * ELF files come from three sides: the kernel from a distribution, the layer
 * from the compiler, the two linked from ld.  All are read here, and nothing
 * in them is believed: whatever elf_open() lets through can be used without
 * another look at the size of the file.
 * Read next: kallsyms.c.
:*/
#include <stdlib.h>

#include "elf_file.h"

/* A kernel has five. */
#define SEGMENTS_MAX	64

/*
 * Copy a table of @nr entries of @size bytes at @off.  Program and section
 * headers have different types but the same needs.
 */
static void *copy_table(const struct blob *file, uint64_t off, unsigned int nr,
			size_t size)
{
	void *table;

	if (!range_ok(off, (uint64_t)nr * size, file->size))
		return NULL;
	table = malloc(nr * size + 1);
	if (table && nr)
		memcpy(table, file->data + off, nr * size);
	return table;
}

static bool segments_ok(const struct elf *elf)
{
	unsigned int i;

	for (i = 0; i < elf->nr_segments; i++) {
		const Elf64_Phdr *p = &elf->segments[i];

		if (!range_ok(p->p_offset, p->p_filesz, elf->file->size))
			return false;
		if (p->p_type != PT_LOAD)
			continue;
		if (p->p_filesz > p->p_memsz || p->p_memsz > 1UL << 32 ||
		    p->p_vaddr + p->p_memsz < p->p_vaddr ||
		    p->p_paddr + p->p_memsz < p->p_paddr)
			return false;
	}
	return true;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a_size && b_size && a < b + b_size && b < a + a_size;
}

/*
 * What is loaded, copied and searched later is each segment's: were bytes of the file
 * in several of them, a small file could ask for any amount of memory.
 */
static bool segments_apart(const struct elf *elf)
{
	unsigned int i, j;

	for (i = 0; i < elf->nr_segments; i++)
		for (j = 0; j < i; j++) {
			const Elf64_Phdr *p = &elf->segments[i], *q = &elf->segments[j];

			if (p->p_type != PT_LOAD || q->p_type != PT_LOAD)
				continue;
			if (overlap(p->p_offset, p->p_filesz, q->p_offset, q->p_filesz) ||
			    overlap(p->p_paddr, p->p_memsz, q->p_paddr, q->p_memsz) ||
			    overlap(p->p_vaddr, p->p_memsz, q->p_vaddr, q->p_memsz))
				return false;
		}
	return true;
}

static bool sections_ok(const struct elf *elf)
{
	unsigned int i;

	for (i = 0; i < elf->nr_sections; i++) {
		const Elf64_Shdr *s = &elf->sections[i];

		if (s->sh_type != SHT_NOBITS && s->sh_type != SHT_NULL &&
		    !range_ok(s->sh_offset, s->sh_size, elf->file->size))
			return false;
	}
	return true;
}

static int read_tables(struct elf *elf, const char *name,
		       struct lguest_error *err)
{
	const Elf64_Ehdr *h = &elf->header;

	if ((h->e_phnum && h->e_phentsize != sizeof(Elf64_Phdr)) ||
	    (h->e_shnum && h->e_shentsize != sizeof(Elf64_Shdr)) ||
	    h->e_phnum > SEGMENTS_MAX)
		return link_fail(err, "reading %s: its ELF tables have a format unknown to lguest; it may be damaged, so install it again",
				 name);
	elf->nr_segments = h->e_phnum;
	elf->nr_sections = h->e_shnum;
	elf->segments = copy_table(elf->file, h->e_phoff, h->e_phnum,
				   sizeof(Elf64_Phdr));
	elf->sections = copy_table(elf->file, h->e_shoff, h->e_shnum,
				   sizeof(Elf64_Shdr));
	if (!elf->segments || !elf->sections ||
	    !segments_ok(elf) || !sections_ok(elf))
		return link_fail(err, "reading %s: its ELF tables are damaged or the file is cut short; copy or install it again",
				 name);
	if (!segments_apart(elf))
		return link_fail(err, "reading %s: segments of its ELF image overlap, as no kernel's do; it may be damaged, so install it again",
				 name);
	return 0;
}

int elf_open(struct elf *elf, const struct blob *file, const char *name,
	     unsigned int type, struct lguest_error *err)
{
	memset(elf, 0, sizeof(*elf));
	elf->file = file;
	if (file->size < sizeof(elf->header) ||
	    memcmp(file->data, ELFMAG, SELFMAG))
		return link_fail(err, "reading %s: it holds no ELF image; it is damaged, so build or install it again",
				 name);
	memcpy(&elf->header, file->data, sizeof(elf->header));
	if (elf->header.e_ident[EI_CLASS] != ELFCLASS64)
		return link_fail(err, "reading %s: it is a 32-bit ELF image; lguest needs a 64-bit kernel",
				 name);
	if (elf->header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    elf->header.e_machine != EM_X86_64)
		return link_fail(err, "reading %s: its ELF image is not for x86-64; lguest needs a kernel for this machine",
				 name);
	if (elf->header.e_type != type)
		return link_fail(err, "reading %s: its ELF image is not %s", name,
				 type == ET_REL ? "a relocatable object; build the layer again" :
				 "an executable, as a kernel is; give lguest a vmlinuz");
	if (read_tables(elf, name, err) < 0) {
		elf_close(elf);
		return -1;
	}
	return 0;
}

void elf_close(struct elf *elf)
{
	free(elf->segments);
	free(elf->sections);
	memset(elf, 0, sizeof(*elf));
}

uint8_t *elf_at(const struct elf *elf, uint64_t va, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < elf->nr_segments; i++) {
		const Elf64_Phdr *p = &elf->segments[i];

		if (p->p_type == PT_LOAD && va >= p->p_vaddr &&
		    range_ok(va - p->p_vaddr, len, p->p_filesz))
			return elf->file->data + p->p_offset +
			       (va - p->p_vaddr);
	}
	return NULL;
}

/* The string at @off of section number @table, or NULL if it has no end. */
static const char *string_at(const struct elf *elf, unsigned int table,
			     uint64_t off)
{
	const Elf64_Shdr *s;
	const uint8_t *at;

	if (table >= elf->nr_sections)
		return NULL;
	s = &elf->sections[table];
	if (s->sh_type != SHT_STRTAB || off >= s->sh_size)
		return NULL;
	at = elf->file->data + s->sh_offset + off;
	return memchr(at, 0, s->sh_size - off) ? (const char *)at : NULL;
}

const char *elf_section_name(const struct elf *elf, const Elf64_Shdr *section)
{
	return string_at(elf, elf->header.e_shstrndx, section->sh_name);
}

const Elf64_Shdr *elf_section(const struct elf *elf, const char *name)
{
	unsigned int i;

	for (i = 0; i < elf->nr_sections; i++) {
		const Elf64_Shdr *s = &elf->sections[i];
		const char *n = elf_section_name(elf, s);

		if (n && s->sh_type != SHT_NULL && !strcmp(n, name))
			return s;
	}
	return NULL;
}

int elf_each_symbol(const struct elf *elf,
		    int (*each)(void *arg, const char *name,
				const Elf64_Sym *sym), void *arg)
{
	const Elf64_Shdr *s = elf->sections;
	unsigned int i;
	uint64_t off;
	int ret = 0;

	for (i = 0; i < elf->nr_sections; i++, s++) {
		if (s->sh_type != SHT_SYMTAB)
			continue;
		for (off = 0; !ret && off + sizeof(Elf64_Sym) <= s->sh_size;
		     off += sizeof(Elf64_Sym)) {
			const char *name;
			Elf64_Sym sym;

			memcpy(&sym, elf->file->data + s->sh_offset + off,
			       sizeof(sym));
			name = string_at(elf, s->sh_link, sym.st_name);
			if (name && *name)
				ret = each(arg, name, &sym);
		}
	}
	return ret;
}
