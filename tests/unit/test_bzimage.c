// SPDX-License-Identifier: GPL-2.0
// SOURCES: launcher/linker/bzimage.c launcher/linker/unpack.c launcher/linker/util.c launcher/distribution.c
// CFLAGS: -Ddlopen=test_dlopen -Ddlsym=test_dlsym
/*
 * Tiny bzImages, one for each way of packing, unpacked; cut short at every
 * byte; damaged at random; and all that is not a kernel refused by a sentence
 * that says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "linker/bzimage.h"

#define INSIDE	5000		/* bytes of the packed "kernel" */
#define CODE	0x400		/* one setup sector: the code begins here */
#define PAYLOAD	0x20		/* behind the code's beginning */

static uint8_t inside[INSIDE];
static uint8_t image[16384];
static struct blob file;
static struct lguest_error err;

static size_t pack_gzip(uint8_t *out, size_t room)
{
	z_stream z = { .next_in = inside, .avail_in = INSIDE,
		       .next_out = out, .avail_out = room };

	deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

/* All but gzip have their length put behind them by the kernel's build. */
static size_t add_length(uint8_t *out, size_t n)
{
	uint32_t len = INSIDE;

	memcpy(out + n, &len, 4);
	return n + 4;
}

static size_t pack_xz(uint8_t *out, size_t room)
{
	size_t pos = 0;

	assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL,
						 inside, INSIDE, out, &pos,
						 room), LZMA_OK);
	return add_length(out, pos);
}

static size_t pack_zstd(uint8_t *out, size_t room)
{
	return add_length(out, ZSTD_compress(out, room, inside, INSIDE, 3));
}

/* Two blocks, to see that they are put together. */
static size_t pack_lz4(uint8_t *out, size_t room)
{
	size_t n = 4, from;

	memcpy(out, "\x02\x21\x4c\x18", 4);
	for (from = 0; from < INSIDE; from += INSIDE / 2) {
		uint32_t len = LZ4_compress_default((char *)inside + from,
						    (char *)out + n + 4,
						    INSIDE / 2, room - n - 4);

		memcpy(out + n, &len, 4);
		n += 4 + len;
	}
	return add_length(out, n);
}

/* As `lzma` makes it of a pipe: without the length, and with a mark at the end. */
static size_t pack_lzma(uint8_t *out, size_t room)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	lzma_lzma_preset(&options, 0);
	assert_int_equal(lzma_alone_encoder(&z, &options), LZMA_OK);
	z.next_in = inside;
	z.avail_in = INSIDE;
	z.next_out = out;
	z.avail_out = room;
	assert_int_equal(lzma_code(&z, LZMA_FINISH), LZMA_STREAM_END);
	lzma_end(&z);
	return add_length(out, z.total_out);
}

/*
 * bzip2 and lzo come from libraries that are looked for.  Ours stand in for them:
 * what they "packed" is no more than where it is in @inside.
 */
static bool have_libraries = true;

void *test_dlopen(const char *name, int mode)
{
	assert_true(mode);
	if (!strcmp(name, "libbz2.so.1"))
		return have_libraries ? (void *)"BZ2_bzBuffToBuffDecompress" : NULL;
	if (!strcmp(name, "liblzo2.so.2"))
		return have_libraries ? (void *)"lzo1x_decompress_safe" : NULL;
	return NULL;
}

static int find_inside(const uint8_t *from, size_t from_len, uint8_t *to, size_t *to_len)
{
	if (from_len < 8 || !range_ok(get32(from), get32(from + 4), INSIDE) ||
	    get32(from + 4) > *to_len)
		return -1;
	*to_len = get32(from + 4);
	memcpy(to, inside + get32(from), *to_len);
	return 0;
}

static int fake_bzip2(char *to, unsigned int *to_len, char *from, unsigned int from_len,
		      int small, int verbosity)
{
	size_t len = *to_len;

	if (small || verbosity || memcmp(from, "BZh9", 4) ||
	    find_inside((uint8_t *)from + 4, from_len - 4, (uint8_t *)to, &len))
		return -1;
	*to_len = len;
	return 0;
}

