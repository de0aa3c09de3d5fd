/* SPDX-License-Identifier: GPL-2.0 */
/*P:010
 * The linker turns a distribution's vmlinuz into a guest.
 *
 * A stock kernel knows nothing of lguest.  What it lacks is one relocatable
 * object, the guest layer, compiled against that kernel's headers package.
 * Putting the two together takes four steps, one file each:
 *
 *	bzimage.c, unpack.c	get the kernel's ELF image out of the vmlinuz
 *	kallsyms.c		read the names it carries about itself
 *	layer.c, ld.c		find the layer, and link it to those names
 *	output.c		write both as one ELF file
 *
 * link.c goes through the steps and cache.c remembers the result, so that it
 * all happens once per kernel.  This header is what the rest of the launcher
 * may use; read link.c next.
 * Read next: link.c.
:*/
#ifndef _LGUEST_LINKER_H
#define _LGUEST_LINKER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Nothing here prints or exits.  A function that fails returns -1 and leaves a
 * sentence: "<what failed>: <why>; <what to try>", without a newline, to be
 * printed behind "lguest: ".
 */
struct lguest_error {
	char text[4096];
};

/*
 * A linked file says so in an ELF note: owner "lguest", type LGUEST_NOTE_LINK,
 * whose contents are this structure.
 */
#define LGUEST_NOTE_OWNER	"lguest"
#define LGUEST_NOTE_LINK	1
/* Changes with what the launcher and the layer expect of a linked file. */
#define LGUEST_LINK_VERSION	1

struct lguest_link_note {
	uint32_t version;		/* LGUEST_LINK_VERSION */
	uint32_t reserved;		/* 0 */
	uint64_t file_size;		/* of the whole linked file */
	char release[64];		/* of the kernel, NUL-ended */
};
_Static_assert(sizeof(struct lguest_link_note) == 80, "no padding");

struct lguest_link_options {
	const char *layer_dir;	/* look for the layer here first, or NULL */
	const char *out;	/* write here; NULL: to the cache */
	FILE *verbose;		/* tell what is being done, or NULL */
	bool try_anyway;	/* also kernels that we do not know */
	bool look_inside;	/* no layer: say first if it can be a guest at all */
};

/*
 * Link @vmlinuz.  *@result is the path of the linked file, to be freed by the
 * caller.  Without options->out a file already in the cache is used.
 */
int lguest_link(const char *vmlinuz, const struct lguest_link_options *options,
		char **result, struct lguest_error *err);

/* The release ("6.1.0-56-cloud-amd64") of @vmlinuz, to be freed. */
int lguest_release(const char *vmlinuz, char **release,
		   struct lguest_error *err);

/*
 * Whether @path is a linked file: 1 and its note, 0 if it is something else
 * (a vmlinuz, say), -1 if it is one but is damaged or of another version.
 */
int lguest_linked(const char *path, struct lguest_link_note *note,
		  struct lguest_error *err);

/* Write the symbols of @vmlinuz to @path, as an ELF file for a debugger. */
int lguest_debug_file(const char *vmlinuz, const char *path, struct lguest_error *err);

/* Print the symbols of @vmlinuz as nm(1) would. */
int lguest_symbols(const char *vmlinuz, FILE *out, struct lguest_error *err);

#endif /* _LGUEST_LINKER_H */
