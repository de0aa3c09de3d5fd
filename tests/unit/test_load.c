// SOURCES: launcher/boot/load.c launcher/boot/bootparams.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c
// SPDX-License-Identifier: GPL-2.0
/* Kernels good and damaged, initrds of every size, the boot parameters. */
#include <asm/bootparam.h>
#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "lguest.h"
#include "boot/load.h"

#define RAM (32ULL << 20)
#define AT (16ULL << 20)

static struct memory memory;
static char name[] = "/tmp/lguest-load-XXXXXX";
static char *said;
static size_t said_size;

/* A kernel of two segments: a page of code, and data with a bss. */
static struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segment[3];
	uint8_t code[4096];
	uint8_t data[100];
} image;

static void make_image(void)
{
	memset(&image, 0, sizeof(image));
	memcpy(image.header.e_ident, ELFMAG, SELFMAG);
	image.header.e_ident[EI_CLASS] = ELFCLASS64;
	image.header.e_ident[EI_DATA] = ELFDATA2LSB;
	image.header.e_type = ET_EXEC;
	image.header.e_machine = EM_X86_64;
	image.header.e_entry = AT + 0x10;
	image.header.e_phoff = offsetof(struct image, segment);
	image.header.e_phentsize = sizeof(Elf64_Phdr);
	image.header.e_phnum = 3;
	image.segment[0] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_offset = offsetof(struct image, code),
		.p_paddr = AT, .p_filesz = 4096, .p_memsz = 4096 };
	image.segment[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_memsz = UINT64_MAX };
	image.segment[2] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_offset = offsetof(struct image, data),
		.p_paddr = AT + 8192, .p_filesz = 100, .p_memsz = 5000 };
	memset(image.code, 0xcc, sizeof(image.code));
	memset(image.data, 0xdd, sizeof(image.data));
}

static void put_file(const void *bytes, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	message_stream = open_memstream(&said, &said_size);
	make_image();
	return memory_create(&memory, RAM) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	memory_destroy(&memory);
	fclose(message_stream);
	message_stream = NULL;
	free(said);
	return 0;
}

static struct loaded kernel;

static bool load(size_t size)
{
	put_file(&image, size);
	return load_kernel(&memory, name, &kernel);
}

static void test_kernel(void **state)
{
	uint8_t *bytes;

	(void)state;
	assert_true(load(sizeof(image)));
	assert_int_equal(kernel.entry.v, AT + 0x10);
	assert_int_equal(kernel.start.v, AT);
	assert_int_equal(kernel.end.v, AT + 8192 + 5000);
	bytes = memory_at(&memory, GPA(AT), 16384);
	assert_int_equal(bytes[0], 0xcc);
	assert_int_equal(bytes[4095], 0xcc);
	assert_int_equal(bytes[4096], 0);
	assert_int_equal(bytes[8192 + 99], 0xdd);
	assert_int_equal(bytes[8192 + 100], 0);
	assert_true(is_elf(name));
	assert_false(is_elf("/dev/null"));
	assert_false(is_elf("/nonexistent"));
}

/* RAM's pages that are in memory. */
static unsigned int resident(gpa_t at, uint64_t size)
{
	unsigned char in[64];
	unsigned int i, n = 0;

	assert_true(size <= sizeof(in) * MEMORY_PAGE);
	assert_int_equal(mincore(memory_at(&memory, at, size), size, in), 0);
	for (i = 0; i < size / MEMORY_PAGE; i++)
		n += in[i] & 1;
	return n;
}

/* Zeros of the file take no memory, wherever they begin and end. */
static void test_zeros(void **state)
{
	static uint8_t file[offsetof(struct image, code) + 40 * 4096];
	uint8_t *bytes = memory_at(&memory, GPA(AT), 40 * 4096);

	(void)state;
	memset(image.code, 0, sizeof(image.code));
	image.segment[0].p_filesz = image.segment[0].p_memsz = 40 * 4096;
	image.segment[2].p_paddr = AT + (1 << 20);
	memcpy(file, &image, offsetof(struct image, code));
	file[offsetof(struct image, code) + 5 * 4096 - 1] = 1;
	file[offsetof(struct image, code) + 33 * 4096] = 2;
	put_file(file, sizeof(file));
	assert_true(load_kernel(&memory, name, &kernel));
	assert_int_equal(resident(GPA(AT), 40 * 4096), 2);
	assert_int_equal(bytes[5 * 4096 - 1], 1);
	assert_int_equal(bytes[33 * 4096], 2);
}

static void test_cut_short(void **state)
{
	size_t size;

	(void)state;
	for (size = 0; size < sizeof(image); size += size < 400 ? 1 : 97)
		assert_false(load(size));
	assert_false(load_kernel(&memory, "/nonexistent", &kernel));
	assert_false(load_kernel(&memory, "/tmp", &kernel));
}

#define REFUSED(change) do { make_image(); change; \
	assert_false(load(sizeof(image))); } while (0)

