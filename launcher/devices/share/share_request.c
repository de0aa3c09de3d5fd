// SPDX-License-Identifier: GPL-2.0
/*
 * The FUSE protocol, as virtio-fs carries it: a request is a header, a structure
 * that depends on the operation, and names or data; the answer is a header and
 * a body.  libfuse knows it as well, but takes its requests from a kernel that it
 * trusts: it looks for the end of a name without looking for the end of the
 * request.  Here every length is the guest's word and is checked.
 *
 * Only what is in the table below is done; all else is ENOSYS, on which the
 * guest's kernel does without (extended attributes, locks of its own, ...).
 * Read next: share_body.c.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "devices/virtio/virtio.h"
#include "share.h"

#define BODY_MOST	(sizeof(struct fuse_mknod_in) + PATH_MAX + 2 * (NAME_MAX + 1))
#define MINOR		31	/* of the protocol: the first with virtio-fs */
#define INIT_LEAST	16	/* bytes of struct fuse_init_in that every version has */

static int do_init(struct request *r)
{
	const struct fuse_init_in *in = request_take(r, INIT_LEAST);
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = MINOR,
		.max_readahead = in->max_readahead,
		.flags = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
			 FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
			 FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES,
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = SHARE_DATA_MOST,
		.time_gran = 1,
		.max_pages = SHARE_DATA_MOST / 4096,
	};

	if (in->major != FUSE_KERNEL_VERSION || in->minor < MINOR)
		return -EPROTO;
	out.flags |= r->share->steady ? FUSE_CACHE_SYMLINKS : FUSE_AUTO_INVAL_DATA;
	out.flags &= in->flags;
	nodes_reset(r->share);
	return request_reply(r, &out, sizeof(out));
}

static int do_destroy(struct request *r)
{
	nodes_reset(r->share);
	return 0;
}

static int do_forget(struct request *r)
{
	const struct fuse_forget_in *in = request_take(r, sizeof(*in));

	node_forget(r->share, r->in.nodeid, in->nlookup);
	return 0;
}

/* As many as it says, or as there are. */
static int do_batch_forget(struct request *r)
{
	const struct fuse_batch_forget_in *in = request_take(r, sizeof(*in));
	struct fuse_forget_one one;
	uint32_t count = in->count;

	while (count-- && chain_read(r->chain, &one, sizeof(one)) == sizeof(one))
		node_forget(r->share, one.nodeid, one.nlookup);
	return 0;
}

static int do_interrupt(struct request *r)
{
	(void)r;
	return 0;	/* no request takes long enough */
}

#define WRITES	1	/* refused if the share is read-only */
#define DATA	2	/* what follows the structure is left in the chain */
#define SILENT	4	/* has no answer */
#define WHOLE	8	/* is about no node */

