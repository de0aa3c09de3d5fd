/* SPDX-License-Identifier: GPL-2.0 */
/* Where the guest's console output goes. */
#ifndef LGUEST_OUTPUT_H
#define LGUEST_OUTPUT_H

#include "hardware/guest.h"

/* The console's output function; its owner is the guest. */
void guest_output(struct console *console, unsigned int port,
		  const uint8_t *bytes, size_t size);
/* The status of a guest, whose output may be lost: then it is no success. */
int with_output(const struct guest *guest, int status);
/* Show the kept kernel messages on stderr. */
void show_log(const struct console *console);

#endif /* LGUEST_OUTPUT_H */
