// SPDX-License-Identifier: GPL-2.0
/*
 * The debugger's connection.  While the guest stands, the vCPU's thread answers
 * packets, for only it may ask the Host for registers; while it runs, the
 * line's thread (machine/line.c) looks after the socket, and calls.  It also hears of a
 * debugger that has come (gdb_listen.c).
 * Next: gdb_packet.c, then gdb_commands.c, gdb_memory.c.
 * Read next: gdb_packet.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/user.h>
#include <unistd.h>

#include "gdb.h"
#include "gdb_commands.h"
#include "hardware/host.h"
#include "lguest.h"

#define LOOK_AGAIN	1000		/* ms */
/* As signals of gdb's protocol, which numbers them as Linux does. */
#define STOP_ASKED	SIGINT
#define STOP_TRAP	SIGTRAP

static struct gdb {
	struct guest *guest;
	struct gdb_memory memory;
	void (*gone)(void);
	int connection;		/* or -1 */
	bool expected;		/* with --gdb */
	bool first_stop;	/* the guest stands before its first instruction */
	bool awaited;		/* the debugger waits for a stop */
	bool stepping, hit;	/* the next record is a stop; the last was a breakpoint */
	bool no_ack;
	struct gdb_stream in;
	char last[GDB_FRAME_MOST];	/* the last reply */
	size_t last_size;
	/* Between the two threads. */
	atomic_int source;	/* to be polled by the line's, or -1 */
	atomic_int coming;	/* a connection that has come, or -1 */
	unsigned int agreed;	/* on it: GDB_* */
	atomic_bool called;
} gdb = { .connection = -1, .source = -1, .coming = -1 };

void gdb_expect(bool first_stop, void (*gone)(void))
{
	gdb.expected = true;
	gdb.first_stop = first_stop;
	gdb.gone = gone;
}

/* ---- The line's thread ---- */

int gdb_source(void)
{
	return gdb.called ? -1 : gdb.source;
}

/* The vCPU's thread may not have come so far that it can hear it. */
void gdb_call(void)
{
	atomic_store(&gdb.called, true);
	if (gdb.guest)
		kick_vcpu(gdb.guest);
}

bool gdb_calling(void)
{
	return gdb.coming >= 0 || (gdb.called && gdb.source >= 0);
}

/* There is one at a time. */
void gdb_bring(int connection, unsigned int agreed)
{
	int before;

	gdb.agreed = agreed;
	before = atomic_exchange(&gdb.coming, connection);
	if (before >= 0)
		close(before);
	gdb_call();
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
	g->gone();
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

static void greet(struct gdb *g)
{
	g->connection = atomic_exchange(&g->coming, -1);
	if (g->connection < 0)
		return;
	g->no_ack = g->agreed & GDB_NO_ACKS;
	g->awaited = g->agreed & GDB_AWAITS;
	if (g->awaited)
		tell_stop(g, STOP_TRAP);
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
		tell_line(g->guest);
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
		else if (g->coming >= 0 || !wait_for(g, -1, 0))
			greet(g);
	}
	g->first_stop = false;
	atomic_store(&g->guest->parked, false);
	atomic_store(&g->source, g->connection);
	tell_line(g->guest);
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

	if (!g->expected)
		return;
	g->memory.fd = guest->fd;
	g->memory.memory = &guest->memory;
	g->guest = guest;
	if (g->first_stop)
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
	atomic_store(&g->source, g->connection);
	tell_line(g->guest);
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
void gdb_ended(int signal)
{
	struct gdb *g = &gdb;
	const char *how = "W00";
	char frame[GDB_FRAME_MOST];
	size_t size;

	if (!g->awaited)
		return;
	if (signal == SIGKILL)
		how = "X09";
	else if (signal)
		how = "X06";
	size = gdb_frame(how, strlen(how), frame);
	if (send(g->connection, frame, size, MSG_NOSIGNAL) < 0)
		lose(g);
}

unsigned int gdb_agreed(void)
{
	return gdb.no_ack ? GDB_NO_ACKS : 0;
}