/* Takes a structure of this size; needs so much room for its answer at least. */
#define ENTRY	sizeof(struct fuse_entry_out)
#define OPEN	sizeof(struct fuse_open_out)
#define ATTR	sizeof(struct fuse_attr_out)
static const struct operation {
	uint32_t code;
	int (*act)(struct request *r);
	uint16_t takes, gives;
	unsigned int flags;
} operations[] = {
	{ FUSE_INIT, do_init, INIT_LEAST, sizeof(struct fuse_init_out), WHOLE },
	{ FUSE_DESTROY, do_destroy, 0, 0, WHOLE },
	{ FUSE_INTERRUPT, do_interrupt, 0, 0, WHOLE | SILENT },
	{ FUSE_FORGET, do_forget, sizeof(struct fuse_forget_in), 0, WHOLE | SILENT },
	{ FUSE_BATCH_FORGET, do_batch_forget, sizeof(struct fuse_batch_forget_in), 0,
	  WHOLE | SILENT | DATA },
	/* share_names.c */
	{ FUSE_LOOKUP, do_lookup, 0, ENTRY, 0 },
	{ FUSE_CREATE, do_create, sizeof(struct fuse_create_in), ENTRY + OPEN, WRITES },
	{ FUSE_MKNOD, do_mknod, sizeof(struct fuse_mknod_in), ENTRY, WRITES },
	{ FUSE_MKDIR, do_mkdir, sizeof(struct fuse_mkdir_in), ENTRY, WRITES },
	{ FUSE_SYMLINK, do_symlink, 0, ENTRY, WRITES },
	{ FUSE_LINK, do_link, sizeof(struct fuse_link_in), ENTRY, WRITES },
	{ FUSE_UNLINK, do_unlink, 0, 0, WRITES },
	{ FUSE_RMDIR, do_rmdir, 0, 0, WRITES },
	{ FUSE_RENAME, do_rename, sizeof(struct fuse_rename_in), 0, WRITES },
	{ FUSE_RENAME2, do_rename2, sizeof(struct fuse_rename2_in), 0, WRITES },
	/* share_folders.c */
	{ FUSE_READDIR, do_readdir, sizeof(struct fuse_read_in), 0, 0 },
	{ FUSE_READDIRPLUS, do_readdirplus, sizeof(struct fuse_read_in), 0, 0 },
	/* share_files.c */
	{ FUSE_GETATTR, do_getattr, sizeof(struct fuse_getattr_in), ATTR, 0 },
	{ FUSE_SETATTR, do_setattr, sizeof(struct fuse_setattr_in), ATTR, WRITES },
	{ FUSE_READLINK, do_readlink, 0, 0, 0 },
	{ FUSE_OPEN, do_open, sizeof(struct fuse_open_in), OPEN, 0 },
	{ FUSE_OPENDIR, do_opendir, sizeof(struct fuse_open_in), OPEN, 0 },
	{ FUSE_READ, do_read, sizeof(struct fuse_read_in), 0, 0 },
	{ FUSE_WRITE, do_write, sizeof(struct fuse_write_in),
	  sizeof(struct fuse_write_out), WRITES | DATA },
	{ FUSE_RELEASE, do_release, sizeof(struct fuse_release_in), 0, 0 },
	{ FUSE_RELEASEDIR, do_releasedir, sizeof(struct fuse_release_in), 0, 0 },
	{ FUSE_FSYNC, do_fsync, sizeof(struct fuse_fsync_in), 0, 0 },
	{ FUSE_FSYNCDIR, do_fsyncdir, sizeof(struct fuse_fsync_in), 0, 0 },
	{ FUSE_FALLOCATE, do_fallocate, sizeof(struct fuse_fallocate_in), 0, WRITES },
	{ FUSE_LSEEK, do_lseek, sizeof(struct fuse_lseek_in),
	  sizeof(struct fuse_lseek_out), 0 },
	{ FUSE_STATFS, do_statfs, 0, sizeof(struct fuse_statfs_out), 0 },
};

static const struct operation *find(uint32_t code)
{
	size_t i;

	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (operations[i].code == code)
			return &operations[i];
	return NULL;
}

/* The body is copied, so that what was checked is what is used. */
static int perform(struct request *r, const struct operation *op)
{
	uint64_t body[(BODY_MOST + 7) / 8];
	size_t size = (op->flags & DATA) ? op->takes : r->chain->out_size;

	if (r->share->read_only && (op->flags & WRITES))
		return -EROFS;
	if (r->chain->out_size < op->takes || r->chain->in_size < op->gives)
		return -EINVAL;
	if (size > sizeof(body))
		return -ENAMETOOLONG;
	chain_read(r->chain, body, size);
	r->at = (const uint8_t *)body;
	r->left = size;
	r->node = (op->flags & WHOLE) ? NULL : node_get(r->share, r->in.nodeid);
	if (!(op->flags & WHOLE) && !r->node)
		return -ESTALE;
	if (r->node && r->node->hollow && (op->flags & WRITES))
		return -EROFS;
	return op->act(r);
}

static int result_of(struct request *r, const struct operation *op)
{
	if (!op)
		return -ENOSYS;
	if (r->in.len != sizeof(r->in) + r->chain->out_size)
		return -EINVAL;
	return perform(r, op);
}

uint32_t share_request(struct share *share, struct chain *chain, enum share_rule *rule)
{
	struct request r = { .share = share, .chain = chain };
	struct fuse_out_header out = { .len = sizeof(out) };
	struct chain answer = *chain;	/* where its header goes, at last */
	const struct operation *op;
	int result;

	if (chain_read(chain, &r.in, sizeof(r.in)) != sizeof(r.in)) {
		*rule = SHARE_NO_HEADER;
		return VIRTIO_BAD;
	}
	op = find(r.in.opcode);
	if (op && (op->flags & SILENT)) {
		result_of(&r, op);
		return 0;
	}
	if (chain_write(chain, &out, sizeof(out)) != sizeof(out)) {
		*rule = SHARE_NO_ROOM;
		return VIRTIO_BAD;
	}
	result = result_of(&r, op);
	if (result < 0)
		out.error = result;
	else
		out.len += result;
	out.unique = r.in.unique;
	chain_write(&answer, &out, sizeof(out));
	return out.len;
}
