// SOURCES: launcher/devices/vhost/vhost.c launcher/devices/vhost/vhost_end.c launcher/devices/vhost/vhost_message.c launcher/devices/virtio/virtio.c launcher/devices/virtio/limits.c launcher/devices/virtio/virtio_mmio.c launcher/devices/virtio/virtqueue.c launcher/hardware/memory.c launcher/options.c launcher/message.c launcher/terminal.c launcher/io.c
// LIBS: -pthread
// SPDX-License-Identifier: GPL-2.0
/*
 * A device that another program serves, with a program that does right, and with some
 * that do not: what comes from the socket, or does not come.  L8, L10.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_mmio.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/vhost/vhost.h"
#include "hardware/host.h"
#include "jail/confine.h"
#include "lguest.h"

#define RAM	(16ULL << 20)
#define CONFIG	16

static struct memory memory;
static struct vhost *vhost;

int host_device_eventfd(int fd, gpa_t address, uint32_t data, int eventfd)
{
	(void)fd, (void)address, (void)data, (void)eventfd;
	return 0;
}

int host_irq_status(int fd, unsigned int line, gpa_t address, uint32_t value)
{
	(void)fd, (void)line, (void)address;
	(void)value;
	return 0;
}

bool confine_thread(enum thread_kind kind)
{
	return kind == THREAD_VHOST;
}

void confine_allow_sending(void)
{
}

/* Nothing frees what lives as long as the launcher. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* An error, here, is one byte. */
static uint32_t refuse(struct virtio_queue *q, struct chain *chain)
{
	(void)q;
	return chain_write(chain, "E", 1);
}

static const struct virtio_kind kind = {
	.id = VIRTIO_ID_FS, .queues = 2, .refuse = refuse, VHOST_KIND,
};

/* ---- the program at the other end of the socket */

/* What it does wrong, and with which request. */
enum fault { RIGHT, ENDS, SILENT, OTHER_REQUEST, OTHER_SIZE, HUGE_SIZE, NO_REPLY_BIT, SHORT,
	     REFUSES, NO_VERSION_1, NO_PROTOCOL, FEW_QUEUES, ODD_CONFIG };
static enum fault fault;
static uint32_t when;
static struct seen {
	unsigned int number[64];	/* of each request */
	int kick[2], call[2], file;
	uint64_t accepted;
	struct vhost_memory memory;
	struct vhost_vring_addr at[2];
	struct vhost_vring_state size[2];
} seen;
static int server_end;

static uint64_t answer_number(uint32_t request)
{
	switch (request) {
	case VHOST_GET_FEATURES:
		return (fault == NO_VERSION_1 ? 0 : VIRTIO_BIT(VIRTIO_F_VERSION_1)) |
		       (fault == NO_PROTOCOL ? 0 : VHOST_F_PROTOCOL) |
		       VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_BIT(40);
	case VHOST_GET_PROTOCOL_FEATURES:
		return -1ULL;
	case VHOST_GET_QUEUE_NUM:
		return fault == FEW_QUEUES ? 1 : 2;
	default:
		return fault == REFUSES && request == when;
	}
}

static void write_down(uint32_t request, const uint64_t *body, int fd)
{
	unsigned int i = body[0] & 1;

	seen.number[request % 64]++;
	if (request == VHOST_SET_FEATURES)
		seen.accepted = body[0];
	else if (request == VHOST_SET_MEM_TABLE)
		memcpy(&seen.memory, body, sizeof(seen.memory)), seen.file = fd;
	else if (request == VHOST_SET_VRING_ADDR)
		memcpy(&seen.at[i], body, sizeof(seen.at[i]));
	else if (request == VHOST_SET_VRING_NUM)
		memcpy(&seen.size[i], body, sizeof(seen.size[i]));
	else if (request == VHOST_SET_VRING_KICK)
		seen.kick[i] = fd;
	else if (request == VHOST_SET_VRING_CALL)
		seen.call[i] = fd;
}

static bool asks(uint32_t request)
{
	return request == VHOST_GET_FEATURES || request == VHOST_GET_PROTOCOL_FEATURES ||
	       request == VHOST_GET_QUEUE_NUM || request == VHOST_GET_VRING_BASE ||
	       request == VHOST_GET_CONFIG;
}

