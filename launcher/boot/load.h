/* SPDX-License-Identifier: GPL-2.0 */
/* Loading: a linked kernel, an initrd and the boot parameters into RAM. */
#ifndef LGUEST_LOAD_H
#define LGUEST_LOAD_H

#include "hardware/memory.h"

/* Where the launcher puts its own things; all below 640 KiB. */
#define BOOT_PARAMS_AT		GPA(0x10000)
#define COMMAND_LINE_AT		GPA(0x20000)
#define COMMAND_LINE_MOST	2047
#define HIGH_RAM_START		0x100000

struct loaded {
	gpa_t entry;		/* first instruction, physical */
	gpa_t start;		/* of its lowest segment */
	gpa_t end;		/* end of its highest segment */
};

struct initrd {
	gpa_t at;
	uint64_t size;		/* 0: none */
};

/* Is this an ELF file (and so linked already)? */
bool is_elf(const char *path);
/* Each gives false after a message. */
bool load_kernel(const struct memory *memory, const char *path,
		 struct loaded *kernel);
bool load_initrd_file(const struct memory *memory, const struct loaded *kernel,
		      const char *path, struct initrd *initrd);
bool load_initrd_bytes(const struct memory *memory, const struct loaded *kernel,
		       const void *bytes, uint64_t size, struct initrd *initrd);
/* devices: parameters that describe them; params: the user's. */
bool load_boot_params(const struct memory *memory, const char *devices,
		      const char *params, const struct initrd *initrd);

#endif /* LGUEST_LOAD_H */
