// SPDX-License-Identifier: GPL-2.0
/*
 * A root folder of the server's own: the shared one.  What lies outside has no name
 * then, not even for a look whether it is there.  It takes root, and root's right to
 * mount: an ordinary user could have it in a user namespace only, where most owners
 * of files have no number.  Whoever cannot has the filter (jail/fixed.h) and Landlock.
 * Read next: share_attributes.c.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "share.h"

/* Then there is no outside. */
static bool is_whole(void)
{
	struct statx here, root;

	return !statx(AT_FDCWD, ".", 0, STATX_INO | STATX_MNT_ID, &here) &&
	       !statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &root) &&
	       here.stx_ino == root.stx_ino && here.stx_mnt_id == root.stx_mnt_id;
}

/*
 * The links of /proc/self/fd as a mount of their own: nothing of /proc lies above them.
 * The folder itself is not mounted anew: Landlock would take what somebody moves out of
 * a mount's tree for a part of it.
 */
int share_enter(void)
{
	int proc;

	if (geteuid() || is_whole())
		return -1;
	proc = open_tree(AT_FDCWD, "/proc/self/fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (proc >= 0 && !chroot("."))
		return proc;
	close(proc);
	return -1;
}
