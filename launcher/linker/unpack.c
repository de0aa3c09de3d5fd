// SPDX-License-Identifier: GPL-2.0
/*P:030
 * Unpacking is left to the libraries that do it well.  Each packer begins its
 * output with a number of its own, which picks the row of the table below.
 *
 * All of them unpack in one go from memory into memory, so that no library
 * ever allocates what a hostile header asks for, beyond its fixed tables and
 * (xz) a dictionary under a limit.
 :*/
#include <limits.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "bzimage.h"

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
	uint64_t memlimit = 256UL << 20;
	size_t in_pos = 0, out_pos = 0;
	lzma_ret ret;

	ret = lzma_stream_buffer_decode(&memlimit, 0, NULL, in, &in_pos, len,
					out->data, &out_pos, out->size);
	out->size = out_pos;
	return ret == LZMA_OK ? 0 : -1;
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

static const struct packer {
	const char *name;
	const char *magic;
	size_t magic_len;
	int (*unpack)(const uint8_t *in, size_t len, struct blob *out);
	const char *why;
} packers[] = {
	{ "gzip", "\x1f\x8b", 2, unpack_gzip,
	  "its gzip data is damaged" },
	{ "xz", "\xfd" "7zXZ", 6, unpack_xz,
	  "its xz data is damaged" },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, unpack_zstd,
	  "its zstd data is damaged" },
	{ "lz4", "\x02\x21\x4c\x18", 4, unpack_lz4,
	  "its lz4 data is damaged" },
	{ "lzma", "\x5d\0\0", 3, NULL,
	  "it is packed with lzma, which lguest cannot unpack" },
	{ "bzip2", "BZh", 3, NULL,
	  "it is packed with bzip2, which lguest cannot unpack" },
	{ "lzo", "\x89LZO", 4, NULL,
	  "it is packed with lzo, which lguest cannot unpack" },
};

int unpack(const uint8_t *in, size_t len, struct blob *out, const char **why)
{
	const struct packer *p;

	for (p = packers; p < packers + sizeof(packers) / sizeof(*p); p++) {
		if (len < p->magic_len || memcmp(in, p->magic, p->magic_len))
			continue;
		*why = p->why;
		return p->unpack ? p->unpack(in, len, out) : -1;
	}
	*why = "it is packed in a way lguest does not know";
	return -1;
}
