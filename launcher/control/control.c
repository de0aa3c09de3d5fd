// SPDX-License-Identifier: GPL-2.0
/*
 * The control thread: it answers requests at the socket of place.c, and is the
 * other end of `lguest console`.  Clients are the guest's own user, but may be
 * broken: each has a small buffer, none is waited for, and one that falls
 * behind loses what it did not read.
 *
 * A connection is for requests until one makes it a console: then bytes go to
 * the guest and come from it as they are, until either end closes.
 * Read next: command/client.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "control.h"
#include "devices/devices.h"
#include "hardware/counters.h"
#include "hardware/host.h"
#include "hardware/resident.h"
#include "jail/confine.h"
#include "lguest.h"
#include "place.h"
#include "restart.h"

#define CLIENTS_MOST	12
#define STAYING_MOST	8		/* consoles and stoppers: others find a place, always */
#define DEEPEST		8		/* brackets in a request */
#define KEPT		16384		/* bytes of output, for consoles */
#define SHOWN		2048		/* of these, to a new one */
#define RETRY		50		/* ms, for input and sizes */
#define PARK_TRIES	200		/* times 10 ms */
#define SECOND		1000000000ULL
#define HANDED_DOWN	"LGUEST_CONTROL"

enum role { REQUESTS, STOPPER, WAITER, CONSOLE };

struct client {
	int fd;			/* -1: none */
	enum role role;
	uint64_t heard;		/* when it last said something */
	uint64_t seen;		/* console: bytes of output it was sent */
	size_t size;
	char bytes[CONTROL_LINE];	/* of a line, or for the guest */
};

static struct control {
	struct control_settings settings;
	struct place place;
	bool opened, started;
	struct guest *guest;
	pthread_t thread;
	int wake;		/* eventfd: output, or stop */
	atomic_bool stop;
	FILE *counters, *smaps;
	uint64_t born;
	uint64_t deadline;	/* of a shutdown that was asked for, 0: none */
	atomic_bool stopping;
	unsigned int rows, columns;	/* that the guest shall learn, 0: none */
	struct client clients[CLIENTS_MOST];