static int fake_lzo(const uint8_t *from, unsigned long from_len, uint8_t *to,
		    unsigned long *to_len, void *unused)
{
	return unused ? -1 : find_inside(from, from_len, to, to_len);
}

void *test_dlsym(void *handle, const char *name)
{
	assert_string_equal(handle, name);
	return !strncmp(name, "BZ2", 3) ? (void *)fake_bzip2 : (void *)fake_lzo;
}

static void put32(uint8_t *out, uint32_t x)
{
	memcpy(out, &x, 4);
}

static size_t pack_bzip2(uint8_t *out, size_t room)
{
	(void)room;
	memcpy(out, "BZh9", 4);
	put32(out + 4, 0);
	put32(out + 8, INSIDE);
	return add_length(out, 12);
}

static size_t put_high_first(uint8_t *out, uint32_t x)
{
	put32(out, __builtin_bswap32(x));
	return 4;
}

/* A block from there on; one in two is stored as it is. */
static size_t lzo_block(uint8_t *out, uint32_t at, uint32_t len, bool stored)
{
	size_t n = put_high_first(out, len);

	n += put_high_first(out + n, stored ? len : 8);
	n += put_high_first(out + n, adler32(1, inside + at, len));
	if (stored) {
		memcpy(out + n, inside + at, len);
		return n + len;
	}
	n += put_high_first(out + n, 0);	/* the sum of what is packed */
	put32(out + n, at);
	put32(out + n + 4, len);
	return n + 8;
}

static size_t pack_lzo(uint8_t *out, size_t room)
{
	size_t n = 0, at;

	(void)room;
	memcpy(out, "\x89LZO\0\r\n\x1a\n\x10\x40\x20\xa0\x09\x40\x03\x09", 17);
	n = 17 + put_high_first(out + 17, 3);		/* flags: both sums */
	memset(out + n, 0, 12);				/* mode and time */
	n += 12;
	memcpy(out + n, "\4name", 5);
	n += 5 + put_high_first(out + n + 5, 0);	/* the sum of it */
	for (at = 0; at < INSIDE; at += INSIDE / 4)
		n += lzo_block(out + n, at, INSIDE / 4, at / (INSIDE / 4) % 2);
	n += put_high_first(out + n, 0);
	return add_length(out, n);
}

static size_t (*const packers[])(uint8_t *out, size_t room) = {
	pack_gzip, pack_xz, pack_zstd, pack_lz4, pack_lzma, pack_bzip2, pack_lzo,
};
#define PACKERS (sizeof(packers) / sizeof(packers[0]))

static void make(size_t (*pack)(uint8_t *out, size_t room))
{
	static size_t (*made)(uint8_t *out, size_t room);
	static uint8_t copy[sizeof(image)];
	static size_t size;
	uint8_t *d = image;
	uint32_t off = PAYLOAD, len;

	/* Packing is slow, and the tests do this for every byte. */
	if (made == pack) {
		memcpy(image, copy, sizeof(image));
		file = (struct blob) { image, size };
		return;
	}
	memset(image, 0, sizeof(image));
	d[0x1f1] = 1;				/* setup_sects */
	memcpy(d + 0x202, "HdrS\x0f\x02", 6);	/* magic, version 2.15 */
	d[0x20e] = 0x80;			/* release at 0x280 */
	d[0x211] = 1;				/* loadflags */
	d[0x236] = 1;				/* xloadflags */
	strcpy((char *)d + 0x280, "6.1.0-9-amd64 (builder) #1 SMP");
	len = pack(d + CODE + PAYLOAD, sizeof(image) - CODE - PAYLOAD);
	memcpy(d + 0x248, &off, 4);
	memcpy(d + 0x24c, &len, 4);
	file = (struct blob) { image, CODE + PAYLOAD + len };
	made = pack;
	size = file.size;
	memcpy(copy, image, sizeof(copy));
}

/* In memory of its own size, so that ASan sees the end. */
static int unpack_copy(size_t size, struct blob *out)
{
	struct blob copy = { malloc(size ? size : 1), size };
	char *release;
	int ret;

	memcpy(copy.data, image, size);
	if (bzimage_release(&copy, "test", &release, &err) == 0)
		free(release);
	ret = bzimage_unpack(&copy, "test", out, &err);
	blob_free(&copy);
	return ret;
}

