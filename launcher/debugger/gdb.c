// SPDX-License-Identifier: GPL-2.0
/*
 * The debugger's connection.  While the guest stands, the vCPU's thread answers
 * packets, for only it may ask the Host for registers; while it runs, the
 * watching thread (watch.c) looks after the socket, and calls.
 * Next: gdb_packet.c, then gdb_commands.c, gdb_memory.c.
 * Read next: gdb_packet.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/user.h>
#include <unistd.h>

#include "control/restart.h"
#include "gdb.h"
#include "gdb_commands.h"
#include "hardware/host.h"
#include "jail/confine.h"
#include "lguest.h"

#define HANDED_DOWN	"LGUEST_GDB"	/* "LISTENER CONNECTION NO_ACK" */
#define LOOK_AGAIN	1000		/* ms */
/* As signals of gdb's protocol, which numbers them as Linux does. */
#define STOP_ASKED	SIGINT
#define STOP_TRAP	SIGTRAP

static struct gdb {
	struct guest *guest;
	struct gdb_memory memory;
	struct sockaddr_un address;
	struct stat socket;	/* as we made it */
	int listener, connection;	/* or -1 */
	bool opened;
	bool first_stop;	/* the guest stands before its first instruction */
	bool awaited;		/* the debugger waits for a stop */
	bool stepping, hit;	/* the next record is a stop; the last was a breakpoint */
	bool no_ack;
	struct gdb_stream in;
	char last[GDB_FRAME_MOST];	/* the last reply */
	size_t last_size;
	/* Between the two threads. */
	atomic_int source;	/* to be polled by the watching one, or -1 */
	atomic_bool called;
} gdb = { .listener = -1, .connection = -1, .source = -1 };

static int say_why(const char *path, const char *why)
{
	problem("run: cannot listen for a debugger at %s: %s; give --gdb another path",
		path, why);
	return -1;
}

