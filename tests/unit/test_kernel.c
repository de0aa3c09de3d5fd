// SPDX-License-Identifier: GPL-2.0
// SOURCES: launcher/linker/kernel.c launcher/linker/bzimage.c launcher/linker/unpack.c launcher/linker/kallsyms.c launcher/linker/elf_file.c launcher/linker/util.c launcher/distribution.c
/*
 * Whole kernels, made up of their names only, as other configurations and compilers
 * leave them: which can be guests, and what is said of the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "linker/kernel.h"

#define VA	0xffffffff81000000ULL
#define PA	0x1000000
#define BANNER	0x200		/* in the image, and from VA on */
#define TABLES	0x1000
#define IMAGE	0x10000

struct name {
	uint64_t address;
	char type;
	const char *name;
};

/* What each kernel has, in the order of addresses; then what makes them different. */
static const struct name common[] = {
	{ VA, 'T', "_stext" },
	{ VA + 0x010, 'T', "x86_64_start_reservations" },
	{ VA + 0x020, 't', "twice" },
	{ VA + 0x030, 't', "twice" },
	{ VA + 0x040, 'T', "a" }, { VA + 0x048, 'T', "b" }, { VA + 0x050, 'T', "c" },
	{ VA + 0x058, 'T', "d" }, { VA + 0x060, 'T', "e" }, { VA + 0x068, 'T', "f" },
	{ VA + 0x070, 'T', "g" }, { VA + 0x078, 'T', "h" }, { VA + 0x080, 'T', "i" },
	{ VA + 0x088, 'T', "j" }, { VA + 0x090, 'T', "k" }, { VA + 0x098, '?', "__nosave_begin" },
};
static const struct name percpu[] = {
	{ 0, 'A', "fixed_percpu_data" }, { 0x1000, 'A', "cpu_tss_rw" },
};
static const struct name xen[] = {
	{ VA + 0x100, 'T', "xen_iret" }, { VA + 0x110, 'T', "early_xen_iret_patch" },
	{ VA + 0x120, 'T', "asm_xenpv_exc_nmi" },
};
static const struct name data[] = {
	{ VA + BANNER, 'D', "linux_banner" }, { VA + 0x300, 'D', "pv_ops" },
	{ VA + 0x340, 'D', "x86_init" }, { VA + 0x380, 'B', "init_top_pgt" },
	{ VA + 0x3c0, 'd', "level2_fixmap_pgt" },
};
static const struct name no_pv_ops[] = {
	{ VA + BANNER, 'D', "linux_banner" }, { VA + 0x340, 'D', "x86_init" },
};
/* Of Clang, with ThinLTO, CFI and padding before functions. */
static const struct name lto[] = {
	{ VA + 0x130, 't', "__cfi_promoted" },
	{ VA + 0x138, 't', "__pfx_promoted.llvm.8872" },
	{ VA + 0x140, 't', "promoted.llvm.8872" },
	{ VA + 0x150, 't', "promoted.cold" },
	{ VA + 0x158, 't', "promoted.llvm.8872.cold" },
	{ VA + 0x160, 't', "both.llvm.1" },
	{ VA + 0x168, 'T', "both" },
	{ VA + 0x170, 't', "many.llvm.1" },
	{ VA + 0x178, 't', "many.llvm.22" },
	{ VA + 0x180, 't', "other.constprop.0" },
	{ VA + 0x188, 't', "other.isra.0" },
	{ VA + 0x190, 't', "other.llvm." },
	{ VA + 0x198, 't', "other_more.llvm.5" },
};

/*
 * How kallsyms has addresses: relative to base, in two ways, or to themselves; or as
 * they are, which no x86 kernel has since 4.6 (CONFIG_KALLSYMS_BASE_RELATIVE).
 */
enum encoding { PERCPU, RELATIVE, IN_PLACE, ABSOLUTE };

static uint8_t image[IMAGE];
static size_t end;
static struct name names[64];
static uint32_t nr;
static struct lguest_error err;

static void pad(void)
{
	end = align_up(end, 8);
}

static void add(const void *bytes, size_t len)
{
	assert_true(end + len <= sizeof(image));
	memcpy(image + end, bytes, len);
	end += len;
}

static void add32(uint32_t x)
{
	add(&x, sizeof(x));
}

/* Each character is its own token; "~" stands for those that are in no name. */
static void add_tokens(void)
{
	uint16_t index[256];
	size_t start = end, i;

	for (i = 0; i < 256; i++) {
		char token[2] = { i > ' ' && i < 0x7f ? (char)i : '~' };

		index[i] = end - start;
		add(token, 2);
	}
	pad();
	add(index, sizeof(index));
}

static void add_names(void)
{
	uint32_t i, marker = 0;

	add32(nr);
	pad();
	for (i = 0; i < nr; i++) {
		uint8_t len = strlen(names[i].name) + 1;

		add(&len, 1);
		add(&names[i].type, 1);
		add(names[i].name, len - 1);
	}
	pad();
	add32(marker);
	pad();
}

static void add_addresses(enum encoding encoding)
{
	uint64_t base = VA;
	uint32_t i;

	for (i = 0; i < nr; i++) {
		if (encoding == ABSOLUTE)
			add(&names[i].address, 8);
		else if (encoding == IN_PLACE)
			add32(names[i].address - (VA + end));
		else if (encoding == RELATIVE)
			add32(names[i].address - base);
		else
			add32(names[i].address < VA ? names[i].address :
			      base - 1 - names[i].address);
	}
	pad();
	if (encoding == PERCPU || encoding == RELATIVE)
		add(&base, sizeof(base));
}

