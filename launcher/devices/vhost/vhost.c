// SPDX-License-Identifier: GPL-2.0
/*
 * A virtio device whose server is another program.  The Host signals the driver's
 * notifications to an eventfd that the server reads, and what it signals raises the
 * interrupt: the launcher is asked when the driver comes, and when it goes.
 *
 * A server that is gone leaves a device whose requests all end with an error, and that
 * offers nothing to a driver that comes again; the guest goes on.
 * Read next: vhost_end.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "jail/confine.h"
#include "io.h"
#include "lguest.h"
#include "thread.h"
#include "vhost.h"

const char *vhost_connect(struct vhost *v, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return "the socket's name is too long";
	strcpy(address.sun_path, path);
	v->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (v->socket >= 0 && !connect(v->socket, (void *)&address, sizeof(address)))
		return NULL;
	return errno == ECONNREFUSED ? "nobody listens at the socket; start the server" :
				       strerror(errno);
}

static struct vhost *vhost_of(struct virtio_device *device)
{
	return device->state;
}

/* With the lock. */
static void bury(struct vhost *v, const char *why)
{
	char words[200] = "";

	if (v->dead)
		return;
	v->dead = true;
	if (v->words)
		words_last(v->words, words, sizeof(words));
	v->device.offered = 0;
	problem("%s: its server, %s, is gone (%s%s%s); the guest goes on, with errors from this device",
		v->device.name, v->server, why, *words ? ": " : "", words);
	shutdown(v->socket, SHUT_RDWR);	/* watch() hears of it */
}

static const char *agree(struct vhost *v, unsigned int queues)
{
	uint64_t protocol = 0, most = queues;
	const char *why;

	if (!vhost_ask(v, VHOST_GET_FEATURES, &v->features, sizeof(v->features), &why))
		return why;
	if (!(v->features & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
		return "it knows no virtio 1.0";
	if (!(v->features & VHOST_F_PROTOCOL))
		return "it knows no features of the protocol";
	if (!vhost_ask(v, VHOST_GET_PROTOCOL_FEATURES, &protocol, sizeof(protocol), &why))
		return why;
	protocol &= VHOST_PROTOCOL_MQ | VHOST_PROTOCOL_ACK | VHOST_PROTOCOL_CONFIG;
	if (!vhost_tell(v, VHOST_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol), -1, &why))
		return why;
	v->protocol = protocol;
	if ((protocol & VHOST_PROTOCOL_MQ) &&
	    !vhost_ask(v, VHOST_GET_QUEUE_NUM, &most, sizeof(most), &why))
		return why;
	if (most < queues)
		return "it has too few queues";
	return vhost_tell(v, VHOST_SET_OWNER, NULL, 0, -1, &why) ? NULL : why;
}

static const char *read_config(struct vhost *v, unsigned int size)
{
	struct vhost_config config = { .size = size };
	size_t whole = offsetof(struct vhost_config, bytes) + size;
	const char *why;

	if (!size)
		return NULL;
	if (!(v->protocol & VHOST_PROTOCOL_CONFIG))
		return "it has no configuration";
	if (!vhost_ask(v, VHOST_GET_CONFIG, &config, whole, &why))
		return why;
	if (config.offset || config.size != size)
		return "it sent nonsense";
	memcpy(v->device.config, config.bytes, size);
	v->device.config_size = size;
	return NULL;
}

const char *vhost_begin(struct vhost *v, const struct virtio_kind *kind, const char *name,
			unsigned int config_size)
{
	const char *why;

	pthread_mutex_init(&v->lock, NULL);
	confine_allow_sending();
	why = agree(v, kind->queues);
	if (!why)
		why = read_config(v, config_size);
	if (!why && !virtio_init(&v->device, kind, name, v))
		why = strerror(errno);
	v->device.offered &= v->features;
	return why;
}

static bool share_memory(struct vhost *v, const char **why)
{
	const struct memory *memory = v->device.memory;
	const struct vhost_memory table = {
		.regions = 1, .size = memory->size, .user = (uintptr_t)memory->base,
	};

	return vhost_tell(v, VHOST_SET_MEM_TABLE, &table, sizeof(table), memory->file, why);
}

static bool start_ring(struct vhost *v, struct virtio_queue *q, const char **why)
{
	const struct virtqueue *ring = &q->ring;
	const struct vhost_vring_state size = { q->number, ring->size }, base = { q->number, 0 };
	const struct vhost_vring_state on = { q->number, 1 };
	const struct vhost_vring_addr at = {
		.index = q->number,
		.descriptors = (uintptr_t)ring->table,
		.used = (uintptr_t)ring->used,
		.available = (uintptr_t)ring->available,
	};
	const uint64_t number = q->number;

	v->started[q->number] = true;
	return vhost_tell(v, VHOST_SET_VRING_NUM, &size, sizeof(size), -1, why) &&
	       vhost_tell(v, VHOST_SET_VRING_BASE, &base, sizeof(base), -1, why) &&
	       vhost_tell(v, VHOST_SET_VRING_ADDR, &at, sizeof(at), -1, why) &&
	       vhost_tell(v, VHOST_SET_VRING_CALL, &number, sizeof(number),
			  v->device.interrupt, why) &&
	       vhost_tell(v, VHOST_SET_VRING_KICK, &number, sizeof(number), q->kick, why) &&
	       vhost_tell(v, VHOST_SET_VRING_ENABLE, &on, sizeof(on), -1, why);
}

static bool start_all(struct vhost *v, const char **why)
{
	const uint64_t features = v->device.accepted | VHOST_F_PROTOCOL;
	unsigned int i;

	if (!vhost_tell(v, VHOST_SET_FEATURES, &features, sizeof(features), -1, why) ||
	    !share_memory(v, why))
		return false;
	for (i = 0; i < v->device.kind->queues; i++)
		if (v->device.queues[i].ring.running &&
		    !start_ring(v, &v->device.queues[i], why))
			return false;
	return true;
}

/* The driver is ready. */
void vhost_start(struct virtio_device *device)
{
	struct vhost *v = vhost_of(device);
	const char *why;

	pthread_mutex_lock(&v->lock);
	if (v->dead)
		virtio_break(device);
	else if (!start_all(v, &why))
		bury(v, why);
	pthread_mutex_unlock(&v->lock);
}

/* The driver goes: the server gives all requests back first. */
void vhost_drain(struct virtio_queue *q)
{
	struct vhost *v = vhost_of(q->device);
	struct vhost_vring_state base = { q->number, 0 };
	const char *why;

	pthread_mutex_lock(&v->lock);
	if (v->started[q->number] && !v->dead &&
	    !vhost_ask(v, VHOST_GET_VRING_BASE, &base, sizeof(base), &why))
		bury(v, why);
	v->started[q->number] = false;
	v->ours[q->number] = false;
	pthread_mutex_unlock(&v->lock);
}

/* Nothing is to be read but in answer to something: so whatever happens is the end. */
static void *watch(void *argument)
{
	struct vhost *v = argument;
	struct pollfd end = { .fd = v->socket, .events = POLLRDHUP };

	if (!confine_thread(v->device.kind->thread)) {
		virtio_break(&v->device);
		return NULL;
	}
	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&v->lock);
	bury(v, "it ended");
	pthread_mutex_unlock(&v->lock);
	vhost_refuse(v);
	return NULL;
}

bool vhost_watch(struct virtio_device *device)
{
	int error = start_quiet_thread(NULL, watch, vhost_of(device));

	if (error)
		problem("%s: cannot start a thread for it: %s; check `ulimit -u`",
			device->name, strerror(error));
	return !error;
}
