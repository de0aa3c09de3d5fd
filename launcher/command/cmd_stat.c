// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest stat`: what the guests of this machine do.  The Host only counts;
 * rates are the difference of two looks.
 * Read next: hardware/counters.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hardware/counters.h"
#include "lguest.h"
#include "options.h"

#define SECOND		1000000000ULL

struct stat_settings {
	uint64_t interval;	/* ns, 0: not given */
	uint64_t count;		/* of reports, 0: not given */
	pid_t pid;		/* 0: all */
};

#define AT(field) offsetof(struct stat_settings, field)
static const struct option stat_options[] = {
	{ 'i', "interval", OPTION_SECONDS, AT(interval), "SECONDS",
	  "length of the look, and then again and again (default 1, once)" },
	{ 'n', "count", OPTION_NUMBER, AT(count), "COUNT",
	  "end after so many reports" },
	{ .name = NULL },
};

const struct command stat_command = {
	"stat", "[PID]",
	"Show what the guests of this machine do, per second.  Root only.\n"
	"With the PID of a launcher: all counters of its guest, with their totals.\n"
	"  switches  world switches: the guest ran, and came back to the Host; by reason:\n"
	"  calls     hypercalls, and system calls that took the slow way\n"
	"  faults    page faults\n"
	"  emulated  instructions that the launcher had to do\n"
	"  irqs      interrupts of this machine\n"
	"  other     everything else\n"
	"  fills     entries of shadow tables made\n"
	"  direct    switches inside the guest, without the Host\n"
	"  launcher  returns to the launcher\n"
	"  sleeps    times that the idle guest slept\n"
	"  waits     times that a vCPU waited for the Host's lock of its guest\n"
	"  vcpus     how many there are",
	stat_options, cmd_stat,
};

/*L:610
 * The columns.  Each counter belongs to at most one besides "switches", which
 * is the sum of those whose names begin with "exit_".  "vcpus" is no rate.
 :*/
enum column {
	SWITCHES, CALLS, FAULTS, EMULATED, IRQS, OTHER, FILLS, DIRECT, LAUNCHER,
	SLEEPS, WAITS, VCPUS, COLUMNS, NONE = COLUMNS
};

static const char *const titles[COLUMNS] = {
	"switches", "calls", "faults", "emulated", "irqs", "other", "fills",
	"direct", "launcher", "sleeps", "waits", "vcpus",
};

static enum column reason(const char *exit)
{
	int vector;

	if (!strcmp(exit, "syscall") || !strcmp(exit, "compat_syscall"))
		return CALLS;
	if (sscanf(exit, "vector_%d", &vector) != 1)
		return OTHER;
	if (vector == 14)
		return FAULTS;
	if (vector == 13)
		return EMULATED;
	return vector >= 32 || vector == 2 ? IRQS : OTHER;
}

static enum column column_of(const char *name)
{
	if (!strncmp(name, "exit_", 5))
		return reason(name + 5);
	if (!strncmp(name, "direct_", 7))
		return DIRECT;
	if (!strcmp(name, "shadow_fills"))
		return FILLS;
	if (!strcmp(name, "launcher_visits"))
		return LAUNCHER;
	if (!strcmp(name, "lock_waits"))
		return WAITS;
	return strcmp(name, "halt_sleeps") ? NONE : SLEEPS;
}

struct row {
	double rates[COLUMNS];
};

static double rate(const struct counters *before, const struct counters *after,
		   const struct counter *c)
{
	uint64_t old = counter_value(before, c->name);
	uint64_t ns = after->when - before->when;

	return ns && c->value > old ? (double)(c->value - old) * SECOND / ns : 0;
}

static void compute(const struct counters *before, const struct counters *after,
		    struct row *row)
{
	unsigned int i;

	memset(row, 0, sizeof(*row));
	for (i = 0; i < after->count; i++) {
		const struct counter *c = &after->list[i];
		enum column column = column_of(c->name);
		double r = rate(before, after, c);

		if (column != NONE)
			row->rates[column] += r;
		if (!strncmp(c->name, "exit_", 5))
			row->rates[SWITCHES] += r;
	}
	row->rates[VCPUS] = counter_value(after, "vcpus");
}

static void print_titles(void)
{
	unsigned int i;

	printf("%8s", "PID");
	for (i = 0; i < COLUMNS; i++)
		printf(" %8s", titles[i]);
	putchar('\n');
}

