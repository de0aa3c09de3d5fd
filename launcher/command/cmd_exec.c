// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest exec`: a command in a guest that runs, with our files or our terminal; its
 * status is ours.
 * Read next: cmd_cp.c.
 */
#define _GNU_SOURCE 1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/place.h"
#include "lguest.h"
#include "options.h"
#include "session.h"
#include "terminal.h"

struct exec_settings {
	bool terminal, input;
	struct text_list variables;
	const char *user, *folder;
};

#define AT(field) offsetof(struct exec_settings, field)
static const struct option exec_options[] = {
	{ 't', "tty", OPTION_FLAG, AT(terminal), NULL,
	  "the command gets a terminal; if ours is one, its keys and size" },
	{ 'i', "interactive", OPTION_FLAG, AT(input), NULL,
	  "the command gets our standard input, to its end" },
	{ 'e', "env", OPTION_LIST, AT(variables), "K=V",
	  "a variable for it; K alone: as it is here" },
	{ 'u', "user", OPTION_TEXT, AT(user), "USER",
	  "who runs it: a name or number of the guest, or USER:GROUP (default root)" },
	{ 'w', "cwd", OPTION_TEXT, AT(folder), "FOLDER",
	  "the folder to start in (default: the user's home)" },
	{ .name = NULL },
};

const struct command exec_command = {
	"exec", "NAME -- COMMAND...",
	"Run COMMAND in a guest that has a name; its status becomes that of exec.\n"
	"A signal that ends it counts 128 more. 127: there is no such program; 126: it\n"
	"cannot be run; 118: the guest went away before; 122: no such guest, or no agent.\n"
	"Signals to exec are passed on; three within a second end it.",
	exec_options, cmd_exec,
};

static bool good_variables(struct text_list *list, char **variables)
{
	unsigned int i, n = 0;

	for (i = 0; i < list->count; i++) {
		const char *text = list->items[i], *value = getenv(text);

		if (*text == '=' || !*text) {
			problem("exec: --env: '%s' has no name; give K=V, or K", text);
			return false;
		}
		if (strchr(text, '='))
			variables[n++] = (char *)text;
		else if (value && asprintf(&variables[n], "%s=%s", text, value) >= 0)
			n++;
	}
	variables[n] = NULL;
	return true;
}

/* Our own TERM is that of a terminal of the command's. */
static void add_term(char **variables)
{
	const char *term = getenv("TERM");
	unsigned int n;

	for (n = 0; variables[n]; n++)
		if (!strncmp(variables[n], "TERM=", 5))
			return;
	if (asprintf(&variables[n], "TERM=%s", term ? term : "dumb") >= 0)
		variables[n + 1] = NULL;
}

static int run_session(const struct session_request *request, bool raw)
{
	static struct session session;
	struct session_files files = {
		.in = request->flags & AGENT_INPUT ? STDIN_FILENO : -1,
		.out = STDOUT_FILENO, .err = STDERR_FILENO,
	};
	enum session_result result;
	int fd = session_connect("exec", request->name);

	if (fd < 0 || !session_begin(&session, fd, request))
		return STATUS_HOST;
	files.signals = session_signals();
	if (raw && !terminal_raw())
		return STATUS_FAILED;
	result = session_run(&session, &files);
	terminal_restore();
	return session_status(&session, request, result);
}

int cmd_exec(int argc, char **argv)
{
	struct exec_settings set = { .terminal = false };
	char *variables[TEXT_LIST_MOST + 2];
	struct session_request request = { .command = "exec", .variables = variables };
	int first = parse_options(&exec_command, argc, argv, &set, NULL);
	bool ours = set.terminal && terminal_is_ours(STDIN_FILENO);

	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first < 0)
		return STATUS_USAGE;
	if (argc - first < 2) {
		problem("exec: it takes a NAME and a COMMAND, as in `lguest exec web -- uname -a`");
		return STATUS_USAGE;
	}
	request.name = argv[first];
	request.words = argv + first + 1;
	request.user = set.user;
	request.folder = set.folder;
	if (!name_is_good("exec", request.name) || !good_variables(&set.variables, variables))
		return STATUS_USAGE;
	if (set.terminal) {
		request.flags |= AGENT_TERMINAL;
		add_term(variables);
		terminal_size(STDOUT_FILENO, &request.rows, &request.columns);
	}
	if (set.input || ours)
		request.flags |= AGENT_INPUT;
	return run_session(&request, ours);
}
