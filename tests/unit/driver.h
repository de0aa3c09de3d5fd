/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's side of a virtio device, for the unit tests: a Host that is not
 * there, the registers, and queues of SIZE entries that are filled by hand.
 */
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/devices.h"
#include "devices/virtio/virtio.h"
#include "hardware/host.h"
#include "lguest.h"

#define RAM	(16ULL << 20)
#define SIZE	16U
#define QUEUE_AT(n)	(0x10000 + (n) * 0x3000ULL)	/* table, available, used */
#define STATUS_UP	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | \
			 VIRTIO_CONFIG_S_FEATURES_OK)

static struct memory memory;
static struct virtio_device *device;
static char *said;
static size_t said_size;
static uint16_t offered[VIRTIO_QUEUES_MOST];	/* as in the ring's idx */
static unsigned int next_entry[VIRTIO_QUEUES_MOST];

/* Devices live as long as the launcher does: nothing frees them. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

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

bool confine_thread(enum thread_kind kind)
{
	(void)kind;
	return true;
}

static uint32_t rd(uint64_t offset)
{
	return virtio_mmio_read(&device->registers, offset, 4);
}

static void wr(uint64_t offset, uint32_t value)
{
	virtio_mmio_write(&device->registers, offset, 4, value);
}

static void driver_hear(void)
{
	message_stream = open_memstream(&said, &said_size);
}

static void driver_end(void)
{
	virtio_reset(device);
	fclose(message_stream);
	message_stream = NULL;
	free(said);
}

static void up_to_features(uint64_t without)
{
	unsigned int i;

	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	wr(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (i = 0; i < 2; i++) {
		wr(VIRTIO_MMIO_DEVICE_FEATURES_SEL, i);
		wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		wr(VIRTIO_MMIO_DRIVER_FEATURES, rd(VIRTIO_MMIO_DEVICE_FEATURES) &
			~(uint32_t)(without >> (32 * i)));
	}
	wr(VIRTIO_MMIO_STATUS, STATUS_UP);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), STATUS_UP);
}

/* Everything but these features, and the first so many queues. */
static void bring_up(uint64_t without, unsigned int queues)
{
	unsigned int i;

	assert_true(virtio_start_threads(device));
	up_to_features(without | VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	memset(memory_at(&memory, GPA(QUEUE_AT(0)), QUEUE_AT(4) - QUEUE_AT(0)), 0,
	       QUEUE_AT(4) - QUEUE_AT(0));
	for (i = 0; i < queues; i++) {
		offered[i] = 0;
		next_entry[i] = 0;
		wr(VIRTIO_MMIO_QUEUE_SEL, i);
		wr(VIRTIO_MMIO_QUEUE_NUM, SIZE);
		wr(VIRTIO_MMIO_QUEUE_DESC_LOW, QUEUE_AT(i));
		wr(VIRTIO_MMIO_QUEUE_AVAIL_LOW, QUEUE_AT(i) + 0x1000);
		wr(VIRTIO_MMIO_QUEUE_USED_LOW, QUEUE_AT(i) + 0x2000);
		wr(VIRTIO_MMIO_QUEUE_READY, 1);
	}
	wr(VIRTIO_MMIO_STATUS, STATUS_UP | VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), STATUS_UP | VIRTIO_CONFIG_S_DRIVER_OK);
}

/*
 * What Linux does when a driver lets go of its device, or the machine goes to
 * sleep: a reset, and then the end of each queue.
 */
static void let_go(unsigned int queues)
{
	unsigned int i;

	wr(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), 0);
	for (i = 0; i < queues; i++) {
		wr(VIRTIO_MMIO_QUEUE_SEL, i);
		wr(VIRTIO_MMIO_QUEUE_READY, 0);
		assert_int_equal(rd(VIRTIO_MMIO_QUEUE_READY), 0);
	}
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), 0);
}

struct part {
	uint64_t at;
	uint32_t size;
	bool in;
};

/* Make a request available, and notify. */
static void offer(unsigned int queue, const struct part *parts, unsigned int n)
{
	struct vring_desc *table = memory_at(&memory, GPA(QUEUE_AT(queue)), SIZE * 16);
	struct vring_avail *ring = memory_at(&memory, GPA(QUEUE_AT(queue) + 0x1000), 64);
	unsigned int first = next_entry[queue] % SIZE, i;

	for (i = 0; i < n; i++) {
		table[(first + i) % SIZE] = (struct vring_desc){
			parts[i].at, parts[i].size,
			(parts[i].in ? VRING_DESC_F_WRITE : 0) |
				(i + 1 < n ? VRING_DESC_F_NEXT : 0),
			(first + i + 1) % SIZE };
	}
	next_entry[queue] += n;
	ring->ring[offered[queue] % SIZE] = first;
	__atomic_store_n(&ring->idx, ++offered[queue], __ATOMIC_RELEASE);
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

static uint16_t used(unsigned int queue)
{
	struct vring_used *ring = memory_at(&memory, GPA(QUEUE_AT(queue) + 0x2000), 256);

	return __atomic_load_n(&ring->idx, __ATOMIC_ACQUIRE);
}

static void wait_used(unsigned int queue, uint16_t count)
{
	unsigned int i;

	for (i = 0; i < 5000 && used(queue) != count; i++)
		usleep(1000);
	assert_int_equal(used(queue), count);
}

static void offer_one(unsigned int queue, uint64_t at, uint32_t size, bool in)
{
	struct part part = { at, size, in };

	offer(queue, &part, 1);
}

/* The device has stopped, because of this. */
static void assert_refused(const char *rule)
{
	unsigned int i;

	for (i = 0; i < 5000 && !virtio_failed(device); i++)
		usleep(1000);
	assert_true(virtio_failed(device));
	usleep(1000);
	fflush(message_stream);
	assert_non_null(said);
	if (!strstr(said, rule))
		fail_msg("'%s' does not say '%s'", said, rule);
	wr(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), 0);
	device->complaints = 0;
}
