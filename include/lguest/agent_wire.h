/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What both ends of agent.h do alike, without any I/O: frames are cut out of the bytes
 * that came, and put together for those that go; a stream's bytes wait in a ring.
 * Each end may be lied to by the other: nothing is taken that does not fit.
 */
#ifndef LGUEST_AGENT_WIRE_H
#define LGUEST_AGENT_WIRE_H

#include <lguest/agent.h>
#include <stdbool.h>
#include <string.h>

#define AGENT_FRAME_MOST	(sizeof(struct agent_frame) + AGENT_PIECE)

struct agent_wire {
	uint32_t in_size, out_size;
	uint8_t in[AGENT_FRAME_MOST];
	uint8_t out[3 * AGENT_FRAME_MOST];
};

/* Of a stream that comes: bytes on their way to a file. */
struct agent_sink {
	int fd;			/* -1: what comes is lost */
	bool ends;		/* its sender has said all */
	uint32_t first, count;
	uint32_t taken;		/* not yet told */
	uint8_t bytes[AGENT_WINDOW];
};

/* Of one that goes. */
struct agent_source {
	int fd;			/* -1: there is none, or all is sent */
	uint32_t flying;	/* sent, and not yet AGENT_TAKEN */
};

/* The size that a kind must have, or AGENT_PIECE + 1: any. */
static inline uint32_t agent_size_of(unsigned int kind)
{
	switch (kind) {
	case AGENT_TAKEN:
	case AGENT_SIGNAL:
		return sizeof(uint32_t);
	case AGENT_SIZE:
		return sizeof(struct agent_size);
	case AGENT_EXIT:
		return sizeof(struct agent_exit);
	default:
		return AGENT_PIECE + 1;
	}
}

/*
 * The next whole frame: 1, and its bytes stand behind the header in wire->in; 0: not
 * yet; -1: this is none.  AGENT_START is not for here: it is read by itself.
 */
static inline int agent_next(const struct agent_wire *wire, struct agent_frame *frame)
{
	uint32_t exact;

	if (wire->in_size < sizeof(*frame))
		return 0;
	memcpy(frame, wire->in, sizeof(*frame));
	exact = agent_size_of(frame->kind);
	if (frame->kind <= AGENT_START || frame->kind >= AGENT_KINDS ||
	    frame->stream >= AGENT_STREAMS || frame->size > AGENT_PIECE ||
	    (exact <= AGENT_PIECE && frame->size != exact))
		return -1;
	return wire->in_size >= sizeof(*frame) + frame->size;
}

static inline const uint8_t *agent_body(const struct agent_wire *wire)
{
	return wire->in + sizeof(struct agent_frame);
}

/* It was dealt with. */
static inline void agent_forget(struct agent_wire *wire, const struct agent_frame *frame)
{
	uint32_t size = sizeof(*frame) + frame->size;

	wire->in_size -= size;
	memmove(wire->in, wire->in + size, wire->in_size);
}

/* Room for a frame with so many bytes? */
static inline bool agent_room(const struct agent_wire *wire, uint32_t size)
{
	return wire->out_size + sizeof(struct agent_frame) + size <= sizeof(wire->out);
}

/* Where the bytes of the next frame go, for which there is room. */
static inline uint8_t *agent_place(struct agent_wire *wire)
{
	return wire->out + wire->out_size + sizeof(struct agent_frame);
}

static inline void agent_add(struct agent_wire *wire, unsigned int kind, unsigned int stream,
			     uint32_t size)
{
	const struct agent_frame frame = { .kind = kind, .stream = stream, .size = size };

	memcpy(wire->out + wire->out_size, &frame, sizeof(frame));
	wire->out_size += sizeof(frame) + size;
}

/* False: no room now. */
static inline bool agent_put(struct agent_wire *wire, unsigned int kind, unsigned int stream,
			     const void *bytes, uint32_t size)
{
	if (!agent_room(wire, size))
		return false;
	if (size)
		memcpy(agent_place(wire), bytes, size);
	agent_add(wire, kind, stream, size);
	return true;
}

/* So many bytes have gone out. */
static inline void agent_sent(struct agent_wire *wire, uint32_t size)
{
	wire->out_size -= size;
	memmove(wire->out, wire->out + size, wire->out_size);
}

/* A frame of AGENT_DATA; false: more than was allowed. */
static inline bool agent_take(struct agent_sink *sink, const uint8_t *bytes, uint32_t size)
{
	uint32_t at = (sink->first + sink->count) % AGENT_WINDOW, part = AGENT_WINDOW - at;

	if (sink->ends || size > AGENT_WINDOW - sink->count - sink->taken)
		return false;
	sink->ends = !size;
	if (part > size)
		part = size;
	memcpy(sink->bytes + at, bytes, part);
	memcpy(sink->bytes, bytes + part, size - part);
	sink->count += size;
	return true;
}

/* The bytes that go on first; their number. */
static inline uint32_t agent_first(const struct agent_sink *sink)
{
	uint32_t to_end = AGENT_WINDOW - sink->first;

	return sink->count < to_end ? sink->count : to_end;
}

static inline void agent_went(struct agent_sink *sink, uint32_t size)
{
	sink->first = (sink->first + size) % AGENT_WINDOW;
	sink->count -= size;
	sink->taken += size;
}

/* Tell the sender, if it is worth it. */
static inline void agent_tell(struct agent_wire *wire, struct agent_sink *sink,
			      unsigned int stream)
{
	if (sink->taken >= AGENT_WINDOW / 4 &&
	    agent_put(wire, AGENT_TAKEN, stream, &sink->taken, sizeof(sink->taken)))
		sink->taken = 0;
}

/* A frame of AGENT_TAKEN; false: so much was not sent. */
static inline bool agent_told(struct agent_source *source, const uint8_t *body)
{
	uint32_t size;

	memcpy(&size, body, sizeof(size));
	if (size > source->flying)
		return false;
	source->flying -= size;
	return true;
}

/* May a piece be read from it now?  Of which size. */
static inline uint32_t agent_may_send(const struct agent_wire *wire,
				      const struct agent_source *source)
{
	uint32_t most = AGENT_WINDOW - source->flying;

	/* What is told besides finds its room always. */
	if (source->fd < 0 || !agent_room(wire, AGENT_PIECE + 256))
		return 0;
	return most < AGENT_PIECE ? most : AGENT_PIECE;
}

#endif /* LGUEST_AGENT_WIRE_H */
