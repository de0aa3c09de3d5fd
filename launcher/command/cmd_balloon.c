// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest balloon`: how much of its memory a guest has, and shall have.  Its kernel
 * gives up what it can spare, and that takes a moment.
 * Read next: agent_call.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "client.h"
#include "control/place.h"
#include "lguest.h"

struct balloon_settings {
	uint64_t memory;	/* bytes, 0: not given */
};

#define AT(field) offsetof(struct balloon_settings, field)
static const struct option balloon_options[] = {
	{ 'm', "memory", OPTION_SIZE, AT(memory), "SIZE",
	  "what the guest shall have, with K, M or G, of what it was started with" },
	{ .name = NULL },
};
#undef AT

const struct command balloon_command = {
	"balloon", "NAME",
	"Show how much of its memory a guest has, or change that while it runs.\n"
	"What it gives up is the host's. Short of memory, it takes some back by itself.\n"
	"Shown is what it was started with, shall have and has now; and what of that is free, and\n"
	"available to its programs, as its kernel said last.",
	balloon_options, cmd_balloon,
};

/* The answer to a request, or NULL after a message. */
static json_t *ask(const char *name, int fd, json_t *request)
{
	json_t *answer = client_say(fd, request) ? client_hear(fd) : NULL;

	return client_said_yes("balloon", name, fd, answer) ? answer : NULL;
}

static bool ask_memory(const char *name, int fd, uint64_t *memory)
{
	json_t *status = ask(name, fd, json_pack("{s:s}", "command", "status"));

	*memory = json_integer_value(json_object_get(status, "memory"));
	json_decref(status);
	return status;
}

static bool set_target(const char *name, int fd, uint64_t memory, uint64_t wanted)
{
	if (wanted > memory) {
		problem("balloon: the guest '%s' was started with %" PRIu64 "M and can have no more; give less, or start it with more (-m)",
			name, memory >> 20);
		return false;
	}
	return client_ask("balloon", name, fd, json_pack("{s:s,s:I}", "command", "balloon",
							 "bytes", (json_int_t)(memory - wanted)));
}

static void print_column(json_int_t bytes, int width)
{
	printf(" %*lldM", width - 1, (long long)bytes >> 20);
}

static bool show(const char *name, int fd, uint64_t memory)
{
	json_t *answer = ask(name, fd, json_pack("{s:s}", "command", "statistics"));
	json_int_t target, actual, spare, available;
	bool ok = answer && !json_unpack(answer, "{s:{s:I,s:I,s:I,s:I}}", "balloon",
					 "target", &target, "actual", &actual,
					 "free", &spare, "available", &available);

	if (ok) {
		printf("%-20s %8s %8s %8s %8s %9s\n%-20s", "NAME", "MEMORY", "SHALL", "HAS",
		       "FREE", "AVAILABLE", name);
		print_column(memory, 8);
		print_column(memory - target, 8);
		print_column(memory - actual, 8);
		print_column(spare, 8);
		print_column(available, 9);
		putchar('\n');
	}
	json_decref(answer);
	return ok;
}

int cmd_balloon(int argc, char **argv)
{
	struct balloon_settings set = { 0 };
	int status, fd;
	const char *name = client_name(&balloon_command, argc, argv, &set, &status);
	uint64_t memory;
	bool ok;

	if (!name)
		return status;
	fd = place_connect("balloon", name, false, CLIENT_PATIENCE);
	if (fd < 0)
		return STATUS_FAILED;
	ok = ask_memory(name, fd, &memory) &&
	     (!set.memory || set_target(name, fd, memory, set.memory)) && show(name, fd, memory);
	close(fd);
	return ok ? STATUS_DONE : STATUS_FAILED;
}
