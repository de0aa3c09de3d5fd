// SPDX-License-Identifier: GPL-2.0
/*
 * A folder whose server somebody else has started, virtiofsd for instance: the same
 * device for the guest, and no file of it for us.
 * Read next: share_link.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "devices/vhost/vhost.h"
#include "lguest.h"
#include "share.h"

static uint32_t refuse(struct virtio_queue *q, struct chain *chain)
{
	return share_link_refuse(chain, &q->ring.broken);
}

static const struct virtio_kind kind = {
	.id = VIRTIO_ID_FS,
	.driver = "virtiofs",
	.queues = 2,
	.refuse = refuse,
	VHOST_KIND,
};

const char *vhost_fs_wrong(const char *socket)
{
	struct stat status;

	if (stat(socket, &status))
		return strerror(errno);
	return S_ISSOCK(status.st_mode) ? NULL : "what follows via= is no socket";
}

struct virtio_device *vhost_fs_create(const char *folder, const char *socket)
{
	struct vhost *v = calloc(1, sizeof(*v));
	const char *why = v ? vhost_connect(v, socket) : "out of memory; free some";

	if (v)
		v->server = socket;
	if (!why)
		why = vhost_begin(v, &kind, folder, 0);
	if (why)
		problem("cannot share %s by %s: %s", folder, socket, why);
	return why ? NULL : &v->device;
}
