// SPDX-License-Identifier: GPL-2.0
// SOURCES: launcher/linker/result.c launcher/linker/elf_file.c launcher/linker/linked.c launcher/linker/cache.c launcher/linker/util.c launcher/io.c
// LIBS: -lnettle
/*
 * Reading ELF files that may be anything, and writing the linked one: a small
 * kernel and a small layer are made here, byte by byte.
 */
#include <fcntl.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "linker/cache.h"
#include "linker/result.h"

#define KERNEL_VA	0xffffffff81000000ULL
#define KERNEL_PHYS	0x1000000ULL
#define FIXMAP		(KERNEL_VA + 0x1000)

/* An ELF file being built: fixed places, so that tests can damage them. */
struct build {
	uint8_t bytes[0x9000];
	struct blob blob;
	Elf64_Ehdr *h;
	Elf64_Phdr *p;
};

static void build(struct build *b, unsigned int segments)
{
	memset(b, 0, sizeof(*b));
	b->blob.data = b->bytes;
	b->blob.size = sizeof(b->bytes);
	b->h = (Elf64_Ehdr *)b->bytes;
	b->p = (Elf64_Phdr *)(b->bytes + sizeof(*b->h));
	memcpy(b->h->e_ident, ELFMAG, SELFMAG);
	b->h->e_ident[EI_CLASS] = ELFCLASS64;
	b->h->e_ident[EI_DATA] = ELFDATA2LSB;
	b->h->e_ident[EI_VERSION] = EV_CURRENT;
	b->h->e_type = ET_EXEC;
	b->h->e_machine = EM_X86_64;
	b->h->e_phoff = sizeof(*b->h);
	b->h->e_phentsize = sizeof(*b->p);
	b->h->e_phnum = segments;
}

static void segment(struct build *b, unsigned int i, uint32_t flags,
		    uint64_t off, uint64_t va, uint64_t pa,
		    uint64_t filesz, uint64_t memsz)
{
	b->p[i] = (Elf64_Phdr) {
		.p_type = PT_LOAD, .p_flags = flags, .p_offset = off,
		.p_vaddr = va, .p_paddr = pa, .p_filesz = filesz,
		.p_memsz = memsz, .p_align = 0x200000,
	};
}

/* Text and the table at file offset 0x1000; per-cpu data at 0x4000. */
static void build_kernel(struct build *b)
{
	build(b, 2);
	segment(b, 0, PF_R | PF_X, 0x1000, KERNEL_VA, KERNEL_PHYS,
		0x3000, 0x3000);
	segment(b, 1, PF_R | PF_W, 0x4000, 0, KERNEL_PHYS + 0x3000,
		0x123, 0x1000);
	memset(b->bytes + 0x1000, 0x90, 0x1000);
	memset(b->bytes + 0x4000, 0x77, 0x123);
}

/*
 * Text (1 page), read-only data (1), the page table and data (2 in the file,
 * 4 in memory); symbols behind.
 */
