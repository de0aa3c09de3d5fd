/* SPDX-License-Identifier: GPL-2.0 */
/* The virtio devices of a guest: what the options ask for, and where they lie. */
#ifndef LGUEST_DEVICES_H
#define LGUEST_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "hardware/memory.h"
#include "kinds.h"

/* What each guest has; kinds.h has what it is asked for. */
struct virtio_device *rng_create(void);
struct virtio_device *balloon_create(const struct memory *memory);
/* For a guest with a name: its own sockets cannot be called from there, only it from here. */
struct virtio_device *vsock_create_closed(const char *path);
/* Cut ",ro" off, if it is there. */
static inline bool path_take_ro(char *path)
{
	char *comma = strrchr(path, ',');

	if (!comma || strcmp(comma, ",ro"))
		return false;
	*comma = '\0';
	return true;
}
/* Will another program serve it, which needs the guest's memory? */
bool disk_has_server(const char *option);
bool share_has_server(const char *option);
/* The tag of the folder that is the guest's root, read-only. */
#define ROOT_TAG	"lguest-root"
/* The guest's names of the cards that get their address by DHCP, with spaces between. */
const char *net_dhcp_cards(void);
/* Where passt answers for a name server that only the host itself reaches. */
#define NET_NAME_SERVER	"169.254.1.1"
/* What --rw made: the tag of each, and its place in the root; ended by no tag. */
struct share_place {
	const char *tag, *place;
};
const struct share_place *share_places(void);
/*
 * --hide and --show, which are paths of the host: are they right?  And they are so for
 * the folders that are made afterwards.  False after a message.
 */
struct text_list;
bool hiding_check(const char *rootfs, const struct text_list *hide,
		  const struct text_list *show);
bool hiding_begin(const char *rootfs, const struct text_list *hide,
		  const struct text_list *show);
#define SHARES_MOST	8	/* of a guest, the root of --rootfs and those of --rw, too */
/* The tags of those that share_create() made, with spaces between. */
const char *share_tags(void);

/* Put a device behind RAM, and give it an interrupt line.  False after a message. */
bool devices_add(struct virtio_device *device, const struct memory *memory, int host);
/* Connect their interrupts, when the guest exists.  False after a message. */
bool devices_connect(void);
/*
 * Requests that wait for the host, as for room on a disk, are tried again; if they are
 * in vain for the last time, they and those after them fail.
 */
void devices_retry(bool last);
/* The guest has ended: wait for what is on its way, so that it can be no more. */
void devices_stop(void);
/* With -v: what they did. */
void devices_report(void);
/* The kernel parameters that tell the guest layer of all of them. */
const char *devices_params(void);
/* Module names of the drivers they need and, if not NULL, one more; NULL-ended. */
const char *const *devices_drivers(const char *more);

/*
 * The balloon: memory that the guest does without, for the host to use.  The
 * guest comes to the new size in its own time, and as far as it can.  False if
 * the guest has less than that.
 */
bool devices_balloon(uint64_t bytes);

struct balloon_stats {
	uint64_t target, actual;	/* bytes in the balloon */
	/* As the guest says, in bytes; 0 if it does not. */
	uint64_t total, free, available, caches, swapped_in, swapped_out;
	uint64_t major_faults, minor_faults;	/* since it booted */
};

/*
 * From any thread; asks the guest, and waits for its answer for half a second
 * at most.  False: the guest gave none (the rest is as of the last one).
 */
bool devices_balloon_stats(struct balloon_stats *stats);

#endif /* LGUEST_DEVICES_H */
