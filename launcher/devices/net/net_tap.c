// SPDX-License-Identifier: GPL-2.0
/*
 * A tap interface of the host: the host's kernel is at the other end, with
 * bridges, routes and filters as the administrator likes.  It understands the
 * virtio header, so that checksums and the cutting of large packets can be
 * left undone between two kernels of one machine.
 * Read next: net_switch.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/virtio/virtio.h"
#include "lguest.h"
#include "net.h"

#define WAIT 50		/* ms, when the host cannot take a frame now */

static const char *check_tap(char *name)
{
	if (name && *name && strlen(name) < IFNAMSIZ)
		return NULL;
	return "the interface's name is missing or too long; give tap=NAME";
}

static const char *open_tap(struct net *net, char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	const char *why = check_tap(name);
	int size = NET_HEADER;

	if (why)
		return why;
	strcpy(request.ifr_name, name);
	net->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (net->fd < 0)
		return errno == ENOENT ? "there is no /dev/net/tun; `modprobe tun`" :
					 strerror(errno);
	if (ioctl(net->fd, TUNSETIFF, &request)) {
		why = errno == EPERM ?
			"it is not yours; as root: `ip tuntap add NAME mode tap user YOU`" :
			errno == EBUSY ? "another program uses it" : strerror(errno);

		close(net->fd);
		return why;
	}
	if (ioctl(net->fd, TUNSETVNETHDRSZ, &size)) {
		close(net->fd);
		return strerror(errno);
	}
	return NULL;
}

static void send_to_tap(struct net *net, struct iovec *parts, unsigned int n, size_t size)
{
	struct pollfd room = { .fd = net->fd, .events = POLLOUT };

	(void)size;
	if (room.fd >= 0 && RETRY(writev(room.fd, parts, n)) < 0 && errno == EAGAIN &&
	    poll(&room, 1, WAIT) == 1 && writev(room.fd, parts, n) < 0)
		return;		/* lost, as frames may be */
}

/*
 * Somebody has deleted the interface: from now on its descriptor is always
 * readable, and never read.  It stays open, as the other thread may just use it.
 */
static void hang_up(struct net *net)
{
	problem("network tap: the interface is gone, and the guest's card leads nowhere now; make it again and start the guest anew");
	net->fd = -1;
}

static size_t receive_from_tap(struct net *net, struct iovec *parts, unsigned int n)
{
	ssize_t got = net->fd < 0 ? 0 : RETRY(readv(net->fd, parts, n));

	if (got < 0 && (errno == EBADFD || errno == EIO))
		hang_up(net);
	return got > (ssize_t)NET_HEADER ? got : 0;
}

static void start_tap(struct net *net, uint64_t features)
{
	unsigned int offload = 0;

	if (features & VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM)) {
		offload |= TUN_F_CSUM;
		if (features & VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4))
			offload |= TUN_F_TSO4;
		if (features & VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6))
			offload |= TUN_F_TSO6;
	}
	ioctl(net->fd, TUNSETOFFLOAD, offload);
}

const struct net_way net_tap = {
	.name = "tap",
	.features = NET_OFFLOADS,
	.patient = true,
	.check = check_tap,
	.open = open_tap,
	.send = send_to_tap,
	.receive = receive_from_tap,
	.start = start_tap,
};
