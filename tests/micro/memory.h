/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of memory share (memory.c, memory_launcher.c): guest halves.
 */
#ifndef MEMORY_H
#define MEMORY_H

#pragma GCC visibility push(hidden)

#define VA 0x10000000000UL		/* nothing there at first */
#define AREA 0x400000UL			/* guest-physical: 2 MiB of its own */

#define OK 1000
u64 user_reads(u64 va);		/* the error code, or OK */
extern u64 value;		/* what the last access read */
volatile u64 *at(u64 va);

#pragma GCC visibility pop
#endif
