/* SPDX-License-Identifier: GPL-2.0 */
/* For the files of this room. */
#ifndef LGUEST_SUPERVISOR_INSIDE_H
#define LGUEST_SUPERVISOR_INSIDE_H

#include <signal.h>

#include "console/output.h"
#include "debugger/gdb_listen.h"
#include "supervisor.h"

struct supervisor {
	const struct supervisor_settings *settings;
	struct link link;
	sigset_t before;	/* that were blocked when we came */
	void (*pipe_before)(int);	/* what SIGPIPE did */
	int signals;		/* signalfd */

	int end;		/* why it shall end: END_* (guest.h), or 0 */
	uint64_t deadline;	/* of the time limit, 0: none */
	uint64_t patience;	/* until then it may take to end, 0: for ever */
	bool killed;		/* it did not end by itself */
	bool given_up;		/* nor by that */
	bool reaped;		/* it is gone, with ... */
	int status;		/* ... this, of waitpid() */
	bool talk_over, output_over;	/* all is heard that it said */
	int failed;		/* a status: we cannot go on */

	struct wire_message last;	/* ENDED */
	unsigned int restarts;
	unsigned int agreed;	/* with the debugger that stays */
	bool resized;		/* the terminal; the guest shall know */
	unsigned int rows, columns;	/* the same, of a console; 0: nothing new */
	struct keys input;
	struct output output;
	struct control *control;	/* NULL: it has no name */
	struct gdb_listener gdb;
};

/* Let the guest end, for a reason; the first one counts. */
void wish_end(struct supervisor *s, int why);
/* At once, whatever it does. */
void kill_machine(struct supervisor *s);

/* birth.c: false after a message. */
bool start_machine(struct supervisor *s);
/* hear.c: what the machine says. */
void hear_talk(struct supervisor *s);
void hear_output(struct supervisor *s);
void hear_message(struct supervisor *s, const struct wire_message *message, int size);
/* ending.c: what it was; messages, and a status. */
int tell_end(struct supervisor *s, int *by_signal);
bool shall_restart(const struct supervisor *s);

#endif /* LGUEST_SUPERVISOR_INSIDE_H */
