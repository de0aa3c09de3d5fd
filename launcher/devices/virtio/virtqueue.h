/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtqueue, seen from the device: the split ring of the virtio standard
 * (version 1.2, section 2.7).  It lies in guest RAM, and whatever is read there
 * may be nonsense, or change while it is read.
 */
#ifndef LGUEST_VIRTQUEUE_H
#define LGUEST_VIRTQUEUE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "hardware/memory.h"

#define VIRTQUEUE_MOST	256	/* entries of a ring; a chain has no more */

/* As struct vring_desc, at any address: that of a table is the driver's. */
struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
} __attribute__((packed));

struct virtqueue {
	const struct memory *memory;
	/* What the driver says while it sets the queue up. */
	uint32_t size;
	gpa_t descriptors, driver, device;
	bool event_index;
	/* From virtqueue_start() to virtqueue_stop(). */
	bool running;
	volatile const struct descriptor *table;
	struct vring_avail *available;
	struct vring_used *used;
	uint16_t next_available, next_used;
	uint16_t told;		/* next_used when the driver was last asked */
	bool told_valid;
	/* Which rule the driver broke; the queue is then dead until a reset. */
	const char *broken;
};

/*
 * One request: memory of the guest that the device reads (out), and memory
 * that it writes (in).  The parts were checked; the bytes in them were not.
 */
struct chain {
	uint16_t head;
	unsigned int out_parts, in_parts;
	uint64_t out_size, in_size;
	struct iovec parts[VIRTQUEUE_MOST];	/* out first, then in */
};

void virtqueue_reset(struct virtqueue *queue, const struct memory *memory);
/* Check what the driver set, and begin; NULL, or the rule that was broken. */
const char *virtqueue_start(struct virtqueue *queue);
void virtqueue_stop(struct virtqueue *queue);

/*
 * The next request: 1; none: 0; the driver broke a rule: -1, and queue->broken
 * says which.
 */
int virtqueue_pop(struct virtqueue *queue, struct chain *chain);
/*
 * Whoever served the ring is gone, and it is ours from here on: the heads of the requests
 * that he has not given back, as far as the rings tell.  Gives their number, or -1.
 */
int virtqueue_take_over(struct virtqueue *queue, uint16_t heads[VIRTQUEUE_MOST]);
/* One of them, once more: 1, or -1. */
int virtqueue_again(struct virtqueue *queue, uint16_t head, struct chain *chain);
/* Take back the last n pops. */
void virtqueue_unpop(struct virtqueue *queue, unsigned int n);
/* Give a request back, with so many bytes written to its in parts. */
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);
/* The same, seen by the driver only at virtqueue_publish(queue, n). */
void virtqueue_put(struct virtqueue *queue, unsigned int nth, uint16_t head,
		   uint32_t written);
void virtqueue_publish(struct virtqueue *queue, unsigned int n);

/* After pushes: does the driver want an interrupt? */
bool virtqueue_wants_interrupt(struct virtqueue *queue);
/* Does the driver need to notify?  True from true: something came meanwhile. */
bool virtqueue_notify_me(struct virtqueue *queue, bool on);

/*
 * Move bytes between a chain and a buffer; they give how many there were.  The
 * chain moves on over them.
 */
size_t chain_read(struct chain *chain, void *to, size_t size);
size_t chain_write(struct chain *chain, const void *from, size_t size);
/* The same to any parts that the device writes. */
size_t parts_write(struct iovec *parts, unsigned int n, const void *from, size_t size);
/* Leave the first bytes of some parts out. */
void parts_skip(struct iovec **parts, unsigned int *n, size_t bytes);
/* Take the last byte off the in parts; false if there is none. */
bool chain_take_end(struct chain *chain, void **byte);

static inline struct iovec *chain_out(struct chain *chain)
{
	return chain->parts;
}

static inline struct iovec *chain_in(struct chain *chain)
{
	return chain->parts + chain->out_parts;
}

#endif /* LGUEST_VIRTQUEUE_H */
