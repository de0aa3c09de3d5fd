// SPDX-License-Identifier: GPL-2.0
/*P:125
 * A debugger wants names.  Distributions have them in packages of a gigabyte;
 * what the kernel knows about itself is enough for breakpoints, backtraces of
 * addresses and variables by name.  So here are kallsyms as an ELF file: a section that
 * covers the whole kernel, without contents, and the symbols in it.
 *
 *	ELF header | symbols | their names | sections' names | section headers
 *
 * Read next: cmd_link.c.
:*/
#include <errno.h>
#include <stdlib.h>

#include "debug_file.h"

static const char section_names[] = "\0.text\0.symtab\0.strtab\0.shstrtab";

enum { TEXT = 1, SYMTAB, STRTAB, SHSTRTAB, SECTIONS };

static bool is_code(char type)
{
	return type == 't' || type == 'T' || type == 'w' || type == 'W';
}

static size_t names_size(const struct kallsyms *ks)
{
	size_t most = 0;
	uint32_t i;

	for (i = 0; i < ks->nr; i++) {
		size_t end = ks->symbols[i].name +
			     strlen(symbol_name(ks, &ks->symbols[i])) + 1;

		if (end > most)
			most = end;
	}
	return most;
}

/* Those of per-CPU variables are small numbers, and in no section. */
static bool is_absolute(const struct symbol *s)
{
	return s->type == 'A' || s->type == 'a';
}

static void write_symbols(const struct kallsyms *ks, FILE *out)
{
	Elf64_Sym sym = { 0 };
	uint32_t i;

	fwrite(&sym, sizeof(sym), 1, out);
	for (i = 0; i < ks->nr; i++) {
		const struct symbol *s = &ks->symbols[i];

		/* All are global: then none has to come before the others. */
		sym.st_name = s->name + 1;
		sym.st_info = ELF64_ST_INFO(STB_GLOBAL, is_code(s->type) ? STT_FUNC : STT_OBJECT);
		sym.st_shndx = is_absolute(s) ? SHN_ABS : TEXT;
		sym.st_value = s->address;
		fwrite(&sym, sizeof(sym), 1, out);
	}
}

/* From the first symbol to behind the last. */
static void cover(const struct kallsyms *ks, Elf64_Shdr *text)
{
	uint64_t least = UINT64_MAX, most = 0;
	uint32_t i;

	for (i = 0; i < ks->nr; i++) {
		const struct symbol *s = &ks->symbols[i];

		if (is_absolute(s))
			continue;
		if (s->address < least)
			least = s->address;
		if (s->address > most)
			most = s->address;
	}
	if (least > most)
		return;
	text->sh_addr = least;
	text->sh_size = most - least + 1;
}

static Elf64_Shdr section(uint32_t name, uint32_t type, uint64_t at, uint64_t size)
{
	return (Elf64_Shdr){
		.sh_name = name, .sh_type = type, .sh_offset = at, .sh_size = size,
		.sh_addralign = 1,
	};
}

static void write_sections(const struct kallsyms *ks, uint64_t names_at, uint64_t names,
			   FILE *out)
{
	Elf64_Shdr s[SECTIONS] = {
		[TEXT] = section(1, SHT_NOBITS, sizeof(Elf64_Ehdr), 0),
		[SYMTAB] = section(7, SHT_SYMTAB, sizeof(Elf64_Ehdr),
				   names_at - sizeof(Elf64_Ehdr)),
		[STRTAB] = section(15, SHT_STRTAB, names_at, names),
		[SHSTRTAB] = section(23, SHT_STRTAB, names_at + names, sizeof(section_names)),
	};

	cover(ks, &s[TEXT]);
	s[TEXT].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
	s[SYMTAB].sh_entsize = sizeof(Elf64_Sym);
	s[SYMTAB].sh_link = STRTAB;
	s[SYMTAB].sh_info = 1;
	fwrite(s, sizeof(s), 1, out);
}

int debug_file_write(const struct kallsyms *ks, FILE *out, struct lguest_error *err)
{
	uint64_t names = names_size(ks) + 1;
	uint64_t names_at = sizeof(Elf64_Ehdr) + (ks->nr + 1ULL) * sizeof(Elf64_Sym);
	Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
		.e_shoff = names_at + names + sizeof(section_names),
		.e_ehsize = sizeof(header), .e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = SECTIONS, .e_shstrndx = SHSTRTAB,
	};

	fwrite(&header, sizeof(header), 1, out);
	write_symbols(ks, out);
	fputc('\0', out);
	fwrite(ks->names, names - 1, 1, out);
	fwrite(section_names, sizeof(section_names), 1, out);
	write_sections(ks, names_at, names, out);
	if (fflush(out) || ferror(out))
		return link_fail(err, "writing the symbols: %s", strerror(errno));
	return 0;
}