static size_t make_answer(const struct vhost_header *h, uint8_t *body)
{
	uint64_t number = answer_number(h->request);

	if (h->request == VHOST_GET_CONFIG) {
		body[0] = fault == ODD_CONFIG ? 4 : 0;
		memset(body + 12, 7, h->size - 12);
		return h->size;
	}
	if (h->request == VHOST_GET_VRING_BASE)
		return h->size;
	memcpy(body, &number, sizeof(number));
	return sizeof(number);
}

static bool send_answer(const struct vhost_header *h, uint8_t *body)
{
	size_t size = make_answer(h, body);
	struct vhost_header out = { h->request, VHOST_VERSION | VHOST_REPLY, size };
	bool wrong = h->request == when;

	if (wrong && (fault == ENDS || fault == SILENT))
		return fault == SILENT;
	if (wrong && fault == OTHER_REQUEST)
		out.request++;
	if (wrong && fault == OTHER_SIZE)
		out.size += 8;
	if (wrong && fault == HUGE_SIZE)
		out.size = UINT32_MAX;
	if (wrong && fault == NO_REPLY_BIT)
		out.flags &= ~VHOST_REPLY;
	if (write(server_end, &out, wrong && fault == SHORT ? 5 : sizeof(out)) < 0)
		return false;
	return !(wrong && fault == SHORT) && write(server_end, body, size) == (ssize_t)size;
}

static bool hear(struct vhost_header *h, uint64_t *body, int *fd)
{
	char room[CMSG_SPACE(sizeof(int))];
	struct iovec part = { h, sizeof(*h) };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room,
			    .msg_controllen = sizeof(room) };

	*fd = -1;
	if (recvmsg(server_end, &m, MSG_WAITALL) != sizeof(*h))
		return false;
	if (CMSG_FIRSTHDR(&m))
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	return h->size <= 128 && (!h->size || recv(server_end, body, h->size, MSG_WAITALL) == h->size);
}

static void *serve(void *unused)
{
	struct vhost_header h;
	uint64_t body[16];
	int fd;

	while (memset(body, 0, sizeof(body)), hear(&h, body, &fd)) {
		write_down(h.request, body, fd);
		if ((asks(h.request) || (h.flags & VHOST_NEED_ACK)) &&
		    !send_answer(&h, (uint8_t *)body))
			break;
	}
	close(server_end);
	return unused;
}

/* ---- the guest's driver */

static uint32_t rd(uint64_t offset)
{
	return virtio_mmio_read(&vhost->device.registers, offset, 4);
}

static void wr(uint64_t offset, uint32_t value)
{
	virtio_mmio_write(&vhost->device.registers, offset, 4, value);
}

static pthread_t thread;

/* Too early an end of patience would be the same end, where one is expected. */
static void expect_silence(void)
{
	vhost_patience = fault == SILENT ? 100 : 60000;
}

static const char *begin(enum fault wrong, uint32_t at)
{
	int ends[2];

	memset(&seen, 0, sizeof(seen));
	fault = wrong;
	when = at;
	vhost_patience = 60000;
	if (at == VHOST_GET_FEATURES || at == VHOST_GET_PROTOCOL_FEATURES ||
	    at == VHOST_GET_QUEUE_NUM || at == VHOST_SET_OWNER || at == VHOST_GET_CONFIG)
		expect_silence();
	vhost = calloc(1, sizeof(*vhost));
	vhost->server = "a test";
	vhost->device.offered = VIRTIO_BIT(7);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	vhost->socket = ends[0];
	server_end = ends[1];
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	vhost->device.memory = &memory;
	return vhost_begin(vhost, &kind, "device", CONFIG);
}

static void bring_up(void)
{
	unsigned int i;

	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, 3);
	wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	wr(VIRTIO_MMIO_STATUS, 11);
	for (i = 0; i < 2; i++) {
		wr(VIRTIO_MMIO_QUEUE_SEL, i);
		wr(VIRTIO_MMIO_QUEUE_NUM, 64);
		wr(VIRTIO_MMIO_QUEUE_DESC_LOW, 0x10000 * (i + 1));
		wr(VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x10000 * (i + 1) + 0x1000);
		wr(VIRTIO_MMIO_QUEUE_USED_LOW, 0x10000 * (i + 1) + 0x2000);
		wr(VIRTIO_MMIO_QUEUE_READY, 1);
	}
	wr(VIRTIO_MMIO_STATUS, 15);
}

