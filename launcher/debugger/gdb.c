// SPDX-License-Identifier: GPL-2.0
/*
 * The debugger's connection.  While the guest stands, vCPU 0's thread answers
 * packets, and has the others' ask the Host for their registers; while it runs, the
 * line's thread (machine/line.c) looks after the socket, and calls.  It also hears of a
 * debugger that has come (gdb_listen.c).  A vCPU that comes to a breakpoint calls, too.
 * Next: gdb_packet.c, then gdb_commands.c, gdb_memory.c.
 * Read next: gdb_packet.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
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

struct gdb {
	_Atomic(struct guest *) guest;
	struct gdb_memory memory;
	struct gdb_threads threads;
	void (*gone)(void);
	int connection;		/* or -1 */
	bool first_stop;	/* the guest stands before its first instruction */
	bool awaited;		/* the debugger waits for a stop */
	bool no_ack;
	struct gdb_stream in;
	char last[GDB_FRAME_MOST];	/* the last reply */
	size_t last_size;
	/* Between vCPU 0's thread and the line's. */
	atomic_int source;	/* to be polled by the line's, or -1 */
	atomic_int coming;	/* a connection that has come, or -1 */
	unsigned int agreed;	/* on it: GDB_* */
	atomic_bool called;
	/* Between the vCPUs' threads. */
	bool hit[LGUEST_VCPUS];	/* its last record was a breakpoint; its own */
	atomic_int stopped;	/* the vCPU that stopped, or -1 */
	atomic_int stepping;	/* the one whose next record is a stop, or -1 */
	pthread_mutex_t hits;	/* one looks for its breakpoint at a time */
};

struct gdb *gdb_expect(bool first_stop, void (*gone)(void))
{
	struct gdb *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->first_stop = first_stop;
	g->gone = gone;
	g->connection = g->source = g->coming = g->stopped = g->stepping = -1;
	pthread_mutex_init(&g->hits, NULL);
	return g;
}

/* ---- The line's thread ---- */

int gdb_source(struct gdb *g)
{
	return !g || g->called ? -1 : g->source;
}

/* The vCPU's thread may not have come so far that it can hear it. */
void gdb_call(struct gdb *g)
{
	atomic_store(&g->called, true);
	if (g->guest)
		kick_vcpus(g->guest);
}

bool gdb_calling(struct gdb *g)
{
	return g && (g->coming >= 0 || g->stopped >= 0 || (g->called && g->source >= 0));
}

/* There is one at a time. */
void gdb_bring(struct gdb *g, int connection, unsigned int agreed)
{
	int before = connection;

	if (g) {
		g->agreed = agreed;
		before = atomic_exchange(&g->coming, connection);
		gdb_call(g);
	}
	if (before >= 0)
		close(before);
}

/* ---- vCPU 0's ---- */

static int begin_step(struct guest *guest, void *with)
{
	(void)with;
	return host_step(guest->fd, true);
}

static int end_step(struct guest *guest, void *with)
{
	(void)with;
	return host_step(guest->fd, false);
}

/* A step is not done, and shall not be. */
static void forget_step(struct gdb *g)
{
	int vcpu = atomic_exchange(&g->stepping, -1);

	if (vcpu >= 0)
		vcpu_do(g->guest, vcpu, end_step, NULL);
}

/* The debugger is gone, or no good: the guest is free of it. */
static void lose(struct gdb *g)
{
	gdb_remove_all(&g->memory);
	forget_step(g);
	close(g->connection);
	g->connection = -1;
	g->in.size = g->last_size = 0;
	g->no_ack = g->awaited = false;
	g->gone();
}

