// SPDX-License-Identifier: GPL-2.0
/*
 * World switches per operation: runs micro.c's operations in a guest and reads
 * the Host's counters before and after each. To be run in the lab:
 *
 *	lab/lab --with build/bench -- bench/count [-a] [-j] [-c VCPUS] [-m SIZE] [NAME[:N]...]
 *
 * -a shows every counter that changed, per operation; -j prints JSON lines.
 *
 * The guest says "count begin", sleeps, works, says "count end", sleeps: the
 * counters are read while it sleeps. What the same costs with no operation is
 * subtracted, and of three rounds the least is kept, so that the figures are
 * exact to about 10 world switches in all. What comes with time and not with
 * operations is counted apart: the Host's interrupts, the guest's timer, and
 * returns from the guest's interrupts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define MAX_COUNTERS	320

struct counters {
	int nr;
	struct counter {
		char name[40];
		long value;
	} all[MAX_COUNTERS];
};

/* An operation's figures; longs are for all its operations together. */
struct result {
	long ops, faults;		/* page faults, as the guest sees them */
	double ns;
	long total, time, own;		/* world switches: own = total - time */
	struct counters changes;
};

static bool show_all, show_json, several;
static pid_t launcher;

static void die(const char *what)
{
	fprintf(stderr, "count: %s: %s\n", what, strerror(errno));
	if (launcher > 0)
		kill(launcher, SIGTERM);
	exit(1);
}

/* ---- counters */

static struct counter *find(struct counters *c, const char *name)
{
	int i;

	for (i = 0; i < c->nr; i++)
		if (!strcmp(c->all[i].name, name))
			return &c->all[i];
	if (c->nr == MAX_COUNTERS)
		die("too many counters");
	strcpy(c->all[c->nr].name, name);
	c->all[c->nr].value = 0;
	return &c->all[c->nr++];
}

/* The launcher's child has the guest. */
static int machine(void)
{
	char path[64];
	FILE *file;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", launcher, launcher);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%d", &pid) != 1)
		die(path);
	fclose(file);
	return pid;
}

static void read_counters(struct counters *c)
{
	static const struct timespec settle = { .tv_nsec = 10000000 };
	char path[64], name[40];
	long value;
	FILE *file;

	nanosleep(&settle, NULL);	/* the guest falls asleep */
	snprintf(path, sizeof(path), "/sys/kernel/debug/lguest/%d/stats", machine());
	file = fopen(path, "re");
	if (!file)
		die(path);
	c->nr = 0;
	while (fscanf(file, "%39s %ld", name, &value) == 2)
		find(c, name)->value += value;	/* of all vCPUs */
	fclose(file);
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* By which the Host's CPUs reach each other, to call a function or to look again. */
#define FIRST_IPI	251
#define RESCHEDULE	"exit_vector_253"

/*
 * Neither the Host's ticks nor the guest's belong to an operation.  What one vCPU does to
 * another comes as the Host's own IPIs, which one vCPU alone has by chance.
 */
static bool comes_with_time(const char *name)
{
	int vector = begins(name, "exit_vector_") ? atoi(name + 12) : 0;

	return (vector >= 32 && !(several && vector >= FIRST_IPI)) ||
		!strcmp(name, "hypercall_SET_CLOCKEVENT") ||
		!strcmp(name, "hypercall_SEND_INTERRUPTS");
}

static void changes(struct result *r, struct counters *before, struct counters *after)
{
	long irets, interrupts;
	int i;

	r->total = r->time = 0;
	r->changes.nr = 0;
	for (i = 0; i < after->nr; i++) {
		const char *name = after->all[i].name;
		long change = after->all[i].value - find(before, name)->value;

		find(&r->changes, name)->value = change;
		if (!strcmp(name, "world_switches"))
			r->total = change;
		if (comes_with_time(name))
			r->time += change;
	}
	/* An interrupt may cost its return a visit; more of them are not its fault. */
	irets = find(&r->changes, "hypercall_IRET")->value;
	interrupts = find(&r->changes, "interrupts_given")->value;
	if (several)		/* of timers, not of other vCPUs */
		interrupts -= find(&r->changes, RESCHEDULE)->value;
	r->time += irets < interrupts ? irets : interrupts;
	r->own = r->total - r->time;
}

/* ---- the guest */

static FILE *start_guest(char *memory, char *vcpus, char **words)
{
	static char self[4096], initrd[4200], params[1024] = "quiet bench=--count";
	int out[2];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || pipe(out))
		die("starting");
	snprintf(initrd, sizeof(initrd), "%s/initrd.cpio", dirname(self));
	for (; *words; words++) {
		strncat(params, ",", sizeof(params) - strlen(params) - 1);
		strncat(params, *words, sizeof(params) - strlen(params) - 1);
	}
	launcher = fork();
	if (launcher < 0)
		die("fork");
	if (!launcher) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execlp("lguest", "lguest", "run", "-i", initrd, "-m", memory,
		       "-c", vcpus, "-p", params, NULL);
		die("lguest");
	}
	close(out[1]);
	return fdopen(out[0], "r");
}

