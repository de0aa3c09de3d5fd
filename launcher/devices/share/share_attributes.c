// SPDX-License-Identifier: GPL-2.0
/*
 * Modes, owners and times.  Linux lets a process change those of any file of its
 * user that it can name or hold by O_PATH, and Landlock does not see it.  So the
 * filter lets the server of a share change what it holds a descriptor of, and
 * nothing that it names (jail/fixed.h); and here the kernel is asked where the file
 * lies, which somebody may have moved out of the folder meanwhile.  Bits that would
 * make a program run as somebody else are never set.
 * Read next: share_request.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jail/fixed.h"
#include "share.h"

/* Where the kernel says that it lies; false if that cannot be said. */
static bool place_of(const struct share *share, int fd, char *path)
{
	ssize_t size;

	if (hold(fd))
		return false;
	size = readlinkat(share->proc, fixed_held, path, PATH_MAX);
	if (size <= 0 || size == PATH_MAX)
		return false;
	path[size] = '\0';
	return path[0] == '/';
}

/* The folder's own place is asked for each time: somebody may move it. */
static bool is_inside(const struct share *share, int fd)
{
	char root[PATH_MAX], path[PATH_MAX];
	size_t length;

	if (!place_of(share, share->root, root) || !place_of(share, fd, path))
		return false;
	length = strlen(root);
	if (length == 1)
		return true;
	return !strncmp(path, root, length) && (!path[length] || path[length] == '/');
}

static int perform(const struct share *share, int fd, const struct change *change)
{
	const int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;

	if (!is_inside(share, fd))
		return -EPERM;
	switch (change->what) {
	case CHANGE_MODE:	/* of the file that is_inside() holds */
		return fchmodat(share->proc, fixed_held, change->mode & SHARE_MODE_MOST,
				0) ? -errno : 0;
	case CHANGE_OWNER:
		return fchownat(fd, fixed_empty, change->uid, change->gid, flags) ? -errno : 0;
	case CHANGE_GIVE:	/* where files have no owners, as on vfat, nobody can be given one */
		return fchownat(fd, fixed_empty, change->uid, change->gid, flags) &&
		       errno != EPERM ? -errno : 0;
	case CHANGE_TIMES:
		return utimensat(fd, fixed_empty, change->times, flags) ? -errno : 0;
	}
	return -EINVAL;
}

int change_file(const struct share *share, int fd, const struct change *change)
{
	int error = perform(share, fd, change);

	let_go(share);
	return error;
}
