// SPDX-License-Identifier: GPL-2.0
/*
 * The supervisor's clients: requests at the socket of place.c are answered, and the
 * other end of `lguest console` is here.  Clients are the guest's own user, but may be
 * broken: each has a small buffer, none is waited for, and one that falls
 * behind loses what it did not read.  What only the machine knows it is asked, one
 * question at a time; whose question that is gets the answer, and others wait.
 *
 * A connection is for requests until one makes it a console: then bytes go to
 * the guest and come from it as they are, until either end closes.
 * Read next: command/client.c.
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "control.h"
#include "hardware/guest.h"
#include "hardware/resident.h"
#include "lguest.h"
#include "place.h"

#define STAYING_MOST	8		/* consoles and stoppers: others find a place, always */
#define DEEPEST		8		/* brackets in a request */
#define KEPT		16384		/* bytes of output, for consoles */
#define SHOWN		2048		/* of these, to a new one */
#define SECOND		1000000000ULL
#define YOUNG		(2 * SECOND)	/* so long it may take to ask */

enum role { REQUESTS, STOPPER, WAITER, CONSOLE };

struct client {
	int fd;			/* -1: none */
	enum role role;
	bool asks;		/* its question is with the machine */
	uint64_t heard;		/* when it last said something */
	uint64_t seen;		/* console: bytes of output it was sent */
	size_t size;
	char bytes[CONTROL_LINE];	/* of a line, or for the guest */
};

struct control {
	struct control_settings settings;
	struct place place;
	struct link *link;
	json_t *counters;	/* of the answer that comes */
	bool later;		/* the line that was served must wait for it */
	uint64_t born;
	uint64_t deadline;	/* of a shutdown that was asked for, 0: none */
	bool stopping, paused;
	unsigned int restarts;
	struct client clients[CLIENTS_MOST];

	uint64_t total;		/* bytes of output ever */
	uint8_t kept[KEPT];
};

