/* SPDX-License-Identifier: GPL-2.0 */
/* What a debugger asks for, and the answer; no I/O but to the Host. */
#ifndef LGUEST_GDB_COMMANDS_H
#define LGUEST_GDB_COMMANDS_H

#include "gdb_memory.h"
#include "gdb_packet.h"

/*
 * Of several vCPUs: thread N of the debugger's is vCPU N - 1.
 */
struct gdb_threads {
	unsigned int stopped;	/* the vCPU that stopped last; it is looked at first */
	unsigned int move;	/* bit n: vCPU n shall go on, ... */
	unsigned int step;	/* ... or only this one, by an instruction */
};

struct gdb_reply {
	char text[GDB_PACKET_MOST + 1];
	size_t size;
};

/* What is to be done when the reply has been sent. */
enum gdb_action {
	GDB_STAY,
	GDB_GO,			/* threads.move; there is no reply yet: it comes with the next stop */
	GDB_STEP,		/* threads.step; the same, after one instruction */
	GDB_DETACH,
	GDB_KILL,
	GDB_NO_ACK,		/* from now on nothing is acknowledged */
};

/* packet ends with a NUL, and may hold others. */
enum gdb_action gdb_command(struct gdb_memory *m, struct gdb_threads *threads,
			    const char *packet, size_t size, struct gdb_reply *reply);

#endif /* LGUEST_GDB_COMMANDS_H */
