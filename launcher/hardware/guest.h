/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A running guest, as the launcher sees it; one per process.
 * Read next: command/cmd_run.c.
 */
#ifndef LGUEST_GUEST_STATE_H
#define LGUEST_GUEST_STATE_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "console.h"
#include "memory.h"

struct guest {
	int fd;			/* /dev/lguest */
	struct memory memory;
	struct console console;
	bool command;		/* it runs a COMMAND and then ends */
	/*
	 * Why the guest shall end although it runs: 0, END_* or END_SIGNAL + n.
	 * Set once, by request_end(), from any thread.
	 */
	atomic_int end;
	int lost;		/* errno: of its output not all could be written */
	/* For kick_vcpu() and tell_watch(); console/watch.c sets them. */
	pthread_t vcpu_thread;
	int news;		/* eventfd */
	/* control.c wants the vCPU to wait; and it does, outside the Host. */
	atomic_bool paused, parked;
	/* Is called when the guest says that it is ready, or NULL. */
	void (*ready)(void);
	/* Gets the guest's output, too, or NULL. */
	void (*overhear)(unsigned int port, const uint8_t *bytes, size_t size);
};

#define END_TIME	1
#define END_ESCAPE	2
#define END_CONFINE	3		/* a thread could not be confined */
#define END_STOP	4		/* `lguest stop`, by force */
#define END_DEBUGGER	5		/* its "kill" */
#define END_SIGNAL	0x100

/* The first wish counts. */
static inline void request_end(struct guest *guest, int why)
{
	int none = 0;

	atomic_compare_exchange_strong(&guest->end, &none, why);
}

/* From any thread: look at guest->end; take the vCPU out of the Host (guest.c). */
#define KICK		SIGUSR1
void tell_watch(const struct guest *guest);
/* The terminal's size has changed. */
void guest_tell_size(struct guest *guest, unsigned int rows, unsigned int columns);
void kick_vcpu(const struct guest *guest);

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
void guest_to_hold(const struct guest *guest);

/* What run_guest() gives, if it is no exit status. */
#define RUN_RESTART	(-1)
#define RUN_ENDED	(-2)	/* guest->end says why */

#endif /* LGUEST_GUEST_STATE_H */
