// SPDX-License-Identifier: GPL-2.0
// SOURCES: launcher/boot/modules.c launcher/boot/cpio.c launcher/linker/unpack.c launcher/message.c launcher/terminal.c launcher/distribution.c
// CFLAGS: -DMODULES_PLACE="build/tests/modules"
/*
 * Drivers for the guest from /lib/modules, as distributions pack them: not at all
 * (Debian 12), xz (Debian 13, Fedora), zstd (Ubuntu, Arch), gzip.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "lguest.h"
#include "boot/modules.h"

#define RELEASE	"6.17.1-300.fc43.x86_64"
#define FOLDER	MODULES_PLACE "/" RELEASE "/"
#define SIZE	3000

static uint8_t module[SIZE], packed[2 * SIZE];

static void put(const char *name, const void *bytes, size_t size)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), FOLDER "%s", name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static int make(void **state)
{
	z_stream z = { .next_in = module, .avail_in = SIZE,
		       .next_out = packed, .avail_out = sizeof(packed) };
	size_t i, size = 0;

	(void)state;
	for (i = 0; i < SIZE; i++)
		module[i] = i % 7 ? i % 251 : i * i >> 5;
	mkdir("build", 0755);
	mkdir("build/tests", 0755);
	mkdir(MODULES_PLACE, 0755);
	mkdir(FOLDER, 0755);
	put("plain-one.ko", module, SIZE);
	if (lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, module, SIZE, packed, &size,
				    sizeof(packed)) != LZMA_OK)
		return -1;
	put("by_xz.ko.xz", packed, size);
	put("by_zstd.ko.zst", packed, ZSTD_compress(packed, sizeof(packed), module, SIZE, 3));
	deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY);
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		return -1;
	deflateEnd(&z);
	put("by_gzip.ko.gz", packed, z.total_out);
	put("damaged.ko.zst", "\x28\xb5\x2f\xfd, and no more", 16);
	put_text("modules.builtin", "kernel/drivers/virtio/built_in.ko\n");
	put_text("modules.dep", "damaged.ko.zst:\nplain-one.ko: by_xz.ko.xz by_zstd.ko.zst\n"
		 "by_xz.ko.xz: by_zstd.ko.zst\nby_zstd.ko.zst:\nby_gzip.ko.gz:\n");
	return 0;
}

/* The contents of an entry; the archive's format is test_initramfs.c's matter. */
static const uint8_t *contents(const struct archive *a, const char *name)
{
	char entry[64];
	size_t at;

	for (at = 0; at + 110 + sizeof(entry) < a->size; at += 4) {
		memcpy(entry, a->bytes + at + 110, sizeof(entry));
		if (!memcmp(a->bytes + at, "070701", 6) && !strcmp(entry, name))
			return a->bytes + ((at + 110 + strlen(name) + 1 + 3) & ~3ULL);
	}
	return NULL;
}

static char *said;
static size_t said_size;

static void add(struct archive *a, const char *release, const char *const *names)
{
	memset(a, 0, sizeof(*a));
	free(said);
	message_stream = open_memstream(&said, &said_size);
	verbose = true;
	add_modules(a, release, names);
	archive_end(a);
	fclose(message_stream);
	message_stream = NULL;
}

static void test_packed(void **state)
{
	static const char *const wanted[] = { "plain_one", "by_gzip", "built_in", NULL };
	static const char *const found[] = { "plain-one", "by_xz", "by_zstd", "by_gzip" };
	static const char list[] = "by_zstd.ko\nby_xz.ko\nplain-one.ko\nby_gzip.ko\n";
	struct archive a;
	char name[64];
	size_t i;

	(void)state;
	add(&a, RELEASE, wanted);
	assert_string_equal(said, "");
	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "lib/modules/%s.ko", found[i]);
		if (!contents(&a, name))
			fail_msg("there is no %s", name);
		assert_memory_equal(contents(&a, name), module, SIZE);
	}
	assert_memory_equal(contents(&a, "lguest/modules"), list, strlen(list));
	archive_free(&a);
}

static void test_trouble(void **state)
{
	static const char *const damaged[] = { "damaged", "by_xz", NULL };
	static const char *const missing[] = { "none", NULL };
	struct archive a;

	(void)state;
	add(&a, RELEASE, damaged);
	assert_non_null(strstr(said, "damaged.ko.zst: its zstd data is damaged; install"));
	assert_non_null(contents(&a, "lib/modules/by_xz.ko"));
	assert_null(contents(&a, "lib/modules/damaged.ko"));
	archive_free(&a);
	add(&a, RELEASE, missing);
	assert_non_null(strstr(said, "the guest gets no driver none: it is not in "));
	archive_free(&a);
	add(&a, "6.1.0-none", missing);
	assert_non_null(strstr(said, "/6.1.0-none/modules.dep is not there; "));
	assert_non_null(strstr(said, "install "));
	archive_free(&a);
	add(&a, NULL, missing);
	assert_non_null(strstr(said, "/RELEASE is not there; "));
	archive_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_trouble),
	};

	return cmocka_run_group_tests(tests, make, NULL);
}
