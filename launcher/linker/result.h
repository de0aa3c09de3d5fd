/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_OUTPUT_H
#define _LGUEST_LINKER_OUTPUT_H

#include "elf_file.h"

/*
 * Where the layer is: below the fixmap, in the top 2 GiB that 32-bit calls of
 * the kernel reach, and in RAM that the kernel's own image does not use.  It
 * fills at most the 2 MiB that one page table maps.
 */
#define LAYER_VA	0xfffffffffee00000ULL
#define LAYER_PHYS	0x800000ULL
#define LAYER_SPAN	0x200000ULL

/*
 * Make the linked file: all of @kernel and all of @layer, which begins to run
 * at its symbol lguest_start.  @fixmap is the address of level2_fixmap_pgt.
 */
int output_make(const struct elf *kernel, uint64_t fixmap,
		const struct elf *layer, const char *release,
		struct blob *out, struct lguest_error *err);

#endif /* _LGUEST_LINKER_OUTPUT_H */
