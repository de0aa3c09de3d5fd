// SPDX-License-Identifier: GPL-2.0
/*
 * One command for the host, in a process of its own: the request is read, the command
 * started as it says, and then bytes go to and fro until it has ended and all that it
 * said is on its way.  What others hold open of its output then is not waited for.
 * Read next: users.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <lguest/agent_wire.h>
#include <linux/wait.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "sys.h"

#define WORDS_MOST	4096	/* of a command, and as many variables */
#define END_OF_INPUT	"\4"	/* for a terminal */

static struct request {
	struct agent_start start;
	char texts[AGENT_REQUEST + 1];
	const char *user, *root, *folder;
	char *words[WORDS_MOST + 1];
	char *variables[WORDS_MOST + 8];	/* some are added */
} request;

static struct session {
	int connection, child, child_fd;
	int tools;		/* our busybox, or -1 */
	bool terminal, gone, drained[AGENT_STREAMS];
	struct agent_exit end;
	struct agent_wire wire;
	struct agent_sink in;
	struct agent_source sources[AGENT_STREAMS];	/* but for AGENT_IN */
} s;			/* of zeroes: else it would be bytes of the program */

/* ---- the request */

static bool read_all(int fd, void *to, size_t size)
{
	while (size) {
		long got = sys3(read, fd, to, size);

		if (got == -EINTR)
			continue;
		if (got <= 0)
			return false;
		to = (char *)to + got;
		size -= got;
	}
	return true;
}

/* The next of the texts that end at @end, or NULL. */
static char *next_text(char **at, char *end)
{
	char *text = *at;

	while (*at < end && **at)
		(*at)++;
	if (*at == end)
		return NULL;
	(*at)++;
	return text;
}

static bool read_texts(size_t size)
{
	char *at = request.texts, *end = at + size;
	uint32_t i;

	request.user = next_text(&at, end);
	request.root = next_text(&at, end);
	request.folder = next_text(&at, end);
	if (!request.folder || !request.start.words || request.start.words > WORDS_MOST ||
	    request.start.variables > WORDS_MOST)
		return false;
	for (i = 0; i < request.start.words; i++)
		if (!(request.words[i] = next_text(&at, end)))
			return false;
	for (i = 0; i < request.start.variables; i++)
		if (!(request.variables[i] = next_text(&at, end)))
			return false;
	return at == end;
}

static bool read_request(void)
{
	struct agent_frame frame;

	if (!read_all(s.connection, &frame, sizeof(frame)) || frame.kind != AGENT_START ||
	    frame.size < sizeof(request.start) ||
	    frame.size > sizeof(request.start) + AGENT_REQUEST ||
	    !read_all(s.connection, &request.start, sizeof(request.start)))
		return false;
	frame.size -= sizeof(request.start);
	return read_all(s.connection, request.texts, frame.size) && read_texts(frame.size);
}

/* ---- the command's start */

static bool begins(const char *text, const char *with)
{
	while (*with && *text == *with) {
		text++;
		with++;
	}
	return !*with;
}

/* "K=" of it, or NULL. */
static const char *variable(const char *key)
{
	char **at;

	for (at = request.variables; *at; at++)
		if (begins(*at, key))
			return *at + strlen(key);
	return NULL;
}

static char *append(char *to, const char *text)
{
	while (*text)
		*to++ = *text++;
	*to = '\0';
	return to;
}

/* Unless the request has it; where the next one goes. */
static char *set_default(char *at, const char *key, const char *value)
{
	if (variable(key))
		return at;
	request.variables[request.start.variables++] = at;
	return append(append(at, key), value) + 1;
}

