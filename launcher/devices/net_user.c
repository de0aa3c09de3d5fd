// SPDX-License-Identifier: GPL-2.0
/*
 * The network of an ordinary user: passt(1), a program of its own, makes sockets
 * of the guest's connections.  It needs no privileges, and no network stack has
 * to live in the launcher.  Frames go through a stream socket, each behind its
 * length in 4 bytes, the highest first.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lguest.h"
#include "net.h"

#define PROGRAM	"passt"
#define ROOM	(256 << 10)

/* What has come in, and is not yet taken. */
struct stream {
	size_t from, to;
	uint8_t bytes[ROOM];
};

/* The child: only its end of the socket, and standard files, stay open. */
static void become_passt(int fd, int report)
{
	sigset_t none;
	char number[16];

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	snprintf(number, sizeof(number), "%d", fd);
	fcntl(fd, F_SETFD, 0);
	execlp(PROGRAM, PROGRAM, "--foreground", "--quiet", "--fd", number, NULL);
	if (write(report, &errno, sizeof(errno)) < 0)
		_exit(2);
	_exit(1);
}

/* Start it; 0 or the errno of its exec. */
static int start_passt(int fd)
{
	int report[2], error = 0;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC))
		return errno;
	pid = fork();
	if (!pid)
		become_passt(fd, report[1]);
	close(report[1]);
	if (pid < 0)
		error = errno;
	else if (RETRY(read(report[0], &error, sizeof(error))) > 0)
		waitpid(pid, NULL, 0);
	close(report[0]);
	return error;
}

static const char *open_user(struct net *net, const char *argument)
{
	int ends[2], error;

	if (argument)
		return "user takes no argument; leave out what follows it";
	net->state = calloc(1, sizeof(struct stream));
	if (!net->state || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return strerror(errno);
	error = start_passt(ends[1]);
	close(ends[1]);
	if (error) {
		close(ends[0]);
		free(net->state);
		return error == ENOENT ?
		       "the program passt is not installed; `apt-get install passt`, or use tap=NAME" :
		       strerror(error);
	}
	net->fd = ends[0];
	return NULL;
}

static void hang_up(struct net *net, const char *why)
{
	if (net->fd < 0)
		return;
	problem("network user: passt is gone (%s); the guest's network is down", why);
	shutdown(net->fd, SHUT_RDWR);
	net->fd = -1;
}

static void skip(struct iovec **parts, unsigned int *n, size_t bytes)
{
	while (*n && bytes >= (*parts)->iov_len) {
		bytes -= (*parts)->iov_len;
		(*parts)++;
		(*n)--;
	}
	if (*n) {
		(*parts)->iov_base = (char *)(*parts)->iov_base + bytes;
		(*parts)->iov_len -= bytes;
	}
}

/*
 * The stream takes a frame as a whole or in parts, but never a part only.  The
 * thread that receives is the one that closes.
 */
static void send_to_user(struct net *net, struct iovec *parts, unsigned int n, size_t size)
{
	uint32_t length = htonl(size - NET_HEADER);
	struct iovec head = { &length, sizeof(length) };
	struct msghdr message = { .msg_iov = &head, .msg_iovlen = 1 };
	int fd = net->fd;

	if (fd < 0 || RETRY(sendmsg(fd, &message, MSG_NOSIGNAL | MSG_MORE)) < 0)
		return;
	skip(&parts, &n, NET_HEADER);
	while (n) {
		ssize_t done;

		message.msg_iov = parts;
		message.msg_iovlen = n;
		done = RETRY(sendmsg(fd, &message, MSG_NOSIGNAL));
		if (done < 0)
			return;
		skip(&parts, &n, done);
	}
}

static size_t take_frame(struct net *net, struct stream *s, uint8_t *to, size_t room)
{
	uint32_t length;

	if (s->to - s->from < sizeof(length))
		return 0;
	memcpy(&length, s->bytes + s->from, sizeof(length));
	length = ntohl(length);
	if (!length || length > room - NET_HEADER) {
		hang_up(net, "it sent nonsense");
		return 0;
	}
	if (s->to - s->from - sizeof(length) < length)
		return 0;
	memset(to, 0, NET_HEADER);
	memcpy(to + NET_HEADER, s->bytes + s->from + sizeof(length), length);
	s->from += sizeof(length) + length;
	return NET_HEADER + length;
}

static size_t receive_from_user(struct net *net, uint8_t *to, size_t room)
{
	struct stream *s = net->state;
	size_t size = take_frame(net, s, to, room);
	ssize_t got;

	if (size || net->fd < 0)
		return size;
	memmove(s->bytes, s->bytes + s->from, s->to - s->from);
	s->to -= s->from;
	s->from = 0;
	got = RETRY(recv(net->fd, s->bytes + s->to, ROOM - s->to, MSG_DONTWAIT));
	if (got < 0 && errno == EAGAIN)
		return 0;
	if (got <= 0) {
		hang_up(net, got ? strerror(errno) : "it ended");
		return 0;
	}
	s->to += got;
	return take_frame(net, s, to, room);
}

const struct net_way net_user = {
	.name = "user",
	.open = open_user,
	.send = send_to_user,
	.receive = receive_from_user,
};
