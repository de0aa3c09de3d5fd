// SPDX-License-Identifier: GPL-2.0
/* A network card on a wire that brings back what is sent: K6, K10. */
#include "devices/net/net.h"
#include "guest.h"

static uint8_t wire[NET_FRAME_MOST];
static size_t on_wire, copies;

static const char *open_wire(struct net *net, char *argument)
{
	(void)argument;
	net->fd = -1;
	return NULL;
}

static void send_to_wire(struct net *net, struct iovec *parts, unsigned int n, size_t size)
{
	unsigned int i;

	(void)net;
	must(size <= sizeof(wire));
	for (i = 0, on_wire = 0; i < n; i++) {
		memcpy(wire + on_wire, parts[i].iov_base, parts[i].iov_len);
		on_wire += parts[i].iov_len;
	}
	must(on_wire == size);
	copies = 3;
}

static size_t receive_from_wire(struct net *net, struct iovec *parts, unsigned int n)
{
	struct iovec to[1 + VIRTQUEUE_MOST];

	if (!copies)
		return 0;
	copies--;
	must(parts[0].iov_base == &net->header && parts[0].iov_len == NET_HEADER);
	must(n <= 1 + VIRTQUEUE_MOST);
	memcpy(to, parts, n * sizeof(*to));
	must(parts_write(to, n, wire, on_wire) == on_wire);
	return on_wire;
}

#define WIRE(way) const struct net_way way = { \
	.name = #way, .open = open_wire, .send = send_to_wire, .receive = receive_from_wire }
WIRE(net_user);
WIRE(net_tap);
WIRE(net_switch);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (!device) {
		guest_memory();
		guest_begin(net_create("net_tap"));
	}
	copies = 0;
	guest_run(bytes, size);
	return 0;
}