static void test_unpack(void **state)
{
	struct blob out;
	unsigned int i;

	(void)state;
	for (i = 0; i < PACKERS; i++) {
		make(packers[i]);
		if (unpack_copy(file.size, &out) < 0)
			fail_msg("packer %u: %s", i, err.text);
		assert_int_equal(out.size, INSIDE);
		assert_memory_equal(out.data, inside, INSIDE);
		blob_free(&out);
	}
}

static void test_truncated(void **state)
{
	struct blob out;
	unsigned int i;
	size_t n;

	(void)state;
	for (i = 0; i < PACKERS; i++) {
		make(packers[i]);
		for (n = 0; n < file.size; n++) {
			err.text[0] = '\0';
			assert_int_equal(unpack_copy(n, &out), -1);
			assert_null(out.data);
			assert_true(err.text[0]);
			if (n >= 0x250)
				assert_non_null(strstr(err.text, "cut short"));
		}
	}
}

/* The payload itself ends early, though the header agrees with the file. */
static void test_payload_truncated(void **state)
{
	uint32_t len, cut, size = INSIDE;
	struct blob out;
	unsigned int i;

	(void)state;
	for (i = 0; i < PACKERS; i++) {
		make(packers[i]);
		len = get32(image + 0x24c);
		for (cut = 0; cut < len - 4; cut++) {
			make(packers[i]);
			memcpy(image + 0x24c, &cut, 4);
			if (cut >= 8)
				memcpy(image + CODE + PAYLOAD + cut - 4, &size,
				       4);
			assert_int_equal(unpack_copy(CODE + PAYLOAD + cut,
						     &out), -1);
			assert_null(out.data);
		}
	}
}

static void test_damaged(void **state)
{
	struct blob out;
	unsigned int i, j;

	(void)state;
	srand(1);
	for (i = 0; i < 1500 * PACKERS; i++) {
		make(packers[i / 1500]);
		for (j = rand() % 4 + 1; j; j--)
			image[0x1f0 + rand() % (file.size - 0x1f0)] = rand();
		/* half a gigabyte, over and over, would only be slow */
		memset(image + file.size - 2, 0, 2);
		if (unpack_copy(file.size, &out) == 0)
			blob_free(&out);
	}
}

static void refused(const char *because)
{
	struct blob out;

	assert_int_equal(bzimage_unpack(&file, "test", &out, &err), -1);
	assert_null(out.data);
	if (!strstr(err.text, because))
		fail_msg("said: %s", err.text);
	make(pack_gzip);
}

static void refused_packer(const char *magic, size_t len, const char *because)
{
	memcpy(image + CODE + PAYLOAD, magic, len);
	refused(because);
}

static void test_refused(void **state)
{
	(void)state;
	make(pack_gzip);
	memcpy(image + 0x202, "HdrT", 4);
	refused("not a Linux kernel");
	memcpy(image + 0x202, "HdrT", 4);
	memcpy(image, "MZ", 2);
	refused("if it is a unified kernel image");
	image[0x207] = 1;
	refused("too old");
	image[0x211] = 0;
	refused("too old");
	image[0x236] = 0;
	refused("32-bit kernel");
	memset(image + 0x24c, 0, 4);
	refused("no kernel inside");
	memset(image + 0x248, 0xff, 8);
	refused("cut short");
	memset(image + file.size - 4, 0xff, 4);
	refused("more than the 512 MiB");
	image[file.size - 4]++;
	refused("gzip data is damaged");
	make(pack_lz4);
	image[file.size - 4]++;
	refused("less came out");
	make(pack_lz4);
	image[file.size - 4]--;
	refused("lz4 data is damaged");
	refused_packer("BZh9", 4, "bzip2 data is damaged");
	refused_packer("\x5d\0\0\0", 4, "lzma data is damaged");
	refused_packer("\x89LZO", 4, "lzo data is damaged");
	refused_packer("what", 4, "a way lguest does not know; give lguest the vmlinux");
	file.size = 0;
	refused("not a Linux kernel");
}

