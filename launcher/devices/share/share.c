// SPDX-License-Identifier: GPL-2.0
/*
 * The folder of a share, and the confinement of the threads that serve it.
 * They open files, as no other thread does once the guest runs; the kernel's
 * Landlock sees to it that these lie in the folder, even should all our care
 * with names be for nothing.
 * Read next: share_keeper.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "jail/confine.h"
#include "jail/landlock.h"
#include "lguest.h"
#include "share.h"

#define DESCRIPTORS_KEPT	256	/* for everything but shares */
#define DESCRIPTORS_LEAST	(2 * DESCRIPTORS_KEPT)
#define DESCRIPTORS_MOST	(1U << 20)	/* only root can raise the hard limit */

#define READ_ACCESS	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_ACCESS	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
			 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
			 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
			 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | \
			 LANDLOCK_REFER | LANDLOCK_TRUNCATE)

/* Each node and open file is a descriptor; all shares have them in common. */
static const char *raise_limit(void)
{
	struct rlimit limit, more = { DESCRIPTORS_MOST, DESCRIPTORS_MOST };

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return strerror(errno);
	if (limit.rlim_max < DESCRIPTORS_MOST && !setrlimit(RLIMIT_NOFILE, &more))
		limit = more;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < DESCRIPTORS_LEAST)
		return "too few files may be open at once; raise `ulimit -Hn`";
	nodes_descriptors(limit.rlim_max - DESCRIPTORS_KEPT);
	return NULL;
}

static const char *open_folder(struct share *share)
{
	share->proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (share->proc < 0)
		return "/proc is not mounted; `mount -t proc proc /proc`";
	share->root = open(share->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (share->root < 0)
		return strerror(errno);
	if (is_kernel_interface(share->root))
		return "it is an interface of the kernel, not a folder of files";
	return NULL;
}

bool share_open(struct share *share, const char *folder, bool read_only)
{
	const char *why;

	share->folder = folder;
	share->read_only = read_only;
	share->give_away = geteuid() == 0;
	share->keeper = -1;
	pthread_mutex_init(&share->lock, NULL);
	why = open_folder(share);
	if (!why && !read_only)
		share->keeper = keeper_start(share->root);
	if (!why && !read_only && share->keeper < 0)
		why = strerror(-share->keeper);
	if (!why)
		why = raise_limit();
	if (!why && !nodes_init(share))
		why = strerror(errno);
	if (why)
		problem("cannot share %s: %s", folder, why);
	return !why;
}

/*D:500
 * Landlock of Linux 5.19, version 2, is the first that lets files move between
 * folders.  A kernel without it has the rules of share_names.c alone.
 :*/
static int restrict_to_folder(const struct share *share)
{
	struct landlock_path_beneath_attr folder = {
		.allowed_access = READ_ACCESS | (share->read_only ? 0 : WRITE_ACCESS),
		.parent_fd = share->root,
	};

	if (landlock_version() >= 2)
		return landlock_restrict(&folder, 1);
	problem("%s: this kernel has no Landlock of Linux 5.19, which would keep a guest that breaks into its launcher in this folder; share nothing with guests you do not trust",
		share->folder);
	return 0;
}

/* A mask of its own: the guest's kernel has applied the guest's already. */
bool share_confine(struct share *share)
{
	int error = unshare(CLONE_FS) ? -errno : 0;

	if (!error) {
		umask(0);
		error = restrict_to_folder(share);
	}
	if (error)
		problem("%s: cannot confine its thread: %s; `lguest check` tells more of this host",
			share->folder, strerror(-error));
	return !error && confine_thread(share->read_only ? THREAD_SHARE_RO : THREAD_SHARE);
}
