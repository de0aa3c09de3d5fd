// SPDX-License-Identifier: GPL-2.0
/*
 * The program that served a device is gone.  Nobody in the guest shall wait for it: what
 * was on its way ends with an error, and so does all that is still to come, as on a disk
 * that was pulled out.  Only so can the guest write back what it has for other disks, and
 * power off.
 * Read next: devices/share/virtio_fs.c.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "vhost.h"

/* With the queue's lock; false: the driver broke a rule. */
static bool take_over(struct virtio_queue *q)
{
	uint16_t heads[VIRTQUEUE_MOST];
	struct chain chain;
	int i, n = virtqueue_take_over(&q->ring, heads);

	for (i = 0; i < n; i++) {
		uint32_t written;

		if (virtqueue_again(&q->ring, heads[i], &chain) < 0)
			return false;
		written = q->device->kind->refuse(q, &chain);
		if (written == VIRTIO_BAD)
			return false;
		virtio_began(q);
		virtio_done(q, heads[i], written);
	}
	return n >= 0;
}

static void refuse_waiting(struct vhost *v, struct virtio_queue *q)
{
	pthread_mutex_lock(&q->lock);
	if (q->ring.running && virtio_is_ready(q->device)) {
		if (!v->ours[q->number] && !take_over(q))
			virtio_fail(q->device, q->ring.broken);
		else
			virtio_each(q, q->device->kind->refuse);
		v->ours[q->number] = true;
	}
	pthread_mutex_unlock(&q->lock);
}

void vhost_refuse(struct vhost *v)
{
	struct pollfd kicks[VIRTIO_QUEUES_MOST];
	unsigned int i, n = v->device.kind->queues;
	uint64_t count;

	for (i = 0; i < n; i++)
		kicks[i] = (struct pollfd){ .fd = v->device.queues[i].kick, .events = POLLIN };
	do {
		for (i = 0; i < n; i++) {
			if (read(kicks[i].fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
				return;
			refuse_waiting(v, &v->device.queues[i]);
		}
	} while (poll(kicks, n, -1) >= 0 || errno == EINTR);
}
