/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where guests with a name are found: a folder per guest, of its user alone,
 *	RUN/lguest/NAME/lock	held for as long as the launcher lives
 *	RUN/lguest/NAME/control	a socket, see control.h
 *	RUN/lguest/NAME/vsock	another, if --vsock names none: see docs/EXEC.md
 *	RUN/lguest/.NAME	the status of the last one, if it was detached
 */
#ifndef LGUEST_PLACE_H
#define LGUEST_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* Letters, digits, '.', '_' and '-', at most so many, not '.' or '-' first. */
#define NAME_MOST	48

/* False after a message. */
bool name_is_good(const char *command, const char *name);

struct place {
	char folder[96];	/* RUN/lguest/NAME */
	int lock;
	int socket;		/* listens; -1 until it does */
};

/* Be the only launcher of this name, and listen.  False after a message. */
bool place_take(struct place *place, const char *name);
/* Remove it all; a status that is not negative is kept for place_status(). */
void place_leave(struct place *place, int status);
/* What the last guest of this name ended with, if its launcher kept it; or -1. */
int place_status(const char *name);

/* Where its vsock's socket lies, unless the user says where; false after a message. */
bool place_vsock(const char *name, char *path, size_t size);

/*
 * A connection to the guest, or -1 after a message.  Quiet: without one.  Its launcher
 * may be stopped, and never answer: who waits longer than so many seconds, 0 for ever,
 * gets EAGAIN.
 */
int place_connect(const char *command, const char *name, bool quiet, unsigned int seconds);
/* Its launcher's process. */
int place_peer(int fd);
/*
 * The names there are, sorted, in malloc()ed memory, NULL-ended; what dead
 * launchers left is removed on the way.  NULL after a message.
 */
char **place_names(void);

#endif /* LGUEST_PLACE_H */