/* A socket that nobody listens at any more was left behind. */
static bool path_is_free(const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	struct stat status;
	bool in_use;
	int fd;

	if (lstat(path, &status))
		return true;
	if (!S_ISSOCK(status.st_mode)) {
		say_why(path, "there is a file, and it is no socket");
		return false;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	in_use = fd < 0 || !connect(fd, (const void *)address, sizeof(*address)) ||
		 errno != ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	if (in_use)
		say_why(path, "somebody listens there");
	return !in_use && !unlink(path);
}

/*L:460
 * Who may connect reads and writes all of the guest: a socket with the rights of
 * its file, not a port, so that it is the user who started the guest and no other.
 :*/
static int listen_at(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask = umask(0177);
	int error = fd < 0 || bind(fd, (const void *)address, sizeof(*address)) ||
		    listen(fd, 1) ? errno : 0;

	umask(mask);
	if (!error)
		return fd;
	if (fd >= 0)
		close(fd);
	return say_why(address->sun_path, strerror(error));
}

/* A debugger that was there when the guest restarted stays connected. */
static bool take_over(struct gdb *g)
{
	const char *text = restart_count() ? getenv(HANDED_DOWN) : NULL;
	int no_ack;

	if (!text || sscanf(text, "%d %d %d", &g->listener, &g->connection, &no_ack) != 3)
		return false;
	unsetenv(HANDED_DOWN);
	fcntl(g->listener, F_SETFD, FD_CLOEXEC);
	if (g->connection >= 0)
		fcntl(g->connection, F_SETFD, FD_CLOEXEC);
	g->no_ack = no_ack;
	g->first_stop = g->awaited = g->connection >= 0;
	return true;
}

bool gdb_check(const char *path)
{
	if (*path && strlen(path) < sizeof(gdb.address.sun_path))
		return true;
	say_why(path, "the path is missing or too long");
	return false;
}

bool gdb_open(const char *path)
{
	struct gdb *g = &gdb;

	if (!gdb_check(path))
		return false;
	g->address.sun_family = AF_UNIX;
	strcpy(g->address.sun_path, path);
	if (!take_over(g)) {
		if (!path_is_free(&g->address))
			return false;
		g->listener = listen_at(&g->address);
		g->first_stop = true;
		if (g->listener >= 0)
			problem("the guest waits for a debugger: gdb vmlinux -ex 'target remote %s'",
				path);
	}
	g->opened = g->listener >= 0;
	if (g->opened) {
		confine_allow_accept();
		stat(path, &g->socket);
	}
	return g->opened;
}

void gdb_close(void)
{
	struct gdb *g = &gdb;
	struct stat now;

	if (!g->opened)
		return;
	if (!lstat(g->address.sun_path, &now) && now.st_ino == g->socket.st_ino &&
	    now.st_dev == g->socket.st_dev)
		unlink(g->address.sun_path);
	close(g->listener);
	g->opened = false;
}

void gdb_hand_down(void)
{
	struct gdb *g = &gdb;
	char text[64];

	if (!g->opened)
		return;
	fcntl(g->listener, F_SETFD, 0);
	if (g->connection >= 0)
		fcntl(g->connection, F_SETFD, 0);
	snprintf(text, sizeof(text), "%d %d %d", g->listener, g->connection, g->no_ack);
	setenv(HANDED_DOWN, text, 1);
}

/* ---- The watching thread's ---- */

int gdb_source(void)
{
	return gdb.called ? -1 : gdb.source;
}

void gdb_call(void)
{
	atomic_store(&gdb.called, true);
	kick_vcpu(gdb.guest);
}

bool gdb_calling(void)
{
	return gdb.called && gdb.source >= 0;
}

/* ---- The vCPU's ---- */

/* The debugger is gone, or no good: the guest is free of it. */
static void lose(struct gdb *g)
{
	gdb_remove_all(&g->memory);
	if (g->stepping)
		host_step(g->guest->fd, false);
	close(g->connection);
	g->connection = -1;
	g->in.size = g->last_size = 0;
	g->no_ack = g->awaited = g->stepping = false;
}

static void greet(struct gdb *g)
{
	g->connection = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* While the guest stands it counts as paused, if it shall be; kicks wake us. */
static bool wait_for(struct gdb *g, int fd, short events)
{
	struct pollfd poll_fd = { fd, events, 0 };

	atomic_store(&g->guest->parked, g->guest->paused);
	return poll(&poll_fd, 1, LOOK_AGAIN) > 0;
}

static void send_all(struct gdb *g, const char *bytes, size_t size)
{
	while (size && g->connection >= 0 && !g->guest->end) {
		ssize_t done = send(g->connection, bytes, size, MSG_NOSIGNAL);

		if (done > 0) {
			bytes += done;
			size -= done;
		} else if (errno == EAGAIN) {
			wait_for(g, g->connection, POLLOUT);
		} else if (errno != EINTR) {
			lose(g);
		}
	}
}

static void send_reply(struct gdb *g, const char *text, size_t size)
{
	g->last_size = gdb_frame(text, size, g->last);
	send_all(g, g->last, g->last_size);
}

/* False if nothing has come. */
static bool receive(struct gdb *g)
{
	ssize_t got = recv(g->connection, g->in.bytes + g->in.size,
			   sizeof(g->in.bytes) - g->in.size, MSG_DONTWAIT);

	if (got > 0)
		g->in.size += got;
	else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		lose(g);
	return got > 0;
}

static void tell_stop(struct gdb *g, int why)
{
	char text[32];

	if (!g->awaited)
		return;
	g->awaited = false;
	send_reply(g, text, snprintf(text, sizeof(text), "T%02xthread:1;", why));
}

/* True if the guest shall go on. */
static bool obey(struct gdb *g, const char *packet, size_t size)
{
	static struct gdb_reply reply;
	enum gdb_action action;

	if (!g->no_ack)
		send_all(g, "+", 1);
	/* Whoever kills does not wait for an answer, and may be gone already. */
	if (g->connection < 0 && !(size == 1 && *packet == 'k'))
		return true;
	action = gdb_command(&g->memory, packet, size, &reply);
	switch (action) {
	case GDB_GO:
	case GDB_STEP:
		g->stepping = action == GDB_STEP && !host_step(g->guest->fd, true);
		g->awaited = true;
		return true;
	case GDB_KILL:
		request_end(g->guest, END_DEBUGGER);
		tell_watch(g->guest);
		return true;
	default:
		send_reply(g, reply.text, reply.size);
	}
	if (action == GDB_NO_ACK)
		g->no_ack = true;
	if (action == GDB_DETACH && g->connection >= 0)
		lose(g);
	return g->connection < 0;
}

/* One thing that has come; true if the guest shall go on. */
static bool take(struct gdb *g)
{
	static char packet[GDB_PACKET_MOST + 1];
	size_t size;

	switch (gdb_next(&g->in, packet, &size)) {
	case GDB_PACKET:
		return obey(g, packet, size);
	case GDB_BAD_PACKET:
		if (!g->no_ack)
			send_all(g, "-", 1);
		break;
	case GDB_REPEAT:
		send_all(g, g->last, g->last_size);
		break;
	case GDB_NONSENSE:
		lose(g);
		break;
	case GDB_INTERRUPT:	/* it stands already */
		break;
	case GDB_NOTHING:
		if (wait_for(g, g->connection, POLLIN))
			receive(g);
		break;
	}
	return g->connection < 0;
}

/*L:462
 * The guest stands: before its first instruction until a debugger comes, later
 * for as long as it is there.
 :*/
static void stand(struct gdb *g)
{
	bool go = false;

	atomic_store(&g->source, -1);
	while (!go && !g->guest->end) {
		if (g->connection >= 0)
			go = take(g);
		else if (wait_for(g, g->listener, POLLIN))
			greet(g);
	}
	g->first_stop = false;
	atomic_store(&g->guest->parked, false);
	atomic_store(&g->source, g->connection >= 0 ? g->connection : g->listener);
	tell_watch(g->guest);
}

static void stop(struct gdb *g, int why)
{
	if (g->stepping)
		host_step(g->guest->fd, false);
	g->stepping = g->hit = false;
	tell_stop(g, why);
	if (g->connection >= 0)
		stand(g);
}

void gdb_start(struct guest *guest)
{
	struct gdb *g = &gdb;

	if (!g->opened)
		return;
	g->guest = guest;
	g->memory.fd = guest->fd;
	g->memory.memory = &guest->memory;
	if (!g->first_stop) {
		atomic_store(&g->source, g->listener);
		tell_watch(g->guest);
		return;
	}
	tell_stop(g, STOP_TRAP);
	stand(g);
}

/* A guest that runs is asked to stop by 0x03, or by a debugger that comes. */
static void hear(struct gdb *g)
{
	size_t i;

	if (!receive(g))
		return;
	for (i = 0; i < g->in.size; i++) {
		if (g->in.bytes[i] == '+')
			continue;
		if (g->in.bytes[i] != 0x03)
			g->awaited = false;	/* it talks, so it does not wait */
		return stop(g, STOP_ASKED);
	}
	g->in.size = 0;
}

void gdb_attend(void)
{
	struct gdb *g = &gdb;

	if (!atomic_exchange(&g->called, false))
		return;
	if (g->connection >= 0) {
		hear(g);
	} else {
		greet(g);
		if (g->connection >= 0)
			stand(g);
	}
	atomic_store(&g->source, g->connection >= 0 ? g->connection : g->listener);
	tell_watch(g->guest);
}

bool gdb_trapped(void)
{
	struct gdb *g = &gdb;
	enum gdb_hit hit;
	uint64_t rip;

	if (!g->guest ||
	    host_get_register(g->guest->fd, offsetof(struct user_regs_struct, rip), &rip))
		return false;
	hit = gdb_hit(&g->memory, rip);
	g->hit = hit == GDB_HIT;
	return hit != GDB_NO_HIT;
}

void gdb_handled(void)
{
	struct gdb *g = &gdb;

	if (g->hit || g->stepping)
		stop(g, STOP_TRAP);
}

/* "The program exited with status 0", or by a signal.  Nobody waits if it is lost. */
void gdb_ended(int status)
{
	struct gdb *g = &gdb;
	const char *how = "W00";
	char frame[GDB_FRAME_MOST];
	size_t size;

	if (!g->awaited || status == RUN_RESTART)
		return;
	if (status == RUN_ENDED)
		how = "X09";
	else if (status == STATUS_PANIC || status == STATUS_KILLED)
		how = "X06";
	size = gdb_frame(how, strlen(how), frame);
	if (send(g->connection, frame, size, MSG_NOSIGNAL) < 0)
		lose(g);
}
