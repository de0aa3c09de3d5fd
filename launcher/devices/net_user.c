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
#include "virtqueue.h"

#define PROGRAM	"passt"
#define ROOM	(256 << 10)

/* What has come in, and is not yet taken. */
struct stream {
	size_t from, to;
	uint8_t bytes[ROOM];
};

/* Ports of the host that lead to the guest, as passt wants them: "2222:22,80". */
struct forwards {
	char tcp[256], udp[256];
};

static bool is_port(const char *text, char **end)
{
	unsigned long value = 0;

	if (*text >= '0' && *text <= '9')
		value = strtoul(text, end, 10);
	return value >= 1 && value <= 65535;
}

/* "[udp:]PORT[:PORT],..." */
static bool parse_forwards(char *list, struct forwards *ports)
{
	char *item, *rest, *end;

	for (item = strtok_r(list, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
		bool udp = !strncmp(item, "udp:", 4);
		char *to = udp ? ports->udp : ports->tcp;
		size_t used = strlen(to);

		item += udp ? 4 : 0;
		if (!is_port(item, &end) || (*end == ':' && !is_port(end + 1, &end)) || *end ||
		    used + strlen(item) + 2 > sizeof(ports->tcp))
			return false;
		sprintf(to + used, "%s%s", used ? "," : "", item);
	}
	return *ports->tcp || *ports->udp;
}

/* The child: only its end of the socket, and standard files, stay open. */
static void become_passt(int fd, int report, const struct forwards *ports)
{
	const char *words[12] = { PROGRAM, "--foreground", "--quiet", "--fd" };
	unsigned int n = 4;
	sigset_t none;
	char number[16];

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	snprintf(number, sizeof(number), "%d", fd);
	close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	fcntl(fd, F_SETFD, 0);
	words[n++] = number;
	if (*ports->tcp) {
		words[n++] = "--tcp-ports";
		words[n++] = ports->tcp;
	}
	if (*ports->udp) {
		words[n++] = "--udp-ports";
		words[n++] = ports->udp;
	}
	execvp(PROGRAM, (char **)words);
	if (write(report, &errno, sizeof(errno)) < 0)
		_exit(2);
	_exit(1);
}

/* Start it; 0 or the errno of its exec. */
static int start_passt(int fd, const struct forwards *ports)
{
	int report[2], error = 0;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC))
		return errno;
	pid = fork();
	if (!pid)
		become_passt(fd, report[1], ports);
	close(report[1]);
	if (pid < 0)
		error = errno;
	else if (RETRY(read(report[0], &error, sizeof(error))) > 0)
		waitpid(pid, NULL, 0);
	close(report[0]);
	return error;
}

static const char *open_user(struct net *net, char *argument)
{
	struct forwards ports = { .tcp = "" };
	int ends[2], error;

	if (argument && !parse_forwards(argument, &ports))
		return "it takes ports to forward; say for instance user=2222:22,udp:53";
	net->state = calloc(1, sizeof(struct stream));
	if (!net->state || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return strerror(errno);
	error = start_passt(ends[1], &ports);
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

/*
 * passt drops a length that it reads without any byte behind it, and understands
 * nothing from then on: so both are sent as one.  The length takes the place of
 * the header, which passt does not want.  The thread that receives is the one
 * that closes.
 */
static void send_to_user(struct net *net, struct iovec *parts, unsigned int n, size_t size)
{
	uint32_t length = htonl(size - NET_HEADER);
	struct iovec all[1 + VIRTQUEUE_MOST], *next = all;
	struct msghdr message = { 0 };
	int fd = net->fd;

	if (fd < 0)
		return;
	parts_skip(&parts, &n, NET_HEADER);
	all[0] = (struct iovec){ &length, sizeof(length) };
	memcpy(all + 1, parts, n * sizeof(*parts));
	n++;
	/* The stream takes a frame as a whole or in parts, but never a part only. */
	while (n) {
		ssize_t done;

		message.msg_iov = next;
		message.msg_iovlen = n;
		done = RETRY(sendmsg(fd, &message, MSG_NOSIGNAL));
		if (done < 0)
			return;
		parts_skip(&next, &n, done);
	}
}

static size_t take_frame(struct net *net, struct stream *s, struct iovec *parts, unsigned int n)
{
	uint32_t length;

	if (s->to - s->from < sizeof(length))
		return 0;
	memcpy(&length, s->bytes + s->from, sizeof(length));
	length = ntohl(length);
	if (!length || length > NET_FRAME_MOST - NET_HEADER) {
		hang_up(net, "it sent nonsense");
		return 0;
	}
	if (s->to - s->from - sizeof(length) < length)
		return 0;
	memset(&net->header, 0, NET_HEADER);
	parts_write(parts + 1, n - 1, s->bytes + s->from + sizeof(length), length);
	s->from += sizeof(length) + length;
	return NET_HEADER + length;
}

static size_t receive_from_user(struct net *net, struct iovec *parts, unsigned int n)
{
	struct stream *s = net->state;
	size_t size = take_frame(net, s, parts, n);
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
	return take_frame(net, s, parts, n);
}

const struct net_way net_user = {
	.name = "user",
	.dhcp = true,
	.open = open_user,
	.send = send_to_user,
	.receive = receive_from_user,
};
