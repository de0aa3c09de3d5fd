// SPDX-License-Identifier: GPL-2.0
// SOURCES: launcher/linker/kallsyms.c launcher/linker/elf_file.c launcher/linker/util.c
/*
 * Symbol tables as the kernel's build makes them, in each of the layouts, read
 * back; and then the same tables damaged, which must never do harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "linker/kallsyms.h"

#define VA	0xffffffff81000000ULL
#define SYMS	1000
#define IMAGE	0x20000

static uint8_t image[IMAGE];
static size_t end;
/* As the build aligns the tables, and where it begins with them. */
static size_t alignment = 8, begin = 0x1000;
static struct elf elf;
static Elf64_Phdr segments[2];
static struct blob file;
static struct lguest_error err;

static void align(void)
{
	end = align_up(end, alignment);
}

static void add(const void *data, size_t len)
{
	assert_true(end + len <= sizeof(image));
	memcpy(image + end, data, len);
	end += len;
}

static void add32(uint32_t x)
{
	add(&x, sizeof(x));
}

static const char *token(unsigned int i)
{
	static char text[2];

	/* Codes that no name uses stand for longer pieces. */
	if (i == 0x01)
		return "Tsys_";
	if (i == 0x02)
		return "_handler";
	text[0] = i > ' ' && i < 0x7f ? (char)i : '~';
	return text;
}

static uint64_t address(unsigned int i)
{
	/* the first five are per-cpu data */
	return i < 5 ? i * 0x100 : VA + i * 0x10;
}

/* Symbol i: packed into @out, and as text into @text.  Returns its codes. */
static size_t symbol(unsigned int i, uint8_t *out, char *text)
{
	size_t n = 0, j;
	char number[16];

	if (i < 5)
		out[n++] = 'A';
	else if (i == 7)
		out[n++] = 't';
	else
		out[n++] = 0x01;
	snprintf(number, sizeof(number), "%u", i == 7 || i == 8 ? 6 : i);
	if (i == 7)
		for (j = 0; j < 4; j++)
			out[n++] = "sys_"[j];
	if (i == 20)		/* needs two bytes for its length */
		while (n < 200)
			out[n++] = 'x';
	for (j = 0; number[j]; j++)
		out[n++] = number[j];
	out[n++] = 0x02;

	*text = '\0';
	for (j = 0; j < n; j++)
		strcat(text, token(out[j]));
	return n;
}

enum layout { OLD, OLD_SEQS, NEW, NEW_RELATIVE, IN_PLACE };

static void add_offsets(enum layout layout)
{
	uint64_t base = VA, here;
	unsigned int i;

	align();
	for (i = 0; i < SYMS; i++) {
		here = VA + end;
		if (layout == IN_PLACE)
			add32(address(i) - here);
		else if (layout == NEW_RELATIVE)
			add32(address(i) - base);
		else if (i < 5)
			add32(address(i));
		else
			add32(base - 1 - address(i));
	}
	align();
	if (layout != IN_PLACE)
		add(&base, sizeof(base));
}

static void add_names(void)
{
	uint32_t markers[(SYMS + 255) / 256];
	uint8_t codes[256];
	char text[1024];
	unsigned int i;
	size_t start, n;

	align();
	add32(SYMS);
	align();
	start = end;
	for (i = 0; i < SYMS; i++) {
		uint8_t len[2];

		if (i % 256 == 0)
			markers[i / 256] = end - start;
		n = symbol(i, codes, text);
		len[0] = n > 0x7f ? (n & 0x7f) | 0x80 : n;
		len[1] = n >> 7;
		add(len, n > 0x7f ? 2 : 1);
		add(codes, n);
	}
	align();
	add(markers, sizeof(markers));
}

static void add_tokens(void)
{
	uint16_t index[256];
	unsigned int i;
	size_t start;

	align();
	start = end;
	for (i = 0; i < 256; i++) {
		index[i] = end - start;
		add(token(i), strlen(token(i)) + 1);
	}
	align();
	add(index, sizeof(index));
}

static void make(enum layout layout)
{
	unsigned int i;

	memset(image, 0, sizeof(image));
	end = begin;
	/* A run of digits that is no token table must not mislead. */
	add("0\0" "1\0" "2\0" "3\0" "4\0" "5\0" "6\0" "7\0" "8\0" "9", 20);
	if (layout == OLD || layout == OLD_SEQS)
		add_offsets(layout);
	add_names();
	if (layout == OLD_SEQS) {
		align();
		for (i = 0; i < 3 * SYMS; i++)
			add("s", 1);
	}
	add_tokens();
	if (layout >= NEW)
		add_offsets(layout);
	align();

	file = (struct blob) { image, end };
	segments[0] = (Elf64_Phdr) { .p_type = PT_LOAD, .p_vaddr = VA,
		.p_filesz = end, .p_memsz = IMAGE };
	segments[1] = (Elf64_Phdr) { .p_type = PT_LOAD, .p_memsz = 0x1000 };
	elf = (struct elf) { .file = &file, .segments = segments,
		.nr_segments = 2 };
}