static void build_layer(struct build *b)
{
	static const char strings[] = "\0lguest_start\0lguest_layer_pte\0"
				      "\0.lguest.release";
	Elf64_Shdr *s = (Elf64_Shdr *)(b->bytes + 0x8000);
	Elf64_Sym *sym = (Elf64_Sym *)(b->bytes + 0x8400);

	build(b, 3);
	segment(b, 0, PF_R | PF_X, 0x1000, LAYER_VA, LAYER_VA, 0x80, 0x80);
	segment(b, 1, PF_R, 0x2000, LAYER_VA + 0x1000, LAYER_VA + 0x1000, 0x10, 0x10);
	segment(b, 2, PF_R | PF_W, 0x3000, LAYER_VA + 0x2000, LAYER_VA + 0x2000,
		0x1800, 0x3001);
	memset(b->bytes + 0x1000, 0xcc, 0x80);
	memset(b->bytes + 0x3000, 0xee, 0x1800);

	b->h->e_shoff = 0x8000;
	b->h->e_shentsize = sizeof(*s);
	b->h->e_shnum = 4;
	b->h->e_shstrndx = 2;
	s[1] = (Elf64_Shdr) { .sh_type = SHT_SYMTAB, .sh_offset = 0x8400,
		.sh_size = 3 * sizeof(*sym), .sh_link = 2 };
	s[2] = (Elf64_Shdr) { .sh_type = SHT_STRTAB, .sh_offset = 0x8600,
		.sh_size = sizeof(strings) };
	s[3] = (Elf64_Shdr) { .sh_type = SHT_PROGBITS, .sh_name = 32,
		.sh_offset = 0x2000, .sh_size = 6 };
	memcpy(b->bytes + 0x2000, "6.1.0", 6);
	memcpy(b->bytes + 0x8600, strings, sizeof(strings));
	sym[1] = (Elf64_Sym) { .st_name = 1, .st_shndx = 1,
		.st_value = LAYER_VA + 0x10 };
	sym[2] = (Elf64_Sym) { .st_name = 14, .st_shndx = 1,
		.st_value = LAYER_VA + 0x2000 };
}

static struct build kernel, layer;
static struct elf kernel_elf, layer_elf;
static struct lguest_error err;

static int make(struct blob *out)
{
	int ret;

	assert_int_equal(elf_open(&kernel_elf, &kernel.blob, "kernel",
				  ET_EXEC, &err), 0);
	assert_int_equal(elf_open(&layer_elf, &layer.blob, "layer",
				  ET_EXEC, &err), 0);
	ret = output_make(&kernel_elf, FIXMAP, &layer_elf, "6.1.0", out, &err);
	elf_close(&kernel_elf);
	elf_close(&layer_elf);
	return ret;
}

static int setup(void **state)
{
	(void)state;
	build_kernel(&kernel);
	build_layer(&layer);
	err.text[0] = '\0';
	return 0;
}

static void test_linked_file(void **state)
{
	struct blob out;
	struct elf elf;
	uint8_t *pte, *fixmap;
	unsigned int i;

	(void)state;
	assert_int_equal(make(&out), 0);
	assert_int_equal(elf_open(&elf, &out, "out", ET_EXEC, &err), 0);
	assert_int_equal(elf.header.e_entry, LAYER_PHYS + 0x10);
	assert_int_equal(elf.nr_segments, 1 + 2 + 3);
	assert_int_equal(elf.segments[0].p_type, PT_NOTE);

	/* The kernel as it was, but for one entry ... */
	assert_int_equal(elf.segments[1].p_vaddr, KERNEL_VA);
	assert_int_equal(elf.segments[1].p_paddr, KERNEL_PHYS);
	assert_int_equal(elf.segments[1].p_memsz, 0x3000);
	/* (the page of zeros at its end is left out) */
	assert_int_equal(elf.segments[1].p_filesz, 0x2000);
	assert_int_equal(elf.segments[2].p_vaddr, 0);
	assert_int_equal(elf.segments[2].p_filesz, 0x123);
	assert_int_equal(*elf_at(&elf, 0x122, 1), 0x77);
	assert_null(elf_at(&elf, 0x123, 1));
	fixmap = elf_at(&elf, FIXMAP, 4096);
	assert_non_null(fixmap);
	for (i = 0; i < 512; i++)
		assert_int_equal(get64(fixmap + 8 * i),
				 i == 503 ? (LAYER_PHYS + 0x2000) | 0x63 : 0);

	/* ... and the layer, with its pages in its table. */
	for (i = 3; i < 6; i++)
		assert_int_equal(elf.segments[i].p_paddr,
				 elf.segments[i].p_vaddr - LAYER_VA +
				 LAYER_PHYS);
	for (i = 0; i < elf.nr_segments; i++)
		if (elf.segments[i].p_type == PT_LOAD)
			assert_int_equal(elf.segments[i].p_offset % 4096,
					 elf.segments[i].p_vaddr % 4096);
	pte = elf_at(&elf, LAYER_VA + 0x2000, 4096);
	assert_int_equal(get64(pte), LAYER_PHYS | 0x21);
	assert_int_equal(get64(pte + 8),
			 (LAYER_PHYS + 0x1000) | 0x21 | 1ULL << 63);
	for (i = 2; i < 6; i++)
		assert_int_equal(get64(pte + 8 * i),
				 (LAYER_PHYS + i * 0x1000ULL) | 0x63 |
				 1ULL << 63);
	for (; i < 512; i++)
		assert_int_equal(get64(pte + 8 * i), 0);
	assert_int_equal(*elf_at(&elf, LAYER_VA + 0x3000, 1), 0xee);
	elf_close(&elf);
	blob_free(&out);
}

