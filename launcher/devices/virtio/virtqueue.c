// SPDX-License-Identifier: GPL-2.0
/*
 * The device's end of a split virtqueue: taking requests off the available
 * ring, giving them back on the used ring, and telling the driver no more
 * often than it asks to be told.  Each number from the ring is read once and
 * then checked; memory_at() makes pointers of addresses.
 *
 * Not locked: whoever serves a queue holds its lock (virtio.c).
 * Read next: virtio.c.
 */
#include <stdlib.h>
#include <string.h>

#include "virtqueue.h"

void virtqueue_reset(struct virtqueue *queue, const struct memory *memory)
{
	memset(queue, 0, sizeof(*queue));
	queue->memory = memory;
}

static uint16_t load(const uint16_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void store(uint16_t *at, uint16_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/*D:100
 * Three areas, in the standard's words:
 *
 *	descriptors	16 bytes each		aligned to 16
 *	available	flags idx ring[size] used_event		to 2
 *	used		flags idx ring[size] avail_event	to 4
 *
 * Each lies in RAM as a whole.  RAM is mapped for as long as the launcher
 * lives, so that the pointers made here stay good.
 :*/
const char *virtqueue_start(struct virtqueue *q)
{
	uint64_t size = q->size;

	if (!size || size > VIRTQUEUE_MOST || (size & (size - 1)))
		return "the size of a queue is no power of two up to 256";
	if (q->descriptors.v % 16 || q->driver.v % 2 || q->device.v % 4)
		return "a queue is not aligned";
	q->table = memory_at(q->memory, q->descriptors, size * 16);
	q->available = memory_at(q->memory, q->driver, 6 + size * 2);
	q->used = memory_at(q->memory, q->device, 6 + size * 8);
	if (!q->table || !q->available || !q->used)
		return "a queue lies outside of memory";
	q->next_available = 0;
	q->next_used = 0;
	q->told_valid = false;
	q->broken = NULL;
	q->running = true;
	return NULL;
}

void virtqueue_stop(struct virtqueue *q)
{
	q->running = false;
}

static int breaks(struct virtqueue *q, const char *rule)
{
	q->broken = rule;
	return -1;
}

/*D:110
 * One descriptor becomes one part of the chain.  The order is fixed: all that
 * the device reads comes before all that it writes.
 :*/
static int add_part(struct virtqueue *q, struct chain *c, uint64_t address,
		    uint32_t length, bool in)
{
	struct iovec *part = &c->parts[c->out_parts + c->in_parts];

	if (c->out_parts + c->in_parts >= q->size)
		return breaks(q, "a request is longer than its queue, or a loop");
	if (!in && c->in_parts)
		return breaks(q, "a request has readable memory behind writable");
	if (!length)
		return breaks(q, "a request has an empty part");
	part->iov_base = memory_at(q->memory, GPA(address), length);
	part->iov_len = length;
	if (!part->iov_base)
		return breaks(q, "a request lies outside of memory");
	if (in) {
		c->in_parts++;
		c->in_size += length;
	} else {
		c->out_parts++;
		c->out_size += length;
	}
	if (c->in_size + c->out_size > UINT32_MAX)
		return breaks(q, "a request has 4 GiB or more");
	return 0;
}

struct table {
	volatile const struct descriptor *entries;
	uint32_t size;
	bool indirect;
};

/* An indirect descriptor: the rest of the request is in a table of its own. */
static int enter_indirect(struct virtqueue *q, struct table *table,
			  uint64_t address, uint32_t length, uint16_t flags)
{
	if (table->indirect)
		return breaks(q, "an indirect table leads to another");
	if (flags & (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE))
		return breaks(q, "an indirect descriptor has other flags");
	if (!length || length % 16)
		return breaks(q, "an indirect table has a bad size");
	table->entries = memory_at(q->memory, GPA(address), length);
	table->size = length / 16;
	table->indirect = true;
	if (!table->entries)
		return breaks(q, "an indirect table lies outside of memory");
	return 0;
}

static int read_chain(struct virtqueue *q, struct chain *c)
{
	struct table table = { q->table, q->size, false };
	uint32_t index = c->head;

	for (;;) {
		volatile const struct descriptor *d = &table.entries[index];
		uint64_t address = d->address;
		uint32_t length = d->length;
		uint16_t flags = d->flags, next = d->next;

		if (flags & VRING_DESC_F_INDIRECT) {
			if (c->out_parts + c->in_parts)
				return breaks(q, "an indirect table comes late in a request");
			if (enter_indirect(q, &table, address, length, flags))
				return -1;
			index = 0;
			continue;
		}
		if (add_part(q, c, address, length, flags & VRING_DESC_F_WRITE))
			return -1;
		if (!(flags & VRING_DESC_F_NEXT))
			return 1;
		index = next;
		if (index >= table.size)
			return breaks(q, "a descriptor is beyond its table");
	}
}

int virtqueue_again(struct virtqueue *q, uint16_t head, struct chain *c)
{
	c->head = head;
	c->out_parts = c->in_parts = 0;
	c->out_size = c->in_size = 0;
	if (head >= q->size)
		return breaks(q, "a request is beyond its table");
	return read_chain(q, c);
}

int virtqueue_pop(struct virtqueue *q, struct chain *c)
{
	uint16_t index, waiting;

	if (q->broken)
		return -1;
	index = load(&q->available->idx);
	waiting = index - q->next_available;
	if (!waiting)
		return 0;
	if (waiting > q->size)
		return breaks(q, "more requests are available than the queue holds");
	if (virtqueue_again(q, load(&q->available->ring[q->next_available % q->size]), c) < 0)
		return -1;
	q->next_available++;
	return 1;
}

void virtqueue_unpop(struct virtqueue *q, unsigned int n)
{
	q->next_available -= n;
}

void virtqueue_put(struct virtqueue *q, unsigned int nth, uint16_t head,
		   uint32_t written)
{
	struct vring_used_elem *e;

	e = &q->used->ring[(uint16_t)(q->next_used + nth) % q->size];
	e->id = head;
	e->len = written;
}

void virtqueue_publish(struct virtqueue *q, unsigned int n)
{
	q->next_used += n;
	store(&q->used->idx, q->next_used);
}

/* How many entries of a ring say something, when its index is that. */
static int entries(const struct virtqueue *q, uint16_t index)
{
	return index < q->size ? index : q->size;
}

/* How many places back in the used ring a head lies; many more than there are: it does not. */
static int last_used(const struct virtqueue *q, uint16_t head)
{
	int back = 1, most = entries(q, q->next_used);

	while (back <= most &&
	       q->used->ring[(uint16_t)(q->next_used - back) % q->size].id != head)
		back++;
	return back <= most ? back : 2 * (int)q->size + 1;
}

struct orphan {
	uint16_t head;
	int lag;
};

static int by_lag(const void *a, const void *b)
{
	return ((const struct orphan *)b)->lag - ((const struct orphan *)a)->lag;
}

/*D:114
 * A head is on its way if it was made available after it was last used.  The rings do not
 * say what came after what, but who gives requests back in order uses each at the number
 * at which it was available.  One whose last use has a lower number than that was used
 * before, and is on its way; the lower, the surer, should the order not be kept.  Then
 * what is older than the ring is long is not found, and a wrong guess ends the queue, as
 * Linux does not believe it.
 :*/
static int find_orphans(const struct virtqueue *q, int on_way, struct orphan *all)
{
	bool seen[VIRTQUEUE_MOST] = { false };
	int back, n = 0, most = entries(q, q->next_available);

	for (back = 1; back <= most || back <= on_way; back++) {
		uint16_t at = q->next_available - back;
		uint16_t head = load(&q->available->ring[at % q->size]);

		if (head >= q->size || seen[head])
			continue;
		seen[head] = true;
		all[n].head = head;
		all[n].lag = on_way - back + last_used(q, head);
		n += all[n].lag > 0;
	}
	qsort(all, n, sizeof(*all), by_lag);
	return n < on_way ? n : on_way;
}

int virtqueue_take_over(struct virtqueue *q, uint16_t heads[VIRTQUEUE_MOST])
{
	struct orphan all[VIRTQUEUE_MOST];
	uint16_t on_way;
	int i, n;

	q->next_available = load(&q->available->idx);
	q->next_used = load(&q->used->idx);
	q->told_valid = false;
	on_way = q->next_available - q->next_used;
	if (on_way > q->size)
		return breaks(q, "more requests are on their way than the queue holds");
	n = find_orphans(q, on_way, all);
	for (i = 0; i < n; i++)
		heads[i] = all[i].head;
	return n;
}

void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
	virtqueue_put(q, 0, head, written);
	virtqueue_publish(q, 1);
}

/*D:120
 * With the event index the driver names the used entry at which it wants to
 * hear from us; it is time if that lies among those pushed since we last
 * looked.  Without, there is one flag.  The barrier stands between what we
 * wrote and what we now read, as it stands in the driver the other way round.
 :*/
bool virtqueue_wants_interrupt(struct virtqueue *q)
{
	uint16_t event, old = q->told;
	bool valid = q->told_valid;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->event_index)
		return !(load(&q->available->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	q->told = q->next_used;
	q->told_valid = true;
	event = load(&q->available->ring[q->size]);
	return !valid || vring_need_event(event, q->next_used, old);
}

bool virtqueue_notify_me(struct virtqueue *q, bool on)
{
	if (q->event_index) {
		if (!on)
			return false;
		store((uint16_t *)&q->used->ring[q->size], q->next_available);
	} else {
		store(&q->used->flags, on ? 0 : VRING_USED_F_NO_NOTIFY);
		if (!on)
			return false;
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load(&q->available->idx) != q->next_available;
}

static size_t move(struct iovec *part, unsigned int parts, void *buffer, size_t size,
		   bool to_guest)
{
	size_t done = 0;

	for (; parts && done < size; parts--, part++) {
		size_t n = size - done < part->iov_len ? size - done : part->iov_len;

		if (!n)
			continue;
		if (to_guest)
			memcpy(part->iov_base, (char *)buffer + done, n);
		else
			memcpy((char *)buffer + done, part->iov_base, n);
		part->iov_base = (char *)part->iov_base + n;
		part->iov_len -= n;
		done += n;
	}
	return done;
}

size_t parts_write(struct iovec *parts, unsigned int n, const void *from, size_t size)
{
	return move(parts, n, (void *)from, size, true);
}

void parts_skip(struct iovec **parts, unsigned int *n, size_t bytes)
{
	while (*n && bytes >= (*parts)->iov_len) {
		bytes -= (*parts)->iov_len;
		(*parts)++;
		(*n)--;
	}
	if (*n) {
		(*parts)->iov_base = (char *)(*parts)->iov_base + bytes;
		(*parts)->iov_len -= bytes;
	}
}

size_t chain_read(struct chain *c, void *to, size_t size)
{
	size_t done = move(chain_out(c), c->out_parts, to, size, false);

	c->out_size -= done;
	return done;
}

size_t chain_write(struct chain *c, const void *from, size_t size)
{
	size_t done = parts_write(chain_in(c), c->in_parts, from, size);

	c->in_size -= done;
	return done;
}

bool chain_take_end(struct chain *c, void **byte)
{
	struct iovec *last;

	if (!c->in_parts)
		return false;
	last = &chain_in(c)[c->in_parts - 1];
	last->iov_len--;
	c->in_size--;
	*byte = (char *)last->iov_base + last->iov_len;
	if (!last->iov_len)
		c->in_parts--;
	return true;
}
