// SPDX-License-Identifier: GPL-2.0
/*
 * Both ends of sockets, for host and guest:
 *
 *	sockets echo ADDRESS		serve: send back what comes
 *	sockets early ADDRESS		serve: say "bye" after one byte, and close
 *	sockets late ADDRESS		serve once: wait, then write it all to stdout
 *	sockets send ADDRESS		stdin there, what comes back to stdout
 *	sockets many ADDRESS N SIZE	N connections to an echo at once
 *	sockets hold ADDRESS N		open N and keep them; how many there were
 *
 * ADDRESS is vsock:PORT (the host's, or any to serve), unix:PATH, or
 * call:PATH:PORT, the launcher's way to a port of the guest.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

static void must(int ok, const char *what)
{
	if (ok)
		return;
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

union address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_vm vm;
};

static socklen_t parse(const char *text, union address *a, unsigned int cid)
{
	memset(a, 0, sizeof(*a));
	if (!strncmp(text, "vsock:", 6)) {
		a->vm.svm_family = AF_VSOCK;
		a->vm.svm_cid = cid;
		a->vm.svm_port = strtoul(text + 6, NULL, 0);
		return sizeof(a->vm);
	}
	a->un.sun_family = AF_UNIX;
	strcpy(a->un.sun_path, strchr(text, ':') + 1);
	return sizeof(a->un);
}

/* The launcher's greeting; not a byte more than its line is read. */
static int greet(int fd, const char *port)
{
	char line[64];
	size_t n = 0;

	n = sprintf(line, "CONNECT %s\n", port);
	if (write(fd, line, n) != (ssize_t)n)
		return -1;
	for (n = 0; n < sizeof(line) - 1 && read(fd, line + n, 1) == 1; n++)
		if (line[n] == '\n')
			return strncmp(line, "OK ", 3) ? -1 : 0;
	errno = ECONNRESET;
	return -1;
}

static int open_to(const char *text)
{
	const struct timeval patience = { .tv_sec = 60 };
	char copy[200], *port = NULL;
	union address a;
	socklen_t size;
	int fd;

	snprintf(copy, sizeof(copy), "%s", text);
	if (!strncmp(copy, "call:", 5)) {
		port = strrchr(copy, ':');
		*port++ = '\0';
	}
	size = parse(copy, &a, VMADDR_CID_HOST);
	fd = socket(a.any.sa_family, SOCK_STREAM, 0);
	must(fd >= 0, "socket");
	/* Its own limit, two seconds, is short for a busy machine. */
	if (a.any.sa_family == AF_VSOCK)
		setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience,
			   sizeof(patience));
	if (!connect(fd, &a.any, size) && (!port || !greet(fd, port)))
		return fd;
	close(fd);
	return -1;
}

static void write_all(int fd, const void *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		must(n > 0, "write");
		bytes = (const char *)bytes + n;
		size -= n;
	}
}

static void echo(int fd)
{
	static char bytes[50000];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		write_all(fd, bytes, n);
}

static void early(int fd)
{
	char byte;

	if (read(fd, &byte, 1) == 1)
		write_all(fd, "bye\n", 4);
}

static void late(int fd)
{
	static char bytes[50000];
	ssize_t n;

	sleep(2);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		write_all(1, bytes, n);
}

static void serve(const char *text, void (*one)(int fd), int once)
{
	union address a;
	socklen_t size = parse(text, &a, VMADDR_CID_ANY);
	int fd = socket(a.any.sa_family, SOCK_STREAM, 0);

	signal(SIGCHLD, SIG_IGN);
	if (a.any.sa_family == AF_UNIX)
		unlink(a.un.sun_path);
	must(!bind(fd, &a.any, size) && !listen(fd, 512), "listen");
	for (;;) {
		int peer = accept(fd, NULL, NULL);

		must(peer >= 0, "accept");
		if (once || !fork()) {
			close(fd);
			one(peer);
			exit(0);
		}
		close(peer);
	}
}

/* Both ways at once, until the other end has said all. */
static void pump(int fd)
{
	static char out[50000], in[50000];
	size_t waiting = 0;
	int ended = 0;
	ssize_t n;

	for (;;) {
		struct pollfd p = { fd, POLLIN | (waiting || !ended ? POLLOUT : 0), 0 };

		must(poll(&p, 1, 30000) > 0, "poll");
		if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
			n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
			if (!n)
				return;
			must(n > 0 || errno == EAGAIN, "recv");
			if (n > 0)
				write_all(1, in, n);
		}
		if (!waiting && !ended) {
			n = read(0, out, sizeof(out));
			waiting = n > 0 ? n : 0;
			ended = n <= 0;
			if (ended)
				shutdown(fd, SHUT_WR);
		}
		if (waiting && p.revents & POLLOUT) {
			n = send(fd, out, waiting, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n < 0 && errno == EPIPE) {
				waiting = 0;
				ended = 1;
				continue;
			}
			must(n > 0 || errno == EAGAIN, "send");
			n = n > 0 ? n : 0;
			memmove(out, out + n, waiting - n);
			waiting -= n;
		}
	}
}

static void many(const char *text, unsigned int count, size_t size)
{
	unsigned int i, good = 0;

	for (i = 0; i < count; i++)
		if (!fork()) {
			int fd = open_to(text);
			char *mine = malloc(size), *back = malloc(size);
			size_t got = 0;

			if (fd < 0)
				_exit(2);
			memset(mine, 'A' + i % 50, size);
			memcpy(mine, &i, sizeof(i));
			if (!fork()) {
				write_all(fd, mine, size);
				shutdown(fd, SHUT_WR);
				_exit(0);
			}
			while (got < size) {
				ssize_t n = read(fd, back + got, size - got);

				if (n <= 0)
					_exit(3);
				got += n;
			}
			_exit(read(fd, back, 1) || memcmp(mine + 1, back + 1, size - 1));
		}
	for (i = 0; i < count; i++) {
		int status;

		if (wait(&status) > 0 && !status)
			good++;
	}
	printf("%u of %u\n", good, count);
}

static void hold(const char *text, unsigned int count)
{
	unsigned int i, good = 0;

	for (i = 0; i < count; i++)
		good += open_to(text) >= 0;
	printf("%u of %u\n", good, count);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "", *where = argv[2];

	setvbuf(stdout, NULL, _IONBF, 0);
	if (!strcmp(what, "echo")) {
		serve(where, echo, 0);
	} else if (!strcmp(what, "early")) {
		serve(where, early, 0);
	} else if (!strcmp(what, "late")) {
		serve(where, late, 1);
	} else if (!strcmp(what, "send")) {
		int fd = open_to(where);

		must(fd >= 0, "connect");
		pump(fd);
	} else if (!strcmp(what, "many")) {
		many(where, atoi(argv[3]), atoi(argv[4]));
	} else if (!strcmp(what, "hold")) {
		hold(where, atoi(argv[3]));
	}
	return 0;
}