static void test_recognised(void **state)
{
	char path[] = "/tmp/lguest-test-XXXXXX";
	struct lguest_link_note note;
	struct blob out;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(make(&out), 0);
	assert_int_equal(write_whole(path, &out, &err), 0);
	assert_int_equal(lguest_linked(path, &note, &err), 1);
	assert_string_equal(note.release, "6.1.0");

	/* cut short */
	assert_int_equal(truncate(path, out.size - 1), 0);
	assert_int_equal(lguest_linked(path, &note, &err), -1);
	assert_non_null(strstr(err.text, "damaged or cut short"));

	/* of another version: the note's contents are 20 bytes into it */
	out.data[64 + 6 * 56 + 20]++;
	assert_int_equal(write_whole(path, &out, &err), 0);
	assert_int_equal(lguest_linked(path, &note, &err), -1);
	assert_non_null(strstr(err.text, "another version"));

	/* something else */
	assert_int_equal(write_whole(path, &kernel.blob, &err), 0);
	assert_int_equal(lguest_linked(path, &note, &err), 0);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(lguest_linked(path, &note, &err), 0);
	unlink(path);
	assert_int_equal(lguest_linked(path, &note, &err), -1);
	blob_free(&out);
}

static void refused(const char *because)
{
	struct blob out;

	assert_int_equal(make(&out), -1);
	assert_null(out.data);
	if (!strstr(err.text, because))
		fail_msg("said: %s", err.text);
	setup(NULL);
}

static void test_refused(void **state)
{
	Elf64_Sym *sym = (Elf64_Sym *)(layer.bytes + 0x8400);

	(void)state;
	layer.p[0].p_flags |= PF_W;
	refused("writable and executable");
	layer.p[2].p_memsz = LAYER_SPAN;
	refused("outside of its 2 MiB");
	layer.p[0].p_vaddr = LAYER_VA - 0x1000;
	refused("outside of its 2 MiB");
	layer.p[1].p_vaddr = LAYER_VA + 0x800;
	refused("share the page");
	sym[1].st_name = 0;
	refused("no symbol lguest_start");
	sym[2].st_name = 0;
	refused("no symbol lguest_layer_pte");
	sym[2].st_value += 8;
	refused("not page aligned");
	sym[2].st_value += 0x1000;
	refused("in its bss");
	kernel.p[0].p_paddr = LAYER_PHYS - 0x1000;
	refused("where the layer should be");
	kernel.p[1].p_vaddr = LAYER_VA;
	refused("where the layer should be");
	kernel.bytes[0x2000 + 503 * 8] = 1;
	refused("is in use");
	kernel.p[0].p_filesz = 0x1800;
	refused("not in the image");
}

static int never(void *arg, const char *name, const Elf64_Sym *sym)
{
	(void)arg;
	(void)sym;
	return strlen(name) > 1000;
}

/* Whatever elf_open() lets through must be safe to use. */
static void use(const struct blob *blob, unsigned int type)
{
	struct elf elf;
	unsigned int i;

	if (elf_open(&elf, blob, "x", type, &err) < 0)
		return;
	elf_section(&elf, ".lguest.release");
	elf_each_symbol(&elf, never, NULL);
	for (i = 0; i < elf.nr_segments; i++) {
		uint8_t *at = elf_at(&elf, elf.segments[i].p_vaddr, 1);

		if (at)
			assert_in_range((uintptr_t)at, (uintptr_t)blob->data,
					(uintptr_t)blob->data + blob->size - 1);
	}
	elf_close(&elf);
}

