/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The file of a snapshot, version 1.  All numbers are little-endian.
 *
 *	0		struct snapshot_header, a page
 *	4096		sections, in the order of the header
 *	ram_offset	RAM, as it is; what was zero is a hole of the file
 *
 * RAM is one stretch at one place, so that it is mapped by one call, and there is no map of
 * it that could lie.
 */
#ifndef LGUEST_SNAPSHOT_FORMAT_H
#define LGUEST_SNAPSHOT_FORMAT_H

#include <assert.h>
#include <stdint.h>

#define SNAPSHOT_MAGIC		"LGSNAP\r\n"	/* a copy as text shows */
#define SNAPSHOT_VERSION	1
#define SNAPSHOT_SECTIONS	32
#define SNAPSHOT_SECTION_MOST	(32U << 20)
#define SNAPSHOT_CHUNK		(2ULL << 20)	/* of RAM, that has a sum */

enum snapshot_kind {
	SNAPSHOT_VCPU = 1,	/* struct lguest_vcpu and its extended state */
	SNAPSHOT_RAM_SUMS,	/* 32 bytes for each chunk; zeros for one that is only zeros */
	SNAPSHOT_KINDS		/* this lguest knows those before */
};

#define SNAPSHOT_MUST		1	/* of a section: who does not know it cannot restore */

struct snapshot_section {
	uint32_t kind, flags;
	uint64_t offset, size;
	uint8_t sum[32];		/* SHA-256 */
};

struct snapshot_header {
	char magic[8];
	uint32_t version, header_size;
	uint64_t file_size, ram_size, ram_offset;
	uint64_t made;			/* seconds since 1970 */
	uint32_t nr_sections, flags;	/* no flags yet */
	char lguest[32], kernel[96];	/* versions, for the user; ended by NUL */
	struct snapshot_section sections[SNAPSHOT_SECTIONS];
	uint8_t reserved[4096 - 216 - 56 * SNAPSHOT_SECTIONS];	/* zero */
	uint8_t sum[32];		/* SHA-256 of all before it */
};
_Static_assert(sizeof(struct snapshot_header) == 4096, "a page, no padding");

/* The sum of a header, into it. */
void snapshot_seal(struct snapshot_header *header);
/*
 * What is wrong with the header of a file of that size, as the second half of a sentence; or
 * NULL.  Then each section lies in the file, by itself, and RAM behind them.
 */
const char *snapshot_fault(const struct snapshot_header *header, uint64_t file_size);

#endif /* LGUEST_SNAPSHOT_FORMAT_H */
