// SPDX-License-Identifier: GPL-2.0
/*
 * A thread that a guest has broken into, of each kind that meets a guest, and a machine
 * as a whole, with all of its threads in one hand: linked
 * with the launcher's own confinement, it tries what would hurt the host.  Each
 * call that is refused has no effect, but lets it go on, as it would for whoever
 * has the thread in his hand.  What counts is what is seen from outside: a file's
 * mode, a connection that came, a signal that was heard.
 *
 *	jail KIND	as such a thread; "free": without any bounds, where each
 *			attempt must succeed
 *	jail KIND first	the first attempt only, which shall end it with a sentence
 *
 * Prints "did KIND ATTEMPT" for each that had its effect, and "tried N" at last.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "jail/confine.h"
#include "devices/disk/disk_io.h"
#include "devices/share/share.h"
#include "jail/fixed.h"
#include "jail/landlock.h"

#define DID		42	/* exit status: it was done, though nothing shows it */
#define FCHMODAT2	452
#define MODE		0600
#define OLD		1000000000L

static char place[] = "/tmp/lguest-jail-XXXXXX";
static char victim[80], beside[80], inside[100], folder[80], gone[80];
static struct share share;
static struct engine engine;
static int listener, unix_listener, abstract_listener;
static struct sockaddr_in tcp = { .sin_family = AF_INET };
static struct sockaddr_un local = { .sun_family = AF_UNIX };
static struct sockaddr_un abstract = { .sun_family = AF_UNIX };
static pid_t parent;
static volatile sig_atomic_t heard;
static volatile long target;	/* of a write from another process */
static volatile int *common;	/* memory of all processes */

static void must(long result, const char *what)
{
	if (result >= 0)
		return;
	perror(what);
	exit(2);
}

static void hear(int signal)
{
	(void)signal;
	heard = 1;
}

/* ---- what may be seen afterwards */

static struct stat status_of(const char *name)
{
	struct stat status = { .st_mode = 0 };

	lstat(name, &status);
	return status;
}

static bool mode_changed(void)
{
	return (status_of(victim).st_mode & 07777) != MODE;
}

static bool owner_changed(void)
{
	return status_of(victim).st_uid == 7;
}

static bool time_changed(void)
{
	return status_of(victim).st_mtime != OLD;
}

static bool content_changed(void)
{
	return status_of(victim).st_size != 6;
}

static bool inside_changed(void)
{
	struct stat status = status_of(inside);

	return status.st_size != 6 || (status.st_mode & 07777) != 0644 ||
	       status.st_mtime != OLD;
}

static bool is_made(void)
{
	return status_of(beside).st_mode;
}

static bool is_gone(void)
{
	return !status_of(gone).st_mode;
}

static bool set_id_made(void)
{
	char name[100];

	snprintf(name, sizeof(name), "%s/tool", folder);
	return status_of(name).st_mode & (S_ISUID | S_ISGID);
}

static bool set_id_inside(void)
{
	return status_of(inside).st_mode & (S_ISUID | S_ISGID);
}

static bool came(int fd)
{
	int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (connection >= 0)
		close(connection);
	return connection >= 0;
}

static bool tcp_came(void) { return came(listener); }
static bool unix_came(void) { return came(unix_listener); }
static bool abstract_came(void) { return came(abstract_listener); }
static bool signal_came(void) { return heard; }
static bool memory_written(void) { return target; }
static bool other_ran(void) { return *common; }
static bool nothing(void) { return false; }

static bool is_mounted(void)
{
	struct statfs status;
	bool mounted = !statfs(folder, &status) && status.f_type == 0x858458f6;	/* ramfs */

	if (mounted)
		umount(folder);
	return mounted;
}

/* ---- what is tried; the C library has no names for some */

static void did(long result)
{
	if (result >= 0)
		_exit(DID);
}

static long grip(const char *name)
{
	return openat(AT_FDCWD, name, O_PATH | O_CLOEXEC);
}

static char *by_proc(long fd)
{
	static char name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%ld", fd);
	return name;
}

/* The server's own way to a file. */
static int look(int at, const char *name)
{
	return syscall(SYS_openat2, at, name, &fixed_look, sizeof(fixed_look));
}

static int root_of(void)
{
	return share.root ? share.root : AT_FDCWD;
}

