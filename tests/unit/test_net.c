// SOURCES: launcher/devices/virtio/virtio.c launcher/devices/virtio/limits.c launcher/options.c launcher/devices/virtio/virtio_mmio.c launcher/devices/virtio/virtqueue.c launcher/devices/net/virtio_net.c launcher/devices/net/net_switch.c launcher/devices/net/net_tap.c launcher/devices/net/net_user.c launcher/devices/net/net_window.c launcher/devices/net/net_rules.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c launcher/distribution.c launcher/io.c
// LIBS: -pthread -Wl,--wrap=open,--wrap=ioctl,--wrap=readv
// SPDX-License-Identifier: GPL-2.0
/* Frames that a card receives, into buffers of all kinds: K6, K10. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cmocka.h>

#include "jail/confine.h"
#include "devices/net/net.h"
#include "driver.h"

#define RECEIVE		0
#define SLOT		0x4000U			/* memory of a descriptor */
#define SLOT_AT(i)	(0x100000ULL + (i) * SLOT)
#define UNTOUCHED	0xee
#define FRAME_LEAST	(NET_HEADER + 14)

/* What the driver has given, first in, first out; a buffer has one or two parts. */
static struct buffer {
	unsigned int head, parts;
	size_t size;
} given[SIZE];
static unsigned int from, to, descriptors;
static uint16_t seen;

static char folder[] = "/tmp/lguest-net-XXXXXX";
static struct sockaddr_un card = { .sun_family = AF_UNIX };
static int peer;
static uint8_t frame[NET_FRAME_MOST], got[NET_FRAME_MOST];
static uint64_t seed;

bool confine_allow_folder(enum thread_kind kind, const char *path)
{
	return kind == THREAD_NET && !strncmp(path, "/tmp", 4);
}

static uint64_t next_random(uint64_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % below;
}

static int start(void **state)
{
	char option[64];

	(void)state;
	driver_hear();
	if (!memory_create(&memory, RAM) || !mkdtemp(folder))
		return -1;
	snprintf(option, sizeof(option), "switch=%s,mac=52:54:00:00:00:01", folder);
	snprintf(card.sun_path, sizeof(card.sun_path), "%s/52:54:00:00:00:01", folder);
	peer = socket(AF_UNIX, SOCK_DGRAM, 0);
	device = net_create(option);
	if (!device || peer < 0)
		return -1;
	device->memory = &memory;
	return 0;
}

static int finish(void **state)
{
	(void)state;
	driver_end();
	close(peer);
	unlink(card.sun_path);
	return rmdir(folder);
}

static void begin(uint64_t without)
{
	seed = 20260101;
	from = to = descriptors = seen = 0;
	bring_up(without, 2);
}

static void give(unsigned int parts, size_t first, size_t second)
{
	unsigned int head = next_entry[RECEIVE] % SIZE, i;
	struct part part[2] = {
		{ SLOT_AT(head), first, true },
		{ SLOT_AT((head + 1) % SIZE), second, true },
	};

	assert_true(descriptors + parts <= SIZE && first <= SLOT && second <= SLOT);
	for (i = 0; i < parts; i++)
		memset(memory_at(&memory, GPA(part[i].at), SLOT), UNTOUCHED, SLOT);
	descriptors += parts;
	given[to++ % SIZE] = (struct buffer){ head, parts, first + (parts == 2 ? second : 0) };
	offer(RECEIVE, part, parts);
}

static size_t room(void)
{
	size_t sum = 0;
	unsigned int i;

	for (i = from; i != to; i++)
		sum += given[i % SIZE].size;
	return sum;
}

static void make_frame(size_t size)
{
	size_t i;

	memset(frame, 0, NET_HEADER);
	for (i = NET_HEADER; i < size; i++)
		frame[i] = next_random(256);
}

static void send_frame(size_t size)
{
	assert_int_equal(sendto(peer, frame, size, 0, (void *)&card, sizeof(card)), size);
}

/* The next used buffer's bytes; the rest of it is as it was. */
static size_t take(uint8_t *bytes)
{
	struct vring_used *ring = memory_at(&memory, GPA(QUEUE_AT(RECEIVE) + 0x2000), 256);
	struct vring_desc *table = memory_at(&memory, GPA(QUEUE_AT(RECEIVE)), SIZE * 16);
	struct buffer *b = &given[from++ % SIZE];
	struct vring_used_elem *e = &ring->ring[seen++ % SIZE];
	size_t left = e->len, i;
	unsigned int n;

	assert_int_equal(e->id, b->head);
	assert_true(e->len <= b->size);
	for (n = 0; n < b->parts; n++) {
		struct vring_desc *d = &table[(b->head + n) % SIZE];
		size_t part = left < d->len ? left : d->len;
		uint8_t *at = memory_at(&memory, GPA(d->addr), SLOT);

		memcpy(bytes, at, part);
		bytes += part;
		left -= part;
		for (i = part; i < SLOT; i++)
			assert_int_equal(at[i], UNTOUCHED);
	}
	descriptors -= b->parts;
	return e->len;
}