/* With only relative addresses, per-cpu symbols cannot be expressed. */
static bool expressible(enum layout layout, unsigned int i)
{
	return layout < NEW_RELATIVE || i >= 5;
}

static void check_aligned(enum layout layout)
{
	struct kallsyms ks;
	uint8_t codes[256];
	char text[1024];
	unsigned int i;

	make(layout);
	if (kallsyms_read(&ks, &elf, "test", &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(ks.nr, SYMS);
	for (i = 0; i < SYMS; i++) {
		symbol(i, codes, text);
		assert_int_equal(ks.symbols[i].type, text[0]);
		assert_string_equal(symbol_name(&ks, &ks.symbols[i]), text + 1);
		if (expressible(layout, i))
			assert_int_equal(ks.symbols[i].address, address(i));
	}
	kallsyms_free(&ks);
}

static void check(enum layout layout)
{
	unsigned int move;

	for (alignment = 8; alignment >= 4; alignment /= 2)
		for (move = 0; move < 8; move += alignment) {
			begin = 0x1000 + move;
			check_aligned(layout);
		}
	alignment = 8;
	begin = 0x1000;
}

static void test_old(void **state)
{
	(void)state;
	check(OLD);
}

static void test_old_seqs(void **state)
{
	(void)state;
	check(OLD_SEQS);
}

static void test_new(void **state)
{
	(void)state;
	check(NEW);
}

static void test_new_relative(void **state)
{
	(void)state;
	check(NEW_RELATIVE);
}

static void test_in_place(void **state)
{
	(void)state;
	check(IN_PLACE);
}

static void test_lookup(void **state)
{
	struct kallsyms ks;
	uint64_t va = 0;

	(void)state;
	make(OLD);
	assert_int_equal(kallsyms_read(&ks, &elf, "test", &err), 0);
	assert_int_equal(kallsyms_lookup(&ks, "sys_999_handler", &va), 1);
	assert_int_equal(va, VA + 999 * 0x10);
	assert_int_equal(kallsyms_lookup(&ks, "sys_99", &va), 0);
	assert_int_equal(kallsyms_lookup(&ks, "", &va), 0);
	assert_int_equal(kallsyms_lookup(&ks, "~", &va), 0);
	/* 6 and 8 are global and have one name (7, static, does not count) */
	assert_int_equal(kallsyms_lookup(&ks, "sys_6_handler", &va), 2);
	/* one global (8) and one static (7): the global one is meant */
	ks.symbols[6].type = 't';
	assert_int_equal(kallsyms_lookup(&ks, "sys_6_handler", &va), 1);
	assert_int_equal(va, address(8));
	/* three static ones */
	ks.symbols[8].type = 't';
	assert_int_equal(kallsyms_lookup(&ks, "sys_6_handler", &va), 3);
	/* which are aliases */
	ks.symbols[6].address = ks.symbols[7].address = address(8);
	assert_int_equal(kallsyms_lookup(&ks, "sys_6_handler", &va), 1);
	assert_int_equal(va, address(8));
	kallsyms_free(&ks);
}

static void refused(const char *because)
{
	struct kallsyms ks;

	assert_int_equal(kallsyms_read(&ks, &elf, "test", &err), -1);
	assert_null(ks.symbols);
	if (!strstr(err.text, because))
		fail_msg("said: %s", err.text);
}

static void test_refused(void **state)
{
	(void)state;
	make(NEW);
	image[end - 1] ^= 0x40;		/* the base */
	refused("addresses make no sense");
	make(OLD);
	image[end - 1] ^= 1;		/* the token index */
	refused("no kallsyms token table");
	make(OLD);
	file.size = 0;
	refused("no kallsyms token table");
	make(OLD);
	segments[0].p_vaddr = 0x400000;
	refused("addresses make no sense");
}

static void test_damaged(void **state)
{
	struct kallsyms ks;
	unsigned int i, j;

	(void)state;
	srand(1);
	for (i = 0; i < 2000; i++) {
		alignment = rand() % 2 ? 8 : 4;
		make(rand() % 5);
		for (j = rand() % 4 + 1; j; j--)
			image[0x1000 + rand() % (end - 0x1000)] = rand();
		/* mostly in the middle of things, sometimes at an end */
		if (rand() % 4 == 0)
			file.size = rand() % end;
		file.data = malloc(file.size ? file.size : 1);
		memcpy(file.data, image, file.size);
		if (kallsyms_read(&ks, &elf, "test", &err) == 0) {
			uint64_t va;

			kallsyms_lookup(&ks, "sys_6_handler", &va);
			kallsyms_free(&ks);
		}
		free(file.data);
	}
	alignment = 8;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old),
		cmocka_unit_test(test_old_seqs),
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_new_relative),
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
