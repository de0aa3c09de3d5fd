// SOURCES: launcher/devices/virtio/virtio.c launcher/devices/virtio/limits.c launcher/options.c launcher/devices/virtio/virtio_mmio.c launcher/devices/virtio/virtqueue.c launcher/devices/disk/virtio_blk.c launcher/devices/disk/disk_file.c launcher/devices/disk/vhost_blk.c launcher/devices/disk/qcow2.c launcher/devices/vhost/vhost.c launcher/devices/vhost/vhost_end.c launcher/devices/vhost/vhost_message.c launcher/distribution.c launcher/jail/landlock.c launcher/jail/beside.c launcher/devices/disk/disk_uring.c launcher/devices/disk/disk_threads.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c launcher/io.c
// LIBS: -pthread -luring -lseccomp -ljansson -Wl,--wrap=preadv,--wrap=pwritev,--wrap=pwrite,--wrap=fallocate,--wrap=fstat,--wrap=ioctl,--wrap=open
// SPDX-License-Identifier: GPL-2.0
/* The registers' rules, and a disk behind them, with both engines: K7, K10, K13. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "clock.h"
#include "devices/devices.h"
#include "devices/disk/disk_file.h"
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

static int setup_threads(void **state)
{
	(void)state;
	setenv("LGUEST_TEST_DISK", "threads", 1);
	return setup_with("");
}

static int setup_full_error(void **state)
{
	(void)state;
	setenv("LGUEST_TEST_DISK", "threads", 1);
	return setup_with(",full=error");
}

static int setup_read_only(void **state)
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

static void assert_refused(const char *rule)
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

static void test_identity(void **state)
{
	(void)state;
	assert_int_equal(rd(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(rd(VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(rd(VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_BLOCK);
	assert_int_equal(rd(VIRTIO_MMIO_CONFIG), 2048);
	assert_int_equal(virtio_mmio_read(&disk->registers, VIRTIO_MMIO_CONFIG + 4000, 8), 0);
	assert_int_equal(virtio_mmio_read(&disk->registers, VIRTIO_MMIO_CONFIG + 1, 1), 8);
	wr(VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	wr(VIRTIO_MMIO_QUEUE_SEL, 0xffffffff);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	wr(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 7);
	assert_int_equal(rd(VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

static void test_bring_up(void **state)
{
	(void)state;
	bring_up();
	wr(VIRTIO_MMIO_STATUS, 0);
	bring_up();		/* and again after a reset */
	fflush(message_stream);
	assert_int_equal(said_size, 0);
}