/* The frame that was sent arrives, in so few buffers as hold it. */
static void expect_frame(size_t size)
{
	struct virtio_net_hdr_v1 header;
	size_t done = 0, holds = 0;
	unsigned int n = 0, i;

	while (holds < size)
		holds += given[(from + n++) % SIZE].size;
	wait_used(RECEIVE, seen + n);
	for (i = 0; i < n; i++)
		done += take(got + done);
	assert_int_equal(done, size);
	memcpy(&header, got, sizeof(header));
	assert_int_equal(header.num_buffers, n);
	assert_memory_equal(got + NET_HEADER, frame + NET_HEADER, size - NET_HEADER);
}

static void give_some(void)
{
	while (descriptors < SIZE - 1 && next_random(4)) {
		size_t first = 1 + next_random(next_random(2) ? 40 : SLOT);
		size_t second = NET_HEADER + next_random(SLOT - NET_HEADER);

		if (next_random(2) && descriptors < SIZE - 1)
			give(2, first, second);
		else
			give(1, first + NET_HEADER < SLOT ? first + NET_HEADER : SLOT, 0);
	}
}

static void test_any_buffers(void **state)
{
	unsigned int round, straight = 0, late = 0;

	(void)state;
	begin(0);
	for (round = 0; round < 1500; round++) {
		size_t size, most;

		give_some();
		most = room() + (SIZE - descriptors) * SLOT;
		most = most < NET_FRAME_MOST ? most : NET_FRAME_MOST;
		if (most < FRAME_LEAST)
			most = FRAME_LEAST;
		size = FRAME_LEAST + next_random(next_random(2) ? 200 : most - FRAME_LEAST + 1);
		size = size < most ? size : most;
		straight += room() >= NET_FRAME_MOST;
		late += room() < size;
		make_frame(size);
		send_frame(size);
		while (room() < size)
			give(1, SLOT, 0);
		expect_frame(size);
	}
	assert_true(straight > 50 && late > 50);
	assert_false(virtio_failed(device));
}

/* Without mergeable buffers a frame has one, or is lost. */
static void test_one_buffer_each(void **state)
{
	unsigned int round;

	(void)state;
	begin(VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));
	for (round = 0; round < 300; round++) {
		size_t size = FRAME_LEAST + next_random(4000);

		give(1, 4096, 0);
		make_frame(size + 4096);
		send_frame(size + 4096);
		make_frame(size);
		send_frame(size);
		expect_frame(size);
	}
}

static void test_lies_are_lost(void **state)
{
	struct virtio_net_hdr_v1 header = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 };

	(void)state;
	begin(0);
	for (unsigned int i = 0; i < 5; i++)
		give(1, SLOT, 0);
	make_frame(100);
	memcpy(frame, &header, sizeof(header));		/* a large packet without checksum */
	send_frame(100);
	header.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	memcpy(frame, &header, sizeof(header));
	send_frame(100);
	send_frame(FRAME_LEAST - 1);
	send_frame(1);
	make_frame(200);
	send_frame(200);
	expect_frame(200);
}

/* What waited for room is lost, and so are the buffers of the driver before. */
static void test_reset(void **state)
{
	(void)state;
	begin(0);
	give(1, 1000, 0);
	make_frame(3000);
	send_frame(3000);
	usleep(50000);
	assert_int_equal(used(RECEIVE), 0);
	let_go(2);
	begin(0);
	give(1, 2000, 0);
	make_frame(500);
	send_frame(500);
	expect_frame(500);
}

static void test_bad_buffers(void **state)
{
	(void)state;
	begin(0);
	offer_one(RECEIVE, SLOT_AT(0), 4096, false);
	assert_refused("read-only");
	begin(0);
	offer_one(RECEIVE, SLOT_AT(0), NET_HEADER - 1, true);
	assert_refused("too small");
	begin(0);
	offer_one(RECEIVE, RAM - 10, 4096, true);
	assert_refused("outside of memory");
}

/* A frame for all goes to every socket of the folder; other files stay what they are. */
static void test_files_stay(void **state)
{
	char path[64];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/seventeen_letters", folder);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	begin(0);
	memset(memory_at(&memory, GPA(SLOT_AT(0)), 100), 0xff, 100);
	offer_one(1, SLOT_AT(0), 100, false);
	wait_used(1, 1);
	assert_int_equal(unlink(path), 0);
}

/*
 * A tap that is not there: a socket stands for it, which is readable for ever once
 * its other end is closed, and cannot be read, as a tap that somebody deleted.
 */
