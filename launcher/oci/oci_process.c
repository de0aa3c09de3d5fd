// SPDX-License-Identifier: GPL-2.0
/*
 * The process of the host that stands for one in a container: its standard files are the
 * container's, signals to it are passed on, and it ends with the same status.  The first
 * one waits until somebody opens the file "start", and its end is that of the guest.
 * Read next: cmd_oci.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "command/session.h"
#include "io.h"
#include "lguest.h"
#include "oci.h"
#include "terminal.h"

static bool send_terminal(const char *path, int master)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[] = "/dev/ptmx";
	struct iovec part = { name, sizeof(name) };
	union descriptor_room room;
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	bool ok;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	strcpy(address.sun_path, path);
	carry_descriptor(&message, &room, master);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ok = fd >= 0 && !connect(fd, (void *)&address, sizeof(address)) &&
	     sendmsg(fd, &message, MSG_NOSIGNAL) == sizeof(name);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* A terminal whose other end is the caller's becomes ours; the guest has its own. */
static bool take_terminal(const struct oci_launch *launch)
{
	struct winsize size = { launch->process->rows, launch->process->columns, 0, 0 };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1, fd;

	if (master >= 0 && !grantpt(master) && !unlockpt(master))
		slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (slave >= 0 && size.ws_row && size.ws_col)
		ioctl(slave, TIOCSWINSZ, &size);
	if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) || !send_terminal(launch->console, master)) {
		problem("oci: cannot hand the terminal to %s: %s", launch->console, strerror(errno));
		return false;
	}
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(slave, fd);
	return terminal_raw();
}

static void wait_for_start(const struct oci_container *c)
{
	char path[PATH_MAX];
	int fd;

	oci_fifo(c, path, sizeof(path));
	while ((fd = open(path, O_WRONLY | O_CLOEXEC)) < 0)
		if (errno != EINTR)
			_exit(STATUS_HOST);
	if (write(fd, "", 1) != 1)
		_exit(STATUS_HOST);
	close(fd);
}

static int live(const struct oci_launch *launch)
{
	static struct session session;
	const struct oci_process *process = launch->process;
	const struct session_request request = {
		.command = "oci", .name = launch->container->guest,
		.flags = AGENT_INPUT | (process->terminal ? AGENT_TERMINAL : 0),
		.rows = process->rows, .columns = process->columns,
		.user = process->user, .root = OCI_ROOT, .folder = process->folder,
		.words = process->words, .variables = process->variables,
	};
	struct session_files files = {
		.in = STDIN_FILENO, .out = STDOUT_FILENO, .err = STDERR_FILENO, .patient = true,
	};
	int fd = session_connect("oci", request.name);

	if (fd < 0 || !session_begin(&session, fd, &request))
		return STATUS_HOST;
	files.signals = session_signals();
	session.resized = process->terminal;
	return session_status(&session, &request, session_run(&session, &files));
}

static void become_process(const struct oci_launch *launch, int ready)
{
	int status;

	message_stream = NULL;
	setsid();
	if (!launch->process->terminal || take_terminal(launch)) {
		/* The one who waits for us to be ready, and nothing else of the caller's. */
		if (write(ready, "", 1) != 1)
			_exit(STATUS_HOST);
		close_range(STDERR_FILENO + 1, ~0U, 0);
		if (launch->first)
			wait_for_start(launch->container);
		status = live(launch);
		terminal_restore();
		if (launch->first)
			oci_stop_guest(launch->container);
		_exit(status);
	}
	_exit(STATUS_HOST);
}

static bool write_pid(const char *path, pid_t pid)
{
	FILE *out = fopen(path, "we");
	bool ok = out && fprintf(out, "%d", pid) > 0;

	ok = out && !fclose(out) && ok;
	if (!ok)
		problem("oci: cannot write %s: %s", path, strerror(errno));
	return ok;
}

pid_t oci_launch(const struct oci_launch *launch)
{
	char path[PATH_MAX], byte;
	int ready[2];
	pid_t child;

	oci_fifo(launch->container, path, sizeof(path));
	if (launch->process->terminal && !launch->console) {
		problem("oci: a terminal needs a --console-socket");
		return -1;
	}
	if ((launch->first && mkfifo(path, 0600)) || pipe2(ready, O_CLOEXEC)) {
		problem("oci: cannot make %s: %s", path, strerror(errno));
		return -1;
	}
	fflush(NULL);
	child = fork();
	if (!child)
		become_process(launch, ready[1]);
	close(ready[1]);
	if (child < 0 || read(ready[0], &byte, 1) != 1)
		return -1;
	close(ready[0]);
	if (launch->pid_file && !write_pid(launch->pid_file, child)) {
		kill(child, SIGKILL);
		return -1;
	}
	return child;
}