static int compare(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

#define ADD(list) add_list(list, sizeof(list) / sizeof((list)[0]))
static void add_list(const struct name *list, size_t count)
{
	memcpy(names + nr, list, count * sizeof(*list));
	nr += count;
}

static void start(void)
{
	nr = 0;
	ADD(common);
}

/* An ELF file; with @before as kernels older than 6.4 have their tables. */
static struct blob make(enum encoding encoding, bool before)
{
	Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC, .e_machine = EM_X86_64,
		.e_phoff = sizeof(header), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
	};
	Elf64_Phdr segments[2] = {
		{ .p_type = PT_LOAD, .p_vaddr = VA, .p_paddr = PA, .p_filesz = IMAGE,
		  .p_memsz = IMAGE },
		{ .p_type = PT_LOAD, .p_paddr = PA + IMAGE, .p_memsz = 0x2000 },
	};

	qsort(names, nr, sizeof(*names), compare);
	memset(image, 0, sizeof(image));
	memcpy(image, &header, sizeof(header));
	memcpy(image + sizeof(header), segments, sizeof(segments));
	strcpy((char *)image + BANNER, "Linux version 6.17.1-300.fc43.x86_64 (builder)");
	end = TABLES;
	if (before)
		add_addresses(encoding);
	add_names();
	add_tokens();
	if (!before)
		add_addresses(encoding);
	return (struct blob){ image, sizeof(image) };
}

static void good(enum encoding encoding, bool before)
{
	struct blob file = make(encoding, before);
	struct kernel k;
	uint64_t va;

	if (kernel_open(&k, &file, "test", &err) || kernel_check(&k, &err))
		fail_msg("%d %d: %s", encoding, before, err.text);
	assert_string_equal(k.release, "6.17.1-300.fc43.x86_64");
	assert_int_equal(k.ks.nr, nr);
	assert_int_equal(kernel_symbol(&k, "level2_fixmap_pgt", &va, &err), 0);
	assert_int_equal(va, VA + 0x3c0);
	kernel_close(&k);
}

/* With per-CPU symbols from zero on, as of SMP up to 6.14; without any, as of UP. */
static void test_encodings(void **state)
{
	(void)state;
	start();
	ADD(xen);
	ADD(data);
	good(PERCPU, true);
	good(PERCPU, false);
	good(RELATIVE, true);
	good(RELATIVE, false);
	good(IN_PLACE, false);
	ADD(percpu);
	good(PERCPU, true);
	good(PERCPU, false);
}

static void refused_file(struct blob file, const char *because)
{
	struct kernel k;

	err.text[0] = '\0';
	if (!kernel_open(&k, &file, "test", &err)) {
		assert_int_equal(kernel_check(&k, &err), -1);
		kernel_close(&k);
	}
	if (!strstr(err.text, because))
		fail_msg("said: %s", err.text);
	/* what failed: why; what to try */
	assert_non_null(strchr(err.text, ':'));
	assert_non_null(strchr(err.text, ';'));
}

static void refused(const char *because)
{
	refused_file(make(PERCPU, false), because);
}

static void test_refused(void **state)
{
	struct blob file;

	(void)state;
	start();
	ADD(data);
	refused("this kernel (6.17.1-300.fc43.x86_64) was built without CONFIG_XEN_PV");
	start();
	ADD(xen);
	refused("built without CONFIG_KALLSYMS_ALL");
	start();
	ADD(xen);
	ADD(no_pv_ops);
	refused("it has no symbol 'pv_ops'");
	ADD(data);
	names[nr - 4].address += 8;		/* another pv_ops */
	add_list(data + 1, 1);
	refused("'pv_ops' could be any of 2 places");

	start();
	ADD(xen);
	ADD(data);
	file = make(PERCPU, false);
	memset(image + TABLES, 0, sizeof(image) - TABLES);
	refused_file(file, "CONFIG_KALLSYMS");
	file = make(PERCPU, false);
	refused_file(make(ABSOLUTE, false), "packs its symbols in a way unknown");
	refused_file(make(ABSOLUTE, true), "packs its symbols in a way unknown");
	file = make(PERCPU, false);
	image[BANNER] = 'l';
	refused_file(file, "linux_banner should be at");
	file = make(PERCPU, false);
	image[EI_CLASS] = ELFCLASS32;
	refused_file(file, "32-bit ELF image");
	file = make(PERCPU, false);
	image[offsetof(Elf64_Ehdr, e_machine)] = EM_AARCH64;
	refused_file(file, "not for x86-64");
	file = make(PERCPU, false);
	image[offsetof(Elf64_Ehdr, e_type)] = ET_REL;
	refused_file(file, "not an executable");
}

static void test_lto(void **state)
{
	struct blob file;
	struct kernel k;
	uint64_t va = 0;

	(void)state;
	start();
	ADD(xen);
	ADD(data);
	ADD(lto);
	file = make(RELATIVE, false);
	if (kernel_open(&k, &file, "test", &err) || kernel_check(&k, &err))
		fail_msg("%s", err.text);
	assert_int_equal(kallsyms_lookup(&k.ks, "promoted", &va), 1);
	assert_int_equal(va, VA + 0x140);
	assert_int_equal(kallsyms_lookup(&k.ks, "both", &va), 1);
	assert_int_equal(va, VA + 0x168);
	assert_int_equal(kallsyms_lookup(&k.ks, "many", &va), 2);
	assert_int_equal(kallsyms_lookup(&k.ks, "twice", &va), 2);
	assert_int_equal(kallsyms_lookup(&k.ks, "other", &va), 0);
	assert_int_equal(kallsyms_lookup(&k.ks, "promote", &va), 0);
	kernel_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lto),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
