// SPDX-License-Identifier: GPL-2.0
/*
 * The server of a device, as somebody wrote it who means ill: what it answers is the
 * input, in part as it should be.  L8, L10.
 */
#include <poll.h>
#include <sys/socket.h>

#include "devices/vhost/vhost.h"
#include "guest.h"

static const struct virtio_kind kind = {
	.id = VIRTIO_ID_FS, .queues = 2, .watch = vhost_watch, .start = vhost_start,
	.drain = vhost_drain,
};

void confine_allow_sending(void)
{
}

/* What is asked, one after the other; and how many bytes the answer has. */
static const struct {
	uint32_t request, size;
} order[] = {
	{ VHOST_GET_FEATURES, 8 }, { VHOST_GET_PROTOCOL_FEATURES, 8 }, { VHOST_GET_QUEUE_NUM, 8 },
	{ VHOST_SET_OWNER, 8 }, { VHOST_GET_CONFIG, 12 + 16 }, { VHOST_SET_FEATURES, 8 },
	{ VHOST_SET_MEM_TABLE, 8 }, { VHOST_SET_VRING_NUM, 8 }, { VHOST_SET_VRING_BASE, 8 },
	{ VHOST_SET_VRING_ADDR, 8 }, { VHOST_SET_VRING_CALL, 8 }, { VHOST_SET_VRING_KICK, 8 },
	{ VHOST_SET_VRING_ENABLE, 8 }, { VHOST_SET_VRING_NUM, 8 }, { VHOST_SET_VRING_BASE, 8 },
	{ VHOST_SET_VRING_ADDR, 8 }, { VHOST_SET_VRING_CALL, 8 }, { VHOST_SET_VRING_KICK, 8 },
	{ VHOST_SET_VRING_ENABLE, 8 }, { VHOST_GET_VRING_BASE, 8 }, { VHOST_GET_VRING_BASE, 8 },
};

/* A good answer, or one that is good but for a few bits. */
static void put_answer(struct input *in, int to, uint32_t request, uint32_t size)
{
	struct vhost_header header = { request, VHOST_VERSION | VHOST_REPLY, size };
	uint8_t body[256] = { 0 };
	unsigned int how = take(in, 1);

	if (request == VHOST_GET_FEATURES || request == VHOST_GET_PROTOCOL_FEATURES)
		memset(body, 0xff, 8);
	if (request == VHOST_GET_QUEUE_NUM)
		body[0] = 2;
	if (request == VHOST_GET_CONFIG)
		body[4] = 16;
	if (how & 1)
		header.request ^= take(in, 1);
	if (how & 2)
		header.flags ^= take(in, 1);
	if (how & 4)
		header.size ^= take(in, 4);
	if (how & 8)
		body[take(in, 1)] ^= take(in, 1);
	send(to, &header, sizeof(header), MSG_DONTWAIT | MSG_NOSIGNAL);
	send(to, body, how & 16 ? take(in, 1) : size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void end(struct vhost *v, int other)
{
	unsigned int i;

	close(v->socket);
	close(other);
	for (i = 0; i < kind.queues; i++)
		if (v->device.kind)
			close(v->device.queues[i].kick);
	if (v->device.kind)
		close(v->device.interrupt);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, size };
	static struct vhost v;
	int ends[2];
	size_t i;

	if (!memory.base)
		guest_memory();
	vhost_patience = 5;
	memset(&v, 0, sizeof(v));
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	v.socket = ends[0];
	v.server = "fuzz";
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		put_answer(&in, ends[1], order[i].request, order[i].size);
	shutdown(ends[1], SHUT_WR);
	if (!vhost_begin(&v, &kind, "fuzz", 16)) {
		must(!(v.device.offered & ~v.features));
		v.device.memory = &memory;
		device = &v.device;
		virtio_reset(device);
		bring_up(0);
		virtio_reset(device);
		must(!v.dead || !v.device.offered);
	}
	end(&v, ends[1]);
	return 0;
}
