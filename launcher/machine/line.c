// SPDX-License-Identifier: GPL-2.0
/*
 * The machine's line to its supervisor.  The vCPUs' threads sleep in read()
 * of /dev/lguest; this one waits for everything else: input for the guest, questions, a
 * debugger that has come, and the wish that it ends.  To end the guest it kicks the
 * vCPUs' threads with a signal until they have noticed; a kick that comes just before the
 * read() is lost, the next one is not.
 * Read next: threads.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "control/wire.h"
#include "debugger/gdb.h"
#include "devices/devices.h"
#include "devices/virtio/virtio.h"
#include "hardware/counters.h"
#include "hardware/host.h"
#include "hardware/resident.h"
#include "jail/confine.h"
#include "lguest.h"
#include "machine.h"
#include "thread.h"

#define KICK_EVERY	50		/* ms */
#define KICKS		100		/* then the Host does not let go */
#define RETRY_INPUT	100		/* ms, should the guest forget to ask */
#define RETRY_CALL	10		/* ms, should a kick come too early */
#define PARK_TRIES	200		/* times 10 ms */

/* Input for a port that the guest has not taken yet. */
struct waiting {
	size_t at, size;
	uint8_t bytes[WIRE_BYTES];
};

struct line {
	struct machine *machine;
	struct guest *guest;
	int talk;
	int over;			/* eventfd: the guest has ended */
	unsigned int parking;		/* tries left, of a pause */
	struct waiting ports[LGUEST_CONSOLE_PORTS];
};

static void answer(struct line *l, enum wire_kind kind, bool yes)
{
	wire_say(l->talk, kind, yes, 0);
}

/* Hand over what waits, and wake the guest for it. */
static void push_input(struct line *l, unsigned int port)
{
	struct waiting *w = &l->ports[port];
	size_t done;

	if (!w->size)
		return;
	done = console_input(&l->guest->console, port, w->bytes + w->at, w->size);
	if (!done)
		return;
	w->at += done;
	w->size -= done;
	host_irq(l->guest->fd, LGUEST_IRQ_CONSOLE);
	if (!w->size)
		wire_say(l->talk, WIRE_TAKEN, port, 0);
}

static void take_input(struct line *l, const struct wire_message *message, size_t size)
{
	struct waiting *w = &l->ports[message->value];

	if (w->size)			/* it was not asked for */
		return;
	memcpy(w->bytes, message->bytes, size);
	w->at = 0;
	w->size = size;
}

static void tell_status(struct line *l)
{
	struct wire_message message = { .kind = WIRE_ASK_STATUS };
	struct resident resident;
	uint64_t numbers[2];

	message.value = resident_read(l->machine->smaps, &l->guest->memory, &resident);
	numbers[0] = resident.guest;
	numbers[1] = resident.launcher;
	memcpy(message.bytes, numbers, sizeof(numbers));
	wire_send(l->talk, &message, sizeof(numbers), NULL, NULL);
}

static void tell_counters(struct line *l)
{
	static struct counters counters;
	unsigned int i;

	if (!l->machine->counters || counters_again(l->machine->counters, &counters))
		return;
	for (i = 0; i < counters.count; i++) {
		struct wire_message message = {
			.kind = WIRE_COUNTER, .number = counters.list[i].value,
		};
		size_t size = strlen(counters.list[i].name);

		memcpy(message.bytes, counters.list[i].name, size);
		wire_send(l->talk, &message, size, NULL, NULL);
	}
}

static void tell_statistics(struct line *l)
{
	struct wire_message message = { .kind = WIRE_ASK_STATISTICS, .value = true };
	struct balloon_stats stats;
	uint64_t numbers[4];

	tell_counters(l);
	devices_balloon_stats(&stats);
	numbers[0] = stats.target;
	numbers[1] = stats.actual;
	numbers[2] = stats.free;
	numbers[3] = stats.available;
	memcpy(message.bytes, numbers, sizeof(numbers));
	wire_send(l->talk, &message, sizeof(numbers), NULL, NULL);
}

static void go_on(struct line *l)
{
	l->parking = 0;
	atomic_store(&l->guest->paused, false);
	kick_vcpus(l->guest);
}

/* A kick just before a vCPU enters the Host is lost; the next one is not. */
static void park(struct line *l)
{
	if (!l->parking)
		return;
	if (vcpus_stand(l->guest)) {
		l->parking = 0;
		answer(l, WIRE_ASK_PAUSE, true);
	} else if (--l->parking) {
		kick_vcpus(l->guest);
	} else {
		go_on(l);
		answer(l, WIRE_ASK_PAUSE, false);
	}
}

static void pause_guest(struct line *l)
{
	atomic_store(&l->guest->paused, true);
	l->parking = PARK_TRIES;
	park(l);
}

