// SPDX-License-Identifier: GPL-2.0
/*
 * A program for a guest: what Linux has made of its paravirtual operations.
 *
 *	patched KERNEL-ELF	each place in kernel and modules that calls one of them:
 *				none may hold a privileged instruction. The kernel's list
 *				of them is freed at boot, so it comes from the file.
 *	patched -t		the table pv_ops: a line with each entry's function
 */
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * An entry of Linux's list. Up to 6.7 it is of these places only (paravirt_types.h):
 * 16 bytes. Later they are among all places to be patched (alternative.h): 14 bytes,
 * with addresses relative to the entry, and a flag for those that are such calls.
 */
struct site {
	uint64_t address;
	int type, length, is_call;
};

static int alternatives;
static uint64_t entry_size;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static FILE *must_open(const char *path)
{
	FILE *file = fopen(path, "r");

	if (!file)
		die(path);
	return file;
}

static void read_at(int fd, void *to, size_t size, uint64_t offset, const char *what)
{
	if (pread(fd, to, size, (off_t)offset) != (ssize_t)size)
		die(what);
}

/* Read what an ELF file, or /proc/kcore, has at a virtual address. */
static void read_virtual(int fd, void *to, size_t size, uint64_t address)
{
	Elf64_Ehdr header;
	Elf64_Phdr p;
	int i;

	read_at(fd, &header, sizeof(header), 0, "ELF header");
	for (i = 0; i < header.e_phnum; i++) {
		read_at(fd, &p, sizeof(p), header.e_phoff + i * sizeof(p), "segment");
		if (p.p_type == PT_LOAD && address >= p.p_vaddr &&
		    address + size <= p.p_vaddr + p.p_filesz) {
			read_at(fd, to, size, p.p_offset + address - p.p_vaddr, "memory");
			return;
		}
	}
	fprintf(stderr, "nothing at %#lx\n", address);
	exit(2);
}

/* /proc/kallsyms, read once: the kernel makes each line anew, slowly. */
static struct symbol {
	uint64_t address;
	char *name;
} *symbols;
static size_t nr_symbols;

static void read_symbols(void)
{
	FILE *file = must_open("/proc/kallsyms");
	char line[512], name[256];
	uint64_t address;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx %*c %255s", &address, name) != 2)
			continue;
		if (nr_symbols % 4096 == 0)
			symbols = realloc(symbols, (nr_symbols + 4096) * sizeof(*symbols));
		if (!symbols)
			die("memory");
		symbols[nr_symbols].address = address;
		symbols[nr_symbols++].name = strdup(name);
	}
	fclose(file);
}

static const struct symbol *find_symbol(const char *name)
{
	size_t i;

	for (i = 0; i < nr_symbols; i++)
		if (!strcmp(symbols[i].name, name))
			return &symbols[i];
	return NULL;
}

static uint64_t address_of(const char *name)
{
	const struct symbol *symbol = find_symbol(name);

	if (symbol)
		return symbol->address;
	fprintf(stderr, "no symbol %s\n", name);
	exit(2);
}

/* NULL: none, as for the layer's functions, or NULL (the per-CPU area is at 0). */
static const char *name_of(uint64_t address)
{
	size_t i;

	for (i = 0; address && i < nr_symbols; i++)
		if (symbols[i].address == address)
			return symbols[i].name;
	return NULL;
}

/* Does a privileged instruction, or one that ring 3 does not obey, begin here? */
static int privileged(const uint8_t *code)
{
	if (code[0] == 0x48)		/* REX.W: iretq, sysretq */
		code++;
	switch (code[0]) {
	case 0xfa: case 0xfb: case 0xf4: case 0x9d: case 0xcf:	/* cli sti hlt popf iret */
		return 1;
	case 0x0f:
		return strchr("\x01\x06\x07\x08\x09\x20\x21\x22\x23\x30\x32\x35", code[1]) != NULL;
	}
	return 0;
}

static unsigned long sites, bad, direct;

static struct site read_site(int file, uint64_t at)
{
	uint8_t e[16];
	struct site site = {};
	int32_t offset;

