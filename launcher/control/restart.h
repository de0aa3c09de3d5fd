/* SPDX-License-Identifier: GPL-2.0 */
/* A guest that restarts: the launcher executes itself again. */
#ifndef LGUEST_RESTART_H
#define LGUEST_RESTART_H

#include <stdint.h>

/* Keep the command line, before anything changes it. */
void restart_remember(char **argv);
/* Start over with it; returns only, after a message, when that failed. */
void restart_now(void);
/* How many times this run has restarted. */
unsigned int restart_count(void);

/*
 * The moment (CLOCK_MONOTONIC, ns) at which a time limit that begins now ends.
 * After a restart it is still that of the first start.
 */
uint64_t restart_deadline(uint64_t limit);

#endif /* LGUEST_RESTART_H */