static void chmod_name(void) { syscall(SYS_chmod, victim, 0777); }
static void chmod_at(void) { syscall(SYS_fchmodat, AT_FDCWD, victim, 0777); }
static void chmod_at2(void)
{
	if (syscall(FCHMODAT2, AT_FDCWD, victim, 0777, 0) < 0 && errno == ENOSYS)
		chmod(victim, 0777);
}
static void chmod_dots(void) { syscall(SYS_fchmodat, root_of(), "../victim", 0777); }
static void chmod_link(void) { syscall(SYS_fchmodat, root_of(), "link", 0777); }
static void chmod_proc(void) { syscall(SYS_fchmodat, AT_FDCWD, by_proc(grip(victim)), 0777); }
static void chmod_fd(void) { syscall(SYS_fchmod, open(victim, O_RDONLY | O_CLOEXEC), 0777); }
static void chown_name(void) { syscall(SYS_chown, victim, 7, 7); }
static void chown_link(void) { syscall(SYS_lchown, victim, 7, 7); }
static void chown_dots(void) { syscall(SYS_fchownat, root_of(), "../victim", 7, 7, 0); }
static void chown_grip(void)
{
	syscall(SYS_fchownat, grip(victim), "", 7, 7, AT_EMPTY_PATH);
}
static void utime_name(void) { syscall(SYS_utime, victim, NULL); }
static void utimes_name(void) { syscall(SYS_utimes, victim, NULL); }
static void utimensat_name(void) { syscall(SYS_utimensat, AT_FDCWD, victim, NULL, 0); }
static void utimensat_grip(void)
{
	syscall(SYS_utimensat, grip(victim), "", NULL, AT_EMPTY_PATH);
}
static void utimensat_dots(void) { syscall(SYS_utimensat, root_of(), "../victim", NULL, 0); }

/* As the server itself does it, for what it could get hold of. */
static const struct change to_777 = { .what = CHANGE_MODE, .mode = 0777 };
static const struct change to_set_id = { .what = CHANGE_MODE, .mode = 06755 };
static const struct change to_7 = { .what = CHANGE_OWNER, .uid = 7, .gid = 7 };
static const struct change to_now = {
	.what = CHANGE_TIMES, .times = { { 0, UTIME_NOW }, { 0, UTIME_NOW } },
};

static void change(int fd, const char *name, const struct change *change)
{
	if (share.root)
		change_file(&share, fd, change);
	else if (change->what == CHANGE_MODE)
		syscall(SYS_chmod, name, change->mode);
	else if (change->what == CHANGE_OWNER)
		syscall(SYS_chown, name, change->uid, change->gid);
	else
		syscall(SYS_utimensat, AT_FDCWD, name, change->times, 0);
}
static void server_mode(void) { change(grip(victim), victim, &to_777); }
static void server_owner(void) { change(grip(victim), victim, &to_7); }
static void server_times(void) { change(grip(victim), victim, &to_now); }
static void server_set_id(void) { change(look(share.root, "inside"), inside, &to_set_id); }
/* The link lies inside; what it leads to does not. */
static void server_link(void) { change(look(share.root, "link"), "link", &to_777); }
static void server_dots(void) { change(look(share.root, "../victim"), victim, &to_777); }
/* Its one name for any descriptor, with one that it may not have. */
static void chmod_held(void)
{
	if (!hold(grip(victim)))
		syscall(SYS_fchmodat, share.root ? share.proc : AT_FDCWD,
			share.root ? fixed_held : victim, 0777);
}

