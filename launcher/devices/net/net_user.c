// SPDX-License-Identifier: GPL-2.0
/*
 * The network of an ordinary user: passt(1), a program of its own, makes sockets
 * of the guest's connections.  It needs no privileges, and no network stack has
 * to live in the launcher.  Frames go through a stream socket, each behind its
 * length in 4 bytes, the highest first.  What the guest sends to whom is looked
 * at here (net_rules.c): passt would let it reach all that its user may, and by
 * the gateway's address this machine itself.
 * Read next: net_window.c.
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

#include "clock.h"
#include "devices/devices.h"
#include "devices/virtio/virtqueue.h"
#include "distribution.h"
#include "io.h"
#include "lguest.h"
#include "net.h"
#include "net_rules.h"
#include "net_window.h"

#define PROGRAM	"passt"
#define ROOM	(256 << 10)
#define SOCKET_ROOM	(8 << 20)	/* or as much as the host allows: net.core.wmem_max */
#define COMPLAINTS_MOST	8

/* Ports of the host that lead to the guest, as passt wants them: "2222:22,80". */
#define FORWARDS_MOST	64
struct forwards {
	char tcp[256], udp[256];
	unsigned int count;
	struct {
		uint8_t protocol;
		uint16_t port;		/* the guest's */
	} to[FORWARDS_MOST];
};

/* What the user wants, and what has come in and is not yet taken. */
struct stream {
	struct forwards ports;
	struct net_rules rules;
	struct acks acks;
	bool host_loopback;
	unsigned int told;
	int words;		/* of passt's, on its stderr; or -1 */
	size_t from, to;
	uint8_t bytes[ROOM];
};

static bool is_port(const char *text, char **end)
{
	unsigned long value = 0;

	if (*text >= '0' && *text <= '9')
		value = strtoul(text, end, 10);
	return value >= 1 && value <= 65535;
}

/* "[udp:]PORT[:PORT]" */
static bool add_forward(struct forwards *ports, const char *item)
{
	bool udp = !strncmp(item, "udp:", 4);
	char *to = udp ? ports->udp : ports->tcp, *end;
	size_t used = strlen(to);
	const char *last = item += udp ? 4 : 0;

	if (!is_port(item, &end))
		return false;
	if (*end == ':') {
		last = end + 1;
		if (!is_port(last, &end))
			return false;
	}
	if (*end || used + strlen(item) + 2 > sizeof(ports->tcp) ||
	    ports->count == FORWARDS_MOST)
		return false;
	sprintf(to + used, "%s%s", used ? "," : "", item);
	ports->to[ports->count].protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
	ports->to[ports->count++].port = strtoul(last, NULL, 10);
	return true;
}

static const char *understand_one(struct stream *s, const char *item)
{
	if (!strncmp(item, "allow=", 6))
		return rules_add(&s->rules, item + 6, true);
	if (!strncmp(item, "deny=", 5))
		return rules_add(&s->rules, item + 5, false);
	if (!strcmp(item, "host-loopback")) {
		s->host_loopback = true;
		return NULL;
	}
	return add_forward(&s->ports, item) ? NULL :
	       "it takes ports to forward, rules and host-loopback; say for instance user=2222:22,udp:53,deny=10.0.0.0/8";
}

static const char *understand(struct stream *s, char *list)
{
	const char *why = *list ? NULL : understand_one(s, list);
	char *item, *rest;

	for (item = strtok_r(list, ",", &rest); item && !why; item = strtok_r(NULL, ",", &rest))
		why = understand_one(s, item);
	return why;
}

/* A stream, with what the user wants; NULL, or what is wrong. */
static const char *begin(struct stream **stream, char *argument)
{
	struct stream *s = calloc(1, sizeof(*s));

	*stream = s;
	if (!s)
		return strerror(errno);
	rules_init(&s->rules);
	return understand(s, argument ? argument : (char[]){ "," });
}

static const char *check_user(char *argument)
{
	struct stream *s;
	const char *why = begin(&s, argument);

	free(s);
	return why;
}

/* Is the host's first name server one that only the host itself reaches? */
static bool has_local_resolver(void)
{
	FILE *file = fopen("/etc/resolv.conf", "re");
	char line[256], address[128] = "";

	while (file && !*address && fgets(line, sizeof(line), file))
		if (sscanf(line, " nameserver %127s", address) == 1 && strchr(address, ':'))
			*address = '\0';
	if (file)
		fclose(file);
	return !strncmp(address, "127.", 4);
}

/* The child: only its end of the socket, and standard files, stay open. */
static void become_passt(int fd, int report, const struct stream *s)
{
	const struct forwards *ports = &s->ports;
	const char *words[16] = { PROGRAM, "--foreground", "--quiet", "--fd" };
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
	if (!s->host_loopback) {
		words[n++] = "--no-map-gw";
		if (has_local_resolver()) {
			words[n++] = "--dns-forward";
			words[n++] = NET_NAME_SERVER;
		}
	}
	execvp(PROGRAM, (char **)words);
	if (write(report, &errno, sizeof(errno)) < 0)
		_exit(2);
	_exit(1);
}

