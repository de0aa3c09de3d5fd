// SPDX-License-Identifier: GPL-2.0
/*P:030
 * Unpacking is left to the libraries that do it well.  Each packer begins its
 * output with a number of its own, which picks the row of the table below.
 *
 * All of them unpack in one go from memory into memory, so that no library
 * ever allocates what a hostile header asks for, beyond its fixed tables and
 * (xz, lzma) a dictionary under a limit.
 *
 * Linux can be packed with all of these.  Distributions use gzip, xz, lz4 and
 * zstd; the libraries for bzip2 and lzo are not linked to, but looked for when
 * such a kernel comes along.
 * Read next: elf_file.c.
:*/
#include <dlfcn.h>
#include <limits.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "bzimage.h"
#include "distribution.h"

#define DICTIONARY_LIMIT	(256UL << 20)
/* What an unpacker returns, if its library is not there. */
#define NO_LIBRARY		(-2)

static int unpack_gzip(const uint8_t *in, size_t len, struct blob *out)
{
	z_stream z = {
		.next_in = (uint8_t *)in,
		.avail_in = len,
		.next_out = out->data,
		.avail_out = out->size,
	};
	int ret;

	/* 31: a window of 2^15 bytes, + 16: behind a gzip header */
	if (inflateInit2(&z, 31) != Z_OK)
		return -1;
	ret = inflate(&z, Z_FINISH);
	out->size = z.total_out;
	inflateEnd(&z);
	return ret == Z_STREAM_END ? 0 : -1;
}

static int unpack_xz(const uint8_t *in, size_t len, struct blob *out)
{
	uint64_t memlimit = DICTIONARY_LIMIT;
	size_t in_pos = 0, out_pos = 0;
	lzma_ret ret;

	ret = lzma_stream_buffer_decode(&memlimit, 0, NULL, in, &in_pos, len,
					out->data, &out_pos, out->size);
	out->size = out_pos;
	return ret == LZMA_OK ? 0 : -1;
}

/* The format before xz: a header of 13 bytes, and no sum. */
static int unpack_lzma(const uint8_t *in, size_t len, struct blob *out)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_ret ret = lzma_alone_decoder(&z, DICTIONARY_LIMIT);

	z.next_in = in;
	z.avail_in = len;
	z.next_out = out->data;
	z.avail_out = out->size;
	if (ret == LZMA_OK)
		ret = lzma_code(&z, LZMA_FINISH);
	out->size = z.total_out;
	lzma_end(&z);
	return ret == LZMA_STREAM_END ? 0 : -1;
}

/* A function of a library, which goes by one of two names. */
static void *look_for(const char *library, const char *other, const char *function)
{
	void *handle = dlopen(library, RTLD_NOW);

	if (!handle)
		handle = dlopen(other, RTLD_NOW);
	return handle ? dlsym(handle, function) : NULL;
}

static int unpack_bzip2(const uint8_t *in, size_t len, struct blob *out)
{
	int (*decompress)(char *to, unsigned int *to_len, char *from,
			  unsigned int from_len, int small, int verbosity) =
		look_for("libbz2.so.1.0", "libbz2.so.1", "BZ2_bzBuffToBuffDecompress");
	unsigned int got = out->size;

	if (!decompress)
		return NO_LIBRARY;
	if (decompress((char *)out->data, &got, (char *)in, len, 0, 0))
		return -1;
	out->size = got;
	return 0;
}

static int unpack_zstd(const uint8_t *in, size_t len, struct blob *out)
{
	/* The frame's own length: the kernel's build puts a word behind it. */
	size_t frame = ZSTD_findFrameCompressedSize(in, len);
	size_t got;

	if (ZSTD_isError(frame))
		return -1;
	got = ZSTD_decompress(out->data, out->size, in, frame);
	if (ZSTD_isError(got))
		return -1;
	out->size = got;
	return 0;
}

/*
 * The kernel uses lz4's "legacy" format: a magic number, and then blocks of up
 * to 8 MiB, each behind the 32-bit length it has when packed.  Nothing marks
 * the end but the end of the input, where the kernel's build adds one word.
 */
static int unpack_lz4(const uint8_t *in, size_t len, struct blob *out)
{
	size_t pos = 4, done = 0;

	while (len - pos > 4) {
		uint32_t block = get32(in + pos);
		size_t room = out->size - done;
		int got;

		pos += 4;
		if (block > len - pos || block > INT_MAX)
			return -1;
		if (room > INT_MAX)
			room = INT_MAX;
		got = LZ4_decompress_safe((const char *)in + pos,
					  (char *)out->data + done,
					  block, room);
		if (got < 0)
			return -1;
		pos += block;
		done += got;
	}
	out->size = done;
	return 0;
}

/*
 * lzop's file: a header, and then blocks of up to 256 KiB, each with its length,
 * the length that it has when packed (the same if it is not), and sums of both.
 * All numbers have their highest byte first.
 */
