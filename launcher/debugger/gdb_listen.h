/* SPDX-License-Identifier: GPL-2.0 */
/* The socket of `lguest run --gdb`: the supervisor's half of a debugger's connection. */
#ifndef LGUEST_GDB_LISTEN_H
#define LGUEST_GDB_LISTEN_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

struct gdb_listener {
	struct sockaddr_un address;
	struct stat made;	/* its socket, as we made it */
	int listener;		/* or -1 */
	int connection;		/* that of the debugger, or -1 */
};
#define GDB_NO_LISTENER { .listener = -1, .connection = -1 }

/* Can it be the path of a socket at all?  False after a message. */
bool gdb_check(const char *path);
/* Listen there, and say so.  False after a message. */
bool gdb_listen(struct gdb_listener *gdb, const char *path);

/* What shall be polled for a debugger that comes, or -1. */
int gdb_awaited(const struct gdb_listener *gdb);
/* One has come: true if it is there. */
bool gdb_accept(struct gdb_listener *gdb);
/* It is gone. */
void gdb_drop(struct gdb_listener *gdb);

/* Remove the socket. */
void gdb_close(struct gdb_listener *gdb);

#endif /* LGUEST_GDB_LISTEN_H */
