// SPDX-License-Identifier: GPL-2.0
/*
 * An ordinary program that takes the right to its own memory away from itself, by
 * WRPKRU, which nobody can forbid it.  Prints how that ends, five times, and that the
 * keys of one process are not another's.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void set_keys(unsigned int value)
{
	asm volatile("xor %%ecx, %%ecx; xor %%edx, %%edx; wrpkru" : : "a" (value) :
		     "ecx", "edx", "memory");
}

static unsigned int get_keys(void)
{
	unsigned int value;

	asm volatile("xor %%ecx, %%ecx; rdpkru" : "=a" (value) : : "ecx", "edx");
	return value;
}

static volatile int word;

static int child(unsigned int keys)
{
	int status = 0;

	fflush(stdout);
	if (fork() == 0) {
		set_keys(keys);
		word = 1;
		usleep(1000);
		_exit(3);
	}
	wait(&status);
	return status;
}

int main(void)
{
	int i, status;

	for (i = 0; i < 5; i++) {
		status = child(0xffffffff);
		printf("signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	}
	status = child(0xfffffff0);
	printf("status %d, then %s\n", WEXITSTATUS(status),
	       get_keys() == 0xfffffff0 ? "its keys" : "none of its keys");
	return 0;
}
