// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets between guest and host (virtio standard 1.2, section 5.10), which are
 * Unix sockets on this side: when the guest calls port P of the host (CID 2), it
 * talks to whoever listens on PATH_P; a program that calls PATH and says
 * "CONNECT P" talks, after an "OK", to port P of the guest (CID 3).
 *
 * One thread does it all, with a table of connections: packets of the guest,
 * and what an epoll says of the sockets.  Sockets tell of a change once, so that
 * what cannot be done now is noted in the connection.  Who connects is another
 * process: see vsock_door.c.
 * Read next: vsock_door.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/devices.h"
#include "devices/virtio/virtio.h"
#include "lguest.h"
#include "retry.h"
#include "vsock.h"

#define CID_HOST	2
#define CID_GUEST	3
#define CONNECTIONS	256
#define BUFFER		(128U << 10)	/* of the guest's bytes, per connection */
#define PACKET_MOST	(64U << 10)
#define RESETS		64		/* that wait, beside those of connections */
#define BUDGET		256		/* packets before others get the lock */
#define EVENTS		64
#define GREETING_MOST	32		/* "CONNECT 4294967295\n" */
#define FIRST_PORT	(1U << 30)	/* of ours, for calls to the guest */
#define DOOR		CONNECTIONS	/* in an epoll event */

enum { RECEIVE, TRANSMIT, EVENT, QUEUES };	/* as the guest sees it */

#define BOTH (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)
#define TODO(op) (1U << VIRTIO_VSOCK_OP_##op)

/*D:600
 * A connection's life:
 *
 *	guest calls:	FREE -> ASKED (the door keeper) -> OPEN
 *	host calls:	FREE -> GREETED ("CONNECT P" is read) -> OFFERED -> OPEN
 *
 * and from OPEN, when both sides have said all: ENDING, until the guest was
 * sent its reset.  After a reset by the guest, what it said before still goes
 * out: LINGERING.
 */
enum state { FREE, GREETED, ASKED, OFFERED, OPEN, ENDING, LINGERING };

struct connection {
	enum state state;
	uint32_t stamp;			/* differs each time the slot is used */
	int fd;
	uint32_t host_port, guest_port;
	unsigned int todo;		/* packets to send, TODO() */
	/* From the guest. */
	uint8_t *bytes;			/* a ring of BUFFER */
	uint32_t first, count;
	uint32_t taken, told;		/* all bytes that went on; as the guest knows */
	unsigned int guest_shut;	/* what the guest will not do any more */
	bool deaf;			/* the program does not listen any more */
	/* To the guest. */
	bool readable, at_end;
	uint32_t sent;
	uint32_t room, room_taken;	/* its buffer, and what it took of that */
	bool asked_room;
	unsigned int host_shut;		/* what we will not do any more */
};
/*:*/

struct reset {
	uint64_t from;
	uint32_t host_port, guest_port;
	uint16_t type;
};

static struct vsock {
	struct virtio_device device;
	int door, epoll;
	struct connection connections[CONNECTIONS];
	unsigned int turn;		/* whose it is to send to the guest */
	uint32_t next_port;
	struct reset resets[RESETS];
	unsigned int reset_count;
} vsock = { .door = -1, .epoll = -1, .next_port = FIRST_PORT };

/* ---- the table */

static bool knows_guest(const struct connection *c)
{
	return c->state == ASKED || c->state == OFFERED || c->state == OPEN ||
	       c->state == ENDING;
}

static struct connection *find(uint32_t host_port, uint32_t guest_port)
{
	struct connection *c;

	for (c = vsock.connections; c < vsock.connections + CONNECTIONS; c++)
		if (knows_guest(c) && c->host_port == host_port && c->guest_port == guest_port)
			return c;
	return NULL;
}

static struct connection *allocate(enum state state)
{
	struct connection *c;

	for (c = vsock.connections; c < vsock.connections + CONNECTIONS; c++)
		if (c->state == FREE) {
			*c = (struct connection){
				.state = state, .stamp = c->stamp + 1, .fd = -1 };
			return c;
		}
	return NULL;
}

static void hang_up(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	free(c->bytes);
	c->bytes = NULL;
	c->count = 0;
}

static void release(struct connection *c)
{
	hang_up(c);
	c->state = FREE;
	c->todo = 0;
}

