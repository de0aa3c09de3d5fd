/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest-physical memory.  A guest address is a number of its own type, never a
 * pointer; memory_at() is the only way from one to the other.
 */
#ifndef LGUEST_MEMORY_H
#define LGUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	uint64_t v;
} gpa_t;

#define GPA(x)		((gpa_t){ (x) })

#define MEMORY_PAGE	4096ULL
#define MEMORY_LARGE	(2ULL << 20)
#define MEMORY_LEAST	(16ULL << 20)
#define MEMORY_MOST	(1ULL << 40)
#define MEMORY_HUGE_FROM (256ULL << 20)	/* smaller guests take single pages */

struct memory {
	uint8_t *base;		/* guest-physical 0 */
	uint64_t size;		/* bytes of RAM, whole pages */
	bool huge;		/* in huge pages, if the host has any */
	int file;		/* that another process may map; -1: nobody else has it */
};

/* Reserve RAM, zeroed and untouched; false after a message. */
bool memory_create(struct memory *memory, uint64_t size);
/* The same as a file, whose size nobody can change. */
bool memory_create_shared(struct memory *memory, uint64_t size);
void memory_destroy(struct memory *memory);

/* The launcher's view of [at, at + size), or NULL if that is not all RAM. */
void *memory_at(const struct memory *memory, gpa_t at, uint64_t size);
/* Give whole pages inside back to the host; they are zero when next touched. */
void memory_discard(const struct memory *memory, gpa_t at, uint64_t size);
/* Copies in and out; false (and nothing copied) outside RAM. */
bool memory_write(const struct memory *memory, gpa_t at, const void *from,
		  uint64_t size);
bool memory_read(const struct memory *memory, gpa_t at, void *to, uint64_t size);

#endif /* LGUEST_MEMORY_H */
