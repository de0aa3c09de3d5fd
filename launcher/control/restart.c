// SPDX-License-Identifier: GPL-2.0
/*
 * Restart.  When the guest reboots, the launcher executes itself with the same
 * command line: the kernel closes the files and frees the memory, and nothing
 * of the old guest is left.  Two facts go along in the environment: how often
 * this happened, and when the time limit ends.
 * Read next: hardware/resident.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "clock.h"
#include "lguest.h"
#include "restart.h"
#include "terminal.h"

#define COUNT_VARIABLE		"LGUEST_RESTARTS"
#define DEADLINE_VARIABLE	"LGUEST_DEADLINE"

static char **command_line;

void restart_remember(char **argv)
{
	size_t count = 0;

	while (argv[count])
		count++;
	command_line = calloc(count + 1, sizeof(*argv));
	if (command_line)
		memcpy(command_line, argv, count * sizeof(*argv));
	/* We are executed by /proc/self/exe, and would be listed as "exe". */
	if (restart_count())
		prctl(PR_SET_NAME, program_invocation_short_name, 0, 0, 0);
}

static uint64_t number_from(const char *variable)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : 0;
}

unsigned int restart_count(void)
{
	return number_from(COUNT_VARIABLE);
}

static void remember(const char *variable, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	setenv(variable, text, 1);
}

/* Only our own exec may hand down a deadline, never an older environment. */
uint64_t restart_deadline(uint64_t limit)
{
	uint64_t end = restart_count() ? number_from(DEADLINE_VARIABLE) : 0;

	if (!end)
		end = now_ns() + limit;
	remember(DEADLINE_VARIABLE, end);
	return end;
}

void restart_now(void)
{
	char program[PATH_MAX];
	ssize_t length;
	sigset_t none;

	remember(COUNT_VARIABLE, restart_count() + 1);
	terminal_restore();
	fflush(NULL);
	/* watch.c blocked signals, and a mask outlives exec. */
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (command_line) {
		/* By its own name: the process shall be called what it was. */
		length = readlink("/proc/self/exe", program, sizeof(program) - 1);
		if (length > 0) {
			program[length] = '\0';
			execv(program, command_line);
		}
		execvp(command_line[0], command_line);
	}
	problem("cannot restart the guest: exec: %s; start it again by hand",
		strerror(errno));
}
