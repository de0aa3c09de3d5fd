// SPDX-License-Identifier: GPL-2.0
/*
 * Starts a virtual machine, or many at once, whose /init is micro.c, and says
 * as JSON lines how they do: the time until "reached init", what micro measured,
 * and with -s, when all are there and idle, their memory and processor time.
 *
 *	guests [-n N] [-j N] [-s SECONDS] [-t LIMIT] [-g MIB] COMMAND...
 *
 * -j says how many boot side by side (all).  -g says how large the guest's memory is: neighbouring mappings that make up at
 * least half that size are left out of what the machine's program itself takes.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define MAX_GUESTS	256

static struct guest {
	pid_t pid;
	int fd;
	double started, booted;		/* seconds; 0: not yet */
	char line[4096];
	size_t length;
	bool ended;
} guests[MAX_GUESTS];

static int nr_guests = 1, at_once, seconds, limit = 120;
static long guest_kib = 256 << 10;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "guests: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void start(struct guest *guest, char **command)
{
	int out[2];

	if (pipe2(out, O_CLOEXEC))
		die("pipe");
	guest->started = now();
	guest->pid = fork();
	if (guest->pid < 0)
		die("fork");
	if (!guest->pid) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(out[1], 1);
		execvp(command[0], command);
		die(command[0]);
	}
	close(out[1]);
	guest->fd = out[0];
}

/* ---- what the guests say */

static void take_line(struct guest *guest, const char *line)
{
	const char *reached = strstr(line, "reached init "), *brace;

	if (reached && !guest->booted) {
		guest->booted = now() - guest->started;
		if (nr_guests == 1)
			printf("{\"name\": \"boot\", \"seconds\": %.3f, \"kernel_seconds\": %.3f}\n",
			       guest->booted, atof(reached + 13) / 1e9);
	}
	if (!strcmp(line, "the end"))
		guest->ended = true;	/* how it powers off is its own affair */
	brace = strstr(line, "{\"name\"");
	if (brace)
		printf("%s\n", brace);
	else if (strstr(line, "micro: ") || strstr(line, "panic"))
		fprintf(stderr, "%s\n", line);
	fflush(stdout);
}

static void take_bytes(struct guest *guest)
{
	char bytes[4096];
	ssize_t i, n = read(guest->fd, bytes, sizeof(bytes));

	if (n <= 0) {
		guest->ended = true;
		return;
	}
	for (i = 0; i < n; i++) {
		if (bytes[i] == '\r')
			continue;
		if (bytes[i] != '\n' && guest->length < sizeof(guest->line) - 1) {
			guest->line[guest->length++] = bytes[i];
			continue;
		}
		guest->line[guest->length] = 0;
		guest->length = 0;
		take_line(guest, guest->line);
	}
}

/* Start what may start: no more than at_once are on their way. */
static void start_some(char **command)
{
	int i, booting = 0;

	for (i = 0; i < nr_guests; i++) {
		if (!guests[i].pid && booting < at_once)
			start(&guests[i], command);
		booting += guests[i].pid && !guests[i].booted && !guests[i].ended;
	}
}

/* Until all have reached init, or with to_end have ended. False: time is up. */
static bool listen_until(bool to_end, char **command, double end)
{
	struct pollfd polls[MAX_GUESTS];
	int i, missing;

	for (;;) {
		start_some(command);
		missing = 0;
		for (i = 0; i < nr_guests; i++) {
			polls[i].fd = !guests[i].pid || guests[i].ended ? -1 : guests[i].fd;
			polls[i].events = POLLIN;
			missing += to_end ? !guests[i].ended :
				!guests[i].booted && !guests[i].ended;
		}
		if (!missing)
			return true;
		if (now() > end)
			return false;
		poll(polls, nr_guests, 200);
		for (i = 0; i < nr_guests; i++)
			if (polls[i].fd >= 0 && polls[i].revents)
				take_bytes(&guests[i]);
	}
}

/* ---- memory and time */

struct memory {
	long own, guest, tables;	/* KiB: Pss, Pss, shadow tables */
};

/* One process: Pss of its mappings, those of the guest's memory apart. */
static void add_process(struct memory *m, const char *pid)
{
	char path[300], line[512], access[8];
	unsigned long from, to, end = 0;
	long value, size = 0, pss = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/smaps", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, access) == 3) {
			if (from != end || access[0] == '-') {
				*(size >= guest_kib / 2 ? &m->guest : &m->own) += pss;
				size = pss = 0;
			}
			end = access[0] == '-' ? 0 : to;
			size += access[0] == '-' ? 0 : (to - from) >> 10;
		} else if (sscanf(line, "Pss: %ld", &value) == 1) {
			pss += value;
		}
	}
	*(size >= guest_kib / 2 ? &m->guest : &m->own) += pss;
	if (file)
		fclose(file);
	snprintf(path, sizeof(path), "/sys/kernel/debug/lguest/%s/stats", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fscanf(file, "shadow_tables %ld", &value) == 1)
		m->tables += value * 4;
	fclose(file);
}

