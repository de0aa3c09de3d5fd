// SPDX-License-Identifier: GPL-2.0
/*
 * What a host says to the agent in a guest: a request, and then frames.  The code is
 * included, because it is of another program.  L14.
 */
#include "../../launcher/boot/agent/session.c"

#include "fuzz.h"

int find_user(const char *text, struct user *user)
{
	(void)text;
	memset(user, 0, sizeof(*user));
	return 0;
}

static void check_texts(void)
{
	static const struct user user = { .name = "n", .home = "/h" };
	uint32_t i;

	for (i = 0; i < request.start.words; i++)
		must(strlen(request.words[i]) <= AGENT_REQUEST);
	complete_variables(&user);
	must(variable("PATH=") && variable("HOME="));
	for (i = 0; i < request.start.variables; i++)
		must(strlen(request.variables[i]) <= AGENT_REQUEST);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, size };
	struct agent_frame frame;
	const uint8_t *from;
	size_t part;
	int next = 1;

	memset(&request, 0, sizeof(request));
	memset(&s, 0, sizeof(s));
	s.in.fd = s.sources[AGENT_OUT].fd = s.sources[AGENT_ERR].fd = -1;
	request.start.words = take(&in, 2);
	request.start.variables = take(&in, 2);
	part = take(&in, 2);
	from = take_bytes(&in, &part);
	memcpy(request.texts, from, part);
	if (read_texts(part))
		check_texts();
	while (in.left && next >= 0) {
		part = sizeof(s.wire.in) - s.wire.in_size;
		from = take_bytes(&in, &part);
		memcpy(s.wire.in + s.wire.in_size, from, part);
		s.wire.in_size += part;
		while ((next = agent_next(&s.wire, &frame)) > 0) {
			if (!obey(&frame, agent_body(&s.wire)))
				return 0;
			agent_forget(&s.wire, &frame);
		}
		must(next || s.wire.in_size < sizeof(s.wire.in));
		feed_command();		/* there is none: it is lost */
		agent_tell(&s.wire, &s.in, AGENT_IN);
		s.wire.out_size = 0;
	}
	return 0;
}
