/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Devices that another program serves: the protocol that QEMU's documentation calls
 * vhost-user.  A device of ours has the registers, and that program the rings and the
 * guest's memory.
 *
 *	vhost_message.c	messages over its socket, one at a time
 *	vhost.c		a virtio device's life, told in messages
 *	vhost_end.c	... and what becomes of its requests when nobody listens
 *
 * What comes from the socket is checked: the program may be anybody's.
 */
#ifndef LGUEST_VHOST_H
#define LGUEST_VHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/virtio/virtio.h"

enum vhost_request {
	VHOST_GET_FEATURES = 1,
	VHOST_SET_FEATURES = 2,
	VHOST_SET_OWNER = 3,
	VHOST_SET_MEM_TABLE = 5,
	VHOST_SET_VRING_NUM = 8,
	VHOST_SET_VRING_ADDR = 9,
	VHOST_SET_VRING_BASE = 10,
	VHOST_GET_VRING_BASE = 11,
	VHOST_SET_VRING_KICK = 12,
	VHOST_SET_VRING_CALL = 13,
	VHOST_GET_PROTOCOL_FEATURES = 15,
	VHOST_SET_PROTOCOL_FEATURES = 16,
	VHOST_GET_QUEUE_NUM = 17,
	VHOST_SET_VRING_ENABLE = 18,
	VHOST_GET_CONFIG = 24,
};

#define VHOST_F_PROTOCOL	VIRTIO_BIT(30)	/* among the device's features */
#define VHOST_PROTOCOL_MQ	VIRTIO_BIT(0)
#define VHOST_PROTOCOL_ACK	VIRTIO_BIT(3)
#define VHOST_PROTOCOL_CONFIG	VIRTIO_BIT(9)

struct vhost_header {
	uint32_t request, flags, size;
} __attribute__((packed));

#define VHOST_VERSION	1U
#define VHOST_REPLY	(1U << 2)
#define VHOST_NEED_ACK	(1U << 3)

struct vhost_vring_state { uint32_t index, value; };
struct vhost_vring_addr {
	uint32_t index, flags;
	uint64_t descriptors, used, available, log;
};
struct vhost_memory {
	uint32_t regions, padding;
	uint64_t guest, size, user, offset;	/* of the only one */
};
struct vhost_config {
	uint32_t offset, size, flags;
	uint8_t bytes[VIRTIO_CONFIG_MOST];
};

struct vhost {
	struct virtio_device device;
	int socket;
	const char *server;		/* for messages: what it is */
	int words;			/* what it says, if we started it; else 0 */
	uint64_t features;		/* that it has */
	uint64_t protocol;		/* ... and both understand */
	pthread_mutex_t lock;		/* one message is on its way */
	bool dead;			/* under the lock */
	bool started[VIRTIO_QUEUES_MOST]; /* ... the server has the ring */
	bool ours[VIRTIO_QUEUES_MOST];	/* it had; under the queue's lock */
};

/*
 * vhost_message.c: false: it is gone, slow, or sent nonsense, and why says which.
 * A descriptor that goes along, or -1.
 */
bool vhost_tell(struct vhost *vhost, uint32_t request, const void *body, size_t size, int fd,
		const char **why);
/* The answer is a body of that size. */
bool vhost_ask(struct vhost *vhost, uint32_t request, void *body, size_t size,
	       const char **why);
/* For tests: how long an answer may take, in ms. */
extern int vhost_patience;

/*
 * vhost.c: greet the server at vhost->socket, and make its device.  A configuration is
 * asked for if config_size is not 0.  NULL, or what is wrong.
 */
const char *vhost_begin(struct vhost *vhost, const struct virtio_kind *kind,
			const char *name, unsigned int config_size);
/* To a server that listens there: vhost->socket; NULL, or what is wrong. */
const char *vhost_connect(struct vhost *vhost, const char *path);
/* What the kinds of device have in common. */
void vhost_start(struct virtio_device *device);
void vhost_drain(struct virtio_queue *queue);
bool vhost_watch(struct virtio_device *device);
#define VHOST_KIND	\
	.thread = THREAD_VHOST, .watch = vhost_watch, .start = vhost_start, .drain = vhost_drain

/* vhost_end.c: the server is gone, and every request ends with an error, for ever. */
void vhost_refuse(struct vhost *vhost);

#endif /* LGUEST_VHOST_H */
