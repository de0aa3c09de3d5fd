// SPDX-License-Identifier: GPL-2.0
/*
 * What a program says to the control socket: any bytes, in pieces of any size.
 * The code is included, because its parser is nobody else's business.
 */
#define kick_vcpu park
#include "../../launcher/control/control.c"

#include "../unit/no_gdb.h"
#include "fuzz.h"

static struct guest guest = { .fd = -1, .news = -1, .memory = { .size = 16 << 20 } };

/* The guest's side: it parks when it is told to, and does nothing else. */
void park(const struct guest *whose)
{
	must(whose == &guest);
	guest.parked = guest.paused;
}

int host_irq(int fd, unsigned int line)
{
	must(fd == guest.fd);
	(void)line;
	return 0;
}

bool devices_balloon(uint64_t bytes)
{
	return bytes < guest.memory.size;
}

bool devices_balloon_stats(struct balloon_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	return true;
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
	unsigned int i;
	int pair[2];

	be_silent();
	control.guest = &guest;
	control.settings.name = "fuzz";
	if (!control.smaps)
		control.smaps = fopen("/proc/self/smaps", "r");
	control.stopping = guest.paused = guest.parked = false;
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
		must(client->size < sizeof(client->bytes) || client->fd < 0 ||
		     client->role != REQUESTS);
		while (read(pair[1], answers, sizeof(answers)) > 0)
			;
	}
	if (client->fd >= 0)
		close(client->fd);
	close(pair[1]);
	return 0;
}
