// SOURCES: launcher/devices/virtio/virtio.c launcher/devices/virtio/limits.c launcher/options.c launcher/devices/virtio/virtio_mmio.c launcher/devices/virtio/virtqueue.c launcher/devices/vsock/virtio_vsock.c launcher/devices/vsock/vsock_door.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c launcher/io.c
// LIBS: -pthread
// SPDX-License-Identifier: GPL-2.0
/* vsock, with a driver that does right and one that does not: L10, K10, K13. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cmocka.h>

#include "devices/vsock/vsock.h"
#include "jail/confine.h"
#include "driver.h"

#define RECEIVE		0
#define TRANSMIT	1
#define BUFFERS		8U
#define HEADER		sizeof(struct virtio_vsock_hdr)
#define BUFFER_SIZE	(HEADER + 4096)
#define BUFFER_AT(n)	(0x100000ULL + (n) * 0x2000ULL)
#define PACKET		0x200000ULL
#define PORT		1000U
#define ROOM		(128U << 10)	/* what the device promises */

static char folder[] = "/tmp/lguest-vsock-XXXXXX";
static char path[64];
static int listener = -1;
static uint16_t seen;			/* of what was received */
static struct virtio_vsock_hdr got;
static uint8_t bytes[BUFFER_SIZE];
static uint32_t room = 1 << 20, taken;	/* what we promise */

void confine_process(void)
{
}

bool confine_allow_folder(enum thread_kind kind, const char *path)
{
	return kind == THREAD_DOOR && !strncmp(path, "/tmp", 4);
}

static struct sockaddr_un address_of(const char *suffix)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s%s", path, suffix);
	return address;
}

static int start(void **state)
{
	struct sockaddr_un address;

	(void)state;
	driver_hear();
	if (!memory_create(&memory, RAM) || !mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/v", folder);
	address = address_of("_1000");
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(listener, (void *)&address, sizeof(address)) || listen(listener, 512))
		return -1;
	device = vsock_create(path);
	device->memory = &memory;
	return 0;
}

static int finish(void **state)
{
	(void)state;
	driver_end();
	unlink(address_of("_1000").sun_path);
	unlink(path);
	return rmdir(folder);
}

static void offer_buffer(unsigned int n)
{
	offer_one(RECEIVE, BUFFER_AT(n), BUFFER_SIZE, true);
}

