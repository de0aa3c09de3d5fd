// SPDX-License-Identifier: GPL-2.0
/* A ring of any bytes, taken apart as a device does it: K10, AT-72. */
#include "devices/virtio/virtqueue.h"
#include "fuzz.h"

#define RAM	(16ULL << 20)

static struct memory memory;
static struct virtqueue q;
static struct chain chain;

static void touch(struct iovec *parts, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		must(parts[i].iov_len);
		must((uint8_t *)parts[i].iov_base >= memory.base);
		must((uint8_t *)parts[i].iov_base + parts[i].iov_len <= memory.base + RAM);
	}
}

/* Somebody else has served it so far. */
static void take_over(void)
{
	uint16_t heads[VIRTQUEUE_MOST];
	int i, n = virtqueue_take_over(&q, heads);

	must(n <= (int)q.size);
	for (i = 0; i < n && virtqueue_again(&q, heads[i], &chain) > 0; i++) {
		touch(chain.parts, chain.out_parts + chain.in_parts);
		virtqueue_push(&q, chain.head, i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, size };
	uint8_t byte[64] = "";
	void *end;
	unsigned int i, how;

	be_silent();
	if (!memory.base)
		must(memory_create(&memory, RAM));
	virtqueue_reset(&q, &memory);
	q.size = 1 << take(&in, 1) % 10;
	q.descriptors = GPA(take(&in, 1) * 16);
	q.driver = GPA(take(&in, 2) * 2);
	q.device = GPA(take(&in, 2) * 4);
	how = take(&in, 1);
	q.event_index = how & 1;
	memset(memory.base, 0, 0x20000);
	memory_write(&memory, GPA(0), in.at, in.left < 0x10000 ? in.left : 0x10000);
	if (virtqueue_start(&q))
		return 0;
	if (how & 32)
		take_over();
	for (i = 0; i < 300 && virtqueue_pop(&q, &chain) > 0; i++) {
		must(chain.out_parts + chain.in_parts <= q.size);
		touch(chain.parts, chain.out_parts + chain.in_parts);
		if (how & 2)
			chain_read(&chain, byte, sizeof(byte));
		if (how & 4)
			chain_take_end(&chain, &end);
		if (how & 8)
			chain_write(&chain, byte, sizeof(byte));
		if (how & 16 && i % 4 == 3)
			virtqueue_unpop(&q, 1);
		virtqueue_push(&q, chain.head, i);
		virtqueue_wants_interrupt(&q);
		virtqueue_notify_me(&q, i & 1);
	}
	return 0;
}
