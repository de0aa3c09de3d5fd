// SPDX-License-Identifier: GPL-2.0
/*
 * The machine's end of the link to a share's server.  It copies what the guest asks
 * and what it shall get, so that the server has none of the guest's memory.
 * Read next: share_process.c.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

#include "devices/virtio/virtio.h"
#include "lguest.h"
#include "share_link.h"

static const char *const rules[SHARE_RULES] = {
	[SHARE_NO_HEADER] = "a file request has no header",
	[SHARE_NO_ROOM] = "a file request has no room for its answer",
};

/* Without a server each request fails, as on a disk that was pulled out. */
static uint32_t fail(const struct fuse_in_header *in, struct chain *chain)
{
	struct fuse_out_header out = {
		.len = sizeof(out), .error = -EIO, .unique = in->unique,
	};

	return chain->in_size < sizeof(out) ? 0 : chain_write(chain, &out, sizeof(out));
}

static void hang_up(struct share_link *link)
{
	if (link->socket < 0)
		return;
	problem("share %s: its server has ended: lguest has a fault, or its guest broke in; the guest's folder is gone until it restarts",
		link->folder);
	close(link->socket);
	link->socket = -1;
}

/* What the server says is as good as what it is. */
static bool is_sound(const struct share_ask *ask, const struct share_answer *answer)
{
	return answer->written <= ask->in_size && answer->rule < SHARE_RULES &&
	       !(answer->rule && answer->written);
}

static uint32_t ask_server(struct share_link *link, struct chain *chain, const char **rule)
{
	struct share_ask ask = {
		.in_size = chain->in_size < SHARE_PART_MOST ? chain->in_size : SHARE_PART_MOST,
	};
	struct fuse_in_header in = { .unique = 0 };
	struct share_answer answer;

	ask.out_size = chain_read(chain, link->window->out, SHARE_PART_MOST);
	memcpy(&in, link->window->out, sizeof(in));
	if (chain->out_size)
		return fail(&in, chain);	/* more than a driver was allowed to send */
	if (link->socket < 0)
		return fail(&in, chain);
	if (!share_exchange(link, &ask, &answer) || !is_sound(&ask, &answer)) {
		hang_up(link);
		return fail(&in, chain);
	}
	*rule = rules[answer.rule];
	return *rule ? VIRTIO_BAD : chain_write(chain, link->window->in, answer.written);
}

/* Two queues lead here. */
uint32_t share_link_request(struct share_link *link, struct chain *chain, const char **rule)
{
	uint32_t written;

	pthread_mutex_lock(&link->lock);
	written = ask_server(link, chain, rule);
	pthread_mutex_unlock(&link->lock);
	return written;
}