static int setup(void **state)
{
	unsigned int i;

	(void)state;
	room = 1 << 20;
	taken = 0;
	seen = 0;
	device->complaints = 0;
	bring_up(0, 3);
	for (i = 0; i < BUFFERS; i++)
		offer_buffer(i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	let_go(3);
	return 0;
}

static bool wait_packet(unsigned int ms)
{
	struct vring_used *ring = memory_at(&memory, GPA(QUEUE_AT(RECEIVE) + 0x2000), 256);
	struct vring_desc *table = memory_at(&memory, GPA(QUEUE_AT(RECEIVE)), SIZE * 16);
	struct vring_used_elem *e;
	uint64_t at;

	for (; used(RECEIVE) == seen && ms; ms--)
		usleep(1000);
	if (used(RECEIVE) == seen)
		return false;
	e = &ring->ring[seen++ % SIZE];
	at = table[e->id].addr;
	assert_true(e->len >= HEADER && e->len <= BUFFER_SIZE);
	memory_read(&memory, GPA(at), &got, HEADER);
	memory_read(&memory, GPA(at + HEADER), bytes, e->len - HEADER);
	assert_int_equal(got.len, e->len - HEADER);
	assert_int_equal(got.dst_cid, 3);
	offer_buffer((at - BUFFER_AT(0)) / 0x2000);
	return true;
}

static void expect(unsigned int op)
{
	assert_true(wait_packet(5000));
	assert_int_equal(got.op, op);
}

static void expect_nothing(void)
{
	assert_false(wait_packet(50));
}

static struct virtio_vsock_hdr header(unsigned int op, uint32_t port, uint32_t from)
{
	return (struct virtio_vsock_hdr){
		.src_cid = 3, .dst_cid = 2, .src_port = from, .dst_port = port,
		.type = VIRTIO_VSOCK_TYPE_STREAM, .op = op,
		.buf_alloc = room, .fwd_cnt = taken };
}

static void send_as(const struct virtio_vsock_hdr *h, uint32_t size)
{
	uint16_t before = used(TRANSMIT);

	memory_write(&memory, GPA(PACKET), h, HEADER);
	offer_one(TRANSMIT, PACKET, HEADER + size, false);
	if (h->len == size)
		wait_used(TRANSMIT, before + 1);
}

static void say(unsigned int op, uint32_t from, uint32_t size)
{
	struct virtio_vsock_hdr h = header(op, PORT, from);

	h.len = size;
	if (op == VIRTIO_VSOCK_OP_SHUTDOWN) {
		h.flags = size;
		h.len = size = 0;
	}
	send_as(&h, size);
}

/* A call that is taken; the program's socket. */
static int call(uint32_t from)
{
	int fd;

	say(VIRTIO_VSOCK_OP_REQUEST, from, 0);
	expect(VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(got.dst_port, from);
	assert_int_equal(got.src_port, PORT);
	assert_int_equal(got.buf_alloc, ROOM);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* What the program gets: so many bytes, -1 at the end. */
static ssize_t hear(int fd, void *to, size_t size)
{
	struct pollfd p = { fd, POLLIN, 0 };

	assert_int_equal(poll(&p, 1, 60000), 1);
	return read(fd, to, size);
}

static void test_call(void **state)
{
	char text[16];
	int fd = call(7);

	(void)state;
	memory_write(&memory, GPA(PACKET + HEADER), "hello", 5);
	say(VIRTIO_VSOCK_OP_RW, 7, 5);
	assert_int_equal(hear(fd, text, 16), 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(write(fd, "back", 4), 4);
	expect(VIRTIO_VSOCK_OP_RW);
	assert_int_equal(got.len, 4);
	assert_int_equal(got.fwd_cnt, 5);
	assert_memory_equal(bytes, "back", 4);
	say(VIRTIO_VSOCK_OP_CREDIT_REQUEST, 7, 0);
	expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	/* Each side ends its half. */
	say(VIRTIO_VSOCK_OP_SHUTDOWN, 7, VIRTIO_VSOCK_SHUTDOWN_SEND);
	assert_int_equal(hear(fd, text, 16), 0);
	assert_int_equal(write(fd, "more", 4), 4);
	expect(VIRTIO_VSOCK_OP_RW);
	close(fd);
	expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	while (got.flags != 3)
		expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	say(VIRTIO_VSOCK_OP_SHUTDOWN, 7, 3);
	expect(VIRTIO_VSOCK_OP_RST);
	expect_nothing();
}

static void test_refused(void **state)
{
	struct virtio_vsock_hdr h = header(VIRTIO_VSOCK_OP_REQUEST, 4711, 7);

	(void)state;
	send_as(&h, 0);
	expect(VIRTIO_VSOCK_OP_RST);
	assert_int_equal(got.src_port, 4711);
	h.dst_cid = 77;
	send_as(&h, 0);
	expect(VIRTIO_VSOCK_OP_RST);
	assert_int_equal(got.src_cid, 77);
	h = header(VIRTIO_VSOCK_OP_REQUEST, PORT, 7);
	h.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
	send_as(&h, 0);
	expect(VIRTIO_VSOCK_OP_RST);
	assert_int_equal(got.type, VIRTIO_VSOCK_TYPE_SEQPACKET);
	/* Another's address is no address; a reset has no answer. */
	h = header(VIRTIO_VSOCK_OP_REQUEST, PORT, 7);
	h.src_cid = 4;
	send_as(&h, 0);
	expect_nothing();
	say(VIRTIO_VSOCK_OP_RST, 7, 0);
	expect_nothing();
	say(VIRTIO_VSOCK_OP_RW, 7, 0);
	expect(VIRTIO_VSOCK_OP_RST);
}

static void test_program_calls(void **state)
{
	struct sockaddr_un address = address_of("");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	uint32_t port;
	char text[32] = "";

	(void)state;
	assert_int_equal(connect(fd, (void *)&address, sizeof(address)), 0);
	assert_int_equal(write(fd, "CONN", 4), 4);
	expect_nothing();
	assert_int_equal(write(fd, "ECT 55\nhello", 12), 12);
	expect(VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(got.dst_port, 55);
	port = got.src_port;
	{
		struct virtio_vsock_hdr h = header(VIRTIO_VSOCK_OP_RESPONSE, port, 55);

		send_as(&h, 0);
	}
	expect(VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(bytes, "hello", 5);
	assert_true(hear(fd, text, 31) > 0);
	assert_int_equal(strncmp(text, "OK ", 3), 0);
	assert_int_equal(strtoul(text + 3, NULL, 10), port);
	wr(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(hear(fd, text, 31), 0);
	close(fd);
}

/* What ends the connection, and only that. */
static void test_bad_order(void **state)
{
	static const unsigned int bad[] = {
		VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RESPONSE, 0, 8, 0xffff };
	char text[16];
	unsigned int i;
	int fd, other = call(1);

	(void)state;
	for (i = 0; i < 5; i++) {
		fd = call(7);
		say(bad[i], 7, 0);
		expect(VIRTIO_VSOCK_OP_RST);
		assert_int_equal(hear(fd, text, 16), 0);
		close(fd);
	}
	/* Bytes after the end of bytes. */
	fd = call(7);
	say(VIRTIO_VSOCK_OP_SHUTDOWN, 7, VIRTIO_VSOCK_SHUTDOWN_SEND);
	say(VIRTIO_VSOCK_OP_RW, 7, 5);
	expect(VIRTIO_VSOCK_OP_RST);
	close(fd);
	say(VIRTIO_VSOCK_OP_RW, 1, 3);
	assert_int_equal(hear(other, text, 16), 3);
	close(other);
}

/* The guest sends more than it may: the program does not read, ROOM is the end. */
static void test_credit_of_guest(void **state)
{
	int fd = call(7);
	uint32_t sent = 0;

	(void)state;
	while (sent < 64 << 20) {
		say(VIRTIO_VSOCK_OP_RW, 7, 65536);
		sent += 65536;
		if (wait_packet(0) && got.op == VIRTIO_VSOCK_OP_RST)
			break;
	}
	while (got.op != VIRTIO_VSOCK_OP_RST)
		assert_true(wait_packet(1000));
	/* Its socket's own buffer is beyond what we count. */
	assert_in_range(sent, ROOM, ROOM + (4 << 20));
	close(fd);
}

/* The guest has little room, lies about it, and takes it back. */
static void test_credit_for_guest(void **state)
{
	int fd;

	(void)state;
	room = 10;
	fd = call(7);
	assert_int_equal(write(fd, "abcdefghijklmnopqrstuvwxyz", 26), 26);
	expect(VIRTIO_VSOCK_OP_RW);
	assert_int_equal(got.len, 10);
	expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	expect_nothing();
	taken = 4;
	say(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 7, 0);
	expect(VIRTIO_VSOCK_OP_RW);
	assert_int_equal(got.len, 4);
	expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	room = 3;
	say(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 7, 0);
	expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	room = 10;
	taken = 1000;
	say(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 7, 0);
	expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	taken = 14;
	room = UINT32_MAX;
	say(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 7, 0);
	expect(VIRTIO_VSOCK_OP_RW);
	assert_int_equal(got.len, 12);
	close(fd);
}

/* After a reset the guest's last bytes still arrive. */
static void test_lingering(void **state)
{
	static char text[300000];
	size_t sent = 0, heard = 0;
	int fd = call(7), size = 4096;
	ssize_t n;

	(void)state;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (; sent < 4 * 65536; sent += 65536)
		say(VIRTIO_VSOCK_OP_RW, 7, 65536);
	say(VIRTIO_VSOCK_OP_RST, 7, 0);
	while ((n = hear(fd, text, sizeof(text))) > 0)
		heard += n;
	assert_int_equal(heard, sent);
	close(fd);
}

static void test_rules(void **state)
{
	struct virtio_vsock_hdr h = header(VIRTIO_VSOCK_OP_RW, PORT, 7);

	h.len = 100;
	send_as(&h, 99);
	assert_refused("wrong length");
	setup(state);
	h.len = UINT32_MAX;
	send_as(&h, 4);
	assert_refused("wrong length");
	setup(state);
	offer_one(TRANSMIT, PACKET, HEADER - 1, false);
	assert_refused("no header");
	setup(state);
	offer_one(TRANSMIT, PACKET, 100, true);
	assert_refused("no header");
	bring_up(0, 3);
	offer_one(RECEIVE, PACKET, HEADER, true);
	h = header(VIRTIO_VSOCK_OP_REQUEST, 4711, 7);
	send_as(&h, 0);
	assert_refused("too small or read-only");
	bring_up(0, 3);
	offer_one(RECEIVE, PACKET, 4096, false);
	send_as(&h, 0);
	assert_refused("too small or read-only");
}

static unsigned int open_files(void)
{
	DIR *all = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(all))
		n++;
	closedir(all);
	return n;
}

/* A guest that calls and never takes an answer; then one that takes them all. */
static void test_many(void **state)
{
	unsigned int files = open_files(), i, good = 0, refused = 0;
	int fds[400], n = 0;

	(void)state;
	bring_up(0, 3);		/* without buffers */
	seen = 0;
	for (i = 0; i < 300; i++)
		say(VIRTIO_VSOCK_OP_REQUEST, 10000 + i, 0);
	for (i = 0; i < BUFFERS; i++)
		offer_buffer(i);
	for (i = 0; i < 300 && wait_packet(1000); i++) {
		good += got.op == VIRTIO_VSOCK_OP_RESPONSE;
		refused += got.op == VIRTIO_VSOCK_OP_RST;
	}
	assert_int_equal(good, 256);
	assert_int_equal(refused, 300 - 256);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	while (n < 400 && (fds[n] = accept(listener, NULL, NULL)) >= 0)
		n++;
	fcntl(listener, F_SETFL, 0);
	assert_int_equal(n, 256);
	wr(VIRTIO_MMIO_STATUS, 0);
	while (n)
		close(fds[--n]);
	assert_int_equal(open_files(), files);
}

/* Any packets, on a few ports that know each other. */
static void test_random(void **state)
{
	unsigned int files = open_files(), round, n = 0, i;
	int fds[512];

	(void)state;
	srandom(1);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	for (round = 0; round < 20000; round++) {
		struct virtio_vsock_hdr h = header(random() % 9, PORT, random() % 6);
		uint32_t size = random() % 3 ? random() % 100 : random() % 65536;
		int fd;

		if (random() % 4)
			h.op = random() % 2 ? VIRTIO_VSOCK_OP_REQUEST : VIRTIO_VSOCK_OP_RW;
		h.flags = random() % 8;
		h.buf_alloc = random() % 3 ? 100000 : random();
		h.fwd_cnt = random() % 3 ? 0 : random();
		h.len = size;
		send_as(&h, size);
		while (wait_packet(0))
			;
		fd = accept(listener, NULL, NULL);
		if (fd >= 0) {
			fcntl(fd, F_SETFL, O_NONBLOCK);
			if (n == 512)
				close(fds[--n]);
			fds[n++] = fd;
		}
		if (n && random() % 2) {
			i = random() % n;
			if (random() % 5)
				size = read(fds[i], bytes, 4096) + write(fds[i], bytes, 4096);
			else
				shutdown(fds[i], random() % 3);
		}
		if (n && random() % 10 == 0) {
			i = random() % n;
			close(fds[i]);
			fds[i] = fds[--n];
		}
		if (random() % 1000 == 0)
			setup(state);
	}
	assert_false(virtio_failed(device));
	wr(VIRTIO_MMIO_STATUS, 0);
	while (n)
		close(fds[--n]);
	/* What was on its way to the listener comes, and the device's ends go. */
	for (i = 0; i < 6000 && open_files() > files + 8; i++) {
		while ((fds[0] = accept(listener, NULL, NULL)) >= 0)
			close(fds[0]);
		usleep(10000);
	}
	fcntl(listener, F_SETFL, 0);
	assert_in_range(open_files(), files, files + 8);
}

/* What a door says to this call: a socket, or -1. */
static int answer_of(int door)
{
	struct door_note note = { .slot = 1, .stamp = 2, .port = PORT }, said;
	struct pollfd fd = { door, POLLIN, 0 };
	int socket;

	assert_true(door_ask(door, &note));
	assert_int_equal(poll(&fd, 1, 20000), 1);
	assert_int_equal(door_hear(door, &said, &socket), 1);
	assert_int_equal(said.slot, 1);
	return socket;
}

/* By a closed one nobody is called, though he listens. */
static void test_closed_door(void **state)
{
	const char *why;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		int door, socket;

		door = door_open(address_of("-2").sun_path, i, &why);
		assert_true(door >= 0);
		if (!i)
			assert_int_equal(symlink(address_of("_1000").sun_path,
						 address_of("-2_1000").sun_path), 0);
		socket = answer_of(door);
		assert_true(i ? socket < 0 : socket >= 0);
		if (socket >= 0)
			close(socket);
		close(door);
		while (!access(address_of("-2").sun_path, F_OK))
			usleep(1000);
	}
	unlink(address_of("-2_1000").sun_path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_call), TEST(test_refused), TEST(test_program_calls),
		TEST(test_bad_order), TEST(test_credit_of_guest),
		TEST(test_credit_for_guest), TEST(test_lingering), TEST(test_rules),
		TEST(test_many), TEST(test_closed_door), TEST(test_random),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("vsock", tests, start, finish);
}
