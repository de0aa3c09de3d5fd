/* SPDX-License-Identifier: GPL-2.0 */
/* The other end of a control socket, for the commands that talk to guests. */
#ifndef LGUEST_CLIENT_H
#define LGUEST_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

/* Send a request, which is taken over.  False if the guest is gone. */
bool client_say(int fd, json_t *request);
/*
 * One line of answer, or NULL: the guest is gone, or talks nonsense.  Nothing
 * behind the line is read.
 */
json_t *client_hear(int fd);
/* Both; a refusal becomes a message of this command, and false. */
bool client_ask(const char *command, const char *name, int fd, json_t *request);

#endif /* LGUEST_CLIENT_H */
