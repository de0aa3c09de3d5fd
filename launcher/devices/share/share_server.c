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

void share_answer(struct share *share, struct share_window *window,
		  const struct share_ask *ask, struct share_answer *answer)
{
	static struct chain chain;
	enum share_rule rule = SHARE_GOOD;
	uint32_t written;

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

void share_serve(struct share *share, struct share_window *window, int socket)
{
	struct share_answer answer;
	struct share_ask ask;

	while (RETRY(read(socket, &ask, sizeof(ask))) == sizeof(ask) &&
	       ask.out_size <= SHARE_PART_MOST && ask.in_size <= SHARE_PART_MOST) {
		share_answer(share, window, &ask, &answer);
		if (RETRY(write(socket, &answer, sizeof(answer))) != sizeof(answer))
			break;
	}
}