/* That there is such a file is nobody's affair, either. */
static void see_stat(void)
{
	struct statx status;

	did(syscall(SYS_statx, AT_FDCWD, victim, 0, STATX_ALL, &status));
}
static void see_dots(void)
{
	struct statx status;

	did(syscall(SYS_statx, root_of(), "../victim", 0, STATX_ALL, &status));
}
static void see_proc(void)
{
	struct statx status;

	did(syscall(SYS_statx, share.root ? share.proc : AT_FDCWD,
		    share.root ? "../../1/comm" : victim, 0, STATX_ALL, &status));
}
static void see_old(void)
{
	struct stat status;

	did(syscall(SYS_newfstatat, AT_FDCWD, victim, &status, 0));
}
static void see_link(void)
{
	char target[80], name[120];

	snprintf(name, sizeof(name), "%s/pointer", place);
	did(syscall(SYS_readlinkat, AT_FDCWD, name, target, sizeof(target)));
}
static void see_access(void) { did(syscall(SYS_faccessat, AT_FDCWD, victim, 0)); }
static void see_grip(void) { did(grip(victim)); }
static void see_openat2(void)
{
	struct { uint64_t flags, mode, resolve; } how = { O_PATH, 0, 0 };

	did(syscall(SYS_openat2, AT_FDCWD, victim, &how, sizeof(how)));
}
static void see_look(void) { did(share.root ? look(share.root, "../victim") : grip(victim)); }
static void see_look_proc(void)
{
	did(share.root ? look(share.proc, "../../1/comm") : grip(victim));
}
static void see_look_name(void) { did(share.root ? look(share.root, victim) : grip(victim)); }
/* The folder above a root is that root. */
static void see_list(void)
{
	char bytes[1024];
	long size = syscall(SYS_getdents64, openat(root_of(), "..", O_RDONLY | O_DIRECTORY),
			    bytes, sizeof(bytes));

	did(size > 0 && memmem(bytes, size, "victim", 6) ? 0 : -1);
}
/* What the filter takes for a constant becomes another one. */
static void spoil_fixed(void)
{
	void *page = (void *)((uintptr_t)&fixed_look & ~4095UL);

	if (!syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_WRITE))
		_exit(DID);
	munmap(page, 4096);
	did(mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0) == MAP_FAILED ? -1 : 0);
}

static void did_read(int fd)
{
	char text[8];

	if (read(fd, text, sizeof(text)) == 6 && !memcmp(text, "secret", 6))
		_exit(DID);
}
static void read_open(void) { did_read(syscall(SYS_open, victim, O_RDONLY)); }
static void read_openat(void) { did_read(openat(AT_FDCWD, victim, O_RDONLY | O_CLOEXEC)); }
static void read_dots(void) { did_read(openat(root_of(), "../victim", O_RDONLY | O_CLOEXEC)); }
static void read_link(void) { did_read(openat(root_of(), "link", O_RDONLY | O_CLOEXEC)); }
static void read_proc(void)
{
	did_read(openat(AT_FDCWD, by_proc(grip(victim)), O_RDONLY | O_CLOEXEC));
}
static void read_openat2(void)
{
	struct { uint64_t flags, mode, resolve; } how = { O_RDONLY, 0, 0 };

	did_read(syscall(SYS_openat2, AT_FDCWD, victim, &how, sizeof(how)));
}

static void append(int fd)
{
	if (write(fd, "more", 4) < 0)
		return;
}
static void write_openat(void) { append(openat(AT_FDCWD, victim, O_WRONLY | O_APPEND)); }
static void truncate_name(void) { syscall(SYS_truncate, victim, 0); }
static void make_file(void) { syscall(SYS_openat, AT_FDCWD, beside, O_WRONLY | O_CREAT, 0600); }
static void make_folder(void) { syscall(SYS_mkdirat, AT_FDCWD, beside, 0700); }
static void make_pipe(void) { syscall(SYS_mknodat, AT_FDCWD, beside, S_IFIFO | 0600, 0); }
static void make_link(void) { syscall(SYS_symlinkat, "x", AT_FDCWD, beside); }
static void make_hard(void) { syscall(SYS_linkat, AT_FDCWD, victim, AT_FDCWD, beside, 0); }
static void link_in(void) { syscall(SYS_linkat, AT_FDCWD, victim, root_of(), "tool", 0); }
static bool linked_in(void) { return status_of(victim).st_nlink > 1; }
static void remove_name(void) { syscall(SYS_unlinkat, AT_FDCWD, gone, 0); }
static void remove_old(void) { syscall(SYS_unlink, gone); }
static void rename_name(void) { syscall(SYS_renameat2, AT_FDCWD, gone, AT_FDCWD, beside, 0); }

static void set_id_open(void)
{
	syscall(SYS_openat, root_of(), "tool", O_WRONLY | O_CREAT, 06755);
}
static void set_id_openat2(void)
{
	struct { uint64_t flags, mode, resolve; } how = { O_WRONLY | O_CREAT, 06755, 0 };

	syscall(SYS_openat2, root_of(), "tool", &how, sizeof(how));
}
static void set_id_mknod(void) { syscall(SYS_mknodat, root_of(), "tool", S_IFREG | 06755, 0); }

