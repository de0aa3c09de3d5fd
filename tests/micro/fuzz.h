/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the random tests share: numbers, and driving guests that may die.
 */
#ifndef FUZZ_H
#define FUZZ_H

#pragma GCC visibility push(hidden)

#define DATA 0x400000UL		/* guest pages to play with, up to the end of RAM */

/* ---- Random numbers, for both halves ---- */

extern u64 random_state;	/* the main thread's, or the guest's */
u64 next_random(u64 *state);
u64 below(u64 n);
u64 any_from(u64 *state);	/* any word, but often one at a boundary */
u64 any(void);

/* ---- Guest halves ---- */

extern volatile u64 cases;	/* the guest's count */
void take(struct frame *f);
char *some_code(void);
void random_calls(void);
void user_events(void);
void random_tables(void);
void busy(void);

/* ---- The host half ---- */

extern u64 all_cases, guests, seed, until;
void other_numbers(void);
void begin(void);		/* the seed, and the time until which to go on */
void tick(unsigned int ms);	/* a signal each so often; 0: no more */
void report(const char *what);
void judge(struct guest *g);
void drive(struct guest *g);
void fuzz_guests(void (*fn)(void), const char *what);
void initialize_soon(struct guest *g);

#pragma GCC visibility pop
#endif
