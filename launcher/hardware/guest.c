// SPDX-License-Identifier: GPL-2.0
/*
 * Two threads of a running guest: the vCPU's sleeps in read() of /dev/lguest, the
 * watching one in poll().  Here is how anybody wakes either.
 * Read next: machine/vcpu.c.
 */
#include <unistd.h>

#include "guest.h"

void tell_watch(const struct guest *guest)
{
	uint64_t one = 1;

	if (write(guest->news, &one, sizeof(one)) < 0)
		return;		/* it is full of news already */
}

void kick_vcpu(const struct guest *guest)
{
	pthread_kill(guest->vcpu_thread, KICK);
}