static void drop(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

/*L:350
 * Output is kept in a ring, whether or not someone listens, so that a console begins
 * with the last lines.
 :*/
void control_overhear(struct control *c, unsigned int port, const uint8_t *bytes, size_t size)
{
	size_t i;

	if (!c || (port != c->settings.port &&
	    !(port == LGUEST_PORT_STDERR && c->settings.port == LGUEST_PORT_STDOUT)))
		return;
	for (i = 0; i < size; i++)
		c->kept[c->total++ % KEPT] = bytes[i];
}

/* The next bytes for a console; it may have missed some. */
static size_t next_output(struct control *c, struct client *client, uint8_t *to, size_t room)
{
	size_t size = 0;

	if (c->total - client->seen > KEPT)
		client->seen = c->total - KEPT;
	while (size < room && client->seen + size < c->total) {
		to[size] = c->kept[(client->seen + size) % KEPT];
		size++;
	}
	return size;
}

static bool behind(struct control *c, const struct client *client)
{
	return client->seen < c->total;
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

static void serve_lines(struct control *c, struct client *client);

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
	if (!c->link->built)
		return "starting";
	if (c->paused)
		return "paused";
	if (c->link->stands)
		return "host full";
	return c->stopping ? "stopping" : "running";
}

static json_t *tell_status(const struct control *c, const uint64_t numbers[2])
{
	static const struct memory none;
	FILE *smaps = resident_open();
	struct resident own;
	bool ok = resident_read(smaps, &none, &own);

	if (smaps)
		fclose(smaps);
	if (!ok)
		return failed("cannot read /proc/self/smaps");
	return json_pack("{s:b,s:s,s:i,s:s,s:i,s:I,s:I,s:I,s:I,s:i,s:b,s:s*}", "ok", 1,
			 "name", c->settings.name, "pid", (int)getpid(),
			 "state", state_of(c),
			 "vcpus", (int)c->settings.vcpus,
			 "memory", (json_int_t)c->settings.memory,
			 "touched", (json_int_t)numbers[0],
			 "launcher", (json_int_t)(numbers[1] + own.launcher),
			 "seconds", (json_int_t)((now_ns() - c->born) / SECOND),
			 "restarts", (int)c->restarts,
			 "ready", (int)c->link->ready,
			 "exec", c->settings.exec);
}

/* The Host's counters are root's: for others there are none. */
static json_t *tell_statistics(struct control *c, const uint64_t numbers[4])
{
	json_t *list = c->counters;

	c->counters = NULL;
	return json_pack("{s:b,s:{s:I,s:I,s:I,s:I},s:o*}", "ok", 1, "balloon",
			 "target", (json_int_t)numbers[0], "actual", (json_int_t)numbers[1],
			 "free", (json_int_t)numbers[2], "available", (json_int_t)numbers[3],
			 "counters", list);
}

void control_counter(struct control *c, const struct wire_message *message, size_t size)
{
	char name[WIRE_BYTES + 1];
	size_t i;

	if (!c)
		return;
	for (i = 0; i < size; i++)
		if (!isalnum(message->bytes[i]) && message->bytes[i] != '_')
			return;
	memcpy(name, message->bytes, size);
	name[size] = '\0';
	if (!c->counters)
		c->counters = json_object();
	json_object_set_new(c->counters, name, json_integer(message->number));
}

static json_t *answer_of(struct control *c, const struct wire_message *message,
			 const uint64_t *numbers)
{
	switch (message->kind) {
	case WIRE_ASK_STATUS:
		return message->value ? tell_status(c, numbers) :
					failed("cannot read /proc/self/smaps");
	case WIRE_ASK_STATISTICS:
		return tell_statistics(c, numbers);
	case WIRE_ASK_PAUSE:
		c->paused = message->value;
		return message->value ? done() :
		       failed("the guest cannot be paused now: it waits for somebody to take its output");
	case WIRE_ASK_RESUME:
		c->paused = false;
		return done();
	default:
		return message->value ? done() : failed("the guest has less memory than that");
	}
}

/* Whoever asked may be gone, and is not asked whether he is. */
static void give_answer(struct control *c, json_t *reply)
{
	size_t i;

	for (i = 0; i < CLIENTS_MOST; i++) {
		struct client *client = &c->clients[i];

		if (client->fd < 0 || !client->asks)
			continue;
		client->asks = false;
		answer(client, json_incref(reply));
	}
	json_decref(reply);
	for (i = 0; i < CLIENTS_MOST; i++)
		if (c->clients[i].fd >= 0)
			serve_lines(c, &c->clients[i]);
}

void control_answer(struct control *c, const struct wire_message *message, size_t size)
{
	uint64_t numbers[4] = { 0 };

	if (!c)
		return;
	memcpy(numbers, message->bytes, size < sizeof(numbers) ? size : sizeof(numbers));
	give_answer(c, answer_of(c, message, numbers));
}

/* NULL: the machine will answer, or has to answer somebody else before. */
static json_t *ask(struct control *c, struct client *client, enum wire_kind question,
		   uint64_t number)
{
	static const uint64_t none[4];

	/* What another has just asked is answered to both. */
	if (c->link->asked) {
		client->asks = question == c->link->question && question <= WIRE_ASK_STATISTICS;
		c->later = !client->asks;
		return NULL;
	}
	if (link_ask(c->link, question, number)) {
		client->asks = true;
		return NULL;
	}
	if (question == WIRE_ASK_STATUS)
		return tell_status(c, none);
	return failed("the guest has not begun, or has ended");
}

/* Its own shutdown first; deadline says when patience ends. */
static json_t *stop_guest(struct control *c, const json_t *request)
{
	double limit = 30;
	int force = 0;

	if (json_unpack((json_t *)request, "{s?F,s?b}", "limit", &limit, "force", &force) ||
	    !(limit >= 0 && limit <= 315360000))
		return failed("limit is a number of seconds, force is true or false");
	c->stopping = true;
	c->paused = false;
	c->deadline = now_ns() + (force ? 0 : (uint64_t)(limit * SECOND));
	if (!force && c->link->built)
		wire_say(c->link->talk, WIRE_POWER, 0, 0);
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

static json_t *set_balloon(struct control *c, struct client *client, const json_t *request)
{
	json_int_t bytes = -1;

	if (json_unpack((json_t *)request, "{s:I}", "bytes", &bytes) || bytes < 0)
		return failed("bytes is missing, or no number");
	return ask(c, client, WIRE_ASK_BALLOON, bytes);
}

static bool take_size(struct control *c, const json_t *request)
{
	int rows = 0, columns = 0;

	if (json_unpack((json_t *)request, "{s?i,s?i}", "rows", &rows, "columns", &columns))
		return false;
	if (rows > 0 && rows < 10000 && columns > 0 && columns < 10000)
		c->settings.resize(rows, columns);
	return true;
}

static void become_console(struct control *c, struct client *client)
{
	client->role = CONSOLE;
	client->seen = c->total > SHOWN ? c->total - SHOWN : 0;
}

/*L:355
 * The commands.  Fields that nobody knows are passed over: a newer client may
 * say more than we understand.  NULL: it is answered already, or will be.
 :*/
static json_t *obey(struct control *c, struct client *client, const json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command"));

	if (!command)
		return failed("a request is an object with a command");
	if (!strcmp(command, "status"))
		return ask(c, client, WIRE_ASK_STATUS, 0);
	if (!strcmp(command, "statistics"))
		return ask(c, client, WIRE_ASK_STATISTICS, 0);
	if (!strcmp(command, "pause"))
		return ask(c, client, WIRE_ASK_PAUSE, 0);
	if (!strcmp(command, "resume"))
		return ask(c, client, WIRE_ASK_RESUME, 0);
	if (!strcmp(command, "balloon"))
		return set_balloon(c, client, request);
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

/*
 * All whole lines, but none after a question that is not answered yet; and a question
 * waits for that of another.  What needs no machine, as `stop`, never does.
 */
static void serve_lines(struct control *c, struct client *client)
{
	char *end = NULL;

	while (client->fd >= 0 && client->role != CONSOLE && !client->asks &&
	       (end = memchr(client->bytes, '\n', client->size))) {
		size_t size = end - client->bytes;

		serve(c, client, client->bytes, size);
		if (c->later) {
			c->later = false;
			return;
		}
		forget(client, size + 1);
	}
	/* A line that fills the buffer never ends. */
	if (client->fd >= 0 && client->role != CONSOLE && !client->asks && !end &&
	    client->size == sizeof(client->bytes)) {
		answer(client, failed("the line is too long"));
		drop(client);
	}
}

static void push_keys(struct control *c, struct client *client)
{
	forget(client, link_input(c->link, c->settings.port, client->bytes, client->size));
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

/* Its question is with the machine, or waits for another's, or may be on its way. */
static bool waits(const struct client *client)
{
	return client->asks || memchr(client->bytes, '\n', client->size) ||
	       now_ns() - client->heard < YOUNG;
}

/* A free place, or that of the one which has been silent the longest; or NULL. */
static struct client *find_room(struct control *c)
{
	struct client *oldest = NULL;
	size_t i;

	for (i = 0; i < CLIENTS_MOST; i++) {
		struct client *client = &c->clients[i];

		if (client->fd < 0)
			return client;
		if (client->role == REQUESTS && !waits(client) &&
		    (!oldest || client->heard < oldest->heard))
			oldest = client;
	}
	return oldest;
}

static void add_client(struct control *c, int fd, enum role role)
{
	struct client *client = find_room(c);

	if (!client) {
		close(fd);
		return;
	}
	drop(client);
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
	c->settings.end(END_STOP);
}

/* A console whose last keys the guest has not taken waits with the next. */
static short events_of(struct control *c, const struct client *client)
{
	bool full = client->role == CONSOLE ? client->size :
					      client->size == sizeof(client->bytes);
	short events = full ? 0 : POLLIN;

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

uint64_t control_deadline(struct control *c)
{
	uint64_t look = c && !find_room(c) ? now_ns() + YOUNG : 0;

	if (!c)
		return 0;
	return look && (!c->deadline || look < c->deadline) ? look : c->deadline;
}

void control_poll(struct control *c, struct pollfd fds[CONTROL_FDS])
{
	size_t i;

	/* Who finds no place waits before the door. */
	fds[CLIENTS_MOST] = (struct pollfd){ c && find_room(c) ? c->place.socket : -1, POLLIN, 0 };
	for (i = 0; i < CLIENTS_MOST; i++)
		fds[i] = (struct pollfd){ c ? c->clients[i].fd : -1,
					  c ? events_of(c, &c->clients[i]) : 0, 0 };
}

void control_attend(struct control *c, const struct pollfd fds[CONTROL_FDS])
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < CLIENTS_MOST; i++)
		if (c->clients[i].fd >= 0)
			attend(c, &c->clients[i], fds[i].revents);
	if (c->deadline && now_ns() >= c->deadline)
		use_force(c);
	if (fds[CLIENTS_MOST].revents && find_room(c))
		welcome(c);
}

struct control *control_open(const struct control_settings *settings, struct link *link)
{
	struct control *c = calloc(1, sizeof(*c));
	unsigned int seed = 1;
	size_t i;

	if (!c) {
		problem("no memory for the guest's name");
		return NULL;
	}
	c->settings = *settings;
	for (i = 0; i < CLIENTS_MOST; i++)
		c->clients[i].fd = -1;
	/* Or the library would open a file for it when it can no more. */
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) || !seed)
		seed = 1;
	json_object_seed(seed);
	c->born = now_ns();
	c->link = link;
	if (place_take(&c->place, settings->name))
		return c;
	free(c);
	return NULL;
}

void control_built(struct control *c)
{
	/* It was asked to stop before it could hear of it. */
	if (c && c->stopping)
		wire_say(c->link->talk, WIRE_POWER, 0, 0);
}

/* Whose question went to a machine that is no more. */
void control_machine_gone(struct control *c, bool restarts)
{
	if (!c)
		return;
	c->restarts += restarts;
	c->paused = false;
	json_decref(c->counters);
	c->counters = NULL;
	give_answer(c, failed("the guest has ended, or restarts"));
}

bool control_stopping(const struct control *c)
{
	return c && c->stopping;
}

void control_close(struct control *c, int status)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < CLIENTS_MOST; i++)	/* the last words */
		if (c->clients[i].fd >= 0 && c->clients[i].role == CONSOLE)
			send_output(c, &c->clients[i]);
	for (i = 0; i < CLIENTS_MOST && status >= 0; i++)
		if (c->clients[i].fd >= 0 && c->clients[i].role == WAITER)
			answer(&c->clients[i], json_pack("{s:i}", "status", status));
	place_leave(&c->place, c->settings.keep ? status : -1);
	json_decref(c->counters);
	free(c);
}