/* Kicks wake us. */
static bool wait_for(int fd, short events)
{
	struct pollfd poll_fd = { fd, events, 0 };

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
			wait_for(g->connection, POLLOUT);
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

static void receive(struct gdb *g)
{
	ssize_t got = recv(g->connection, g->in.bytes + g->in.size,
			   sizeof(g->in.bytes) - g->in.size, MSG_DONTWAIT);

	if (got > 0)
		g->in.size += got;
	else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		lose(g);
}

/* From now on it is the one that the debugger looks at. */
static void tell_stop(struct gdb *g, unsigned int vcpu, int why)
{
	char text[32];

	g->threads.stopped = g->memory.vcpu = vcpu;
	if (!g->awaited)
		return;
	g->awaited = false;
	send_reply(g, text, snprintf(text, sizeof(text), "T%02xthread:%x;", why, vcpu + 1));
}

static void greet(struct gdb *g)
{
	g->connection = atomic_exchange(&g->coming, -1);
	if (g->connection < 0)
		return;
	g->no_ack = g->agreed & GDB_NO_ACKS;
	g->awaited = g->agreed & GDB_AWAITS;
	if (g->awaited)
		tell_stop(g, 0, STOP_TRAP);
}

/* Those that shall stand when the debugger lets the guest go. */
static void let_go(struct gdb *g, enum gdb_action action)
{
	unsigned int move = g->threads.move;

	if (action == GDB_STEP) {
		move = 1U << g->threads.step;
		if (!vcpu_do(g->guest, g->threads.step, begin_step, NULL))
			atomic_store(&g->stepping, g->threads.step);
	}
	atomic_store(&g->guest->vcpus.still, ~move);
	g->awaited = true;
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
	action = gdb_command(&g->memory, &g->threads, packet, size, &reply);
	switch (action) {
	case GDB_GO:
	case GDB_STEP:
		let_go(g, action);
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
		if (wait_for(g->connection, POLLIN))
			receive(g);
		break;
	}
	return g->connection < 0;
}

/*L:462
 * All vCPUs stand: before the guest's first instruction until a debugger comes, later
 * for as long as it is there.  We, who talk to it, do so, too: for a pause that counts.
 :*/
static void talk(struct gdb *g)
{
	bool go = false;

	atomic_store(&g->source, -1);
	vcpu_stands(g->guest, true);
	while (!go && !g->guest->end) {
		if (g->connection >= 0)
			go = take(g);
		else if (g->coming >= 0 || !wait_for(-1, 0))
			greet(g);
	}
	g->first_stop = false;
	vcpu_stands(g->guest, false);
}

/* False: it is about to end. */
static bool stop_others(struct gdb *g)
{
	atomic_store(&g->guest->vcpus.still, ~0U);
	return vcpus_await(g->guest, ~1U);
}

/* Who is not held by the debugger's word goes on.  It may have said more than that. */
static void release(struct gdb *g)
{
	if (g->connection < 0)
		atomic_store(&g->guest->vcpus.still, 0);
	else if (g->in.size)
		atomic_store(&g->called, true);
	kick_vcpus(g->guest);
	atomic_store(&g->source, g->connection);
	tell_line(g->guest);
}

static void stop(struct gdb *g, unsigned int vcpu, int why)
{
	forget_step(g);
	tell_stop(g, vcpu, why);
	if (g->connection >= 0)
		talk(g);
}

void gdb_start(struct gdb *g, struct guest *guest)
{
	if (!g)
		return;
	g->memory.guest = guest;
	g->guest = guest;
	if (g->first_stop && stop_others(g)) {
		talk(g);
		release(g);
	}
}

/*
 * A guest that runs is asked to stop by 0x03, or by a debugger that comes.  False: by
 * neither.
 */
static bool hear(struct gdb *g)
{
	size_t i;

	receive(g);
	for (i = 0; i < g->in.size; i++) {
		if (g->in.bytes[i] == '+')
			continue;
		if (g->in.bytes[i] != 0x03)
			g->awaited = false;	/* it talks, so it does not wait */
		stop(g, 0, STOP_ASKED);
		return true;
	}
	g->in.size = 0;
	return false;
}

/* Whoever called is seen to; a stop before what the debugger says.  False: it was nothing. */
static bool answer_call(struct gdb *g)
{
	int stopped = atomic_exchange(&g->stopped, -1);

	if (stopped < 0 && g->connection >= 0)
		return hear(g);
	if (stopped >= 0) {
		stop(g, stopped, STOP_TRAP);
	} else {
		greet(g);
		if (g->connection >= 0)
			talk(g);
	}
	return true;
}

void gdb_attend(struct gdb *g)
{
	unsigned int before;

	while (g && !host_vcpu() && atomic_exchange(&g->called, false)) {
		before = atomic_load(&g->guest->vcpus.still);
		if (!stop_others(g))
			return;
		atomic_store(&g->called, false);
		if (!answer_call(g))
			atomic_store(&g->guest->vcpus.still, before);
		release(g);
	}
}

/* ---- Any vCPU's ---- */

bool gdb_trapped(struct gdb *g)
{
	enum gdb_hit hit;
	uint64_t rip;

	if (!g || !g->guest ||
	    host_get_register(g->guest->fd, offsetof(struct user_regs_struct, rip), &rip))
		return false;
	pthread_mutex_lock(&g->hits);
	hit = gdb_hit(&g->memory, rip);
	pthread_mutex_unlock(&g->hits);
	g->hit[host_vcpu()] = hit == GDB_HIT;
	return hit != GDB_NO_HIT;
}

/*
 * All stand from here on.  If another one has stopped just before, that is told; at our
 * breakpoint we are again when we go on.
 */
void gdb_handled(struct gdb *g)
{
	int vcpu = host_vcpu(), none = -1;

	if (!g || (!g->hit[vcpu] && g->stepping != vcpu))
		return;
	g->hit[vcpu] = false;
	atomic_store(&g->guest->vcpus.still, ~0U);
	atomic_compare_exchange_strong(&g->stopped, &none, vcpu);
	gdb_call(g);
}

/* ---- vCPU 0's ---- */

/* "The program exited with status 0", or by a signal.  Nobody waits if it is lost. */
void gdb_ended(struct gdb *g, int signal)
{
	const char *how = "W00";
	char frame[GDB_FRAME_MOST];
	size_t size;

	if (!g || !g->awaited)
		return;
	if (signal == SIGKILL)
		how = "X09";
	else if (signal)
		how = "X06";
	size = gdb_frame(how, strlen(how), frame);
	if (send(g->connection, frame, size, MSG_NOSIGNAL) < 0)
		lose(g);
}

unsigned int gdb_agreed(const struct gdb *g)
{
	return g && g->no_ack ? GDB_NO_ACKS : 0;
}
