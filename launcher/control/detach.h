/* SPDX-License-Identifier: GPL-2.0 */
/* A guest without a terminal: `lguest run --detach`. */
#ifndef LGUEST_DETACH_H
#define LGUEST_DETACH_H

#include <stdbool.h>

/*
 * True: go on, in a process of its own, with nothing of the caller's but stderr.
 * False, in the one that was called: the guest is ready, or has ended; *status is the
 * exit status.
 */
bool detach(int *status);
/* Somebody waits for detach_done(). */
bool detach_awaited(void);
/* The guest is ready: let the caller go, with its stderr. */
void detach_done(void);

#endif /* LGUEST_DETACH_H */
