// SPDX-License-Identifier: GPL-2.0
/*
 * The system calls that each kind of thread may make, as filters for seccomp.
 * What a filter cannot see, the strings and structures that an argument points
 * to, is the reason for some of what is not in a list: openat2(), chmod() and
 * its kind, but with arguments that are fixed (fixed.h), and the bounds of a ring
 * (devices/disk/disk_uring.c).
 * Read next: beside.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"
#include "fixed.h"
#include "lguest.h"

#define CALL(name) SCMP_SYS(name)
/* What every thread needs: memory, locks, time, its own end, the C library's. */
#define COMMON								\
	CALL(brk), CALL(clock_gettime), CALL(clock_nanosleep), CALL(close), \
	CALL(exit), CALL(exit_group), CALL(futex), CALL(getpid),	\
	CALL(gettid), CALL(gettimeofday), CALL(madvise), CALL(mremap),	\
	CALL(munmap), CALL(nanosleep), CALL(poll), CALL(ppoll),		\
	CALL(read), CALL(readv), CALL(restart_syscall), CALL(rseq),	\
	CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn),	\
	CALL(sched_getaffinity), CALL(sched_yield), CALL(set_robust_list), \
	CALL(sigaltstack), CALL(write), CALL(writev)
/* More are common, with some arguments only: allow_common(). */
/*
 * The server of a share is one thread, and does not map memory: so nothing takes the
 * place of what is fixed.  Next, what it needs to show files: see allow_naming(), too.
 */
#define SERVER								\
	CALL(brk), CALL(clock_gettime), CALL(close), CALL(dup2), CALL(exit), \
	CALL(exit_group), CALL(futex), CALL(getpid), CALL(gettid),	\
	CALL(restart_syscall), CALL(rt_sigaction), CALL(rt_sigprocmask), \
	CALL(rt_sigreturn), CALL(write)
#define SHARE_READ							\
	CALL(fstatfs), CALL(getdents64), CALL(lseek), CALL(preadv),	\
	CALL(fsync), CALL(fdatasync)

/*
 * A share of root's gives its guest root's rights to files, and no others; and
 * what it writes to keeps no set-user-ID bit (CAP_FSETID).
 */
#define BIT(capability)	(1ULL << (capability))
#define READ_ANY	(BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH))
#define CHANGE_ANY	(BIT(CAP_CHOWN) | BIT(CAP_FOWNER))

/* Which ioctls: none of terminals, but to ask whether it is one. */
#define OF_TAP		1
#define OF_DISK		2
#define OF_ALL		4
static const struct {
	unsigned int whose, number;
} ioctls[] = {
	{ OF_ALL, TCGETS },				/* the C library's: is it a terminal? */
	{ OF_TAP, TUNSETOFFLOAD },
	{ OF_DISK, BLKDISCARD }, { OF_DISK, BLKZEROOUT }, { OF_DISK, BLKFLSBUF },
	{ OF_DISK, BLKGETSIZE64 },
};

/*L:330
 * The lists.  A device that needs another call adds it here, to its own.
 * Executing, tracing and making namespaces are in none, on purpose, and opening
 * only in those of a share.  A vCPU's thread ends and resets devices, so it has
 * some of theirs.
 :*/
