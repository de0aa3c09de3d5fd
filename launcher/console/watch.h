/* SPDX-License-Identifier: GPL-2.0 */
/* The second thread: keyboard, signals and the time limit. */
#ifndef LGUEST_WATCH_H
#define LGUEST_WATCH_H

#include "hardware/guest.h"

struct watch_settings {
	bool input;		/* send stdin to the guest */
	bool raw;		/* stdin is a terminal: raw, with escape keys */
	bool wait_ready;	/* not before the guest asked for it */
	bool send_eof;		/* end of file becomes ^D */
	bool framed;		/* in pieces: "SIZE\n" and the bytes; 0 ends */
	unsigned int port;	/* that gets the input */
	bool (*confine)(void);	/* the thread, as it begins; or NULL */
	uint64_t deadline;	/* CLOCK_MONOTONIC ns, 0: none */
};

/* Start it; call on the vCPU's thread.  False after a message. */
bool watch_start(struct guest *guest, const struct watch_settings *settings);
/* Stop it and give the terminal back. */
void watch_stop(void);

/*
 * Keys on their way to the guest (escape.c).  Copies what the guest shall get
 * to out (room for size bytes) and gives its size; sets *end when the keys ask
 * for the end.  now is in ns.
 */
struct escape {
	bool prefix;		/* Ctrl-A came */
	uint64_t interrupts[2];	/* when the last two ^C came, 0: never */
};
size_t escape_filter(struct escape *escape, const uint8_t *keys, size_t size,
		     uint64_t now, uint8_t *out, bool *end);

#endif /* LGUEST_WATCH_H */
