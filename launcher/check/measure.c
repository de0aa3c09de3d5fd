// SPDX-License-Identifier: GPL-2.0
/*
 * Small measurements, some seconds in all.  They are not bench/'s: those need
 * a quiet machine and half an hour.  These tell whether a machine is like others.
 * Read next: debugger/gdb_listen.c.
 */
#define _GNU_SOURCE 1
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "clock.h"
#include "measure.h"

#define TIME_EACH	100000000ULL	/* ns, for each kind of operation */
#define AT_ONCE		256		/* operations between two looks at the clock */
/* Guards only: a machine that does nothing else needs some seconds. */
#define GUEST_SECONDS	"180"
#define GUEST_MOST	200000000000ULL	/* ns; then it is killed */

static void one_cpuid(void)
{
	unsigned int eax, ebx, ecx, edx;

	__cpuid(0, eax, ebx, ecx, edx);
	asm volatile("" : : "r"(eax), "r"(ebx), "r"(ecx), "r"(edx));
}

static void one_syscall(void)
{
	syscall(SYS_getppid);
}

static char *page;

static void one_fault(void)
{
	madvise(page, 4096, MADV_DONTNEED);
	*(volatile char *)page = 1;
}

static double ns_each(void (*operation)(void))
{
	uint64_t begin = now_ns(), end;
	unsigned long done = 0;

	do {
		unsigned int i;

		for (i = 0; i < AT_ONCE; i++)
			operation();
		done += AT_ONCE;
		end = now_ns();
	} while (end - begin < TIME_EACH);
	return (double)(end - begin) / done;
}

static double tsc_mhz(void)
{
	uint64_t ns = now_ns(), tsc = __rdtsc();

	while (now_ns() - ns < TIME_EACH)
		;
	return (double)(__rdtsc() - tsc) * 1000 / (now_ns() - ns);
}

json_t *measure_here(void)
{
	json_t *all = json_object();

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	json_object_set_new(all, "tsc_mhz", json_real(tsc_mhz()));
	json_object_set_new(all, "cpuid_ns", json_real(ns_each(one_cpuid)));
	json_object_set_new(all, "getppid_ns", json_real(ns_each(one_syscall)));
	if (page != MAP_FAILED)
		json_object_set_new(all, "madvise_and_fault_ns", json_real(ns_each(one_fault)));
	return all;
}

/*L:070
 * The script is the same natively and in the guest, where busybox is all there
 * is.  /proc/uptime counts hundredths of a second, and machines differ a
 * thousandfold: so dd makes twice as many calls each time (a read and a write for
 * each byte) until that takes half a second, and processes, each a fork and an
 * exec besides the clock's fork, are made for a second.
 :*/
static const char script[] =
	"now() { read up rest </proc/uptime; echo $((${up%.*} * 100 + 1${up#*.} - 100)); }\n"
	"n=500 taken=0\n"
	"while [ $taken -lt 50 ]; do\n"
	"	n=$((n * 2)) begin=$(now)\n"
	"	\"$0\" dd if=/dev/zero of=/dev/null bs=1 count=$n 2>/dev/null || exit\n"
	"	taken=$(($(now) - begin))\n"
	"done\n"
	"echo report calls $((n * 2)) $taken\n"
	"n=0 begin=$(now) taken=0\n"
	"while [ $taken -lt 100 ]; do\n"
	"	\"$0\" true || exit\n"
	"	n=$((n + 1)) taken=$(($(now) - begin))\n"
	"done\n"
	"echo report processes $n $taken\n";

static void take_line(struct script_result *result, const char *line)
{
	unsigned int number, hundredths;

	if (sscanf(line, "report calls %u %u", &number, &hundredths) == 2 && number)
		result->syscall_ns = hundredths * 1e7 / number;
	if (sscanf(line, "report processes %u %u", &number, &hundredths) == 2 && number)
		result->process_us = hundredths * 1e4 / number;
}

static pid_t start(char *const argv[], int *output)
{
	int ends[2], null;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(null, STDIN_FILENO);
		dup2(ends[1], STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	close(ends[1]);
	*output = ends[0];
	return pid;
}

/*
 * The folder of counters goes with the guest, so the last look is what stays.  It has
 * the number of the launcher's machine.
 */
static void look_at_counters(pid_t launcher, struct counters *last)
{
	pid_t machines[GUESTS_MOST];
	int count = list_guests(machines, GUESTS_MOST), i;
	struct counters now;

	for (i = 0; i < count; i++)
		if (launcher_of(machines[i]) == launcher && !read_counters(machines[i], &now))
			*last = now;
}

static void follow(pid_t pid, int output, struct script_result *result)
{
	uint64_t begin = now_ns();
	char text[4096];
	size_t length = 0;
	ssize_t got = 1;
	char *line, *next = text;

	while (got && length < sizeof(text) - 1 && now_ns() - begin < GUEST_MOST) {
		struct pollfd ready = { output, POLLIN, 0 };

		look_at_counters(pid, &result->counters);
		if (poll(&ready, 1, 50) <= 0)
			continue;
		got = read(output, text + length, sizeof(text) - 1 - length);
		if (got > 0)
			length += got;
		else if (got < 0 && errno != EINTR)
			break;
	}
	text[length] = '\0';
	while ((line = strsep(&next, "\n")))
		take_line(result, line);
}

static void run(char *const argv[], struct script_result *result)
{
	uint64_t begin = now_ns();
	int output, status;
	pid_t pid;

	memset(result, 0, sizeof(*result));
	result->status = -1;
	pid = start(argv, &output);
	if (pid < 0)
		return;
	follow(pid, output, result);
	close(output);
	if (now_ns() - begin >= GUEST_MOST)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return;
	result->seconds = (now_ns() - begin) / 1e9;
	result->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void measure_script(const char *busybox, struct script_result *result)
{
	run((char *[]){ (char *)busybox, "sh", "-c", (char *)script, (char *)busybox, NULL },
	    result);
}

void measure_guest(const char *kernel, struct script_result *result)
{
	char *argv[] = { "/proc/self/exe", "run", "--time-limit", GUEST_SECONDS, "--kernel",
			 (char *)kernel, "--", "sh", "-c", (char *)script, "/bin/busybox", NULL };

	if (!kernel)	/* leave those two words out */
		memmove(&argv[4], &argv[6], sizeof(argv) - 6 * sizeof(argv[0]));
	run(argv, result);
}
