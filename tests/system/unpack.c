// SPDX-License-Identifier: GPL-2.0
/*
 * For images.sh and packed.sh:
 *
 *	unpack VMLINUZ VMLINUX	the ELF file inside a vmlinuz
 *	unpack -z FILE PACKED	FILE packed with zstd, whose program need not be there
 */
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "linker/bzimage.h"
#include "linker/util.h"

static int pack(const struct blob *file, struct blob *packed)
{
	packed->size = ZSTD_compressBound(file->size);
	packed->data = malloc(packed->size);
	if (!packed->data)
		return -1;
	packed->size = ZSTD_compress(packed->data, packed->size, file->data, file->size, 1);
	return ZSTD_isError(packed->size) ? -1 : 0;
}

int main(int argc, char **argv)
{
	bool zstd = argc == 4 && !strcmp(argv[1], "-z");
	const char *from = argv[argc - 2], *to = argv[argc - 1];
	struct lguest_error error;
	struct blob file, result;
	FILE *out;

	if ((argc != 3 && !zstd) || blob_read(&file, from, 1 << 30, &error) < 0 ||
	    (zstd ? pack(&file, &result) : bzimage_unpack(&file, from, &result, &error)) < 0)
		return 1;
	out = fopen(to, "wb");
	return !out || fwrite(result.data, result.size, 1, out) != 1 || fclose(out);
}
