// SPDX-License-Identifier: GPL-2.0
/*
 * Network cards (virtio standard 1.2, section 5.1): two queues, one for each
 * direction.  Where the frames go and come from is another file's affair: see
 * net.h, and net_tap.c, net_user.c, net_switch.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"
#include "lguest.h"
#include "net.h"
#include "virtio.h"

#define RECEIVE		0
#define SEND		1
#define BUDGET		64	/* frames before others get the lock */
#define BUFFERS_MOST	128	/* that one frame may take */

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

/*L:670
 * A received frame takes as many of the driver's buffers as it needs, if that
 * was agreed on ("mergeable"), else one.  The header, in the first of them,
 * says how many: so it is written last.  Nothing is published before all of
 * it is there; 0 means that there are too few buffers now.
 :*/
static int deliver(struct virtio_queue *q, struct net *net)
{
	bool merge = q->device->accepted & VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
	struct virtio_net_hdr_v1 header;
	struct chain first, chain;
	size_t done = 0;
	unsigned int n;

	for (n = 0; done < net->frame_size; n++) {
		int got = n < BUFFERS_MOST && (merge || !n) ? virtqueue_pop(&q->ring, &chain) : 0;
		size_t part;

		if (got < 0)
			return -1;
		if (!got && (n == BUFFERS_MOST || (n && !merge))) {
			virtqueue_unpop(&q->ring, n);
			return 1;	/* does not fit: lost */
		}
		if (!got) {
			virtqueue_unpop(&q->ring, n);
			return 0;
		}
		if (chain.out_parts || (!n && chain.in_size < NET_HEADER)) {
			q->ring.broken = "a buffer for frames is too small or read-only";
			return -1;
		}
		if (!n)
			first = chain;
		part = chain_write(&chain, net->frame + done, net->frame_size - done);
		virtqueue_put(&q->ring, n, chain.head, part);
		done += part;
	}
	memcpy(&header, net->frame, sizeof(header));
	header.num_buffers = n;
	chain_write(&first, &header, sizeof(header));
	virtqueue_publish(&q->ring, n);
	q->counts.requests++;
	q->untold++;
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

	virtqueue_notify_me(&q->ring, false);
	q->source = net->fd;
	for (i = 0; i < BUDGET; i++) {
		int done;

		if (!net->frame_size)
			net->frame_size = net->way->receive(net, net->frame, NET_FRAME_MOST);
		if (!net->frame_size)
			break;
		done = deliver(q, net);
		if (done < 0) {
			virtio_fail(q->device, q->ring.broken);
			return;
		}
		if (done)
			net->frame_size = 0;
		else if (wait_for_buffers(q))
			break;
	}
	virtio_tell(q);
	if (i == BUDGET)
		virtio_kick(q);
	else if (net->fd < 0)
		q->source = -1;
}

static void serve(struct virtio_queue *q)
{
	if (q->number == RECEIVE)
		receive(q);
	else
		virtio_each(q, send_frame);
}

static void start(struct virtio_device *device)
{
	struct net *net = device->state;

	if (net->way->start)
		net->way->start(net, device->accepted);
}

#define KIND(is_patient) {		\
	.id = VIRTIO_ID_NET,		\
	.queues = 2,			\
	.patient = (is_patient),	\
	.serve = serve,			\
	.start = start,			\
}
static const struct virtio_kind hasty = KIND(false), patient = KIND(true);

/*
 * An address that is ours to give, different for each guest of a host, and the
 * same after a restart, which keeps the process.
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
	snprintf(text, sizeof(text), "%s %ld %u", host, (long)getpid(), cards++);
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

/* "NAME[=ARGUMENT][,mac=ADDRESS]", taken apart in place. */
static const char *understand(struct net *net, char *option, char **argument)
{
	char *mac = strstr(option, ",mac="), *equals;
	unsigned int i;

	make_address(net->mac);
	if (mac) {
		*mac = '\0';
		if (!parse_address(mac + 5, net->mac))
			return "the address is wrong; give one like mac=52:54:00:12:34:56";
	}
	equals = strchr(option, '=');
	if (equals)
		*equals = '\0';
	*argument = equals ? equals + 1 : NULL;
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(option, ways[i]->name))
			net->way = ways[i];
	return net->way ? NULL : "there is no such way; give user, tap=NAME or switch=FOLDER";
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
	why = understand(net, copy, &argument);
	if (!why)
		why = net->way->open(net, argument);
	free(copy);
	if (why) {
		problem("cannot use the network %s: %s", option, why);
		free(net);
		free(device);
		return NULL;
	}
	device->offered = VIRTIO_BIT(VIRTIO_NET_F_MAC) |
			  VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | net->way->features;
	device->config_size = sizeof(net->mac);
	memcpy(device->config, net->mac, sizeof(net->mac));
	return virtio_init(device, net->way->patient ? &patient : &hasty, "network", net) ? device : NULL;
}
