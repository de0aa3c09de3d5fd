// SPDX-License-Identifier: GPL-2.0
/*
 * A bucket of tokens, kept as the moment at which all that was taken is paid for: what
 * costs a second moves it by a second.  Who is more than a burst ahead of the clock
 * waits; so in any time of T seconds no more is taken than in T and the burst, and one
 * request, whatever its size.
 * Read next: virtio_mmio.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "limits.h"
#include "options.h"

#define SECOND		1000000000ULL
#define BURST		(SECOND / 10)

/* Digits, and perhaps K, M or G; none means what it says. */
static bool parse_rate(const char *text, uint64_t *rate)
{
	static const char letters[] = "KkMmGg";
	const char *letter;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*rate = strtoull(text, &end, 10);
	letter = *end ? strchr(letters, *end) : NULL;
	if (errno || !*rate || *rate > UINT64_MAX >> 30 || (*end && (!letter || end[1])))
		return false;
	if (letter)
		*rate <<= ((letter - letters) / 2 + 1) * 10;
	return true;
}

enum limits_word limits_read(struct limits *l, const char *word)
{
	bool good;

	if (!strncmp(word, "iops=", 5))
		good = parse_rate(word + 5, &l->requests.per_second);
	else if (!strncmp(word, "bps=", 4))
		good = parse_rate(word + 4, &l->bytes.per_second);
	else if (!strncmp(word, "burst=", 6))
		good = parse_seconds(word + 6, &l->burst);
	else
		return LIMITS_OTHER;
	return good ? LIMITS_TAKEN : LIMITS_WRONG;
}

static uint64_t ahead(const struct limit *limit, uint64_t now)
{
	return limit->per_second && limit->paid_until > now ? limit->paid_until - now : 0;
}

uint64_t limits_wait(const struct limits *l, uint64_t now)
{
	uint64_t requests = ahead(&l->requests, now), bytes = ahead(&l->bytes, now);
	uint64_t most = requests > bytes ? requests : bytes;
	uint64_t burst = l->burst ? l->burst : BURST;

	return most > burst ? most - burst : 0;
}

/* What is less than a nanosecond is not lost: a million small requests would be free. */
static void count(struct limit *limit, uint64_t now, uint64_t what)
{
	unsigned __int128 cost;

	if (!limit->per_second)
		return;
	if (limit->paid_until < now) {
		limit->paid_until = now;
		limit->rest = 0;
	}
	cost = (unsigned __int128)what * SECOND + limit->rest;
	limit->paid_until += cost / limit->per_second;
	limit->rest = cost % limit->per_second;
}

void limits_count(struct limits *l, uint64_t now, uint64_t bytes)
{
	count(&l->requests, now, 1);
	count(&l->bytes, now, bytes);
}
