// SPDX-License-Identifier: GPL-2.0
/*
 * The folder of a share, and the confinement of the process that serves it.  It
 * opens files, as none that a guest meets does; the kernel's Landlock sees to it
 * that these lie in the folder, even should all our care with names be for nothing.
 * Read next: share_root.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jail/confine.h"
#include "jail/landlock.h"
#include "share.h"

#define DESCRIPTORS_KEPT	256	/* for everything else */
#define DESCRIPTORS_LEAST	(2 * DESCRIPTORS_KEPT)
#define DESCRIPTORS_MOST	(1U << 20)	/* only root can raise the hard limit */

#define READ_ACCESS	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_ACCESS	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
			 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
			 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
			 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | \
			 LANDLOCK_REFER | LANDLOCK_TRUNCATE)

/* Each node and open file is a descriptor. */
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

static const char *open_folder(struct share *share, const char *folder)
{
	if (share->proc < 0)
		share->proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (share->proc < 0)
		return "/proc is not mounted; `mount -t proc proc /proc`";
	share->root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (share->root < 0)
		return strerror(errno);
	if (is_kernel_interface(share->root))
		return "it is an interface of the kernel, not a folder of files";
	return NULL;
}

const char *share_open(struct share *share, const char *folder)
{
	const char *why = open_folder(share, folder);

	share->give_away = geteuid() == 0;
	if (!why)
		why = raise_limit();
	if (!why && (hold(share->root) || !nodes_init(share)))
		why = strerror(errno);
	return why;
}

/*D:500
 * Landlock of Linux 5.19, version 2, is the first that lets files move between
 * folders.  A kernel without it has the server's own root and the filter alone.
 :*/
static int restrict_to_folder(const struct share *share)
{
	struct landlock_path_beneath_attr folder = {
		.allowed_access = READ_ACCESS | (share->read_only ? 0 : WRITE_ACCESS),
		.parent_fd = share->root,
	};

	return share_has_landlock() ? landlock_restrict(&folder, 1) : 0;
}

bool share_has_landlock(void)
{
	return landlock_version() >= 2;
}

/* A mask of its own: the guest's kernel has applied the guest's already. */
static const char *confine(struct share *share)
{
	int error;

	umask(0);
	error = restrict_to_folder(share);
	if (error)
		return strerror(-error);
	return confine_thread(share->read_only ? THREAD_SHARE_RO : THREAD_SHARE) ? NULL :
	       "its server cannot be confined; `lguest check` tells more of this host";
}

const char *share_begin(struct share *share, const struct share_settings *settings)
{
	const char *why;

	share->read_only = settings->read_only;
	share->steady = settings->steady;
	share->hidden = settings->hidden;
	share->way = settings->way;
	if (chdir(settings->folder))
		return strerror(errno);
	confine_process();	/* while /proc is there */
	share->proc = share_enter();
	why = share_open(share, ".");
	return why ? why : confine(share);
}
