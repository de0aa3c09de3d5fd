// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest oci`: the commands of an OCI runtime, as podman's conmon calls them.  A container
 * is a guest, which `create` starts; its process is one of the host (oci_process.c).
 * Read next: control/detach.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lguest.h"
#include "oci.h"
#include "options.h"

struct oci_settings {
	const char *root, *log, *log_format;
	bool systemd, debug, version;
	/* Of single commands. */
	const char *bundle, *console, *pid_file, *process;
	const char *folder, *user;
	struct text_list variables;
	bool all, force, detach, terminal;
	bool nothing;
	const char *nothing_text;
};

#define AT(field) offsetof(struct oci_settings, field)
static const struct option global_options[] = {
	{ 0, "root", OPTION_TEXT, AT(root), "DIR",
	  "where containers are kept (default RUN/lguest-oci)" },
	{ 0, "log", OPTION_TEXT, AT(log), "FILE", "errors go there, too" },
	{ 0, "log-format", OPTION_TEXT, AT(log_format), "FORMAT", "text or json" },
	{ 0, "debug", OPTION_FLAG, AT(debug), NULL, "nothing more is said" },
	{ 0, "systemd-cgroup", OPTION_FLAG, AT(systemd), NULL,
	  "passed over: a guest's bounds are its own" },
	{ 0, "cgroup-manager", OPTION_TEXT, AT(nothing_text), "NAME", "passed over, as well" },
	{ 0, "version", OPTION_FLAG, AT(version), NULL, "say which, and which specification" },
	{ .name = NULL },
};

const struct command oci_command = {
	"oci", "COMMAND [options] ID",
	"Be an OCI runtime: podman's containers are guests (see docs/OCI.md).\n"
	"COMMAND is create, start, state, kill, delete, exec, pause, resume or features;\n"
	"`lguest oci create --help` has its options.",
	global_options, cmd_oci,
};

static const struct option create_options[] = {
	{ 'b', "bundle", OPTION_TEXT, AT(bundle), "DIR", "folder of config.json (default .)" },
	{ 0, "console-socket", OPTION_TEXT, AT(console), "PATH", "gets the terminal" },
	{ 0, "pid-file", OPTION_TEXT, AT(pid_file), "FILE", "gets the process's number" },
	{ 0, "no-pivot", OPTION_FLAG, AT(nothing), NULL, "passed over" },
	{ 0, "no-new-keyring", OPTION_FLAG, AT(nothing), NULL, "passed over" },
	{ 0, "preserve-fds", OPTION_TEXT, AT(nothing_text), "N", "passed over" },
	{ .name = NULL },
};

static const struct option delete_options[] = {
	{ 'f', "force", OPTION_FLAG, AT(force), NULL, "also one that runs" },
	{ .name = NULL },
};

static const struct option kill_options[] = {
	{ 'a', "all", OPTION_FLAG, AT(all), NULL, "passed over" },
	{ .name = NULL },
};

static const struct option exec_options[] = {
	{ 'p', "process", OPTION_TEXT, AT(process), "FILE", "the process, as in config.json" },
	{ 0, "console-socket", OPTION_TEXT, AT(console), "PATH", "gets the terminal" },
	{ 0, "pid-file", OPTION_TEXT, AT(pid_file), "FILE", "gets the process's number" },
	{ 'd', "detach", OPTION_FLAG, AT(detach), NULL, "return when it runs" },
	{ 't', "tty", OPTION_FLAG, AT(terminal), NULL, "it has a terminal" },
	{ 0, "cwd", OPTION_TEXT, AT(folder), "DIR", "where it starts, without --process" },
	{ 'u', "user", OPTION_TEXT, AT(user), "UID[:GID]", "who runs it" },
	{ 'e', "env", OPTION_LIST, AT(variables), "K=V", "a variable" },
	{ 0, "preserve-fds", OPTION_TEXT, AT(nothing_text), "N", "passed over" },
	{ .name = NULL },
};

static const struct option no_options[] = { { .name = NULL } };

static int create(struct oci_settings *set, char **words)
{
	struct oci_container c;
	struct oci_config config;
	struct oci_launch launch = { .container = &c, .process = &config.process,
				     .console = set->console, .pid_file = set->pid_file,
				     .first = true };

	if (!oci_read_config(set->bundle ? set->bundle : ".", &config) ||
	    !oci_make(&c, set->root, words[0], set->bundle ? set->bundle : "."))
		return STATUS_FAILED;
	c.annotations = json_object_get(config.object, "annotations");
	if (oci_start_guest(&c, &config)) {
		c.pid = oci_launch(&launch);
		c.born = c.pid > 0 ? oci_birth(c.pid) : 0;
		if (c.pid > 0 && oci_keep(&c))
			return STATUS_DONE;
		if (c.pid > 0)
			kill(c.pid, SIGKILL);
		oci_stop_guest(&c);
	}
	oci_forget(&c);
	return STATUS_FAILED;
}

