// SPDX-License-Identifier: GPL-2.0
/*
 * An exception for the guest of a launcher, whatever its CPU just does:
 *	trap PID NUMBER
 * By the launcher's own file, of which the kernel gives us a copy.
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "../../include/lguest/device.h"

static int its_file(int pid)
{
	char name[64], to[64];
	ssize_t len;
	int fd;

	for (fd = 0; fd < 100; fd++) {
		snprintf(name, sizeof(name), "/proc/%d/fd/%d", pid, fd);
		len = readlink(name, to, sizeof(to) - 1);
		to[len < 0 ? 0 : len] = '\0';
		if (!strcmp(to, "/dev/lguest"))
			return fd;
	}
	errx(2, "process %d does not run a guest", pid);
}

int main(int argc, char **argv)
{
	int pid = argc == 3 ? atoi(argv[1]) : 0;
	uint64_t request[] = { LHREQ_TRAP, pid ? strtoull(argv[2], NULL, 0) : 0, 0 };
	int fd;

	if (!pid)
		errx(2, "usage: trap PID NUMBER");
	fd = (int)syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, pid, 0), its_file(pid), 0);
	if (fd < 0)
		err(2, "process %d's file", pid);
	if (pwrite(fd, request, sizeof(request), 0) != sizeof(request))
		err(2, "a trap for process %d", pid);
	return 0;
}
