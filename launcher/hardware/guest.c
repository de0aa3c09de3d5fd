// SPDX-License-Identifier: GPL-2.0
/*
 * The threads of a running guest: the vCPUs' sleep in read() of /dev/lguest, that of
 * the line to the supervisor in poll().  Here is how anybody wakes the latter.
 * Read next: vcpus.c.
 */
#include <lguest/guest.h>
#include <stdio.h>
#include <unistd.h>

#include "guest.h"
#include "host.h"

void tell_line(const struct guest *guest)
{
	uint64_t one = 1;

	if (write(guest->news, &one, sizeof(one)) < 0)
		return;		/* it is full of news already */
}

/*L:325
 * The guest's /init reads the control port, and gives the terminal its size.
 * It does so after it said that it is ready.
 :*/
void guest_tell_size(struct guest *guest, unsigned int rows, unsigned int columns)
{
	char text[48];
	int size = snprintf(text, sizeof(text), "size %u %u\n", rows, columns);

	console_input(&guest->console, LGUEST_PORT_CONTROL, (uint8_t *)text, size);
	host_irq(guest->fd, LGUEST_IRQ_CONSOLE);
}
