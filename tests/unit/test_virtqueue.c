// SOURCES: launcher/devices/virtio/virtqueue.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c
// SPDX-License-Identifier: GPL-2.0
/* Rings, friendly and hostile: AT-72, K10, K11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virtio/virtqueue.h"
#include "lguest.h"

#define RAM	(16ULL << 20)
#define SIZE	8
#define TABLE	0x10000
#define DRIVER	0x11000
#define DEVICE	0x12000
#define INDIRECT 0x13000
#define DATA	0x20000

static struct memory memory;
static struct virtqueue q;
static struct chain chain;
static struct vring_desc *desc;
static struct vring_avail *avail;
static struct vring_used *used;

static int setup(void **state)
{
	(void)state;
	if (!memory_create(&memory, RAM))
		return -1;
	virtqueue_reset(&q, &memory);
	q.size = SIZE;
	q.descriptors = GPA(TABLE);
	q.driver = GPA(DRIVER);
	q.device = GPA(DEVICE);
	desc = memory_at(&memory, GPA(TABLE), SIZE * 16);
	avail = memory_at(&memory, GPA(DRIVER), 6 + SIZE * 2);
	used = memory_at(&memory, GPA(DEVICE), 6 + SIZE * 8);
	return virtqueue_start(&q) ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	memory_destroy(&memory);
	return 0;
}

static void put(struct vring_desc *d, uint64_t address, uint32_t length,
		uint16_t flags, uint16_t next)
{
	d->addr = address;
	d->len = length;
	d->flags = flags;
	d->next = next;
}

static void offer(uint16_t head)
{
	avail->ring[avail->idx++ % SIZE] = head;
}

static void assert_broken(const char *part)
{
	assert_int_equal(virtqueue_pop(&q, &chain), -1);
	assert_non_null(q.broken);
	assert_non_null(strstr(q.broken, part));
	/* It stays so. */
	assert_int_equal(virtqueue_pop(&q, &chain), -1);
}