/* No more of this connection but the reset for the guest. */
static void end(struct connection *c)
{
	hang_up(c);
	c->state = ENDING;
	c->todo = TODO(RST);
}

static bool watch(int fd, uint32_t slot, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u32 = slot };

	return !epoll_ctl(vsock.epoll, EPOLL_CTL_ADD, fd, &event);
}

static bool watch_connection(struct connection *c, int fd)
{
	c->fd = fd;
	return watch(fd, c - vsock.connections, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

/* ---- from the guest to the program */

static void shut(struct connection *c, unsigned int what)
{
	if (!(what & ~c->host_shut))
		return;
	c->host_shut |= what;
	c->todo |= TODO(SHUTDOWN);
}

static void took(struct connection *c, uint32_t n)
{
	c->first = (c->first + n) % BUFFER;
	c->count -= n;
	c->taken += n;
	if (c->taken - c->told >= BUFFER / 2)
		c->todo |= TODO(CREDIT_UPDATE);
}

static ssize_t send_ring(const struct connection *c)
{
	uint32_t to_end = BUFFER - c->first;
	struct iovec parts[2] = {
		{ c->bytes + c->first, c->count < to_end ? c->count : to_end },
		{ c->bytes, c->count < to_end ? 0 : c->count - to_end },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	return RETRY(sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* Let go what can go; and the end of it, once all is gone. */
static void flush(struct connection *c)
{
	while (c->count) {
		ssize_t done = c->deaf ? c->count : send_ring(c);

		if (done < 0 && errno == EAGAIN)
			return;
		if (done < 0) {
			c->deaf = true;
			shut(c, VIRTIO_VSOCK_SHUTDOWN_RCV);
			continue;
		}
		took(c, done);
	}
	if (c->state == LINGERING)
		release(c);
	else if (c->guest_shut == BOTH)
		end(c);
	else if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
		shutdown(c->fd, SHUT_WR);
}

static void take_bytes(struct connection *c, struct chain *chain, uint32_t size)
{
	uint32_t at = (c->first + c->count) % BUFFER;

	if (!c->bytes)
		c->bytes = malloc(BUFFER);
	if (!c->bytes || size > BUFFER - c->count ||
	    (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)) {
		end(c);
		return;
	}
	if (size > BUFFER - at) {
		chain_read(chain, c->bytes + at, BUFFER - at);
		chain_read(chain, c->bytes, size - (BUFFER - at));
	} else {
		chain_read(chain, c->bytes + at, size);
	}
	c->count += size;
	flush(c);
}

/* ---- packets of the guest */

static void reset_unknown(const struct virtio_vsock_hdr *h)
{
	/* A guest that takes no answers gets none. */
	if (vsock.reset_count == RESETS)
		return;
	vsock.resets[vsock.reset_count++] = (struct reset){
		h->dst_cid, h->dst_port, h->src_port, h->type };
}

static void guest_calls(const struct virtio_vsock_hdr *h)
{
	struct connection *c = allocate(ASKED);
	struct door_note note = { .port = h->dst_port };

	if (!c) {
		reset_unknown(h);
		return;
	}
	c->host_port = h->dst_port;
	c->guest_port = h->src_port;
	c->room = h->buf_alloc;
	c->room_taken = h->fwd_cnt;
	note.slot = c - vsock.connections;
	note.stamp = c->stamp;
	if (!door_ask(vsock.door, &note))
		end(c);
}

/* The guest took our call. */
static void answered(struct connection *c)
{
	char text[GREETING_MOST];
	int size = snprintf(text, sizeof(text), "OK %u\n", c->host_port);

	if (send(c->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL) != size) {
		end(c);
		return;
	}
	c->state = OPEN;
	c->readable = true;	/* perhaps: it was told before */
}

static void guest_shuts(struct connection *c, unsigned int what)
{
	c->guest_shut |= what & BOTH;
	if (what & VIRTIO_VSOCK_SHUTDOWN_RCV)
		shutdown(c->fd, SHUT_RD);
	flush(c);
}

static void guest_resets(struct connection *c)
{
	c->todo = 0;
	if (c->state != OPEN) {
		release(c);
		return;
	}
	c->state = LINGERING;
	flush(c);
}

static void take_open(struct connection *c, const struct virtio_vsock_hdr *h,
		      struct chain *chain)
{
	switch (h->op) {
	case VIRTIO_VSOCK_OP_RW:
		take_bytes(c, chain, h->len);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		guest_shuts(c, h->flags);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		c->todo |= TODO(CREDIT_UPDATE);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	default:
		end(c);
	}
}

static void take_known(struct connection *c, const struct virtio_vsock_hdr *h,
		       struct chain *chain)
{
	c->room = h->buf_alloc;
	c->room_taken = h->fwd_cnt;
	c->asked_room = false;
	if (h->op == VIRTIO_VSOCK_OP_RST)
		guest_resets(c);
	else if (c->state == OPEN)
		take_open(c, h, chain);
	else if (c->state == OFFERED && h->op == VIRTIO_VSOCK_OP_RESPONSE)
		answered(c);
	else if (c->state != ENDING)
		end(c);
}

static uint32_t take_packet(struct virtio_queue *q, struct chain *chain)
{
	struct virtio_vsock_hdr h;
	struct connection *c = NULL;
	bool ours;

	if (chain->in_parts || chain_read(chain, &h, sizeof(h)) != sizeof(h) ||
	    h.len != chain->out_size) {
		q->ring.broken = "a packet has no header, or a wrong length";
		return VIRTIO_BAD;
	}
	if (h.src_cid != CID_GUEST)
		return 0;
	ours = h.dst_cid == CID_HOST && h.type == VIRTIO_VSOCK_TYPE_STREAM;
	if (ours)
		c = find(h.dst_port, h.src_port);
	if (c)
		take_known(c, &h, chain);
	else if (ours && h.op == VIRTIO_VSOCK_OP_REQUEST)
		guest_calls(&h);
	else if (h.op != VIRTIO_VSOCK_OP_RST)
		reset_unknown(&h);
	return 0;
}

/* ---- packets to the guest */

static void put_header(struct chain *chain, const struct connection *c,
		       unsigned int op, uint32_t size)
{
	struct virtio_vsock_hdr h = {
		.src_cid = CID_HOST, .dst_cid = CID_GUEST,
		.src_port = c->host_port, .dst_port = c->guest_port,
		.len = size, .type = VIRTIO_VSOCK_TYPE_STREAM, .op = op,
		.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? c->host_shut : 0,
		.buf_alloc = BUFFER, .fwd_cnt = c->taken,
	};

	chain_write(chain, &h, sizeof(h));
}

/* The first of these that is to do. */
static const unsigned int order[] = {
	VIRTIO_VSOCK_OP_RST, VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RESPONSE,
	VIRTIO_VSOCK_OP_CREDIT_UPDATE, VIRTIO_VSOCK_OP_CREDIT_REQUEST,
	VIRTIO_VSOCK_OP_SHUTDOWN,
};

static void send_control(struct connection *c, struct chain *chain)
{
	unsigned int i = 0;

	while (!(c->todo & 1U << order[i]))
		i++;
	c->todo &= ~(1U << order[i]);
	put_header(chain, c, order[i], 0);
	c->told = c->taken;
	c->todo &= ~TODO(CREDIT_UPDATE);
	if (order[i] == VIRTIO_VSOCK_OP_RST)
		release(c);
}

/* What the guest has room for.  It may take back what it promised. */
static uint32_t credit(const struct connection *c)
{
	uint32_t flying = c->sent - c->room_taken;

	return flying < c->room ? c->room - flying : 0;
}

static bool may_read(const struct connection *c)
{
	return c->state == OPEN && c->readable && !c->at_end &&
	       !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV);
}

/* Shorten the chain's memory to so many bytes. */
static void limit(struct chain *chain, uint32_t most)
{
	struct iovec *part = chain_in(chain);
	unsigned int i;

	for (i = 0; i < chain->in_parts; i++, part++) {
		if (part->iov_len > most)
			part->iov_len = most;
		most -= part->iov_len;
	}
}

/* Straight from the socket into the guest; the size, or 0 for no packet. */
static uint32_t send_bytes(struct connection *c, struct chain *chain)
{
	struct chain head = *chain;
	uint8_t none[sizeof(struct virtio_vsock_hdr)] = { 0 };
	struct msghdr message = { .msg_iovlen = chain->in_parts };
	uint32_t most = credit(c);
	ssize_t got;

	chain_write(chain, none, sizeof(none));
	limit(chain, most < PACKET_MOST ? most : PACKET_MOST);
	message.msg_iov = chain_in(chain);
	got = RETRY(recvmsg(c->fd, &message, MSG_DONTWAIT));
	if (got > 0) {
		put_header(&head, c, VIRTIO_VSOCK_OP_RW, got);
		c->told = c->taken;
		c->todo &= ~TODO(CREDIT_UPDATE);
		c->sent += got;
		return sizeof(none) + got;
	}
	c->readable = false;
	if (got < 0 && errno == EAGAIN)
		return 0;
	c->at_end = true;
	if (got < 0)
		end(c);
	else
		shut(c, VIRTIO_VSOCK_SHUTDOWN_SEND);
	return 0;
}

static uint32_t send_reset(struct chain *chain)
{
	struct reset *r = &vsock.resets[--vsock.reset_count];
	struct virtio_vsock_hdr h = {
		.src_cid = r->from, .dst_cid = CID_GUEST, .src_port = r->host_port,
		.dst_port = r->guest_port, .type = r->type, .op = VIRTIO_VSOCK_OP_RST,
	};

	return chain_write(chain, &h, sizeof(h));
}

static bool has_packet(struct connection *c)
{
	if (!knows_guest(c))
		return false;
	if (may_read(c) && !credit(c) && !c->asked_room) {
		c->asked_room = true;
		c->todo |= TODO(CREDIT_REQUEST);
	}
	return c->todo || (may_read(c) && credit(c));
}

static struct connection *next_to_send(void)
{
	unsigned int i;

	for (i = 0; i < CONNECTIONS; i++) {
		unsigned int slot = (vsock.turn + i) % CONNECTIONS;

		if (has_packet(&vsock.connections[slot])) {
			vsock.turn = slot + 1;
			return &vsock.connections[slot];
		}
	}
	return NULL;
}

/* A buffer of the guest; without one, its next notification brings us back. */
static bool next_buffer(struct virtio_queue *q, struct chain *chain)
{
	int got;

	do {
		got = virtqueue_pop(&q->ring, chain);
	} while (!got && virtqueue_notify_me(&q->ring, true));
	if (got > 0 && (chain->out_parts || chain->in_size <= sizeof(struct virtio_vsock_hdr))) {
		q->ring.broken = "a buffer for packets is too small or read-only";
		got = -1;
	}
	if (got < 0)
		virtio_fail(q->device, q->ring.broken);
	return got > 0;
}

/*
 * Each connection has its turn, a packet at a time.  What it has to say is
 * decided with the buffer at hand; if it is nothing, the next takes the buffer.
 */
static void to_guest(struct virtio_queue *q)
{
	struct connection *c = NULL;
	struct chain chain;
	unsigned int n;

	virtqueue_notify_me(&q->ring, false);
	for (n = 0; n < BUDGET; n++) {
		uint32_t size;

		if (!vsock.reset_count && !(c = next_to_send()))
			break;
		if (!next_buffer(q, &chain))
			break;
		if (vsock.reset_count) {
			size = send_reset(&chain);
		} else if (c->todo) {
			send_control(c, &chain);
			size = sizeof(struct virtio_vsock_hdr);
		} else {
			size = send_bytes(c, &chain);
		}
		if (!size) {
			virtqueue_unpop(&q->ring, 1);
			continue;
		}
		virtqueue_push(&q->ring, chain.head, size);
		q->untold++;
	}
	virtio_tell(q);
	if (n == BUDGET)
		virtio_kick(q);
}

/* ---- sockets */

/* "CONNECT P\n", of which we take no byte more: 0 if it is not yet all there. */
static ssize_t read_greeting(int fd, uint32_t *port)
{
	char text[GREETING_MOST + 1], more;
	ssize_t got = RETRY(recv(fd, text, GREETING_MOST, MSG_PEEK | MSG_DONTWAIT));
	char *newline;

	if (got < 0 && errno == EAGAIN)
		return 0;
	if (got <= 0)
		return -1;
	text[got] = '\0';
	newline = strchr(text, '\n');
	if (!newline)
		return got < GREETING_MOST ? 0 : -1;
	*newline = '\0';
	if (sscanf(text, "CONNECT %10u%c", port, &more) != 1)
		return -1;
	return recv(fd, text, newline + 1 - text, MSG_DONTWAIT);
}

static void greet(struct connection *c)
{
	ssize_t size = read_greeting(c->fd, &c->guest_port);

	if (size < 0) {
		release(c);
		return;
	}
	if (!size)
		return;
	do {
		c->host_port = vsock.next_port++ | FIRST_PORT;
	} while (find(c->host_port, c->guest_port));
	c->state = OFFERED;
	c->todo = TODO(REQUEST);
}

static void somebody_comes(int fd)
{
	struct connection *c = allocate(GREETED);

	if (!c)
		close(fd);
	else if (!watch_connection(c, fd))
		release(c);
}

static void door_answers(const struct door_note *note, int fd)
{
	struct connection *c = &vsock.connections[note->slot % CONNECTIONS];

	if (c->state != ASKED || c->stamp != note->stamp) {
		if (fd >= 0)
			close(fd);
	} else if (fd < 0 || !watch_connection(c, fd)) {
		end(c);
	} else {
		c->state = OPEN;
		c->todo = TODO(RESPONSE);
	}
}

static void hear_door(void)
{
	struct door_note note;
	int fd, got;

	while ((got = door_hear(vsock.door, &note, &fd)) > 0) {
		if (!note.incoming)
			door_answers(&note, fd);
		else if (fd >= 0)
			somebody_comes(fd);
	}
	if (got < 0) {
		problem("vsock: the process that opens its door is gone; there will be no new connections");
		epoll_ctl(vsock.epoll, EPOLL_CTL_DEL, vsock.door, NULL);
	}
}

static void see(struct connection *c, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		c->readable = true;
	if (c->state == GREETED) {
		greet(c);
		return;
	}
	if (c->state != OPEN && c->state != LINGERING)
		return;
	/* Gone for good: what it said last is still there to be read. */
	if (events & EPOLLHUP) {
		c->deaf = true;
		shut(c, VIRTIO_VSOCK_SHUTDOWN_RCV);
	}
	flush(c);
}

static void see_sockets(void)
{
	struct epoll_event events[EVENTS];
	int n, i;

	n = epoll_wait(vsock.epoll, events, EVENTS, 0);
	for (i = 0; i < n; i++) {
		if (events[i].data.u32 == DOOR)
			hear_door();
		else
			see(&vsock.connections[events[i].data.u32], events[i].events);
	}
}

static void serve(struct virtio_queue *first)
{
	struct virtio_device *device = first->device;
	struct virtio_queue *transmit = &device->queues[TRANSMIT];

	first->source = vsock.epoll;
	see_sockets();
	if (transmit->ring.running)
		virtio_each(transmit, take_packet);
	if (first->ring.running && !virtio_failed(device))
		to_guest(first);
}

static void reset(struct virtio_device *device)
{
	unsigned int i;

	(void)device;
	for (i = 0; i < CONNECTIONS; i++)
		release(&vsock.connections[i]);
	vsock.reset_count = 0;
}

static const struct virtio_kind kind = {
	.id = VIRTIO_ID_VSOCK,
	.driver = "vmw_vsock_virtio_transport",
	.queues = QUEUES,
	.one_thread = true,
	.thread = THREAD_VSOCK,
	.serve = serve,
	.reset = reset,
};

bool vsock_check(const char *path)
{
	const char *why = door_wrong_path(path);

	if (why)
		problem("cannot use the socket %s: %s", path, why);
	return !why;
}

static struct virtio_device *create(const char *path, bool closed)
{
	const struct virtio_vsock_config config = { .guest_cid = CID_GUEST };
	struct virtio_device *device = &vsock.device;
	const char *why = NULL;
	unsigned int i;

	for (i = 0; i < CONNECTIONS; i++)
		vsock.connections[i].fd = -1;
	vsock.door = door_open(path, closed, &why);
	if (vsock.door >= 0) {
		vsock.epoll = epoll_create1(EPOLL_CLOEXEC);
		if (vsock.epoll < 0 || !watch(vsock.door, DOOR, EPOLLIN))
			why = strerror(errno);
	}
	if (why) {
		problem("cannot use the socket %s: %s", path, why);
		return NULL;
	}
	device->config_size = sizeof(config);
	memcpy(device->config, &config, sizeof(config));
	return virtio_init(device, &kind, "vsock", NULL) ? device : NULL;
}

struct virtio_device *vsock_create(const char *path)
{
	return create(path, false);
}

struct virtio_device *vsock_create_closed(const char *path)
{
	return create(path, true);
}
