/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest made of an input, for one virtio device: it writes to the registers
 * and to its memory, sets the device up as it should be, and sends requests,
 * good and bad.  There is no Host, and the device's threads never start: each
 * notification is served here, so that an input always does the same.
 */
#ifndef LGUEST_FUZZ_GUEST_H
#define LGUEST_FUZZ_GUEST_H

#include <errno.h>
#include <linux/virtio_mmio.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "jail/confine.h"
#include "devices/devices.h"
#include "devices/virtio/virtio.h"
#include "fuzz.h"
#include "hardware/host.h"

#define RAM		(16ULL << 20)
#define LOW		0x20000ULL	/* what the rings and the requests are in */
#define SIZE		16U
#define QUEUE_AT(n)	((n) * 0x2000ULL)	/* table, available, used */
#define DATA_AT		0x8000ULL
#define GIVEN_MOST	8

static struct memory memory;
static struct virtio_device *device;

int host_device_eventfd(int fd, gpa_t address, uint32_t data, int eventfd)
{
	(void)fd, (void)address, (void)data, (void)eventfd;
	return -EINVAL;
}

int host_irq_status(int fd, unsigned int line, gpa_t address, uint32_t value)
{
	(void)fd, (void)line, (void)address, (void)value;
	return 0;
}

unsigned int host_vcpu(void)
{
	return 0;
}

bool confine_thread(enum thread_kind kind)
{
	(void)kind;
	return true;
}

static inline void guest_memory(void)
{
	be_silent();
	must(memory_create(&memory, RAM));
	madvise(memory.base, RAM, MADV_NOHUGEPAGE);
}

/* The queues are said to have threads, so none is started. */
static inline void guest_begin(struct virtio_device *made)
{
	unsigned int i;

	must(made);
	device = made;
	device->memory = &memory;
	for (i = 0; i < VIRTIO_QUEUES_MOST; i++)
		device->queues[i].started = true;
	virtio_reset(device);
}

static inline void wr(uint64_t offset, uint32_t value)
{
	virtio_mmio_write(&device->registers, offset, 4, value);
}

static inline uint32_t rd(uint64_t offset)
{
	return virtio_mmio_read(&device->registers, offset, 4);
}

/* What a thread does in virtio.c; a device may ask to be called again. */
static inline void serve_queue(struct virtio_queue *q)
{
	unsigned int ready = VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET, i;
	uint64_t count;

	for (i = 0; i < 4; i++) {
		if ((atomic_load(&device->status) & ready) != VIRTIO_CONFIG_S_DRIVER_OK)
			return;
		if (!q->ring.running && !device->kind->one_thread)
			return;
		pthread_mutex_lock(&q->lock);
		device->kind->serve(q);
		pthread_mutex_unlock(&q->lock);
		if (read(q->kick, &count, sizeof(count)) < 0 &&
		    (q->source < 0 || poll(&(struct pollfd){ q->source, POLLIN, 0 }, 1, 0) <= 0))
			return;
	}
}

static inline void notify(unsigned int queue)
{
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
	if (queue < device->kind->queues)
		serve_queue(device->queues[queue].server);
}

/* As the standard wants it; the features without some. */
static inline void bring_up(uint64_t without)
{
	unsigned int i;

	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (i = 0; i < 2; i++) {
		wr(VIRTIO_MMIO_DEVICE_FEATURES_SEL, i);
		wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		wr(VIRTIO_MMIO_DRIVER_FEATURES, rd(VIRTIO_MMIO_DEVICE_FEATURES) &
			~(uint32_t)(without >> (32 * i)));
	}
	wr(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
	   VIRTIO_CONFIG_S_FEATURES_OK);
	for (i = 0; i < device->kind->queues; i++) {
		wr(VIRTIO_MMIO_QUEUE_SEL, i);
		wr(VIRTIO_MMIO_QUEUE_NUM, SIZE);
		wr(VIRTIO_MMIO_QUEUE_DESC_LOW, QUEUE_AT(i));
		wr(VIRTIO_MMIO_QUEUE_AVAIL_LOW, QUEUE_AT(i) + 0x800);
		wr(VIRTIO_MMIO_QUEUE_USED_LOW, QUEUE_AT(i) + 0x1000);
		wr(VIRTIO_MMIO_QUEUE_READY, 1);
	}
	wr(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
	   VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline void put_bytes(struct input *in, uint64_t at, size_t size)
{
	const uint8_t *bytes = take_bytes(in, &size);

	memory_write(&memory, GPA(at), bytes, size);
}

/*
 * A request: how many parts, and for each its flags and size, and the bytes of
 * what the device reads.  It is made available, but not notified.
 */
static inline void offer(struct input *in, unsigned int queue)
{
	struct vring_desc *table = memory_at(&memory, GPA(QUEUE_AT(queue)), SIZE * 16);
	struct vring_avail *ring = memory_at(&memory, GPA(QUEUE_AT(queue) + 0x800), 64);
	unsigned int parts = 1 + take(in, 1) % GIVEN_MOST, first = ring->idx * 5 % SIZE, i;
	uint64_t at = DATA_AT + ring->idx % 4 * 0x4000;

	for (i = 0; i < parts; i++) {
		unsigned int how = take(in, 1);
		size_t size = take(in, how & 4 ? 2 : 1);

		if (!(how & 1))
			put_bytes(in, at, size);
		table[(first + i) % SIZE] = (struct vring_desc){ at, size,
			(how & 1 ? VRING_DESC_F_WRITE : 0) |
				(i + 1 < parts ? VRING_DESC_F_NEXT : 0),
			(first + i + 1) % SIZE };
		at += size;
	}
	ring->ring[ring->idx % SIZE] = first;
	__atomic_store_n(&ring->idx, ring->idx + 1, __ATOMIC_RELEASE);
}

static inline void act(struct input *in)
{
	unsigned int what = take(in, 1), queue = what >> 4, width, offset;

	switch (what % 8) {
	case 0:
		bring_up(take(in, 1) | take(in, 1) << VIRTIO_RING_F_INDIRECT_DESC);
		break;
	case 1:		/* a register, mostly in the right way */
		wr(take(in, 1) * 4, take(in, what & 16 ? 4 : 1));
		break;
	case 2:		/* ... or in any */
		width = 1 << (queue % 4);
		offset = take(in, 2) % (VIRTIO_MMIO_SIZE - width + 1);
		if (what & 128)
			virtio_mmio_read(&device->registers, offset, width);
		else
			virtio_mmio_write(&device->registers, offset, width, take(in, width));
		break;
	case 3:		/* memory */
		offset = take(in, 2) * (what & 16 ? 2 : 1);
		put_bytes(in, offset, take(in, 1));
		break;
	case 4:
		notify(queue);
		break;
	default:
		queue %= device->kind->queues;
		offer(in, queue);
		if (what % 8 > 5)
			notify(queue);
	}
}

/* All of an input; each begins with the same memory and a device after a reset. */
static inline void guest_run(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, size };

	memset(memory.base, 0, LOW);
	madvise(memory.base + LOW, RAM - LOW, MADV_DONTNEED);
	device->complaints = 0;
	bring_up(0);
	while (in.left)
		act(&in);
	virtio_reset(device);
}

#endif /* LGUEST_FUZZ_GUEST_H */
