/* SPDX-License-Identifier: GPL-2.0 */
/* What `lguest report` measures: of this machine, and of a guest on it. */
#ifndef LGUEST_MEASURE_H
#define LGUEST_MEASURE_H

#include <jansson.h>

#include "hardware/counters.h"

/* By instructions of our own: no guest, no other program. */
json_t *measure_here(void);

/* The same script here and in a guest; see measure.c. */
struct script_result {
	int status;		/* of the process, as a shell has it; -1: not started */
	double seconds;		/* until it had ended */
	double syscall_ns, process_us;	/* 0: not measured */
	struct counters counters;	/* of the guest, shortly before its end */
};

void measure_script(const char *busybox, struct script_result *result);
/* With this kernel; NULL: as `lguest run` chooses. */
void measure_guest(const char *kernel, struct script_result *result);

#endif /* LGUEST_MEASURE_H */