static int tap = -1;
static unsigned int reads;

int __wrap_open(const char *path, int flags, mode_t mode);
int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode)
{
	return strcmp(path, "/dev/net/tun") ? __real_open(path, flags, mode) : tap;
}

int __wrap_ioctl(int fd, unsigned long request, void *to);
int __real_ioctl(int fd, unsigned long request, void *to);
int __wrap_ioctl(int fd, unsigned long request, void *to)
{
	return fd == tap ? 0 : __real_ioctl(fd, request, to);
}

ssize_t __wrap_readv(int fd, const struct iovec *parts, int count);
ssize_t __real_readv(int fd, const struct iovec *parts, int count);
ssize_t __wrap_readv(int fd, const struct iovec *parts, int count)
{
	char end;

	if (fd != tap)
		return __real_readv(fd, parts, count);
	__atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);
	errno = recv(tap, &end, 1, MSG_DONTWAIT | MSG_PEEK) ? EAGAIN : EBADFD;
	return -1;
}

static void test_tap_deleted(void **state)
{
	struct virtio_device *first = device;
	unsigned int i;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	tap = ends[0];
	device = net_create("tap=any");
	assert_non_null(device);
	device->memory = &memory;
	virtio_reset(device);
	begin(0);
	give(1, 2000, 0);
	close(ends[1]);
	for (i = 0; i < 5000; i++) {
		fflush(message_stream);
		if (said && strstr(said, "the interface is gone"))
			break;
		usleep(1000);
	}
	assert_non_null(strstr(said, "the interface is gone"));
	reads = 0;
	usleep(100000);
	offer_one(1, SLOT_AT(0), 100, false);	/* and a frame that is sent is lost */
	wait_used(1, 1);
	let_go(2);
	begin(0);				/* a driver that comes later waits, too */
	usleep(50000);
	assert_int_equal(reads, 0);
	let_go(2);
	device = first;
}

/* A folder that is made is said, as its name may be a mistake; one that is there is not. */
static void test_folder_made(void **state)
{
	static struct virtio_device *cards[2];
	char path[64], socket[2][96], option[128], wanted[128];
	unsigned int i;
	size_t told;

	(void)state;
	snprintf(path, sizeof(path), "%s/none", folder);
	snprintf(wanted, sizeof(wanted), "network switch: made the folder %s; ", path);
	for (i = 0; i < 2; i++) {
		snprintf(socket[i], sizeof(socket[i]), "%s/52:54:00:00:00:%02x", path, i + 2);
		snprintf(option, sizeof(option), "switch=%s,mac=52:54:00:00:00:%02x", path, i + 2);
		fflush(message_stream);
		told = said_size;
		cards[i] = net_create(option);
		assert_non_null(cards[i]);
		fflush(message_stream);
		assert_int_equal(!!strstr(said + told, wanted), i == 0);
	}
	assert_int_equal(said_size, told);	/* no word */
	for (i = 0; i < 2; i++)
		assert_int_equal(unlink(socket[i]), 0);
	assert_int_equal(rmdir(path), 0);
}

/* Its own socket goes; who cannot do it in time says so.  Other cards have nothing to do. */
static void test_leave(void **state)
{
	struct virtio_device *at_switch, *at_tap;
	char path[] = "/tmp/lguest-leave-XXXXXX", option[80], socket[80];
	size_t told;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(option, sizeof(option), "switch=%s,mac=52:54:00:00:00:07", path);
	snprintf(socket, sizeof(socket), "%s/52:54:00:00:00:07", path);
	at_switch = net_create(option);
	assert_non_null(at_switch);
	assert_int_equal(access(socket, F_OK), 0);
	fflush(message_stream);
	told = said_size;
	at_switch->queues[0].started = true;	/* it says so, but nobody is there */
	virtio_leave(at_switch);
	fflush(message_stream);
	assert_non_null(strstr(said + told, "its thread is too busy to leave"));
	assert_int_equal(access(socket, F_OK), 0);
	at_switch->queues[0].started = false;
	virtio_leave(at_switch);
	assert_int_equal(access(socket, F_OK), -1);
	assert_int_equal(rmdir(path), 0);

	at_tap = net_create("tap=any");	/* as test_tap_deleted() has it */
	assert_non_null(at_tap);
	assert_null(at_tap->kind->leave);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_buffers),
		cmocka_unit_test(test_one_buffer_each),
		cmocka_unit_test(test_lies_are_lost),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_bad_buffers),
		cmocka_unit_test(test_tap_deleted),
		cmocka_unit_test(test_files_stay),
		cmocka_unit_test(test_folder_made),
		cmocka_unit_test(test_leave),
	};

	return cmocka_run_group_tests(tests, start, finish);
}
