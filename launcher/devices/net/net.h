/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a guest's network frames go: one structure per way.  A frame is an
 * Ethernet frame behind the 12 bytes of struct virtio_net_hdr_v1.
 * Read next: net_tap.c.
 */
#ifndef LGUEST_NET_H
#define LGUEST_NET_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "devices/virtio/limits.h"
#include "devices/virtio/virtqueue.h"
#include "retry.h"

#define NET_HEADER	sizeof(struct virtio_net_hdr_v1)
#define NET_FRAME_MOST	(NET_HEADER + 65536 + 18)

/* What two kernels of one machine may leave undone; each way offers it or not. */
#define NET_OFFLOADS	(1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_GUEST_CSUM |	\
			 1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO4 | \
			 1ULL << VIRTIO_NET_F_HOST_TSO6 | 1ULL << VIRTIO_NET_F_GUEST_TSO6)

struct net;

struct net_way {
	const char *name;		/* as in -n NAME=... */
	uint64_t features;		/* offloads */
	bool patient;			/* as in struct virtio_kind */
	bool dhcp;			/* somebody there gives addresses */
	bool words;			/* its argument may be given as NAME,ARGUMENT */
	/* What is wrong with what follows NAME=, or NULL; nothing is taken. */
	const char *(*check)(char *argument);
	/* Connect; NULL, or what is wrong.  argument is what follows NAME=. */
	const char *(*open)(struct net *net, char *argument);
	/* Send one frame, or drop it. */
	void (*send)(struct net *net, struct iovec *parts, unsigned int n, size_t size);
	/*
	 * A frame if one is there: its size with the header; else 0; never
	 * waits.  The first part is net->header, the others have room for the
	 * largest frame.
	 */
	size_t (*receive)(struct net *net, struct iovec *parts, unsigned int n);
	/* The driver accepted these features; may be NULL. */
	void (*start)(struct net *net, uint64_t features);
	/* The guest has ended, and others shall not find it there; may be NULL. */
	void (*leave)(struct net *net);
};

/* Buffers that the driver gave and no frame has taken yet, in the ring's order. */
#define BUFFERS_MOST	128
#define PARTS_MOST	VIRTQUEUE_MOST
struct net_buffers {
	unsigned int n, parts;
	size_t size;			/* of all of them */
	struct {
		uint16_t head;
		unsigned int parts;
		size_t size;
	} each[BUFFERS_MOST];
	struct iovec part[PARTS_MOST];
};

struct net {
	const struct net_way *way;
	int fd;				/* readable: receive() has something */
	uint8_t mac[6];
	void *state;			/* of the way */
	struct limits limits[2];	/* of what is received and sent */
	uint64_t accepted;		/* features, if the way wants to know */
	/* Of the queue that receives, with its lock: */
	struct net_buffers buffers;
	struct virtio_net_hdr_v1 header;
	uint8_t frame[NET_FRAME_MOST];	/* came before there was room for it */
	size_t frame_size;		/* with the header */
};

/* The first bytes of a frame; it has so many. */
void parts_peek(const struct iovec *parts, uint8_t *to, size_t size);

extern const struct net_way net_tap, net_user, net_switch;

#endif /* LGUEST_NET_H */
