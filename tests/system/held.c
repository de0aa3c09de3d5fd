// SPDX-License-Identifier: GPL-2.0
/*
 * A disk of the lab's host that keeps requests waiting, so that it is no matter of
 * speed how many are on their way at once:
 *	held DEVICE MIB KIND FROM BYTES BAD
 * DEVICE is one of the kernel's network block devices; what it holds is in our memory,
 * MIB of it.  Reads or writes (KIND), those that begin at byte FROM or after it, wait
 * until there are BYTES of them; then all are answered.  Each time it says how many
 * bytes wait.  After a SIGUSR1 none waits any more.  Byte BAD cannot be read.
 */
#define _GNU_SOURCE 1
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAITING_MOST	1024

static uint8_t *disk;
static uint64_t size, from, enough, bad;
static uint32_t kind;
static struct nbd_request waiting[WAITING_MOST];
static unsigned int number;
static uint64_t bytes;
static volatile sig_atomic_t released;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void get(int fd, void *to, size_t n)
{
	ssize_t done;

	for (; n; n -= done, to = (char *)to + done) {
		done = read(fd, to, n);
		if (!done)
			exit(0);		/* the device is gone */
		if (done < 0 && errno != EINTR)
			die("read");
		if (done < 0)
			done = 0;
	}
}

static void put(int fd, const void *bytes_of, size_t n)
{
	ssize_t done;

	for (; n; n -= done, bytes_of = (const char *)bytes_of + done) {
		done = write(fd, bytes_of, n);
		if (done < 0 && errno != EINTR)
			die("write");
		if (done < 0)
			done = 0;
	}
}

static void answer(int fd, const struct nbd_request *r)
{
	uint64_t at = be64toh(r->from);
	uint32_t length = be32toh(r->len);
	bool reads = be32toh(r->type) == NBD_CMD_READ;
	bool fails = reads && bad >= at && bad < at + length;
	struct nbd_reply reply = {
		.magic = htobe32(NBD_REPLY_MAGIC),
		.error = htobe32(fails ? EIO : 0),
	};

	memcpy(reply.handle, r->handle, sizeof(reply.handle));
	put(fd, &reply, sizeof(reply));
	if (reads && !fails)
		put(fd, disk + at, length);
}

static void answer_all(int fd)
{
	unsigned int i;

	for (i = 0; i < number; i++)
		answer(fd, &waiting[i]);
	number = bytes = 0;
}

static bool must_wait(uint32_t type, uint64_t at)
{
	return !released && type == kind && at >= from;
}

/* Its data is taken at once: the socket is free for the next request. */
static void receive(int fd)
{
	struct nbd_request r;
	uint32_t type, length;
	uint64_t at;

	get(fd, &r, sizeof(r));
	type = be32toh(r.type) & 0xffff;
	at = be64toh(r.from);
	length = be32toh(r.len);
	if (type == NBD_CMD_DISC)
		exit(0);
	if (be32toh(r.magic) != NBD_REQUEST_MAGIC || at > size || length > size - at)
		die("a request like no other");
	if (type == NBD_CMD_WRITE)
		get(fd, disk + at, length);
	if (!must_wait(type, at)) {
		answer(fd, &r);
		return;
	}
	if (number == WAITING_MOST)
		die("too many requests wait");
	waiting[number++] = r;
	bytes += length;
	dprintf(1, "%llu wait\n", (unsigned long long)bytes);
	if (bytes >= enough)
		answer_all(fd);
}

static void release(int signal)
{
	(void)signal;
	released = 1;
}

/* A signal ends the wait for a request, and comes at no other time. */
static void serve(int fd, const sigset_t *unblocked)
{
	struct pollfd p = { fd, POLLIN, 0 };

	for (;;) {
		if (released)
			answer_all(fd);
		if (ppoll(&p, 1, NULL, unblocked) == 1)
			receive(fd);
	}
}

/* The kernel's half of the device runs in a process of its own. */
static void start_device(const char *path, const int sockets[2])
{
	int device = open(path, O_RDWR);

	if (device < 0)
		die(path);
	if (ioctl(device, NBD_SET_BLKSIZE, 512UL) ||
	    ioctl(device, NBD_SET_SIZE_BLOCKS, size / 512) ||
	    ioctl(device, NBD_CLEAR_SOCK) || ioctl(device, NBD_SET_SOCK, sockets[0]))
		die("ioctl");
	if (fork()) {
		close(device);
		close(sockets[0]);
		return;
	}
	close(sockets[1]);
	signal(SIGUSR1, SIG_IGN);
	ioctl(device, NBD_DO_IT);
	ioctl(device, NBD_CLEAR_SOCK);
	exit(0);
}

int main(int argc, char **argv)
{
	sigset_t blocked, unblocked;
	int sockets[2];

	if (argc != 7 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		return 1;
	size = strtoull(argv[2], NULL, 0) << 20;
	kind = strcmp(argv[3], "write") ? NBD_CMD_READ : NBD_CMD_WRITE;
	from = strtoull(argv[4], NULL, 0);
	enough = strtoull(argv[5], NULL, 0);
	bad = strtoull(argv[6], NULL, 0);
	disk = calloc(1, size);
	if (!disk)
		die("calloc");
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, &unblocked);
	signal(SIGUSR1, release);
	start_device(argv[1], sockets);
	serve(sockets[1], &unblocked);
}