	read_virtual(file, e, entry_size, at);
	if (alternatives) {
		memcpy(&offset, e, sizeof(offset));
		site.address = at + (int64_t)offset;
		site.type = e[8] | e[9] << 8;	/* number of a feature */
		site.is_call = e[10] & 2;	/* ALT_FLAG_DIRECT_CALL */
		site.length = e[12];
	} else {
		memcpy(&site.address, e, sizeof(site.address));
		site.type = e[8];
		site.length = e[9];
		site.is_call = 1;
	}
	return site;
}

/* The code that Linux ran once, at its beginning, is memory for others by now. */
static uint64_t gone_from, gone_to;

static void look(int memory, const struct site *site)
{
	uint8_t code[256];

	if (!site->is_call || (site->address >= gone_from && site->address < gone_to))
		return;
	read_virtual(memory, code, site->length, site->address);
	sites++;
	direct += code[0] == 0xe8;
	if (privileged(code)) {
		bad++;
		printf("%#lx: type %d: %02x %02x\n", site->address, site->type, code[0], code[1]);
	}
}

static void kernel_sites(int memory, const char *path)
{
	uint64_t at = address_of(alternatives ? "__alt_instructions" : "__parainstructions");
	uint64_t end = address_of(alternatives ? "__alt_instructions_end" :
						 "__parainstructions_end");
	int file = open(path, O_RDONLY);
	struct site site;

	if (file < 0)
		die(path);
	for (; at < end; at += entry_size) {
		site = read_site(file, at);
		look(memory, &site);
	}
	close(file);
}

/* Modules keep their lists; a list ends with what is not in the module. */
static void module_sites(int memory)
{
	FILE *modules = must_open("/proc/modules"), *section;
	char line[512], name[64], path[128];
	uint64_t base, size, at;
	struct site site;

	while (fgets(line, sizeof(line), modules)) {
		if (sscanf(line, "%63s %lu %*s %*s %*s %lx", name, &size, &base) != 3)
			continue;
		snprintf(path, sizeof(path), "/sys/module/%s/sections/.%s", name,
			 alternatives ? "altinstructions" : "parainstructions");
		section = fopen(path, "r");
		if (!section)
			continue;
		if (fscanf(section, "%lx", &at) != 1)
			die(path);
		fclose(section);
		for (;; at += entry_size) {
			site = read_site(memory, at);
			if (site.address < base || site.address >= base + size || !site.length)
				break;
			look(memory, &site);
		}
	}
	fclose(modules);
}

static void table(int memory)
{
	uint64_t at = address_of("pv_ops"), entry;
	const char *name;
	int i, empty = 0;

	for (i = 0; i < 128; i++, at += sizeof(entry)) {
		if (i && name_of(at))
			break;		/* the next symbol; before it may be a gap */
		read_virtual(memory, &entry, sizeof(entry), at);
		if (!entry) {
			empty++;
			continue;
		}
		for (; empty; empty--)
			printf("op %d 0\n", i - empty);
		name = name_of(entry);
		printf("op %d %s\n", i, name ? name : "?");
	}
}

/* What must be noticed: a native operation, which the layer's have replaced. */
static int notices(int memory)
{
	uint64_t at = address_of("pv_native_irq_disable");
	uint8_t code[8];

	read_virtual(memory, code, sizeof(code), at);
	return privileged(code + (memcmp(code, "\xf3\x0f\x1e\xfa", 4) ? 0 : 4));
}

int main(int argc, char **argv)
{
	int memory = open("/proc/kcore", O_RDONLY);

	if (memory < 0)
		die("/proc/kcore");
	if (argc != 2) {
		fprintf(stderr, "usage: patched -t | KERNEL-ELF\n");
		return 2;
	}
	read_symbols();
	alternatives = !find_symbol("__parainstructions");
	entry_size = alternatives ? 14 : 16;
	gone_from = address_of("__init_begin");
	gone_to = address_of("__init_end");
	if (!strcmp(argv[1], "-t")) {
		table(memory);
		return 0;
	}
	kernel_sites(memory, argv[1]);
	printf("kernel %lu sites, %lu direct calls, %lu privileged\n", sites, direct, bad);
	sites = direct = bad = 0;
	module_sites(memory);
	printf("modules %lu sites, %lu direct calls, %lu privileged\n", sites, direct, bad);
	printf("native cli: %d privileged\n", notices(memory));
	return 0;
}
