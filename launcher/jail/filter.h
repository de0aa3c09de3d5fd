/* SPDX-License-Identifier: GPL-2.0 */
/* Filters of system calls, one for each kind of thread. */
#ifndef LGUEST_FILTER_H
#define LGUEST_FILTER_H

#include <stdint.h>

#include "confine.h"

#define OWN_MEMORY	(64UL << 20)	/* address space beyond the guest's, for all */

/* The calling thread, and those it starts, has no other calls: 0 or -errno. */
int filter_load(enum thread_kind kind);
/* A set of bits: what it keeps, if root started us. */
uint64_t filter_capabilities(enum thread_kind kind);
const char *filter_name(enum thread_kind kind);
/* For the tests: see there. */
void filter_try(enum thread_kind kind);

#endif /* LGUEST_FILTER_H */
