/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's side of a disk, for the unit tests: its registers, and one request by hand. */
#ifndef LGUEST_DISK_DRIVER_H
#define LGUEST_DISK_DRIVER_H

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/devices.h"
#include "devices/virtio/virtio.h"
#include "hardware/host.h"
#include "lguest.h"

#define RAM	(16ULL << 20)
#define TABLE	0x10000
#define DRIVER	0x11000
#define DEVICE	0x12000
#define HEADER	0x20000
#define STATUS	0x20100
#define DATA	0x21000

static struct memory memory;
static struct virtio_device *disk;
static char image[] = "/tmp/lguest-disk-XXXXXX";
static char *said;
static size_t said_size;
static unsigned int status_word;

/* Devices live as long as the launcher does: nothing frees them. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* A Host that is not there. */
int host_device_eventfd(int fd, gpa_t address, uint32_t data, int eventfd)
{
	(void)fd, (void)address, (void)data, (void)eventfd;
	return -EINVAL;
}

int host_irq_status(int fd, unsigned int line, gpa_t address, uint32_t value)
{
	(void)fd, (void)line, (void)address;
	status_word = value;
	return 0;
}

void confine_allow_sending(void)
{
}

bool confine_thread(enum thread_kind kind)
{
	return kind == THREAD_DISK;
}

static uint32_t rd(uint64_t offset)
{
	return virtio_mmio_read(&disk->registers, offset, 4);
}

static void wr(uint64_t offset, uint32_t value)
{
	virtio_mmio_write(&disk->registers, offset, 4, value);
}

static int setup_with(const char *flags)
{
	char option[64];
	int fd;

	message_stream = open_memstream(&said, &said_size);
	strcpy(image + sizeof(image) - 7, "XXXXXX");
	fd = mkstemp(image);
	if (fd < 0 || ftruncate(fd, 1 << 20) || !memory_create(&memory, RAM))
		return -1;
	close(fd);
	snprintf(option, sizeof(option), "%s%s", image, flags);
	disk = disk_create(option);
	if (!disk)
		return -1;
	disk->memory = &memory;
	virtio_reset(disk);
	return virtio_start_threads(disk) ? 0 : -1;
}

static int setup(void **state)
{
	(void)state;
	return setup_with("");
}

static inline int setup_threads(void **state)
{
	(void)state;
	setenv("LGUEST_TEST_DISK", "threads", 1);
	return setup_with("");
}

static inline int setup_full_error(void **state)
{
	(void)state;
	setenv("LGUEST_TEST_DISK", "threads", 1);
	return setup_with(",full=error");
}

static inline int setup_read_only(void **state)
{
	(void)state;
	return setup_with(",ro");
}

/* Its thread stays, as it does in the launcher: asleep, with its device. */
static int teardown(void **state)
{
	(void)state;
	if (disk)
		virtio_reset(disk);
	disk = NULL;
	fclose(message_stream);
	message_stream = NULL;
	free(said);
	memory_destroy(&memory);
	unlink(image);
	unsetenv("LGUEST_TEST_DISK");
	verbose = false;
	return 0;
}

#define ACK	VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRV	VIRTIO_CONFIG_S_DRIVER
#define FOK	VIRTIO_CONFIG_S_FEATURES_OK
#define DOK	VIRTIO_CONFIG_S_DRIVER_OK

static void negotiate(void)
{
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, ACK);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV);
	wr(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	wr(VIRTIO_MMIO_DRIVER_FEATURES, rd(VIRTIO_MMIO_DEVICE_FEATURES));
	wr(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(VIRTIO_MMIO_DRIVER_FEATURES, rd(VIRTIO_MMIO_DEVICE_FEATURES));
	wr(VIRTIO_MMIO_STATUS, ACK | DRV | FOK);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK | DRV | FOK);
}

static void set_queue(void)
{
	wr(VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_NUM_MAX), VIRTQUEUE_MOST);
	wr(VIRTIO_MMIO_QUEUE_NUM, 8);
	wr(VIRTIO_MMIO_QUEUE_DESC_LOW, TABLE);
	wr(VIRTIO_MMIO_QUEUE_AVAIL_LOW, DRIVER);
	wr(VIRTIO_MMIO_QUEUE_USED_LOW, DEVICE);
}

static void bring_up(void)
{
	negotiate();
	set_queue();
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_READY), 1);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV | FOK | DOK);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK | DRV | FOK | DOK);
}

static inline void assert_refused(const char *rule)
{
	fflush(message_stream);
	assert_true(rd(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_non_null(said);
	if (!strstr(said, rule))
		fail_msg("'%s' does not say '%s'", said, rule);
	assert_non_null(strstr(said, "bad driver"));
	wr(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), 0);
	disk->complaints = 0;
}

/* Of the guest, that waits for room on the host. */
static atomic_int holds;

void guest_hold(void)
{
	atomic_fetch_add(&holds, 1);
}

void guest_let_go(void)
{
	atomic_fetch_sub(&holds, 1);
}

void guest_still_held(void)
{
}

/* One request, by hand: data of so many bytes, at a sector. */
static uint16_t rounds;

static void begin(uint32_t type, uint64_t sector, uint32_t size)
{
	struct vring_desc *desc = memory_at(&memory, GPA(TABLE), 64);
	struct vring_avail *avail = memory_at(&memory, GPA(DRIVER), 64);
	struct virtio_blk_outhdr header = { .type = type, .sector = sector };
	uint8_t none = 0xaa;

	memory_write(&memory, GPA(HEADER), &header, sizeof(header));
	memory_write(&memory, GPA(STATUS), &none, 1);
	desc[0] = (struct vring_desc){ HEADER, sizeof(header), VRING_DESC_F_NEXT, size ? 1 : 2 };
	desc[1] = (struct vring_desc){ DATA, size, VRING_DESC_F_NEXT, 2 };
	if (type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID)
		desc[1].flags |= VRING_DESC_F_WRITE;
	desc[2] = (struct vring_desc){ STATUS, 1, VRING_DESC_F_WRITE, 0 };
	avail->ring[rounds % 8] = 0;
	__atomic_store_n(&avail->idx, ++rounds, __ATOMIC_RELEASE);
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

static void await(void)
{
	volatile struct vring_used *used = memory_at(&memory, GPA(DEVICE), 128);
	unsigned int i;

	for (i = 0; i < 5000 && used->idx != rounds; i++)
		usleep(1000);
	assert_int_equal(used->idx, rounds);
}

static void submit(uint32_t type, uint64_t sector, uint32_t size)
{
	begin(type, sector, size);
	await();
}

static inline uint8_t outcome(void)
{
	uint8_t status;

	memory_read(&memory, GPA(STATUS), &status, 1);
	return status;
}

static void start_disk(void)
{
	rounds = 0;
	bring_up();
}

/*
 * What Linux's virtio_mmio does when a driver lets go of a device (unbind, removal
 * of its module, sleep): a reset, then the end of each queue.
 */
static inline void let_go(void)
{
	wr(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), 0);
	wr(VIRTIO_MMIO_QUEUE_SEL, 0);
	wr(VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_READY), 0);
}

static void use_disk(void)
{
	submit(VIRTIO_BLK_T_IN, 0, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
}

static inline void begin_anew(void)
{
	memset(memory_at(&memory, GPA(TABLE), 0x3000), 0, 0x3000);
	start_disk();
	use_disk();
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif /* LGUEST_DISK_DRIVER_H */