static void inside_write(void) { append(openat(root_of(), "inside", O_WRONLY | O_APPEND)); }
static void inside_truncate(void) { openat(root_of(), "inside", O_RDONLY | O_TRUNC); }
static void inside_chmod(void) { syscall(SYS_fchmodat, root_of(), "inside", 0777); }
static void inside_times(void) { syscall(SYS_utimensat, root_of(), "inside", NULL, 0); }
static void inside_openat2(void)
{
	struct { uint64_t flags, mode, resolve; } how = { O_WRONLY | O_TRUNC, 0, 0 };

	syscall(SYS_openat2, root_of(), "inside", &how, sizeof(how));
}
static void inside_gone(void) { syscall(SYS_unlinkat, root_of(), "inside", 0); }

static void call(int family, const void *address, socklen_t size)
{
	connect(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), address, size);
}
static void call_tcp(void) { call(AF_INET, &tcp, sizeof(tcp)); }
static void call_unix(void) { call(AF_UNIX, &local, sizeof(local)); }
static void call_abstract(void) { call(AF_UNIX, &abstract, sizeof(abstract)); }
static void make_pair(void)
{
	int ends[2];

	did(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}

/* By the disk's own ring, or by a new one. */
static int by_ring(struct io_uring_sqe *wish)
{
	struct io_uring new, *ring = engine.state;
	struct io_uring_cqe *cqe;

	if (!ring) {
		if (io_uring_queue_init(4, &new, 0))
			return -1;
		ring = &new;
	}
	*io_uring_get_sqe(ring) = *wish;
	if (io_uring_submit(ring) != 1 || io_uring_wait_cqe(ring, &cqe))
		return -1;
	io_uring_cqe_seen(ring, cqe);
	return cqe->res;
}
static void ring_call(int family, const void *address, socklen_t size)
{
	struct io_uring_sqe wish = { .opcode = 0 };
	int fd;

	io_uring_prep_socket(&wish, family, SOCK_STREAM, 0, 0);
	fd = by_ring(&wish);
	memset(&wish, 0, sizeof(wish));
	io_uring_prep_connect(&wish, fd, address, size);
	by_ring(&wish);
}
static void ring_tcp(void) { ring_call(AF_INET, &tcp, sizeof(tcp)); }
static void ring_unix(void) { ring_call(AF_UNIX, &local, sizeof(local)); }
static void ring_open(void)
{
	struct io_uring_sqe wish = { .opcode = 0 };

	io_uring_prep_openat(&wish, AT_FDCWD, victim, O_RDONLY, 0);
	did_read(by_ring(&wish));
}
static void ring_remove(void)
{
	struct io_uring_sqe wish = { .opcode = 0 };

	io_uring_prep_unlinkat(&wish, AT_FDCWD, gone, 0);
	by_ring(&wish);
}
static void ring_register(void)
{
	int fds[] = { 0 };
	struct io_uring *ring = engine.state, new;

	if (!ring && io_uring_queue_init(4, &new, 0))
		return;
	did(syscall(SYS_io_uring_register, (ring ? ring : &new)->ring_fd, IORING_REGISTER_FILES,
		    fds, 1));
}

static void signal_kill(void) { syscall(SYS_kill, parent, SIGUSR1); }
static void signal_thread(void) { syscall(SYS_tgkill, parent, parent, SIGUSR1); }
static void signal_old(void) { syscall(SYS_tkill, parent, SIGUSR1); }
static void signal_queue(void)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	syscall(SYS_rt_sigqueueinfo, parent, SIGUSR1, &info);
}
static void signal_pidfd(void)
{
	syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, parent, 0), SIGUSR1, NULL, 0);
}
static void write_memory(void)
{
	long one = 1;
	struct iovec from = { &one, sizeof(one) }, to = { (void *)&target, sizeof(target) };

	syscall(SYS_process_vm_writev, parent, &from, 1, &to, 1, 0);
}
static void trace(void)
{
	did(syscall(SYS_ptrace, PTRACE_SEIZE, parent, 0, 0));
}
static void forked(long child)
{
	if (child)
		return;
	*common = 1;
	_exit(0);
}
static void run_fork(void) { forked(syscall(SYS_fork)); wait(NULL); }
static void run_clone(void) { forked(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); wait(NULL); }
static void run_clone3(void)
{
	struct { uint64_t flags, pidfd, a, b, exit_signal, more[4]; } how = { .exit_signal = SIGCHLD };

	forked(syscall(SYS_clone3, &how, sizeof(how)));
	wait(NULL);
}
static void run_program(void)
{
	char command[100], *words[] = { "sh", "-c", command, NULL };

	snprintf(command, sizeof(command), "echo >%s", beside);
	syscall(SYS_execve, "/bin/sh", words, environ);
}
static void run_program_at(void)
{
	char command[100], *words[] = { "sh", "-c", command, NULL };

	snprintf(command, sizeof(command), "echo >%s", beside);
	syscall(SYS_execveat, AT_FDCWD, "/bin/sh", words, environ, 0);
}
static void new_code(void)
{
	did(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	    MAP_FAILED ? -1 : 0);
}
static void try_mount(void) { syscall(SYS_mount, "none", folder, "ramfs", 0, NULL); }
static void try_bpf(void)
{
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1,
	};

	did(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)));
}
static void try_unshare(void) { did(syscall(SYS_unshare, CLONE_NEWNS)); }
static void try_chroot(void) { did(syscall(SYS_chroot, "/")); }
static void try_user(void) { did(syscall(SYS_setresuid, 7, 7, 7)); }
static void try_faults(void) { did(syscall(SYS_userfaultfd, 1 /* user mode only */)); }
static void try_handle(void)
{
	struct { struct file_handle head; char room[128]; } handle = { .head.handle_bytes = 128 };
	int mount;

	did(syscall(SYS_name_to_handle_at, AT_FDCWD, victim, &handle, &mount, 0));
}

