// SPDX-License-Identifier: GPL-2.0
/*
 * How commands talk to a guest's launcher: see docs/CONTROL.md.
 * Read next: cmd_console.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client.h"
#include "control/place.h"
#include "lguest.h"

#define ANSWER_MOST	65536

const char *client_name(const struct command *command, int argc, char **argv,
			void *settings, int *status)
{
	int first = parse_options(command, argc, argv, settings, NULL);

	*status = first == OPTIONS_HELP ? STATUS_DONE : STATUS_USAGE;
	if (first < 0)
		return NULL;
	if (first != argc - 1) {
		problem("%s: it takes one NAME; `lguest list` shows yours", command->name);
		return NULL;
	}
	return name_is_good(command->name, argv[first]) ? argv[first] : NULL;
}

bool client_say(int fd, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t size = text ? strlen(text) : 0;
	bool ok;

	json_decref(request);
	errno = 0;
	if (!text)
		return false;
	text[size] = '\n';
	ok = send(fd, text, size + 1, MSG_NOSIGNAL) == (ssize_t)size + 1;
	free(text);
	return ok;
}

/* Byte by byte: what follows may be the guest's output. */
json_t *client_hear(int fd)
{
	char *line = malloc(ANSWER_MOST);
	json_t *answer = NULL;
	size_t size = 0;
	int error;

	while (line && size < ANSWER_MOST) {
		ssize_t got = recv(fd, line + size, 1, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = 0;
		if (got != 1)
			break;
		if (line[size++] == '\n') {
			answer = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
			break;
		}
	}
	error = errno;
	free(line);
	errno = error;
	return answer;
}

void client_no_answer(const char *command, const char *name, int fd)
{
	int pid = place_peer(fd);

	problem("%s: the guest '%s' does not answer; is its launcher stopped? `kill -CONT %d` lets it go on, `kill -KILL %d` ends it",
		command, name, pid, pid);
}

/* As for waiting: its launcher has all the time that it needs. */
void client_be_patient(int fd, uint64_t seconds)
{
	struct timeval limit = { .tv_sec = seconds };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

bool client_said_yes(const char *command, const char *name, int fd, const json_t *answer)
{
	bool ok = json_is_true(json_object_get(answer, "ok"));
	const char *why = json_string_value(json_object_get(answer, "error"));

	if (!answer && errno == EAGAIN)
		client_no_answer(command, name, fd);
	else if (!answer)
		problem("%s: the guest '%s' hung up before it answered; `lguest list` shows whether it runs",
			command, name);
	else if (!ok)
		problem("%s: the guest '%s' refused: %s", command, name,
			why ? why : "it did not say why");
	return ok;
}

bool client_ask(const char *command, const char *name, int fd, json_t *request)
{
	json_t *answer = client_say(fd, request) ? client_hear(fd) : NULL;
	bool ok = client_said_yes(command, name, fd, answer);

	json_decref(answer);
	return ok;
}
