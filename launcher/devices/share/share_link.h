/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between a machine and the server of one of its shares, a process of its own: what
 * the guest asked goes into memory that both see, a note of its size over a socket,
 * and the same way back.  One request is on its way at a time.  Neither believes the
 * other: the machine is what a guest breaks into, and then the server may be, too.
 */
#ifndef LGUEST_SHARE_LINK_H
#define LGUEST_SHARE_LINK_H

#include <linux/fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/virtio/virtqueue.h"

#define SHARE_DATA_MOST	(1U << 20)	/* of a file, in one request */
#define SHARE_PART_MOST	(SHARE_DATA_MOST + 4096)
#define SHARE_FORGETS_MOST 64	/* in one note */

/* Either may change any of it at any moment. */
struct share_window {
	uint8_t out[SHARE_PART_MOST];	/* the request */
	uint8_t in[SHARE_PART_MOST];	/* its answer */
};

/*
 * A note, as long as it has forgets: nodes that the guest gave up since the last one.
 * They need no answer, and so no window.
 */
struct share_ask {
	uint32_t out_size;	/* bytes in out; 0: there is no request, and no answer */
	uint32_t in_size;	/* room for the answer */
	uint64_t forgets;
	struct fuse_forget_one forget[SHARE_FORGETS_MOST];
};
#define SHARE_ASK_SIZE(n) (offsetof(struct share_ask, forget) + (n) * sizeof(struct fuse_forget_one))

/* Rules of virtio-fs that a driver may break. */
enum share_rule { SHARE_GOOD, SHARE_NO_HEADER, SHARE_NO_ROOM, SHARE_RULES };

struct share_answer {
	uint32_t written;	/* bytes in in; none if a rule was broken */
	uint32_t rule;
};

/* Before the guest starts, the server says that it is ready, or why it is not. */
struct share_ready {
	char why[160];		/* "": it is */
};

struct share_link {
	const char *folder;
	int socket;		/* -1: the server is gone */
	struct share_window *window;
	pthread_mutex_t lock;
	struct share_ask ask;	/* the next: its forgets are gathered here */
};

struct share_settings {
	const char *folder;
	bool read_only;
	bool steady;		/* nobody changes it while the guest runs */
	const char *via;	/* socket of another server; or NULL: our own */
	const struct hidden *hidden; /* what the guest does not see; or NULL */
	uint16_t way;		/* of the folder itself: see hidden.h */
};

/* share_process.c: start a server; NULL, or why there is none. */
const char *share_start(struct share_link *link, const struct share_settings *settings);
/* Ask, and wait for the answer, if there is a request; false: the server is gone, or sent nonsense. */
bool share_exchange(struct share_link *link, const struct share_ask *ask,
		    struct share_answer *answer);

/*
 * share_link.c: one request of the guest's.  Gives the number of bytes written to
 * its in parts, or VIRTIO_BAD with *rule.
 */
uint32_t share_link_request(struct share_link *link, struct chain *chain, const char **rule);
/* The answer of a server that is gone: an error; as share_link_request(). */
uint32_t share_link_refuse(struct chain *chain, const char **rule);
/* No request came that would have taken them along: what was forgotten goes by itself. */
void share_link_forget(struct share_link *link);

#endif /* LGUEST_SHARE_LINK_H */
