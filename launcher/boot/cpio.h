/* SPDX-License-Identifier: GPL-2.0 */
/* A cpio archive ("newc") that grows in memory, as the kernel unpacks it. */
#ifndef LGUEST_CPIO_H
#define LGUEST_CPIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive {
	uint8_t *bytes;
	size_t size;		/* used */
	size_t room;		/* allocated */
	uint32_t entries;
	bool failed;		/* out of memory, or an entry too large */
};

void archive_folder(struct archive *archive, const char *name);
void archive_file(struct archive *archive, const char *name, unsigned int mode,
		  const void *bytes, size_t size);
void archive_link(struct archive *archive, const char *name, const char *to);
/* A character device. */
void archive_device(struct archive *archive, const char *name,
		    unsigned int major, unsigned int minor);
/* The last entry; false if anything went wrong since the beginning. */
bool archive_end(struct archive *archive);
void archive_free(struct archive *archive);

#endif /* LGUEST_CPIO_H */
