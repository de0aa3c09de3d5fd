/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a supervisor and its machine say to each other.  The supervisor is the process
 * that the user called: it has the terminal, the name and its clients.  The machine is
 * its child: it has the guest.  Two sockets join them: one to talk, both ways, and one
 * for the guest's output, which the supervisor leaves unread while the user's reader is
 * slow; the vCPU then waits in its send.  One message is one packet:
 *
 *	kind	a row of WIRE_KINDS
 *	value	small numbers: which port, how it ended
 *	number	a large one
 *	bytes	as many as the packet has left
 *
 * The supervisor takes the machine for broken into: whatever comes from it is looked at
 * by wire_is_good(), and then by whoever uses it.
 */
#ifndef LGUEST_WIRE_H
#define LGUEST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_BYTES	4096

/*
 *	kind, who says it (S supervisor, M machine), value at most, bytes at least and at most
 *
 * INPUT	for a port; the next comes after the machine's TAKEN
 * SIZE		of the terminal: rows << 16 | columns
 * POWER	press the button; a guest that is paused goes on
 * DEBUGGER	a connection, as a descriptor; value: WIRE_NO_ACK, WIRE_AWAITS
 * END		let it end, now; value: 0
 * ASK_...	questions, one at a time.  The answer has the same kind; its value is
 *		1 for yes, 0 for no
 *
 * BUILT	everything is open and the machine confined: the guest begins
 * READY	its /init says so
 * STANDS	the guest, for this host has no room for what it writes (1); it goes on (0)
 * TAKEN	the input for a port is in the guest's hands
 * LINE		a message for the user; value: 1 as it is, 0 as the launcher's
 * COUNTER	the Host's, before the answer to ASK_STATISTICS: name, and number
 * ALONE	the debugger is gone
 * HELD		it cannot end; bytes: the device that it waits for
 * ENDED	value: enum wire_end; number: of that; bytes: what the guest said
 * OUTPUT	of a port; on the other socket
 */
#define WIRE_KINDS(K)						\
	K(INPUT,	  S,  3,	  1, WIRE_BYTES)	\
	K(SIZE,		  S,  UINT32_MAX, 0, 0)			\
	K(POWER,	  S,  0,	  0, 0)			\
	K(DEBUGGER,	  S,  3,	  0, 0)			\
	K(END,		  S,  0,	  0, 0)			\
	K(ASK_STATUS,	  SM, 1,	  0, 16)		\
	K(ASK_STATISTICS, SM, 1,	  0, 32)		\
	K(ASK_PAUSE,	  SM, 1,	  0, 0)			\
	K(ASK_RESUME,	  SM, 1,	  0, 0)			\
	K(ASK_BALLOON,	  SM, 1,	  0, 0)			\
	K(BUILT,	  M,  0,	  0, 0)			\
	K(READY,	  M,  0,	  0, 0)			\
	K(STANDS,	  M,  1,	  0, 0)			\
	K(TAKEN,	  M,  3,	  0, 0)			\
	K(LINE,		  M,  1,	  0, WIRE_BYTES)		\
	K(COUNTER,	  M,  0,	  1, 31)		\
	K(ALONE,	  M,  0,	  0, 0)			\
	K(HELD,		  M,  0,	  0, 64)		\
	K(ENDED,	  M,  WIRE_END_LAST, 0, 256)		\
	K(OUTPUT,	  M,  3,	  1, WIRE_BYTES)

#define K(kind, who, value, least, most) WIRE_##kind,
enum wire_kind { WIRE_KINDS(K) WIRE_KINDS_COUNT };
#undef K

enum wire_end {
	WIRE_END_RESTART,	/* number: WIRE_NO_ACK of the debugger that is connected */
	WIRE_END_WISH,		/* it was told to, by us or a debugger; number: END_* (guest.h) */
	WIRE_END_POWEROFF,	/* number: COMMAND's status, or WIRE_NO_STATUS */
	WIRE_END_CRASH,		/* its kernel panicked */
	WIRE_END_KILLED,	/* by the Host */
	WIRE_END_HOST,		/* it could not be run, and has said why */
	WIRE_END_LAST = WIRE_END_HOST
};

#define WIRE_NO_STATUS	256
#define WIRE_NO_ACK	1	/* what was agreed on with the debugger */
#define WIRE_AWAITS	2	/* it waits for a stop: the guest has restarted */

struct wire_message {
	uint32_t kind, value;
	uint64_t number;
	uint8_t bytes[WIRE_BYTES];
};
#define WIRE_HEADER	offsetof(struct wire_message, bytes)

/* As the kernel gave it, size bytes in all: may the machine (or the supervisor) say it? */
bool wire_is_good(const struct wire_message *message, size_t size, bool from_machine);

/*
 * Send one.  The machine's ends wait for room, the supervisor's do not.  wait(with) is
 * asked when it was interrupted; false gives up.  A signal's handler may do so.
 */
bool wire_send(int fd, const struct wire_message *message, size_t bytes,
	       bool (*wait)(void *with), void *with);
/* Short ones. */
bool wire_say(int fd, enum wire_kind kind, uint32_t value, uint64_t number);
/* One with a descriptor. */
bool wire_hand(int fd, enum wire_kind kind, uint32_t value, int descriptor);

/*
 * Take the next one: its bytes, or -EAGAIN, -EPIPE if the other side is gone, -EPROTO if
 * it is not good.  A descriptor that is not asked for is closed by the kernel.
 */
int wire_hear(int fd, struct wire_message *message, bool from_machine, int *descriptor);

#endif /* LGUEST_WIRE_H */
