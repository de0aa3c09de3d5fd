// SPDX-License-Identifier: GPL-2.0
/*
 * name_server NAME ADDRESS: a name server (RFC 1035) on 127.0.0.1 that knows
 * one address of one name, and of all other questions that there is no answer.
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#define HEADER	12	/* of a message, before the question */

/* "www.example" as a message has it: each label behind its length. */
static size_t encode(const char *name, unsigned char *to)
{
	unsigned char *at = to;

	while (*name) {
		size_t length = strcspn(name, ".");

		*at++ = length;
		memcpy(at, name, length);
		at += length;
		name += length + (name[length] == '.');
	}
	*at++ = 0;
	return at - to;
}

int main(int argc, char **argv)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(53),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from;
	/* The name of the question, type A, class IN, a day, 4 bytes. */
	unsigned char answer[16] = { 0xc0, HEADER, 0, 1, 0, 1, 0, 1, 0x51, 0x80, 0, 4 };
	unsigned char name[256], m[512];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t size = sizeof(from);
	size_t length;

	if (argc != 3 || strlen(argv[1]) > 200 || inet_pton(AF_INET, argv[2], answer + 12) != 1 ||
	    bind(fd, (void *)&own, sizeof(own)))
		return 1;
	length = encode(argv[1], name);
	for (;;) {
		ssize_t got = recvfrom(fd, m, sizeof(m) - 16, 0, (void *)&from, &size);
		size_t end = HEADER + length + 4;	/* of the question */

		if (got < HEADER || m[5] != 1)
			continue;
		m[2] = 0x84;			/* an answer, of who knows */
		m[3] = 0;
		m[7] = 0;
		memset(m + 8, 0, 4);		/* nothing after the answers */
		if ((size_t)got >= end && !memcmp(m + HEADER, name, length) &&
		    !memcmp(m + HEADER + length, "\0\1\0\1", 4)) {
			m[7] = 1;
			memcpy(m + end, answer, 16);
			got = end + 16;
		}
		sendto(fd, m, got, 0, (void *)&from, size);
	}
}
