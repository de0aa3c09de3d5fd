// SPDX-License-Identifier: GPL-2.0
/*
 * Network cards (virtio standard 1.2, section 5.1): two queues, one for each
 * direction.  Where the frames go and come from is another file's affair: see
 * net.h, and net_tap.c, net_user.c, net_switch.c.
 * Read next: net.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/devices.h"
#include "devices/virtio/virtio.h"
#include "lguest.h"
#include "net.h"

#define RECEIVE		0
#define SEND		1
#define BUDGET		64	/* frames before others get the lock */

void parts_peek(const struct iovec *parts, uint8_t *to, size_t size)
{
	for (; size; parts++) {
		size_t part = parts->iov_len < size ? parts->iov_len : size;

		memcpy(to, parts->iov_base, part);
		to += part;
		size -= part;
	}
}

static struct net *net_of(struct virtio_queue *q)
{
	return q->device->state;
}

static uint32_t send_frame(struct virtio_queue *q, struct chain *c)
{
	if (c->in_parts || c->out_size < NET_HEADER) {
		q->ring.broken = "a frame to send has no header";
		return VIRTIO_BAD;
	}
	/* Too short or too long for a frame: lost on the wire. */
	if (c->out_size >= NET_HEADER + 14 && c->out_size <= NET_FRAME_MOST)
		net_of(q)->way->send(net_of(q), chain_out(c), c->out_parts, c->out_size);
	return 0;
}

/* Take buffers off the ring until they hold a frame of any size: -1, 0 or 1. */
static int look_ahead(struct virtio_queue *q, struct net_buffers *b)
{
	bool merge = q->device->accepted & VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
	struct chain chain;

	while (b->size < NET_FRAME_MOST && b->n < (merge ? BUFFERS_MOST : 1)) {
		int got = virtqueue_pop(&q->ring, &chain);

		if (got <= 0)
			return got;
		if (chain.out_parts || (!b->n && chain.in_size < NET_HEADER)) {
			q->ring.broken = "a buffer for frames is too small or read-only";
			return -1;
		}
		if (b->parts + chain.in_parts > PARTS_MOST) {
			virtqueue_unpop(&q->ring, 1);
			return 1;
		}
		memcpy(b->part + b->parts, chain.parts, chain.in_parts * sizeof(chain.parts[0]));
		b->each[b->n].head = chain.head;
		b->each[b->n].parts = chain.in_parts;
		b->each[b->n++].size = chain.in_size;
		b->parts += chain.in_parts;
		b->size += chain.in_size;
	}
	return 1;
}

/*
 * A frame that lies in the first buffers goes to the driver, with its header.
 * Nothing is published before all of it is there.
 */
static void give(struct virtio_queue *q, struct net *net, size_t size)
{
	struct net_buffers *b = &net->buffers;
	unsigned int n, parts = 0;
	size_t done = 0;

	for (n = 0; done < size; n++) {
		size_t part = size - done < b->each[n].size ? size - done : b->each[n].size;

		virtqueue_put(&q->ring, n, b->each[n].head, part);
		done += part;
		parts += b->each[n].parts;
		b->size -= b->each[n].size;
	}
	net->header.num_buffers = n;
	parts_write(b->part, parts, &net->header, NET_HEADER);
	virtqueue_publish(&q->ring, n);
	b->n -= n;
	b->parts -= parts;
	memmove(b->each, b->each + n, b->n * sizeof(b->each[0]));
	memmove(b->part, b->part + parts, b->parts * sizeof(b->part[0]));
	q->counts.requests++;
	virtio_count(q, size);
	q->untold++;
}

/*D:300
 * A received frame takes as many of the driver's buffers as it needs, if that
 * was agreed on ("mergeable"), else one.  How large a frame is shows when it has
 * been read: if the largest would fit, it is read straight into the guest's
 * memory, else it stops over here and waits for room.  Its header is always
 * ours, to be looked at, until the driver gets it.
 *
 * -1: the driver broke a rule; 0: no frame; 1: one was delivered, or lost;
 * 2: there are too few buffers for the one that came.
 :*/