static int refuse(const struct oci_container *c, const char *what)
{
	problem("oci: cannot %s the container %s: it is %s", what, c->id, oci_status(c));
	return STATUS_FAILED;
}

/* Its process waits for a reader of the file, which then goes. */
static int start(struct oci_settings *set, char **words)
{
	struct oci_container c;
	char path[PATH_MAX], byte;
	int fd;

	if (!oci_find(&c, set->root, words[0], false))
		return STATUS_FAILED;
	if (strcmp(oci_status(&c), "created"))
		return refuse(&c, "start");
	oci_fifo(&c, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || unlink(path) || read(fd, &byte, 1) != 1) {
		problem("oci: cannot start %s: %s", c.id, strerror(errno));
		return STATUS_FAILED;
	}
	return STATUS_DONE;
}

static int state(struct oci_settings *set, char **words)
{
	struct oci_container c;
	const char *status;
	json_t *all;

	if (!oci_find(&c, set->root, words[0], false))
		return STATUS_FAILED;
	status = oci_status(&c);
	all = json_pack("{s:s,s:s,s:s,s:i,s:s,s:O*}", "ociVersion", OCI_VERSION, "id", c.id,
			"status", status, "pid", strcmp(status, "stopped") ? (int)c.pid : 0,
			"bundle", c.bundle, "annotations", c.annotations);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	return STATUS_DONE;
}

/* "TERM", "SIGTERM" or "15"; 0: none of these. */
static int signal_of(const char *text)
{
	int number;

	if (*text >= '0' && *text <= '9')
		return atoi(text) < 65 ? atoi(text) : 0;
	if (!strncmp(text, "SIG", 3))
		text += 3;
	for (number = 1; number < 32; number++)
		if (sigabbrev_np(number) && !strcmp(text, sigabbrev_np(number)))
			return number;
	return 0;
}

/* SIGKILL cannot be passed on: the guest ends, and the process as by the signal. */
static void send_signal(const struct oci_container *c, int number)
{
	kill(c->pid, number);
	if (number == SIGKILL)
		oci_stop_guest(c);
}

static int kill_it(struct oci_settings *set, char **words)
{
	int number = signal_of(words[1] ? words[1] : "TERM");
	struct oci_container c;

	if (!oci_find(&c, set->root, words[0], false))
		return STATUS_FAILED;
	if (!number) {
		problem("oci: '%s' is no signal", words[1]);
		return STATUS_FAILED;
	}
	if (strcmp(oci_status(&c), "running") && strcmp(oci_status(&c), "created"))
		return refuse(&c, "kill");
	send_signal(&c, number);
	return STATUS_DONE;
}

static int delete(struct oci_settings *set, char **words)
{
	struct oci_container c;
	bool stopped;

	if (!oci_find(&c, set->root, words[0], set->force))
		return set->force ? STATUS_DONE : STATUS_FAILED;
	stopped = !strcmp(oci_status(&c), "stopped");
	if (!stopped && !set->force)
		return refuse(&c, "delete");
	if (!stopped && c.pid)
		kill(c.pid, SIGKILL);
	oci_stop_guest(&c);
	oci_forget(&c);
	return STATUS_DONE;
}

static bool process_of_options(struct oci_settings *set, char **words,
			       struct oci_process *process)
{
	static char *variables[TEXT_LIST_MOST + 1];

	memset(process, 0, sizeof(*process));
	memcpy(variables, set->variables.items, sizeof(set->variables.items));
	variables[set->variables.count] = NULL;
	process->words = words + 1;
	process->variables = variables;
	process->folder = set->folder;
	process->terminal = set->terminal;
	snprintf(process->user, sizeof(process->user), "%s", set->user ? set->user : "0");
	if (!words[1])
		problem("oci: exec: --process, or a command, is missing");
	return words[1];
}