static void complete_variables(const struct user *user)
{
	static char texts[1024];	/* more than a struct user has */
	char *at = texts;

	at = set_default(at, "PATH=", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	at = set_default(at, "HOME=", *user->home ? user->home : "/");
	if (*user->name) {
		at = set_default(at, "USER=", user->name);
		set_default(at, "LOGNAME=", user->name);
	}
}

/* The current folder is the root of all commands: /init saw to it. */
static bool enter_root(void)
{
	int error = sys1(chroot, ".");

	if (!error && *request.root) {
		error = sys1(chdir, request.root);
		if (!error)
			error = sys1(chroot, ".");
	}
	s.end = (struct agent_exit){ AGENT_NO_ROOT, -error };
	return !error;
}

static bool open_terminal(int ends[2])
{
	const struct winsize size = { .ws_row = request.start.size.rows ?: 24,
				      .ws_col = request.start.size.columns ?: 80 };
	int no = 0;

	ends[0] = sys3(open, "/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0);
	ends[1] = ends[0] < 0 ? ends[0] : sys3(ioctl, ends[0], TIOCSPTLCK, &no);
	if (ends[1] >= 0)
		ends[1] = sys3(ioctl, ends[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	s.end = (struct agent_exit){ AGENT_NO_TERMINAL, -ends[1] };
	if (ends[1] < 0)
		return false;
	sys3(ioctl, ends[0], TIOCSWINSZ, &size);
	return true;
}

/* Our ends do not wait; the command's do. */
static int open_pipe(bool to_command, int *theirs)
{
	int ends[2], ours;

	*theirs = sys2(pipe2, ends, O_CLOEXEC);
	if (*theirs < 0)
		return -1;
	ours = to_command ? ends[1] : ends[0];
	*theirs = to_command ? ends[0] : ends[1];
	sys3(fcntl, ours, F_SETFL, O_NONBLOCK);
	return ours;
}

static bool open_streams(int theirs[AGENT_STREAMS])
{
	int ends[2];

	s.terminal = request.start.flags & AGENT_TERMINAL;
	if (s.terminal) {
		if (!open_terminal(ends))
			return false;
		theirs[AGENT_IN] = theirs[AGENT_OUT] = theirs[AGENT_ERR] = ends[1];
		s.in.fd = s.sources[AGENT_OUT].fd = ends[0];
		return true;
	}
	if (request.start.flags & AGENT_INPUT)
		s.in.fd = open_pipe(true, &theirs[AGENT_IN]);
	else
		theirs[AGENT_IN] = sys3(open, "/dev/null", O_RDWR | O_CLOEXEC, 0);
	s.sources[AGENT_OUT].fd = open_pipe(false, &theirs[AGENT_OUT]);
	s.sources[AGENT_ERR].fd = open_pipe(false, &theirs[AGENT_ERR]);
	s.end = (struct agent_exit){ AGENT_NO_PROCESS, EMFILE };
	return theirs[AGENT_OUT] >= 0 && theirs[AGENT_ERR] >= 0;
}

static void give_up(int to, unsigned int how, long error)
{
	const struct agent_exit end = { how, -error };

	sys3(write, to, &end, sizeof(end));
	sys1(exit_group, 1);
}

/* As execvp(): the last error that says more than that there is none. */
static long run_program(void)
{
	static char path[4096];
	const char *name = request.words[0], *at = variable("PATH="), *c;
	long error = -ENOENT;

	if (s.tools >= 0)
		return sys5(execveat, s.tools, "", request.words, request.variables,
			    AT_EMPTY_PATH);
	for (c = name; *c; c++)
		if (*c == '/')
			return sys3(execve, name, request.words, request.variables);
	while (*name && *at) {
		char *to = path;
		long result;

		for (; *at && *at != ':'; at++)
			if (to < path + sizeof(path) / 2)
				*to++ = *at;
		if (*at)
			at++;
		*to++ = '/';
		if (c - name >= path + sizeof(path) - to)
			return -ENAMETOOLONG;
		append(to, name);
		result = sys3(execve, path, request.words, request.variables);
		if (result != -ENOENT && result != -ENOTDIR)
			error = result;
	}
	return error;
}

static void default_signals(void)
{
	static const struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; }
		usual;
	int number;

	for (number = 1; number < 32; number++)
		sys4(rt_sigaction, number, &usual, NULL, sizeof(usual.mask));
}

/* In the child.  What fails is told by @errors, which an exec closes. */
static void become_command(const int theirs[AGENT_STREAMS], const struct user *user, int errors)
{
	const char *folder = *request.folder ? request.folder : user->home;
	long error;
	int i;

	default_signals();
	sys0(setsid);
	if (s.terminal)
		sys3(ioctl, theirs[AGENT_IN], TIOCSCTTY, 0);
	for (i = 0; i < AGENT_STREAMS; i++)
		if (theirs[i] < 0)
			sys1(close, i);
		else
			sys2(dup2, theirs[i], i);
	error = sys2(setgroups, user->group_count, user->groups);
	if (!error)
		error = sys1(setgid, user->gid);
	if (!error)
		error = sys1(setuid, user->uid);
	if (error)
		give_up(errors, AGENT_NO_USER, error);
	error = sys1(chdir, *folder ? folder : "/");
	if (error && *request.folder)
		give_up(errors, AGENT_NO_FOLDER, error);
	if (error)
		sys1(chdir, "/");
	give_up(errors, AGENT_NO_PROGRAM, run_program());
}

static bool start_child(const int theirs[AGENT_STREAMS], const struct user *user)
{
	int errors[2], i;

	s.end = (struct agent_exit){ AGENT_NO_PROCESS, EAGAIN };
	if (sys2(pipe2, errors, O_CLOEXEC) < 0)
		return false;
	s.child = sys0(fork);
	if (!s.child)
		become_command(theirs, user, errors[1]);
	sys1(close, errors[1]);
	for (i = 0; i < AGENT_STREAMS; i++)
		if (i == 0 || theirs[i] != theirs[0])
			sys1(close, theirs[i]);
	if (s.child < 0 || read_all(errors[0], &s.end, sizeof(s.end)))
		return false;
	sys1(close, errors[0]);
	s.child_fd = sys2(pidfd_open, s.child, 0);
	s.end = (struct agent_exit){ AGENT_NO_PROCESS, ENOSYS };
	return s.child_fd >= 0;
}

/* The end is said then. */
static bool start_command(void)
{
	int theirs[AGENT_STREAMS] = { -1, -1, -1 };
	struct user user;
	int error;

	if (request.start.flags & AGENT_OWN_TOOLS)
		s.tools = sys3(open, "/bin/busybox", O_PATH | O_CLOEXEC, 0);
	if (!enter_root())
		return false;
	error = find_user(request.user, &user);
	if (error) {
		s.end = (struct agent_exit){ AGENT_NO_USER, -error };
		return false;
	}
	complete_variables(&user);
	return open_streams(theirs) && start_child(theirs, &user);
}

/* ---- to and fro */

static void close_input(void)
{
	if (s.in.fd >= 0 && !s.terminal)
		sys1(close, s.in.fd);
	s.in.fd = -1;
}

static void feed_command(void)
{
	while (s.in.count) {
		long done = s.in.fd < 0 ? agent_first(&s.in) :
			    sys3(write, s.in.fd, s.in.bytes + s.in.first, agent_first(&s.in));

		if (done == -EAGAIN || done == -EINTR)
			break;
		if (done < 0)
			close_input();	/* it does not listen: the rest is lost */
		else
			agent_went(&s.in, done);
	}
	if (!s.in.count && s.in.ends && s.in.fd >= 0) {
		if (s.terminal)
			sys3(write, s.in.fd, END_OF_INPUT, 1);
		close_input();
	}
}

static void read_command(unsigned int stream)
{
	struct agent_source *source = &s.sources[stream];
	uint32_t most;

	while ((most = agent_may_send(&s.wire, source))) {
		long got = sys3(read, source->fd, agent_place(&s.wire), most);

		if (got == -EINTR)
			continue;
		if (got == -EAGAIN) {
			s.drained[stream] = !s.child;
			return;
		}
		if (got <= 0) {		/* of a terminal: EIO */
			if (source->fd != s.in.fd)
				sys1(close, source->fd);
			source->fd = -1;
			got = 0;
		}
		agent_add(&s.wire, AGENT_DATA, stream, got);
		source->flying += got;
	}
}

static bool obey(const struct agent_frame *frame, const uint8_t *body)
{
	struct agent_size size;
	struct winsize window = { 0 };
	uint32_t number;

	switch (frame->kind) {
	case AGENT_DATA:
		return frame->stream == AGENT_IN && agent_take(&s.in, body, frame->size);
	case AGENT_TAKEN:
		return agent_told(&s.sources[frame->stream], body);
	case AGENT_SIGNAL:
		memcpy(&number, body, sizeof(number));
		if (s.child && number && number < 65)
			sys2(kill, -s.child, number);
		return true;
	case AGENT_SIZE:
		memcpy(&size, body, sizeof(size));
		window.ws_row = size.rows;
		window.ws_col = size.columns;
		if (s.terminal)
			sys3(ioctl, s.sources[AGENT_OUT].fd, TIOCSWINSZ, &window);
		return true;
	default:
		return false;
	}
}

/* False: the host's end is closed, or talks nonsense. */
static bool hear_host(void)
{
	struct agent_frame frame;
	long got = sys3(read, s.connection, s.wire.in + s.wire.in_size,
			sizeof(s.wire.in) - s.wire.in_size);
	int next;

	if (got == -EAGAIN || got == -EINTR)
		return true;
	if (got <= 0)
		return false;
	s.wire.in_size += got;
	while ((next = agent_next(&s.wire, &frame)) > 0) {
		if (!obey(&frame, agent_body(&s.wire)))
			return false;
		agent_forget(&s.wire, &frame);
	}
	return next == 0;
}

static bool tell_host(void)
{
	while (s.wire.out_size) {
		long done = sys3(write, s.connection, s.wire.out, s.wire.out_size);

		if (done == -EAGAIN)
			break;
		if (done == -EINTR)
			continue;
		if (done < 0)
			return false;
		agent_sent(&s.wire, done);
	}
	return true;
}

static void child_ended(void)
{
	int status;

	if (sys4(wait4, s.child, &status, WNOHANG, NULL) != s.child)
		return;
	s.child = 0;
	sys1(close, s.child_fd);
	s.child_fd = -1;
	if (status & 0x7f)
		s.end = (struct agent_exit){ AGENT_KILLED, status & 0x7f };
	else
		s.end = (struct agent_exit){ AGENT_EXITED, status >> 8 & 0xff };
}

static bool all_said(void)
{
	unsigned int i;

	for (i = AGENT_OUT; i < AGENT_STREAMS; i++)
		if (s.sources[i].fd >= 0 && !s.drained[i])
			return false;
	return !s.child;
}

/* False: the host has gone. */
static bool turn(void)
{
	struct pollfd fds[] = {
		{ s.connection, POLLIN | (s.wire.out_size ? POLLOUT : 0), 0 },
		{ s.child_fd, POLLIN, 0 },
		{ s.in.count ? s.in.fd : -1, POLLOUT, 0 },
		{ agent_may_send(&s.wire, &s.sources[AGENT_OUT]) ?
			s.sources[AGENT_OUT].fd : -1, POLLIN, 0 },
		{ agent_may_send(&s.wire, &s.sources[AGENT_ERR]) ?
			s.sources[AGENT_ERR].fd : -1, POLLIN, 0 },
	};

	sys3(poll, fds, sizeof(fds) / sizeof(fds[0]), s.child ? -1 : 50);
	if (fds[0].revents & ~POLLOUT && !hear_host())
		return false;
	feed_command();
	agent_tell(&s.wire, &s.in, AGENT_IN);
	if (s.child && fds[1].revents)
		child_ended();
	if (fds[3].revents || !s.child)
		read_command(AGENT_OUT);
	if (fds[4].revents || !s.child)
		read_command(AGENT_ERR);
	return tell_host();
}

static void say_end(void)
{
	struct pollfd room = { s.connection, POLLOUT, 0 };
	bool said = false;

	while (!said || s.wire.out_size) {
		if (!said)
			said = agent_put(&s.wire, AGENT_EXIT, 0, &s.end, sizeof(s.end));
		if (!tell_host())
			return;
		if (s.wire.out_size)
			sys3(poll, &room, 1, -1);
	}
}

void serve_session(int connection)
{
	static const struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; }
		usual;

	unsigned int i;

	s.connection = connection;
	s.child_fd = s.tools = s.in.fd = -1;
	for (i = 0; i < AGENT_STREAMS; i++)
		s.sources[i].fd = -1;
	/* The command's end is to be known. */
	sys4(rt_sigaction, SIGCHLD, &usual, NULL, sizeof(usual.mask));
	if (!read_request())
		return;
	sys3(fcntl, connection, F_SETFL, O_NONBLOCK);
	if (start_command())
		while (!all_said())
			if (!turn()) {
				if (s.child)
					sys2(kill, -s.child, SIGHUP);
				return;
			}
	say_end();
}
