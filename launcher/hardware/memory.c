// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's RAM: one anonymous mapping of the launcher, or one of a file in memory
 * if a server of a device shall have it, too (devices/vhost).  Guest-physical 0 is
 * its first byte.  An inaccessible stretch on either side turns a slip of the
 * launcher into a crash instead of a leak.
 * Read next: snapshot/format.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lguest.h"
#include "memory.h"

/*L:110
 * Address space is reserved with room for alignment and both guards, then the
 * middle is opened:
 *
 *	| guard ... | RAM, 2 MiB aligned | guard ... |
 *
 * The guards stay mapped until the program ends or memory_destroy() is called.
 :*/
static uint8_t *align_up(uint8_t *at)
{
	return (uint8_t *)(((uintptr_t)at + MEMORY_LARGE - 1) & ~(MEMORY_LARGE - 1));
}

/* Also of a size that is not aligned: what memory_destroy() unmaps is all ours. */
static uint64_t reserved_size(uint64_t size)
{
	return (uintptr_t)align_up((uint8_t *)(uintptr_t)size) + 3 * MEMORY_LARGE;
}

static uint8_t *reserve(uint64_t size)
{
	uint64_t whole = reserved_size(size);
	uint8_t *start, *base, *end;

	start = mmap(NULL, whole, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return NULL;
	/* Give back what alignment left over: exactly two guards remain. */
	base = align_up(start + MEMORY_LARGE);
	end = align_up(base + size) + MEMORY_LARGE;
	if (base - MEMORY_LARGE > start)
		munmap(start, base - MEMORY_LARGE - start);
	if (start + whole > end)
		munmap(end, start + whole - end);
	return base;
}

/*L:115
 * Large guests want speed: 2 MiB alignment and transparent huge pages let the Host
 * use large shadow entries.  Small ones are many: they take single pages, so that
 * each costs what it touches.
 :*/
static void choose_pages(struct memory *memory)
{
	memory->huge = memory->size >= MEMORY_HUGE_FROM;
	madvise(memory->base, memory->size,	/* a wish, no more */
		memory->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

/* A file that shrank would be a SIGBUS of ours. */
static int sealed_file(uint64_t size)
{
	int fd = memfd_create("lguest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, size) ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The middle of what is reserved becomes memory; gives a file, or -1: there is none. */
static bool open_middle(uint8_t *base, uint64_t size, bool shared, int *file)
{
	*file = shared ? sealed_file(size) : -1;
	if (!shared)
		return !mprotect(base, size, PROT_READ | PROT_WRITE);
	return *file >= 0 && mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				  *file, 0) == base;
}

static bool create(struct memory *memory, uint64_t size, bool shared)
{
	uint8_t *base;

	if (size < MEMORY_LEAST || size > MEMORY_MOST) {
		problem("cannot give the guest %llu KiB of memory: the least is 16M, the most 1024G; try -m 256M",
			(unsigned long long)size >> 10);
		return false;
	}
	size &= ~(MEMORY_PAGE - 1);
	base = reserve(size);
	if (!base || !open_middle(base, size, shared, &memory->file)) {
		problem("cannot reserve %llu MiB for the guest: %s; try a smaller -m",
			(unsigned long long)size >> 20, strerror(errno));
		return false;
	}
	madvise(base, size, MADV_DONTDUMP);
	madvise(base, size, MADV_DONTFORK);	/* no process that we start has it */
	memory->base = base;
	memory->size = size;
	choose_pages(memory);
	return true;
}

bool memory_create(struct memory *memory, uint64_t size)
{
	return create(memory, size, false);
}

bool memory_create_shared(struct memory *memory, uint64_t size)
{
	return create(memory, size, true);
}

void memory_destroy(struct memory *memory)
{
	uint8_t *end;

	if (!memory->base)
		return;
	end = align_up(memory->base + memory->size) + MEMORY_LARGE;
	munmap(memory->base - MEMORY_LARGE, end - memory->base + MEMORY_LARGE);
	if (memory->file >= 0)
		close(memory->file);
	memory->base = NULL;
	memory->size = 0;
}

/*L:120
 * Addresses come from the guest, sizes sometimes too, so neither sum nor
 * difference below may wrap.
 :*/
void *memory_at(const struct memory *memory, gpa_t at, uint64_t size)
{
	if (at.v > memory->size || size > memory->size - at.v)
		return NULL;
	return memory->base + at.v;
}

void memory_discard(const struct memory *memory, gpa_t at, uint64_t size)
{
	uint64_t first = (at.v + MEMORY_PAGE - 1) & ~(MEMORY_PAGE - 1);
	uint64_t end = (at.v + size) & ~(MEMORY_PAGE - 1);

	if (memory_at(memory, at, size) && first < end)
		madvise(memory->base + first, end - first,
			memory->file < 0 ? MADV_DONTNEED : MADV_REMOVE);
}

bool memory_write(const struct memory *memory, gpa_t at, const void *from,
		  uint64_t size)
{
	void *to = memory_at(memory, at, size);

	if (to && size)
		memcpy(to, from, size);
	return to;
}

bool memory_read(const struct memory *memory, gpa_t at, void *to, uint64_t size)
{
	const void *from = memory_at(memory, at, size);

	if (from && size)
		memcpy(to, from, size);
	return from;
}
