// SPDX-License-Identifier: GPL-2.0
/*
 * World-switch counters: the Host keeps them in debugfs, one folder per
 * machine, for as long as its /dev/lguest is open.
 * Read next: check/cmd_check.c.
 */
#include <string.h>

#include "lguest.h"
#include "machine.h"

void print_stats(FILE *counters)
{
	char line[256];

	if (!counters)
		return;
	note("counters of this guest:");
	rewind(counters);
	while (fgets(line, sizeof(line), counters)) {
		line[strcspn(line, "\n")] = '\0';
		tell_plainly("  %s", line);
	}
}
