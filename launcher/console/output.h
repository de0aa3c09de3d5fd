/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the guest's output goes: stdout, stderr, or a log.  Nothing here waits for a
 * reader: what he does not take yet is kept, and as long as there is some, the
 * supervisor takes no more from the machine.
 */
#ifndef LGUEST_OUTPUT_H
#define LGUEST_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_LOG	65536	/* bytes of the kernel's messages that are kept */
#define OUTPUT_ROOM	131072	/* for what waits: the end of the log, and messages */

struct sink {
	int fd;			/* to write to: the user's, or one beside it */
	bool terminal, socket;
	bool of_guest;		/* the guest has written to it: who reads it matters */
	bool gone;		/* nobody reads it any more */
	size_t at, size;	/* what waits */
	uint8_t bytes[OUTPUT_ROOM];
};

struct output {
	bool command;		/* the guest runs a COMMAND: its kernel's messages are kept */
	bool held;		/* a '\r' whose successor has not come */
	bool reader_left;	/* as any program whose reader went away, we shall end */
	int lost;		/* errno: of the guest's output not all could be written */
	uint64_t logged;	/* bytes ever */
	struct sink out, err;
	uint8_t log[OUTPUT_LOG];
};

/* Before anything else writes to stdout. */
void output_open(struct output *output, bool command);
/* Nothing of the user's is held open any more but what he gave us. */
void output_close(const struct output *output);
/* Something of a port's.  It may be any bytes. */
void output_take(struct output *output, unsigned int port, const uint8_t *bytes, size_t size);
/* A message for stderr. */
void output_message(struct output *output, const char *line, bool plain);
/* Hand over what is taken at once. */
void output_flush(struct output *output);
/* All of it is written, or lost. */
bool output_done(const struct output *output);
/* Descriptors that shall be polled for room, or -1. */
void output_waits(const struct output *output, int *out, int *err);

/* Another guest begins: the log is of its kernel. */
void output_forget(struct output *output);
/* The kept kernel messages, on stderr. */
void output_show_log(struct output *output);
/* The status of a guest, whose output may be lost: then it is no success. */
int output_status(const struct output *output, int status);

#endif /* LGUEST_OUTPUT_H */
