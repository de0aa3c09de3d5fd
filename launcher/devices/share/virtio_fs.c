// SPDX-License-Identifier: GPL-2.0
/*
 * Folders of the host in the guest (virtio standard 1.2, section 5.11): one
 * queue for what must not wait, one for all other requests, and a name by which
 * the guest mounts it.  What is in a request is share_request.c's.
 * Read next: share.c.
 */
#include <ctype.h>
#include <linux/virtio_fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/devices.h"
#include "devices/virtio/virtio.h"
#include "lguest.h"
#include "share.h"

#define DEFAULT_TAG	"share"

static struct share *shares[SHARES_MOST];
static unsigned int count;

static uint32_t handle(struct virtio_queue *q, struct chain *chain)
{
	return share_request(q->device->state, chain, &q->ring.broken);
}

static void serve(struct virtio_queue *q)
{
	virtio_each(q, handle);
}

static bool confine(struct virtio_device *device)
{
	return share_confine(device->state);
}

static const struct virtio_kind kind = {
	.id = VIRTIO_ID_FS,
	.queues = 2,
	.serve = serve,
	.confine = confine,
};

static void configure(struct virtio_device *device, const struct share *share)
{
	struct virtio_fs_config config = { .num_request_queues = 1 };

	memcpy(config.tag, share->tag, strlen(share->tag));
	memcpy(device->config, &config, sizeof(config));
	device->config_size = sizeof(config);
}

/* What is wrong with a tag; it becomes a folder's name in the guest. */
static const char *set_tag(struct share *share, const char *tag)
{
	const char *c;
	unsigned int i;

	if (!*tag || strlen(tag) > SHARE_TAG_MOST)
		return "a tag has 1 to 36 letters";
	for (c = tag; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-_", *c))
			return "a tag is made of letters, digits, - and _";
	for (i = 0; i < count; i++)
		if (!strcmp(shares[i]->tag, tag))
			return "another share has this tag; give each its own with --share DIR:TAG";
	strcpy(share->tag, tag);
	return NULL;
}

static struct virtio_device *create(const char *folder, const char *tag, bool read_only,
				    bool steady)
{
	struct virtio_device *device = calloc(1, sizeof(*device));
	struct share *share = calloc(1, sizeof(*share));
	const char *why = NULL;

	if (!device || !share)
		why = "out of memory; free some";
	else if (count == SHARES_MOST)
		why = "a guest has 4 shares at most; leave one out";
	else
		why = set_tag(share, tag);
	if (why)
		problem("cannot share %s: %s", folder, why);
	if (why || !share_open(share, folder, read_only)) {
		free(share);
		free(device);
		return NULL;
	}
	share->steady = steady;
	configure(device, share);
	if (!virtio_init(device, &kind, folder, share))
		return NULL;
	shares[count++] = share;
	return device;
}

/* Its parts stay for as long as the launcher lives. */
struct virtio_device *share_create(const char *option)
{
	char *folder = strdup(option), *comma, *colon;
	bool read_only = false;

	if (!folder)
		return NULL;
	comma = strrchr(folder, ',');
	if (comma && !strcmp(comma, ",ro")) {
		*comma = '\0';
		read_only = true;
	}
	colon = strrchr(folder, ':');
	if (colon)
		*colon = '\0';
	return create(folder, colon ? colon + 1 : DEFAULT_TAG, read_only, false);
}

struct virtio_device *share_create_root(const char *folder)
{
	return create(folder, ROOT_TAG, true, true);
}

const char *share_tags(void)
{
	static char text[SHARES_MOST * (SHARE_TAG_MOST + 1) + 1];
	size_t used = 0;
	unsigned int i;

	text[0] = '\0';
	for (i = 0; i < count; i++)
		if (!shares[i]->steady)
			used += snprintf(text + used, sizeof(text) - used, "%s%s",
					 used ? " " : "", shares[i]->tag);
	return text;
}
