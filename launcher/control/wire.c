// SPDX-License-Identifier: GPL-2.0
/*
 * The packets between supervisor and machine: see wire.h.
 * Read next: link.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "io.h"
#include "wire.h"

enum { S = 1, M = 2, SM = S | M };

static const struct {
	unsigned int who;
	uint32_t value;
	size_t least, most;
} kinds[WIRE_KINDS_COUNT] = {
#define K(kind, who, value, least, most) { who, value, least, most },
	WIRE_KINDS(K)
#undef K
};

bool wire_is_good(const struct wire_message *message, size_t size, bool from_machine)
{
	if (size < WIRE_HEADER || message->kind >= WIRE_KINDS_COUNT)
		return false;
	size -= WIRE_HEADER;
	return (kinds[message->kind].who & (from_machine ? M : S)) &&
	       message->value <= kinds[message->kind].value &&
	       size >= kinds[message->kind].least && size <= kinds[message->kind].most;
}

bool wire_send(int fd, const struct wire_message *message, size_t bytes,
	       bool (*wait)(void *with), void *with)
{
	do {
		if (send(fd, message, WIRE_HEADER + bytes, MSG_NOSIGNAL) >= 0)
			return true;
	} while (errno == EINTR && (!wait || wait(with)));
	return false;
}

bool wire_say(int fd, enum wire_kind kind, uint32_t value, uint64_t number)
{
	struct wire_message message;

	message.kind = kind;
	message.value = value;
	message.number = number;
	return wire_send(fd, &message, 0, NULL, NULL);
}

bool wire_hand(int fd, enum wire_kind kind, uint32_t value, int descriptor)
{
	struct wire_message message = { .kind = kind, .value = value };
	struct iovec part = { &message, WIRE_HEADER };
	union descriptor_room room;
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

	carry_descriptor(&header, &room, descriptor);
	return sendmsg(fd, &header, MSG_NOSIGNAL) >= 0;
}

int wire_hear(int fd, struct wire_message *message, bool from_machine, int *descriptor)
{
	ssize_t got = receive_carried(fd, message, sizeof(*message), descriptor);

	if (got <= 0)
		return got < 0 && errno == EAGAIN ? -EAGAIN : -EPIPE;
	if (!wire_is_good(message, got, from_machine))
		return -EPROTO;
	return got - WIRE_HEADER;
}
