/* SPDX-License-Identifier: GPL-2.0 */
/* What the launcher's threads may ask of the kernel once the guest is set up. */
#ifndef LGUEST_CONFINE_H
#define LGUEST_CONFINE_H

#include <stdbool.h>

enum thread_kind {
	THREAD_VCPU,	/* and the threads of its devices, which it starts */
	THREAD_WATCH,
	THREAD_DOOR,	/* a process: vsock_door.c */
	THREAD_SHARE,	/* of a directory share, which opens files */
	THREAD_CONTROL,
	THREAD_KINDS
};

/* The whole process: no new privileges, no core, nobody may look into it. */
void confine_process(void);
/* The calling thread, and those it starts; false after a message. */
bool confine_thread(enum thread_kind kind);

#endif /* LGUEST_CONFINE_H */
