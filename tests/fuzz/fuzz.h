/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all fuzz targets have: an input that is used up piece by piece, and
 * silence.  A target is one function that must come back from every input
 * without a complaint of ASan and UBSan; read virtqueue.c for a short one.
 */
#ifndef LGUEST_FUZZ_H
#define LGUEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lguest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/*
 * Devices live as long as the launcher does, so whoever allocates one at the
 * first input shall not be asked for it at the end: it must stay reachable.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_abort=1:allocator_may_return_null=1";
}

struct input {
	const uint8_t *at;
	size_t left;
};

/* The next number of so many bytes; what is missing is zero. */
static inline uint64_t take(struct input *in, size_t bytes)
{
	size_t size = bytes < in->left ? bytes : in->left;
	uint64_t value = 0;

	memcpy(&value, in->at, size);
	in->at += size;
	in->left -= size;
	return value;
}

/* The next bytes, as many of them as there are. */
static inline const uint8_t *take_bytes(struct input *in, size_t *size)
{
	const uint8_t *at = in->at;

	if (*size > in->left)
		*size = in->left;
	in->at += *size;
	in->left -= *size;
	return at;
}

/* Something that must be so, whatever the input. */
static inline void must(bool so)
{
	if (!so)
		abort();
}

static inline void be_silent(void)
{
	if (!message_stream)
		message_stream = fopen("/dev/null", "w");
}

#endif /* LGUEST_FUZZ_H */
