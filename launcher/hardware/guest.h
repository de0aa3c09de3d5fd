/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A running guest, as its machine sees it; one per process.
 * Read next: command/cmd_run.c.
 */
#ifndef LGUEST_GUEST_STATE_H
#define LGUEST_GUEST_STATE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "console.h"
#include "memory.h"
#include "vcpus.h"

struct guest {
	int fd;			/* /dev/lguest */
	struct memory memory;
	struct console console;
	/*
	 * Why the guest shall end although it runs: 0, END_* or END_SIGNAL + n.
	 * Set once, by request_end(), from any thread.
	 */
	atomic_int end;
	struct vcpus vcpus;
	int news;		/* eventfd, for tell_line(); machine/ makes it */
	atomic_bool paused;	/* the supervisor wants it to stand */
	/* Is told when it stands because the host has no room, and when it goes on. */
	void (*stands)(bool stands);
	struct gdb *gdb;	/* with --gdb (debugger/gdb.h), or NULL */
};

#define END_TIME	1
#define END_ESCAPE	2
#define END_CONFINE	3		/* a thread could not be confined, or run its vCPU */
#define END_STOP	4		/* `lguest stop`, by force */
#define END_DEBUGGER	5		/* its "kill" */
#define END_ASKED	6		/* in the machine: its supervisor knows why */
#define END_SIGNAL	0x100

/* The first wish counts. */
static inline void request_end(struct guest *guest, int why)
{
	int none = 0;

	atomic_compare_exchange_strong(&guest->end, &none, why);
}

/* From any thread: the line to the supervisor shall look at guest->end. */
void tell_line(const struct guest *guest);
/* The terminal's size has changed. */
void guest_tell_size(struct guest *guest, unsigned int rows, unsigned int columns);

/*
 * A device waits for something that the host lacks, as a disk for room: its guest stands
 * until as many let it go as have held it.  From any thread.
 */
void guest_hold(void);
void guest_let_go(void);
/* A kick may have been lost. */
void guest_still_held(void);
bool guest_held(void);
/* Which guest that is; there is one in a process. */
void guest_to_hold(struct guest *guest);

#endif /* LGUEST_GUEST_STATE_H */