static void test_status_rules(void **state)
{
	static const struct { uint32_t first, then; const char *rule; } bad[] = {
		{ 0, DRV, "DRIVER is set before ACKNOWLEDGE" },
		{ ACK, ACK | FOK, "FEATURES_OK is set before DRIVER" },
		{ ACK | DRV, ACK, "loses a bit" },
		{ ACK | DRV, ACK | DRV | DOK, "DRIVER_OK is set before FEATURES_OK" },
		{ ACK, ACK | 0x20, "does not exist" },
		{ ACK, ACK | 0x100, "does not exist" },
		{ ACK, ACK | VIRTIO_CONFIG_S_NEEDS_RESET, "device's" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (bad[i].first & DRV)
			wr(VIRTIO_MMIO_STATUS, ACK);
		wr(VIRTIO_MMIO_STATUS, bad[i].first);
		wr(VIRTIO_MMIO_STATUS, bad[i].then);
		assert_refused(bad[i].rule);
	}
}

static void test_features(void **state)
{
	(void)state;
	wr(VIRTIO_MMIO_STATUS, ACK);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV);
	/* Not offered: not accepted, which is no crime. */
	wr(VIRTIO_MMIO_DRIVER_FEATURES, VIRTIO_BIT(VIRTIO_BLK_F_MQ));
	wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV | FOK);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK | DRV);
	/* Nor is a driver older than the standard. */
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, ACK);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV | FOK);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK | DRV);

	negotiate();
	wr(VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_refused("features are set at the wrong time");
	wr(VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_refused("features are set at the wrong time");
}

static void test_queue_rules(void **state)
{
	(void)state;
	wr(VIRTIO_MMIO_QUEUE_NUM, 8);
	assert_refused("before FEATURES_OK");
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_refused("before FEATURES_OK");
	negotiate();
	wr(VIRTIO_MMIO_QUEUE_SEL, 1);
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_refused("does not exist");
	negotiate();
	wr(VIRTIO_MMIO_QUEUE_SEL, 1);
	wr(VIRTIO_MMIO_QUEUE_NUM, 8);
	assert_refused("does not exist");
	negotiate();
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_refused("power of two");
	negotiate();
	set_queue();
	wr(VIRTIO_MMIO_QUEUE_DESC_HIGH, 1);
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_refused("outside of memory");
	negotiate();
	set_queue();
	wr(VIRTIO_MMIO_QUEUE_READY, 2);
	assert_refused("neither 0 nor 1");
	bring_up();
	wr(VIRTIO_MMIO_QUEUE_NUM, 4);
	assert_refused("changed while it is ready");
	bring_up();
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_refused("ready after DRIVER_OK");
}

static void test_register_rules(void **state)
{
	(void)state;
	negotiate();
	set_queue();
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	/* Too early, but Linux's balloon driver does it. */
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_false(virtio_failed(disk));
	bring_up();
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	assert_refused("notified that is not there");
	wr(VIRTIO_MMIO_MAGIC_VALUE, 0);
	assert_refused("read-only");
	virtio_mmio_write(&disk->registers, VIRTIO_MMIO_STATUS, 1, 1);
	assert_refused("written in parts");
	virtio_mmio_read(&disk->registers, VIRTIO_MMIO_STATUS, 8);
	assert_refused("read in parts");
	virtio_mmio_read(&disk->registers, VIRTIO_MMIO_STATUS + 2, 4);
	assert_refused("read in parts");
	wr(VIRTIO_MMIO_CONFIG, 1);
	assert_refused("configuration is written");
	wr(VIRTIO_MMIO_INTERRUPT_ACK, 4);
	assert_refused("acknowledged");
}

/* Complaints have an end, breaking rules has not. */
static void test_flood(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		wr(VIRTIO_MMIO_MAGIC_VALUE, 0);
		wr(VIRTIO_MMIO_STATUS, 0);
	}
	fflush(message_stream);
	assert_true(said_size < 2000);
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

static uint8_t outcome(void)
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
static void let_go(void)
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

static void begin_anew(void)
{
	memset(memory_at(&memory, GPA(TABLE), 0x3000), 0, 0x3000);
	start_disk();
	use_disk();
}

/* The sequences of stock drivers, each of which leaves a device that works. */
static void test_stock_sequences(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {	/* bound, unbound, bound */
		begin_anew();
		let_go();
		wr(VIRTIO_MMIO_STATUS, ACK);	/* as the bus leaves it */
		assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK);
	}
	begin_anew();			/* to sleep; a driver that failed before is told so again */
	let_go();
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, ACK);
	wr(VIRTIO_MMIO_STATUS, ACK | VIRTIO_CONFIG_S_FAILED);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV | VIRTIO_CONFIG_S_FAILED);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), ACK | DRV | VIRTIO_CONFIG_S_FAILED);
	negotiate();			/* a queue that is not there, after which it gives up */
	set_queue();
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	wr(VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	wr(VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_READY), 0);
	wr(VIRTIO_MMIO_QUEUE_SEL, 0);
	wr(VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(rd(VIRTIO_MMIO_QUEUE_READY), 0);
	wr(VIRTIO_MMIO_STATUS, rd(VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_FAILED);
	let_go();
	begin_anew();			/* shut down: nothing comes after the reset */
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	begin_anew();
	fflush(message_stream);
	assert_null(strstr(said_size ? said : "", "bad driver"));
}

static void test_disk(void **state)
{
	char *data = memory_at(&memory, GPA(DATA), 8192);

	(void)state;
	start_disk();
	memset(data, 0x5a, 4096);
	submit(VIRTIO_BLK_T_OUT, 8, 4096);
	assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
	submit(VIRTIO_BLK_T_FLUSH, 0, 0);
	assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
	memset(data, 0, 8192);
	submit(VIRTIO_BLK_T_IN, 7, 1024);
	assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
	assert_int_equal(data[511], 0);
	assert_int_equal(data[512], 0x5a);
	submit(VIRTIO_BLK_T_GET_ID, 0, 20);
	assert_memory_equal(data, strrchr(image, '/') + 1, strlen(strrchr(image, '/') + 1));
}

static void test_disk_ranges(void **state)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = 8, .num_sectors = 8 };
	char *data = memory_at(&memory, GPA(DATA), 8192);

	(void)state;
	start_disk();
	memset(data, 0x5a, 8192);
	submit(VIRTIO_BLK_T_OUT, 8, 8192);
	memcpy(data, &range, sizeof(range));
	submit(VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range));
	assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
	range.sector = 16;
	memcpy(data, &range, sizeof(range));
	submit(VIRTIO_BLK_T_DISCARD, 0, sizeof(range));
	assert_true(outcome() == VIRTIO_BLK_S_OK || outcome() == VIRTIO_BLK_S_UNSUPP);
	submit(VIRTIO_BLK_T_IN, 8, 4096);
	assert_int_equal(data[0], 0);
	assert_int_equal(data[4095], 0);
	range.sector = 2048;
	memcpy(data, &range, sizeof(range));
	submit(VIRTIO_BLK_T_DISCARD, 0, sizeof(range));
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	range.sector = -1ULL;
	memcpy(data, &range, sizeof(range));
	submit(VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range));
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	submit(VIRTIO_BLK_T_DISCARD, 0, 15);
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
}

