// SOURCES: launcher/devices/virtio/virtio.c launcher/devices/virtio/limits.c launcher/options.c launcher/devices/virtio/virtio_mmio.c launcher/devices/virtio/virtqueue.c launcher/devices/virtio_balloon.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c
// LIBS: -pthread
// SPDX-License-Identifier: GPL-2.0
/* The balloon, with a driver that does right and one that does not: L5, K10, K13. */
#include <linux/virtio_balloon.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "driver.h"

#define INFLATE	0
#define DEFLATE	1
#define STATS	2
#define REPORT	3
#define LIST	0x40000
#define DATA	0x200000

static int setup(void **state)
{
	(void)state;
	driver_hear();
	if (!memory_create(&memory, RAM))
		return -1;
	if (!device) {
		device = balloon_create(&memory);
		device->memory = &memory;
	}
	virtio_reset(device);
	memset(memory_at(&memory, GPA(DATA), 2 << 20), 0x5a, 2 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	driver_end();
	memory_destroy(&memory);
	return 0;
}

static uint8_t byte_at(uint64_t at)
{
	return *(volatile uint8_t *)memory_at(&memory, GPA(at), 1);
}

/* So many page numbers, from a list in guest memory. */
static void balloon_pages(const uint32_t *pages, unsigned int n)
{
	memory_write(&memory, GPA(LIST), pages, n * 4);
	offer_one(INFLATE, LIST, n * 4, false);
}

static void test_inflate(void **state)
{
	/* In no order, one twice. */
	uint32_t pages[] = { 0x205, 0x203, 0x204, 0x210, 0x203, 0x3ff };
	uint64_t page;

	(void)state;
	bring_up(0, 4);
	balloon_pages(pages, 6);
	wait_used(INFLATE, 1);
	for (page = 0x200; page < 0x400; page++) {
		bool gone = (page >= 0x203 && page <= 0x205) || page == 0x210 || page == 0x3ff;

		assert_int_equal(byte_at(page << 12), gone ? 0 : 0x5a);
		assert_int_equal(byte_at((page << 12) + 4095), gone ? 0 : 0x5a);
	}
	offer_one(DEFLATE, LIST, 12, false);
	wait_used(DEFLATE, 1);
	assert_false(virtio_failed(device));
}

static void test_long_list(void **state)
{
	uint32_t pages[600];
	unsigned int i;

	(void)state;
	bring_up(0, 4);
	for (i = 0; i < 600; i++)
		pages[i] = 0x3ff - i % 512;
	balloon_pages(pages, 600);
	wait_used(INFLATE, 1);
	assert_int_equal(byte_at(DATA), 0);
	assert_int_equal(byte_at(DATA + (2 << 20) - 1), 0);
}

static void test_bad_lists(void **state)
{
	static const uint32_t bad[] = { 0x1000, 0xffffffff, 0x80000000, 0xfffff };
	uint32_t pages[2] = { 0x200 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		bring_up(0, 4);
		pages[1] = bad[i];
		balloon_pages(pages, 2);
		assert_refused("outside of memory");
		assert_int_equal(byte_at(DATA), 0x5a);
	}
	bring_up(0, 4);
	offer_one(INFLATE, LIST, 7, false);
	assert_refused("no list of numbers");
	bring_up(0, 4);
	offer_one(INFLATE, LIST, 8, true);
	assert_refused("no list of numbers");
}

/* AT-46: it hands over the rings of all its queues, and the list that says so. */
static void test_own_rings(void **state)
{
	uint32_t pages[(LIST - QUEUE_AT(0)) / 4096 + 1], i;

	(void)state;
	bring_up(0, 4);
	for (i = 0; i < sizeof(pages) / sizeof(*pages); i++)
		pages[i] = QUEUE_AT(0) / 4096 + i;
	balloon_pages(pages, i);
	/* What it is told of next is a ring of zeros, long done with. */
	assert_refused("more requests are available than the queue holds");
	assert_int_equal(byte_at(LIST), 0);
	assert_int_equal(byte_at(DATA), 0x5a);
	bring_up(0, 4);
	pages[0] = DATA / 4096;
	balloon_pages(pages, 1);
	wait_used(INFLATE, 1);
	assert_int_equal(byte_at(DATA), 0);
}

static void test_report(void **state)
{
	struct part parts[] = { { DATA, 0x10000, true }, { DATA + 0x20800, 0x2000, true },
				{ DATA + 0x30800, 0x400, true } };

	(void)state;
	bring_up(0, 4);
	offer(REPORT, parts, 3);
	wait_used(REPORT, 1);
	assert_int_equal(byte_at(DATA), 0);
	assert_int_equal(byte_at(DATA + 0xffff), 0);
	assert_int_equal(byte_at(DATA + 0x10000), 0x5a);
	/* What is no whole page stays. */
	assert_int_equal(byte_at(DATA + 0x20fff), 0x5a);
	assert_int_equal(byte_at(DATA + 0x21000), 0);
	assert_int_equal(byte_at(DATA + 0x22000), 0x5a);
	assert_int_equal(byte_at(DATA + 0x30800), 0x5a);
	/* Without statistics it is the queue before. */
	bring_up(VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ), 3);
	offer_one(STATS, DATA + 0x40000, 0x1000, true);
	wait_used(STATS, 1);
	assert_int_equal(byte_at(DATA + 0x40000), 0);
	bring_up(0, 4);
	offer_one(REPORT, DATA, 0x1000, false);
	assert_refused("read-only");
}