/* A machine has a session of its own: its group is that of its launcher. */
static pid_t group_of(pid_t pid)
{
	char path[64], name[32] = "";
	int parent = 0;
	FILE *file;

	if (!pid)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%*d (%31[^)]) %*c %d", name, &parent) != 2)
		parent = 0;
	if (file)
		fclose(file);
	return getpgid(parent && !strcmp(name, "lguest-machine") ? parent : pid);
}

/* All processes of the groups whose guest is up. */
static struct memory memory_used(void)
{
	struct memory m = { 0, 0, 0 };
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int i;

	while ((entry = readdir(proc))) {
		pid_t group = group_of(atoi(entry->d_name));

		for (i = 0; group > 0 && i < nr_guests; i++)
			if (guests[i].pid == group && guests[i].booted && !guests[i].ended)
				add_process(&m, entry->d_name);
	}
	closedir(proc);
	return m;
}

/* Share of one processor that is not idle, in hundredths of the machine's. */
static void read_times(double *busy, double *all)
{
	unsigned long long t[8] = { 0 };
	FILE *file = fopen("/proc/stat", "re");
	int i;

	if (!file || fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", t, t + 1,
			    t + 2, t + 3, t + 4, t + 5, t + 6, t + 7) != 8)
		die("/proc/stat");
	fclose(file);
	for (*all = 0, i = 0; i < 8; i++)
		*all += t[i];
	*busy = *all - t[3] - t[4];
}

static void watch_idle(char **command)
{
	double busy, all, busy_after, all_after;
	struct memory m;
	int i, up = 0;
	double last = 0;

	at_once = 0;		/* if time was up, no more are started */
	sleep(5);
	read_times(&busy, &all);
	listen_until(true, command, now() + seconds);
	read_times(&busy_after, &all_after);
	m = memory_used();
	for (i = 0; i < nr_guests; i++) {
		up += guests[i].booted && !guests[i].ended;
		if (guests[i].started + guests[i].booted > last)
			last = guests[i].started + guests[i].booted;
	}
	if (up < nr_guests)
		fprintf(stderr, "guests: %d of %d are not there (the Host's log may tell of too little memory)\n",
			nr_guests - up, nr_guests);
	if (!up)
		return;
	printf("{\"name\": \"idle\", \"guests\": %d, \"up\": %d, \"last_boot\": %.2f, \"cpu_percent\": %.2f, \"own_kib\": %ld, \"guest_kib\": %ld, \"shadow_kib\": %ld}\n",
	       nr_guests, up, last - guests[0].started, 100 * (busy_after - busy) / (all_after - all),
	       m.own / up, m.guest / up, m.tables / up);
}

static void end_all(void)
{
	int i;

	for (i = 0; i < nr_guests; i++)
		if (guests[i].pid)
			kill(-guests[i].pid, SIGKILL);
	for (i = 0; i < nr_guests; i++)
		if (guests[i].pid)
			waitpid(guests[i].pid, NULL, 0);
}

int main(int argc, char **argv)
{
	int option, i;
	bool in_time;
	double end;

	while ((option = getopt(argc, argv, "+n:j:s:t:g:")) != -1) {
		switch (option) {
		case 'n': nr_guests = atoi(optarg); break;
		case 'j': at_once = atoi(optarg); break;
		case 's': seconds = atoi(optarg); break;
		case 't': limit = atoi(optarg); break;
		case 'g': guest_kib = atol(optarg) << 10; break;
		default: return 2;
		}
	}
	if (optind == argc || nr_guests < 1 || nr_guests > MAX_GUESTS) {
		fputs("usage: guests [-n N] [-j N] [-s SECONDS] [-t LIMIT] [-g MIB] COMMAND...\n", stderr);
		return 2;
	}
	end = now() + limit;
	if (!at_once)
		at_once = nr_guests;
	in_time = listen_until(!seconds, argv + optind, end);
	if (!in_time)
		fprintf(stderr, "guests: not %s within %d s\n",
			seconds ? "all at init" : "finished", limit);
	if (seconds)
		watch_idle(argv + optind);
	end_all();
	for (i = 0; i < nr_guests; i++)
		if (!guests[i].booted)
			return 1;
	return !in_time;
}
