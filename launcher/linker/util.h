/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Small things that all files of the linker use: errors as sentences, numbers
 * from files, and whole files in memory.
 *
 * Everything that comes out of a file is hostile: it is read through these
 * accessors after a check with range_ok(), never by casting a pointer.
 */
#ifndef _LGUEST_LINKER_UTIL_H
#define _LGUEST_LINKER_UTIL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "linker.h"

/* Write the sentence; always returns -1, for `return link_fail(...)`. */
int link_fail(struct lguest_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A file, or what was unpacked from one. */
struct blob {
	uint8_t *data;
	size_t size;
};

/* Read the whole of a regular file of at most @limit bytes. */
int blob_read(struct blob *blob, const char *path, size_t limit,
	      struct lguest_error *err);
void blob_free(struct blob *blob);

/*
 * Signals that would end us wait while there is something half made on the disk; who
 * makes it looks whether one came, and gives up.
 */
void signals_hold(sigset_t *before);
bool signals_came(void);
void signals_let_go(const sigset_t *before);

/* Are there @len bytes at @off in something of @size bytes? */
static inline bool range_ok(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

static inline uint64_t align_up(uint64_t x, uint64_t to)
{
	return (x + to - 1) & ~(to - 1);
}

/* The kernel, the layer and this program are all little-endian x86. */
static inline uint16_t get16(const uint8_t *p)
{
	uint16_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

static inline uint32_t get32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

static inline uint64_t get64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

static inline void put64(uint8_t *p, uint64_t x)
{
	memcpy(p, &x, sizeof(x));
}

#endif /* _LGUEST_LINKER_UTIL_H */