#define ROOT	1	/* takes root */
#define SEE	2	/* the C library's own work, for an open file */
#define OPEN	32	/* what is fixed matters to a share's server only */
#define WRITE	4	/* a writable share's own work */
#define CALLS	8	/* the door's own work */
#define NETWORK	16	/* ... but where Landlock has rules for the network */
static const struct attempt {
	const char *name;
	void (*act)(void);
	bool (*seen)(void);
	unsigned int flags;
} attempts[] = {
	{ "execve", run_program, is_made, 0 },
	{ "chmod", chmod_name, mode_changed, 0 },
	{ "fchmodat", chmod_at, mode_changed, 0 },
	{ "fchmodat2", chmod_at2, mode_changed, 0 },
	{ "chmod-dots", chmod_dots, mode_changed, 0 },
	{ "chmod-link", chmod_link, mode_changed, 0 },
	{ "chmod-proc", chmod_proc, mode_changed, 0 },
	{ "fchmod", chmod_fd, mode_changed, 0 },
	{ "chown", chown_name, owner_changed, ROOT },
	{ "lchown", chown_link, owner_changed, ROOT },
	{ "chown-dots", chown_dots, owner_changed, ROOT },
	{ "chown-grip", chown_grip, owner_changed, ROOT },
	{ "utime", utime_name, time_changed, 0 },
	{ "utimes", utimes_name, time_changed, 0 },
	{ "utimensat", utimensat_name, time_changed, 0 },
	{ "utimensat-dots", utimensat_dots, time_changed, 0 },
	{ "utimensat-grip", utimensat_grip, time_changed, 0 },
	{ "server-mode", server_mode, mode_changed, 0 },
	{ "server-owner", server_owner, owner_changed, ROOT },
	{ "server-times", server_times, time_changed, 0 },
	{ "server-link", server_link, mode_changed, 0 },
	{ "server-dots", server_dots, mode_changed, 0 },
	{ "server-set-id", server_set_id, set_id_inside, 0 },
	{ "chmod-held", chmod_held, mode_changed, 0 },
	{ "see-stat", see_stat, nothing, 0 },
	{ "see-dots", see_dots, nothing, 0 },
	{ "see-proc", see_proc, nothing, 0 },
	{ "see-old", see_old, nothing, SEE },
	{ "see-link", see_link, nothing, 0 },
	{ "see-access", see_access, nothing, 0 },
	{ "see-grip", see_grip, nothing, 0 },
	{ "see-openat2", see_openat2, nothing, 0 },
	{ "see-look", see_look, nothing, 0 },
	{ "see-look-proc", see_look_proc, nothing, 0 },
	{ "see-look-name", see_look_name, nothing, 0 },
	{ "see-list", see_list, nothing, 0 },
	{ "spoil-fixed", spoil_fixed, nothing, OPEN },
	{ "read-open", read_open, nothing, 0 },
	{ "read-openat", read_openat, nothing, 0 },
	{ "read-dots", read_dots, nothing, 0 },
	{ "read-link", read_link, nothing, 0 },
	{ "read-proc", read_proc, nothing, 0 },
	{ "read-openat2", read_openat2, nothing, 0 },
	{ "write", write_openat, content_changed, 0 },
	{ "truncate", truncate_name, content_changed, 0 },
	{ "make-file", make_file, is_made, 0 },
	{ "make-folder", make_folder, is_made, 0 },
	{ "make-pipe", make_pipe, is_made, 0 },
	{ "make-link", make_link, is_made, 0 },
	{ "make-hard", make_hard, is_made, 0 },
	{ "link-in", link_in, linked_in, 0 },
	{ "unlinkat", remove_name, is_gone, 0 },
	{ "unlink", remove_old, is_gone, 0 },
	{ "rename", rename_name, is_gone, 0 },
	{ "set-id-open", set_id_open, set_id_made, 0 },
	{ "set-id-openat2", set_id_openat2, set_id_made, 0 },
	{ "set-id-mknod", set_id_mknod, set_id_made, 0 },
	{ "inside-write", inside_write, inside_changed, WRITE },
	{ "inside-truncate", inside_truncate, inside_changed, WRITE },
	{ "inside-chmod", inside_chmod, inside_changed, 0 },
	{ "inside-times", inside_times, inside_changed, 0 },
	{ "inside-openat2", inside_openat2, inside_changed, WRITE },
	{ "inside-unlink", inside_gone, inside_changed, WRITE },
	{ "tcp", call_tcp, tcp_came, NETWORK },
	{ "unix", call_unix, unix_came, CALLS },
	{ "abstract", call_abstract, abstract_came, NETWORK },
	{ "socketpair", make_pair, nothing, 0 },
	{ "ring-tcp", ring_tcp, tcp_came, 0 },
	{ "ring-unix", ring_unix, unix_came, 0 },
	{ "ring-open", ring_open, nothing, 0 },
	{ "ring-unlink", ring_remove, is_gone, 0 },
	{ "ring-register", ring_register, nothing, 0 },
	{ "kill", signal_kill, signal_came, 0 },
	{ "tgkill", signal_thread, signal_came, 0 },
	{ "tkill", signal_old, signal_came, 0 },
	{ "sigqueue", signal_queue, signal_came, 0 },
	{ "pidfd-signal", signal_pidfd, signal_came, 0 },
	{ "process_vm_writev", write_memory, memory_written, 0 },
	{ "ptrace", trace, nothing, 0 },
	{ "fork", run_fork, other_ran, 0 },
	{ "clone", run_clone, other_ran, 0 },
	{ "clone3", run_clone3, other_ran, 0 },
	{ "execveat", run_program_at, is_made, 0 },
	{ "new-code", new_code, nothing, 0 },
	{ "mount", try_mount, is_mounted, ROOT },
	{ "bpf", try_bpf, nothing, ROOT },
	{ "unshare", try_unshare, nothing, ROOT },
	{ "chroot", try_chroot, nothing, ROOT },
	{ "setresuid", try_user, nothing, ROOT },
	{ "userfaultfd", try_faults, nothing, ROOT },
	{ "name_to_handle_at", try_handle, nothing, 0 },
};

