// SPDX-License-Identifier: GPL-2.0
/*
 * Resident memory, from smaps of this process: for each mapping a line with its
 * addresses, one "Rss: N kB", and one "Pss: N kB", where a page that two processes have
 * counts half.  The guest's RAM is one stretch of addresses; everything else, shared
 * libraries too, is the launcher's: what supervisor and machine share is there once.
 * Read next: command/cmd_stat.c.
 */
#define _GNU_SOURCE 1
#include <inttypes.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

#include "resident.h"

#define LARGE	(64 << 10)	/* blocks from here on are mappings of their own */

/*L:360
 * To set a guest up takes megabytes, for its initramfs, and most of the code of
 * the C library; to run it takes little.  Each thread would get a heap of its
 * own, too.
 :*/
void resident_limit(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, LARGE);
	mallopt(M_TRIM_THRESHOLD, LARGE);
}

/* Text and constants, which come back from their file when they are touched. */
static int give_back_segments(struct dl_phdr_info *info, size_t size, void *unused)
{
	unsigned int i;

	(void)size;
	(void)unused;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = (info->dlpi_addr + segment->p_vaddr) & ~(MEMORY_PAGE - 1);
		uintptr_t end = info->dlpi_addr + segment->p_vaddr + segment->p_memsz;

		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
			madvise((void *)start, end - start, MADV_DONTNEED);
	}
	return 0;
}

void resident_give_back(void)
{
	malloc_trim(0);
	dl_iterate_phdr(give_back_segments, NULL);
}

FILE *resident_open(void)
{
	return fopen("/proc/self/smaps", "re");
}

static bool is_guest(const struct memory *memory, uint64_t start)
{
	return start - (uintptr_t)memory->base < memory->size;
}

bool resident_read(FILE *file, const struct memory *memory, struct resident *resident)
{
	uint64_t start = 0, end, size;
	char line[512];

	resident->guest = 0;
	resident->launcher = 0;
	if (!file)
		return false;
	rewind(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			continue;
		if (sscanf(line, "Rss: %" SCNu64 " kB", &size) == 1 && is_guest(memory, start))
			resident->guest += size << 10;
		if (sscanf(line, "Pss: %" SCNu64 " kB", &size) == 1 && !is_guest(memory, start))
			resident->launcher += size << 10;
	}
	return !ferror(file);
}
