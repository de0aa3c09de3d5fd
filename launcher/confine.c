// SPDX-License-Identifier: GPL-2.0
/*
 * Confinement.  A guest that finds a hole in a device is a process of its user,
 * and shall be less: each thread that touches the guest's bytes has a list of
 * the system calls it needs, and any other ends the launcher with SIGSYS; it has
 * no capability, should root have started us, and reaches no file by name.  The
 * first thread has none of these bounds, because a restart is an exec and opens
 * everything anew; it sleeps from before the guest's first instruction until
 * after its last.  Limits of files and memory are for all.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "landlock.h"
#include "lguest.h"
#include "memory.h"

#define CALL(name) SCMP_SYS(name)
/* What every thread needs: memory, locks, time, its own end, the C library's. */
#define COMMON								\
	CALL(brk), CALL(clock_gettime), CALL(clock_nanosleep), CALL(close), \
	CALL(exit), CALL(exit_group), CALL(futex), CALL(getpid),	\
	CALL(gettid), CALL(gettimeofday), CALL(madvise), CALL(mremap),	\
	CALL(munmap), CALL(nanosleep), CALL(poll), CALL(ppoll),		\
	CALL(read), CALL(readv), CALL(restart_syscall), CALL(rseq),	\
	CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn),	\
	CALL(sched_yield), CALL(set_robust_list), CALL(sigaltstack),	\
	CALL(write), CALL(writev)
/* More are common, with some arguments only: allow_common(). */

/* A share of root's gives its guest root's rights to files, and no others. */
#define BIT(capability)	(1ULL << (capability))
#define OF_FILES	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | \
			 BIT(CAP_FOWNER) | BIT(CAP_FSETID))

/*L:330
 * The lists.  A device that needs another call adds it here, with its name.
 * Executing, tracing and making namespaces are in none, on purpose, and opening
 * only in that of a share.
 :*/
static const struct list {
	const char *name;
	uint64_t capabilities;	/* that are kept, if root started us */
	int calls[80];		/* 0 (read) is common, so it ends the list */
} lists[THREAD_KINDS] = {
	[THREAD_VCPU] = { "vcpu", 0, {
		COMMON,
		CALL(pread64), CALL(pwrite64),			/* /dev/lguest */
		CALL(newfstatat), CALL(fstat),			/* sizes */
		CALL(eventfd2),				/* a queue's thread */
		CALL(sched_getaffinity),
		CALL(preadv), CALL(preadv2), CALL(pwritev), CALL(pwritev2), /* disks */
		CALL(fallocate), CALL(fdatasync), CALL(fsync), CALL(lseek),
		CALL(io_uring_enter),
		CALL(getrandom),				/* rng */
		CALL(sendmsg), CALL(recvmsg),	/* network */
		CALL(recvfrom), CALL(getdents64), CALL(unlinkat), CALL(unlink),
		CALL(shutdown),
		CALL(epoll_ctl), CALL(epoll_wait),		/* vsock */
	} },
	[THREAD_WATCH] = { "watch", 0, {
		COMMON, CALL(pwrite64),
		CALL(newfstatat), CALL(fstat),
	} },
	[THREAD_DOOR] = { "door", 0, {
		COMMON, CALL(newfstatat), CALL(unlink),
		CALL(socket), CALL(connect), CALL(accept4), CALL(sendmsg),
	} },
	/* Where it may open is for Landlock to say (devices/share.c). */
	[THREAD_SHARE] = { "share", OF_FILES, {
		COMMON, CALL(pwrite64),
		CALL(openat), CALL(openat2), CALL(statx), CALL(fstatfs),
		CALL(getdents64), CALL(readlinkat), CALL(lseek),
		CALL(preadv), CALL(pwritev), CALL(fallocate), CALL(ftruncate),
		CALL(fsync), CALL(fdatasync),
		CALL(mkdirat), CALL(mknodat), CALL(symlinkat), CALL(linkat),
		CALL(unlinkat), CALL(renameat2),
		CALL(fchmodat), CALL(fchownat), CALL(utimensat),
	} },
	[THREAD_CONTROL] = { "control", 0, {
		COMMON, CALL(pwrite64), CALL(accept4), CALL(recvfrom),
		CALL(newfstatat), CALL(fstat), CALL(lseek),
	} },
};

/* Not among them: TIOCSTI, which types into the user's shell. */
static const unsigned int ioctls[] = {
	TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCGPGRP,
	TUNSETOFFLOAD, BLKDISCARD, BLKZEROOUT, BLKFLSBUF, BLKGETSIZE64,
};

/*L:332
 * What a guest could use up by way of its launcher ends in an error here, not in
 * the host's OOM killer.  A share, which needs more descriptors, asks for them
 * itself; address space beyond the guest's memory is for threads and buffers.
 * These are soft limits: no thread that meets the guest may change them, and the
 * first one lifts them for a restart.
 :*/
#define FILES_MOST	1024
#define OWN_MEMORY	(64UL << 20)

static struct rlimit address_space;	/* as it was */

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
	int error = getrlimit(RLIMIT_AS, &address_space) ||
		    !file || fscanf(file, "%lu", &pages) != 1;

	if (file)
		fclose(file);
	if (error)
		return -1;
	limit = address_space;
	if (limit.rlim_cur > pages * MEMORY_PAGE + OWN_MEMORY)
		limit.rlim_cur = pages * MEMORY_PAGE + OWN_MEMORY;
	return setrlimit(RLIMIT_AS, &limit);
}