static const struct kind {
	const char *name;
	enum thread_kind kind;
	unsigned int without;
} kinds[] = {
	{ "free", THREAD_KINDS, 0 },
	/* No list of calls, but all that Landlock has. */
	{ "landlock", THREAD_KINDS, 0 },
	{ "vcpu", THREAD_VCPU, SEE | OPEN }, { "disk", THREAD_DISK, SEE | OPEN },
	{ "net", THREAD_NET, SEE | OPEN }, { "vsock", THREAD_VSOCK, OPEN },
	{ "rng", THREAD_RNG, OPEN }, { "balloon", THREAD_BALLOON, OPEN },
	{ "line", THREAD_LINE, SEE | OPEN },
	{ "door", THREAD_DOOR, CALLS | NETWORK | SEE | OPEN }, { "fs", THREAD_FS, OPEN },
	{ "vhost", THREAD_VHOST, OPEN },
	{ "share", THREAD_SHARE, WRITE }, { "share-ro", THREAD_SHARE_RO, 0 },
	/* All of a machine's threads in one hand, with one memory: the first is the vCPU's. */
	{ "machine", THREAD_VCPU, SEE | OPEN },
};

static const enum thread_kind helpers[] = {
	THREAD_DISK, THREAD_NET, THREAD_VSOCK, THREAD_RNG, THREAD_BALLOON, THREAD_LINE, THREAD_FS,
	THREAD_VHOST,
};
#define HELPERS	(sizeof(helpers) / sizeof(helpers[0]))

