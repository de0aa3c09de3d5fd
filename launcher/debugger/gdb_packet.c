// SPDX-License-Identifier: GPL-2.0
/*
 * Taking the remote protocol's packets out of a stream of bytes, and making
 * them.  Whatever the bytes are, nothing here reads or writes beyond its
 * buffers: tests/fuzz/gdb.c tries.  Next: gdb_commands.c, what they say.
 * Read next: gdb_commands.c.
 */
#include <string.h>

#include "gdb_packet.h"

#define INTERRUPT	0x03
#define ESCAPE		'}'
#define ESCAPED		0x20	/* the byte behind it is xored with this */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static void forget(struct gdb_stream *stream, size_t size)
{
	stream->size -= size;
	memmove(stream->bytes, stream->bytes + size, stream->size);
}

static uint8_t sum_of(const char *data, size_t size)
{
	uint8_t sum = 0;

	while (size--)
		sum += (uint8_t)*data++;
	return sum;
}

/* Undo escapes; false if it is too long, or ends within one. */
static bool unescape(const char *from, size_t size, char *to, size_t *done)
{
	size_t i, n = 0;

	for (i = 0; i < size; i++) {
		char c = from[i];

		if (n == GDB_PACKET_MOST)
			return false;
		if (c == ESCAPE) {
			if (++i == size)
				return false;
			c = from[i] ^ ESCAPED;
		}
		to[n++] = c;
	}
	to[n] = '\0';
	*done = n;
	return true;
}

/* bytes[0] is '$'. */
static enum gdb_event take_packet(struct gdb_stream *stream, char *packet, size_t *size)
{
	const char *data = stream->bytes + 1;
	const char *end = memchr(data, '#', stream->size - 1);
	size_t length = end ? (size_t)(end - data) : 0;
	bool good;

	if (!end || length + 4 > stream->size)
		return stream->size == sizeof(stream->bytes) ? GDB_NONSENSE : GDB_NOTHING;
	good = digit(end[1]) >= 0 && digit(end[2]) >= 0 &&
	       digit(end[1]) * 16 + digit(end[2]) == sum_of(data, length) &&
	       unescape(data, length, packet, size);
	forget(stream, length + 4);
	return good ? GDB_PACKET : GDB_BAD_PACKET;
}

enum gdb_event gdb_next(struct gdb_stream *stream, char packet[GDB_PACKET_MOST + 1],
			size_t *size)
{
	while (stream->size) {
		char c = stream->bytes[0];

		if (c == '$')
			return take_packet(stream, packet, size);
		forget(stream, 1);
		if (c == INTERRUPT)
			return GDB_INTERRUPT;
		if (c == '-')
			return GDB_REPEAT;
	}
	return GDB_NOTHING;
}

size_t gdb_frame(const char *data, size_t size, char frame[GDB_FRAME_MOST])
{
	static const char digits[] = "0123456789abcdef";
	size_t i, n = 0;
	uint8_t sum;

	frame[n++] = '$';
	for (i = 0; i < size; i++) {
		char c = data[i];

		if (c == '$' || c == '#' || c == ESCAPE || c == '*') {
			frame[n++] = ESCAPE;
			c ^= ESCAPED;
		}
		frame[n++] = c;
	}
	sum = sum_of(frame + 1, n - 1);
	frame[n++] = '#';
	frame[n++] = digits[sum >> 4];
	frame[n++] = digits[sum & 15];
	return n;
}

bool gdb_number(const char **at, uint64_t *number)
{
	const char *begin = *at;

	for (*number = 0; digit(**at) >= 0; ++*at) {
		if (*number >> 60)
			return false;
		*number = *number << 4 | (unsigned int)digit(**at);
	}
	return *at != begin;
}

bool gdb_two_numbers(const char **at, uint64_t *first, uint64_t *second)
{
	return gdb_number(at, first) && *(*at)++ == ',' && gdb_number(at, second);
}

bool gdb_bytes(const char *digits, void *bytes, size_t size)
{
	uint8_t *to = bytes;

	for (; size; size--, digits += 2) {
		if (digit(digits[0]) < 0 || digit(digits[1]) < 0)
			return false;
		*to++ = digit(digits[0]) << 4 | digit(digits[1]);
	}
	return true;
}

void gdb_digits(const void *bytes, size_t size, char *digits)
{
	const uint8_t *from = bytes;

	for (; size; size--) {
		*digits++ = "0123456789abcdef"[*from >> 4];
		*digits++ = "0123456789abcdef"[*from++ & 15];
	}
	*digits = '\0';
}
