// SPDX-License-Identifier: GPL-2.0
/*
 * Confinement.  A guest that finds a hole in a device is a process of its user,
 * and shall be less: the machine is confined as a whole.  Each of its threads, the
 * first one too, has a list of the system calls it needs (filter.c), and any other
 * ends the machine; it has no capability, should root have started us, and reaches no
 * file by name.  Its supervisor (supervisor/) has its user's rights, and meets nothing
 * of the guest but the messages of control/wire.h, and the bytes that the guest prints.
 * Limits of files and memory are for all threads.
 * Read next: filter.c.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "filter.h"
#include "hardware/memory.h"
#include "landlock.h"
#include "lguest.h"

/*L:332
 * What a guest could use up by way of its launcher ends in an error here, not in
 * the host's OOM killer.  A share, which needs more descriptors, asks for them
 * itself; address space beyond the guest's memory is for threads and buffers.
 :*/
#define FILES_MOST	1024

void confine_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur <= FILES_MOST)
		return;
	limit.rlim_cur = FILES_MOST;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int limit_memory(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	struct rlimit limit;
	unsigned long pages;
	int error = getrlimit(RLIMIT_AS, &limit) ||
		    !file || fscanf(file, "%lu", &pages) != 1;

	if (file)
		fclose(file);
	if (error)
		return -1;
	if (limit.rlim_cur > pages * MEMORY_PAGE + OWN_MEMORY)
		limit.rlim_cur = pages * MEMORY_PAGE + OWN_MEMORY;
	return setrlimit(RLIMIT_AS, &limit);
}

/* Without -v, too: half of the bounds are missing then.  Once, not at each restart. */
void confine_warn(void)
{
	if (landlock_version() < 1)
		problem("this kernel has no Landlock: nothing but a list of system calls keeps a guest that breaks into its launcher from the user's files; it takes Linux 5.13, and landlock among lsm= of the kernel's parameters");
}

/* Whoever started us left them open.  Ours would all be closed by an exec. */
void confine_close_inherited(void)
{
	DIR *list = opendir("/proc/self/fd");
	struct dirent *entry;

	while (list && (entry = readdir(list))) {
		int fd = atoi(entry->d_name);	/* of dots: 0 */

		if (fd > STDERR_FILENO && fcntl(fd, F_GETFD) == 0)
			close(fd);
	}
	if (list)
		closedir(list);
}

void confine_process(void)
{
	struct rlimit none = { 0, 0 };

	confine_close_inherited();
	if (limit_memory() || setrlimit(RLIMIT_CORE, &none) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		note("cannot give up privileges: %s", strerror(errno));
}

/* Of this thread: the kernel has no other. */
static int give_up_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	unsigned int i;

	/* Only root may do this; for others it is of no use without an exec. */
	for (i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	if (syscall(SYS_capget, &header, data))
		return -errno;
	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++, keep >>= 32) {
		data[i].permitted &= (uint32_t)keep;
		data[i].effective &= (uint32_t)keep;
		data[i].inheritable = 0;	/* so is what is ambient */
	}
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static struct {
	enum thread_kind kind;
	const char *path;
} folders[16];
static unsigned int folder_count;

bool confine_allow_folder(enum thread_kind kind, const char *path)
{
	if (folder_count == sizeof(folders) / sizeof(folders[0]))
		return false;
	folders[folder_count].kind = kind;
	folders[folder_count++].path = path;
	return true;
}

static int give_up_files(enum thread_kind kind)
{
	struct landlock_path_beneath_attr rules[sizeof(folders) / sizeof(folders[0])];
	unsigned int i, count = 0;
	int error;

	if (landlock_version() < 1)
		return 0;
	for (i = 0; i < folder_count; i++) {
		int fd = folders[i].kind == kind ?
			 open(folders[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

		/* One that is gone needs no rule. */
		if (fd < 0)
			continue;
		rules[count].allowed_access = LANDLOCK_ACCESS_FS_READ_DIR |
					      LANDLOCK_ACCESS_FS_REMOVE_FILE;
		rules[count++].parent_fd = fd;
	}
	error = landlock_restrict(rules, count);
	while (count)
		close(rules[--count].parent_fd);
	return error;
}

/*
 * For ps, top and gdb; the first thread's name is its process's, and another vCPU's has
 * its number (machine/threads.c).
 */
static void name_thread(enum thread_kind kind)
{
	if (gettid() != getpid() && kind != THREAD_VCPU)
		prctl(PR_SET_NAME, filter_name(kind));
}

bool confine_thread(enum thread_kind kind)
{
	int error = give_up_capabilities(filter_capabilities(kind));

	name_thread(kind);
	/* A share has its folder (devices/share/share.c). */
	if (!error && kind != THREAD_SHARE && kind != THREAD_SHARE_RO)
		error = give_up_files(kind);
	if (!error)
		error = filter_load(kind);
	if (error)
		problem("cannot confine the %s thread: %s; this kernel needs CONFIG_SECCOMP_FILTER",
			filter_name(kind), strerror(-error));
	else
		filter_try(kind);
	return !error;
}
