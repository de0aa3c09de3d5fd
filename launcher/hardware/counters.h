/* SPDX-License-Identifier: GPL-2.0 */
/* The Host's counters of a guest, read from debugfs. */
#ifndef LGUEST_COUNTERS_H
#define LGUEST_COUNTERS_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define COUNTERS_PLACE	"/sys/kernel/debug/lguest"
#define COUNTERS_MOST	192
#define GUESTS_MOST	512		/* that are looked at */

struct counter {
	char name[32];
	uint64_t value;		/* all vCPUs together */
};

struct counters {
	pid_t pid;		/* of the launcher */
	uint64_t when;		/* CLOCK_MONOTONIC, ns */
	unsigned int count;
	struct counter list[COUNTERS_MOST];
};

/* 0, or a negative errno: ENOENT if there is no such guest. */
int read_counters(pid_t pid, struct counters *counters);
/* The same in two steps; the file can be read again and again. */
FILE *counters_open(pid_t pid);
int counters_again(FILE *file, struct counters *counters);
/* Of that name; 0 if it never counted. */
uint64_t counter_value(const struct counters *counters, const char *name);
/* The process that the user called; that of other programs is their own. */
pid_t launcher_of(pid_t machine);
/* Processes with a guest: how many, or a negative errno. */
int list_guests(pid_t *pids, unsigned int most);

#endif /* LGUEST_COUNTERS_H */
