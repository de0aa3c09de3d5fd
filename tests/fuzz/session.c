// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest says to `lguest exec`: frames, or anything, in pieces of any size.  L14.
 */
#include "command/session.h"
#include "fuzz.h"

static struct session session;

/* As the files would: some of what waits goes on, and is told. */
static void let_go(struct agent_sink *sink, unsigned int stream, uint32_t most)
{
	uint32_t size = agent_first(sink);

	must(sink->count <= AGENT_WINDOW && sink->first < AGENT_WINDOW);
	must(size <= sink->count && sink->first + size <= AGENT_WINDOW);
	agent_went(sink, size < most ? size : most);
	agent_tell(&session.wire, sink, stream);
	must(session.wire.out_size <= sizeof(session.wire.out));
	session.wire.out_size = 0;
}

static void end(void)
{
	char *words[] = { "word", NULL };
	const struct session_request request = { .command = "fuzz", .name = "fuzz",
						 .words = words };
	int status = session_status(&session, &request, SESSION_ENDED);

	must(status >= 0 && status < 256);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, size };
	bool good = true;

	be_silent();
	memset(&session, 0, sizeof(session));
	session.in.flying = take(&in, 2);
	while (in.left && good && !session.ended) {
		size_t part = 1 + take(&in, 2), most = take(&in, 2);
		const uint8_t *from;

		if (part > sizeof(session.wire.in) - session.wire.in_size)
			part = sizeof(session.wire.in) - session.wire.in_size;
		from = take_bytes(&in, &part);
		memcpy(session.wire.in + session.wire.in_size, from, part);
		session.wire.in_size += part;
		good = session_take(&session);
		must(!good || session.ended || session.wire.in_size < sizeof(session.wire.in));
		must(session.in.flying <= 65535);
		let_go(&session.sinks[AGENT_OUT], AGENT_OUT, most);
		let_go(&session.sinks[AGENT_ERR], AGENT_ERR, most);
		must(!session.sinks[AGENT_IN].count);
	}
	if (good && session.ended)
		end();
	return 0;
}
