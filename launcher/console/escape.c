// SPDX-License-Identifier: GPL-2.0
/*
 * Escape keys.  On a raw terminal every key is the guest's, except:
 *	Ctrl-A x	ends the guest
 *	Ctrl-A Ctrl-A	sends one Ctrl-A
 *	^C ^C ^C	within one second ends the guest (it gets them, too)
 *
 * Read next: output.c.
 */
#include "input.h"

#define CTRL_A		0x01
#define CTRL_C		0x03
#define ONE_SECOND	1000000000ULL

static bool third_interrupt(struct escape *e, uint64_t now)
{
	bool third = e->interrupts[0] && now - e->interrupts[0] <= ONE_SECOND;

	e->interrupts[0] = e->interrupts[1];
	e->interrupts[1] = now;
	return third;
}

size_t escape_filter(struct escape *e, const uint8_t *keys, size_t size,
		     uint64_t now, uint8_t *out, bool *end)
{
	size_t used = 0, i;

	for (i = 0; i < size; i++) {
		if (e->prefix) {
			e->prefix = false;
			if (keys[i] == 'x' || keys[i] == 'X') {
				*end = true;
				return used;
			}
		} else if (keys[i] == CTRL_A) {
			e->prefix = true;
			continue;
		}
		out[used++] = keys[i];
		if (keys[i] == CTRL_C && third_interrupt(e, now)) {
			*end = true;
			return used;
		}
	}
	return used;
}