#define LZOP_SUM_UNPACKED	0x00001U	/* Adler-32 */
#define LZOP_SUM_PACKED		0x00002U
#define LZOP_CRC_UNPACKED	0x00100U
#define LZOP_CRC_PACKED		0x00200U
#define LZOP_EXTRA_FIELD	0x00040U
#define LZOP_FILTER		0x00800U
#define LZOP_NAME		33		/* where the length of the name is */

typedef int lzo_decompress(const uint8_t *from, unsigned long from_len, uint8_t *to,
			   unsigned long *to_len, void *unused);

static uint32_t high_first(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* Where the blocks begin; 0: not in a format that Linux is packed in. */
static size_t lzop_header(const uint8_t *in, size_t len, uint32_t *flags)
{
	size_t end;

	if (len <= LZOP_NAME || memcmp(in, "\x89LZO\0\r\n\x1a\n", 9) ||
	    (in[9] << 8 | in[10]) < 0x0940)
		return 0;
	*flags = high_first(in + 17);
	end = LZOP_NAME + 1 + in[LZOP_NAME] + 4;
	if (*flags & (LZOP_FILTER | LZOP_EXTRA_FIELD) || end > len)
		return 0;
	return end;
}

/* One block at @in: how long it is there, 0: damaged. */
static size_t lzop_block(const uint8_t *in, size_t len, uint32_t flags, struct blob *to,
			 lzo_decompress *decompress)
{
	uint32_t size, packed;
	unsigned long got;
	size_t at = 8;

	if (len < 8)
		return 0;
	size = high_first(in);
	packed = high_first(in + 4);
	at += 4 * !!(flags & LZOP_SUM_UNPACKED) + 4 * !!(flags & LZOP_CRC_UNPACKED);
	if (packed < size)
		at += 4 * !!(flags & LZOP_SUM_PACKED) + 4 * !!(flags & LZOP_CRC_PACKED);
	if (size > to->size || packed > size || !range_ok(at, packed, len))
		return 0;
	got = size;
	if (packed == size)
		memcpy(to->data, in + at, size);
	else if (decompress(in + at, packed, to->data, &got, NULL) || got != size)
		return 0;
	if (flags & LZOP_SUM_UNPACKED && adler32(1, to->data, size) != high_first(in + 8))
		return 0;
	to->size = size;
	return at + packed;
}

static int unpack_lzo(const uint8_t *in, size_t len, struct blob *out)
{
	lzo_decompress *decompress =
		look_for("liblzo2.so.2", "liblzo2.so", "lzo1x_decompress_safe");
	uint32_t flags = 0;
	size_t pos = lzop_header(in, len, &flags), done = 0;

	if (!decompress)
		return NO_LIBRARY;
	while (pos && range_ok(pos, 4, len) && high_first(in + pos)) {
		struct blob to = { out->data + done, out->size - done };
		size_t block = lzop_block(in + pos, len - pos, flags, &to, decompress);

		if (!block)
			return -1;
		pos += block;
		done += to.size;
	}
	out->size = done;
	/* A length of zero is the end. */
	return pos && range_ok(pos, 4, len) ? 0 : -1;
}

static const struct packer {
	const char *name;
	const char *magic;
	size_t magic_len;
	int (*unpack)(const uint8_t *in, size_t len, struct blob *out);
	enum package library;	/* if it may not be there */
} packers[] = {
	{ "gzip", "\x1f\x8b", 2, unpack_gzip, PACKAGE_NONE },
	{ "xz", "\xfd" "7zXZ", 6, unpack_xz, PACKAGE_NONE },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, unpack_zstd, PACKAGE_NONE },
	{ "lz4", "\x02\x21\x4c\x18", 4, unpack_lz4, PACKAGE_NONE },
	{ "lzma", "\x5d\0\0", 3, unpack_lzma, PACKAGE_NONE },
	{ "bzip2", "BZh", 3, unpack_bzip2, PACKAGE_BZIP2 },
	{ "lzo", "\x89LZO", 4, unpack_lzo, PACKAGE_LZO },
};

static int failed(const struct packer *p, bool no_library, struct trouble *t)
{
	if (no_library) {
		snprintf(t->why, sizeof(t->why), "it is packed with %s", p->name);
		snprintf(t->fix, sizeof(t->fix), "%s, which unpacks that",
			 how_to_install(p->library, NULL).text);
	} else {
		snprintf(t->why, sizeof(t->why), "its %s data is damaged", p->name);
		snprintf(t->fix, sizeof(t->fix), "copy or install it again");
	}
	return -1;
}

int unpack(const uint8_t *in, size_t len, struct blob *out, struct trouble *t)
{
	const struct packer *p;
	int ret;

	for (p = packers; p < packers + sizeof(packers) / sizeof(*p); p++) {
		if (len < p->magic_len || memcmp(in, p->magic, p->magic_len))
			continue;
		ret = p->unpack(in, len, out);
		return ret ? failed(p, ret == NO_LIBRARY, t) : 0;
	}
	snprintf(t->why, sizeof(t->why), "it is packed in a way lguest does not know");
	snprintf(t->fix, sizeof(t->fix),
		 "give lguest the vmlinux inside it (the kernel's scripts/extract-vmlinux gets it out)");
	return -1;
}
