/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A debugger for the guest's kernel, connected by a socket: `lguest run --gdb`.
 * Unless it is said otherwise, functions are for vCPU 0's thread; without
 * a debugger that may come, NULL, they do nothing.
 */
#ifndef LGUEST_GDB_H
#define LGUEST_GDB_H

#include "hardware/guest.h"

#define GDB_NO_ACKS	1	/* what was agreed on with the debugger: packets without '+' */
#define GDB_AWAITS	2	/* it waits for a stop */

/*
 * A debugger may come.  The guest stands before its first instruction until then, if
 * it shall; gone() is called when one has left.  Before there are threads.  NULL: no memory.
 */
struct gdb *gdb_expect(bool first_stop, void (*gone)(void));
/* This is the guest; it stands until a debugger lets it go. */
void gdb_start(struct gdb *gdb, struct guest *guest);

/* The line's thread: what it shall poll while the guest runs, or -1; ... */
int gdb_source(struct gdb *gdb);
/* ... something has come of it; ... */
void gdb_call(struct gdb *gdb);
/* ... has vCPU 0's thread not heard that yet?  Any thread may ask. */
bool gdb_calling(struct gdb *gdb);
/* A debugger has come, of whom so much is known. */
void gdb_bring(struct gdb *gdb, int connection, unsigned int agreed);

/* Before the guest runs: attend to the debugger, if it has called; for others nothing. */
void gdb_attend(struct gdb *gdb);
/* Any vCPU's thread, when it has trapped.  True if that was at a breakpoint, and needs no more. */
bool gdb_trapped(struct gdb *gdb);
/* Any vCPU's, when a record has been dealt with: stop at a breakpoint, or if a step was wanted. */
void gdb_handled(struct gdb *gdb);
/* The guest has ended, in good order or by a signal, as gdb sees it. */
void gdb_ended(struct gdb *gdb, int signal);
/* It restarts: what is agreed on with the debugger that stays. */
unsigned int gdb_agreed(const struct gdb *gdb);

#endif /* LGUEST_GDB_H */