static const struct list {
	const char *name;
	uint64_t capabilities;	/* that are kept, if root started us */
	unsigned int ioctls;
	int calls[64];		/* 0 (read) is common, so it ends the list */
} lists[THREAD_KINDS] = {
	[THREAD_VCPU] = { "vcpu", 0, OF_TAP, {
		COMMON,
		CALL(pread64), CALL(pwrite64),			/* /dev/lguest */
		CALL(newfstatat), CALL(fstat), CALL(lseek),	/* the C library's files */
		CALL(preadv), CALL(pwritev), CALL(fdatasync),	/* disks, at their end */
		CALL(io_uring_enter),
		CALL(shutdown), CALL(epoll_ctl),		/* vsock */
		CALL(recvfrom),					/* a debugger */
	} },
	[THREAD_DISK] = { "disk", 0, OF_DISK, {
		COMMON, CALL(pwrite64), CALL(io_uring_enter),
		CALL(preadv), CALL(pwritev), CALL(fallocate), CALL(fdatasync),
		CALL(lseek), CALL(fstat), CALL(newfstatat),
	} },
	[THREAD_NET] = { "net", 0, OF_TAP, {
		COMMON, CALL(pwrite64),
		CALL(sendmsg), CALL(recvmsg), CALL(recvfrom), CALL(shutdown),
		CALL(getdents64), CALL(newfstatat), CALL(fstat),	/* a switch */
		CALL(unlinkat), CALL(unlink),
	} },
	[THREAD_VSOCK] = { "vsock", 0, 0, {
		COMMON, CALL(pwrite64),
		CALL(sendmsg), CALL(recvmsg), CALL(recvfrom), CALL(shutdown),
		CALL(epoll_ctl), CALL(epoll_wait),
	} },
	[THREAD_RNG] = { "rng", 0, 0, { COMMON, CALL(pwrite64), CALL(getrandom) } },
	[THREAD_BALLOON] = { "balloon", 0, 0, { COMMON, CALL(pwrite64) } },
	[THREAD_LINE] = { "line", 0, 0, {
		COMMON, CALL(pwrite64), CALL(recvmsg),
		CALL(newfstatat), CALL(fstat), CALL(lseek),	/* smaps, counters */
	} },
	[THREAD_DOOR] = { "door", 0, 0, {
		COMMON, CALL(newfstatat), CALL(unlink),
		CALL(socket), CALL(connect), CALL(accept4), CALL(sendmsg),
	} },
	[THREAD_FS] = { "fs", 0, 0, { COMMON, CALL(pwrite64) } },
	/*
	 * Where it may open, make, move and remove is for Landlock to say
	 * (devices/share/share.c), which does not know of the rest.
	 */
	[THREAD_SHARE] = { "share", READ_ANY | CHANGE_ANY, 0, {
		SERVER, SHARE_READ,
		CALL(pwritev), CALL(fallocate), CALL(ftruncate),
		CALL(mkdirat), CALL(symlinkat), CALL(linkat), CALL(unlinkat), CALL(renameat2),
	} },
	[THREAD_SHARE_RO] = { "share-ro", READ_ANY, 0, { SERVER, SHARE_READ } },
	[THREAD_VHOST] = { "vhost", 0, 0, { COMMON, CALL(pwrite64), CALL(shutdown) } },
};

/*L:331
 * A thread asked for what its list lacks: which, and for what.  Nothing but calls
 * that a signal's handler may make, and the end as it would be without a handler.
 :*/
static __thread const char *whose;

/* One after the other, each with its NUL, as a handler may not ask for them. */
#define CALLS_NAMED	512
static char names[8192];

static void learn_names(void)
{
	char *at = names, *end = names + sizeof(names), *name;
	int number;

	for (number = 0; number < CALLS_NAMED && at < end - 1; number++) {
		name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
		if (name && strlen(name) < (size_t)(end - at) - 1)
			at = stpcpy(at, name);
		at++;
		free(name);
	}
}

static const char *name_of(int number)
{
	const char *at = names, *end = names + sizeof(names) - 1;

	if (number < 0 || number >= CALLS_NAMED)
		return "";
	while (number-- && at < end)
		at += strlen(at) + 1;
	return at < end ? at : "";
}

static void tell_refused(int signal, siginfo_t *info, void *context)
{
	char text[320], digits[12];
	char *at = text, *digit = digits + sizeof(digits) - 1;
	int number = info->si_syscall;

	(void)context;
	*digit = '\0';
	do
		*--digit = '0' + number % 10;
	while (number /= 10);
	at = stpcpy(at, "the ");
	at = stpcpy(at, whose);
	at = stpcpy(at, " thread asked the kernel for the system call ");
	at = stpcpy(stpcpy(at, name_of(info->si_syscall)), " (number ");
	at = stpcpy(stpcpy(at, digit), ")");
	stpcpy(at, ", which its list does not allow: lguest has a fault, or its guest broke in; report it with this line");
	message_at_end(text);
	raise(signal);
}

static void set_handler(void)
{
	struct sigaction action = {
		.sa_sigaction = tell_refused,
		.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER,
	};

	learn_names();
	sigaction(SIGSYS, &action, NULL);
}

/* A signal that is blocked would end us without a word. */
static void hear_of_refused(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	sigset_t set;

	whose = name;
	pthread_once(&once, set_handler);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
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

/* Newer kernels ask no filter about uretprobe and uprobe: who calls them gets SIGILL. */
#define URETPROBE	335
#define UPROBE		336

static bool ends_us(int call)
{
	return call == CALL(exit) || call == CALL(exit_group) ||
	       call == CALL(rt_sigreturn) || call == URETPROBE || call == UPROBE;
}

/* A refused call returns nonsense. */
#define TRY(what, call) do {						\
		atomic_store(&refused, false);				\
		if ((long)(call) >= 0 && !atomic_load(&refused))	\
			tell_plainly(what);					\
	} while (0)

static void try_what_harms(const char *file)
{
	atomic_store(&refused, false);
	if (!syscall(CALL(clone), (long)SIGCHLD, 0L, 0L, 0L, 0L))
		_exit(STATUS_DONE);
	if (!atomic_load(&refused))
		tell_plainly("fork");
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
			tell_plainly("%d", call);
	}
	try_what_harms(getenv("LGUEST_TEST_CONFINE_FILE"));
	tell_plainly("tried");
	_exit(STATUS_DONE);
}

