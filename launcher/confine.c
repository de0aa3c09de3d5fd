// SPDX-License-Identifier: GPL-2.0
/*
 * Confinement.  A guest that finds a hole in a device is a process of its user,
 * and shall be less: each thread that touches the guest's bytes has a list of
 * the system calls it needs, and any other ends the launcher with SIGSYS.  The
 * first thread has none, because a restart is an exec; it sleeps from before
 * the guest's first instruction until after its last.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "confine.h"
#include "lguest.h"

#define CALL(name) SCMP_SYS(name)
/* What every thread needs: memory, locks, time, its own end, the C library's. */
#define COMMON								\
	CALL(brk), CALL(clock_gettime), CALL(clock_nanosleep), CALL(close), \
	CALL(exit), CALL(exit_group), CALL(futex), CALL(getpid),	\
	CALL(gettid), CALL(gettimeofday), CALL(madvise), CALL(mmap),	\
	CALL(mprotect), CALL(mremap), CALL(munmap), CALL(nanosleep),	\
	CALL(poll), CALL(ppoll), CALL(read), CALL(readv), CALL(restart_syscall), \
	CALL(rseq), CALL(rt_sigaction), CALL(rt_sigprocmask),		\
	CALL(rt_sigreturn), CALL(sched_yield), CALL(sendto), CALL(set_robust_list), \
	CALL(sigaltstack), CALL(tgkill), CALL(write), CALL(writev)

/*L:330
 * The lists.  A device that needs another call adds it here, with its name.
 * Executing, tracing and making namespaces are in none, on purpose, and opening
 * only in that of a share.
 :*/
static const struct list {
	const char *name;
	int calls[80];		/* 0 (read) is common, so it ends the list */
} lists[THREAD_KINDS] = {
	[THREAD_VCPU] = { "vcpu", {
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
	[THREAD_WATCH] = { "watch", {
		COMMON, CALL(pwrite64),
		CALL(newfstatat), CALL(fstat),
	} },
	[THREAD_DOOR] = { "door", {
		COMMON, CALL(newfstatat), CALL(unlink),
		CALL(socket), CALL(connect), CALL(accept4), CALL(sendmsg),
	} },
	/* Where it may open is for Landlock to say (devices/share.c). */
	[THREAD_SHARE] = { "share", {
		COMMON, CALL(pwrite64),
		CALL(openat), CALL(openat2), CALL(statx), CALL(fstatfs),
		CALL(getdents64), CALL(readlinkat), CALL(lseek),
		CALL(preadv), CALL(pwritev), CALL(fallocate), CALL(ftruncate),
		CALL(fsync), CALL(fdatasync),
		CALL(mkdirat), CALL(mknodat), CALL(symlinkat), CALL(linkat),
		CALL(unlinkat), CALL(renameat2),
		CALL(fchmodat), CALL(fchownat), CALL(utimensat),
	} },
	[THREAD_CONTROL] = { "control", {
		COMMON, CALL(pwrite64), CALL(accept4), CALL(recvfrom),
		CALL(newfstatat), CALL(fstat), CALL(lseek),
	} },
};

/* Not among them: TIOCSTI, which types into the user's shell. */
static const unsigned int ioctls[] = {
	TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCGPGRP,
	TUNSETOFFLOAD, BLKDISCARD, BLKZEROOUT, BLKFLSBUF, BLKGETSIZE64,
};

void confine_process(void)
{
	struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
	    setrlimit(RLIMIT_CORE, &none))
		note("cannot give up privileges: %s", strerror(errno));
}

/*
 * For the tests: LGUEST_TEST_CONFINE=vcpu tries every call from that thread,
 * with arguments that make no sense, says which were let through, and ends.
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
	atomic_store(&refused, false);
	if (!syscall(CALL(clone), (long)SIGCHLD, 0L, 0L, 0L, 0L))
		_exit(STATUS_DONE);
	if (!atomic_load(&refused))
		puts("fork");
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

bool confine_thread(enum thread_kind kind)
{
	const struct list *list = &lists[kind];
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int error = filter ? 0 : -ENOMEM;
	size_t i;

	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(read), 0);
	for (i = 0; !error && i < sizeof(list->calls) / sizeof(list->calls[0]); i++)
		if (list->calls[i])
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, list->calls[i], 0);
	if (!error)
		error = allow_ioctls(filter);
	if (!error && kind == THREAD_VCPU)
		error = allow_listing(filter);
	if (!error && kind == THREAD_VCPU)
		error = allow_patience(filter);
	if (!error && kind == THREAD_VCPU)
		error = allow_threads(filter);
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
