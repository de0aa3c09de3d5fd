// SPDX-License-Identifier: GPL-2.0
/*
 * A machine is born: a child of the supervisor, with two sockets to it, and nothing else
 * of what is the supervisor's.
 * Read next: hear.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inside.h"
#include "lguest.h"

/* Ours are closed by an exec, and are not a child's business; what we were given is. */
static void close_ours(const struct birth *birth)
{
	struct rlimit limit;
	int fd, last = 1024, flags;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < 1024)
		last = limit.rlim_cur;
	for (fd = STDERR_FILENO + 1; fd < last; fd++) {
		flags = fcntl(fd, F_GETFD);
		if (flags >= 0 && (flags & FD_CLOEXEC) && fd != birth->talk && fd != birth->output)
			close(fd);
	}
}

/* ps shows "lguest run ..." for us, and "guest: run ..." for the machine. */
static void change_name(void)
{
	char *name = program_invocation_name;
	size_t length = strlen(name);

	prctl(PR_SET_NAME, MACHINE_NAME);
	if (length >= 6 && !strcmp(name + length - 6, "lguest"))
		memcpy(name + length - 6, "guest:", 6);
}

/*
 * It dies with us, whatever ends us; and has no terminal, nor the signals of one.  Until
 * it is confined a signal to it does what it does to any program.
 */
static void be_machine(struct supervisor *s, const struct birth *birth, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_HOST);
	setsid();
	signal(SIGPIPE, s->pipe_before);
	close_ours(birth);
	change_name();
	sigprocmask(SIG_SETMASK, &s->before, NULL);
	s->settings->machine(s->settings->with, birth);
	_exit(STATUS_DONE);
}

static bool make_sockets(int talk[2], int output[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, talk))
		return false;
	if (!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, output)) {
		fcntl(talk[0], F_SETFL, O_NONBLOCK);	/* our end; the machine's waits */
		return true;
	}
	close(talk[0]);
	close(talk[1]);
	return false;
}

static bool bear(struct supervisor *s)
{
	pid_t parent = getpid();
	int talk[2], output[2];
	struct birth birth;
	int error;

	if (!make_sockets(talk, output))
		return false;
	birth = (struct birth){ talk[1], output[1], !s->restarts || s->gdb.connection >= 0 };
	s->link = (struct link){ .talk = talk[0], .output = output[0] };
	s->link.machine = fork();
	error = errno;
	if (!s->link.machine)
		be_machine(s, &birth, parent);
	close(talk[1]);
	close(output[1]);
	errno = error;
	return s->link.machine > 0;
}

bool start_machine(struct supervisor *s)
{
	if (!bear(s)) {
		problem("cannot start the guest's machine: %s; check `ulimit -u -n`",
			strerror(errno));
		return false;
	}
	s->reaped = s->talk_over = s->output_over = s->killed = false;
	s->patience = 0;
	memset(&s->last, 0, WIRE_HEADER);
	/* One that was there when the guest restarted stays connected. */
	if (s->gdb.connection >= 0)
		s->link.debugger = wire_hand(s->link.talk, WIRE_DEBUGGER, s->agreed,
					     s->gdb.connection);
	return true;
}
