/* SPDX-License-Identifier: GPL-2.0 */
/* For programs that try the launcher's sockets, well-behaved or not. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un address = { .sun_family = AF_UNIX };

static int reach(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(fd, (void *)&address, sizeof(address))) {
		perror(address.sun_path);
		exit(1);
	}
	return fd;
}