static int receive_one(struct virtio_queue *q, struct net *net)
{
	struct net_buffers *b = &net->buffers;
	struct iovec room[1 + PARTS_MOST], *to = room + 1;
	int all = look_ahead(q, b);
	unsigned int n = b->parts;

	if (all < 0)
		return -1;
	memcpy(to, b->part, n * sizeof(*to));
	parts_skip(&to, &n, NET_HEADER);
	if (!net->frame_size) {
		struct iovec stop[2] = { { &net->header, NET_HEADER },
					 { net->frame, sizeof(net->frame) } };
		bool straight = b->size >= NET_FRAME_MOST;
		size_t size;

		to[-1] = stop[0];
		size = net->way->receive(net, straight ? to - 1 : stop, straight ? n + 1 : 2);
		if (straight && size)
			give(q, net, size);
		if (straight || !size)
			return size != 0;
		net->frame_size = size;
	}
	if (b->size >= net->frame_size) {
		parts_write(to, n, net->frame, net->frame_size - NET_HEADER);
		give(q, net, net->frame_size);
	} else if (!all) {
		return 2;
	}
	net->frame_size = 0;
	return 1;
}

/* No buffer for the frame: until the driver notifies, nothing is read. */
static bool wait_for_buffers(struct virtio_queue *q)
{
	if (virtqueue_notify_me(&q->ring, true)) {
		virtqueue_notify_me(&q->ring, false);
		return false;
	}
	q->source = -1;
	return true;
}

static void receive(struct virtio_queue *q)
{
	struct net *net = net_of(q);
	unsigned int i;

	q->wake = 0;
	virtqueue_notify_me(&q->ring, false);
	q->source = net->fd;
	for (i = 0; i < BUDGET; i++) {
		int done = virtio_must_wait(q) ? 0 : receive_one(q, net);

		if (done < 0) {
			virtio_fail(q->device, q->ring.broken);
			return;
		}
		if (!done || (done == 2 && wait_for_buffers(q)))
			break;
	}
	virtio_tell(q);
	if (i == BUDGET)
		virtio_kick(q);
	else if (net->fd < 0 || q->wake)
		q->source = -1;
}

static void serve(struct virtio_queue *q)
{
	if (q->number == RECEIVE)
		receive(q);
	else
		virtio_each(q, send_frame);
}

/* What waits for another driver, or was agreed with one, is lost. */
static void forget(struct virtio_queue *q)
{
	struct net *net = net_of(q);

	if (q->number != RECEIVE)
		return;
	memset(&net->buffers, 0, sizeof(net->buffers));
	net->frame_size = 0;
}

static void start(struct virtio_device *device)
{
	struct net *net = device->state;

	if (net->way->start)
		net->way->start(net, device->accepted);
}

static void leave(struct virtio_device *device)
{
	struct net *net = device->state;

	net->way->leave(net);
}

/* Only a switch has something to leave: the threads of other cards are not called for it. */
#define KIND(is_patient, ...) {		\
	.id = VIRTIO_ID_NET,		\
	.driver = "virtio_net",		\
	.queues = 2,			\
	.patient = (is_patient),	\
	.thread = THREAD_NET,		\
	.serve = serve,			\
	.drain = forget,		\
	.start = start,			\
	__VA_ARGS__			\
}
static const struct virtio_kind hasty = KIND(false), patient = KIND(true),
				at_switch = KIND(true, .leave = leave);

static const struct virtio_kind *kind_of(const struct net_way *way)
{
	if (way->leave)
		return &at_switch;
	return way->patient ? &patient : &hasty;
}

/*
 * An address that is ours to give, different for each guest of a host, and the
 * same after a restart, through which the machine's parent lives.
 */
static void make_address(uint8_t *mac)
{
	static unsigned int cards;
	uint64_t hash = 14695981039346656037ULL;
	char host[64] = "";
	char text[128];
	char *at;
	int i;

	gethostname(host, sizeof(host) - 1);
	snprintf(text, sizeof(text), "%s %ld %u", host, (long)getppid(), cards++);
	for (at = text; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 1099511628211ULL;
	mac[0] = 0x52;
	mac[1] = 0x54;
	for (i = 2; i < 6; i++, hash >>= 8)
		mac[i] = hash >> 16;
}

static bool parse_address(const char *text, uint8_t *mac)
{
	unsigned int m[6], i;
	char more;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &m[0], &m[1], &m[2], &m[3],
		   &m[4], &m[5], &more) != 6 || (m[0] & 1))
		return false;
	for (i = 0; i < 6; i++)
		mac[i] = m[i];
	return true;
}

