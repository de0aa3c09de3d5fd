// SPDX-License-Identifier: GPL-2.0
/*
 * Work for several CPUs: the same amount of it whoever does it, and how many there are.
 * The very same static binary runs natively and, as /init, in guests.
 *
 *	storms [-s] [NAME...]	how long each takes; -s: with a line "go" before each and
 *				"done" after it, and a line read from stdin after both
 *
 * Read next: guests.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define GROUPS		4
#define PAIRS		5		/* senders, and as many receivers, in a group */
#define MESSAGES	20		/* of each sender to each receiver */
#define FORKS		400
#define JOBS		32
#define MAPS		2000
#define MAP_BYTES	65536UL

static long cpus;
static char *self;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	printf("storms: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void wait_for_all(void)
{
	int status;

	while (wait(&status) > 0)
		must(!status, "a process failed");
}

/* ---- hackbench's pattern: all senders of a group write to all of its receivers */

static void send_all(int pairs[PAIRS][2])
{
	char message[100] = "";
	int i, k;

	for (i = 0; i < MESSAGES; i++)
		for (k = 0; k < PAIRS; k++)
			must(write(pairs[k][1], message, sizeof(message)) == sizeof(message), "write");
}

static void receive_all(int fd)
{
	size_t left = MESSAGES * PAIRS * 100;
	char bytes[100];

	while (left) {
		ssize_t got = read(fd, bytes, sizeof(bytes));

		must(got > 0, "read");
		left -= got;
	}
}

static void hackbench(void)
{
	int pairs[PAIRS][2], group, i;

	for (group = 0; group < GROUPS; group++) {
		for (i = 0; i < PAIRS; i++)
			must(!socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), "socketpair");
		for (i = 0; i < 2 * PAIRS; i++) {
			pid_t child = fork();

			must(child >= 0, "fork");
			if (child)
				continue;
			if (i < PAIRS)
				send_all(pairs);
			else
				receive_all(pairs[i - PAIRS][0]);
			_exit(0);
		}
		for (i = 0; i < PAIRS; i++) {
			close(pairs[i][0]);
			close(pairs[i][1]);
		}
	}
	wait_for_all();
}

/* ---- a build's: programs that compute and write a file, a few more than there are CPUs */

/* What one of its programs does: execve, fresh memory, arithmetic, a file. */
static int job(const char *number)
{
	size_t size = 2 << 20, i, round;
	unsigned int *words = malloc(size), sum = atoi(number);
	char name[64];
	FILE *file;

	must(words, "malloc");
	for (round = 0; round < 4; round++)
		for (i = 0; i < size / sizeof(*words); i++)
			words[i] = sum = sum * 1664525 + 1013904223;
	snprintf(name, sizeof(name), "/tmp/storms-%s", number);
	file = fopen(name, "w");
	must(file && fwrite(words, 65536, 1, file) == 1, name);
	fclose(file);
	return unlink(name);
}

static void build(void)
{
	long running = 0, i;
	int status;

	for (i = 0; i < JOBS; i++) {
		char number[20], *words[] = { self, "--job", number, NULL };
		pid_t pid;

		if (running > cpus) {
			must(wait(&status) > 0 && !status, "a job failed");
			running--;
		}
		snprintf(number, sizeof(number), "%ld", i);
		must(!posix_spawn(&pid, self, NULL, NULL, words, NULL), self);
		running++;
	}
	wait_for_all();
}

/* ---- forks and mappings, on each CPU at once */

static void on_each_cpu_fork(void)
{
	long cpu, i;

	for (cpu = 0; cpu < cpus; cpu++) {
		if (fork())
			continue;
		for (i = 0; i < FORKS / cpus; i++) {
			pid_t child = fork();

			must(child >= 0, "fork");
			if (!child)
				_exit(0);
			must(waitpid(child, NULL, 0) == child, "waitpid");
		}
		_exit(0);
	}
	wait_for_all();
}

static void *map_and_unmap(void *unused)
{
	unsigned long at;
	long i;

	for (i = 0; i < MAPS / cpus; i++) {
		char *place = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(place != MAP_FAILED, "mmap");
		for (at = 0; at < MAP_BYTES; at += 4096)
			place[at] = 1;
		munmap(place, MAP_BYTES);
	}
	return unused;
}

/* Threads of one process: what one unmaps no other may have any more. */
static void on_each_cpu_map(void)
{
	pthread_t threads[64];
	long cpu;

	for (cpu = 0; cpu < cpus; cpu++)
		must(!pthread_create(&threads[cpu], NULL, map_and_unmap, NULL), "a thread");
	for (cpu = 0; cpu < cpus; cpu++)
		pthread_join(threads[cpu], NULL);
}

static const struct storm {
	const char *name;
	void (*run)(void);
	unsigned int operations;
} storms[] = {
	{ "hackbench", hackbench, GROUPS * PAIRS * PAIRS * MESSAGES },
	{ "build", build, JOBS },
	{ "fork_storm", on_each_cpu_fork, FORKS },
	{ "mmap_storm", on_each_cpu_map, MAPS },
};

static void say(bool wait, const char *word, const char *name)
{
	char line[100];

	if (!wait)
		return;
	printf("%s %s\n", word, name);
	fflush(stdout);
	must(fgets(line, sizeof(line), stdin), "stdin");
}

/* The least of three: what else the machine does only adds to it. */
static void measure(const struct storm *storm, bool stops)
{
	double best = 1e9, began, took;
	int i;

	storm->run();
	say(stops, "go", storm->name);
	for (i = 0; i < 3; i++) {
		began = now();
		storm->run();
		took = now() - began;
		if (took < best)
			best = took;
	}
	say(stops, "done", storm->name);
	printf("{\"name\": \"%s_%ld\", \"cpus\": %ld, \"ns_min\": %.0f, \"operations\": %u}\n",
	       storm->name, cpus, cpus, best * 1e9, storm->operations);
	fflush(stdout);
}

static bool named(char **names, const char *name)
{
	bool any = *names;

	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return !any;
}

static void first_process(void)
{
	mkdir("/tmp", 01777);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	printf("reached init 0\n");
}

int main(int argc, char **argv)
{
	bool first = getpid() == 1, stops = argc > 1 && !strcmp(argv[1], "-s");
	cpu_set_t set;
	size_t i;

	if (argc > 2 && !strcmp(argv[1], "--job"))
		return job(argv[2]);
	sched_getaffinity(0, sizeof(set), &set);
	cpus = CPU_COUNT(&set);
	self = first ? "/init" : argv[0];
	if (first) {
		first_process();
		argv[1] = NULL;
	}
	for (i = 0; i < sizeof(storms) / sizeof(storms[0]); i++)
		if (named(argv + 1 + stops, storms[i].name))
			measure(&storms[i], stops);
	if (first) {
		printf("the end\n");
		fflush(stdout);
		sleep(1);
		reboot(RB_POWER_OFF);
	}
	return 0;
}
