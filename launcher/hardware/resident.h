/* SPDX-License-Identifier: GPL-2.0 */
/* How much memory a guest takes, and how much the launcher besides. */
#ifndef LGUEST_RESIDENT_H
#define LGUEST_RESIDENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "memory.h"

struct resident {
	uint64_t guest;		/* bytes of RAM that the guest has touched */
	uint64_t launcher;	/* bytes of all else that is resident */
};

/* At the program's start: one heap, which shrinks again. */
void resident_limit(void);
/* When all is set up: give back what only that needed. */
void resident_give_back(void);

/* The file that tells; it may be read after opening files is forbidden. */
FILE *resident_open(void);
bool resident_read(FILE *file, const struct memory *memory, struct resident *resident);

#endif /* LGUEST_RESIDENT_H */
