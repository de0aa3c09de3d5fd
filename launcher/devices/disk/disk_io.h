/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The disk's way to the host's file: transfers are given, done by somebody
 * else, and taken back when they have ended, in any order.  Two engines can do
 * that: the kernel by io_uring, or threads.
 * Read next: disk_uring.c.
 */
#ifndef LGUEST_DISK_IO_H
#define LGUEST_DISK_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum transfer_kind { TRANSFER_READ, TRANSFER_WRITE, TRANSFER_SYNC };

/* Whose it is must leave it alone until it comes back. */
struct transfer {
	enum transfer_kind kind;
	int file;
	unsigned int parts;
	struct iovec *part;
	off_t at;
	ssize_t result;			/* bytes, or -errno */
	struct transfer *next;		/* the engine's */
};

struct engine {
	const struct engine_kind *kind;
	int ready;			/* readable: take() has something */
	void *state;			/* of the kind */
};

/* Used by one thread at a time. */
struct engine_kind {
	const char *name;
	/* Before confinement; 0 or -errno. */
	int (*open)(struct engine *engine);
	void (*close)(struct engine *engine);
	void (*give)(struct engine *engine, struct transfer *transfer);
	/* Those given may begin. */
	void (*go)(struct engine *engine);
	/* One that ended, or NULL; with wait only if there is none at all. */
	struct transfer *(*take)(struct engine *engine, bool wait);
};

#define TRANSFERS_MOST	256	/* on their way at once */

extern const struct engine_kind engine_uring, engine_threads;

#endif /* LGUEST_DISK_IO_H */