static void test_poison(void **state)
{
	uint64_t at = VIRTIO_MMIO_CONFIG + offsetof(struct virtio_balloon_config, poison_val);

	(void)state;
	bring_up(0, 4);
	wr(at, 0xaaaaaaaa);
	offer_one(REPORT, DATA, 0x1000, true);
	wait_used(REPORT, 1);
	assert_int_equal(byte_at(DATA), 0x5a);
	/* Zero is what comes back anyway; a reset forgets the pattern. */
	wr(at, 0);
	offer_one(REPORT, DATA, 0x1000, true);
	wait_used(REPORT, 2);
	assert_int_equal(byte_at(DATA), 0);
	bring_up(VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_POISON), 4);
	offer_one(REPORT, DATA + 0x1000, 0x1000, true);
	wait_used(REPORT, 1);
	assert_int_equal(byte_at(DATA + 0x1000), 0);
	wr(at, 0xaaaaaaaa);
	assert_refused("not agreed on");
}

static void test_configuration(void **state)
{
	uint64_t actual = VIRTIO_MMIO_CONFIG + offsetof(struct virtio_balloon_config, actual);

	(void)state;
	bring_up(0, 4);
	assert_false(devices_balloon(RAM + 1));
	assert_false(devices_balloon(UINT64_MAX));
	assert_int_equal(rd(VIRTIO_MMIO_CONFIG), 0);
	assert_true(devices_balloon(1 << 20));
	assert_int_equal(rd(VIRTIO_MMIO_CONFIG), 256);
	assert_true(devices_balloon(RAM));
	assert_int_equal(rd(VIRTIO_MMIO_CONFIG), RAM >> 12);
	wr(actual, 17);
	assert_int_equal(rd(actual), 17);
	wr(VIRTIO_MMIO_CONFIG, 0);
	assert_refused("read-only");
	wr(VIRTIO_MMIO_CONFIG + 4096 - 0x104, 0);
	assert_refused("read-only");
	virtio_mmio_write(&device->registers, actual, 8, 0);
	assert_refused("read-only");
	/* The target stays for the next driver, what the last one had does not. */
	assert_int_equal(rd(VIRTIO_MMIO_CONFIG), RAM >> 12);
	assert_int_equal(rd(actual), 0);
	assert_true(devices_balloon(0));
}

static void *answer(void *unused)
{
	struct virtio_balloon_stat stats[2] = {
		{ VIRTIO_BALLOON_S_MEMFREE, 4711 }, { 200, 1 } };

	wait_used(STATS, 1);
	memory_write(&memory, GPA(LIST), stats, sizeof(stats));
	offer_one(STATS, LIST, sizeof(stats), false);
	return unused;
}

static void test_stats(void **state)
{
	struct virtio_balloon_stat first = { VIRTIO_BALLOON_S_MEMFREE, 815 };
	struct balloon_stats stats;
	pthread_t guest;

	(void)state;
	assert_false(devices_balloon_stats(&stats));	/* no driver */
	bring_up(0, 4);
	memory_write(&memory, GPA(LIST), &first, sizeof(first));
	pthread_create(&guest, NULL, answer, NULL);
	offer_one(STATS, LIST, sizeof(first), false);
	while (devices_balloon_stats(&stats) && stats.free != 4711)
		;
	pthread_join(guest, NULL);
	assert_int_equal(stats.free, 4711);
	assert_int_equal(stats.actual, 0);
	/* A driver that does not answer. */
	assert_false(devices_balloon_stats(&stats));
	/* More buffers than were asked for. */
	bring_up(0, 4);
	offer_one(STATS, LIST, 16, false);
	offer_one(STATS, LIST, 16, false);
	offer_one(STATS, LIST, 16, false);
	assert_refused("nobody asked for");
}

/* Its driver is unbound and bound, or sleeps: as often as it likes. */
static void test_let_go(void **state)
{
	uint32_t page = DATA / 4096;
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++, page++) {
		bring_up(0, 4);
		balloon_pages(&page, 1);
		wait_used(INFLATE, 1);
		assert_int_equal(byte_at((uint64_t)page << 12), 0);
		let_go(4);
	}
	assert_false(virtio_failed(device));
}

/* Any rings at all: nothing is touched outside of RAM, nothing hangs. */
static void test_random(void **state)
{
	unsigned int round, i;

	(void)state;
	srandom(1);
	for (round = 0; round < 300; round++) {
		uint32_t *words = memory_at(&memory, GPA(QUEUE_AT(0)), QUEUE_AT(4) - QUEUE_AT(0));

		bring_up(random() % 2 ? 0 : VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ), 4);
		for (i = 0; i < 2000; i++)
			words[random() % ((QUEUE_AT(4) - QUEUE_AT(0)) / 4)] =
				random() % 4 ? random() % (long)RAM : random();
		for (i = 0; i < 4; i++) {
			struct vring_avail *ring = memory_at(&memory,
				GPA(QUEUE_AT(i) + 0x1000), 64);

			ring->idx = random() % (SIZE + 1);
			wr(VIRTIO_MMIO_QUEUE_NOTIFY, i);
		}
		wr(VIRTIO_MMIO_CONFIG + 12, random() % 2);
	}
	wr(VIRTIO_MMIO_STATUS, 0);
	memset(memory.base, 0, RAM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_inflate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_rings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_report, setup, teardown),
		cmocka_unit_test_setup_teardown(test_poison, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configuration, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_let_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
