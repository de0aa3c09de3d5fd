// SPDX-License-Identifier: GPL-2.0
/*
 * The server's end of the link: each note is checked, and what lies in the window
 * is a request as the guest made it, or as whoever broke into the machine did.
 * Read next: share.c.
 */
#include <string.h>
#include <unistd.h>

#include "devices/virtio/virtio.h"
#include "retry.h"
#include "share.h"

static void forget(struct share *share, const struct share_ask *ask)
{
	uint64_t i;

	for (i = 0; i < ask->forgets; i++)
		node_forget(share, ask->forget[i].nodeid, ask->forget[i].nlookup);
}

void share_answer(struct share *share, struct share_window *window,
		  const struct share_ask *ask, struct share_answer *answer)
{
	static struct chain chain;
	enum share_rule rule = SHARE_GOOD;
	uint32_t written;

	forget(share, ask);
	if (!ask->out_size)
		return;
	chain.out_parts = ask->out_size > 0;
	chain.in_parts = ask->in_size > 0;
	chain.out_size = ask->out_size;
	chain.in_size = ask->in_size;
	chain_out(&chain)->iov_base = window->out;
	chain_out(&chain)->iov_len = ask->out_size;
	chain_in(&chain)->iov_base = window->in;
	chain_in(&chain)->iov_len = ask->in_size;
	written = share_request(share, &chain, &rule);
	answer->written = written == VIRTIO_BAD ? 0 : written;
	answer->rule = rule;
}

static bool is_sound(const struct share_ask *ask, ssize_t size)
{
	return size >= (ssize_t)SHARE_ASK_SIZE(0) && ask->forgets <= SHARE_FORGETS_MOST &&
	       size == (ssize_t)SHARE_ASK_SIZE(ask->forgets) &&
	       ask->out_size <= SHARE_PART_MOST && ask->in_size <= SHARE_PART_MOST;
}

void share_serve(struct share *share, struct share_window *window, int socket)
{
	struct share_answer answer;
	struct share_ask ask;

	while (is_sound(&ask, RETRY(read(socket, &ask, sizeof(ask))))) {
		share_answer(share, window, &ask, &answer);
		if (ask.out_size &&
		    RETRY(write(socket, &answer, sizeof(answer))) != sizeof(answer))
			break;
	}
}
