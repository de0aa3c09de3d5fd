/* SPDX-License-Identifier: GPL-2.0 */
/* The console device: up to four ports, each a page with two rings. */
#ifndef LGUEST_CONSOLE_DEVICE_H
#define LGUEST_CONSOLE_DEVICE_H

#include <lguest/guest.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory.h"

/*
 * Our own copies of the counters that we move: what the guest writes over
 * them in its page is nobody's concern but its own.
 */
struct console_port {
	struct lguest_console *page;	/* NULL: not known yet */
	uint32_t out_tail;
	uint32_t in_head;
	atomic_bool asked;		/* for a NOTIFY when its input is taken */
	bool complained;
};

struct console {
	const struct memory *memory;
	/* Takes output; the port tells where it goes. */
	void (*output)(struct console *console, unsigned int port,
		       const uint8_t *bytes, size_t size);
	/* The guest has taken the input that did not fit before; may be NULL. */
	void (*taken)(struct console *console);
	void *owner;
	pthread_mutex_t drains;		/* one vCPU's at a time, and its output() */
	pthread_mutex_t lock;		/* of ports: vCPUs' and input threads */
	struct console_port ports[LGUEST_CONSOLE_PORTS];

	/* Control port, used by output(); ready by the input threads, too. */
	char line[64];
	size_t line_size;
	int status;			/* "exit N", or -1 */
	atomic_bool ready;		/* "ready" came: input is wanted */
};

void console_init(struct console *console, const struct memory *memory);
/*
 * A NOTIFY with this value came: take the page's output.  False if it does not
 * name a console page.  On a vCPU's thread.
 */
bool console_notify(struct console *console, uint64_t value);
/* Take what all known pages still hold; at the end. */
void console_drain(struct console *console);
/*
 * Hand input to a port; gives the number of bytes taken, maybe 0.  If not all
 * fit, taken() says when to come again.  Any thread.
 */
size_t console_input(struct console *console, unsigned int port,
		     const uint8_t *bytes, size_t size);

/* For output(): what the control port said. */
void console_control(struct console *console, const uint8_t *bytes, size_t size);

#endif /* LGUEST_CONSOLE_DEVICE_H */
