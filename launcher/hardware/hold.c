// SPDX-License-Identifier: GPL-2.0
/*
 * What stands between a guest and the host that has no room for it: see guest.h.
 * Read next: machine/machine.c.
 */
#include "guest.h"

static _Atomic(struct guest *) to_hold;
static atomic_uint holds;

void guest_to_hold(struct guest *guest)
{
	atomic_store(&to_hold, guest);
}

/* Nobody may be there to kick: before the guest's start, and in a test. */
static void kick_held(void)
{
	struct guest *guest = atomic_load(&to_hold);

	if (guest)
		kick_vcpus(guest);
}

void guest_hold(void)
{
	if (!atomic_fetch_add(&holds, 1))
		kick_held();
}

void guest_let_go(void)
{
	if (atomic_fetch_sub(&holds, 1) == 1)
		kick_held();
}

void guest_still_held(void)
{
	kick_held();
}

bool guest_held(void)
{
	return atomic_load(&holds);
}
