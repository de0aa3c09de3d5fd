// SPDX-License-Identifier: GPL-2.0
/*
 * The way to a guest's agent: its launcher says where its vsock is, and that connects to
 * the agent's port.  A guest that boots, or boots again, is waited for.
 * Read next: session.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "clock.h"
#include "control/place.h"
#include "lguest.h"
#include "session.h"

#define PATIENCE	30			/* s: it may start again just now */
#define BOOT_PATIENCE	(60 * 1000000000ULL)
#define ANSWER_MOST	32		/* "OK 4294967295\n" */

/* What its launcher says of the guest, or NULL after a message. */
static json_t *ask_status(const char *command, const char *name)
{
	int fd = place_connect(command, name, false, PATIENCE);
	json_t *answer = NULL;

	if (fd < 0)
		return NULL;
	if (client_say(fd, json_pack("{s:s}", "command", "status")))
		answer = client_hear(fd);
	if (!client_said_yes(command, name, fd, answer)) {
		json_decref(answer);
		answer = NULL;
	}
	close(fd);
	return answer;
}

/* "CONNECT PORT", and "OK PORT" comes back; the bytes behind that are the agent's. */
static bool greet(int fd)
{
	char text[ANSWER_MOST];
	int size = snprintf(text, sizeof(text), "CONNECT %d\n", AGENT_PORT);

	if (send(fd, text, size, MSG_NOSIGNAL) != size)
		return false;
	for (size = 0; size < ANSWER_MOST; size++) {
		if (recv(fd, text + size, 1, 0) != 1)
			return false;
		if (text[size] == '\n')
			return !strncmp(text, "OK ", 3);
	}
	return false;
}

static int call(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	client_be_patient(fd, PATIENCE);
	if (strlen(path) < sizeof(address.sun_path))
		strcpy(address.sun_path, path);
	if (fd >= 0 && !connect(fd, (void *)&address, sizeof(address)) && greet(fd)) {
		client_be_patient(fd, 0);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* -2: it is about to start. */
static int try_once(const char *command, const char *name)
{
	json_t *status = ask_status(command, name);
	const char *path = json_string_value(json_object_get(status, "exec"));
	const char *state = json_string_value(json_object_get(status, "state"));
	int fd = -1;

	if (status && !path)
		problem("%s: the guest '%s' has no agent: it has an initrd of its own (-i); lguest's has one",
			command, name);
	else if (status && state && !strcmp(state, "paused"))
		problem("%s: the guest '%s' is paused; `lguest resume %s` lets it go on", command,
			name, name);
	else if (status && !json_is_true(json_object_get(status, "ready")))
		fd = -2;
	else if (status && (fd = call(path)) < 0)
		problem("%s: the agent of the guest '%s' does not answer; has its kernel no vsock, or has it other things to do?",
			command, name);
	json_decref(status);
	return fd;
}

int session_connect(const char *command, const char *name)
{
	uint64_t begin = now_ns();
	int fd;

	while ((fd = try_once(command, name)) == -2) {
		if (now_ns() - begin > BOOT_PATIENCE) {
			problem("%s: the guest '%s' does not get ready; `lguest logs %s` may tell why",
				command, name, name);
			return -1;
		}
		usleep(200000);
	}
	return fd;
}

int session_tool(const char *command, const char *name, const char *root, char **words,
		 int in, int out)
{
	static struct session session;
	const struct session_request request = {
		.command = command, .name = name, .root = root, .words = words,
		.flags = AGENT_OWN_TOOLS | (in >= 0 ? AGENT_INPUT : 0),
	};
	struct session_files files = { .in = in, .out = out, .err = STDERR_FILENO };
	int fd = session_connect(command, name), status;

	if (fd < 0)
		return STATUS_HOST;
	status = STATUS_HOST;
	if (session_begin(&session, fd, &request)) {
		files.signals = session_signals();
		status = session_status(&session, &request, session_run(&session, &files));
		close(files.signals);
	}
	close(fd);
	return status;
}
