/* SPDX-License-Identifier: GPL-2.0 */
/* The user's terminal: raw while a guest has it, and given back as it was. */
#ifndef LGUEST_TERMINAL_H
#define LGUEST_TERMINAL_H

#include <stdbool.h>

/* Is fd a terminal, and are we in its foreground (may we read from it)? */
bool terminal_is_ours(int fd);

/* Make stdin's terminal raw; false (and a message) if that failed. */
bool terminal_raw(void);
bool terminal_is_raw(void);
/* After a stop, a shell may have changed it. */
void terminal_raw_again(void);
/* Put it back as it was.  Safe in a signal handler, and when called twice. */
void terminal_restore(void);

/* Rows and columns, or false. */
bool terminal_size(int fd, unsigned int *rows, unsigned int *columns);

#endif /* LGUEST_TERMINAL_H */
