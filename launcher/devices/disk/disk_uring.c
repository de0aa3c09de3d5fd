// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers by io_uring: a batch goes to the kernel with one call, and what has
 * ended lies in memory.  The file is not registered with the ring, which lives
 * on for a moment after it was closed and would keep the disk's lock.
 *
 * What a ring is asked for, no filter of system calls sees: it opens files, makes
 * sockets and connects them.  So it is told at first what it will be good for,
 * which nobody can take back (Linux 5.10; before, threads do the transfers).
 * Read next: disk_threads.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "disk_io.h"

/*
 * Those of give(), without flags; and nothing may be registered.  (Debian 12's
 * liburing declares functions for this that it does not have.)
 */
static int restrict_ring(struct io_uring *ring)
{
	static const uint8_t wanted[] = {
		IORING_OP_READ, IORING_OP_READV, IORING_OP_WRITE, IORING_OP_WRITEV,
		IORING_OP_FSYNC,
	};
	struct io_uring_restriction rules[sizeof(wanted)] = { { .opcode = 0 } };
	unsigned int i;

	for (i = 0; i < sizeof(wanted); i++) {
		rules[i].opcode = IORING_RESTRICTION_SQE_OP;
		rules[i].sqe_op = wanted[i];
	}
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS,
		    rules, sizeof(wanted)) ||
	    syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0))
		return -errno;
	return 0;
}

static int open_uring(struct engine *engine)
{
	struct io_uring *ring = calloc(1, sizeof(*ring));
	int error = ring ? io_uring_queue_init(TRANSFERS_MOST, ring, IORING_SETUP_R_DISABLED) :
			   -ENOMEM;

	if (!error) {
		error = restrict_ring(ring);
		if (error)
			io_uring_queue_exit(ring);
	}
	if (error) {
		free(ring);
		return error;
	}
	engine->state = ring;
	engine->ready = ring->ring_fd;
	return 0;
}

static void close_uring(struct engine *engine)
{
	io_uring_queue_exit(engine->state);
	free(engine->state);
}

/* There is always room: what go() hands over leaves the queue at once. */
static void give(struct engine *engine, struct transfer *t)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(engine->state);

	switch (t->kind) {
	case TRANSFER_READ:
		if (t->parts == 1)
			io_uring_prep_read(sqe, t->file, t->part->iov_base,
					   t->part->iov_len, t->at);
		else
			io_uring_prep_readv(sqe, t->file, t->part, t->parts, t->at);
		break;
	case TRANSFER_WRITE:
		if (t->parts == 1)
			io_uring_prep_write(sqe, t->file, t->part->iov_base,
					    t->part->iov_len, t->at);
		else
			io_uring_prep_writev(sqe, t->file, t->part, t->parts, t->at);
		break;
	case TRANSFER_SYNC:
		io_uring_prep_fsync(sqe, t->file, IORING_FSYNC_DATASYNC);
		break;
	}
	io_uring_sqe_set_data(sqe, t);
}

/* It fails only when the host has no memory just now. */
static void go(struct engine *engine)
{
	static const struct timespec moment = { .tv_nsec = 1000000 };
	struct io_uring *ring = engine->state;

	while (io_uring_sq_ready(ring))
		if (io_uring_submit(ring) <= 0)
			nanosleep(&moment, NULL);
}

static struct transfer *take(struct engine *engine, bool wait)
{
	struct io_uring *ring = engine->state;
	struct io_uring_cqe *cqe;
	struct transfer *t;

	while (io_uring_peek_cqe(ring, &cqe)) {
		if (!wait)
			return NULL;
		io_uring_wait_cqe(ring, &cqe);
	}
	t = io_uring_cqe_get_data(cqe);
	t->result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return t;
}

const struct engine_kind engine_uring = {
	.name = "io_uring",
	.open = open_uring,
	.close = close_uring,
	.give = give,
	.go = go,
	.take = take,
};
