// SOURCES: launcher/jail/beside.c
// LIBS: -lseccomp -pthread
// SPDX-License-Identifier: GPL-2.0
/* A program beside the machine: what it cannot do, and what it goes on to do. L8. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "jail/beside.h"

static int pair[2];

/* Each gives 0 if it was done.  No file named is there: without a filter that is the error. */
static long make_socket(void) { return socket(AF_UNIX, SOCK_STREAM, 0) < 0; }
static long make_inet(void) { return socket(AF_INET, SOCK_DGRAM, 0) < 0; }
static long make_process(void) { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0; }
static long make_process_old(void) { return syscall(SYS_fork) < 0; }
static long end_parent(void) { return kill(getppid(), SIGKILL); }
static long end_parents_thread(void) { return syscall(SYS_tgkill, getppid(), getppid(), SIGKILL); }
static long trace_parent(void) { return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL); }
static long mount_over(void) { return mount("none", "/nowhere", "tmpfs", 0, NULL); }
static long other_namespace(void) { return unshare(CLONE_NEWUSER); }
static long make_device(void) { return mknod("/nowhere/device", S_IFCHR | 0600, 0x103); }
static long make_ring(void) { return syscall(SYS_io_uring_setup, 1, NULL) < 0; }

static long read_parent(void)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { &pair, 1 };

	return process_vm_readv(getppid(), &to, 1, &from, 1, 0) != 1;
}

static long (*const forbidden[])(void) = {
	make_socket, make_inet, make_process, make_process_old, end_parent, end_parents_thread,
	trace_parent, mount_over, other_namespace, make_device, make_ring, read_parent,
};
#define FORBIDDEN	(sizeof(forbidden) / sizeof(forbidden[0]))

static void *nothing(void *with)
{
	return with;
}

/* Threads, files, sockets that it has, signals to itself, and to become the program. */
static int go_on(void)
{
	pthread_t thread;
	char byte;
	int fd;

	if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
		return 101;
	fd = open("/dev/zero", O_RDONLY);
	if (fd < 0 || read(fd, &byte, 1) != 1 || send(pair[1], &byte, 1, 0) != 1)
		return 102;
	if (signal(SIGUSR1, SIG_IGN) == SIG_ERR || raise(SIGUSR1))
		return 103;
	execl("/bin/sh", "sh", "-c", "exit 7", NULL);
	return 104;
}

static int status_of(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Or the number of what could be done, from 1 on. */
static int live(void)
{
	unsigned int i;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (confine_beside())
		return 100;
	for (i = 0; i < FORBIDDEN; i++) {
		errno = 0;
		if (!forbidden[i]() || errno != EPERM)
			return 1 + i;
	}
	return go_on();
}

static void test_beside(void **state)
{
	pid_t child;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	child = fork();
	if (!child)
		_exit(live());
	assert_int_equal(status_of(child), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_beside) };

	return cmocka_run_group_tests_name("beside", tests, NULL, NULL);
}