	pthread_mutex_t lock;	/* of what follows */
	uint64_t total;		/* bytes of output ever */
	uint8_t kept[KEPT];
} control = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void drop(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

/*L:350
 * Output, on the vCPU's thread: kept in a ring, whether or not someone listens,
 * so that a console begins with the last lines.
 :*/
static void overhear(unsigned int port, const uint8_t *bytes, size_t size)
{
	struct control *c = &control;
	size_t i;

	if (port != c->settings.port &&
	    !(port == LGUEST_PORT_STDERR && c->settings.port == LGUEST_PORT_STDOUT))
		return;
	pthread_mutex_lock(&c->lock);
	for (i = 0; i < size; i++)
		c->kept[c->total++ % KEPT] = bytes[i];
	pthread_mutex_unlock(&c->lock);
	eventfd_write(c->wake, 1);
}

/* The next bytes for a console; it may have missed some. */
static size_t next_output(struct control *c, struct client *client, uint8_t *to, size_t room)
{
	size_t size = 0;

	pthread_mutex_lock(&c->lock);
	if (c->total - client->seen > KEPT)
		client->seen = c->total - KEPT;
	while (size < room && client->seen + size < c->total) {
		to[size] = c->kept[(client->seen + size) % KEPT];
		size++;
	}
	pthread_mutex_unlock(&c->lock);
	return size;
}

static bool behind(struct control *c, const struct client *client)
{
	bool more;

	pthread_mutex_lock(&c->lock);
	more = client->seen < c->total;
	pthread_mutex_unlock(&c->lock);
	return more;
}

static void send_output(struct control *c, struct client *client)
{
	uint8_t bytes[2048];
	size_t size;

	while ((size = next_output(c, client, bytes, sizeof(bytes)))) {
		ssize_t done = send(client->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (done > 0)
			client->seen += done;
		else if (done < 0 && errno == EAGAIN)
			return;
		else if (done == 0 || errno != EINTR)
			return drop(client);
	}
}

/* What an answer needs fits into any socket; who lets them pile up is out. */
static void answer(struct client *client, json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	size_t size = text ? strlen(text) : 0;

	json_decref(object);
	if (text)
		text[size] = '\n';	/* in place of the NUL */
	if (!text || send(client->fd, text, size + 1, MSG_DONTWAIT | MSG_NOSIGNAL) !=
		     (ssize_t)size + 1)
		drop(client);
	free(text);
}

/* All that is kept, behind an answer that says how much: with it, it fits into a socket. */
static void send_kept(struct control *c, struct client *client)
{
	static uint8_t bytes[KEPT];
	struct client all = { .seen = 0 };
	size_t size = next_output(c, &all, bytes, sizeof(bytes));

	answer(client, json_pack("{s:b,s:I}", "ok", 1, "bytes", (json_int_t)size));
	if (client->fd >= 0 &&
	    send(client->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
		drop(client);
}

static json_t *done(void)
{
	return json_pack("{s:b}", "ok", 1);
}

static json_t *failed(const char *why)
{
	return json_pack("{s:b,s:s}", "ok", 0, "error", why);
}

static const char *state_of(const struct control *c)
{
	if (c->guest->paused)
		return "paused";
	if (guest_held())
		return "host full";
	return c->stopping ? "stopping" : "running";
}

static json_t *tell_status(struct control *c)
{
	struct resident resident;

	if (!resident_read(c->smaps, &c->guest->memory, &resident))
		return failed("cannot read /proc/self/smaps");
	return json_pack("{s:b,s:s,s:i,s:s,s:I,s:I,s:I,s:I,s:i,s:b,s:s*}", "ok", 1,
			 "name", c->settings.name, "pid", (int)getpid(),
			 "state", state_of(c),
			 "memory", (json_int_t)c->guest->memory.size,
			 "touched", (json_int_t)resident.guest,
			 "launcher", (json_int_t)resident.launcher,
			 "seconds", (json_int_t)((now_ns() - c->born) / SECOND),
			 "restarts", (int)restart_count(),
			 "ready", (int)atomic_load(&c->guest->console.ready),
			 "exec", c->settings.exec);
}

static json_t *balloon_of(void)
{
	struct balloon_stats stats;

	devices_balloon_stats(&stats);
	return json_pack("{s:I,s:I,s:I,s:I}", "target", (json_int_t)stats.target,
			 "actual", (json_int_t)stats.actual,
			 "free", (json_int_t)stats.free,
			 "available", (json_int_t)stats.available);
}

/* The Host's counters are root's. */
static json_t *tell_statistics(struct control *c)
{
	static struct counters counters;
	json_t *list = NULL;
	unsigned int i;

	if (c->counters && !counters_again(c->counters, &counters)) {
		list = json_object();
		for (i = 0; i < counters.count; i++)
			json_object_set_new(list, counters.list[i].name,
					    json_integer(counters.list[i].value));
	}
	return json_pack("{s:b,s:o,s:o*}", "ok", 1, "balloon", balloon_of(), "counters", list);
}

/* A kick just before the vCPU enters the Host is lost; the next one is not. */
static bool wait_parked(struct guest *guest, bool wanted)
{
	int i;

	for (i = 0; i < PARK_TRIES && guest->parked != wanted && !guest->end; i++) {
		kick_vcpu(guest);
		usleep(10000);
	}
	return guest->parked == wanted;
}

static json_t *pause_guest(struct control *c)
{
	atomic_store(&c->guest->paused, true);
	if (wait_parked(c->guest, true))
		return done();
	atomic_store(&c->guest->paused, false);
	return failed("the guest cannot be paused now: it waits for somebody to take its output");
}

/* What waits for room on the host is tried again; as the last time, if it is to end. */
static void resume_guest(struct control *c, bool to_end)
{
	devices_retry(to_end);
	atomic_store(&c->guest->paused, false);
	if (to_end || !guest_held())
		wait_parked(c->guest, false);
}

/* Its own shutdown first; deadline says when patience ends. */
static json_t *stop_guest(struct control *c, const json_t *request)
{
	double limit = 30;
	int force = 0;

	if (json_unpack((json_t *)request, "{s?F,s?b}", "limit", &limit, "force", &force) ||
	    !(limit >= 0 && limit <= 315360000))
		return failed("limit is a number of seconds, force is true or false");
	resume_guest(c, true);
	atomic_store(&c->stopping, true);
	c->deadline = now_ns() + (force ? 0 : (uint64_t)(limit * SECOND));
	if (!force)
		host_irq(c->guest->fd, LGUEST_IRQ_POWER);
	return done();
}

static bool may_stay(const struct control *c)
{
	unsigned int staying = 0;
	size_t i;

	for (i = 0; i < CLIENTS_MOST; i++)
		staying += c->clients[i].fd >= 0 && c->clients[i].role != REQUESTS;
	return staying < STAYING_MOST;
}

/* It is told when force is used; if too many are, the guest is asked all the same. */
static json_t *stop_by(struct control *c, struct client *client, const json_t *request)
{
	bool stays = may_stay(c);
	json_t *reply = stop_guest(c, request);

	if (stays)
		client->role = STOPPER;
	if (stays || !json_is_true(json_object_get(reply, "ok")))
		return reply;
	json_decref(reply);
	return failed("it is asked to stop, but too many wait for that already");
}

static json_t *set_balloon(const json_t *request)
{
	json_int_t bytes = -1;

	if (json_unpack((json_t *)request, "{s:I}", "bytes", &bytes) || bytes < 0)
		return failed("bytes is missing, or no number");
	if (!devices_balloon(bytes))
		return failed("the guest has less memory than that");
	return done();
}

static bool take_size(struct control *c, const json_t *request)
{
	int rows = 0, columns = 0;

	if (json_unpack((json_t *)request, "{s?i,s?i}", "rows", &rows, "columns", &columns))
		return false;
	if (rows > 0 && rows < 10000 && columns > 0 && columns < 10000) {
		c->rows = rows;
		c->columns = columns;
	}
	return true;
}

/* /init reads it once it has said that it is ready. */
static void pass_size_on(struct control *c)
{
	if (!c->rows || !atomic_load(&c->guest->console.ready))
		return;
	guest_tell_size(c->guest, c->rows, c->columns);
	c->rows = 0;
}

static void become_console(struct control *c, struct client *client)
{
	client->role = CONSOLE;
	pthread_mutex_lock(&c->lock);
	client->seen = c->total > SHOWN ? c->total - SHOWN : 0;
	pthread_mutex_unlock(&c->lock);
}

/*L:355
 * The commands.  Fields that nobody knows are passed over: a newer client may
 * say more than we understand.  NULL: it is answered already.
 :*/
static json_t *obey(struct control *c, struct client *client, const json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command"));

	if (!command)
		return failed("a request is an object with a command");
	if (!strcmp(command, "status"))
		return tell_status(c);
	if (!strcmp(command, "statistics"))
		return tell_statistics(c);
	if (!strcmp(command, "pause"))
		return pause_guest(c);
	if (!strcmp(command, "resume")) {
		resume_guest(c, false);
		return done();
	}
	if (!strcmp(command, "balloon"))
		return set_balloon(request);
	if (!strcmp(command, "wait")) {
		if (!may_stay(c))
			return failed("as many wait for it as can");
		client->role = WAITER;
		return done();
	}
	if (!strcmp(command, "logs")) {
		send_kept(c, client);
		return NULL;
	}
	if (!strcmp(command, "stop"))
		return stop_by(c, client, request);
	if (!strcmp(command, "size") || !strcmp(command, "console")) {
		if (!take_size(c, request))
			return failed("rows and columns are numbers");
		if (*command == 's')
			return done();
		if (!may_stay(c))
			return failed("it has as many consoles as it can have; leave one");
		become_console(c, client);
		return done();
	}
	return failed("no such command");
}

/* The parser calls itself for each bracket. */
static bool too_deep(const char *line, size_t size)
{
	unsigned int deep = 0;

	for (; size; size--, line++)
		deep += *line == '[' || *line == '{';
	return deep > DEEPEST;
}

static void serve(struct control *c, struct client *client, const char *line, size_t size)
{
	json_t *request = NULL, *reply;
	json_error_t error;

	if (!too_deep(line, size))
		request = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
	reply = request ? obey(c, client, request) : failed("this is no JSON object");
	json_decref(request);
	if (reply)
		answer(client, reply);
}

static void forget(struct client *client, size_t size)
{
	client->size -= size;
	memmove(client->bytes, client->bytes + size, client->size);
}

/* All whole lines; a line that fills the buffer never ends. */
static void serve_lines(struct control *c, struct client *client)
{
	char *end;

	while (client->fd >= 0 && client->role != CONSOLE &&
	       (end = memchr(client->bytes, '\n', client->size))) {
		size_t size = end - client->bytes;

		serve(c, client, client->bytes, size);
		forget(client, size + 1);
	}
	if (client->fd >= 0 && client->role != CONSOLE && client->size == sizeof(client->bytes)) {
		answer(client, failed("the line is too long"));
		drop(client);
	}
}

static void push_keys(struct control *c, struct client *client)
{
	size_t taken;

	if (!client->size)
		return;
	taken = console_input(&c->guest->console, c->settings.port,
			      (uint8_t *)client->bytes, client->size);
	forget(client, taken);
	if (taken)
		host_irq(c->guest->fd, LGUEST_IRQ_CONSOLE);
}

static void hear(struct control *c, struct client *client)
{
	ssize_t got = recv(client->fd, client->bytes + client->size,
			   sizeof(client->bytes) - client->size, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		return drop(client);
	client->heard = now_ns();
	client->size += got;
	serve_lines(c, client);
}

/* A free place, or that of the one which has been silent the longest. */
static struct client *make_room(struct control *c)
{
	struct client *oldest = NULL;
	size_t i;

	for (i = 0; i < CLIENTS_MOST; i++) {
		struct client *client = &c->clients[i];

		if (client->fd < 0)
			return client;
		if (client->role == REQUESTS && (!oldest || client->heard < oldest->heard))
			oldest = client;
	}
	if (oldest)
		drop(oldest);
	return oldest;
}

static void add_client(struct control *c, int fd, enum role role)
{
	struct client *client = make_room(c);

	if (!client) {
		close(fd);
		return;
	}
	memset(client, 0, sizeof(*client));
	client->fd = fd;
	client->role = role;
	client->heard = now_ns();
}

static void welcome(struct control *c)
{
	int fd = accept4(c->place.socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		add_client(c, fd, REQUESTS);
}

/* The guest had its time to shut down. */
static void use_force(struct control *c)
{
	size_t i;

	c->deadline = 0;
	for (i = 0; i < CLIENTS_MOST; i++)
		if (c->clients[i].fd >= 0 && c->clients[i].role == STOPPER)
			answer(&c->clients[i], json_pack("{s:b}", "forced", 1));
	request_end(c->guest, END_STOP);
	tell_watch(c->guest);
}

static int patience(const struct control *c)
{
	uint64_t now = now_ns(), least = UINT64_MAX;
	size_t i;

	if (c->rows)
		least = RETRY;
	for (i = 0; i < CLIENTS_MOST; i++)
		if (c->clients[i].fd >= 0 && c->clients[i].role == CONSOLE &&
		    c->clients[i].size)
			least = RETRY;
	if (c->deadline) {
		uint64_t left = c->deadline > now ? (c->deadline - now) / 1000000 + 1 : 0;

		if (left < least)
			least = left;
	}
	return least == UINT64_MAX ? -1 : least > 1000000 ? 1000000 : (int)least;
}

/* A console whose last keys the guest has not taken waits with the next. */
static short events_of(struct control *c, const struct client *client)
{
	short events = client->role != CONSOLE || !client->size ? POLLIN : 0;

	if (client->role == CONSOLE && behind(c, client))
		events |= POLLOUT;
	return events;
}

static void attend(struct control *c, struct client *client, short events)
{
	if (events & (POLLIN | POLLHUP | POLLERR)) {
		if (client->size < sizeof(client->bytes))
			hear(c, client);
		else
			drop(client);
	}
	if (client->fd >= 0 && client->role == CONSOLE) {
		push_keys(c, client);
		send_output(c, client);
	}
}

static void *control_thread(void *argument)
{
	struct control *c = argument;
	struct pollfd fds[CLIENTS_MOST + 2];
	uint64_t count;
	size_t i;

	if (!confine_thread(THREAD_CONTROL)) {
		request_end(c->guest, END_CONFINE);
		tell_watch(c->guest);
		return NULL;
	}
	resident_give_back();
	while (!c->stop) {
		fds[CLIENTS_MOST] = (struct pollfd){ c->wake, POLLIN, 0 };
		fds[CLIENTS_MOST + 1] = (struct pollfd){ c->place.socket, POLLIN, 0 };
		for (i = 0; i < CLIENTS_MOST; i++)
			fds[i] = (struct pollfd){ c->clients[i].fd,
						  events_of(c, &c->clients[i]), 0 };
		if (poll(fds, CLIENTS_MOST + 2, patience(c)) < 0)
			continue;
		if (fds[CLIENTS_MOST].revents && read(c->wake, &count, sizeof(count)) < 0)
			continue;
		for (i = 0; i < CLIENTS_MOST; i++)
			if (c->clients[i].fd >= 0)
				attend(c, &c->clients[i], fds[i].revents);
		pass_size_on(c);
		if (c->deadline && now_ns() >= c->deadline)
			use_force(c);
		if (fds[CLIENTS_MOST + 1].revents)
			welcome(c);
	}
	return NULL;
}

/* "LOCK SOCKET CLIENT...": descriptors; those of who waits for the end are negative. */
static bool take_over(struct control *c)
{
	const char *text = restart_count() ? getenv(HANDED_DOWN) : NULL;
	int lock, socket, fd, used;

	if (!text || sscanf(text, "%d %d%n", &lock, &socket, &used) != 2)
		return false;
	fcntl(lock, F_SETFD, FD_CLOEXEC);
	fcntl(socket, F_SETFD, FD_CLOEXEC);
	for (text += used; sscanf(text, "%d%n", &fd, &used) == 1; text += used) {
		fcntl(abs(fd), F_SETFD, FD_CLOEXEC);
		add_client(c, abs(fd), fd < 0 ? WAITER : CONSOLE);
	}
	unsetenv(HANDED_DOWN);
	return place_take_again(&c->place, c->settings.name, lock, socket);
}

bool control_open(const struct control_settings *settings)
{
	struct control *c = &control;
	unsigned int seed = 1;
	size_t i;

	c->settings = *settings;
	for (i = 0; i < CLIENTS_MOST; i++)
		c->clients[i].fd = -1;
	/* Or the library would open a file for it when it can no more. */
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) || !seed)
		seed = 1;
	json_object_seed(seed);
	c->born = now_ns();
	c->opened = take_over(c) || place_take(&c->place, settings->name);
	return c->opened;
}

bool control_start(struct guest *guest)
{
	struct control *c = &control;
	int error;

	if (!c->opened)
		return true;
	c->guest = guest;
	c->counters = counters_open(getpid());
	c->smaps = resident_open();
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	guest->overhear = overhear;
	error = c->wake < 0 ? errno : pthread_create(&c->thread, NULL, control_thread, c);
	if (error)
		problem("cannot start the control thread: %s; check `ulimit -u -n`",
			strerror(error));
	c->started = !error;
	return c->started;
}

void control_stop(void)
{
	struct control *c = &control;
	size_t i;

	if (!c->started)
		return;
	c->started = false;
	atomic_store(&c->stop, true);
	eventfd_write(c->wake, 1);
	pthread_join(c->thread, NULL);
	/* The last words. */
	for (i = 0; i < CLIENTS_MOST; i++)
		if (c->clients[i].fd >= 0 && c->clients[i].role == CONSOLE)
			send_output(c, &c->clients[i]);
}

bool control_stopping(void)
{
	return control.stopping;
}

void control_hand_down(void)
{
	struct control *c = &control;
	char text[16 * (CLIENTS_MOST + 2)];
	size_t used, i;

	if (!c->opened)
		return;
	fcntl(c->place.lock, F_SETFD, 0);
	fcntl(c->place.socket, F_SETFD, 0);
	used = sprintf(text, "%d %d", c->place.lock, c->place.socket);
	for (i = 0; i < CLIENTS_MOST; i++) {
		const struct client *client = &c->clients[i];

		if (client->fd < 0 || (client->role != CONSOLE && client->role != WAITER))
			continue;
		fcntl(client->fd, F_SETFD, 0);
		used += sprintf(text + used, " %d", client->role == WAITER ? -client->fd :
								     client->fd);
	}
	setenv(HANDED_DOWN, text, 1);
}

void control_close(int status)
{
	struct control *c = &control;
	size_t i;

	if (!c->opened)
		return;
	for (i = 0; i < CLIENTS_MOST && status >= 0; i++)
		if (c->clients[i].fd >= 0 && c->clients[i].role == WAITER)
			answer(&c->clients[i], json_pack("{s:i}", "status", status));
	place_leave(&c->place, c->settings.keep ? status : -1);
	c->opened = false;
}
