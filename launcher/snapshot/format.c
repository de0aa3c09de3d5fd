// SPDX-License-Identifier: GPL-2.0
/*
 * The header of a snapshot's file: whoever may have written it, what is said of the rest
 * of the file is looked at here, before anything of that is read.
 * Read next: snapshot/file.c.
 */
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "format.h"
#include "hardware/memory.h"
#include "linker/util.h"

static void sum_of(const struct snapshot_header *header, uint8_t sum[32])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, offsetof(struct snapshot_header, sum), (const uint8_t *)header);
	sha256_digest(&ctx, 32, sum);
}

void snapshot_seal(struct snapshot_header *header)
{
	sum_of(header, header->sum);
}

static bool is_zero(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	return !size || (!at[0] && !memcmp(at, at + 1, size - 1));
}

static bool sum_is_right(const struct snapshot_header *header)
{
	uint8_t sum[32];

	sum_of(header, sum);
	return !memcmp(sum, header->sum, sizeof(sum));
}

static bool ram_is_right(const struct snapshot_header *header, uint64_t file_size)
{
	return header->file_size == file_size && header->ram_size >= MEMORY_LEAST &&
	       header->ram_size <= MEMORY_MOST && header->ram_size % MEMORY_PAGE == 0 &&
	       header->ram_offset % MEMORY_LARGE == 0 &&
	       range_ok(header->ram_offset, header->ram_size, file_size) &&
	       header->ram_offset + header->ram_size == file_size;
}

static bool names_end(const struct snapshot_header *header)
{
	return memchr(header->lguest, 0, sizeof(header->lguest)) &&
	       memchr(header->kernel, 0, sizeof(header->kernel));
}

/*L:117
 * In order and apart from each other, so that no byte is two things.
 :*/
static const char *section_fault(const struct snapshot_section *section, uint64_t *end,
				 uint64_t ram_offset)
{
	if (section->size > SNAPSHOT_SECTION_MOST || section->offset < *end ||
	    !range_ok(section->offset, section->size, ram_offset))
		return "a section of it lies elsewhere";
	if (section->flags & ~SNAPSHOT_MUST)
		return "a section of it has flags that there are not";
	if (section->flags & SNAPSHOT_MUST && (!section->kind || section->kind >= SNAPSHOT_KINDS))
		return "it holds what this lguest does not know; a newer one made it";
	*end = section->offset + section->size;
	return NULL;
}

static const char *sections_fault(const struct snapshot_header *header)
{
	uint64_t end = sizeof(*header);
	const char *fault = NULL;
	uint32_t i;

	if (header->nr_sections > SNAPSHOT_SECTIONS)
		return "it has too many sections";
	for (i = 0; i < header->nr_sections && !fault; i++)
		fault = section_fault(&header->sections[i], &end, header->ram_offset);
	if (!fault && !is_zero(header->sections + i, sizeof(header->sections[0]) *
			       (SNAPSHOT_SECTIONS - header->nr_sections)))
		fault = "it has sections that are not counted";
	return fault;
}

const char *snapshot_fault(const struct snapshot_header *header, uint64_t file_size)
{
	if (memcmp(header->magic, SNAPSHOT_MAGIC, sizeof(header->magic)))
		return "it is no snapshot of lguest";
	if (header->version != SNAPSHOT_VERSION || header->header_size != sizeof(*header))
		return "another version of lguest made it";
	if (!sum_is_right(header))
		return "its header is damaged";
	if (!ram_is_right(header, file_size))
		return "its size is not what its header says; was it cut?";
	if (header->flags || !names_end(header) ||
	    !is_zero(header->reserved, sizeof(header->reserved)))
		return "its header has what there is not";
	return sections_fault(header);
}
