// SPDX-License-Identifier: GPL-2.0
/*
 * What fixed.h promises: constants, each at an address of its own.
 * Read next: landlock.c.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>

#include "fixed.h"

#define TEXT(number)	#number
#define AS_TEXT(number)	TEXT(number)

const char fixed_empty[] = "";
const char fixed_held[] = AS_TEXT(FIXED_HELD);
const struct open_how fixed_look = {
	.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
	.resolve = RESOLVE_BENEATH,
};