/* More inside than it says, by each packer: no more is written, and it is refused. */
static void test_bombs(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < PACKERS; i++) {
		make(packers[i]);
		put32(image + file.size - 4, 100);
		refused("data is damaged");
	}
	/* A dictionary of 4 GiB, which only has to be there. */
	make(pack_lzma);
	put32(image + CODE + PAYLOAD + 1, 0xffffffff);
	image[CODE + PAYLOAD + 1] = image[CODE + PAYLOAD + 2] = 0;
	refused("lzma data is damaged");
}

static void test_no_library(void **state)
{
	(void)state;
	have_libraries = false;
	make(pack_bzip2);
	refused("test: it is packed with bzip2; ");
	make(pack_lzo);
	refused("test: it is packed with lzo; ");
	assert_non_null(strstr(err.text, ", which unpacks that"));
	have_libraries = true;
}

/* A sum that is wrong, and what no kernel's build makes. */
static void test_lzo(void **state)
{
	uint8_t *lzo = image + CODE + PAYLOAD;
	size_t block = 17 + 4 + 12 + 5 + 4;

	(void)state;
	make(pack_lzo);
	lzo[block + 8] ^= 1;
	refused("lzo data is damaged");
	make(pack_lzo);
	lzo[9] = 0;		/* version */
	refused("lzo data is damaged");
	make(pack_lzo);
	lzo[19] = 8;		/* a filter */
	refused("lzo data is damaged");
	make(pack_lzo);
	put_high_first(lzo + block, INSIDE + 1);
	refused("lzo data is damaged");
	make(pack_lzo);
	put_high_first(lzo + block, 0);
	refused("less came out");
}

static void test_plain_elf(void **state)
{
	struct blob out;
	char *release;

	(void)state;
	make(pack_gzip);
	memcpy(image, "\177ELF", 4);
	assert_int_equal(bzimage_unpack(&file, "test", &out, &err), 0);
	assert_int_equal(out.size, file.size);
	assert_memory_equal(out.data, image, out.size);
	blob_free(&out);

	assert_int_equal(bzimage_release(&file, "test", &release, &err), -1);
	strcpy((char *)image + 0x1000, "Linux version 6.12.3 (me)");
	file.size = 0x2000;
	assert_int_equal(bzimage_release(&file, "test", &release, &err), 0);
	assert_string_equal(release, "6.12.3");
	free(release);
}

static void test_release(void **state)
{
	char *release;

	(void)state;
	make(pack_gzip);
	assert_int_equal(bzimage_release(&file, "test", &release, &err), 0);
	assert_string_equal(release, "6.1.0-9-amd64");
	free(release);

	/* It becomes part of a path, so this is no release: */
	strcpy((char *)image + 0x280, "6.1/../../etc (builder)");
	assert_int_equal(bzimage_release(&file, "test", &release, &err), -1);
	strcpy((char *)image + 0x280, ".. (builder)");
	assert_int_equal(bzimage_release(&file, "test", &release, &err), -1);
	memset(image + 0x280, '6', 0x180);
	assert_int_equal(bzimage_release(&file, "test", &release, &err), -1);
	assert_null(release);
}

static void test_files(void **state)
{
	char path[] = "/tmp/lguest-test-XXXXXX";
	struct blob blob;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "abc", 3), 3);
	close(fd);
	assert_int_equal(blob_read(&blob, path, 3, &err), 0);
	assert_int_equal(blob.size, 3);
	blob_free(&blob);
	assert_int_equal(blob_read(&blob, path, 2, &err), -1);
	unlink(path);
	assert_int_equal(blob_read(&blob, path, 3, &err), -1);
	assert_non_null(strstr(err.text, "No such file"));
	assert_int_equal(blob_read(&blob, "/", 3, &err), -1);
	assert_non_null(strstr(err.text, "not a regular file"));
}

static int setup(void **state)
{
	unsigned int i;

	(void)state;
	/* neither all the same nor beyond packing */
	for (i = 0; i < INSIDE; i++)
		inside[i] = i % 7 ? i % 251 : i * i >> 5;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unpack),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_payload_truncated),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_no_library),
		cmocka_unit_test(test_lzo),
		cmocka_unit_test(test_plain_elf),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
