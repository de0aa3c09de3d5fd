// SPDX-License-Identifier: GPL-2.0
/*
 * What follows a request's header: structures, names and text, one after the
 * other; and the body of its answer.  Every length is the guest's word.
 * Read next: share_nodes.c.
 */
#include <errno.h>
#include <string.h>

#include "share.h"

const void *request_take(struct request *r, size_t size)
{
	const void *at = r->at;

	if (size > r->left)
		return NULL;
	r->at += size;
	r->left -= size;
	return at;
}

const char *request_text(struct request *r)
{
	const uint8_t *end = memchr(r->at, '\0', r->left);

	return end ? request_take(r, end + 1 - r->at) : NULL;
}

/*D:510
 * The one place where a name becomes trusted: a component that leads no further
 * than into its folder.  Whether it is too long is for the folder's file system to say.
 :*/
const char *request_name(struct request *r)
{
	const char *name = request_text(r);

	if (!name || !*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return NULL;
	return name;
}

int request_reply(struct request *r, const void *bytes, size_t size)
{
	if (r->chain->in_size < size)
		return -EIO;
	return chain_write(r->chain, bytes, size);
}
