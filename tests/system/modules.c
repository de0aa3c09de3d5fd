// SPDX-License-Identifier: GPL-2.0
/*
 * modules FILE NAME PATH ROUNDS: load the module FILE, called NAME, and unload it, ROUNDS
 * times; in between fifty processes must all have read PATH, which the module makes, and
 * must all have missed it.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHILDREN 50

/* Twice the round, and one more while the module is there: as each saw it last. */
static volatile struct {
	int now, seen[CHILDREN];
} *shared;

static void look(const char *path, int i)
{
	char text[64];

	for (;;) {
		int now = shared->now, fd = open(path, O_RDONLY);
		bool there = fd >= 0 && read(fd, text, sizeof(text)) > 0;

		if (fd >= 0)
			close(fd);
		if (there == now % 2 && now == shared->now)
			shared->seen[i] = now;
		usleep(20000);
	}
}

/* It ends by the guest's time limit if one never does. */
static void all_see(int now)
{
	shared->now = now;
	for (int i = 0; i < CHILDREN; i++)
		while (shared->seen[i] != now)
			usleep(5000);
}

int main(int argc, char **argv)
{
	int fd = open(argv[1], O_RDONLY), rounds = argc == 5 ? atoi(argv[4]) : 0;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || shared == MAP_FAILED)
		return 2;
	for (int i = 0; i < CHILDREN; i++)
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			look(argv[3], i);
		}
	for (int round = 1; round <= rounds; round++) {
		if (syscall(SYS_finit_module, fd, "", 0))
			return perror("loading"), 1;
		all_see(2 * round + 1);
		if (syscall(SYS_delete_module, argv[2], 0))
			return perror("unloading"), 1;
		all_see(2 * round + 2);
	}
	printf("%d rounds of %d processes\n", rounds, CHILDREN);
	return 0;
}
