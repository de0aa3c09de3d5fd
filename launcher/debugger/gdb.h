/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A debugger for the guest's kernel, connected by a socket: `lguest run --gdb`.
 * Unless it is said otherwise, functions are for the vCPU's thread; without
 * gdb_open() they do nothing.
 */
#ifndef LGUEST_GDB_H
#define LGUEST_GDB_H

#include "hardware/guest.h"

/* Can it be the path of a socket at all?  False after a message. */
bool gdb_check(const char *path);
/* Listen at path; on the first thread, before the others.  False after a message. */
bool gdb_open(const char *path);
/* This is the guest; it stands until a debugger lets it go. */
void gdb_start(struct guest *guest);

/* The watching thread: what it shall poll while the guest runs, or -1; ... */
int gdb_source(void);
/* ... something has come of it; ... */
void gdb_call(void);
/* ... has the vCPU's thread not heard that yet? */
bool gdb_calling(void);

/* Before the guest runs: attend to the debugger, if it has called. */
void gdb_attend(void);
/* The guest trapped.  True if that was at a breakpoint, and needs no more. */
bool gdb_trapped(void);
/* A record has been dealt with: stop at a breakpoint, or if a step was wanted. */
void gdb_handled(void);
/* run_guest() has given this. */
void gdb_ended(int status);

/* On the first thread: for the launcher that takes over after a restart. */
void gdb_hand_down(void);
/* Remove the socket. */
void gdb_close(void);

#endif /* LGUEST_GDB_H */
