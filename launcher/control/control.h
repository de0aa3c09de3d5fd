/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The socket by which a guest with a name is asked and told things: requests
 * and answers are JSON objects, one per line; docs/CONTROL.md lists them.
 */
#ifndef LGUEST_CONTROL_H
#define LGUEST_CONTROL_H

#include <poll.h>

#include "link.h"

#define CONTROL_LINE	1024	/* bytes of a request at most */
#define CLIENTS_MOST	12
#define CONTROL_FDS	(CLIENTS_MOST + 1)

struct control_settings {
	const char *name;
	uint64_t memory;	/* bytes of the guest */
	unsigned int vcpus;
	unsigned int port;	/* that a console is connected to */
	const char *exec;	/* the socket for `lguest exec`, or NULL */
	bool keep;		/* the status that it ends with, for `lguest wait` */
	void (*end)(int why);	/* let the guest end: END_* of guest.h */
	void (*resize)(unsigned int rows, unsigned int columns);
};

/*
 * Take the name.  NULL after a message.  A guest that has none has no control either:
 * with NULL nothing below does anything.
 */
struct control *control_open(const struct control_settings *settings, struct link *link);
/* What is to be polled, and what came of it. */
void control_poll(struct control *c, struct pollfd fds[CONTROL_FDS]);
void control_attend(struct control *c, const struct pollfd fds[CONTROL_FDS]);
/* When to come without being told, 0: never. */
uint64_t control_deadline(struct control *c);

/* From the machine: it runs; output; the answer to the question; a part of it. */
void control_built(struct control *c);
void control_overhear(struct control *c, unsigned int port, const uint8_t *bytes, size_t size);
void control_answer(struct control *c, const struct wire_message *message, size_t size);
void control_counter(struct control *c, const struct wire_message *message, size_t size);
/* It is gone; another one comes, or none. */
void control_machine_gone(struct control *c, bool restarts);

/* The guest is to end: a restart is no answer to that. */
bool control_stopping(const struct control *c);
/* Tell who waits the status, if it is not negative, and give the name back. */
void control_close(struct control *c, int status);

#endif /* LGUEST_CONTROL_H */