static void test_damaged(void **state)
{
	struct build *b = malloc(sizeof(*b));
	struct blob cut, out;
	unsigned int i, j;

	(void)state;
	srand(1);
	/* the headers, the section table, the symbols: any bytes */
	for (i = 0; i < 20000; i++) {
		memcpy(b, &layer, sizeof(*b));
		for (j = 0; j < 4; j++) {
			static const unsigned int where[] = { 0, 64, 0x8000,
							      0x8400 };
			unsigned int at = where[rand() % 4] + rand() % 200;

			b->bytes[at] = rand() % 3 ? rand() : 0xff;
		}
		b->blob.data = b->bytes;
		use(&b->blob, ET_EXEC);
		assert_int_equal(elf_open(&kernel_elf, &kernel.blob, "kernel",
					  ET_EXEC, &err), 0);
		if (elf_open(&layer_elf, &b->blob, "x", ET_EXEC, &err) == 0) {
			build_kernel(&kernel);
			if (output_make(&kernel_elf, FIXMAP, &layer_elf, "1",
					&out, &err) == 0)
				blob_free(&out);
			elf_close(&layer_elf);
		}
		elf_close(&kernel_elf);
	}
	/* every length; in memory of its own, so that ASan sees the end */
	for (i = 0; i < sizeof(layer.bytes); i += i < 600 ? 1 : 61) {
		cut.size = i;
		cut.data = malloc(i + 1);
		cut.data = realloc(cut.data, i ? i : 1);
		memcpy(cut.data, layer.bytes, i);
		use(&cut, ET_EXEC);
		blob_free(&cut);
	}
	free(b);
}

static void test_wrong_kind(void **state)
{
	struct elf elf;

	(void)state;
	assert_int_equal(elf_open(&elf, &layer.blob, "x", ET_REL, &err), -1);
	assert_non_null(strstr(err.text, "not a relocatable object"));
	layer.h->e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(elf_open(&elf, &layer.blob, "x", ET_EXEC, &err), -1);
	assert_non_null(strstr(err.text, "32-bit"));
	setup(NULL);
	layer.h->e_machine = EM_AARCH64;
	assert_int_equal(elf_open(&elf, &layer.blob, "x", ET_EXEC, &err), -1);
	assert_non_null(strstr(err.text, "not for x86-64"));
	layer.h->e_ident[0] = 0;
	assert_int_equal(elf_open(&elf, &layer.blob, "x", ET_EXEC, &err), -1);
	assert_non_null(strstr(err.text, "no ELF image"));
}

static void overlaps(struct build *b, bool yes)
{
	struct elf elf;
	int error = elf_open(&elf, &b->blob, "x", ET_EXEC, &err);

	assert_int_equal(error, yes ? -1 : 0);
	if (yes)
		assert_non_null(strstr(err.text, "overlap"));
	else
		elf_close(&elf);
}

/* Nothing of the file is in two segments: else it could ask for any amount of memory. */
static void test_overlapping(void **state)
{
	unsigned int i;

	(void)state;
	overlaps(&kernel, false);
	kernel.p[1].p_offset = 0x3fff;
	overlaps(&kernel, true);
	kernel.p[1].p_filesz = 0;		/* it has none of the file */
	overlaps(&kernel, false);
	build_kernel(&kernel);
	kernel.p[1].p_vaddr = KERNEL_VA + 0x2fff;
	overlaps(&kernel, true);
	build_kernel(&kernel);
	kernel.p[1].p_paddr = KERNEL_PHYS - 0xfff;
	overlaps(&kernel, true);
	kernel.p[1].p_paddr--;
	overlaps(&kernel, false);
	kernel.p[1].p_type = PT_NOTE;		/* of the other one's bytes, as notes are */
	kernel.p[1].p_offset = 0x1000;
	overlaps(&kernel, false);
	build(&kernel, 60);
	for (i = 0; i < 60; i++)
		segment(&kernel, i, PF_R, 0x1000, KERNEL_VA + i * 0x8000, KERNEL_PHYS + i * 0x8000,
			0x8000, 0x8000);
	overlaps(&kernel, true);
}

