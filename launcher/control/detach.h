/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a terminal: `lguest run --detach`. */
#ifndef LGUEST_DETACH_H
#define LGUEST_DETACH_H

#include <stdbool.h>

/*
 * True: go on, in a process of its own.  False, in the one that was called: the
 * guest runs, or could not be started; *status is the exit status.
 */
bool detach(int *status);
/* The guest is about to run: let the caller go.  False if it went before. */
bool detach_done(void);

#endif /* LGUEST_DETACH_H */
