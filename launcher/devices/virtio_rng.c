// SPDX-License-Identifier: GPL-2.0
/*
 * Random numbers for the guest, from the host's own generator (virtio standard
 * 1.2, section 5.4): the driver offers memory, the device fills it.  The
 * simplest device there is; read it first.
 * Read next: devices/virtio/virtqueue.c.
 */
#include <sys/random.h>

#include "devices.h"
#include "devices/virtio/virtio.h"

#define MOST	65536	/* bytes at once; the driver takes what it gets */

static uint32_t fill(struct virtio_queue *q, struct chain *chain)
{
	struct iovec *part = chain_in(chain);
	uint32_t done = 0;
	unsigned int i;

	if (chain->out_parts || !chain->in_parts) {
		q->ring.broken = "a request for random numbers has no place for them";
		return VIRTIO_BAD;
	}
	for (i = 0; i < chain->in_parts && done < MOST; i++) {
		size_t size = part[i].iov_len < MOST - done ? part[i].iov_len : MOST - done;
		ssize_t got = getrandom(part[i].iov_base, size, 0);

		if (got <= 0)
			break;
		done += got;
	}
	return done;
}

static void serve(struct virtio_queue *q)
{
	virtio_each(q, fill);
}

static const struct virtio_kind kind = {
	.id = VIRTIO_ID_RNG,
	.driver = "virtio_rng",
	.queues = 1,
	.thread = THREAD_RNG,
	.serve = serve,
};

struct virtio_device *rng_create(void)
{
	static struct virtio_device device;

	return virtio_init(&device, &kind, "random numbers", NULL) ? &device : NULL;
}
