/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The socket by which a guest with a name is asked and told things: requests
 * and answers are JSON objects, one per line; docs/CONTROL.md lists them.
 */
#ifndef LGUEST_CONTROL_H
#define LGUEST_CONTROL_H

#include "hardware/guest.h"

#define CONTROL_LINE	1024	/* bytes of a request at most */

struct control_settings {
	const char *name;
	unsigned int port;	/* that a console is connected to */
	const char *exec;	/* the socket for `lguest exec`, or NULL */
	bool keep;		/* the status that it ends with, for `lguest wait` */
};

/* Take the name; before there are threads.  False after a message. */
bool control_open(const struct control_settings *settings);
/* Answer on a thread of its own; call on the vCPU's.  False after a message. */
bool control_start(struct guest *guest);
void control_stop(void);
/* The guest is to end: a restart is no answer to that. */
bool control_stopping(void);
/* For the launcher that takes over after a restart: consoles stay connected. */
void control_hand_down(void);
/* Tell who waits the status, if it is not negative, and give the name back. */
void control_close(int status);

#endif /* LGUEST_CONTROL_H */
