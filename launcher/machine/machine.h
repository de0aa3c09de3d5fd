/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The machine: a process of its own, with a guest, its devices and nothing else.
 *
 *	thread		what it does			woken by
 *	vcpu		one per vCPU: runs the guest,	KICK, from any other
 *			emulates instructions; that of
 *			vCPU 0 is the first thread, and
 *			answers a debugger's packets
 *	line		hears the supervisor (line.c)	guest->news, the socket
 *	a device's	one per queue (virtio.c)	the queue's eventfd
 *	a disk's	some that read and write, where	the engine's queue
 *			there is no io_uring
 *
 * Locks, the outer first: a device's (virtio_device.lock), a queue's (virtio_queue.lock);
 * a console's drains, then its lock; and by themselves, with nothing taken inside: the
 * vCPUs' (vcpus.lock), the balloon's, a share's.
 * No thread waits for the supervisor with a lock but a vCPU's, for its output, with the
 * console's drains: so no other thread takes those.
 * Each thread is confined before the guest's first instruction (jail/confine.c), and has
 * the name of its kind then; the first one has the process's, lguest-machine, and further
 * vCPUs' have their numbers: vcpu 1 ...
 */
#ifndef LGUEST_MACHINE_H
#define LGUEST_MACHINE_H

#include "hardware/guest.h"

struct machine_wires {
	int talk, output;	/* control/wire.h */
};

struct machine {
	struct guest guest;
	gpa_t entry;
	struct machine_wires wires;
	struct line *line;
	FILE *counters, *smaps;	/* open, for later */
};

/* With --gdb; the guest stands before its first instruction until one comes, if it shall. */
bool machine_expect_debugger(struct machine *machine, bool first_stop);
/* From its first moment on, messages go to the supervisor. */
void machine_begin(struct machine *machine, const struct machine_wires *wires);
/* Everything is built: confine ourselves, run the guest to its end, and say how it was. */
void machine_live(struct machine *machine);
/* It could not be built, and the user knows why. */
void machine_fail(struct machine *machine);

/* line.c: hear the supervisor.  On the first thread; false after a message. */
bool line_start(struct machine *machine);
/* The guest has ended: nothing is to be kicked any more. */
void line_let_go(struct machine *machine);

/*
 * threads.c: make the vCPUs besides the first, each with a thread of its own, which is
 * confined and runs it.  On vCPU 0's thread, before it is confined; false after a message.
 */
bool vcpus_start(struct machine *machine);
/*
 * For a task with a "restartable sequence", as the C library makes one, the kernel has
 * work after each sleep that must end in user space: each HALT would cost the way there
 * and back.  No vCPU's thread needs one.
 */
void give_up_rseq(void);

/* stats.c: the Host's counters of this guest. */
void print_stats(FILE *counters);

#endif /* LGUEST_MACHINE_H */