/* ---- results */

/* Interrupts of the Host that brought none for the guest: its own ticks. */
static long ticks_of_host(struct result *r)
{
	long all = 0;
	int i;

	for (i = 0; i < r->changes.nr; i++)
		if (begins(r->changes.all[i].name, "exit_vector_") &&
		    atoi(r->changes.all[i].name + 12) >= 32)
			all += r->changes.all[i].value;
	all -= find(&r->changes, "interrupts_given")->value;
	return all > 0 ? all : 0;
}

static void show(const char *name, struct result *r)
{
	double ops = r->ops, ticks = find(&r->changes, "interrupts_given")->value;
	int i;

	if (!strcmp(name, "busy_ms") && ticks) {	/* by tick instead */
		r->own = r->total - ticks_of_host(r);
		ops = ticks;
		name = "timer_tick";
	}
	if (show_json) {
		printf("{\"name\": \"%s\", \"ops\": %.0f, \"switches\": %.4f, \"with_time\": %.4f, \"guest_faults\": %.4f, \"ns\": %.1f}\n",
		       name, ops, r->own / ops, r->time / ops, r->faults / ops, r->ns / ops);
	} else {
		static bool headed;

		if (!headed)
			printf("%-18s %8s %14s %10s %12s %10s\n%-18s %8s %14s %10s %12s %10s\n",
			       "operation", "ops", "switches/op", "time/op",
			       "faults/op", "sw/fault", "", "", "", "(ticks)",
			       "(guest's)", "");
		headed = true;
		printf("%-18s %8.0f %14.3f %10.3f %12.3f ", name, ops,
		       r->own / ops, r->time / ops, r->faults / ops);
		if (r->faults > ops / 10)
			printf("%10.3f\n", (double)r->own / r->faults);
		else
			printf("%10s\n", "-");
	}
	for (i = 0; show_all && i < r->changes.nr; i++)
		if (r->changes.all[i].value)
			printf("    %-28s %10ld %12.4f\n", r->changes.all[i].name,
			       r->changes.all[i].value, r->changes.all[i].value / ops);
	fflush(stdout);
}

static void subtract(struct result *r, struct result *idle)
{
	int i;

	r->total -= idle->total;
	r->time -= idle->time;
	r->own -= idle->own;
	r->faults -= idle->faults;
	if (r->own < 0)
		r->own = 0;
	for (i = 0; i < r->changes.nr; i++)
		r->changes.all[i].value -= find(&idle->changes, r->changes.all[i].name)->value;
}

/* The guest's lines, until it ends. Returns the operations seen. */
static int follow(FILE *guest)
{
	static struct counters before, after;
	static struct result now, best, idle;
	static char line[1024], name[64];
	bool have_best = false, have_idle = false;
	int seen = 0;

	while (fgets(line, sizeof(line), guest)) {
		line[strcspn(line, "\r\n")] = 0;
		if (sscanf(line, "count begin %63s %ld", name, &now.ops) == 2) {
			read_counters(&before);
		} else if (sscanf(line, "count end %63s %ld %lf %ld", name, &now.ops,
				  &now.ns, &now.faults) == 4) {
			read_counters(&after);
			changes(&now, &before, &after);
			if (!now.ops && (!have_idle || now.own < idle.own)) {
				idle = now;
				have_idle = true;
			} else if (now.ops && (!have_best || now.own < best.own)) {
				best = now;
				have_best = true;
			}
		} else if (sscanf(line, "count done %63s", name) == 1) {
			if (!have_best || !have_idle)
				die("lines are missing");
			subtract(&best, &idle);
			show(name, &best);
			have_best = have_idle = false;
			seen++;
		} else if (begins(line, "micro:")) {
			fprintf(stderr, "%s\n", line);
		}
	}
	return seen;
}

int main(int argc, char **argv)
{
	char *memory = "256M", *vcpus = "1";
	int option, status, seen;
	FILE *guest;

	while ((option = getopt(argc, argv, "+ac:jm:")) != -1) {
		switch (option) {
		case 'a': show_all = true; break;
		case 'c':
			vcpus = optarg;
			several = atoi(vcpus) > 1;
			break;
		case 'j': show_json = true; break;
		case 'm': memory = optarg; break;
		default:
			fputs("usage: count [-a] [-j] [-c VCPUS] [-m SIZE] [NAME[:N]...]\n", stderr);
			return 2;
		}
	}
	guest = start_guest(memory, vcpus, argv + optind);
	seen = follow(guest);
	waitpid(launcher, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) || !seen) {
		fprintf(stderr, "count: the guest ended with status %#x\n", status);
		return 1;
	}
	return 0;
}
