// SOURCES: launcher/devices/virtio/virtio.c launcher/devices/virtio/limits.c launcher/options.c launcher/devices/virtio/virtio_mmio.c launcher/devices/virtio/virtqueue.c launcher/devices/disk/virtio_blk.c launcher/devices/disk/disk_file.c launcher/devices/disk/vhost_blk.c launcher/devices/disk/qcow2.c launcher/devices/vhost/vhost.c launcher/devices/vhost/vhost_end.c launcher/devices/vhost/vhost_message.c launcher/distribution.c launcher/jail/landlock.c launcher/jail/beside.c launcher/devices/disk/disk_uring.c launcher/devices/disk/disk_threads.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c launcher/io.c
// LIBS: -pthread -luring -lseccomp -ljansson -Wl,--wrap=preadv,--wrap=pwritev,--wrap=pwrite,--wrap=fallocate,--wrap=fstat,--wrap=ioctl,--wrap=open
// SPDX-License-Identifier: GPL-2.0
/* A disk's requests, with both engines, and what the image may be: K7, K10. */
#include <linux/fs.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"
#include "devices/disk/disk_file.h"
#include "disk_driver.h"

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

#define WITH_THREADS(name) \
	{ #name "_with_threads", name, setup_threads, teardown, NULL }
#define IMAGE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_image, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_disk), TEST(test_disk_ranges), TEST(test_disk_errors),
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

	return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
