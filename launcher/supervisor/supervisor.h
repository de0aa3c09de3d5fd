/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The supervisor: the process that the user called.  One thread, one poll loop, no guest:
 *
 *	user ── terminal, stdin, stdout, stderr, signals ──┐
 *	`lguest console`, `stop` ... ── control socket ────┤ supervisor ══ machine ══ /dev/lguest
 *	gdb ── its socket ─────────────────────────────────┘    (fork, control/wire.h)
 *
 * It lives as long as the guest has a user: a guest that restarts is another machine.
 */
#ifndef LGUEST_SUPERVISOR_H
#define LGUEST_SUPERVISOR_H

#include "console/input.h"
#include "control/control.h"

/* What a machine is born with. */
struct birth {
	int talk, output;	/* control/wire.h */
	bool stands;		/* until a debugger lets it go */
};

struct supervisor_settings {
	bool command;		/* the guest runs a COMMAND */
	bool no_reboot;
	bool ready_at_start;	/* its /init is not ours, and says nothing */
	const char *gdb;	/* a path, or NULL */
	uint64_t time_limit;	/* ns, 0: none */
	struct input_settings input;
	/* Be the machine: in a process of its own, which ends when this returns. */
	void (*machine)(const void *with, const struct birth *birth);
	const void *with;
};

#define NO_SIGNAL	0

/*
 * Run machines until the guest has ended; gives its status.  *by_signal: the signal that
 * ended us, or NO_SIGNAL: whoever waits for us shall see it.
 */
int supervise(const struct supervisor_settings *settings, const struct control_settings *control,
	      int *by_signal);

#endif /* LGUEST_SUPERVISOR_H */
