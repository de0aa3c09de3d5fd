// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest list`, `stop`, `pause`, `resume`, `logs` and `wait`: short words with the
 * launchers of guests that have a name.
 * Read next: cmd_balloon.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "control/place.h"
#include "lguest.h"
#include "options.h"

#define LIST_PATIENCE	3	/* s, for each of them */

static const struct option no_options[] = { { .name = NULL } };

struct stop_settings {
	uint64_t time_limit;	/* ns, 0: not given */
	bool force;
};

struct list_settings {
	bool json;
};

#define AT(field) offsetof(struct list_settings, field)
static const struct option list_options[] = {
	{ 0, "json", OPTION_FLAG, AT(json), NULL,
	  "print an array of objects, with bytes and seconds as numbers" },
	{ .name = NULL },
};
#undef AT

#define AT(field) offsetof(struct stop_settings, field)
static const struct option stop_options[] = {
	{ 0, "time-limit", OPTION_SECONDS, AT(time_limit), "S",
	  "seconds that its shutdown may take (default 30)" },
	{ 'f', "force", OPTION_FLAG, AT(force), NULL,
	  "do not ask the guest, end it at once" },
	{ .name = NULL },
};

const struct command list_command = {
	"list", "",
	"Show your guests that have a name.\n"
	"For each: its vCPUs and memory, how much of it it has touched, what the launcher takes\n"
	"besides, and for how long it runs.",
	list_options, cmd_list,
};

const struct command stop_command = {
	"stop", "NAME",
	"Let a guest shut down, and wait for it; end it if that takes too long.\n"
	"The guest's kernel runs its own /sbin/poweroff.",
	stop_options, cmd_stop,
};

const struct command pause_command = {
	"pause", "NAME", "Stop a guest's CPU; its clocks go on.", no_options, cmd_pause,
};

const struct command resume_command = {
	"resume", "NAME", "Let a paused guest go on.", no_options, cmd_resume,
};

const struct command logs_command = {
	"logs", "NAME",
	"Print the last output of a guest, up to 16 KiB, and leave it alone.",
	no_options, cmd_logs,
};

const struct command wait_command = {
	"wait", "NAME",
	"Wait for the end of a guest; its status becomes that of wait.\n"
	"A detached guest's status is kept until the next one of its name begins.",
	no_options, cmd_wait,
};

static int connect_to(const struct command *command, int argc, char **argv,
		      void *settings, const char **name, int *status)
{
	int fd;

	*name = client_name(command, argc, argv, settings, status);
	if (!*name)
		return -1;
	fd = place_connect(command->name, *name, false, CLIENT_PATIENCE);
	*status = STATUS_FAILED;
	return fd;
}

static int ask_only(const struct command *command, int argc, char **argv)
{
	const char *name;
	int status, fd = connect_to(command, argc, argv, NULL, &name, &status);

	if (fd >= 0 && client_ask(command->name, name, fd,
				  json_pack("{s:s}", "command", command->name)))
		status = STATUS_DONE;
	return status;
}

int cmd_pause(int argc, char **argv)
{
	return ask_only(&pause_command, argc, argv);
}

int cmd_resume(int argc, char **argv)
{
	return ask_only(&resume_command, argc, argv);
}

static int no_end(const char *command, const char *name, int fd)
{
	client_no_answer(command, name, fd);
	return STATUS_FAILED;
}

/* The answer says how many bytes follow it. */
int cmd_logs(int argc, char **argv)
{
	const char *name;
	int status, fd = connect_to(&logs_command, argc, argv, NULL, &name, &status);
	json_t *answer;
	char bytes[4096];
	json_int_t left;

	if (fd < 0)
		return status;
	answer = client_say(fd, json_pack("{s:s}", "command", "logs")) ? client_hear(fd) : NULL;
	if (!client_said_yes("logs", name, fd, answer))
		return STATUS_FAILED;
	left = json_integer_value(json_object_get(answer, "bytes"));
	json_decref(answer);
	while (left > 0) {
		ssize_t got = recv(fd, bytes, left < 4096 ? left : 4096, 0);

		if (!got) {
			problem("logs: the guest '%s' ended before all of it was here", name);
			return STATUS_FAILED;
		}
		if (got < 0)
			return no_end("logs", name, fd);
		fwrite(bytes, 1, got, stdout);
		left -= got;
	}
	return STATUS_DONE;
}

/*L:620
 * The launcher watches the time, so that a `stop` which is itself interrupted
 * still ends the guest.  The end of the connection is that of the guest.
 :*/
static int wait_for_end(int fd, const char *name, bool force, double limit)
{
	bool silent, forced;
	json_t *news;

	client_be_patient(fd, limit + CLIENT_PATIENCE);
	news = client_hear(fd);
	silent = !news && errno == EAGAIN;
	forced = json_is_true(json_object_get(news, "forced"));
	json_decref(news);
	if (!silent && !forced)
		return STATUS_DONE;
	if (silent)
		return no_end("stop", name, fd);
	if (!force)
		problem("stop: the guest '%s' did not shut down in time: it was ended; --time-limit gives it longer",
			name);
	news = client_hear(fd);
	if (!news && errno == EAGAIN)
		return no_end("stop", name, fd);
	json_decref(news);
	return force ? STATUS_DONE : STATUS_FAILED;
}

