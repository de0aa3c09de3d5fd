// SPDX-License-Identifier: GPL-2.0
/*
 * The runner: every test in a process of its own, verdicts in KTAP.
 *
 *	run [-l] [-x FILE[:WORD],...] [WORD...]
 *
 * Only tests whose file or name has one of the words; -l lists them, -x leaves
 * out files, or those of their tests whose names have the word.  MICRO_TIMES=N: tests
 * that count rounds make N times as many (tests/long/rounds.sh).
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
unsigned int slow = 1, times = 1;

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

/* Where in the host's kernel it is; the lab's log gets what the CPUs do. */
static __attribute__((noreturn)) void give_up(pid_t pid)
{
	char path[40], stack[300] = "";
	ssize_t got = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	fd = open(path, O_RDONLY);
	if (fd >= 0)
		got = read(fd, stack, sizeof(stack) - 1);
	for (ssize_t i = 0; i < got; i++)
		if (stack[i] == '\n')
			stack[i] = ' ';
	fd = open("/proc/sysrq-trigger", O_WRONLY);
	if (fd < 0 || write(fd, "l", 1) != 1)
		printf("# the CPUs cannot be asked\n");
	printf("Bail out! a test does not even end by SIGKILL: %s\n", stack);
	exit(1);
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
	give_up(pid);
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
	unsigned int limit = t->seconds * slow * times;
	bool ended = wait_for(pid, limit, &status);

	kill(-pid, SIGKILL);	/* what it left behind */
	fcntl(from, F_SETFL, O_NONBLOCK);
	got = read(from, why, sizeof(why) - 1);
	why[got > 0 ? got : 0] = 0;
	close(from);

	verdict = WIFEXITED(status) ? WEXITSTATUS(status) : FAIL;
	if (!ended)
		snprintf(why, sizeof(why), "HANG: not done in %u s", limit);
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

/* ---- AT-54, AT-59: what a group of tests leaves behind ---- */

/* A number that follows @word in a file of the kernel's. */
static long number_in(const char *path, const char *word)
{
	char text[8192], *at;
	int fd = open(path, O_RDONLY);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	if (got < 0)
		return 0;
	text[got] = 0;
	at = strstr(text, word);
	return at ? atol(at + strlen(word)) : 0;
}

/* All the numbers that follow @word there, summed up. */
static long numbers_in(const char *path, const char *word)
{
	FILE *file = fopen(path, "r");
	char line[256], *at;
	long sum = 0;

	while (file && fgets(line, sizeof(line), file)) {
		at = strstr(line, word);
		sum += at ? atol(at + strlen(word)) : 0;
	}
	if (file)
		fclose(file);
	return sum;
}

/* KiB that /proc/meminfo gives for @name. */
static long meminfo(const char *name)
{
	return number_in("/proc/meminfo", name);
}

/*
 * Pages that the kernel gave to somebody and has no name for, in KiB: a module's,
 * for one.  MemFree alone goes up and down with caches, huge pages, our own heap.
 */
static long nameless_kib(void)
{
	static const char *const named[] = {
		"MemFree:", "Buffers:", "\nCached:", "SwapCached:", "AnonPages:",
		"Slab:", "KernelStack:", "PageTables:", "SecPageTables:", "Percpu:",
		"VmallocUsed:",
	};
	/* Free, but on a list of one CPU. */
	long sum = meminfo("MemTotal:") - 4 * numbers_in("/proc/zoneinfo", "count:");

	for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++)
		sum -= meminfo(named[i]);
	return sum;
}

struct resources {
	long users, files, kernel_kib, nameless_kib;
};

static struct resources resources_now(void)
{
	static const char *const kernel[] = { "SUnreclaim:", "PageTables:",
					      "VmallocUsed:", "Percpu:" };
	struct resources r = { 0 };
	int fd;

	/* Files and memory may go a moment after their last user. */
	for (int i = 0; i < 100; i++) {
		r.users = number_in("/sys/module/lg/refcnt", "");
		if (!r.users)
			break;
		usleep(20000);
	}
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	if (fd >= 0 && write(fd, "3", 1) != 1)
		errno = 0;
	close(fd);
	r.files = number_in("/proc/sys/fs/file-nr", "");
	for (size_t i = 0; i < sizeof(kernel) / sizeof(*kernel); i++)
		r.kernel_kib += meminfo(kernel[i]);
	r.nameless_kib = nameless_kib();
	return r;
}