/* SHA-256, as everybody has it. */
static void test_sum(void **state)
{
	const struct blob abc = { (uint8_t *)"abc", 3 };

	(void)state;
	assert_string_equal(kernel_sum(&abc).text,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#define SUMS	"-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" \
		"-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.elf"
#define DAY	(24 * 60 * 60)

/* A file of so many days; "sha256-..." is a link that leads nowhere, as it is there. */
static void touch(const char *folder, const char *name, unsigned int days)
{
	struct timespec times[2] = { { .tv_sec = time(NULL) - days * DAY } };
	char path[300];

	times[1] = times[0];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (!strncmp(name, "sha256-", 7))
		assert_int_equal(symlink("nowhere", path), 0);
	else
		fclose(fopen(path, "w"));
	assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* What lguests before this one have left, what is not used, and nothing else. */
static void test_prune(void **state)
{
	static const struct {
		const char *name;
		unsigned int days;
	} goes[] = {
		{ "6.1.0-57-amd64-0123456789abcdef-fedcba9876543210.elf", 0 },
		{ "sum-fe00-1-2-3.4-5.6", 0 }, { "6" SUMS, 61 }, { "7" SUMS ".k3U8xq", 2 },
		{ "sha256-fe00-1-2-3.4-5.6", 61 },
	}, kept[] = {
		{ "6.1.0-57-amd64-0123456789abcdef-fedcba987654321.elf", 99 }, { "notes", 99 },
		{ "x.elf", 99 }, { "6.1.0-57-amd64-0123456789abcdef-fedcba9876543210", 99 },
		{ SUMS, 99 }, { "8" SUMS, 59 }, { "9" SUMS ".k3U8xq", 0 },
		{ "sha256-fe00-1-2-3.4-5.7", 59 },
	};
	char place[] = "/tmp/lguest-cache-XXXXXX", folder[64], path[300];
	size_t i;

	(void)state;
	assert_non_null(mkdtemp(place));
	setenv("XDG_CACHE_HOME", place, 1);
	cache_prune();			/* there is none */
	snprintf(folder, sizeof(folder), "%s/lguest", place);
	assert_int_equal(mkdir(folder, 0755), 0);
	for (i = 0; i < sizeof(goes) / sizeof(goes[0]); i++)
		touch(folder, goes[i].name, goes[i].days);
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		touch(folder, kept[i].name, kept[i].days);
	touch(folder, "10" SUMS, 99);
	snprintf(path, sizeof(path), "%s/10" SUMS, folder);
	cache_used(path);
	cache_prune();
	assert_int_equal(unlink(path), 0);
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, kept[i].name);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(folder), 0);	/* nothing else is there */
	assert_int_equal(rmdir(place), 0);
	unsetenv("XDG_CACHE_HOME");
}

static void test_sections(void **state)
{
	const Elf64_Shdr *s;
	struct elf elf;

	(void)state;
	assert_int_equal(elf_open(&elf, &layer.blob, "x", ET_EXEC, &err), 0);
	s = elf_section(&elf, ".lguest.release");
	assert_non_null(s);
	assert_string_equal((char *)layer.bytes + s->sh_offset, "6.1.0");
	assert_null(elf_section(&elf, ".lguest"));
	elf_close(&elf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_linked_file, setup),
		cmocka_unit_test_setup(test_recognised, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_damaged, setup),
		cmocka_unit_test_setup(test_wrong_kind, setup),
		cmocka_unit_test_setup(test_overlapping, setup),
		cmocka_unit_test(test_sum), cmocka_unit_test(test_prune),
		cmocka_unit_test_setup(test_sections, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