int cmd_stop(int argc, char **argv)
{
	struct stop_settings set = { 0 };
	const char *name;
	int status, fd = connect_to(&stop_command, argc, argv, &set, &name, &status);
	double limit = set.time_limit ? set.time_limit / 1e9 : 30;

	if (fd < 0)
		return status;
	if (!client_ask("stop", name, fd, json_pack("{s:s,s:f,s:b}", "command", "stop",
						    "limit", limit, "force", (int)set.force)))
		return STATUS_FAILED;
	return wait_for_end(fd, name, set.force, set.force ? 0 : limit);
}

/*
 * It is told at the end, or was kept, maybe just now, when nobody answers any more; a
 * launcher that was killed has told nobody.
 */
int cmd_wait(int argc, char **argv)
{
	int status, kept, fd;
	json_t *answer = NULL, *news = NULL;
	const char *name = client_name(&wait_command, argc, argv, NULL, &status);

	if (!name)
		return status;
	fd = place_connect("wait", name, true, CLIENT_PATIENCE);
	if (fd >= 0 && client_say(fd, json_pack("{s:s}", "command", "wait")))
		answer = client_hear(fd);
	kept = answer ? -1 : place_status(name);
	if (kept >= 0)
		return kept;
	if (fd < 0)
		fd = place_connect("wait", name, false, CLIENT_PATIENCE);
	if (fd < 0 || !client_said_yes("wait", name, fd, answer))
		return STATUS_HOST;
	client_be_patient(fd, 0);
	news = client_hear(fd);
	if (news && !json_unpack(news, "{s:i}", "status", &status))
		return status;
	kept = place_status(name);
	if (kept >= 0)
		return kept;
	problem("wait: the guest '%s' ended without a status; was its launcher killed?", name);
	return STATUS_HOST;
}

static uint64_t number(const json_t *status, const char *key)
{
	return json_integer_value(json_object_get(status, key));
}

static const char *text(const json_t *status, const char *key)
{
	const char *value = json_string_value(json_object_get(status, key));

	return value ? value : "?";
}

/* What `list` knows of a guest: its launcher's status, or why there is none. */
static json_t *look_at(const char *name)
{
	int fd = place_connect("list", name, true, LIST_PATIENCE);
	json_t *status = NULL;
	bool silent = fd < 0 && errno == EAGAIN;
	int pid = fd >= 0 ? place_peer(fd) : 0;

	if (fd >= 0 && client_say(fd, json_pack("{s:s}", "command", "status")))
		status = client_hear(fd);
	silent |= fd >= 0 && !status && errno == EAGAIN;
	if (fd >= 0)
		close(fd);
	if (json_is_true(json_object_get(status, "ok"))) {
		json_object_del(status, "ok");
		return status;
	}
	json_decref(status);
	/* Its launcher is stopped; or it may have just ended, or not have begun. */
	return json_pack("{s:s,s:o*,s:s}", "name", name, "pid", pid ? json_integer(pid) : NULL,
			 "state", silent ? "no answer" : "starting");
}

static void print_one(const json_t *status)
{
	if (!json_object_get(status, "pid"))
		printf("%-20s %8s %s\n", text(status, "name"), "-", text(status, "state"));
	else if (!json_object_get(status, "memory"))
		printf("%-20s %8" PRIu64 " %s\n", text(status, "name"), number(status, "pid"),
		       text(status, "state"));
	else
		printf("%-20s %8" PRIu64 " %-9s %5" PRIu64 " %7" PRIu64 "M %7" PRIu64 "M %8" PRIu64 "K %8" PRIu64 "s\n",
		       text(status, "name"), number(status, "pid"), text(status, "state"),
		       number(status, "vcpus"), number(status, "memory") >> 20,
		       number(status, "touched") >> 20,
		       number(status, "launcher") >> 10, number(status, "seconds"));
}

static void print_all(const json_t *all)
{
	size_t i;

	printf("%-20s %8s %-9s %5s %8s %8s %9s %9s\n", "NAME", "PID", "STATE", "VCPUS",
	       "MEMORY", "TOUCHED", "LAUNCHER", "RUNS");
	for (i = 0; i < json_array_size(all); i++)
		print_one(json_array_get(all, i));
}

int cmd_list(int argc, char **argv)
{
	struct list_settings set = { .json = false };
	int first = parse_options(&list_command, argc, argv, &set, NULL);
	json_t *all = json_array();
	char **names, **at;

	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first != argc) {
		if (first >= 0)
			problem("list: it takes no argument; leave out '%s'", argv[first]);
		return STATUS_USAGE;
	}
	names = place_names();
	if (!names)
		return STATUS_FAILED;
	for (at = names; *at; at++) {
		json_array_append_new(all, look_at(*at));
		free(*at);
	}
	free(names);
	if (!set.json)
		print_all(all);
	else if (!json_dumpf(all, stdout, JSON_INDENT(2)))
		putchar('\n');
	json_decref(all);
	return STATUS_DONE;
}