static void test_start(void **state)
{
	static const struct { uint32_t size; uint64_t t, a, u; } bad[] = {
		{ 0, TABLE, DRIVER, DEVICE }, { 3, TABLE, DRIVER, DEVICE },
		{ 512, TABLE, DRIVER, DEVICE }, { 0x80000000, TABLE, DRIVER, DEVICE },
		{ SIZE, TABLE + 8, DRIVER, DEVICE }, { SIZE, TABLE, DRIVER + 1, DEVICE },
		{ SIZE, TABLE, DRIVER, DEVICE + 2 }, { SIZE, RAM, DRIVER, DEVICE },
		{ SIZE, RAM - 16, DRIVER, DEVICE }, { SIZE, TABLE, RAM - 4, DEVICE },
		{ SIZE, TABLE, DRIVER, RAM - 64 }, { SIZE, -16ULL, DRIVER, DEVICE },
		{ SIZE, TABLE, -2ULL, DEVICE }, { SIZE, TABLE, DRIVER, -4ULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		virtqueue_reset(&q, &memory);
		q.size = bad[i].size;
		q.descriptors = GPA(bad[i].t);
		q.driver = GPA(bad[i].a);
		q.device = GPA(bad[i].u);
		assert_non_null(virtqueue_start(&q));
		assert_false(q.running);
	}
}

static void test_request(void **state)
{
	char text[16] = "";

	(void)state;
	assert_int_equal(virtqueue_pop(&q, &chain), 0);
	put(&desc[3], DATA, 5, VRING_DESC_F_NEXT, 1);
	put(&desc[1], DATA + 100, 6, VRING_DESC_F_NEXT, 7);
	put(&desc[7], DATA + 200, 10, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 0);
	put(&desc[0], DATA + 300, 1, VRING_DESC_F_WRITE, 99);
	memory_write(&memory, GPA(DATA), "hello", 5);
	memory_write(&memory, GPA(DATA + 100), " world", 6);
	offer(3);
	assert_int_equal(virtqueue_pop(&q, &chain), 1);
	assert_int_equal(chain.head, 3);
	assert_int_equal(chain.out_parts, 2);
	assert_int_equal(chain.in_parts, 2);
	assert_int_equal(chain.out_size, 11);
	assert_int_equal(chain.in_size, 11);
	assert_int_equal(chain_read(&chain, text, 3), 3);
	assert_int_equal(chain_read(&chain, text + 3, 100), 8);
	assert_string_equal(text, "hello world");
	{
		void *last;

		assert_true(chain_take_end(&chain, &last));
		assert_ptr_equal(last, memory_at(&memory, GPA(DATA + 300), 1));
	}
	assert_int_equal(chain_write(&chain, "0123456789abc", 13), 10);
	assert_memory_equal(memory_at(&memory, GPA(DATA + 200), 11), "0123456789\0", 11);
	virtqueue_push(&q, chain.head, 10);
	assert_int_equal(used->idx, 1);
	assert_int_equal(used->ring[0].id, 3);
	assert_int_equal(used->ring[0].len, 10);
	assert_int_equal(virtqueue_pop(&q, &chain), 0);
}

static void test_indirect(void **state)
{
	struct vring_desc *table = memory_at(&memory, GPA(INDIRECT), 4096);
	unsigned int i;

	(void)state;
	for (i = 0; i < SIZE; i++)
		put(&table[i], DATA + i * 512, 512,
		    i < SIZE - 1 ? VRING_DESC_F_NEXT : 0, i + 1);
	put(&desc[2], INDIRECT, SIZE * 16, VRING_DESC_F_INDIRECT, 0);
	offer(2);
	assert_int_equal(virtqueue_pop(&q, &chain), 1);
	assert_int_equal(chain.out_parts, SIZE);
	assert_int_equal(chain.out_size, SIZE * 512);
}

static void test_wraps(void **state)
{
	unsigned int i;

	(void)state;
	put(&desc[5], DATA, 1, VRING_DESC_F_WRITE, 0);
	for (i = 0; i < 70000; i++) {
		offer(5);
		assert_int_equal(virtqueue_pop(&q, &chain), 1);
		virtqueue_push(&q, 5, 1);
	}
	assert_int_equal(used->idx, (uint16_t)70000);
	assert_int_equal(virtqueue_pop(&q, &chain), 0);
}

static void test_bad_index(void **state)
{
	(void)state;
	avail->idx = SIZE + 1;
	assert_broken("more requests");
}

static void test_index_back(void **state)
{
	(void)state;
	avail->idx = 0xffff;
	assert_broken("more requests");
}

static void test_bad_head(void **state)
{
	(void)state;
	offer(SIZE);
	assert_broken("beyond its table");
}

static void test_bad_next(void **state)
{
	(void)state;
	put(&desc[0], DATA, 1, VRING_DESC_F_NEXT, SIZE);
	offer(0);
	assert_broken("beyond its table");
}

static void test_loop(void **state)
{
	(void)state;
	put(&desc[0], DATA, 1, VRING_DESC_F_NEXT, 1);
	put(&desc[1], DATA, 1, VRING_DESC_F_NEXT, 0);
	offer(0);
	assert_broken("loop");
}

static void test_outside(void **state)
{
	static const struct { uint64_t address; uint32_t length; } bad[] = {
		{ RAM, 1 }, { RAM - 1, 2 }, { -1ULL, 1 }, { -1ULL, 2 }, { 0, 0xffffffff },
		{ RAM - 4096, 0xffffffff }, { 1ULL << 63, 16 }, { -4096ULL, 8192 },
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		teardown(state);
		assert_int_equal(setup(state), 0);
		put(&desc[0], bad[i].address, bad[i].length, 0, 0);
		offer(0);
		assert_broken("outside of memory");
	}
}

static void test_empty_part(void **state)
{
	(void)state;
	put(&desc[0], DATA, 0, 0, 0);
	offer(0);
	assert_broken("empty");
}

static void test_order(void **state)
{
	(void)state;
	put(&desc[0], DATA, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	put(&desc[1], DATA, 1, 0, 0);
	offer(0);
	assert_broken("readable memory behind writable");
}

static void test_bad_indirect(void **state)
{
	static const struct {
		uint64_t address;
		uint32_t length;
		uint16_t flags;
		const char *say;
	} bad[] = {
		{ INDIRECT, 0, 0, "bad size" }, { INDIRECT, 17, 0, "bad size" },
		{ RAM - 16, 32, 0, "outside" }, { -16ULL, 32, 0, "outside" },
		{ INDIRECT, 0xfffffff0, 0, "outside" },
		{ INDIRECT, 16, VRING_DESC_F_NEXT, "other flags" },
		{ INDIRECT, 16, VRING_DESC_F_WRITE, "other flags" },
	};
	struct vring_desc *table;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		teardown(state);
		assert_int_equal(setup(state), 0);
		put(&desc[0], bad[i].address, bad[i].length,
		    bad[i].flags | VRING_DESC_F_INDIRECT, 1);
		offer(0);
		assert_broken(bad[i].say);
	}
	teardown(state);
	assert_int_equal(setup(state), 0);
	table = memory_at(&memory, GPA(INDIRECT), 4096);
	put(&table[0], INDIRECT, 16, VRING_DESC_F_INDIRECT, 0);
	put(&desc[0], INDIRECT, 16, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	assert_broken("leads to another");
}

static void test_late_indirect(void **state)
{
	(void)state;
	put(&desc[0], DATA, 1, VRING_DESC_F_NEXT, 1);
	put(&desc[1], INDIRECT, 16, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	assert_broken("comes late");
}

static void test_indirect_loop(void **state)
{
	struct vring_desc *table = memory_at(&memory, GPA(INDIRECT), 4096);

	(void)state;
	put(&table[0], DATA, 1, VRING_DESC_F_NEXT, 0);
	put(&desc[0], INDIRECT, 4096, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	assert_broken("longer than its queue");
}

/* K11: event index and flags, in both directions. */
static void test_moderation(void **state)
{
	uint16_t *used_event = &avail->ring[SIZE];
	uint16_t *avail_event = (uint16_t *)&used->ring[SIZE];

	(void)state;
	assert_true(virtqueue_wants_interrupt(&q));
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	assert_false(virtqueue_wants_interrupt(&q));
	virtqueue_notify_me(&q, false);
	assert_int_equal(used->flags, VRING_USED_F_NO_NOTIFY);
	assert_false(virtqueue_notify_me(&q, true));
	assert_int_equal(used->flags, 0);

	q.event_index = true;
	put(&desc[5], DATA, 1, VRING_DESC_F_WRITE, 0);
	assert_true(virtqueue_wants_interrupt(&q));	/* the first look */
	*used_event = 1;
	offer(5);
	assert_true(virtqueue_notify_me(&q, true));
	assert_int_equal(virtqueue_pop(&q, &chain), 1);
	virtqueue_push(&q, 5, 1);
	assert_false(virtqueue_wants_interrupt(&q));	/* not yet the second */
	offer(5);
	assert_int_equal(virtqueue_pop(&q, &chain), 1);
	virtqueue_push(&q, 5, 1);
	assert_true(virtqueue_wants_interrupt(&q));
	assert_false(virtqueue_wants_interrupt(&q));	/* told already */
	assert_false(virtqueue_notify_me(&q, true));
	assert_int_equal(*avail_event, 2);
}

/* Any bytes in the three areas: no crash, and an end. */
static void test_random(void **state)
{
	unsigned int round, i;

	srandom(1);
	for (round = 0; round < 20000; round++) {
		teardown(state);
		assert_int_equal(setup(state), 0);
		for (i = 0; i < SIZE; i++)
			put(&desc[i], random() % 4 ? DATA + (uint64_t)random() % 4096 :
					(uint64_t)random() << 30 | random(),
			    random() % 4 ? random() % 4096 : random() * 2u,
			    random() % 8, random() % (SIZE + 1));
		for (i = 0; i < SIZE; i++)
			avail->ring[i] = random() % (SIZE + 1);
		avail->idx = random() % (SIZE + 2);
		for (i = 0; i < 2 * SIZE && virtqueue_pop(&q, &chain) > 0; i++) {
			char bytes[64];

			chain_read(&chain, bytes, sizeof(bytes));
			chain_write(&chain, bytes, sizeof(bytes));
			virtqueue_push(&q, chain.head, 0);
		}
		assert_true(i <= SIZE);
	}
}

/* A driver and another program's end of the ring: who of both has which head. */
static bool away[SIZE];
static unsigned int nr_away;
static uint16_t order[SIZE];		/* in which it was made available */

static void make_available(uint16_t head)
{
	offer(head);
	away[head] = true;
	order[nr_away++] = head;
}

/* It gives the nth of those it has back. */
static void give_back(unsigned int nth)
{
	uint16_t head = order[nth];

	used->ring[used->idx++ % SIZE].id = head;
	away[head] = false;
	memmove(order + nth, order + nth + 1, (--nr_away - nth) * sizeof(order[0]));
}

static void assert_orphans(void)
{
	uint16_t heads[VIRTQUEUE_MOST];
	bool found[SIZE] = { false };
	int i, n = virtqueue_take_over(&q, heads);

	assert_int_equal(n, nr_away);
	for (i = 0; i < n; i++) {
		assert_true(away[heads[i]] && !found[heads[i]]);
		found[heads[i]] = true;
	}
	assert_int_equal(q.next_available, avail->idx);
	assert_int_equal(q.next_used, used->idx);
}

static uint16_t free_head(unsigned int nth)
{
	uint16_t head;

	for (head = 0; away[head] || nth--; head++)
		;
	return head;
}

/*
 * Its program is gone: what it had and did not give back is known exactly if it kept the
 * order, however long it ran, and whichever head the driver takes next.
 */
static void test_take_over(void **state)
{
	unsigned int seed = 3, step;

	(void)state;
	nr_away = 0;
	memset(away, 0, sizeof(away));
	assert_orphans();
	for (step = 0; step < 200000; step++) {
		if (nr_away < SIZE && rand_r(&seed) % 2)
			make_available(free_head(step & 512 ? 0 : rand_r(&seed) % (SIZE - nr_away)));
		else if (nr_away)
			give_back(0);
		assert_orphans();
	}
}

/* ... and if not, for as many requests as the ring is long. */
static void test_take_over_out_of_order(void **state)
{
	unsigned int seed = 4, round, step;

	(void)state;
	for (round = 0; round < 20000; round++) {
		nr_away = 0;
		memset(away, 0, sizeof(away));
		memset(avail, 0, 6 + SIZE * 2);
		memset(used, 0, 6 + SIZE * 8);
		for (step = 0; step < SIZE; step++)
			make_available(step);
		for (step = rand_r(&seed) % (SIZE + 1); step; step--)
			give_back(rand_r(&seed) % nr_away);
		assert_orphans();
	}
	/* What no driver does is told. */
	avail->idx = used->idx + SIZE + 1;
	assert_int_equal(virtqueue_take_over(&q, (uint16_t[VIRTQUEUE_MOST]){ 0 }), -1);
	assert_non_null(q.broken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_start), TEST(test_request), TEST(test_indirect),
		TEST(test_wraps), TEST(test_bad_index), TEST(test_index_back),
		TEST(test_bad_head), TEST(test_bad_next), TEST(test_loop),
		TEST(test_outside), TEST(test_empty_part), TEST(test_order),
		TEST(test_bad_indirect), TEST(test_late_indirect),
		TEST(test_indirect_loop), TEST(test_moderation), TEST(test_random),
		TEST(test_take_over), TEST(test_take_over_out_of_order),
	};

	return cmocka_run_group_tests_name("virtqueue", tests, NULL, NULL);
}
