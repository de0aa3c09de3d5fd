// SPDX-License-Identifier: GPL-2.0
/*
 * The runner: every test in a process of its own, verdicts in KTAP.
 *
 *	run [-l] [WORD...]	only tests whose file or name has one of the words
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"

extern struct test __start_tests[], __stop_tests[];

enum { PASS = 0, FAIL = 9, SKIPPED = 10 };
static int words = -1;		/* where a test writes why */

static void say(const char *fmt, va_list args)
{
	vdprintf(words, fmt, args);
}

/* From any process or thread of a test. */
void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	_exit(FAIL);
}

void skip(const char *why)
{
	dprintf(words, "%s", why);
	_exit(SKIPPED);
}

static pid_t start(struct test *t, int *from)
{
	int pipes[2];
	pid_t pid;

	if (pipe(pipes))
		exit(126);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(pipes[0]);
		words = pipes[1];
		setpgid(0, 0);
		t->fn();
		_exit(PASS);
	}
	close(pipes[1]);
	*from = pipes[0];
	return pid;
}

/* Wait for the end; false: it had to be killed. */
static bool wait_for(pid_t pid, unsigned int seconds, int *status)
{
	u64 until = now_ns() + seconds * 1000000000ULL;

	while (now_ns() < until) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(2000);
	}
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	for (int i = 0; i < 5000; i++) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return false;
		usleep(2000);
	}
	printf("Bail out! a test does not even end by SIGKILL\n");
	exit(1);
}

/* Complaints of the host kernel since the last call. */
static bool host_complains(int kmsg, char *what, size_t size)
{
	static const char *const bad[] = { "BUG:", "WARNING:", "Oops", "KASAN",
		"UBSAN", "Call Trace", "general protection", "double fault",
		"soft lockup", "bad: scheduling", "rcu: INFO" };
	char line[2048];
	ssize_t got;
	bool found = false;

	while (kmsg >= 0 && ((got = read(kmsg, line, sizeof(line) - 1)) > 0 ||
			     errno == EPIPE)) {
		if (got < 0)
			continue;
		line[got] = 0;
		for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
			if (!found && strstr(line, bad[i])) {
				snprintf(what, size, "HOST REPORT: %s",
					 strchr(line, ';') ?: line);
				found = true;
			}
	}
	return found;
}

static int run_test(struct test *t, int n, int kmsg)
{
	char why[2048] = "", *end;
	const char *base = strrchr(t->file, '/') ? strrchr(t->file, '/') + 1 : t->file;
	u64 began = now_ns();
	int from, status, verdict;
	ssize_t got;
	pid_t pid = start(t, &from);
	bool ended = wait_for(pid, t->seconds, &status);

	kill(-pid, SIGKILL);	/* what it left behind */
	fcntl(from, F_SETFL, O_NONBLOCK);
	got = read(from, why, sizeof(why) - 1);
	why[got > 0 ? got : 0] = 0;
	close(from);

	verdict = WIFEXITED(status) ? WEXITSTATUS(status) : FAIL;
	if (!ended)
		snprintf(why, sizeof(why), "HANG: not done in %u s", t->seconds);
	else if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "CRASH: signal %d", WTERMSIG(status));
	else if (verdict != PASS && verdict != FAIL && verdict != SKIPPED)
		snprintf(why, sizeof(why), "exit status %d", verdict);
	if (host_complains(kmsg, why, sizeof(why)))
		verdict = FAIL;
	for (end = why; *end; end++)
		if (*end == '\n')
			*end = ' ';
	if (verdict == SKIPPED) {
		printf("ok %d - %s: %s # SKIP %s\n", n, base, t->name, why);
		return 0;
	}
	if (verdict == PASS && ended && WIFEXITED(status)) {
		printf("ok %d - %s: %s\n", n, base, t->name);
	} else {
		printf("not ok %d - %s: %s\n", n, base, t->name);
		printf("# %s\n", why);
	}
	if (now_ns() - began > 3000000000ULL)
		printf("# took %.1llu ms\n",
		       (unsigned long long)(now_ns() - began) / 1000000);
	return verdict != PASS;
}

static bool wanted(struct test *t, char **word)
{
	if (!*word)
		return true;
	for (; *word; word++)
		if (strstr(t->name, *word) || strstr(t->file, *word))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	bool list = argc > 1 && !strcmp(argv[1], "-l");
	char **word = argv + 1 + list;
	int n = 0, failed = 0, kmsg;
	struct test *t;

	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg >= 0)
		lseek(kmsg, 0, SEEK_END);
	for (t = __start_tests; t < __stop_tests; t++)
		n += wanted(t, word);
	if (!list)
		printf("KTAP version 1\n1..%d\n", n);
	n = 0;
	for (t = __start_tests; t < __stop_tests; t++) {
		if (!wanted(t, word))
			continue;
		if (list)
			printf("%s: %s\n", t->file, t->name);
		else
			failed += run_test(t, ++n, kmsg);
		fflush(stdout);
	}
	return failed != 0;
}
