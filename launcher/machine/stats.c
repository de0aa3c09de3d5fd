// SPDX-License-Identifier: GPL-2.0
/*
 * World-switch counters: the Host keeps them in debugfs, one folder per
 * launcher process, for as long as its /dev/lguest is open.
 * Read next: check/cmd_check.c.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lguest.h"
#include "vcpu.h"

void print_stats(void)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/lguest/%d/stats", getpid());
	file = fopen(path, "re");
	if (!file && errno == EACCES) {
		note("no counters: only root may read them");
		return;
	}
	if (!file) {
		note("no counters: %s: %s; try `mount -t debugfs debugfs /sys/kernel/debug` as root",
		     path, strerror(errno));
		return;
	}
	note("counters of this guest:");
	while (fgets(line, sizeof(line), file))
		fprintf(stderr, "  %s", line);
	fclose(file);
}
