// SPDX-License-Identifier: GPL-2.0
/*
 * The door of a guest's vsock, PATH.  To call a Unix socket is to speak as the
 * user, to any program of his that listens on one; so the launcher, which
 * guests may break into, may not (filter.c).  A small process does it instead:
 * it is told a port's number, connects to PATH_NUMBER and nothing else, and
 * passes the socket.  It also listens on PATH, for programs that call the guest.
 * It ends with the launcher, whose end of their common socket is then closed.
 * Read next: launcher/linker/linker.h.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.h"
#include "jail/confine.h"
#include "retry.h"
#include "vsock.h"

#define PORT_DIGITS	11		/* "_4294967295" */
#define BACKLOG		64
#define PATIENCE	40		/* times 50 ms, for the last guest's keeper */

static struct sockaddr_un address_of(const char *path, const char *suffix)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s%s", path, suffix);
	return address;
}

static bool send_note(int to, const struct door_note *note, int fd)
{
	struct iovec part = { (void *)note, sizeof(*note) };
	union descriptor_room room;
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0)
		carry_descriptor(&message, &room, fd);
	return RETRY(sendmsg(to, &message, MSG_NOSIGNAL)) == sizeof(*note);
}

bool door_ask(int door, const struct door_note *note)
{
	return RETRY(send(door, note, sizeof(*note), MSG_DONTWAIT | MSG_NOSIGNAL)) ==
	       sizeof(*note);
}

int door_hear(int door, struct door_note *note, int *fd)
{
	ssize_t got = receive_carried(door, note, sizeof(*note), fd);

	if (got == sizeof(*note))
		return 1;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return got < 0 && errno == EAGAIN ? 0 : -1;
}

/* A socket connected to a port's own, or -1. */
static int call(const char *path, uint32_t port)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	char suffix[PORT_DIGITS + 1];

	snprintf(suffix, sizeof(suffix), "_%u", port);
	address = address_of(path, suffix);
	if (fd >= 0 && !connect(fd, (void *)&address, sizeof(address)))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* By a door that is closed there are no ways out. */
static bool answer(int launcher, const char *path, bool closed)
{
	struct door_note note;
	bool told;
	int fd;

	if (RETRY(read(launcher, &note, sizeof(note))) != sizeof(note))
		return false;
	note.incoming = false;
	fd = closed ? -1 : call(path, note.port);
	told = send_note(launcher, &note, fd);
	if (fd >= 0)
		close(fd);
	return told;
}

static bool let_in(int launcher, int listener)
{
	struct door_note note = { .incoming = true };
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	bool told;

	if (fd < 0)
		return true;
	told = send_note(launcher, &note, fd);
	close(fd);
	return told;
}

#define LAUNCHER	0
#define LISTENER	1

/* Its own socket is all that the keeper removes. */
static bool give_up_the_rest(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		slash[slash == path] = '\0';
	confine_process();
	return confine_allow_folder(THREAD_DOOR, slash ? path : ".") &&
	       confine_thread(THREAD_DOOR);
}

/* The keeper's life.  Signals at the terminal are for the launcher. */
static void keep_door(const char *path, bool closed, int launcher, int listener)
{
	struct pollfd fds[] = {
		{ .fd = LAUNCHER, .events = POLLIN }, { .fd = LISTENER, .events = POLLIN },
	};
	struct stat mine, now;
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	sigset_t all;
	bool go_on;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "vsock-door");
	strcpy(folder, path);	/* which door_open() has found short enough */
	launcher = fcntl(launcher, F_DUPFD, 3);
	listener = fcntl(listener, F_DUPFD, 3);
	go_on = !stat(path, &mine) && dup2(launcher, LAUNCHER) == LAUNCHER &&
		dup2(listener, LISTENER) == LISTENER && !close_range(2, ~0U, 0) &&
		give_up_the_rest(folder);
	while (go_on) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[LAUNCHER].revents)
			go_on = answer(LAUNCHER, path, closed);
		if (go_on && fds[LISTENER].revents)
			go_on = let_in(LAUNCHER, LISTENER);
	}
	if (!stat(path, &now) && now.st_ino == mine.st_ino && now.st_dev == mine.st_dev)
		unlink(path);
	_exit(0);
}

/* Nobody shall have to wait for the keeper's end: its parent ends at once. */
static bool start_keeper(const char *path, bool closed, int launcher, int listener)
{
	pid_t child = fork();

	if (child < 0)
		return false;
	if (!child) {
		if (!fork())
			keep_door(path, closed, launcher, listener);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	return true;
}

/* Only the user may call his guest. */
static bool bind_privately(int fd, const struct sockaddr_un *address)
{
	mode_t mask = umask(077);
	bool ok = !bind(fd, (const void *)address, sizeof(*address));

	umask(mask);
	return ok;
}

/*
 * A socket that nobody listens to is left over from a launcher that was killed.
 * When the guest restarts, the keeper of before may need a moment to go.
 */
static const char *listen_at(int fd, const char *path)
{
	struct sockaddr_un address = address_of(path, "");
	unsigned int i;

	for (i = 0; i < PATIENCE; i++) {
		struct stat status;
		int probe;

		if (bind_privately(fd, &address))
			return listen(fd, BACKLOG) ? strerror(errno) : NULL;
		if (errno != EADDRINUSE)
			return strerror(errno);
		if (!stat(path, &status) && !S_ISSOCK(status.st_mode))
			return "it is there, and no socket; give another name";
		probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(probe, (void *)&address, sizeof(address)) && errno == ECONNREFUSED)
			unlink(path);
		else
			usleep(50000);
		close(probe);
	}
	return "another guest uses it; give another name";
}

const char *door_wrong_path(const char *path)
{
	if (*path && strlen(path) + PORT_DIGITS < sizeof(((struct sockaddr_un *)0)->sun_path))
		return NULL;
	return "the name is missing or too long; give one like /run/user/1000/guest";
}

int door_open(const char *path, bool closed, const char **why)
{
	int ends[2], listener;

	*why = closed ? NULL : door_wrong_path(path);
	if (*why)
		return -1;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*why = listener < 0 ? strerror(errno) : listen_at(listener, path);
	if (!*why && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		*why = strerror(errno);
	if (*why) {
		close(listener);
		return -1;
	}
	if (!start_keeper(path, closed, ends[1], listener))
		*why = strerror(errno);
	close(listener);
	close(ends[1]);
	if (*why)
		close(ends[0]);
	return *why ? -1 : ends[0];
}