static struct vring_avail *available(unsigned int queue)
{
	return (void *)(memory.base + 0x10000 * (queue + 1) + 0x1000);
}

static struct vring_used *used(unsigned int queue)
{
	return (void *)(memory.base + 0x10000 * (queue + 1) + 0x2000);
}

/* Each head has a byte of its own for its answer. */
static uint8_t *answer_of(unsigned int queue, unsigned int head)
{
	return memory.base + 0x80000 + queue * 64 + head;
}

static void offer(unsigned int queue, unsigned int head)
{
	struct vring_desc *table = (void *)(memory.base + 0x10000 * (queue + 1));

	*answer_of(queue, head) = 0;
	table[head] = (struct vring_desc){
		.addr = answer_of(queue, head) - memory.base, .len = 1,
		.flags = VRING_DESC_F_WRITE,
	};
	available(queue)->ring[available(queue)->idx % 64] = head;
	__atomic_store_n(&available(queue)->idx, available(queue)->idx + 1, __ATOMIC_SEQ_CST);
}

static bool ended(unsigned int queue, unsigned int many)
{
	unsigned int i;

	for (i = 0; i < 6000; i++, usleep(10000))
		if (__atomic_load_n(&used(queue)->idx, __ATOMIC_SEQ_CST) >= many)
			return used(queue)->idx == many;
	return false;
}

static void end(void)
{
	shutdown(vhost->socket, SHUT_RDWR);
	pthread_join(thread, NULL);
}

/* As in a machine it stays, since threads of devices that are gone look at it. */
static int setup(void **state)
{
	(void)state;
	return memory_create_shared(&memory, RAM) ? 0 : -1;
}

/* Two eventfds are one if what is signalled here can be read there. */
static bool same_event(int ours, int theirs)
{
	uint64_t one = 1, got = 0;

	return write(ours, &one, sizeof(one)) == sizeof(one) &&
	       read(theirs, &got, sizeof(got)) == sizeof(got) && got;
}

static void test_right(void **state)
{
	uint8_t *theirs;
	unsigned int i;

	(void)state;
	assert_null(begin(RIGHT, 0));
	/* Of ours and its features, those of both; and its configuration. */
	assert_int_equal(vhost->device.offered, VIRTIO_BIT(VIRTIO_F_VERSION_1) |
			 VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	assert_int_equal(rd(VIRTIO_MMIO_CONFIG + 12), 0x07070707);
	assert_true(vhost_watch(&vhost->device));
	bring_up();
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), 15);
	assert_int_equal(seen.accepted, VIRTIO_BIT(VIRTIO_F_VERSION_1) | VHOST_F_PROTOCOL);
	assert_int_equal(seen.memory.regions, 1);
	assert_int_equal(seen.memory.guest, 0);
	assert_int_equal(seen.memory.size, RAM);
	theirs = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, seen.file, 0);
	assert_true(theirs != MAP_FAILED);
	theirs[0x1234] = 99;
	assert_int_equal(memory.base[0x1234], 99);
	assert_int_equal(ftruncate(seen.file, 4096), -1);	/* it cannot take it away */
	munmap(theirs, RAM);
	for (i = 0; i < 2; i++) {
		assert_int_equal(seen.size[i].value, 64);
		assert_int_equal(seen.at[i].descriptors - seen.memory.user, 0x10000 * (i + 1));
		assert_int_equal(seen.at[i].available - seen.memory.user, 0x10000 * (i + 1) + 0x1000);
		assert_int_equal(seen.at[i].used - seen.memory.user, 0x10000 * (i + 1) + 0x2000);
		assert_true(same_event(vhost->device.queues[i].kick, seen.kick[i]));
		assert_true(same_event(seen.call[i], vhost->device.interrupt));
	}
	/* A driver that comes again: the rings end, and begin. */
	wr(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(seen.number[VHOST_GET_VRING_BASE], 2);
	bring_up();
	assert_int_equal(seen.number[VHOST_SET_VRING_KICK], 4);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), 15);
	end();
}