static const struct kind *kind;

/* ---- the place, and the thread that is broken into */

static void put(const char *name, mode_t mode)
{
	int fd;

	unlink(name);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	must(fd, name);
	must(write(fd, "secret", 6), name);
	must(fchmod(fd, mode), name);
	must(futimens(fd, (struct timespec[]){ { OLD, 0 }, { OLD, 0 } }), name);
	close(fd);
}

/* All as it was. */
static void begin(void)
{
	char name[100];

	snprintf(name, sizeof(name), "%s/tool", folder);
	unlink(name);
	unlink(beside);
	rmdir(beside);
	put(victim, MODE);
	put(gone, MODE);
	put(inside, 0644);
	while (came(listener) || came(unix_listener) || came(abstract_listener))
		;
	heard = 0;
	target = 0;
	*common = 0;
}

static void make_place(void)
{
	char name[100];

	must(mkdtemp(place) ? 0 : -1, place);
	snprintf(victim, sizeof(victim), "%s/victim", place);
	snprintf(beside, sizeof(beside), "%s/beside", place);
	snprintf(gone, sizeof(gone), "%s/gone", place);
	snprintf(folder, sizeof(folder), "%s/shared", place);
	snprintf(inside, sizeof(inside), "%s/inside", folder);
	must(mkdir(folder, 0755), folder);
	snprintf(name, sizeof(name), "%s/link", folder);
	must(symlink("../victim", name), name);
	snprintf(name, sizeof(name), "%s/pointer", place);
	must(symlink("victim", name), name);
	must(chdir(folder), folder);
}

static int listen_at(int family, const void *address, socklen_t size)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	must(fd, "socket");
	must(bind(fd, address, size), "bind");
	must(listen(fd, 4), "listen");
	return fd;
}

static void listen_all(void)
{
	socklen_t size = sizeof(tcp);

	tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = listen_at(AF_INET, &tcp, sizeof(tcp));
	must(getsockname(listener, (void *)&tcp, &size), "getsockname");
	snprintf(local.sun_path, sizeof(local.sun_path), "%s/socket", place);
	unix_listener = listen_at(AF_UNIX, &local, sizeof(local));
	snprintf(abstract.sun_path + 1, sizeof(abstract.sun_path) - 1, "%s", place);
	abstract_listener = listen_at(AF_UNIX, &abstract, sizeof(abstract));
}

/* A call that was trapped has no result: as if the kernel had no such call. */
static void refused(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
}

static int orders;		/* a socket: the number of an attempt, and back */
static bool by_itself;		/* the launcher's own handler stays */

static void break_bounds(void)
{
	if (!by_itself)
		sigaction(SIGSYS, &(struct sigaction){ .sa_sigaction = refused,
						       .sa_flags = SA_SIGINFO }, NULL);
}

/* What the first thread tries, its helpers try before it. */
static struct helper {
	enum thread_kind kind;
	int order[2], done[2];
} crew[HELPERS];

static void *help(void *argument)
{
	struct helper *h = argument;
	int i;

	if (!confine_thread(h->kind))
		_exit(3);
	break_bounds();
	while (read(h->order[0], &i, sizeof(i)) == sizeof(i)) {
		if (i >= 0)
			attempts[i].act();
		if (write(h->done[1], &i, sizeof(i)) < 0)
			break;
	}
	return NULL;
}

static void let_help(int i)
{
	struct helper *h;
	int back;

	for (h = crew; h < crew + HELPERS && h->order[1]; h++)
		if (write(h->order[1], &i, sizeof(i)) < 0 ||
		    read(h->done[0], &back, sizeof(back)) < 0)
			_exit(4);
}

