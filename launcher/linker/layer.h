/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_LAYER_H
#define _LGUEST_LINKER_LAYER_H

#include "elf_file.h"

#define LAYER_OBJECT	"layer.o"
#define LAYER_SCRIPT	"layer.lds"
/* What `lguest link --all` has built, and what came with lguest. */
#define LAYERS_DIRS	"/var/lib/lguest/layers:/usr/lib/lguest/layers"

/* The guest layer: an object, and the linker script that places it. */
struct layer {
	char *object;		/* paths */
	char *script;
	struct blob object_file;
	struct blob script_file;
	struct elf elf;		/* of object_file */
};

/*
 * Find and open the layer for @release: in @dir, or if that is NULL in the
 * directories of $LGUEST_LAYERS, or else in LAYERS_DIRS.
 */
int layer_open(struct layer *l, const char *dir, const char *release,
	       struct lguest_error *err);
void layer_close(struct layer *l);

#endif /* _LGUEST_LINKER_LAYER_H */
