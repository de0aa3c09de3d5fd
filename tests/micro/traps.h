/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of traps share (traps.c, privileged.c, frames.c).
 */
#ifndef TRAPS_H
#define TRAPS_H

#pragma GCC visibility push(hidden)

#define NONCANONICAL 0x800000000000

/* Guest half: a state for run(), with IF set and something in some registers. */
struct frame state(char *code, bool user);
/* Host half: let a guest that has exited go on elsewhere, in its kernel. */
void skip_to(struct guest *g, char *to);

#pragma GCC visibility pop
#endif
