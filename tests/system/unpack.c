// SPDX-License-Identifier: GPL-2.0
/* unpack VMLINUZ VMLINUX: the ELF file inside a vmlinuz, for images.sh. */
#include <stdio.h>

#include "linker/bzimage.h"
#include "linker/util.h"

int main(int argc, char **argv)
{
	struct lguest_error error;
	struct blob file, vmlinux;
	FILE *out;

	if (argc != 3 || blob_read(&file, argv[1], 1 << 30, &error) < 0 ||
	    bzimage_unpack(&file, argv[1], &vmlinux, &error) < 0)
		return 1;
	out = fopen(argv[2], "wb");
	return !out || fwrite(vmlinux.data, vmlinux.size, 1, out) != 1 || fclose(out);
}