/* Start it; 0 or the errno of its exec. */
static int start_passt(int fd, struct stream *s)
{
	int report[2], words[2], error = 0;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) || !words_open(words))
		return errno;
	pid = fork();
	if (!pid) {
		dup2(words[1], STDERR_FILENO);
		become_passt(fd, report[1], s);
	}
	s->words = words[0];
	close(words[1]);
	close(report[1]);
	if (pid < 0)
		error = errno;
	else if (RETRY(read(report[0], &error, sizeof(error))) > 0)
		waitpid(pid, NULL, 0);
	close(report[0]);
	return error;
}

static const char *no_passt(void)
{
	static char why[256];

	snprintf(why, sizeof(why), "the program passt is not installed; %s, or use tap=NAME",
		 how_to_install(PACKAGE_PASST, NULL).text);
	return why;
}

/*
 * passt writes without waiting: a frame that does not fit is lost, and for each that the
 * guest then misses it sends a window again.
 */
static void widen(int fd)
{
	const int bytes = SOCKET_ROOM;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static const char *open_user(struct net *net, char *argument)
{
	struct stream *s;
	const char *why = begin(&s, argument);
	int ends[2], error;

	net->state = s;
	if (why)
		return why;
	if (!s->host_loopback)
		rules_close_own(&s->rules);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return strerror(errno);
	widen(ends[1]);
	error = start_passt(ends[1], s);
	close(ends[1]);
	if (error) {
		close(ends[0]);
		return error == ENOENT ? no_passt() : strerror(error);
	}
	net->fd = ends[0];
	return NULL;
}

static void hang_up(struct net *net, const char *why)
{
	const struct stream *s = net->state;
	char words[200];

	if (net->fd < 0)
		return;
	words_last(s->words, words, sizeof(words));
	problem("network user: passt is gone (%s%s%s); the guest's network is down", why,
		*words ? ": " : "", words);
	shutdown(net->fd, SHUT_RDWR);
	net->fd = -1;
}

static bool may_go_out(struct stream *s, const uint8_t *frame, size_t size)
{
	if (rules_let_out(&s->rules, frame, size))
		return true;
	if (s->told < COMPLAINTS_MOST && ++s->told)
		note("network user: a frame is not let out, by a rule or because it goes to this machine");
	return false;
}

/*
 * passt drops a length that it reads without any byte behind it, and understands
 * nothing from then on: so both are sent as one.  The length takes the place of
 * the header, which passt does not want.  The thread that receives is the one
 * that closes.  The guest may change a frame at any time: what was looked at is a
 * copy, and that is what goes out.
 */
static void send_to_user(struct net *net, struct iovec *parts, unsigned int n, size_t size)
{
	struct stream *s = net->state;
	uint32_t length = htonl(size - NET_HEADER);
	uint8_t start[RULES_LOOK];
	struct iovec all[2 + VIRTQUEUE_MOST], *next = all;
	struct msghdr message = { 0 };
	size_t look = size - NET_HEADER < sizeof(start) ? size - NET_HEADER : sizeof(start);
	int fd = net->fd;

	if (fd < 0)
		return;
	parts_skip(&parts, &n, NET_HEADER);
	parts_peek(parts, start, look);
	if (!may_go_out(s, start, look))
		return;
	if (acks_again(&s->acks, start, look, size - NET_HEADER, now_ns() / 1000000))
		return;
	window_unscale(start, look);
	parts_skip(&parts, &n, look);
	all[0] = (struct iovec){ &length, sizeof(length) };
	all[1] = (struct iovec){ start, look };
	memcpy(all + 2, parts, n * sizeof(*parts));
	n += 2;
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

static bool leads_here(void *with, uint8_t protocol, uint16_t port)
{
	const struct forwards *ports = with;
	unsigned int i;

	for (i = 0; i < ports->count; i++)
		if (ports->to[i].protocol == protocol && ports->to[i].port == port)
			return true;
	return false;
}

static size_t take_frame(struct net *net, struct stream *s, struct iovec *parts, unsigned int n)
{
	uint32_t length;
	uint8_t *frame;

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
	frame = s->bytes + s->from + sizeof(length);
	memset(&net->header, 0, NET_HEADER);
	rules_note_call(&s->rules, frame, length, leads_here, &s->ports);
	window_unscale(frame, length);
	parts_write(parts + 1, n - 1, frame, length);
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
	.words = true,
	.check = check_user,
	.open = open_user,
	.send = send_to_user,
	.receive = receive_from_user,
};
