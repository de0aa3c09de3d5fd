// SPDX-License-Identifier: GPL-2.0
/*
 * The server of a share becomes a process, before the guest's first instruction.
 * It has nothing of the machine but one end of a socket and a window of memory: no
 * page of the guest's, no /dev/lguest, no other device.  Nobody has to wait for its
 * end: its parent ends at once, and it ends when the machine does, whose end of
 * their socket is then closed.
 * Read next: share_server.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lguest.h"
#include "retry.h"
#include "share.h"

#define SOCKET	3	/* the server's */

/* Messages are the machine's to show; the test of its bounds wants stderr until here. */
static bool drop_output(int null)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (dup2(null, fd) != fd)
			return false;
	return !close(null);
}

static void be_server(const struct share_settings *settings, int end,
		      struct share_window *window)
{
	struct share_ready ready = { .why = "" };
	struct share *share = calloc(1, sizeof(*share));
	const char *why = "out of memory; free some";
	sigset_t all;
	int null;

	message_way = NULL;		/* of the machine's, whose line is closed here */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "share-server");
	if ((end != SOCKET && dup3(end, SOCKET, O_CLOEXEC) != SOCKET) ||
	    close_range(SOCKET + 1, ~0U, 0))
		_exit(1);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (share)
		why = share_begin(share, settings);
	if (!why && !drop_output(null))
		why = "/dev/null is missing; `lguest check` tells more of this host";
	if (why)
		snprintf(ready.why, sizeof(ready.why), "%s", why);
	if (write(SOCKET, &ready, sizeof(ready)) == sizeof(ready) && !why)
		share_serve(share, window, SOCKET);
	_exit(0);
}

/* Its parent is a child that ends; false with errno. */
static bool start_process(const struct share_settings *settings, const int ends[2],
			  struct share_window *window)
{
	pid_t child = fork();

	if (!child) {
		close(ends[0]);
		if (!fork())
			be_server(settings, ends[1], window);
		_exit(0);
	}
	return child > 0 && waitpid(child, NULL, 0) == child;
}

/* It is not yet one that a guest could have broken into. */
static const char *hear_ready(int socket)
{
	static struct share_ready ready;

	if (RETRY(read(socket, &ready, sizeof(ready))) != sizeof(ready))
		return "its server ended; check `ulimit -u`";
	ready.why[sizeof(ready.why) - 1] = '\0';
	return *ready.why ? ready.why : NULL;
}

const char *share_start(struct share_link *link, const struct share_settings *settings)
{
	const char *why;
	int ends[2];

	link->folder = settings->folder;
	pthread_mutex_init(&link->lock, NULL);
	link->window = mmap(NULL, sizeof(*link->window), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (link->window == MAP_FAILED ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return strerror(errno);
	why = start_process(settings, ends, link->window) ? NULL : strerror(errno);
	close(ends[1]);
	if (!why)
		why = hear_ready(ends[0]);
	if (why)
		close(ends[0]);
	link->socket = why ? -1 : ends[0];
	return why;
}

bool share_exchange(struct share_link *link, const struct share_ask *ask,
		    struct share_answer *answer)
{
	ssize_t size = SHARE_ASK_SIZE(ask->forgets);

	return RETRY(send(link->socket, ask, size, MSG_NOSIGNAL)) == size &&
	       (!ask->out_size ||
		RETRY(read(link->socket, answer, sizeof(*answer))) == sizeof(*answer));
}