static void test_disk_errors(void **state)
{
	struct stat status;

	(void)state;
	start_disk();
	submit(VIRTIO_BLK_T_OUT, 2048, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	submit(VIRTIO_BLK_T_OUT, 2047, 1024);
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	submit(VIRTIO_BLK_T_OUT, -1ULL, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	submit(VIRTIO_BLK_T_IN, 1ULL << 55, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	submit(VIRTIO_BLK_T_IN, 0, 100);
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	submit(77, 0, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(stat(image, &status), 0);
	assert_int_equal(status.st_size, 1 << 20);
	/* A file that shrank under us. */
	assert_int_equal(truncate(image, 4096), 0);
	submit(VIRTIO_BLK_T_IN, 1024, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
}

static void test_disk_read_only(void **state)
{
	(void)state;
	assert_true(disk->offered & VIRTIO_BIT(VIRTIO_BLK_F_RO));
	start_disk();
	submit(VIRTIO_BLK_T_OUT, 0, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	submit(VIRTIO_BLK_T_DISCARD, 0, 16);
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	submit(VIRTIO_BLK_T_IN, 0, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
}

/*
 * Many at once, in a longer queue: request i has the descriptors from 3 * i,
 * its own header and status, and MANY_SIZE bytes of data.
 */
#define MANY		20
#define MANY_SIZE	32768
#define MANY_DATA	0x100000

static uint8_t *data_of(unsigned int i)
{
	return memory_at(&memory, GPA(MANY_DATA + i * MANY_SIZE), MANY_SIZE);
}

static uint8_t *status_of(unsigned int i)
{
	return memory_at(&memory, GPA(HEADER + 0x100 * i + 0x80), 1);
}

static void start_many(void)
{
	rounds = 0;
	negotiate();
	set_queue();
	wr(VIRTIO_MMIO_QUEUE_NUM, 64);
	memset(memory_at(&memory, GPA(DEVICE), 4096), 0, 4096);
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	wr(VIRTIO_MMIO_STATUS, ACK | DRV | FOK | DOK);
}

static void make_available(uint16_t head)
{
	struct vring_avail *avail = memory_at(&memory, GPA(DRIVER), 256);

	avail->ring[rounds % 64] = head;
	__atomic_store_n(&avail->idx, ++rounds, __ATOMIC_RELEASE);
}

/* The disk sees all of them or none, whoever is faster. */
static void submit_many(uint32_t type)
{
	struct vring_desc *desc = memory_at(&memory, GPA(TABLE), 64 * 16);
	unsigned int i, flags = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;

	pthread_mutex_lock(&disk->queues[0].lock);
	for (i = 0; i < MANY; i++) {
		struct virtio_blk_outhdr header = { .type = type, .sector = i * MANY_SIZE / 512 };
		uint64_t at = HEADER + 0x100 * i;

		memory_write(&memory, GPA(at), &header, sizeof(header));
		*status_of(i) = 0xaa;
		desc[3 * i] = (struct vring_desc){ at, sizeof(header), VRING_DESC_F_NEXT, 3 * i + 1 };
		desc[3 * i + 1] = (struct vring_desc){ MANY_DATA + i * MANY_SIZE, MANY_SIZE,
						       VRING_DESC_F_NEXT | flags, 3 * i + 2 };
		desc[3 * i + 2] = (struct vring_desc){ at + 0x80, 1, VRING_DESC_F_WRITE, 0 };
		make_available(3 * i);
	}
	pthread_mutex_unlock(&disk->queues[0].lock);
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

static void wait_for_many(void)
{
	volatile struct vring_used *used = memory_at(&memory, GPA(DEVICE), 1024);
	unsigned int i;

	for (i = 0; i < 5000 && used->idx != rounds; i++)
		usleep(1000);
	assert_int_equal(used->idx, rounds);
	for (i = 0; i < MANY; i++)
		assert_int_equal(*status_of(i), VIRTIO_BLK_S_OK);
}

static void test_many(void **state)
{
	unsigned int i;

	(void)state;
	start_many();
	for (i = 0; i < MANY; i++)
		memset(data_of(i), i + 1, MANY_SIZE);
	submit_many(VIRTIO_BLK_T_OUT);
	wait_for_many();
	memset(data_of(0), 0, MANY * MANY_SIZE);
	submit_many(VIRTIO_BLK_T_IN);
	wait_for_many();
	for (i = 0; i < MANY; i++) {
		assert_int_equal(data_of(i)[0], i + 1);
		assert_memory_equal(data_of(i), data_of(i) + 1, MANY_SIZE - 1);
	}
	assert_int_equal(disk->queues[0].counts.most, MANY);
	assert_int_equal(disk->queues[0].counts.requests, 2 * MANY);
}

/* After a reset, or the end of its queue, the memory is the driver's alone. */
static void stop_disk(unsigned int round)
{
	if (round % 2) {
		wr(VIRTIO_MMIO_QUEUE_READY, 0);
		assert_int_equal(rd(VIRTIO_MMIO_QUEUE_READY), 0);
	} else {
		wr(VIRTIO_MMIO_STATUS, 0);
	}
}

static void forget_cache(void)
{
	int fd = open(image, O_RDONLY);

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

/* The threads' reads, which may have to wait. */
static atomic_bool held;

ssize_t __wrap_preadv(int fd, const struct iovec *parts, int count, off_t at);
ssize_t __real_preadv(int fd, const struct iovec *parts, int count, off_t at);
ssize_t __wrap_preadv(int fd, const struct iovec *parts, int count, off_t at)
{
	while (atomic_load(&held))
		usleep(100);
	return __real_preadv(fd, parts, count, at);
}

/* It says that it waits: now the reads may end. */
static ssize_t hear(void *heard, const char *text, size_t size)
{
	if (memmem(text, size, "waiting for", 11)) {
		*(bool *)heard = !strcmp(virtio_waits_for(), image);
		atomic_store(&held, false);
	}
	return size;
}

static void test_stop_waits(void **state)
{
	FILE *old = message_stream;
	bool heard = false;

	(void)state;
	verbose = true;
	message_stream = fopencookie(&heard, "w", (cookie_io_functions_t){ .write = hear });
	setlinebuf(message_stream);
	atomic_store(&held, true);
	start_many();
	submit_many(VIRTIO_BLK_T_IN);
	while (__atomic_load_n(&disk->queues[0].counts.requests, __ATOMIC_RELAXED) < MANY)
		sched_yield();
	stop_disk(0);
	assert_true(heard);
	assert_null(virtio_waits_for());
	fclose(message_stream);
	message_stream = old;
}

static void test_stop_on_the_way(void **state)
{
	unsigned int round;

	(void)state;
	for (round = 0; round < 100; round++) {
		forget_cache();
		start_many();
		submit_many(VIRTIO_BLK_T_IN);
		while (!__atomic_load_n(&disk->queues[0].counts.requests, __ATOMIC_RELAXED))
			sched_yield();
		usleep(round);
		stop_disk(round);
		memset(data_of(0), 0x77, MANY * MANY_SIZE);
		usleep(300);
		assert_int_equal(data_of(0)[0], 0x77);
		assert_memory_equal(data_of(0), data_of(0) + 1, MANY * MANY_SIZE - 1);
		disk->queues[0].counts.requests = 0;
	}
}

/* The same request again before it came back, and more than there is room for. */
static void test_too_many(void **state)
{
	unsigned int round, i;

	(void)state;
	for (round = 0; round < 50; round++) {
		start_many();
		submit_many(VIRTIO_BLK_T_IN);
		for (i = 0; i < 200; i++)
			make_available(3 * (i % MANY));
		wr(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		wr(VIRTIO_MMIO_STATUS, 0);
	}
	start_many();
	submit_many(VIRTIO_BLK_T_IN);
	wait_for_many();
}

/* A request without a place for its status stops the device, not us. */
static void test_disk_bad_request(void **state)
{
	struct vring_desc *desc = memory_at(&memory, GPA(TABLE), 64);
	struct vring_avail *avail = memory_at(&memory, GPA(DRIVER), 64);
	unsigned int i;

	(void)state;
	start_disk();
	desc[0] = (struct vring_desc){ HEADER, 16, 0, 0 };
	avail->ring[0] = 0;
	__atomic_store_n(&avail->idx, 1, __ATOMIC_RELEASE);
	wr(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	for (i = 0; i < 5000 && !virtio_failed(disk); i++)
		usleep(1000);
	while (!status_word)
		usleep(1000);
	assert_int_equal(status_word, 3);
	assert_refused("no header or no status");
	avail->idx = 0;
	bring_up();
}

static void test_disk_options(void **state)
{
	(void)state;
	assert_null(disk_create("/nonexistent/image"));
	assert_null(disk_create("/dev/null"));
	assert_null(disk_create("/"));
	assert_null(disk_create(image));		/* in use */
	fflush(message_stream);
	assert_non_null(strstr(said, "another guest uses it"));
	assert_non_null(strstr(said, "neither a file nor a block device"));
}

static void assert_no_disk(const char *option, const char *why)
{
	assert_null(disk_create(option));
	fflush(message_stream);
	if (!strstr(said, why))
		fail_msg("'%s' does not say '%s'", said, why);
}

static int open_image(void)
{
	int fd = open(image, O_RDWR);

	assert_true(fd >= 0);
	return fd;
}

/* The last bytes are not lost in silence. */
static void test_odd_sizes(void **state)
{
	static const off_t odd[] = { 1000001, 1, 511, 513, (1 << 20) - 1 };
	char option[64];
	size_t i;

	(void)state;
	snprintf(option, sizeof(option), "%s,ro", image);
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		assert_int_equal(truncate(image, odd[i]), 0);
		assert_no_disk(image, "truncate -s %512");
		assert_no_disk(option, "truncate -s %512");
	}
}

/* Before anybody uses it: the image is there, the disk of setup_with() is not. */
static int setup_image(void **state)
{
	int fd;

	(void)state;
	message_stream = open_memstream(&said, &said_size);
	strcpy(image + sizeof(image) - 7, "XXXXXX");
	fd = mkstemp(image);
	return fd < 0 || ftruncate(fd, 1 << 20) || close(fd) || !memory_create(&memory, RAM) ? -1 : 0;
}

static int qemu_lock(int fd, int command, short type, off_t at)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	assert_int_equal(fcntl(fd, command, &lock), 0);
	return lock.l_type;
}

/* What QEMU holds for an image, and how it looks for others. */
static void test_locks(void **state)
{
	static const off_t writer[] = { 100, 101, 201, 203 }, reader[] = { 100, 203 };
	int fd = open_image(), i;
	char option[64];

	(void)state;
	snprintf(option, sizeof(option), "%s,ro", image);
	for (i = 0; i < 4; i++)
		qemu_lock(fd, F_OFD_SETLK, F_RDLCK, writer[i]);
	assert_no_disk(image, "another guest uses it");
	assert_no_disk(option, "another guest uses it");
	close(fd);
	fd = open_image();
	for (i = 0; i < 2; i++)
		qemu_lock(fd, F_OFD_SETLK, F_RDLCK, reader[i]);
	disk = disk_create(option);
	assert_non_null(disk);
	close(fd);
	fd = open_image();
	assert_int_equal(qemu_lock(fd, F_OFD_GETLK, F_WRLCK, 201), F_RDLCK);
	assert_int_equal(qemu_lock(fd, F_OFD_GETLK, F_WRLCK, 101), F_UNLCK);
	assert_non_null(disk_create(option));	/* two that read */
	close(fd);
}

static void *let_go_soon(void *fd)
{
	usleep(300000);
	close(*(int *)fd);
	return NULL;
}

/* Somebody looks at it for a moment, as udev does. */
static void test_held_for_a_moment(void **state)
{
	int fd = open_image();
	pthread_t other;

	(void)state;
	assert_int_equal(flock(fd, LOCK_SH), 0);
	pthread_create(&other, NULL, let_go_soon, &fd);
	disk = disk_create(image);
	pthread_join(other, NULL);
	assert_non_null(disk);
	fd = open_image();
	assert_int_equal(qemu_lock(fd, F_OFD_GETLK, F_WRLCK, 101), F_RDLCK);
	close(fd);
}

/* The image as a block device of 4 KiB blocks, and what the host says of it. */
static bool as_device, mounted;

int __wrap_fstat(int fd, struct stat *status);
int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status)
{
	int error = __real_fstat(fd, status);

	if (as_device && S_ISREG(status->st_mode))
		status->st_mode = S_IFBLK | 0600;
	return error;
}

int __wrap_ioctl(int fd, unsigned long request, void *to);
int __real_ioctl(int fd, unsigned long request, void *to);
int __wrap_ioctl(int fd, unsigned long request, void *to)
{
	switch (as_device ? request : 0) {
	case BLKGETSIZE64:
		*(uint64_t *)to = 1 << 20;
		return 0;
	case BLKSSZGET:
		*(int *)to = 4096;
		return 0;
	case BLKPBSZGET:
		*(unsigned int *)to = 16384;
		return 0;
	case BLKIOMIN:
		*(unsigned int *)to = 65536;
		return 0;
	case BLKIOOPT:
		*(unsigned int *)to = 262144;
		return 0;
	case BLKALIGNOFF:
		*(int *)to = 8192;
		return 0;
	}
	return __real_ioctl(fd, request, to);
}

int __wrap_open(const char *path, int flags, mode_t mode);
int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode)
{
	if (mounted && !strcmp(path, image) && (flags & O_EXCL)) {
		errno = EBUSY;
		return -1;
	}
	return __real_open(path, flags, mode);
}

static void test_blocks(void **state)
{
	const struct virtio_blk_config *config;

	(void)state;
	as_device = true;
	disk = disk_create(image);
	as_device = false;
	assert_non_null(disk);
	assert_true(disk->offered & VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY));
	assert_true(disk->offered & VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE));
	config = (void *)disk->config;
	assert_int_equal(config->capacity, 2048);
	assert_int_equal(config->blk_size, 4096);
	assert_int_equal(config->physical_block_exp, 2);
	assert_int_equal(config->alignment_offset, 2);
	assert_int_equal(config->min_io_size, 16);
	assert_int_equal(config->opt_io_size, 64);
}

static void test_mounted(void **state)
{
	char option[64];

	(void)state;
	mounted = true;
	assert_no_disk(image, "this host has it mounted");
	snprintf(option, sizeof(option), "%s,ro", image);
	disk = disk_create(option);
	mounted = false;
	assert_non_null(disk);
}

/* The host is full: that is said once, until it is not. */
static int no_room;

ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t at);
ssize_t __real_pwritev(int fd, const struct iovec *parts, int count, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	errno = no_room;
	return no_room ? -1 : __real_pwritev(fd, parts, count, at);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at);
ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at)
{
	errno = no_room;
	return no_room ? -1 : __real_pwrite(fd, bytes, size, at);
}

int __wrap_fallocate(int fd, int mode, off_t at, off_t size);
int __real_fallocate(int fd, int mode, off_t at, off_t size);
int __wrap_fallocate(int fd, int mode, off_t at, off_t size)
{
	errno = no_room;
	return no_room ? -1 : __real_fallocate(fd, mode, at, size);
}

static unsigned int times_said(const char *what)
{
	unsigned int count = 0;
	const char *at;

	fflush(message_stream);
	for (at = said; at && (at = strstr(at, what)); at++)
		count++;
	return count;
}

static void test_full_host(void **state)
{
	unsigned int i;

	(void)state;
	start_disk();
	no_room = ENOSPC;
	submit(VIRTIO_BLK_T_OUT, 0, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	submit(VIRTIO_BLK_T_OUT, 8, 512);
	assert_int_equal(times_said("has no room"), 1);
	no_room = 0;
	submit(VIRTIO_BLK_T_OUT, 0, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
	no_room = EDQUOT;
	submit(VIRTIO_BLK_T_OUT, 0, 512);
	no_room = 0;
	assert_int_equal(times_said("has no room"), 2);
	assert_int_equal(times_said("cannot write"), 0);	/* that is for -v */
	for (i = 0; i < 20; i++) {	/* a guest that wants a log to fill */
		submit(VIRTIO_BLK_T_OUT, 0, 512);
		no_room = ENOSPC;
		submit(VIRTIO_BLK_T_OUT, 8, 512);
		no_room = 0;
	}
	assert_int_equal(times_said("has no room"), 8);
}

static void await_holds(int wanted)
{
	unsigned int i;

	for (i = 0; i < 10000 && atomic_load(&holds) != wanted; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&holds), wanted);
}

static void assert_waits(void)
{
	volatile struct vring_used *used = memory_at(&memory, GPA(DEVICE), 128);

	assert_int_equal(used->idx, (uint16_t)(rounds - 1));
	assert_int_equal(outcome(), 0xaa);
}

/* The guest stands until there is room, which is looked for; and each time anew. */
static void test_waits_for_room(void **state)
{
	char *data = memory_at(&memory, GPA(DATA), 8192), *seen = data + 4096;

	(void)state;
	start_disk();
	memset(data, 0x5a, 4096);
	no_room = ENOSPC;
	begin(VIRTIO_BLK_T_OUT, 8, 512);
	await_holds(1);
	assert_waits();
	disk->kind->retry(disk, false);		/* in vain */
	usleep(100000);
	assert_waits();
	assert_int_equal(atomic_load(&holds), 1);
	no_room = 0;
	disk->kind->retry(disk, false);
	await();
	await_holds(0);
	assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
	assert_int_equal(times_said("has no room"), 1);

	no_room = EDQUOT;
	begin(VIRTIO_BLK_T_OUT, 8, 512);
	await_holds(1);
	no_room = 0;			/* nobody says so */
	await();
	await_holds(0);
	assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
	submit(VIRTIO_BLK_T_IN, 8, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
	assert_int_equal(seen[0], 0);
	assert_int_equal(data[511], 0x5a);
}

/* While it waits it can be reset, or told that there will be no room. */
static void test_room_never_comes(void **state)
{
	(void)state;
	start_disk();
	no_room = ENOSPC;
	begin(VIRTIO_BLK_T_OUT, 0, 512);
	await_holds(1);
	let_go();
	assert_int_equal(atomic_load(&holds), 0);
	start_disk();
	begin(VIRTIO_BLK_T_OUT, 0, 512);
	await_holds(1);
	disk->kind->retry(disk, true);
	await();
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	submit(VIRTIO_BLK_T_OUT, 0, 512);
	assert_int_equal(outcome(), VIRTIO_BLK_S_IOERR);
	await_holds(0);
	no_room = 0;
}

/* Zeroes take room, too. */
static void test_zeroes_wait_for_room(void **state)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = 8, .num_sectors = 8 };

	(void)state;
	start_disk();
	memory_write(&memory, GPA(DATA), &range, sizeof(range));
	no_room = ENOSPC;
	begin(VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range));
	await_holds(1);
	assert_waits();
	no_room = 0;
	disk->kind->retry(disk, false);
	await();
	await_holds(0);
	assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
}

/* Nothing is lost by the limits, and no more is taken at once than they say. */
static void test_limited(void **state)
{
	struct limits *limits = disk->queues[0].limits;
	unsigned int i;

	(void)state;
	assert_non_null(limits);
	assert_int_equal(limits->requests.per_second, 200);
	start_disk();
	limits->requests.paid_until = 0;
	for (i = 0; i < 60; i++) {
		submit(VIRTIO_BLK_T_OUT, i, 512);
		assert_int_equal(outcome(), VIRTIO_BLK_S_OK);
	}
	assert_true(limits->requests.paid_until <= now_ns() + 105000000);
	start_many();
	submit_many(VIRTIO_BLK_T_OUT);
	wait_for_many();
}

static int setup_limits(void **state)
{
	(void)state;
	return setup_with(",bps=1G,iops=200,burst=0.1");
}

static void test_disk_words(void **state)
{
	static const struct {
		const char *text, *path;
		bool read_only, full_fails;
		uint64_t requests, bytes;
	} good[] = {
		{ "a", "a", false, false, 0, 0 }, { "a,ro", "a", true, false, 0, 0 },
		{ "a,iops=5,ro,bps=2K,full=error", "a", true, true, 5, 2048 },
		{ "a,ro,b,iops=1", "a,ro,b", false, false, 1, 0 }, { ",ro", "", true, false, 0, 0 },
	};
	static const char *const bad[] = {
		"a,iops=", "a,iops=0", "a,bps=x", "a,bps=1T", "a,burst=", "a,full=", "a,full=stop,ro",
	};
	struct disk_option o;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_null(disk_option_read(&o, good[i].text));
		assert_string_equal(o.path, good[i].path);
		assert_int_equal(o.read_only, good[i].read_only);
		assert_int_equal(o.full_fails, good[i].full_fails);
		assert_int_equal(o.limits.requests.per_second, good[i].requests);
		assert_int_equal(o.limits.bytes.per_second, good[i].bytes);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(disk_option_read(&o, bad[i]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define WITH_THREADS(name) \
	{ #name "_with_threads", name, setup_threads, teardown, NULL }
#define IMAGE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_image, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity), TEST(test_bring_up), TEST(test_status_rules),
		TEST(test_stock_sequences),
		TEST(test_features), TEST(test_queue_rules), TEST(test_register_rules),
		TEST(test_flood), TEST(test_disk), TEST(test_disk_ranges),
		TEST(test_disk_errors),
		cmocka_unit_test_setup_teardown(test_disk_read_only, setup_read_only, teardown),
		TEST(test_disk_bad_request), TEST(test_disk_options),
		TEST(test_many), TEST(test_stop_on_the_way), TEST(test_too_many),
		WITH_THREADS(test_disk), WITH_THREADS(test_disk_ranges),
		WITH_THREADS(test_disk_errors), WITH_THREADS(test_disk_bad_request),
		WITH_THREADS(test_many), WITH_THREADS(test_stop_on_the_way),
		IMAGE_TEST(test_odd_sizes), IMAGE_TEST(test_locks), IMAGE_TEST(test_blocks),
		IMAGE_TEST(test_held_for_a_moment), IMAGE_TEST(test_mounted),
		cmocka_unit_test_setup_teardown(test_full_host, setup_full_error, teardown),
		WITH_THREADS(test_waits_for_room), WITH_THREADS(test_room_never_comes),
		WITH_THREADS(test_zeroes_wait_for_room),
		cmocka_unit_test_setup_teardown(test_limited, setup_limits, teardown),
		cmocka_unit_test(test_disk_words),
		WITH_THREADS(test_stop_waits), WITH_THREADS(test_too_many),
	};

	return cmocka_run_group_tests_name("virtio", tests, NULL, NULL);
}
