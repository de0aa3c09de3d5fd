// SPDX-License-Identifier: GPL-2.0
/*
 * load MODULE: load a module while its first, second, ... allocation fails,
 * until none is left to fail; unload it each time it was loaded. Says how often
 * it was not.  Meanwhile open() in a loop never sees a half-ready device.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

static int nth;

static void die(const char *what, unsigned int n)
{
	printf("%s with failure %u: %s\n", what, n, strerror(errno));
	exit(1);
}

static void arm(unsigned int n)
{
	char word[12];
	int len = snprintf(word, sizeof(word), "%u", n);

	if (pwrite(nth, word, len, 0) != len)
		die("fail-nth", n);
}

static int disarm(void)
{
	char word[12] = "";
	int came = pread(nth, word, sizeof(word) - 1, 0) > 0 && !atoi(word);

	if (pwrite(nth, "0", 1, 0) != 1 && pwrite(nth, "0", 1, 0) != 1)
		die("fail-nth", 0);
	return came;
}

/* Opens, and asks for registers of no guest: EINVAL, from the first moment on. */
static void open_in_a_loop(void)
{
	unsigned long word[2] = { 5, 0 };

	for (;;) {
		int fd = open("/dev/lguest", O_RDWR);

		if (fd >= 0 && (write(fd, word, sizeof(word)) != -1 ||
				errno != EINVAL))
			_exit(1);
		if (fd < 0 && errno != ENOENT && errno != ENODEV && errno != ENXIO)
			_exit(2);
		close(fd);
	}
}

static void unload(unsigned int n)
{
	for (int i = 0; i < 500; i++) {		/* the other may have it open */
		if (!syscall(SYS_delete_module, "lg", O_NONBLOCK))
			return;
		if (errno != EWOULDBLOCK && errno != EBUSY)
			break;
		usleep(10000);
	}
	die("delete_module()", n);
}

int main(int argc, char **argv)
{
	unsigned int n, failures = 0, loaded = 0;
	int file, came = 1, status = 0;
	pid_t other;

	if (argc != 2)
		return 2;
	nth = open("/proc/thread-self/fail-nth", O_RDWR);
	file = open(argv[1], O_RDONLY);
	if (nth < 0 || file < 0)
		die(argv[1], 0);
	other = fork();
	if (!other)
		open_in_a_loop();
	for (n = 1; came; n++) {
		long err;

		arm(n);
		err = syscall(SYS_finit_module, file, "", 0) ? errno : 0;
		came = disarm();
		errno = err;
		if (!err) {
			loaded++;
			unload(n);
		} else if (err == ENOMEM || err == EFAULT) {
			failures++;
		} else {
			die("finit_module()", n);
		}
	}
	kill(other, SIGKILL);
	waitpid(other, &status, 0);
	printf("open() beside it: %s\n", WIFSIGNALED(status) ? "fine" : "wrong");
	printf("%u failures, not loaded %u times, loaded %u times\n", n - 2,
	       failures, loaded);
	return 0;
}
