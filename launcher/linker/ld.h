/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_LD_H
#define _LGUEST_LINKER_LD_H

#include "kernel.h"
#include "layer.h"

/* Link the layer to the addresses of the kernel's symbols. */
int ld_run(const struct layer *layer, const struct kernel *kernel,
	   struct blob *linked, FILE *verbose, struct lguest_error *err);

/*
 * Write to @out a linker script that gives every symbol which the layer needs
 * its address in the kernel.  Fails with a list of those it could not give.
 */
int ld_symbols(const struct layer *layer, const struct kernel *kernel,
	       FILE *out, struct lguest_error *err);

/* Has ld placed every section where the layer's script says? */
int ld_check_sections(const struct layer *layer, const struct elf *linked,
		      struct lguest_error *err);

#endif /* _LGUEST_LINKER_LD_H */