static void test_damaged(void **state)
{
	(void)state;
	REFUSED(image.header.e_ident[1] = 'e');
	REFUSED(image.header.e_ident[EI_CLASS] = ELFCLASS32);
	REFUSED(image.header.e_ident[EI_DATA] = ELFDATA2MSB);
	REFUSED(image.header.e_machine = EM_AARCH64);
	REFUSED(image.header.e_type = ET_REL);
	REFUSED(image.header.e_phentsize = 10);
	REFUSED(image.header.e_phnum = 0);
	REFUSED(image.header.e_phnum = 65535);
	REFUSED(image.header.e_phoff = UINT64_MAX - 5);
	REFUSED(image.header.e_phoff = 1ULL << 63);
	REFUSED(image.header.e_entry = AT - 1);
	REFUSED(image.header.e_entry = AT + 4096);
	REFUSED(image.header.e_entry = 0);
	REFUSED(image.segment[0].p_paddr = RAM - 4095);
	REFUSED(image.segment[0].p_paddr = UINT64_MAX);
	REFUSED(image.segment[0].p_memsz = UINT64_MAX);
	REFUSED(image.segment[0].p_memsz = 4095);
	REFUSED(image.segment[0].p_filesz = UINT64_MAX);
	REFUSED(image.segment[0].p_offset = UINT64_MAX);
	REFUSED(image.segment[0].p_offset = sizeof(image));
	REFUSED(image.segment[2].p_paddr = RAM);
	REFUSED(image.segment[2].p_memsz = RAM);
}

static void test_random_damage(void **state)
{
	int i, j;

	(void)state;
	srandom(4);
	for (i = 0; i < 5000; i++) {
		make_image();
		for (j = 0; j < 3; j++)
			((uint8_t *)&image)[random() % offsetof(struct image, code)] =
				random();
		load(sizeof(image) - random() % 2 * (random() % sizeof(image)));
	}
}

static void test_initrd(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 4095, 4096, 4097, 1 << 20 };
	struct initrd initrd;
	uint8_t *bytes = malloc(RAM);
	uint64_t room;
	size_t i;

	(void)state;
	memset(bytes, 0xab, RAM);
	assert_true(load(sizeof(image)));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_true(load_initrd_bytes(&memory, &kernel, bytes, sizes[i], &initrd));
		assert_int_equal(initrd.at.v % 4096, 0);
		assert_int_equal(initrd.size, sizes[i]);
		assert_true(initrd.at.v + sizes[i] <= RAM);
		assert_true(initrd.at.v + sizes[i] + 4096 > RAM);
		put_file(bytes, sizes[i]);
		memset(memory_at(&memory, GPA(RAM - sizes[i]), sizes[i]), 0, sizes[i]);
		assert_true(load_initrd_file(&memory, &kernel, name, &initrd));
		assert_memory_equal(memory_at(&memory, initrd.at, sizes[i]), bytes,
				    sizes[i]);
	}
	room = RAM - AT - (2 << 20);
	assert_true(load_initrd_bytes(&memory, &kernel, bytes, room, &initrd));
	assert_int_equal(initrd.at.v, RAM - room);
	/* What does not fit above the kernel goes below it, down to 1 MiB. */
	assert_true(load_initrd_bytes(&memory, &kernel, bytes, room + 1, &initrd));
	assert_int_equal(initrd.at.v, AT - room - 4096);
	room = AT - (1 << 20);
	assert_true(load_initrd_bytes(&memory, &kernel, bytes, room, &initrd));
	assert_int_equal(initrd.at.v, 1 << 20);
	assert_false(load_initrd_bytes(&memory, &kernel, bytes, room + 1, &initrd));
	fflush(message_stream);
	assert_non_null(strstr(said, "larger -m"));
	assert_false(load_initrd_file(&memory, &kernel, "/nonexistent", &initrd));
	assert_false(load_initrd_file(&memory, &kernel, "/tmp", &initrd));
	assert_false(load_initrd_file(&memory, &kernel, "/dev/zero", &initrd));
	free(bytes);
}

/* As long as it may be, and one byte longer. */
static void test_command_line(void **state)
{
	struct initrd none = { .size = 0 };
	char line[4096] = "", *there;

	(void)state;
	assert_true(load_boot_params(&memory, "", "", &none));
	there = memory_at(&memory, COMMAND_LINE_AT, 4096);
	assert_string_equal(there, "");
	assert_true(load_boot_params(&memory, "a b", "", &none));
	assert_string_equal(there, "a b");
	assert_true(load_boot_params(&memory, "a b", "c", &none));
	assert_string_equal(there, "a b c");
	memset(line, 'x', COMMAND_LINE_MOST);
	assert_true(load_boot_params(&memory, "", line, &none));
	assert_string_equal(there, line);
	strcat(line, "y");
	assert_false(load_boot_params(&memory, "", line, &none));
	fflush(message_stream);
	assert_non_null(strstr(said, "2048 characters"));
}

static void test_boot_params(void **state)
{
	struct initrd initrd = { .at = { 0x1234000 }, .size = 0x5678 };
	struct boot_params params;
	const struct boot_e820_entry *e = params.e820_table;

	(void)state;
	assert_true(load_boot_params(&memory, "", "quiet", &initrd));
	assert_true(memory_read(&memory, BOOT_PARAMS_AT, &params, sizeof(params)));
	assert_int_equal(params.hdr.type_of_loader, 0xff);
	assert_int_equal(params.hdr.version, 0x20f);
	assert_int_equal(params.hdr.header, 0x53726448);
	assert_int_equal(params.hdr.cmd_line_ptr, COMMAND_LINE_AT.v);
	assert_int_equal(params.hdr.ramdisk_image, 0x1234000);
	assert_int_equal(params.hdr.ramdisk_size, 0x5678);
	assert_int_equal(params.hdr.hardware_subarch, 0);
	assert_int_equal(params.sentinel, 0);
	assert_int_equal(params.e820_entries, 2);
	assert_int_equal(e[0].addr, 0);
	assert_true(e[0].size <= 0xa0000);
	assert_int_equal(e[1].addr, 0x100000);
	assert_int_equal(e[1].addr + e[1].size, RAM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zeros, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_short, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_initrd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_command_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_boot_params, setup, teardown),
	};
	int fd = mkstemp(name), failed;

	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(name);
	return failed;
}
