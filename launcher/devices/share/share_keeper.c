// SPDX-License-Identifier: GPL-2.0
/*
 * The keeper of a share's modes, owners and times.  Linux lets a process change
 * those of any file of its user that it can name or hold by O_PATH, and neither
 * Landlock nor a filter of system calls sees which file is meant.  So the threads
 * that serve a guest, which it may break into, have no such call.  They send the
 * file and what is wanted to this small process.  It asks the kernel where the
 * file lies, and changes it only if that is in the share's folder; bits that
 * would make a program run as somebody else are never set.
 * Read next: share_request.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/confine.h"
#include "retry.h"
#include "share.h"

#define SOCKET	0	/* the keeper's descriptors; a file that came is 3 */
#define ROOT	1
#define PROC	2	/* /proc/self/fd */

union note_room {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

/* Where the kernel says that it lies; false if that cannot be said. */
static bool place_of(int fd, char *path)
{
	char name[16];
	ssize_t size;

	snprintf(name, sizeof(name), "%d", fd);
	size = readlinkat(PROC, name, path, PATH_MAX);
	if (size <= 0 || size == PATH_MAX)
		return false;
	path[size] = '\0';
	return path[0] == '/';
}

/* The folder's own place is asked for each time: somebody may move it. */
static bool is_inside(int fd)
{
	char root[PATH_MAX], path[PATH_MAX];
	size_t length;

	if (!place_of(ROOT, root) || !place_of(fd, path))
		return false;
	length = strlen(root);
	if (length == 1)
		return true;
	return !strncmp(path, root, length) && (!path[length] || path[length] == '/');
}

static int change_mode(int fd, mode_t mode)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", fd);
	return fchmodat(PROC, name, mode & SHARE_MODE_MOST, 0) ? -errno : 0;
}

static int perform(int fd, const struct change *change)
{
	const int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;

	if (!is_inside(fd))
		return -EPERM;
	switch (change->what) {
	case CHANGE_MODE:
		return change_mode(fd, change->mode);
	case CHANGE_OWNER:
		return fchownat(fd, "", change->uid, change->gid, flags) ? -errno : 0;
	case CHANGE_TIMES:
		return utimensat(fd, "", change->times, flags) ? -errno : 0;
	}
	return -EINVAL;
}

/* The next wish, and its file or -1; false: there will be none. */
static bool hear(struct change *change, int *fd)
{
	struct iovec part = { change, sizeof(*change) };
	union note_room control;
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1,
				  .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t got = RETRY(recvmsg(SOCKET, &message, MSG_CMSG_CLOEXEC));
	struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	*fd = -1;
	if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(header), sizeof(int));
	return got == sizeof(*change);
}

static void keep(void)
{
	struct change change;
	int fd, error;

	while (hear(&change, &fd)) {
		error = fd < 0 ? -EBADF : perform(fd, &change);
		if (fd >= 0)
			close(fd);
		if (RETRY(write(SOCKET, &error, sizeof(error))) != sizeof(error))
			break;
	}
}

/* Its life.  /proc/self is another one than the launcher's. */
static void be_keeper(int end, int root)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "share-keeper");
	end = fcntl(end, F_DUPFD, 3);
	root = fcntl(root, F_DUPFD, 3);
	if (dup2(end, SOCKET) == SOCKET && dup2(root, ROOT) == ROOT && !close_range(2, ~0U, 0) &&
	    open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC) == PROC) {
		confine_process();
		if (confine_thread(THREAD_KEEPER))
			keep();
	}
	_exit(0);
}

/* Nobody shall have to wait for its end: its parent ends at once. */
int keeper_start(int root)
{
	int ends[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	child = fork();
	if (!child) {
		close(ends[0]);
		if (!fork())
			be_keeper(ends[1], root);
		_exit(0);
	}
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return -EAGAIN;
	}
	waitpid(child, NULL, 0);
	return ends[0];
}

int keeper_ask(int keeper, int fd, const struct change *change)
{
	struct iovec part = { (void *)change, sizeof(*change) };
	union note_room control = { .room = "" };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1,
				  .msg_control = &control, .msg_controllen = sizeof(control) };
	int error;

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	if (RETRY(sendmsg(keeper, &message, MSG_NOSIGNAL)) != sizeof(*change) ||
	    RETRY(read(keeper, &error, sizeof(error))) != sizeof(error))
		return -EIO;
	return error;
}
