// SPDX-License-Identifier: GPL-2.0
/*
 * A switch between the guests of one host, without a program that is the
 * switch: a folder.  Each network card has a datagram socket there, named after
 * its address; a frame goes to the socket of its destination, or to all of them
 * if it is for all or for somebody unknown.  Who may use the folder may talk.
 * Read next: net_user.c.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/virtio/virtio.h"
#include "jail/confine.h"
#include "lguest.h"
#include "net.h"

#define ADDRESS_FORMAT "%02x:%02x:%02x:%02x:%02x:%02x"
#define NAME_LENGTH 17
/*
 * For a peer whose queue is full: long enough that guests which share a CPU all
 * had their turn, as a lost frame costs TCP more than that.
 */
#define PATIENCE_US 200000

struct seat {
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path) - NAME_LENGTH - 1];
	char own[NAME_LENGTH + 1];
};

static void name_of(const uint8_t *mac, char *to)
{
	snprintf(to, NAME_LENGTH + 1, ADDRESS_FORMAT, mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
}

static struct sockaddr_un address_of(const struct seat *seat, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%.17s",
		 seat->folder, name);
	return address;
}

/*
 * A socket that nobody listens to any more is left over from a guest that died.  To
 * call what is no socket is refused, too; that is somebody's file.
 */
static void remove_left_over(const struct sockaddr_un *address)
{
	struct stat status;

	if (!lstat(address->sun_path, &status) && S_ISSOCK(status.st_mode))
		unlink(address->sun_path);
}

static bool is_left_over(int fd, const struct sockaddr_un *address)
{
	return !connect(fd, (const void *)address, sizeof(*address)) ? false :
	       errno == ECONNREFUSED;
}

static const char *bind_socket(int fd, const struct seat *seat)
{
	struct sockaddr_un address = address_of(seat, seat->own);
	int probe;

	if (!bind(fd, (void *)&address, sizeof(address)))
		return NULL;
	if (errno != EADDRINUSE)
		return strerror(errno);
	probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (probe >= 0 && is_left_over(probe, &address))
		remove_left_over(&address);
	if (probe >= 0)
		close(probe);
	if (!bind(fd, (void *)&address, sizeof(address)))
		return NULL;
	return "another guest there has the same address; give one with ,mac=";
}

/* At a normal end; after any other, the next one to send removes the socket. */
static void leave_switch(struct net *net)
{
	const struct seat *seat = net->state;

	unlink(address_of(seat, seat->own).sun_path);
}

static const char *check_switch(char *folder)
{
	if (folder && *folder && strlen(folder) < sizeof(((struct seat *)0)->folder))
		return NULL;
	return "the folder's name is missing or too long; give switch=/run/user/1000/lan";
}

/* The first guest makes it, and says so: with a wrong name it would be alone there. */
static const char *make_folder(const char *folder)
{
	if (!mkdir(folder, 0700))
		problem("network switch: made the folder %s; a guest that is to be at the same switch must name the same folder",
			folder);
	else if (errno != EEXIST)
		return strerror(errno);
	return NULL;
}

static const char *open_switch(struct net *net, char *folder)
{
	struct timeval patience = { .tv_usec = PATIENCE_US };
	const char *why = check_switch(folder);
	struct seat *seat = why ? NULL : calloc(1, sizeof(*seat));

	if (!seat)
		return why ? why : "out of memory";
	strcpy(seat->folder, folder);
	name_of(net->mac, seat->own);
	why = make_folder(folder);
	if (!why) {
		net->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		why = net->fd < 0 ? strerror(errno) : bind_socket(net->fd, seat);
	}
	if (!why && !confine_allow_folder(THREAD_NET, seat->folder))
		why = "there are too many switches";
	if (why) {
		free(seat);
		return why;
	}
	setsockopt(net->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	net->state = seat;
	return NULL;
}

static bool send_to(struct net *net, struct msghdr *message, const char *name, int flags)
{
	struct sockaddr_un address = address_of(net->state, name);

	message->msg_name = &address;
	message->msg_namelen = sizeof(address);
	if (RETRY(sendmsg(net->fd, message, flags | MSG_NOSIGNAL)) >= 0)
		return true;
	if (errno == ECONNREFUSED)
		remove_left_over(&address);
	/* A full queue is the peer's trouble: the frame is lost, and well sent. */
	return errno == EAGAIN || errno == ENOBUFS;
}

static void send_to_all(struct net *net, struct msghdr *message)
{
	const struct seat *seat = net->state;
	DIR *folder = opendir(seat->folder);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (strlen(entry->d_name) == NAME_LENGTH && strcmp(entry->d_name, seat->own))
			send_to(net, message, entry->d_name, MSG_DONTWAIT);
	if (folder)
		closedir(folder);
}

/*D:310
 * Peers get the frame as it is, behind its header, which says what is left
 * undone: the checksum, and the cutting of a large packet.  It never leaves the
 * machine, so nobody needs to do that.
 :*/
static void send_to_switch(struct net *net, struct iovec *parts, unsigned int n, size_t size)
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = n };
	uint8_t start[NET_HEADER + 6];
	char name[NAME_LENGTH + 1];

	(void)size;
	parts_peek(parts, start, sizeof(start));
	name_of(start + NET_HEADER, name);
	if ((start[NET_HEADER] & 1) || !send_to(net, &message, name, 0))
		send_to_all(net, &message);
}

/* A peer may be anybody: does its header say only what our driver agreed to? */
static bool header_fits(const struct net *net)
{
	struct virtio_net_hdr_v1 header = net->header;

	if (header.flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return false;
	if (header.flags && !(net->accepted & VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM)))
		return false;
	if (header.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	return header.flags &&
	       ((header.gso_type == VIRTIO_NET_HDR_GSO_TCPV4 &&
		 (net->accepted & VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4))) ||
		(header.gso_type == VIRTIO_NET_HDR_GSO_TCPV6 &&
		 (net->accepted & VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6))));
}

static size_t receive_from_switch(struct net *net, struct iovec *parts, unsigned int n)
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = n };
	ssize_t got = RETRY(recvmsg(net->fd, &message, MSG_DONTWAIT));

	return got >= (ssize_t)NET_HEADER + 14 && header_fits(net) ? got : 0;
}

static void start_switch(struct net *net, uint64_t features)
{
	net->accepted = features;
}

const struct net_way net_switch = {
	.name = "switch",
	.features = NET_OFFLOADS,
	.patient = true,
	.check = check_switch,
	.open = open_switch,
	.send = send_to_switch,
	.receive = receive_from_switch,
	.start = start_switch,
	.leave = leave_switch,
};
