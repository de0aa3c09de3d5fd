// SPDX-License-Identifier: GPL-2.0
/*
 * What the machine says.  A guest may have broken into it: what makes no sense, by itself
 * or now (control/link.c), ends it.
 * Read next: ending.c.
 */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "control/detach.h"
#include "hardware/guest.h"
#include "hardware/resident.h"
#include "inside.h"
#include "jail/confine.h"
#include "lguest.h"
#include "terminal.h"

#define TO_GO		5000000000ULL	/* ns */
#define AT_ONCE		64	/* messages, before others have their turn */

static void make_no_sense(struct supervisor *s)
{
	if (s->failed)
		return;
	s->failed = STATUS_HOST;
	problem("the guest's machine was ended: what it told its supervisor makes no sense: lguest has a fault, or its guest broke in; report it with this line");
	kill_machine(s);
}

/* The caller of a detached guest goes on, with its stderr. */
static void is_ready(struct supervisor *s)
{
	if (!detach_awaited())
		return;
	output_flush(&s->output);
	message_way = NULL;
	output_close(&s->output);
	detach_done();
	output_open(&s->output, s->settings->command);
}

/* The guest begins; the first time, what took its time before does not count. */
static void begin(struct supervisor *s)
{
	const struct supervisor_settings *set = s->settings;

	input_begin(&s->input, &set->input);
	if (!s->restarts) {
		confine_close_inherited();
		if (set->time_limit)
			s->deadline = now_ns() + set->time_limit;
		if (set->gdb && !gdb_listen(&s->gdb, set->gdb))
			s->failed = STATUS_HOST;
	}
	if (!s->failed && set->input.raw && !terminal_raw())
		s->failed = STATUS_HOST;
	if (s->failed) {
		kill_machine(s);
		return;
	}
	control_built(s->control);
	resident_give_back();
	if (set->ready_at_start)
		is_ready(s);
}

static void show_line(const struct wire_message *message, int size)
{
	char line[MESSAGE_MOST];

	if (size > MESSAGE_MOST - 1)
		size = MESSAGE_MOST - 1;
	memcpy(line, message->bytes, size);
	line[size] = '\0';
	make_printable(line);
	if (message->value)
		tell_plainly("%s", line);
	else
		problem("%s", line);
}

/* Who the vCPU's thread waits for. */
static void tell_what_holds(struct supervisor *s, const struct wire_message *message, int size)
{
	char device[65];

	memcpy(device, message->bytes, size);
	device[size] = '\0';
	make_printable(device);
	terminal_restore();
	if (size)
		problem("%s: this host does not end what the guest had asked for: its disk is frozen or very slow; see dmesg, and `fsfreeze -u` thaws a file system",
			device);
	else
		problem("the Host does not stop the guest: its read() takes no signal; see dmesg");
	kill_machine(s);
}

/* Who sits at its console would wonder. */
static void tell_console(struct supervisor *s)
{
	static const char text[] =
		"\r\n[lguest: this host has no room for what the guest writes; it stands until there is]\r\n";

	static const uint8_t *const bytes = (const uint8_t *)text;

	control_overhear(s->control, LGUEST_PORT_CONSOLE, bytes, sizeof(text) - 1);
	control_overhear(s->control, LGUEST_PORT_STDOUT, bytes, sizeof(text) - 1);
}

static void act(struct supervisor *s, const struct wire_message *message, int size)
{
	switch (message->kind) {
	case WIRE_BUILT:
		begin(s);
		break;
	case WIRE_READY:
		is_ready(s);
		break;
	case WIRE_LINE:
		show_line(message, size);
		break;
	case WIRE_COUNTER:
		control_counter(s->control, message, size);
		break;
	case WIRE_ALONE:
		gdb_drop(&s->gdb);
		break;
	case WIRE_HELD:
		tell_what_holds(s, message, size);
		break;
	case WIRE_ENDED:
		s->last = *message;
		s->last.bytes[size] = '\0';
		break;
	case WIRE_STANDS:
		if (message->value)
			tell_console(s);
		break;
	case WIRE_TAKEN:
		break;
	default:
		control_answer(s->control, message, size);
	}
}

/* As wire_hear() gave it. */
void hear_message(struct supervisor *s, const struct wire_message *message, int size)
{
	if (size < 0 || message->kind == WIRE_OUTPUT || !link_note(&s->link, message))
		make_no_sense(s);
	else
		act(s, message, size);
}

/* A machine that says no more is about to be gone. */
static void hang_up(struct supervisor *s)
{
	s->talk_over = true;
	if (!s->reaped && !s->patience)
		s->patience = now_ns() + TO_GO;
}

void hear_talk(struct supervisor *s)
{
	static struct wire_message message;
	unsigned int i;
	int size = 0;

	for (i = 0; i < AT_ONCE && !s->talk_over; i++) {
		size = wire_hear(s->link.talk, &message, true, NULL);
		if (size == -EPIPE || (size == -EAGAIN && s->reaped))
			hang_up(s);
		else if (size == -EAGAIN)
			break;
		else
			hear_message(s, &message, size);
	}
}

/* As long as the readers of what came before take it; if we end, they may lose the rest. */
void hear_output(struct supervisor *s)
{
	static struct wire_message message;
	unsigned int i;
	int size;

	for (i = 0; i < AT_ONCE && !s->output_over; i++) {
		if (!output_done(&s->output) && !s->end)
			break;
		size = wire_hear(s->link.output, &message, true, NULL);
		if (size == -EPIPE || (size == -EAGAIN && s->reaped)) {
			s->output_over = true;
		} else if (size == -EAGAIN) {
			break;
		} else if (size < 0 || message.kind != WIRE_OUTPUT) {
			make_no_sense(s);
		} else {
			control_overhear(s->control, message.value, message.bytes, size);
			output_take(&s->output, message.value, message.bytes, size);
		}
	}
}
