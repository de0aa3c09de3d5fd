// SPDX-License-Identifier: GPL-2.0
/*
 * Messages to the server of a device, and its answers: a header, a body of a known
 * size, perhaps a descriptor.  Who does not answer in time is taken for dead: the
 * guest's own thread waits here.
 * Read next: vhost.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"
#include "retry.h"
#include "vhost.h"

int vhost_patience = 20000;

static bool send_all(int socket, struct iovec *parts, int fd)
{
	union descriptor_room room;
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t wanted = parts[0].iov_len + parts[1].iov_len;

	if (fd >= 0)
		carry_descriptor(&message, &room, fd);
	/* They are small, and few: one that does not fit at once is not read. */
	return RETRY(sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT)) == wanted;
}

static const char *receive_all(int socket, void *to, size_t size)
{
	struct pollfd ready = { .fd = socket, .events = POLLIN };
	size_t done = 0;

	while (done < size) {
		ssize_t got = poll(&ready, 1, vhost_patience);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			return "it does not answer";
		/* A descriptor that comes along is not taken, so the kernel drops it. */
		got = got < 0 ? got : recv(socket, (char *)to + done, size - done, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			return "it ended";
		done += got;
	}
	return NULL;
}

static const char *receive_answer(struct vhost *vhost, uint32_t request, void *body, size_t size)
{
	struct vhost_header header;
	const char *why = receive_all(vhost->socket, &header, sizeof(header));

	if (why)
		return why;
	if (header.request != request || header.size != size ||
	    (header.flags & (3 | VHOST_REPLY)) != (VHOST_VERSION | VHOST_REPLY))
		return "it sent nonsense";
	return receive_all(vhost->socket, body, size);
}

static const char *talk(struct vhost *vhost, uint32_t request, uint32_t flags, void *body,
			size_t size, int fd)
{
	struct vhost_header header = { request, VHOST_VERSION | flags, size };
	struct iovec parts[2] = { { &header, sizeof(header) }, { body, size } };

	return send_all(vhost->socket, parts, fd) ? NULL :
	       errno == EAGAIN ? "it does not read" : "it ended";
}

/* With the lock, and only while it lives; the reason is kept by whoever hears it. */
bool vhost_tell(struct vhost *vhost, uint32_t request, const void *body, size_t size, int fd,
		const char **why)
{
	bool ack = vhost->protocol & VHOST_PROTOCOL_ACK;
	uint64_t failed = 0;

	*why = talk(vhost, request, ack ? VHOST_NEED_ACK : 0, (void *)body, size, fd);
	if (!*why && ack)
		*why = receive_answer(vhost, request, &failed, sizeof(failed));
	if (!*why && failed)
		*why = "it refuses";
	return !*why;
}

bool vhost_ask(struct vhost *vhost, uint32_t request, void *body, size_t size,
	       const char **why)
{
	/* Most questions have no body; two have that of the answer. */
	bool with_body = request == VHOST_GET_VRING_BASE || request == VHOST_GET_CONFIG;

	*why = talk(vhost, request, 0, body, with_body ? size : 0, -1);
	if (!*why)
		*why = receive_answer(vhost, request, body, size);
	return !*why;
}
