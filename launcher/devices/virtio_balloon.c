// SPDX-License-Identifier: GPL-2.0
/*
 * The balloon (virtio standard 1.2, section 5.5): memory that the guest does
 * not use goes back to the host.  The driver hands over pages in three ways:
 * as many as the host asks for (inflate, deflate), all that it finds free in
 * large blocks (reporting, by itself, some seconds after they became free), and
 * back again when it runs out of memory.
 *
 * A page that was handed over is zero when the guest touches it again, and
 * takes memory of the host only then.  A driver that hands over what it still
 * uses harms its own guest, and nobody else.
 * Read next: devices/vhost/vhost_message.c.
 */
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <string.h>
#include <time.h>

#include "devices.h"
#include "devices/virtio/virtio.h"
#include "lguest.h"

#define PAGE_BITS	VIRTIO_BALLOON_PFN_SHIFT
#define LIST		256		/* page numbers looked at together */
#define PATIENCE_NS	500000000	/* for the guest's statistics */

enum { INFLATE, DEFLATE, STATS, REPORT, QUEUES };

static struct balloon {
	struct virtio_device device;
	uint64_t memory;		/* bytes of RAM */
	atomic_uint poison;		/* what the driver fills free pages with */
	atomic_bool asked;		/* somebody waits for statistics */
	/* Of the thread: the buffer that the driver gets back to fill it anew. */
	bool holds;
	uint16_t held;

	pthread_mutex_t lock;		/* for what follows */
	pthread_cond_t answered;
	unsigned int answers;
	uint64_t stats[VIRTIO_BALLOON_S_NR];
} balloon = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.answered = PTHREAD_COND_INITIALIZER,
};

static struct virtio_balloon_config *config_of(struct virtio_device *device)
{
	return (struct virtio_balloon_config *)device->config;
}

/* Not qsort(), which asks the kernel how much memory there is (filter.c). */
static void sort(uint32_t *pages, unsigned int n)
{
	unsigned int gap, i, j;

	for (gap = n / 2; gap; gap /= 2)
		for (i = gap; i < n; i++) {
			uint32_t page = pages[i];

			for (j = i; j >= gap && pages[j - gap] > page; j -= gap)
				pages[j] = pages[j - gap];
			pages[j] = page;
		}
}

/*D:400
 * The driver lists its pages in no order.  Neighbours go together: each call
 * takes a look at all shadow tables of the guest, and a huge page is free at
 * once if it goes as a whole.
 :*/
static bool discard_pages(const struct memory *memory, uint32_t *pages, unsigned int n)
{
	unsigned int i, first = 0;

	sort(pages, n);
	if (!memory_at(memory, GPA((uint64_t)pages[n - 1] << PAGE_BITS), MEMORY_PAGE))
		return false;
	for (i = 1; i <= n; i++) {
		if (i < n && pages[i] <= pages[i - 1] + 1)
			continue;
		memory_discard(memory, GPA((uint64_t)pages[first] << PAGE_BITS),
			       (uint64_t)(pages[i - 1] - pages[first] + 1) << PAGE_BITS);
		first = i;
	}
	return true;
}

static uint32_t inflate(struct virtio_queue *q, struct chain *c)
{
	uint32_t pages[LIST];

	if (c->in_parts || c->out_size % sizeof(*pages)) {
		q->ring.broken = "a list of pages is no list of numbers";
		return VIRTIO_BAD;
	}
	while (c->out_size) {
		size_t size = chain_read(c, pages, sizeof(pages));

		if (!discard_pages(q->device->memory, pages, size / sizeof(*pages))) {
			q->ring.broken = "a page for the balloon lies outside of memory";
			return VIRTIO_BAD;
		}
	}
	return 0;
}

/* The guest takes its pages back by touching them. */
static uint32_t deflate(struct virtio_queue *q, struct chain *c)
{
	(void)q, (void)c;
	return 0;
}

/*
 * The free pages are the memory of the request itself.  A driver that fills
 * free pages with a pattern, and looks whether it is still there, keeps them.
 */
static uint32_t report(struct virtio_queue *q, struct chain *c)
{
	const struct memory *memory = q->device->memory;
	unsigned int i;

	if (c->out_parts) {
		q->ring.broken = "free pages are reported as read-only";
		return VIRTIO_BAD;
	}
	for (i = 0; i < c->in_parts && !atomic_load(&balloon.poison); i++) {
		struct iovec *part = &chain_in(c)[i];

		memory_discard(memory, GPA((uint8_t *)part->iov_base - memory->base),
			       part->iov_len);
	}
	return 0;
}

static void read_stats(struct chain *c)
{
	struct virtio_balloon_stat stat;

	pthread_mutex_lock(&balloon.lock);
	while (chain_read(c, &stat, sizeof(stat)) == sizeof(stat))
		if (stat.tag < VIRTIO_BALLOON_S_NR)
			balloon.stats[stat.tag] = stat.val;
	balloon.answers++;
	pthread_cond_broadcast(&balloon.answered);
	pthread_mutex_unlock(&balloon.lock);
}

/*D:410
 * The driver offers one buffer with statistics, and we keep it.  To give it
 * back is to ask for new ones.
 :*/