static void start_helpers(void)
{
	pthread_attr_t small;
	pthread_t thread;
	unsigned int i;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 << 10);	/* as the launcher's */
	for (i = 0; i < HELPERS; i++) {
		crew[i].kind = helpers[i];
		must(pipe2(crew[i].order, O_CLOEXEC), "pipe");
		must(pipe2(crew[i].done, O_CLOEXEC), "pipe");
		must(-pthread_create(&thread, &small, help, &crew[i]), "thread");
	}
	let_help(-1);		/* all are confined */
}

static bool is(const char *name)
{
	return !strcmp(kind->name, name);
}

static void *break_in(void *unused)
{
	int i;

	(void)unused;
	if (is("landlock")) {
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
		must(-labs(landlock_restrict(NULL, 0)), "landlock");
	}
	if (kind->kind != THREAD_KINDS && !share.root && !confine_thread(kind->kind))
		_exit(3);
	break_bounds();
	while (read(orders, &i, sizeof(i)) == sizeof(i)) {
		let_help(i);
		attempts[i].act();
		if (kind->kind == THREAD_KINDS || write(orders, &i, sizeof(i)) < 0)
			break;
	}
	return NULL;
}

/*
 * As the launcher: what it needs is opened, then the bounds, then the thread; the
 * server of a share is a process, and has one.
 */
static void be_broken(void)
{
	const struct share_settings settings = {
		.folder = folder, .read_only = kind->kind == THREAD_SHARE_RO,
	};
	pthread_t thread;

	close(listener);
	close(unix_listener);
	close(abstract_listener);
	if (kind->kind == THREAD_SHARE || kind->kind == THREAD_SHARE_RO) {
		must(share_begin(&share, &settings) ? -1 : 0, folder);
		break_in(NULL);
		_exit(0);
	}
	if (kind->kind == THREAD_DISK || is("machine"))
		must(-labs(engine_uring.open(&engine)), "io_uring");
	if (kind->kind != THREAD_KINDS)
		confine_process();
	if (is("machine")) {
		start_helpers();
		break_in(NULL);		/* there is no other thread */
		_exit(0);
	}
	must(-pthread_create(&thread, NULL, break_in, NULL), "thread");
	pthread_join(thread, NULL);
	_exit(0);
}

static pid_t child;

static void start_child(void)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
	fflush(stdout);
	child = fork();
	must(child, "fork");
	orders = ends[!child];
	close(ends[!!child]);
	if (!child)
		be_broken();
}

/* Its status, or 0 if it is alive. */
static int end_of_child(void)
{
	int status;

	close(orders);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	child = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool one(int i)
{
	int back, status = 0;
	bool seen;

	begin();
	if (!child)
		start_child();
	must(write(orders, &i, sizeof(i)), "orders");
	if (read(orders, &back, sizeof(back)) != sizeof(back))
		status = end_of_child();
	seen = attempts[i].seen() || status == DID;
	if (status && status != DID)
		printf("ended %s %s: %d\n", kind->name, attempts[i].name, status);
	return seen;
}

static bool applies(const struct attempt *attempt)
{
	if ((attempt->flags & ROOT) && geteuid())
		return false;
	return !(attempt->flags & kind->without);
}

static void try_all(void)
{
	unsigned int i, tried = 0;

	for (i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		if (!applies(&attempts[i]))
			continue;
		tried++;
		if (one(i))
			printf("did %s %s\n", kind->name, attempts[i].name);
		else if (kind->kind == THREAD_KINDS)
			printf("could not %s %s\n", kind->name, attempts[i].name);
		if (by_itself)
			break;
	}
	printf("tried %u\n", tried);
	if (child)
		end_of_child();
}

int main(int argc, char **argv)
{
	char command[100];
	unsigned int i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (argc > 1 && !strcmp(argv[1], kinds[i].name))
			kind = &kinds[i];
	if (!kind)
		return 2;
	by_itself = argc > 2;
	parent = getpid();
	signal(SIGUSR1, hear);
	signal(SIGPIPE, SIG_IGN);
	common = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	make_place();
	listen_all();
	try_all();
	must(chdir("/"), "/");
	snprintf(command, sizeof(command), "rm -rf %s", place);
	return system(command);
}
