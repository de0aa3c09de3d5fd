/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_CACHE_H
#define _LGUEST_LINKER_CACHE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "layer.h"

/* SHA-256, in hexadecimal: nobody can make another file that has it. */
struct sum {
	char text[65];
};

struct sum kernel_sum(const struct blob *vmlinuz);

/* Release (to be freed) and sum of a kernel's file, if they are remembered. */
bool cache_recall(const char *vmlinuz, char **release, struct sum *sum);

/*
 * Remember them, if possible; else the next start reads the file again.
 * @file: its status, taken before it was read.
 */
bool cache_remember(const struct stat *file, const char *release, const struct sum *sum);

/*
 * The path in the cache for the kernel with this sum and this layer, to be freed.
 * Makes the directories it needs.
 */
int cache_path(const struct sum *kernel_sum, const char *release,
	       const struct layer *layer, char **path,
	       struct lguest_error *err);

/* The file there is about to be booted: it shall stay. */
void cache_used(const char *path);
/*
 * Remove from our cache what an lguest before this one has put there under other names,
 * and what has not been used for long.
 */
void cache_prune(void);

/* May a file be written there, or is there something that is no file? */
int write_check(const char *path, struct lguest_error *err);
/* Write a file so that nobody ever sees half of it, nor finds it after a signal. */
int write_whole(const char *path, const struct blob *contents,
		struct lguest_error *err);

#endif /* _LGUEST_LINKER_CACHE_H */
