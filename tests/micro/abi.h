/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of /dev/lguest share (abi.c, abi_registers.c).
 */
#ifndef ABI_H
#define ABI_H

#pragma GCC visibility push(hidden)

/* ---- Guest halves ---- */

void spins(void);
void notifies(void);		/* three times, then all is well */
void dies_badly(void);		/* SHUTDOWN, with "the last words" */

/* ---- The host half ---- */

extern void *volatile bad_pointer;
#define BAD bad_pointer		/* nothing is mapped there */

void set_alarm(long us, long every_us);	/* SIGALRM then, and each so often */
void run_a_while(struct guest *g);	/* until a signal comes, a little later */

#pragma GCC visibility pop
#endif
