/* SPDX-License-Identifier: GPL-2.0 */
/* What the user types, or sends from a file: on its way to the guest. */
#ifndef LGUEST_INPUT_H
#define LGUEST_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_MOST	65536	/* bytes read at once, but from a terminal */
#define INPUT_HEADER	8	/* "65536\n" */

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

struct input_settings {
	bool input;		/* send stdin to the guest */
	bool raw;		/* stdin is a terminal: raw, with escape keys */
	bool wait_ready;	/* not before the guest asked for it */
	bool send_eof;		/* end of file becomes ^D */
	bool framed;		/* in pieces: "SIZE\n" and the bytes; 0 ends */
	unsigned int port;	/* that gets the input */
};

struct keys {
	struct input_settings settings;
	struct escape escape;
	bool at_eof;
	uint8_t last;		/* byte that went to the guest */
	size_t at, size;	/* of what waits */
	/* For the guest, with room for a header, or for ^D ^D.  The last field. */
	uint8_t waiting[INPUT_MOST + INPUT_HEADER];
};

/* A guest begins: it gets nothing of what was the last one's. */
void input_begin(struct keys *input, const struct input_settings *settings);
/* Shall stdin be read now? */
bool input_wanted(const struct keys *input, bool ready);
/* Read it.  False: the keys ask for the end. */
bool input_read(struct keys *input);
/* So much of what waits has gone. */
void input_gone(struct keys *input, size_t size);

#endif /* LGUEST_INPUT_H */
