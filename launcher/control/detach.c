// SPDX-License-Identifier: GPL-2.0
/*
 * Detaching.  The supervisor goes on in a child, in a session of its own, while
 * the process that was called waits for one byte: the guest is ready.  Until then
 * messages are the caller's; after that they go to the system's log, and
 * nothing of the caller's is held open.
 * Read next: hardware/resident.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "detach.h"
#include "lguest.h"

static int report = -1;

/* It has not said that the guest is ready: so it ended, or is about to. */
static int status_of(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return STATUS_HOST;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int wait_for(pid_t child, int fd)
{
	ssize_t got;
	char byte;

	do {
		got = read(fd, &byte, 1);
	} while (got < 0 && errno == EINTR);
	return got == 1 ? STATUS_DONE : status_of(child);
}

static void drop(int first, int last)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd;

	for (fd = first; null >= 0 && fd <= last; fd++)
		dup2(null, fd);
	close(null);
}

bool detach(int *status)
{
	int ends[2];
	pid_t child;

	child = pipe2(ends, O_CLOEXEC) ? -1 : fork();
	if (child < 0) {
		problem("run: cannot detach: %s; check `ulimit -u -n`", strerror(errno));
		*status = STATUS_HOST;
		return false;
	}
	if (child) {
		close(ends[1]);
		*status = wait_for(child, ends[0]);
		return false;
	}
	close(ends[0]);
	report = ends[1];
	setsid();
	drop(STDIN_FILENO, STDOUT_FILENO);
	return true;
}

bool detach_awaited(void)
{
	return report >= 0;
}

void detach_done(void)
{
	if (report < 0)
		return;
	message_to_log();
	drop(STDERR_FILENO, STDERR_FILENO);
	/* If the caller has gone meanwhile, the guest goes on. */
	if (write(report, "", 1) != 1)
		note("nobody waited until the guest was ready");
	close(report);
	report = -1;
}
