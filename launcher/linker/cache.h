/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_CACHE_H
#define _LGUEST_LINKER_CACHE_H

#include "layer.h"

/*
 * The path in the cache for this kernel file with this layer, to be freed.
 * Makes the directories it needs.
 */
int cache_path(const struct blob *vmlinuz, const char *release,
	       const struct layer *layer, char **path,
	       struct lguest_error *err);

/* Write a file so that nobody ever sees half of it. */
int write_whole(const char *path, const struct blob *contents,
		struct lguest_error *err);

#endif /* _LGUEST_LINKER_CACHE_H */