static int wait_for_it(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return STATUS_HOST;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int exec(struct oci_settings *set, char **words)
{
	struct oci_container c;
	struct oci_process process;
	struct oci_launch launch = { .container = &c, .process = &process,
				     .console = set->console, .pid_file = set->pid_file };
	json_t *object = set->process ? json_load_file(set->process, 0, NULL) : NULL;
	pid_t child;

	if (!oci_find(&c, set->root, words[0], false))
		return STATUS_FAILED;
	if (strcmp(oci_status(&c), "running"))
		return refuse(&c, "exec in");
	if (set->process ? !oci_read_process(object, &process) :
			   !process_of_options(set, words, &process))
		return STATUS_FAILED;
	child = oci_launch(&launch);
	if (child < 0)
		return STATUS_FAILED;
	return set->detach ? STATUS_DONE : wait_for_it(child);
}

static int pause_or_resume(struct oci_settings *set, char **words, char *what)
{
	struct oci_container c;

	if (!oci_find(&c, set->root, words[0], false))
		return STATUS_FAILED;
	return oci_lguest((char *[]){ "lguest", what, c.guest, NULL });
}

static int pause_it(struct oci_settings *set, char **words)
{
	return pause_or_resume(set, words, "pause");
}

static int resume_it(struct oci_settings *set, char **words)
{
	return pause_or_resume(set, words, "resume");
}

static int features(struct oci_settings *set, char **words)
{
	(void)set, (void)words;
	puts("{\"ociVersionMin\": \"1.0.0\", \"ociVersionMax\": \"" OCI_VERSION "\", "
	     "\"hooks\": [], \"mountOptions\": [\"bind\", \"rbind\", \"ro\", \"rw\"], "
	     "\"linux\": {\"namespaces\": [], \"capabilities\": [], "
	     "\"cgroup\": {\"v1\": false, \"v2\": false, \"systemd\": false}, "
	     "\"seccomp\": {\"enabled\": false}, \"apparmor\": {\"enabled\": false}, "
	     "\"selinux\": {\"enabled\": false}}}");
	return STATUS_DONE;
}

static const struct part {
	struct command command;
	unsigned int least;		/* words */
	int (*run)(struct oci_settings *set, char **words);
} parts[] = {
	{ { "oci create", "ID", "Start a container's guest; its process waits.",
	    create_options, cmd_oci }, 1, create },
	{ { "oci start", "ID", "Let the process begin.", no_options, cmd_oci }, 1, start },
	{ { "oci state", "ID", "Print what is known of it.", no_options, cmd_oci }, 1, state },
	{ { "oci kill", "ID [SIGNAL]", "Send its process a signal.", kill_options, cmd_oci },
	  1, kill_it },
	{ { "oci delete", "ID", "Remove what is left of it.", delete_options, cmd_oci },
	  1, delete },
	{ { "oci exec", "ID [COMMAND...]", "Run a process more in it.", exec_options, cmd_oci },
	  1, exec },
	{ { "oci pause", "ID", "Stop its guest's CPU.", no_options, cmd_oci }, 1, pause_it },
	{ { "oci resume", "ID", "Let it go on.", no_options, cmd_oci }, 1, resume_it },
	{ { "oci features", "", "Say what there is.", no_options, cmd_oci }, 0, features },
};

static const struct part *find_part(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(parts[i].command.name + 4, name))
			return &parts[i];
	problem("oci: there is no command '%s' in this runtime; `lguest oci --help` lists them", name);
	return NULL;
}

/* podman looks there for what went wrong. */
static void copy_to_log(const struct oci_settings *set, const char *text)
{
	FILE *out = set->log && *text ? fopen(set->log, "ae") : NULL;
	json_t *line;

	if (!out)
		return;
	if (set->log_format && !strcmp(set->log_format, "json")) {
		line = json_pack("{s:s,s:s%}", "level", "error", "msg", text, strcspn(text, "\n"));
		json_dumpf(line, out, JSON_COMPACT);
		fputc('\n', out);
	} else {
		fputs(text, out);
	}
	fclose(out);
}

/* Messages are kept for the log, and then said. */
static int run_part(const struct part *part, struct oci_settings *set, char **words)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);
	int status;

	message_stream = out;
	status = part->run(set, words);
	message_stream = NULL;
	if (!out)
		return status;
	fclose(out);
	fputs(text, stderr);
	if (status)
		copy_to_log(set, text);
	return status;
}

int cmd_oci(int argc, char **argv)
{
	struct oci_settings set = { .root = NULL };
	const struct part *part;
	bool dashes;
	int first = parse_options(&oci_command, argc, argv, &set, &dashes), start_at;

	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first >= 0 && set.version) {
		puts("lguest version " LGUEST_VERSION "\nspec: " OCI_VERSION);
		return STATUS_DONE;
	}
	if (first < 0 || first == argc) {
		if (first == argc)
			problem("oci: a COMMAND is missing; `lguest oci --help` lists them");
		return STATUS_USAGE;
	}
	part = find_part(argv[first]);
	if (!part)
		return STATUS_USAGE;
	start_at = first;
	first = parse_options(&part->command, argc - start_at, argv + start_at, &set,
			      part->run == exec ? &dashes : NULL);
	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first < 0)
		return STATUS_USAGE;
	if (argc - start_at - first < (int)part->least) {
		problem("oci: %s: the ID is missing", argv[start_at]);
		return STATUS_USAGE;
	}
	if (!set.root)
		set.root = oci_default_root();
	return set.root ? run_part(part, &set, argv + start_at + first) : STATUS_HOST;
}
