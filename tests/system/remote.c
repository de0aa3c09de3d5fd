// SPDX-License-Identifier: GPL-2.0
/*
 * A debugger of few words:
 *	remote PATH PACKET...	send them, print each reply on a line
 *	remote PATH hostile	all that a broken debugger may do, one by one
 * A PACKET that begins with '!' is sent as it is, and no reply expected.
 */
#define _GNU_SOURCE 1
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/reach.h"

static void say(int fd, const void *bytes, size_t size)
{
	if (send(fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
		puts("it does not listen");
}

static void send_packet(int fd, const char *data)
{
	char frame[8192];
	unsigned char sum = 0;
	const char *at;

	for (at = data; *at; at++)
		sum += *at;
	say(fd, frame, snprintf(frame, sizeof(frame), "$%s#%02x", data, sum));
}

/* For what is answered, at any speed; not for what lets the guest run, or is nonsense. */
static int patience = 2000;	/* ms */

/* 0 at the end. */
static char next_byte(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char c;

	return poll(&p, 1, patience) == 1 && read(fd, &c, 1) == 1 ? c : 0;
}

static void show_reply(int fd)
{
	char c;

	while ((c = next_byte(fd)) && c != '$')
		;
	if (!c) {
		puts("no reply");
		return;
	}
	while ((c = next_byte(fd)) && c != '#')
		putchar(c);
	next_byte(fd);
	next_byte(fd);
	putchar('\n');
	send(fd, "+", 1, MSG_NOSIGNAL);	/* it may be gone after a last word */
}

static void hostile(void)
{
	static const char *const packets[] = {
		"", "m", "m0", "m0,", "m,", "mffffffffffffffff,ffffffffffffffff", "m0,fffffffffffffffff",
		"M0,4:", "M0,4:00", "M0,ffffffffffffffff:00", "X0,0:", "X0,2:a", "X0,fffff:a", "X:",
		"Z", "Z0", "Z0,", "Z0,0,1", "Z1,0,1", "Z9,0,0", "z0,1234,1", "Z0,7fffffffffff,1",
		"g1", "G", "G00", "Gzz", "p", "pffffffff", "p2b", "P", "P0", "P0=", "P0=0", "P11=ff000000",
		"P10=0000000000000100", "q", "qXfer:features:read:target.xml:", "Q", "v", "vCont;", "vCont;z",
		"qXfer:features:read:target.xml:ffffffff,ff", "qXfer:features:read:other.xml:0,ff",
		"H", "T", "vMustReplyEmpty", "vFile:open:2f,0,0", "!", "\x7f", "cffffffffffffffffff",
		"c800000000000", "s1000000000000000000000",
	};
	static char long_one[65536];
	unsigned int i, seed = 1;
	int fd;

	for (i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		fd = reach();
		send_packet(fd, packets[i]);
		show_reply(fd);
		close(fd);
	}
	fd = reach();		/* a packet without end */
	memset(long_one, '$', sizeof(long_one));
	if (send(fd, long_one, sizeof(long_one), MSG_NOSIGNAL) < 0)
		puts("it does not listen");
	close(fd);
	for (i = 0; i < 20; i++) {	/* anything, and gone in the middle */
		char *at;

		fd = reach();
		for (at = long_one; at < long_one + 4096; at++) {
			seed = seed * 1103515245 + 12345;
			*at = "$#+-}mgZ0,:\x03 s"[seed >> 16 & 15 ? seed >> 20 & 15 : 0];
			/* It may not end, nor step or run for long. */
			if (*at == 'k')
				*at = '#';
		}
		send(fd, long_one, 4096, MSG_NOSIGNAL);
		close(fd);
	}
	fd = reach();		/* does not read what it asked for */
	for (i = 0; i < 200; i++)
		send_packet(fd, "g");
	close(fd);
}

int main(int argc, char **argv)
{
	int fd, i;

	if (argc < 3)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	if (!strcmp(argv[2], "hostile")) {
		hostile();
		return 0;
	}
	fd = reach();
	for (i = 2; i < argc; i++) {
		if (argv[i][0] == '!') {
			say(fd, argv[i] + 1, strlen(argv[i] + 1));
			continue;
		}
		patience = strcmp(argv[i], "c") ? 60000 : 2000;
		send_packet(fd, argv[i]);
		show_reply(fd);
	}
	return 0;
}
