/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the vsock device (virtio_vsock.c) and its door keeper (vsock_door.c),
 * a process of its own that makes the connections to other programs.
 */
#ifndef LGUEST_VSOCK_H
#define LGUEST_VSOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * To the keeper: connect to this port, for this connection.  From there: the
 * same again, with a socket if it could be done; or, if incoming, with the
 * socket of somebody who came by himself.
 */
struct door_note {
	uint32_t slot, stamp;
	uint32_t port;
	bool incoming;
};

/* What is wrong with its path, or NULL. */
const char *door_wrong_path(const char *path);
/* Start it; its socket, or -1 and what is wrong.  Closed: the guest can call nobody. */
int door_open(const char *path, bool closed, const char **why);
bool door_ask(int door, const struct door_note *note);
/*
 * 1 and a note, with its socket or -1; 0 if there is none now, -1 if the keeper
 * is gone.
 */
int door_hear(int door, struct door_note *note, int *fd);

#endif /* LGUEST_VSOCK_H */
