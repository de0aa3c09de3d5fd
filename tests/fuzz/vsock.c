// SPDX-License-Identifier: GPL-2.0
/*
 * vsock: connections whose other end says "CONNECT 5" and sends back a little;
 * every third is refused.  L10, K10.
 */
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "devices/vsock/vsock.h"
#include "guest.h"

#define ENDS 64
static struct door_note notes[ENDS];
static unsigned int asked, answered;
static int ends[ENDS], door;

int door_open(const char *path, bool closed, const char **why)
{
	(void)path, (void)closed, (void)why;
	memset(ends, -1, sizeof(ends));
	door = eventfd(1, 0);
	return door;
}

const char *door_wrong_path(const char *path)
{
	(void)path;
	return NULL;
}

bool door_ask(int fd, const struct door_note *note)
{
	must(fd == door);
	if (asked == ENDS)
		return false;
	notes[asked++] = *note;
	return true;
}

static int other_end(unsigned int n, bool incoming)
{
	static const char words[] = "CONNECT 5\nfrom the host, with love";
	int pair[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
	ends[n] = pair[1];
	must(write(pair[1], words, n % 4 ? sizeof(words) : 9U + incoming) > 0);
	if (n % 5 == 4)
		shutdown(pair[1], n % 2 ? SHUT_WR : SHUT_RDWR);
	return pair[0];
}

int door_hear(int fd, struct door_note *note, int *socket)
{
	unsigned int n = answered;

	(void)fd;
	if (n >= asked)
		return 0;
	answered++;
	*note = notes[n];
	*socket = n % 3 == 2 ? -1 : other_end(n, note->incoming);
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	unsigned int i;

	if (!device) {
		guest_memory();
		guest_begin(vsock_create("somewhere"));
	}
	/* Somebody comes from outside, too. */
	notes[0] = (struct door_note){ .incoming = true };
	asked = size ? bytes[0] & 1 : 0;
	answered = 0;
	guest_run(bytes, size);
	for (i = 0; i < ENDS; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	memset(ends, -1, sizeof(ends));
	return 0;
}