/* What waits for room on the host is tried again; a guest that it still lacks stands. */
static void resume(struct line *l)
{
	devices_retry(false);
	go_on(l);
	answer(l, WIRE_ASK_RESUME, true);
}

static void press_the_button(struct line *l)
{
	devices_retry(true);		/* as the last time, for it is to end */
	go_on(l);
	host_irq(l->guest->fd, LGUEST_IRQ_POWER);
}

static void obey(struct line *l, const struct wire_message *message, size_t size, int passed)
{
	switch (message->kind) {
	case WIRE_INPUT:
		take_input(l, message, size);
		break;
	case WIRE_SIZE:
		guest_tell_size(l->guest, message->value >> 16, message->value & 0xffff);
		break;
	case WIRE_POWER:
		press_the_button(l);
		break;
	case WIRE_ASK_PAUSE:
		pause_guest(l);
		break;
	case WIRE_ASK_RESUME:
		resume(l);
		break;
	case WIRE_ASK_STATUS:
		tell_status(l);
		break;
	case WIRE_ASK_STATISTICS:
		tell_statistics(l);
		break;
	case WIRE_ASK_BALLOON:
		answer(l, WIRE_ASK_BALLOON, devices_balloon(message->number));
		break;
	case WIRE_DEBUGGER:
		if (passed >= 0)
			gdb_bring(l->guest->gdb, passed, message->value);
		break;
	case WIRE_END:
		request_end(l->guest, END_ASKED);
		break;
	}
}

/* False: nobody is there any more. */
static bool hear(struct line *l)
{
	static struct wire_message message;
	int passed, size = wire_hear(l->talk, &message, false, &passed);

	if (size >= 0)
		obey(l, &message, size, passed);
	else if (passed >= 0)
		close(passed);
	return size != -EPIPE;
}

static void see_news(struct line *l)
{
	uint64_t count;

	if (read(l->guest->news, &count, sizeof(count)) < 0)
		return;
}

/* Milliseconds until there is something to do without being told. */
static int patience(const struct line *l)
{
	unsigned int i;

	if (l->parking || gdb_calling(l->guest->gdb))
		return RETRY_CALL;
	for (i = 0; i < LGUEST_CONSOLE_PORTS; i++)
		if (l->ports[i].size)
			return RETRY_INPUT;
	return -1;
}

/*L:320
 * The end was asked for.  If the first thread is not done with it at all, the
 * Host or a disk is in trouble: the supervisor learns which, and ends all of us.
 :*/
static void kick_until_over(struct line *l)
{
	struct wire_message message = { .kind = WIRE_HELD };
	struct pollfd over = { .fd = l->over, .events = POLLIN };
	const char *device;
	size_t size;
	int i;

	for (i = 0; i < KICKS; i++) {
		kick_vcpus(l->guest);
		if (poll(&over, 1, KICK_EVERY) == 1)
			return;
	}
	device = virtio_waits_for();
	if (!device)
		device = "";
	size = strnlen(device, 64);
	memcpy(message.bytes, device, size);
	wire_send(l->talk, &message, size, NULL, NULL);
}

static void *line_thread(void *argument)
{
	struct line *l = argument;
	struct pollfd fds[4] = {
		{ .fd = l->over, .events = POLLIN },
		{ .fd = l->talk, .events = POLLIN },
		{ .fd = l->guest->news, .events = POLLIN },
		{ .events = POLLIN },
	};
	unsigned int i;

	if (!confine_thread(THREAD_LINE))
		request_end(l->guest, END_CONFINE);
	while (!l->guest->end) {
		fds[3].fd = gdb_source(l->guest->gdb);
		if (poll(fds, 4, patience(l)) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			fds[0].fd = -1;		/* the rest takes no kick */
		if (fds[1].revents && !hear(l))
			_exit(STATUS_HOST);	/* as the kernel is about to */
		if (fds[2].revents)
			see_news(l);
		if ((fds[3].fd >= 0 && fds[3].revents) || gdb_calling(l->guest->gdb))
			gdb_call(l->guest->gdb);
		for (i = 0; i < LGUEST_CONSOLE_PORTS; i++)
			push_input(l, i);
		park(l);
	}
	kick_until_over(l);
	return NULL;
}

bool line_start(struct machine *machine)
{
	struct line *l = calloc(1, sizeof(*l));
	int error;

	if (!l) {
		problem("out of memory; free some");
		return false;
	}
	machine->line = l;
	l->machine = machine;
	l->guest = &machine->guest;
	l->talk = machine->wires.talk;
	l->over = eventfd(0, EFD_CLOEXEC);
	l->guest->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = l->over < 0 || l->guest->news < 0 ? errno : start_quiet_thread(NULL, line_thread, l);
	if (error)
		problem("cannot start the machine's second thread: %s; check `ulimit -u -n`",
			strerror(error));
	return !error;
}

void line_let_go(struct machine *machine)
{
	if (machine->line)
		eventfd_write(machine->line->over, 1);
}
