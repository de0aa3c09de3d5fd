/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_DEBUG_FILE_H
#define _LGUEST_LINKER_DEBUG_FILE_H

#include "kallsyms.h"

/* Write the symbols as an ELF file that gdb reads. */
int debug_file_write(const struct kallsyms *ks, FILE *out, struct lguest_error *err);

#endif /* _LGUEST_LINKER_DEBUG_FILE_H */