/* The first group pays for what the host itself keeps from then on. */
#define FILES_MORE	64
#define KERNEL_MORE	1024
#define NAMELESS_MORE	512

/*
 * On the debug host freed memory stays in quarantine for a while; there the lab
 * asks kmemleak and the pages' owners (lab/init).
 */
static bool more_than(const struct resources *now, const struct resources *before)
{
	if (now->users || now->files > before->files + FILES_MORE)
		return true;
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		return false;
	return now->kernel_kib > before->kernel_kib + KERNEL_MORE ||
	       now->nameless_kib > before->nameless_kib + NAMELESS_MORE;
}

static bool left_behind(const char *file, int n, const struct resources *before)
{
	struct resources now = resources_now();
	bool bad;

	/* Processes that were killed may still be on their way out. */
	for (int i = 0; i < 50 && more_than(&now, before); i++) {
		usleep(100000);
		now = resources_now();
	}
	bad = more_than(&now, before);
	printf("%sok %d - %s: AT-54 AT-59 H23 nothing is left of these tests\n",
	       bad ? "not " : "", n, file);
	printf("# users %ld, files %+ld, kernel memory %+ld KiB, nameless pages %+ld KiB\n",
	       now.users, now.files - before->files,
	       now.kernel_kib - before->kernel_kib, now.nameless_kib - before->nameless_kib);
	return bad;
}

static const char *without = "";

/* "FILE" or "FILE:WORD", a word of the test's name; a comma between two. */
static bool left_out(struct test *t)
{
	char *item, *rest = strdup(without);

	while ((item = strsep(&rest, ","))) {
		char *file = strsep(&item, ":");

		if (!strcmp(file, t->file) && (!item || strstr(t->name, item)))
			return true;
	}
	return false;
}

static bool wanted(struct test *t, char **word)
{
	if (left_out(t))
		return false;
	if (!*word)
		return true;
	for (; *word; word++)
		if (strstr(t->name, *word) || strstr(t->file, *word))
			return true;
	return false;
}

static bool last_of_file(struct test *t)
{
	return t + 1 == __stop_tests || strcmp(t[0].file, t[1].file);
}

static int list_tests(char **word)
{
	for (struct test *t = __start_tests; t < __stop_tests; t++)
		if (wanted(t, word))
			printf("%s: %s\n", t->file, t->name);
	return 0;
}

/* A RAM disk never gives a page back: it takes all of them before we count. */
static void fill_ram_disk(void)
{
	static const char zeros[65536];
	int fd = open("/dev/ram0", O_WRONLY);

	while (fd >= 0 && write(fd, zeros, sizeof(zeros)) > 0)
		;
	if (fd >= 0)
		fsync(fd);
	close(fd);
}

int main(int argc, char **argv)
{
	int n = 0, failed = 0, kmsg, option;
	struct resources before;
	bool list = false, all;
	char **word;

	while ((option = getopt(argc, argv, "lx:")) > 0) {
		if (option == 'l')
			list = true;
		else if (option == 'x')
			without = optarg;
		else
			return 2;
	}
	word = argv + optind;
	if (list)
		return list_tests(word);
	all = !*word;	/* else others may run beside us */
	if (getenv("LAB_SLOW"))
		slow = strtoul(getenv("LAB_SLOW"), NULL, 10) ?: 1;
	if (getenv("MICRO_TIMES"))
		times = strtoul(getenv("MICRO_TIMES"), NULL, 10) ?: 1;
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg >= 0)
		lseek(kmsg, 0, SEEK_END);
	for (struct test *t = __start_tests; t < __stop_tests; t++)
		n += wanted(t, word) + (all && wanted(t, word) && last_of_file(t));
	printf("KTAP version 1\n1..%d\n", n);
	n = 0;
	fill_ram_disk();
	before = resources_now();
	for (struct test *t = __start_tests; t < __stop_tests; t++) {
		if (!wanted(t, word))
			continue;
		failed += run_test(t, ++n, kmsg);
		if (all && last_of_file(t)) {
			failed += left_behind(t->file, ++n, &before);
			before = resources_now();
		}
		fflush(stdout);
	}
	return failed != 0;
}
