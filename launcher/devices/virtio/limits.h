/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much a guest may ask of the host in a second.  A device asks before it takes a
 * request off its ring, and counts what it took; one without limits does neither.
 */
#ifndef LGUEST_LIMITS_H
#define LGUEST_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct limit {
	uint64_t per_second;	/* 0: none */
	uint64_t paid_until;	/* ns of the clock */
	uint64_t rest;		/* billionths of what paid_until has left out */
};

struct limits {
	struct limit requests, bytes;
	uint64_t burst;		/* ns: so much may come at once after a silence; 0: as usual */
};

enum limits_word { LIMITS_TAKEN, LIMITS_OTHER, LIMITS_WRONG };
/* A word of an option: "iops=N", "bps=N" or "burst=S", or something else. */
enum limits_word limits_read(struct limits *limits, const char *word);
/* For the user, of what is LIMITS_WRONG. */
#define LIMITS_HELP	"iops=, bps= and burst= take a number; say it as in iops=500,bps=10M,burst=0.5"

static inline bool limits_any(const struct limits *limits)
{
	return limits->requests.per_second || limits->bytes.per_second;
}

/* ns until the next request may be taken; 0: now. */
uint64_t limits_wait(const struct limits *limits, uint64_t now);
void limits_count(struct limits *limits, uint64_t now, uint64_t bytes);

#endif /* LGUEST_LIMITS_H */
