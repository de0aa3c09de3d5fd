// SPDX-License-Identifier: GPL-2.0
/*
 * The Host keeps counters in debugfs: a folder per process with a guest, for as
 * long as its /dev/lguest is open, with a file of lines "name value".  A line
 * "vcpu N" begins each vCPU's; here they are added up, and "vcpus" is how many there are.
 * Read next: machine/stats.c.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "counters.h"
#include "lguest.h"

static void add(struct counters *counters, const char *name, uint64_t value)
{
	struct counter *c = counters->list, *end = c + counters->count;

	while (c < end && strcmp(c->name, name))
		c++;
	if (c == counters->list + COUNTERS_MOST)
		return;
	if (c == end) {
		snprintf(c->name, sizeof(c->name), "%s", name);
		c->value = 0;
		counters->count++;
	}
	c->value += value;
}

FILE *counters_open(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), COUNTERS_PLACE "/%d/stats", (int)pid);
	return fopen(path, "re");
}

int counters_again(FILE *file, struct counters *counters)
{
	char name[32];
	uint64_t value;

	counters->when = now_ns();
	counters->count = 0;
	rewind(file);
	while (fscanf(file, "%31s %" SCNu64, name, &value) == 2)
		if (strcmp(name, "vcpu"))
			add(counters, name, value);
		else
			add(counters, "vcpus", 1);
	return counters->count ? 0 : -ENOENT;
}

pid_t launcher_of(pid_t machine)
{
	char path[64], name[32] = "";
	int parent = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)machine);
	file = fopen(path, "re");
	if (file && fscanf(file, "%*d (%31[^)]) %*c %d", name, &parent) != 2)
		parent = 0;
	if (file)
		fclose(file);
	return parent && !strcmp(name, MACHINE_NAME) ? parent : machine;
}

int read_counters(pid_t pid, struct counters *counters)
{
	FILE *file = counters_open(pid);
	int error;

	if (!file)
		return -errno;
	counters->pid = launcher_of(pid);
	error = counters_again(file, counters);
	fclose(file);
	return error;
}

uint64_t counter_value(const struct counters *counters, const char *name)
{
	unsigned int i;

	for (i = 0; i < counters->count; i++)
		if (!strcmp(counters->list[i].name, name))
			return counters->list[i].value;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

int list_guests(pid_t *pids, unsigned int most)
{
	DIR *place = opendir(COUNTERS_PLACE);
	struct dirent *entry;
	unsigned int count = 0;

	if (!place)
		return -errno;
	while (count < most && (entry = readdir(place)))
		if (isdigit((unsigned char)entry->d_name[0]))
			pids[count++] = atoi(entry->d_name);
	closedir(place);
	qsort(pids, count, sizeof(*pids), by_number);
	return count;
}
