// SPDX-License-Identifier: GPL-2.0
/*
 * Writing, where a part is not enough.
 * Read next: message.c.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "io.h"

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