static int allow_ioctls(scmp_filter_ctx filter, unsigned int whose)
{
	size_t i;
	int error = 0;

	for (i = 0; !error && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		if (ioctls[i].whose & whose)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(ioctl), 1,
						 SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX,
							 ioctls[i].number));
	return error;
}

/* Memory, but no new code.  A share's server hears that there is none. */
static int allow_memory(scmp_filter_ctx filter, bool server)
{
	int error;

	if (server)
		return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOMEM), CALL(mmap), 0);
	error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(mmap), 1,
				 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return error ? error : seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(mprotect), 1,
						SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

/* Signals, but to ourselves; and where a socket is connected to. */
static int allow_common(scmp_filter_ctx filter)
{
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(tgkill), 1,
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

#define ADDRESS(of)	((scmp_datum_t)(uintptr_t)(of))

/*
 * The names that no rule of Landlock is about: to look at a file without opening it,
 * and to change its mode, owner and times.  A descriptor can be had for what lies
 * beneath a folder that one has a descriptor of, and all else is done to
 * descriptors: as the first is the share's own, there is no way out.
 */
static int allow_naming(scmp_filter_ctx filter, bool change)
{
	static const struct {
		int call;
		unsigned int argument;
		const void *address;
		bool changes;
	} fixed[] = {
		{ CALL(openat2), 2, &fixed_look, false },
		{ CALL(statx), 1, fixed_empty, false },
		{ CALL(readlinkat), 1, fixed_empty, false },
		{ CALL(readlinkat), 1, fixed_held, false },
		{ CALL(fchmodat), 1, fixed_held, true },
		{ CALL(fchownat), 1, fixed_empty, true },
		{ CALL(utimensat), 1, fixed_empty, true },
	};
	int error = 0;
	size_t i;

	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]) && !error; i++)
		if (change || !fixed[i].changes)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, fixed[i].call, 1,
						 SCMP_CMP(fixed[i].argument, SCMP_CMP_EQ,
							  ADDRESS(fixed[i].address)));
	return error;
}

#define SET_ID	(S_ISUID | S_ISGID)

/* Files, but none that makes a program run as somebody else. */
static int allow_making(scmp_filter_ctx filter)
{
	int error = allow_naming(filter, true);

	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(openat), 2,
					 SCMP_A2(SCMP_CMP_MASKED_EQ, O_PATH, 0),
					 SCMP_A3(SCMP_CMP_MASKED_EQ, SET_ID, 0));
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(mknodat), 1,
					 SCMP_A2(SCMP_CMP_MASKED_EQ, SET_ID, 0));
	return error;
}

/* To read, no more.  (O_TMPFILE has the bit of O_DIRECTORY.) */
static int allow_reading(scmp_filter_ctx filter)
{
	const int other = O_ACCMODE | O_CREAT | O_TRUNC | O_PATH | (O_TMPFILE & ~O_DIRECTORY);
	int error = allow_naming(filter, false);

	return error ? error : seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(openat), 1,
						SCMP_A2(SCMP_CMP_MASKED_EQ, other, O_RDONLY));
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

static bool sends;

void confine_allow_sending(void)
{
	sends = true;
}

/* Calls that some arguments make harmless. */
static int allow_some(scmp_filter_ctx filter, enum thread_kind kind)
{
	switch (kind) {
	case THREAD_SHARE:
		return allow_making(filter);
	case THREAD_SHARE_RO:
		return allow_reading(filter);
	case THREAD_NET:
		return allow_listing(filter);
	case THREAD_DISK:
		return allow_threads(filter);
	case THREAD_VCPU:
		return sends ? seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(sendmsg), 0) : 0;
	default:
		return 0;
	}
}

static int fill(scmp_filter_ctx filter, enum thread_kind kind)
{
	const struct list *list = &lists[kind];
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(read), 0);
	size_t i;

	for (i = 0; !error && i < sizeof(list->calls) / sizeof(list->calls[0]); i++)
		if (list->calls[i])
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, list->calls[i], 0);
	if (!error)
		error = allow_memory(filter, kind == THREAD_SHARE || kind == THREAD_SHARE_RO);
	if (!error)
		error = allow_common(filter);
	if (!error)
		error = allow_ioctls(filter, list->ioctls | OF_ALL);
	return error ? error : allow_some(filter, kind);
}

int filter_load(enum thread_kind kind)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int error = filter ? fill(filter, kind) : -ENOMEM;

	if (!error) {
		hear_of_refused(lists[kind].name);
		error = seccomp_load(filter);
	}
	if (filter)
		seccomp_release(filter);
	return error;
}

uint64_t filter_capabilities(enum thread_kind kind)
{
	return lists[kind].capabilities;
}

const char *filter_name(enum thread_kind kind)
{
	return lists[kind].name;
}

void filter_try(enum thread_kind kind)
{
	try_all_calls(&lists[kind]);
}