/* Nobody gets a device of these. */
static void test_bad_beginning(void **state)
{
	static const enum fault faults[] = {
		ENDS, SILENT, OTHER_REQUEST, OTHER_SIZE, HUGE_SIZE, NO_REPLY_BIT, SHORT,
	};
	static const uint32_t requests[] = {
		VHOST_GET_FEATURES, VHOST_GET_PROTOCOL_FEATURES, VHOST_GET_QUEUE_NUM,
		VHOST_SET_OWNER, VHOST_GET_CONFIG,
	};
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		for (j = 0; j < sizeof(requests) / sizeof(requests[0]); j++) {
			assert_non_null(begin(faults[i], requests[j]));
			end();
		}
	assert_string_equal(begin(NO_VERSION_1, 0), "it knows no virtio 1.0");
	end();
	assert_string_equal(begin(NO_PROTOCOL, 0), "it knows no features of the protocol");
	end();
	assert_string_equal(begin(FEW_QUEUES, 0), "it has too few queues");
	end();
	assert_string_equal(begin(ODD_CONFIG, 0), "it sent nonsense");
	end();
	assert_string_equal(begin(REFUSES, VHOST_SET_OWNER), "it refuses");
	end();
}

/* Its driver goes on, with errors: of what was on its way, and of all that comes. */
static void assert_errors(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		offer(i, 7);
		wr(VIRTIO_MMIO_QUEUE_NOTIFY, i);
		assert_true(ended(i, available(i)->idx));
		assert_int_equal(*answer_of(i, 7), 'E');
	}
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), 15);
}

/* It goes bad later: one sentence, errors, and it offers nothing to the next driver. */
static void assert_dead(void)
{
	assert_errors();
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, 3);
	wr(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(rd(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	wr(VIRTIO_MMIO_STATUS, 11);
	assert_int_equal(rd(VIRTIO_MMIO_STATUS) & 8, 0);
}

static void clear_rings(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memset(available(i), 0, 6 + 64 * 2);
		memset(used(i), 0, 6 + 64 * 8);
	}
}

static void test_bad_later(void **state)
{
	static const enum fault faults[] = {
		ENDS, SILENT, OTHER_REQUEST, OTHER_SIZE, HUGE_SIZE, NO_REPLY_BIT, REFUSES,
	};
	static const uint32_t requests[] = {
		VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE, VHOST_SET_VRING_ADDR,
		VHOST_SET_VRING_KICK, VHOST_SET_VRING_ENABLE,
	};
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		for (j = 0; j < sizeof(requests) / sizeof(requests[0]); j++) {
			assert_null(begin(faults[i], requests[j]));
			assert_true(vhost_watch(&vhost->device));
			expect_silence();
			clear_rings();
			bring_up();
			assert_dead();
			end();
		}
	/* ... when the driver goes. */
	assert_null(begin(SILENT, VHOST_GET_VRING_BASE));
	bring_up();
	assert_int_equal(rd(VIRTIO_MMIO_STATUS), 15);
	expect_silence();
	wr(VIRTIO_MMIO_STATUS, 0);
	assert_true(vhost->dead);
	end();
}

/*
 * ... while nobody asks it anything, with five requests, two of which it gave back: the
 * others end, and the driver hears of it.
 */
static void test_death(void **state)
{
	unsigned int i;

	(void)state;
	assert_null(begin(RIGHT, 0));
	assert_true(vhost_watch(&vhost->device));
	bring_up();
	for (i = 0; i < 5; i++)
		offer(0, i);
	used(0)->ring[0].id = 3;
	used(0)->ring[1].id = 1;
	*answer_of(0, 3) = *answer_of(0, 1) = 'k';
	used(0)->idx = 2;
	offer(1, 0);
	shutdown(server_end, SHUT_RDWR);
	assert_true(ended(0, 5));
	assert_true(ended(1, 1));
	assert_memory_equal(answer_of(0, 0), "EkEkE", 5);
	assert_int_equal(*answer_of(1, 0), 'E');
	assert_int_not_equal(eventfd_read(vhost->device.interrupt, &(eventfd_t){ 0 }), -1);
	assert_dead();
	end();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_right), TEST(test_bad_beginning), TEST(test_bad_later), TEST(test_death),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("vhost", tests, NULL, NULL);
}
