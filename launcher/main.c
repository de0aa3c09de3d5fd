// SPDX-License-Identifier: GPL-2.0
/*
 * The launcher, a program called `lguest`.  This file only finds the command;
 * read on in command/cmd_run.c, which starts a guest, then machine/vcpu.c, which runs it.
 * Read next: hardware/guest.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hardware/resident.h"
#include "lguest.h"
#include "options.h"

static const struct option no_options[] = { { .name = NULL } };

struct help_settings {
	bool man, completion;
};

#define AT(field) offsetof(struct help_settings, field)
static const struct option help_options[] = {
	{ 0, "man", OPTION_FLAG, AT(man), NULL,
	  "print the manual page lguest(1)" },
	{ 0, "completion", OPTION_FLAG, AT(completion), NULL,
	  "print the completion of options for bash" },
	{ .name = NULL },
};

static const struct command help_command = {
	"help", "[COMMAND]", "Say what a command does, or list them all.",
	help_options, cmd_help,
};

static const struct command version_command = {
	"version", "", "Say which lguest this is.", no_options, cmd_version,
};

/*L:010
 * Every command, in the order in which a newcomer meets them.  One more takes a file,
 * as cmd_stat.c is, with its struct command and its function; both are declared in
 * options.h and lguest.h, and the first gets its place here.  Help, man page and
 * completion are made of it; a line of docs/CONTROL.md, if it asks the launcher for
 * something new, and a test are by hand.
 :*/
const struct command *const commands[] = {
	&run_command, &list_command, &console_command, &logs_command, &wait_command, &exec_command, &cp_command, &oci_command,
	&stop_command,
	&pause_command, &resume_command, &balloon_command, &stat_command, &check_command, &report_command,
	&link_command, &help_command, &version_command, NULL,
};

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; commands[i]; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static void print_overview(FILE *out)
{
	size_t i;

	fputs("lguest runs virtual machines without hardware support for them.\n\n"
	      "Usage: lguest COMMAND [options]\n\nCommands:\n", out);
	for (i = 0; commands[i]; i++)
		fprintf(out, "  %-10s %.*s\n", commands[i]->name,
			(int)strcspn(commands[i]->summary, "\n"),
			commands[i]->summary);
	fputs("\n`lguest COMMAND --help` lists its options.\n\nExit status:\n", out);
#define S(number, name, text) fprintf(out, "  %-10d %s\n", number, text);
	EXIT_STATUSES(S)
#undef S
	fputs("  0-255      that of COMMAND, with `lguest run -- COMMAND`\n"
	      "A signal that ends lguest shows as such (128 + its number in a shell).\n",
	      out);
}

int cmd_help(int argc, char **argv)
{
	const struct command *command;
	struct help_settings set = { .man = false };
	int first = parse_options(&help_command, argc, argv, &set, NULL);

	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first < 0)
		return STATUS_USAGE;
	if (set.man)
		print_manual(stdout);
	if (set.completion)
		print_completion(stdout);
	if (set.man || set.completion)
		return STATUS_DONE;
	if (first == argc) {
		print_overview(stdout);
		return STATUS_DONE;
	}
	command = find_command(argv[first]);
	if (!command) {
		problem("help: there is no command '%s'; `lguest help` lists them",
			argv[first]);
		return STATUS_USAGE;
	}
	print_command_help(command, stdout);
	return STATUS_DONE;
}

int cmd_version(int argc, char **argv)
{
	int first = parse_options(&version_command, argc, argv, NULL, NULL);

	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first != argc) {
		if (first >= 0)
			problem("version: it takes no argument; leave out '%s'",
				argv[first]);
		return STATUS_USAGE;
	}
	puts("lguest " LGUEST_VERSION);
	return STATUS_DONE;
}

/*
 * Files that we open must not take the place of a missing stdin or stdout.  What is
 * written to one that is missing fails, as it would without us.
 */
static void fill_standard_files(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_RDWR : O_RDONLY) != fd)
			_exit(STATUS_HOST);
}

/* Whoever reads our output believes our status: what did not arrive is no success. */
static int output_arrived(const char *command, int status)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	problem("%s: its output is lost: %s; give it a place with room, or one that is open",
		command, errno ? strerror(errno) : "it could not be written");
	return status == STATUS_DONE ? STATUS_FAILED : status;
}

int main(int argc, char **argv)
{
	const struct command *command;

	resident_limit();
	fill_standard_files();
	if (argc < 2) {
		print_overview(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		argv[1] = "help";
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		argv[1] = "version";
	command = find_command(argv[1]);
	if (!command) {
		problem("there is no command '%s'; `lguest help` lists them",
			argv[1]);
		return STATUS_USAGE;
	}
	return output_arrived(command->name, command->run(argc - 1, argv + 1));
}
