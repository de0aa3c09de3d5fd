// SPDX-License-Identifier: GPL-2.0
// SOURCES: launcher/linker/layer.c launcher/linker/symbols.c launcher/linker/kallsyms.c launcher/linker/elf_file.c launcher/linker/util.c launcher/distribution.c
/*
 * Finding the layer for a kernel, and giving it the kernel's addresses: every
 * way in which the two may not fit, and what the user is told about it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "linker/ld.h"

/*
 * An object with a release, a symbol table whose names are all undefined, and
 * nothing else.
 */
static uint8_t object[0x1000];
static char strings[0x200];
static size_t strings_len;
static Elf64_Sym symbols[16];
static unsigned int nr_symbols;
static char dir[64], path[256];
static struct lguest_error err;

static uint32_t string(const char *text)
{
	uint32_t at = strings_len;

	strcpy(strings + at, text);
	strings_len += strlen(text) + 1;
	return at;
}

static void undefined(const char *name, unsigned int bind)
{
	symbols[nr_symbols++] = (Elf64_Sym) {
		.st_name = string(name), .st_info = ELF64_ST_INFO(bind, 0),
	};
}

static const char *in_dir(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(in_dir(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
}

static void put_object(const char *name, const char *release)
{
	Elf64_Shdr s[4] = { { 0 } };
	Elf64_Ehdr h = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
			     ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_REL, .e_machine = EM_X86_64,
		.e_shoff = 0x100, .e_shentsize = sizeof(*s),
		.e_shnum = 4, .e_shstrndx = 2,
	};

	s[1] = (Elf64_Shdr) { .sh_type = SHT_SYMTAB, .sh_offset = 0x400,
		.sh_size = nr_symbols * sizeof(*symbols), .sh_link = 2 };
	s[2] = (Elf64_Shdr) { .sh_type = SHT_STRTAB, .sh_offset = 0x800,
		.sh_size = sizeof(strings) };
	s[3] = (Elf64_Shdr) { .sh_type = SHT_PROGBITS, .sh_offset = 0xc00,
		.sh_name = release ? string(".lguest.release") : 0,
		.sh_size = release ? strlen(release) + 1 : 0 };
	memset(object, 0, sizeof(object));
	memcpy(object, &h, sizeof(h));
	memcpy(object + 0x100, s, sizeof(s));
	memcpy(object + 0x400, symbols, sizeof(symbols));
	memcpy(object + 0x800, strings, sizeof(strings));
	if (release)
		strcpy((char *)object + 0xc00, release);
	put(name, object, sizeof(object));
}

static void put_script(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/lguest-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	mkdir(in_dir("6.1.0"), 0700);
	memset(strings, 0, sizeof(strings));
	strings_len = nr_symbols = 1;
	unsetenv("LGUEST_LAYERS");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(in_dir("6.1.0/layer.o"));
	unlink(in_dir("6.1.0/layer.lds"));
	unlink(in_dir("layer.o"));
	unlink(in_dir("layer.lds"));
	rmdir(in_dir("6.1.0"));
	return rmdir(dir);
}

static void test_found(void **state)
{
	struct layer l;
	char list[128];

	(void)state;
	put_object("6.1.0/layer.o", "6.1.0");
	put_script("layer.lds", "SECTIONS { }");
	assert_int_equal(layer_open(&l, dir, "6.1.0", &err), 0);
	assert_string_equal(l.object, in_dir("6.1.0/layer.o"));
	assert_string_equal(l.script, in_dir("layer.lds"));
	layer_close(&l);

	snprintf(list, sizeof(list), "/nowhere::%s", dir);
	setenv("LGUEST_LAYERS", list, 1);
	assert_int_equal(layer_open(&l, NULL, "6.1.0", &err), 0);
	layer_close(&l);

	/* the release's own script is preferred */
	put_script("6.1.0/layer.lds", "SECTIONS { }");
	assert_int_equal(layer_open(&l, dir, "6.1.0", &err), 0);
	assert_string_equal(l.script, in_dir("6.1.0/layer.lds"));
	layer_close(&l);
}

static void refused(const char *because)
{
	struct layer l;

	assert_int_equal(layer_open(&l, dir, "6.1.0", &err), -1);
	assert_null(l.object);
	if (!strstr(err.text, because))
		fail_msg("said: %s", err.text);
}

static void test_refused(void **state)
{
	(void)state;
	refused("6.1.0/layer.o");	/* where it looked */
	refused("get its headers (");
	refused("make layer GUEST_KVER=6.1.0,");
	put_object("layer.o", NULL);
	refused("no layer.lds for it");
	put_script("layer.lds", "");
	refused("no section .lguest.release");
	put_object("layer.o", "6.12.0");
	refused("is for Linux 6.12.0, but the kernel is 6.1.0");
	put_script("layer.o", "#!/bin/sh");
	refused("no ELF image");
}

/* A kernel of four symbols; the last two have one name. */
static struct symbol kernel_symbols[] = {
	{ 0x100, 0, 'A' }, { 0xffffffff81000000, 7, 'T' },
	{ 0xffffffff81000010, 13, 't' }, { 0xffffffff81000020, 13, 't' },
	{ 0xffffffff82000000, 17, 'D' },
};
static uint32_t by_name[] = { 4, 2, 3, 0, 1 };
static struct kernel kernel = {
	.name = "test", .release = "6.1.0",
	.ks = { kernel_symbols, by_name, 5,
		"percpu\0start\0dup\0__per_cpu_load", "test" },
};

/* What ld would be told, or NULL and an error. */
static char *resolve(const char *script)
{
	char *text = NULL;
	struct layer l;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int ret;

	put_object("layer.o", "6.1.0");
	put_script("layer.lds", script);
	assert_int_equal(layer_open(&l, dir, "6.1.0", &err), 0);
	ret = ld_symbols(&l, &kernel, out, &err);
	layer_close(&l);
	fclose(out);
	if (!ret)
		return text;
	free(text);
	return NULL;
}

static void test_symbols(void **state)
{
	char *text;

	(void)state;
	undefined("start", STB_GLOBAL);
	undefined("percpu", STB_GLOBAL);
	undefined("init_per_cpu__percpu", STB_GLOBAL);
	undefined("maybe", STB_WEAK);
	undefined("here", STB_GLOBAL);
	text = resolve("SECTIONS { nothere = 1; here\t= .; }");
	assert_non_null(text);
	assert_string_equal(text, "\"start\" = 0xffffffff81000000;\n"
				  "\"percpu\" = 0x100;\n"
				  "\"init_per_cpu__percpu\" = 0xffffffff82000100;\n");
	free(text);

	undefined("dup", STB_GLOBAL);
	undefined("gone", STB_GLOBAL);
	assert_null(resolve("nothere = 1; here == 2; here2 = 3"));
	assert_non_null(strstr(err.text, "the kernel lacks: here gone;"));
	assert_non_null(strstr(err.text, "is called: dup (2 places)"));
}

static void test_sections(void **state)
{
	Elf64_Shdr s[2] = { { 0 }, { .sh_type = SHT_PROGBITS,
		.sh_flags = SHF_ALLOC, .sh_size = 1 } };
	char names[] = ".text\0.bug";
	struct blob blob = { (uint8_t *)names, sizeof(names) };
	Elf64_Shdr all[3] = { s[0], s[1], { .sh_type = SHT_STRTAB,
		.sh_size = sizeof(names) } };
	struct elf linked = { .file = &blob, .sections = all,
		.nr_sections = 3, .header = { .e_shstrndx = 2 } };
	struct layer l = { .object = "layer.o", .script = "layer.lds",
		.script_file = { (uint8_t *)".text : { }", 11 } };

	(void)state;
	assert_int_equal(ld_check_sections(&l, &linked, &err), 0);
	all[1].sh_name = 6;
	assert_int_equal(ld_check_sections(&l, &linked, &err), -1);
	assert_non_null(strstr(err.text, "it has a section .bug"));
	all[1].sh_size = 0;
	assert_int_equal(ld_check_sections(&l, &linked, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_symbols, setup, teardown),
		cmocka_unit_test(test_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
