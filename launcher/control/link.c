// SPDX-License-Identifier: GPL-2.0
/*
 * What supervisor and machine may say to each other, and when: see link.h.
 * Read next: command/run_options.c.
 */
#include <string.h>

#include "link.h"

static bool is_answer(const struct wire_message *message)
{
	return message->kind >= WIRE_ASK_STATUS && message->kind <= WIRE_ASK_BALLOON;
}

/* Once. */
static bool first(bool *done)
{
	bool was = *done;

	*done = true;
	return !was;
}

static bool end(bool *open)
{
	bool was = *open;

	*open = false;
	return was;
}

bool link_note(struct link *link, const struct wire_message *message)
{
	if (is_answer(message))
		return end(&link->asked) && message->kind == link->question;
	switch (message->kind) {
	case WIRE_BUILT:
		return !link->ended && first(&link->built);
	case WIRE_READY:
		return link->built && first(&link->ready);
	case WIRE_STANDS:
		link->stands = message->value;
		return link->built;
	case WIRE_TAKEN:
		return end(&link->busy[message->value]);
	case WIRE_COUNTER:
		return link->asked && link->question == WIRE_ASK_STATISTICS &&
		       link->counters++ < LINK_COUNTERS;
	case WIRE_ALONE:
		return end(&link->debugger);
	case WIRE_HELD:
		return link->told_to_end;
	case WIRE_ENDED:
		return first(&link->ended);
	default:
		return true;
	}
}

size_t link_input(struct link *link, unsigned int port, const void *bytes, size_t size)
{
	struct wire_message message = { .kind = WIRE_INPUT, .value = port };

	if (!size || !link->built || link->busy[port])
		return 0;
	if (size > WIRE_BYTES)
		size = WIRE_BYTES;
	memcpy(message.bytes, bytes, size);
	if (!wire_send(link->talk, &message, size, NULL, NULL))
		return 0;
	link->busy[port] = true;
	return size;
}

bool link_ask(struct link *link, enum wire_kind question, uint64_t number)
{
	if (!link->built || link->ended || link->asked ||
	    !wire_say(link->talk, question, 0, number))
		return false;
	link->asked = true;
	link->question = question;
	link->counters = 0;
	return true;
}