void confine_lift_limits(void)
{
	setrlimit(RLIMIT_AS, &address_space);
}

/* Whoever started us left them open.  Ours are all closed by an exec, as a restart needs. */
static void close_inherited_files(void)
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

	close_inherited_files();
	if (landlock_version() < 1)
		note("this kernel has no Landlock (Linux 5.13, listed in lsm=), which would guard files");
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
 * For the tests: LGUEST_TEST_CONFINE=vcpu tries every call from that thread,
 * with arguments that make no sense, says which were let through, then what else
 * it can do that it should not, and ends.
 */
static atomic_bool refused;
static atomic_flag tried = ATOMIC_FLAG_INIT;	/* one thread of a kind will do */

static void note_refused(int number)
{
	(void)number;
	atomic_store(&refused, true);
}

static bool ends_us(int call)
{
	return call == CALL(exit) || call == CALL(exit_group) || call == CALL(rt_sigreturn);
}

/* A refused call returns nonsense. */
#define TRY(what, call) do {						\
		atomic_store(&refused, false);				\
		if ((long)(call) >= 0 && !atomic_load(&refused))	\
			puts(what);					\
	} while (0)

static void try_what_harms(const char *file)
{
	atomic_store(&refused, false);
	if (!syscall(CALL(clone), (long)SIGCHLD, 0L, 0L, 0L, 0L))
		_exit(STATUS_DONE);
	if (!atomic_load(&refused))
		puts("fork");
	TRY("code", syscall(CALL(mmap), 0L, 4096L, (long)(PROT_READ | PROT_EXEC),
			    (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1L, 0L));
	TRY("signal", syscall(CALL(tgkill), 1L, 1L, 0L));
	TRY("memory", syscall(CALL(mmap), 0L, (long)OWN_MEMORY, (long)PROT_READ,
			      (long)(MAP_SHARED | MAP_ANONYMOUS), -1L, 0L));
	if (!file)
		return;
	TRY("open", open(file, O_RDONLY));
	TRY("list", open("/", O_RDONLY | O_DIRECTORY));
	TRY("remove", syscall(CALL(unlink), file));
	TRY("remove", syscall(CALL(unlinkat), -1L, file, 0L));
}

static void try_all_calls(const struct list *list)
{
	const char *wanted = getenv("LGUEST_TEST_CONFINE");
	sigset_t set;
	int call;

	if (!wanted || strcmp(wanted, list->name) || atomic_flag_test_and_set(&tried))
		return;
	signal(SIGSYS, note_refused);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (call = 0; call < 1024; call++) {
		atomic_store(&refused, false);
		if (!ends_us(call))
			syscall(call, -1L, -1L, -1L, -1L, -1L, -1L);
		if (!atomic_load(&refused))
			printf("%d\n", call);
	}
	try_what_harms(getenv("LGUEST_TEST_CONFINE_FILE"));
	fflush(stdout);
	_exit(STATUS_DONE);
}

static int allow_ioctls(scmp_filter_ctx filter)
{
	size_t i;
	int error = 0;

	for (i = 0; !error && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(ioctl), 1,
					 SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, ioctls[i]));
	return error;
}

/* Memory, but no new code; signals, but to ourselves; and where a socket is connected to. */
static int allow_common(scmp_filter_ctx filter)
{
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(mprotect), 1,
					 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(tgkill), 1,
					 SCMP_A0(SCMP_CMP_EQ, getpid()));
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(sendto), 1,
					 SCMP_A4(SCMP_CMP_EQ, 0));
	return error;
}

/* Of a folder's names, nothing else. */
static int allow_listing(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(openat), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, O_DIRECTORY | O_ACCMODE | O_CREAT,
					O_DIRECTORY));
}

/* Of its own CPU time a thread may ask for less urgency, no more. */
static int allow_patience(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(sched_setscheduler), 2,
				SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A1(SCMP_CMP_EQ, SCHED_BATCH));
}

/* Threads, but no processes.  clone3 hides its flags, and the C library can do without. */
static int allow_threads(scmp_filter_ctx filter)
{
	int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0);

	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(clone), 1,
					 SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	return error;
}

static bool accepts;

void confine_allow_accept(void)
{
	accepts = true;
}

bool confine_thread(enum thread_kind kind)
{
	const struct list *list = &lists[kind];
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int error = filter ? 0 : -ENOMEM;
	size_t i;

	if (!error)
		error = give_up_capabilities(list->capabilities);
	if (!error && kind != THREAD_SHARE)	/* which has its folder (devices/share.c) */
		error = give_up_files(kind);
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(read), 0);
	for (i = 0; !error && i < sizeof(list->calls) / sizeof(list->calls[0]); i++)
		if (list->calls[i])
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, list->calls[i], 0);
	if (!error)
		error = allow_common(filter);
	if (!error)
		error = allow_ioctls(filter);
	if (!error && kind == THREAD_VCPU)
		error = allow_listing(filter);
	if (!error && kind == THREAD_VCPU)
		error = allow_patience(filter);
	if (!error && kind == THREAD_VCPU)
		error = allow_threads(filter);
	if (!error && kind == THREAD_VCPU && accepts)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(accept4), 0);
	if (!error)
		error = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	if (error)
		problem("cannot confine the %s thread: %s; this kernel needs CONFIG_SECCOMP_FILTER",
			list->name, strerror(-error));
	else
		try_all_calls(list);
	return !error;
}