static const struct net_way *const ways[] = { &net_user, &net_tap, &net_switch };

/* Take "NAME=VALUE" out of an option, given ",NAME="; NULL if it has none. */
static char *take_word(char *option, const char *name)
{
	char *at = strstr(option, name), *end = at ? strchr(at + 1, ',') : NULL;
	char *word = at ? strdup(at + 1) : NULL;

	if (word && end)
		word[end - at - 1] = '\0';
	if (word)
		memmove(at, end ? end : "", end ? strlen(end) + 1 : 1);
	return word;
}

static const char *take_limits(struct net *net, char *option)
{
	static const char *const names[] = { ",bps=", ",burst=" };
	const char *why = NULL;
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *word = take_word(option, names[i]);

		if (word && limits_read(&net->limits[RECEIVE], word) == LIMITS_WRONG)
			why = "bps= and burst= take a number; say it as in bps=10M,burst=0.5";
		free(word);
	}
	net->limits[SEND] = net->limits[RECEIVE];
	return why;
}

/* "NAME[=ARGUMENT]", or "NAME,ARGUMENT" for words that are no list; taken apart. */
static const char *understand(struct net *net, char *option, char **argument)
{
	char *mac = take_word(option, ",mac="), *end;
	bool good = !mac || parse_address(mac + strlen("mac="), net->mac), words;
	const char *why = take_limits(net, option);
	unsigned int i;

	free(mac);
	if (why)
		return why;
	if (!good)
		return "the address is wrong; give one like mac=52:54:00:12:34:56";
	end = option + strcspn(option, "=,");
	words = *end == ',';
	*argument = *end ? end + 1 : NULL;
	*end = '\0';
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(option, ways[i]->name) && (!words || ways[i]->words))
			net->way = ways[i];
	return net->way ? NULL : "there is no such way; give user, tap=NAME or switch=FOLDER";
}

static char dhcp_cards[256];

/* Linux counts the cards as they were given; /init has no others. */
static void count_card(const struct net_way *way)
{
	static unsigned int cards;
	size_t used = strlen(dhcp_cards);

	if (way->dhcp)
		snprintf(dhcp_cards + used, sizeof(dhcp_cards) - used, "%seth%u",
			 used ? " " : "", cards);
	cards++;
}

const char *net_dhcp_cards(void)
{
	return dhcp_cards;
}

static bool say_why(const char *option, const char *why)
{
	if (why)
		problem("cannot use the network %s: %s", option, why);
	return !why;
}

bool net_check(const char *option)
{
	struct net *net = calloc(1, sizeof(*net));
	char *copy = strdup(option), *argument = NULL;
	const char *why = net && copy ? understand(net, copy, &argument) : "out of memory";

	if (!why)
		why = net->way->check(argument);
	say_why(option, why);
	free(copy);
	free(net);
	return !why;
}

struct virtio_device *net_create(const char *option)
{
	struct virtio_device *device = calloc(1, sizeof(*device));
	struct net *net = calloc(1, sizeof(*net));
	char *copy = strdup(option), *argument = NULL;
	const char *why;

	if (!device || !net || !copy) {
		problem("cannot make a network card: out of memory; free some");
		return NULL;
	}
	net->fd = -1;
	make_address(net->mac);
	why = understand(net, copy, &argument);
	if (!why)
		why = net->way->open(net, argument);
	free(copy);
	if (!say_why(option, why)) {
		free(net);
		free(device);
		return NULL;
	}
	count_card(net->way);
	device->offered = VIRTIO_BIT(VIRTIO_NET_F_MAC) |
			  VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | net->way->features;
	device->config_size = sizeof(net->mac);
	memcpy(device->config, net->mac, sizeof(net->mac));
	if (!virtio_init(device, kind_of(net->way), "network", net))
		return NULL;
	if (limits_any(&net->limits[RECEIVE])) {
		device->queues[RECEIVE].limits = &net->limits[RECEIVE];
		device->queues[SEND].limits = &net->limits[SEND];
	}
	return device;
}
