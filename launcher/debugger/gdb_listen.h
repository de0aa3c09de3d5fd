/* SPDX-License-Identifier: GPL-2.0 */
/* The socket of `lguest run --gdb`: the supervisor's half of a debugger's connection. */
#ifndef LGUEST_GDB_LISTEN_H
#define LGUEST_GDB_LISTEN_H

#include <stdbool.h>

/* Can it be the path of a socket at all?  False after a message. */
bool gdb_check(const char *path);
/* Listen there, and say so.  False after a message. */
bool gdb_listen(const char *path);

/* What shall be polled for a debugger that comes, or -1. */
int gdb_listener(void);
/* One has come: true if it is there. */
bool gdb_accept(void);
/* That of the debugger, or -1. */
int gdb_connection(void);
/* It is gone. */
void gdb_drop(void);

/* Remove the socket. */
void gdb_close(void);

#endif /* LGUEST_GDB_LISTEN_H */
