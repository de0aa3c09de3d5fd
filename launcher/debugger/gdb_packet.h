/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets of the GDB remote protocol (the GDB manual, appendix E): "$DATA#CC",
 * where CC is the sum of DATA's bytes modulo 256, in hex.  Bytes alone between
 * packets are acknowledgements, "+" and "-", and 0x03, which asks for a stop.
 * There is no I/O here.
 */
#ifndef LGUEST_GDB_PACKET_H
#define LGUEST_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GDB_PACKET_MOST	4096	/* bytes of DATA */
#define GDB_FRAME_MOST	(2 * GDB_PACKET_MOST + 4)

/* What has arrived and was not yet looked at. */
struct gdb_stream {
	char bytes[GDB_FRAME_MOST];
	size_t size;
};

enum gdb_event {
	GDB_NOTHING,		/* more bytes are needed */
	GDB_PACKET,		/* a good one; without escapes, with a NUL */
	GDB_BAD_PACKET,		/* its sum is wrong: "-" asks for it again */
	GDB_REPEAT,		/* "-": our last one did not arrive well */
	GDB_INTERRUPT,
	GDB_NONSENSE,		/* a packet without end */
};

/* Take the next thing from the stream. */
enum gdb_event gdb_next(struct gdb_stream *stream, char packet[GDB_PACKET_MOST + 1],
			size_t *size);
/* Make a packet of at most GDB_PACKET_MOST bytes; gives its size with frame. */
size_t gdb_frame(const char *data, size_t size, char frame[GDB_FRAME_MOST]);

/* A hex number at *at, which moves behind it; false if there is none, or above 64 bits. */
bool gdb_number(const char **at, uint64_t *number);
/* "NUMBER,NUMBER" at *at. */
bool gdb_two_numbers(const char **at, uint64_t *first, uint64_t *second);
/* size bytes from 2 * size digits; false if there is anything else among them. */
bool gdb_bytes(const char *digits, void *bytes, size_t size);
/* 2 * size digits and a NUL. */
void gdb_digits(const void *bytes, size_t size, char *digits);

#endif /* LGUEST_GDB_PACKET_H */
