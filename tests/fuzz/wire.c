// SPDX-License-Identifier: GPL-2.0
/*
 * What a machine that a guest has broken into says to its supervisor: any packets, on
 * either socket, in any order.  What makes no sense ends it; nothing else may come of it.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/control.h"
#include "fuzz.h"
#include "supervisor/inside.h"

static unsigned int killed;

void kill_machine(struct supervisor *s)
{
	(void)s;
	killed++;
}

static void be_fresh(struct supervisor *s, const int pair[2], unsigned int state)
{
	static const struct supervisor_settings settings = { .command = true };
	static int null = -1;

	if (null < 0)
		null = open("/dev/null", O_RDWR);
	memset(s, 0, offsetof(struct supervisor, output));
	s->output.out.fd = s->output.err.fd = null;
	s->output.command = true;
	s->settings = &settings;
	s->restarts = 1;		/* nothing of ours is to be closed */
	s->link = (struct link){ .talk = pair[0], .output = pair[0] };
	/* What may be open. */
	s->link.built = state & 1;
	s->link.asked = state & 2;
	s->link.question = WIRE_ASK_STATUS + (state >> 4) % 5;
	s->link.told_to_end = state & 4;
	s->link.debugger = state & 8;
	memset(s->link.busy, state & 1, sizeof(s->link.busy));
	killed = 0;
}

static void say(struct supervisor *s, int to, struct input *in)
{
	struct wire_message message = { .kind = take(in, 1) };
	unsigned int what = take(in, 1);
	size_t size = what & 128 ? what % 8 * 600 : what;
	const uint8_t *bytes;

	message.kind %= WIRE_KINDS_COUNT + 1;
	message.value = what & 64 ? take(in, 4) : take(in, 1) % 5;
	message.number = take(in, 8);
	bytes = take_bytes(in, &size);
	if (size > sizeof(message.bytes))
		size = sizeof(message.bytes);
	memcpy(message.bytes, bytes, size);
	/* Short ones, too. */
	size = what == 63 ? size % WIRE_HEADER : WIRE_HEADER + size;
	if (!size || send(to, &message, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
	if (what & 32)
		hear_output(s);
	else
		hear_talk(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct supervisor s;
	struct input in = { bytes, size };
	int pair[2], by_signal, status;

	be_silent();
	must(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
	be_fresh(&s, pair, take(&in, 1));
	while (in.left && !s.failed)
		say(&s, pair[1], &in);
	must(!s.failed == !killed || s.link.told_to_end);
	must(s.output.out.at + s.output.out.size <= OUTPUT_ROOM);
	s.reaped = true;
	hear_talk(&s);
	status = tell_end(&s, &by_signal);
	must(status >= 0 && status <= 255);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
