// SPDX-License-Identifier: GPL-2.0
/*
 * A client of a control socket, well-behaved or not:
 *	talk PATH LINE...	send the lines, print as many that come back
 *	talk PATH hostile	all that a broken client may do, one by one
 */
#define _GNU_SOURCE 1
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/reach.h"

static void listen_for(int fd, int lines)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	while (lines && poll(&p, 1, 10000) == 1 && read(fd, &byte, 1) == 1) {
		putchar(byte);
		lines -= byte == '\n';
	}
}

static void say(int fd, const char *bytes, size_t size)
{
	send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void be_hostile(void)
{
	static char big[1 << 20];
	unsigned int seed = 1;
	int fds[64], i, j;

	/* A line without an end; brackets without an end; no text at all. */
	memset(big, 'x', sizeof(big));
	say(fds[0] = reach(), big, sizeof(big));
	memset(big, '[', sizeof(big));
	big[1000] = '\n';
	say(fds[1] = reach(), big, sizeof(big));
	say(fds[2] = reach(), "\0\0\n\xff\xfe\n{\"command\":\"st\0atus\"}\n", 30);
	for (i = 0; i < 3; i++)
		close(fds[i]);
	/* Requests whose answers nobody reads. */
	fds[0] = reach();
	for (i = 0; i < 20000; i++)
		say(fds[0], "{\"command\":\"status\"}\n", 21);
	/* A console that does not read, and sends. */
	fds[1] = reach();
	say(fds[1], "{\"command\":\"console\"}\n", 22);
	for (i = 0; i < 100; i++)
		say(fds[1], "\n", 1);
	/* More clients than there is room for, silent ones. */
	for (i = 2; i < 64; i++)
		fds[i] = reach();
	for (i = 0; i < 64; i++)
		close(fds[i]);
	/* Connections that come and go, with noise. */
	for (i = 0; i < 300; i++) {
		fds[0] = reach();
		for (j = 0; j < 600; j++)
			big[j] = rand_r(&seed);
		say(fds[0], big, rand_r(&seed) % 600);
		close(fds[0]);
	}
}

int main(int argc, char **argv)
{
	int fd, i;

	if (argc < 3)
		return 2;
	strncpy(address.sun_path, argv[1], sizeof(address.sun_path) - 1);
	if (!strcmp(argv[2], "hostile")) {
		be_hostile();
		return 0;
	}
	fd = reach();
	for (i = 2; i < argc; i++) {
		say(fd, argv[i], strlen(argv[i]));
		say(fd, "\n", 1);
	}
	listen_for(fd, argc - 2);
	return 0;
}
