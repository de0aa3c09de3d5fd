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

/* One note, with all that was gathered; false: there is no server any more. */
static bool send_note(struct share_link *link, struct share_answer *answer)
{
	bool sound = link->socket >= 0 && share_exchange(link, &link->ask, answer) &&
		     (!link->ask.out_size || is_sound(&link->ask, answer));

	link->ask.out_size = 0;
	link->ask.forgets = 0;
	if (!sound)
		hang_up(link);
	return sound;
}

/*D:515
 * What the guest forgets has no answer, so that nobody waits for one: it is put aside,
 * and goes along with the next request.  Linux forgets one node at a time, for each file
 * that it removes or has no memory for, and each would be two notes and two changes of
 * process.  One that makes no sense is passed over, as the server would.
 :*/
static void gather(struct share_link *link, const struct fuse_in_header *in, struct chain *chain)
{
	struct share_ask *ask = &link->ask;
	struct fuse_forget_in forget;

	if (in->len != sizeof(*in) + chain->out_size ||
	    chain_read(chain, &forget, sizeof(forget)) != sizeof(forget))
		return;
	ask->forget[ask->forgets++] = (struct fuse_forget_one){
		.nodeid = in->nodeid, .nlookup = forget.nlookup,
	};
	if (ask->forgets == SHARE_FORGETS_MOST)
		send_note(link, NULL);
}

static uint32_t ask_server(struct share_link *link, const struct fuse_in_header *in,
			   struct chain *chain, const char **rule)
{
	struct share_answer answer;
	uint8_t *out = link->window->out;

	link->ask.in_size = chain->in_size < SHARE_PART_MOST ? chain->in_size : SHARE_PART_MOST;
	memcpy(out, in, sizeof(*in));
	link->ask.out_size = sizeof(*in) +
			     chain_read(chain, out + sizeof(*in), SHARE_PART_MOST - sizeof(*in));
	if (chain->out_size) {		/* more than a driver was allowed to send */
		link->ask.out_size = 0;
		return fail(in, chain);
	}
	if (!send_note(link, &answer))
		return fail(in, chain);
	*rule = rules[answer.rule];
	return *rule ? VIRTIO_BAD : chain_write(chain, link->window->in, answer.written);
}

static bool read_header(struct chain *chain, struct fuse_in_header *in, const char **rule)
{
	bool whole = chain_read(chain, in, sizeof(*in)) == sizeof(*in);

	if (!whole)
		*rule = rules[SHARE_NO_HEADER];
	return whole;
}

uint32_t share_link_refuse(struct chain *chain, const char **rule)
{
	struct fuse_in_header in;

	return read_header(chain, &in, rule) ? fail(&in, chain) : VIRTIO_BAD;
}

static uint32_t handle(struct share_link *link, struct chain *chain, const char **rule)
{
	struct fuse_in_header in;

	if (!read_header(chain, &in, rule))
		return VIRTIO_BAD;
	if (in.opcode != FUSE_FORGET)
		return ask_server(link, &in, chain, rule);
	gather(link, &in, chain);
	return 0;
}

/* Two queues lead here. */
uint32_t share_link_request(struct share_link *link, struct chain *chain, const char **rule)
{
	uint32_t written;

	pthread_mutex_lock(&link->lock);
	written = handle(link, chain, rule);
	pthread_mutex_unlock(&link->lock);
	return written;
}

void share_link_forget(struct share_link *link)
{
	pthread_mutex_lock(&link->lock);
	if (link->ask.forgets)
		send_note(link, NULL);
	pthread_mutex_unlock(&link->lock);
}
