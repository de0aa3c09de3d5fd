/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A snapshot on the disk: written as a whole or not at all, and read as what a stranger
 * may have made.
 */
#ifndef LGUEST_SNAPSHOT_FILE_H
#define LGUEST_SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "format.h"
#include "hardware/memory.h"

struct snapshot {
	int fd;
	struct snapshot_header header;
	void *bytes[SNAPSHOT_SECTIONS];		/* of each section that is known */
};

/* What is to be written as a section. */
struct snapshot_piece {
	uint32_t kind;
	const void *bytes;
	size_t size;
};

/* All false after a message. */

/* A file that only its owner can read: sections, RAM and its sums. */
bool snapshot_write(const char *path, const char *kernel, const struct memory *memory,
		    const struct snapshot_piece *pieces, unsigned int nr);
/* Open one and look at all of it but RAM.  To be closed, if true. */
bool snapshot_open(struct snapshot *snapshot, const char *path);
void snapshot_close(struct snapshot *snapshot);
/* The nth section of a kind, or NULL. */
const void *snapshot_section(const struct snapshot *snapshot, enum snapshot_kind kind,
			     unsigned int n, size_t *size);
/* Its RAM becomes that of a guest, whose memory has been made: what is written stays the guest's. */
bool snapshot_map(const struct snapshot *snapshot, const struct memory *memory);
/* Is RAM what was written?  Reads all of it. */
bool snapshot_verify(const struct snapshot *snapshot, const char *path);

#endif /* LGUEST_SNAPSHOT_FILE_H */
