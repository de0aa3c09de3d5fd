/* SPDX-License-Identifier: GPL-2.0 */
/* The other end of a control socket, for the commands that talk to guests. */
#ifndef LGUEST_CLIENT_H
#define LGUEST_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* s, that a launcher may take to answer; those of a busy machine take a moment. */
#define CLIENT_PATIENCE	10

/* The one argument of a command, a NAME; or NULL with the command's status in *status. */
const char *client_name(const struct command *command, int argc, char **argv,
			void *settings, int *status);

/* Send a request, which is taken over.  False if the guest is gone. */
bool client_say(int fd, json_t *request);
/*
 * One line of answer, or NULL: the guest is gone, talks nonsense or, if errno is
 * EAGAIN, does not answer.  Nothing behind the line is read.
 */
json_t *client_hear(int fd);
/* Is this an answer, and yes?  If not, a message of this command. */
bool client_said_yes(const char *command, const char *name, int fd, const json_t *answer);
/* Both; a refusal becomes a message of this command, and false. */
bool client_ask(const char *command, const char *name, int fd, json_t *request);
/* Say that it does not answer, and what helps. */
void client_no_answer(const char *command, const char *name, int fd);
/* Wait for it so long from now on, 0: for ever. */
void client_be_patient(int fd, uint64_t seconds);

#endif /* LGUEST_CLIENT_H */