static void serve_stats(struct virtio_queue *q)
{
	struct chain chain;
	int got;

	do {
		while ((got = virtqueue_pop(&q->ring, &chain)) > 0) {
			if (balloon.holds) {
				q->ring.broken = "statistics come that nobody asked for";
				got = -1;
				break;
			}
			read_stats(&chain);
			balloon.held = chain.head;
			balloon.holds = true;
		}
	} while (!got && virtqueue_notify_me(&q->ring, true));
	if (got < 0) {
		virtio_fail(q->device, q->ring.broken);
		return;
	}
	if (!balloon.holds || !atomic_exchange(&balloon.asked, false))
		return;
	balloon.holds = false;
	virtqueue_push(&q->ring, balloon.held, 0);
	q->untold++;
	virtio_tell(q);
}

/* Queues that the driver did not want leave no gap in the numbers. */
static unsigned int role_of(const struct virtio_queue *q)
{
	bool stats = q->device->accepted & VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ);

	return q->number == STATS && !stats ? REPORT : q->number;
}

static void serve(struct virtio_queue *first)
{
	static uint32_t (*const handle[QUEUES])(struct virtio_queue *, struct chain *) = {
		[INFLATE] = inflate, [DEFLATE] = deflate, [REPORT] = report,
	};
	unsigned int i;

	for (i = 0; i < QUEUES; i++) {
		struct virtio_queue *q = &first->device->queues[i];

		if (!q->ring.running || virtio_failed(q->device))
			continue;
		if (handle[role_of(q)])
			virtio_each(q, handle[role_of(q)]);
		else
			serve_stats(q);
	}
}

static void reset(struct virtio_device *device)
{
	balloon.holds = false;
	atomic_store(&balloon.poison, 0);
	config_of(device)->actual = 0;
	config_of(device)->poison_val = 0;
}

static const char *configure(struct virtio_device *device, uint64_t offset,
			     unsigned int width, uint64_t value)
{
	bool actual = offset == offsetof(struct virtio_balloon_config, actual);
	bool poison = offset == offsetof(struct virtio_balloon_config, poison_val);

	if (width != 4 || (!actual && !poison))
		return "a part of its configuration is written that is read-only";
	if (actual) {
		config_of(device)->actual = value;
		return NULL;
	}
	if (!(device->accepted & VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_POISON)))
		return "a pattern is set that was not agreed on";
	config_of(device)->poison_val = value;
	atomic_store(&balloon.poison, (uint32_t)value);
	return NULL;
}

static const struct virtio_kind kind = {
	.id = VIRTIO_ID_BALLOON,
	.driver = "virtio_balloon",
	.queues = QUEUES,
	.one_thread = true,
	.thread = THREAD_BALLOON,
	.serve = serve,
	.reset = reset,
	.configure = configure,
};

struct virtio_device *balloon_create(const struct memory *memory)
{
	struct virtio_device *device = &balloon.device;

	balloon.memory = memory->size;
	device->offered = VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ) |
			  VIRTIO_BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) |
			  VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_POISON) |
			  VIRTIO_BIT(VIRTIO_BALLOON_F_REPORTING);
	device->config_size = sizeof(struct virtio_balloon_config);
	return virtio_init(device, &kind, "balloon", NULL) ? device : NULL;
}

static void set_target(struct virtio_device *device, void *pages)
{
	config_of(device)->num_pages = *(uint32_t *)pages;
}

bool devices_balloon(uint64_t bytes)
{
	uint32_t pages = bytes >> PAGE_BITS;

	if (bytes > balloon.memory)
		return false;
	virtio_change_config(&balloon.device, set_target, &pages);
	return true;
}

static bool ask(void)
{
	struct timespec until;
	unsigned int before;
	int error = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PATIENCE_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&balloon.lock);
	before = balloon.answers;
	atomic_store(&balloon.asked, true);
	virtio_kick(&balloon.device.queues[0]);
	while (balloon.answers == before && !error)
		error = pthread_cond_timedwait(&balloon.answered, &balloon.lock, &until);
	pthread_mutex_unlock(&balloon.lock);
	return !error;
}

bool devices_balloon_stats(struct balloon_stats *stats)
{
	struct virtio_device *device = &balloon.device;
	const uint64_t *s = balloon.stats;
	bool answered = ask();

	pthread_mutex_lock(&device->lock);
	stats->target = (uint64_t)config_of(device)->num_pages << PAGE_BITS;
	stats->actual = (uint64_t)config_of(device)->actual << PAGE_BITS;
	pthread_mutex_unlock(&device->lock);
	pthread_mutex_lock(&balloon.lock);
	stats->total = s[VIRTIO_BALLOON_S_MEMTOT];
	stats->free = s[VIRTIO_BALLOON_S_MEMFREE];
	stats->available = s[VIRTIO_BALLOON_S_AVAIL];
	stats->caches = s[VIRTIO_BALLOON_S_CACHES];
	stats->swapped_in = s[VIRTIO_BALLOON_S_SWAP_IN];
	stats->swapped_out = s[VIRTIO_BALLOON_S_SWAP_OUT];
	stats->major_faults = s[VIRTIO_BALLOON_S_MAJFLT];
	stats->minor_faults = s[VIRTIO_BALLOON_S_MINFLT];
	pthread_mutex_unlock(&balloon.lock);
	return answered;
}
