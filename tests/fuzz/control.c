// SPDX-License-Identifier: GPL-2.0
/*
 * What a program says to the control socket: any bytes, in pieces of any size.
 * The code is included, because its parser is nobody else's business.
 */
#include "../../launcher/control/control.c"

#include "fuzz.h"

static struct control control;

static void end(int why)
{
	must(why == END_STOP);
}

static void resize(unsigned int rows, unsigned int columns)
{
	must(rows && columns && rows < 10000 && columns < 10000);
}

/* The machine's side: it answers at once, and has no secrets. */
static void be_machine(struct link *link, int socket)
{
	static struct wire_message message;
	int size;

	while ((size = wire_hear(socket, &message, false, NULL)) != -EAGAIN) {
		must(size >= 0);
		if (message.kind < WIRE_ASK_STATUS || message.kind > WIRE_ASK_BALLOON)
			continue;
		must(link->asked && message.kind == link->question);
		message.value = message.kind != WIRE_ASK_BALLOON || message.number < 1000;
		must(link_note(link, &message));
		memset(message.bytes, 1, 32);
		control_answer(&control, &message, 32);
	}
}

void devices_retry(bool last)
{
	(void)last;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static char answers[65536];
	struct input in = { bytes, size };
	struct client *client = &control.clients[0];
	static struct link link;
	unsigned int i;
	int pair[2], wire[2];

	be_silent();
	must(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, wire));
	link = (struct link){ .talk = wire[0], .built = true };
	control.link = &link;
	control.settings = (struct control_settings){ .name = "fuzz", .end = end, .resize = resize };
	control.stopping = control.paused = false;
	for (i = 0; i < CLIENTS_MOST; i++)
		control.clients[i].fd = -1;
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
	*client = (struct client){ .fd = pair[0] };
	while (in.left && client->fd >= 0 && client->role == REQUESTS) {
		size_t part = 1 + take(&in, 1) * 4;
		const uint8_t *from;

		if (part > sizeof(client->bytes) - client->size)
			part = sizeof(client->bytes) - client->size;
		from = take_bytes(&in, &part);
		memcpy(client->bytes + client->size, from, part);
		client->size += part;
		serve_lines(&control, client);
		be_machine(&link, wire[1]);
		must(client->size < sizeof(client->bytes) || client->fd < 0 ||
		     client->role != REQUESTS);
		while (read(pair[1], answers, sizeof(answers)) > 0)
			;
	}
	if (client->fd >= 0)
		close(client->fd);
	close(pair[1]);
	close(wire[0]);
	close(wire[1]);
	return 0;
}
