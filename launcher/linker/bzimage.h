/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_BZIMAGE_H
#define _LGUEST_LINKER_BZIMAGE_H

#include "util.h"

/* Larger than any distribution's kernel, packed and unpacked. */
#define VMLINUZ_LIMIT	(256UL << 20)
#define VMLINUX_LIMIT	(512UL << 20)

/*
 * Get the ELF image out of @file, which is a bzImage or that image itself.
 * @name is what the file is called in sentences.
 */
int bzimage_unpack(const struct blob *file, const char *name,
		   struct blob *vmlinux, struct lguest_error *err);

/* The release written in the header or, failing that, in the image; freed. */
int bzimage_release(const struct blob *file, const char *name, char **release,
		    struct lguest_error *err);

/* What ends a release string: the first word of @text, at most @len bytes. */
char *release_word(const uint8_t *text, size_t len);

/* A few words each: what was wrong with something packed, and what to do. */
struct trouble {
	char why[64];
	char fix[192];
};

/*
 * unpack.c: unpack @in into @out, which has room for out->size bytes; sets
 * out->size to what came out.  On failure returns -1 and fills in @trouble.
 */
int unpack(const uint8_t *in, size_t len, struct blob *out, struct trouble *trouble);

#endif /* _LGUEST_LINKER_BZIMAGE_H */
