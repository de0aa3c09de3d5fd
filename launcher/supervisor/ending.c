// SPDX-License-Identifier: GPL-2.0
/*
 * How it ended: a sentence, and the exit status.
 * Read next: control/wire.c.
 */
#define _GNU_SOURCE 1
#include <string.h>
#include <sys/wait.h>

#include "hardware/guest.h"
#include "inside.h"
#include "lguest.h"

/* Because somebody wished so. */
static int wished(struct supervisor *s, int *by_signal)
{
	switch (s->end) {
	case END_TIME:
		output_show_log(&s->output);
		problem("the guest was ended: its time limit was reached; --time-limit sets it");
		return STATUS_TIME;
	case END_CONFINE:
		return STATUS_HOST;
	case END_STOP:
		problem("the guest was ended by `lguest stop`: it did not shut down in time");
		return STATUS_STOPPED;
	case END_DEBUGGER:
		problem("the guest was ended by its debugger");
		return STATUS_STOPPED;
	case END_ESCAPE:
		problem("the guest was ended from the keyboard");
		return STATUS_ESCAPE;
	default:
		*by_signal = s->end - END_SIGNAL;
		note("the guest was ended by signal %d", *by_signal);
		return 128 + *by_signal;
	}
}

static int powered_off(struct supervisor *s)
{
	note("the guest powered off");
	if (!s->settings->command)
		return STATUS_DONE;
	if (s->last.number < WIRE_NO_STATUS)
		return s->last.number;
	output_show_log(&s->output);
	problem("the guest powered off before the command ended: no status came; see its messages with -v");
	return STATUS_NO_STATUS;
}

/* With --no-reboot a COMMAND has no status: it is as if the guest had powered off. */
static int rebooted(struct supervisor *s)
{
	if (!s->settings->command || !s->settings->no_reboot)
		return STATUS_DONE;
	problem("the guest rebooted before the command ended: no status came; without --no-reboot it starts again");
	return STATUS_NO_STATUS;
}

/* It did not say how: so something ended it.  Of SIGSYS it has told (jail/filter.c). */
static int died(struct supervisor *s, int *by_signal)
{
	if (!WIFSIGNALED(s->status)) {
		problem("the guest's machine ended without a word: lguest has a fault, or its guest broke in; report it with this line");
		return STATUS_HOST;
	}
	*by_signal = WTERMSIG(s->status);
	if (*by_signal != SIGSYS)
		problem("the guest's machine was ended by signal %d (%s); the host's log may tell why (dmesg)",
			*by_signal, strsignal(*by_signal));
	return 128 + *by_signal;
}

static int by_itself(struct supervisor *s)
{
	char *said = (char *)s->last.bytes;

	make_printable(said);
	switch (s->last.value) {
	case WIRE_END_RESTART:
		return rebooted(s);
	case WIRE_END_POWEROFF:
		return powered_off(s);
	case WIRE_END_CRASH:
		output_show_log(&s->output);
		problem("the guest's kernel panicked: %s; its last messages tell more", said);
		return STATUS_PANIC;
	case WIRE_END_KILLED:
		output_show_log(&s->output);
		problem("the guest was killed: %s; the Host's log may tell more (dmesg)", said);
		return STATUS_KILLED;
	default:
		return STATUS_HOST;
	}
}

bool shall_restart(const struct supervisor *s)
{
	return s->link.ended && s->last.value == WIRE_END_RESTART && !s->end && !s->failed &&
	       !s->settings->no_reboot && !control_stopping(s->control);
}

int tell_end(struct supervisor *s, int *by_signal)
{
	bool wish = s->link.ended && s->last.value == WIRE_END_WISH;

	*by_signal = NO_SIGNAL;
	if (s->failed)
		return s->failed;
	/* One that the machine had itself. */
	if (wish && !s->end)
		s->end = s->last.number == END_DEBUGGER ? END_DEBUGGER : END_CONFINE;
	if (s->link.ended && !wish && !(s->last.value == WIRE_END_RESTART && s->end))
		return output_status(&s->output, by_itself(s));
	return s->end ? wished(s, by_signal) : died(s, by_signal);
}
