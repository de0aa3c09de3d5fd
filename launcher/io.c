// SPDX-License-Identifier: GPL-2.0
/*
 * Writing, where a part is not enough; messages with a descriptor; another program's
 * last words.
 * Read next: message.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "io.h"
#include "retry.h"

#define PIECE	(1UL << 20)	/* between two looks whether we shall end */

int write_all(int fd, const void *bytes, size_t size, bool (*stop)(void *with), void *with)
{
	const char *at = bytes;

	while (size) {
		ssize_t done = write(fd, at, size < PIECE ? size : PIECE);

		if (done > 0) {
			at += done;
			size -= done;
		} else if (!done) {
			return ENOSPC;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
		} else if (errno != EINTR) {
			return errno;
		}
		if (stop && stop(with))
			return EINTR;
	}
	return 0;
}

ssize_t receive_carried(int socket, void *to, size_t size, int *fd)
{
	struct iovec part = { to, size };
	union descriptor_room room;
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		/* Not a byte more: there would be room for a second one, that nobody closes. */
		.msg_control = fd ? &room : NULL, .msg_controllen = fd ? CMSG_LEN(sizeof(int)) : 0,
	};
	ssize_t got = RETRY(recvmsg(socket, &message,
				    MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC));
	struct cmsghdr *header = got >= 0 ? CMSG_FIRSTHDR(&message) : NULL;

	if (fd)
		*fd = -1;
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(header), sizeof(int));
	return got;
}

bool words_open(int ends[2])
{
	return !pipe2(ends, O_CLOEXEC | O_NONBLOCK);
}

/* The program may be anybody's by now: nothing but letters reaches a terminal. */
static char to_show(char c)
{
	return c >= ' ' && c <= '~' ? c : '?';
}

void words_last(int fd, char *line, size_t size)
{
	size_t length = 0;
	char bytes[512];
	bool ended = false;
	ssize_t got, i;

	while ((got = RETRY(read(fd, bytes, sizeof(bytes)))) > 0)
		for (i = 0; i < got; i++) {
			if (bytes[i] != '\n' && ended)
				length = 0;
			ended = bytes[i] == '\n';
			if (!ended && length < size - 1)
				line[length++] = to_show(bytes[i]);
		}
	line[length] = '\0';
}