static void print_row(const char *name, const struct row *row)
{
	unsigned int i;

	printf("%8s", name);
	for (i = 0; i < COLUMNS; i++)
		printf(" %8.0f", row->rates[i]);
	putchar('\n');
}

/* One look at everybody. */
struct look {
	unsigned int count;
	struct counters guests[GUESTS_MOST];
};

static bool cannot_read(int error)
{
	problem("stat: cannot read %s: %s; %s", COUNTERS_PLACE, strerror(-error),
		error == -EACCES ? "only root can: try `sudo lguest stat`" :
		"it needs lg.ko loaded, and `mount -t debugfs debugfs /sys/kernel/debug`");
	return false;
}

static int by_launcher(const void *a, const void *b)
{
	return ((const struct counters *)a)->pid - ((const struct counters *)b)->pid;
}

static bool look(struct look *look)
{
	static pid_t pids[GUESTS_MOST];
	int count = list_guests(pids, GUESTS_MOST), i, error;

	if (count < 0)
		return cannot_read(count);
	look->count = 0;
	for (i = 0; i < count; i++) {
		error = read_counters(pids[i], &look->guests[look->count]);
		if (!error)
			look->count++;
		else if (error != -ENOENT)
			return cannot_read(error);
	}
	qsort(look->guests, look->count, sizeof(look->guests[0]), by_launcher);
	return true;
}

static const struct counters *find(const struct look *look, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < look->count; i++)
		if (look->guests[i].pid == pid)
			return &look->guests[i];
	return NULL;
}

/* A guest that came meanwhile is shown next time, one that went no more. */
static void report(const struct look *before, const struct look *after)
{
	struct row row, sum = { .rates = { 0 } };
	unsigned int i, j, shown = 0;

	print_titles();
	for (i = 0; i < after->count; i++) {
		const struct counters *old = find(before, after->guests[i].pid);
		char name[16];

		if (!old)
			continue;
		compute(old, &after->guests[i], &row);
		snprintf(name, sizeof(name), "%d", (int)old->pid);
		print_row(name, &row);
		for (j = 0; j < COLUMNS; j++)
			sum.rates[j] += row.rates[j];
		shown++;
	}
	if (shown != 1)
		print_row("all", &sum);
}

static void report_one(const struct counters *before, const struct counters *after)
{
	unsigned int i;

	printf("%-28s %14s %12s\n", "counter", "total", "per second");
	for (i = 0; i < after->count; i++)
		printf("%-28s %14" PRIu64 " %12.0f\n", after->list[i].name,
		       after->list[i].value, rate(before, after, &after->list[i]));
}

static void wait_for(uint64_t ns)
{
	struct timespec left = { .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static int watch_guests(const struct stat_settings *set)
{
	/* Not static: a megabyte of it might go to every guest (huge pages). */
	struct look *looks = calloc(2, sizeof(*looks));
	uint64_t left;
	unsigned int now = 0;

	if (!looks) {
		problem("stat: out of memory; free some");
		return STATUS_FAILED;
	}
	if (!look(&looks[now]))
		return STATUS_FAILED;
	for (left = set->count; left; left--) {
		const struct look *before = &looks[now], *after;

		wait_for(set->interval);
		now = !now;
		after = &looks[now];
		if (!look(&looks[now]))
			return STATUS_FAILED;
		if (set->pid && (!find(before, set->pid) || !find(after, set->pid))) {
			problem("stat: process %d has no guest%s; `lguest stat` lists them",
				(int)set->pid, find(before, set->pid) ? " any more" : "");
			return STATUS_FAILED;
		}
		if (set->pid)
			report_one(find(before, set->pid), find(after, set->pid));
		else
			report(before, after);
		if (left > 1)
			putchar('\n');
		fflush(stdout);
		if (ferror(stdout))
			break;
	}
	return STATUS_DONE;
}

int cmd_stat(int argc, char **argv)
{
	struct stat_settings set = { .interval = 0 };
	int first = parse_options(&stat_command, argc, argv, &set, NULL);
	uint64_t pid = 0;

	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first < 0)
		return STATUS_USAGE;
	if (first < argc && (!parse_number(argv[first], &pid) || pid > INT32_MAX ||
			     first + 1 < argc)) {
		problem("stat: it takes one PID, a number; leave out '%s'",
			argv[pid && first + 1 < argc ? first + 1 : first]);
		return STATUS_USAGE;
	}
	set.pid = pid;
	if (!set.count)
		set.count = set.interval ? UINT64_MAX : 1;
	if (!set.interval)
		set.interval = SECOND;
	return watch_guests(&set);
}
