/* SPDX-License-Identifier: GPL-2.0 */
/* Time as the launcher counts it: it never steps, and goes on across a restart. */
#ifndef LGUEST_CLOCK_H
#define LGUEST_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif /* LGUEST_CLOCK_H */
