/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LGUEST_VCPU_H
#define LGUEST_VCPU_H

#include "control/wire.h"
#include "hardware/guest.h"

/* How a guest ended, for the supervisor. */
struct run_end {
	enum wire_end how;
	unsigned int number;
	char said[256];		/* by the guest, or by the Host of it */
};

/* Run vCPU 0 until the guest ends, on the thread that initialised it. */
void run_guest(struct guest *guest, struct run_end *end);
/* Run the calling thread's, another one, as long. */
void run_vcpu(struct guest *guest);

#endif /* LGUEST_VCPU_H */
