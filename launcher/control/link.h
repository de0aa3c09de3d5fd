/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The supervisor's end of the line to its machine: what may be said now, and what may
 * be heard.  A machine that says anything else is broken into, or has a fault.
 */
#ifndef LGUEST_LINK_H
#define LGUEST_LINK_H

#include <lguest/guest.h>
#include <sys/types.h>

#include "wire.h"

#define LINK_COUNTERS	256	/* in one answer */

struct link {
	pid_t machine;		/* 0: there is none */
	int talk, output;	/* -1: at its end */
	bool built, ready, ended;
	bool stands;		/* for want of room on this host */
	bool told_to_end;
	bool debugger;		/* it has a connection */
	bool asked;		/* a question is open, ... */
	enum wire_kind question;
	unsigned int counters;	/* ... and has brought so many */
	bool busy[LGUEST_CONSOLE_PORTS];	/* INPUT that is not TAKEN */
};

/* What was said is possible now, if wire_is_good(); and is noted. */
bool link_note(struct link *link, const struct wire_message *message);

/* How many of these bytes went to the port; 0: they must wait. */
size_t link_input(struct link *link, unsigned int port, const void *bytes, size_t size);
/* Ask something; false: not now. */
bool link_ask(struct link *link, enum wire_kind question, uint64_t number);

#endif /* LGUEST_LINK_H */
