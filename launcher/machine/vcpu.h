/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LGUEST_VCPU_H
#define LGUEST_VCPU_H

#include "hardware/guest.h"

/*
 * Run until the guest ends, on the thread that initialised it.  Gives an exit
 * status, or RUN_RESTART or RUN_ENDED.
 */
int run_guest(struct guest *guest);

/* stats.c: print the Host's counters of this guest, while fd is open. */
void print_stats(void);

#endif /* LGUEST_VCPU_H */
