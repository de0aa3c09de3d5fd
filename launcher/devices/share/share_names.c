// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on names in a folder of a share.  A name was checked by
 * request_name(); the folder is the node's own descriptor, so that it does not
 * matter what others rename meanwhile; and links, "magic" ones included, are
 * never followed.  What is hidden is not there, and cannot be made, nor can a folder on
 * the way to it be moved: it is busy, as the place of a mount is.  Device nodes and set-user-ID bits, which would mean something
 * to the host, are not made.
 * Read next: share_folders.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail/fixed.h"
#include "share.h"

/*D:520
 * Every look by name is this one.  The name is one component (request_name) and
 * no link is followed, so it leads into the folder.  Crossing into another mount
 * is allowed, as the user has it mounted there; kernel interfaces become hollow
 * (node_enter).  What openat2() is to do lies in a structure, which the filter
 * does not see; it knows this one by its address.
 :*/
static int look_beneath(const struct node *folder, const char *name)
{
	int fd = syscall(SYS_openat2, folder->fd, name, &fixed_look, sizeof(fixed_look));

	return fd < 0 ? -errno : fd;
}

static int enter(struct share *share, const struct node *parent, const char *name, int fd,
		 struct fuse_entry_out *entry)
{
	struct statx status;
	struct node *node;
	int error = node_enter(share, parent, name, fd, &status, &node);

	if (error)
		return error;
	memset(entry, 0, sizeof(*entry));
	entry->nodeid = node_number(share, node);
	entry->entry_valid = share_cache_time(share);
	entry->attr_valid = share_cache_time(share);
	fill_attributes(&status, &entry->attr);
	return 0;
}

int enter_name(struct share *share, const struct node *parent, const char *name,
	       struct fuse_entry_out *entry)
{
	bool hidden = parent->hollow || node_way(share, parent, name) == WAY_HIDDEN;
	int fd = hidden ? -ENOENT : look_beneath(parent, name);

	return fd < 0 ? fd : enter(share, parent, name, fd, entry);
}

/* That nothing is there can be remembered too. */
int do_lookup(struct request *r)
{
	const char *name = request_name(r);
	struct fuse_entry_out entry;
	int error = name ? enter_name(r->share, r->node, name, &entry) : -EINVAL;

	if (error == -ENOENT && r->share->steady) {
		memset(&entry, 0, sizeof(entry));
		entry.entry_valid = share_cache_time(r->share);
		error = 0;
	}
	return error ? error : request_reply(r, &entry, sizeof(entry));
}

/* May a guest make something of this name?  0 or -errno. */
static int may_make(const struct request *r, const char *name)
{
	if (!name)
		return -EINVAL;
	return node_way(r->share, r->node, name) == WAY_HIDDEN ? -EACCES : 0;
}

/*
 * All of it or nothing: what cannot be given to its user, or has no place among the
 * nodes, is an error to the guest, and so it is not left behind.
 */
static int unmake(const struct node *folder, const char *name, int error)
{
	if (unlinkat(folder->fd, name, 0) && errno == EISDIR)
		unlinkat(folder->fd, name, AT_REMOVEDIR);
	return error;
}

/* What was just made under this name. */
static int enter_new(struct request *r, const char *name, struct fuse_entry_out *entry)
{
	const struct change change = {
		.what = CHANGE_GIVE, .uid = r->in.uid, .gid = r->in.gid,
	};
	int error, fd = look_beneath(r->node, name);

	if (fd < 0)
		return fd;
	error = r->share->give_away ? change_file(r->share, fd, &change) : 0;
	if (error)
		close(fd);
	else
		error = enter(r->share, r->node, name, fd, entry);
	return error ? unmake(r->node, name, error) : 0;
}

static int answer_new(struct request *r, int failed, const char *name)
{
	struct fuse_entry_out entry;
	int error = failed ? -errno : enter_new(r, name, &entry);

	return error ? error : request_reply(r, &entry, sizeof(entry));
}

int do_mkdir(struct request *r)
{
	const struct fuse_mkdir_in *in = request_take(r, sizeof(*in));
	const char *name = request_name(r);
	int error = may_make(r, name);

	if (error)
		return error;
	return answer_new(r, mkdirat(r->node->fd, name, in->mode & SHARE_MODE_MOST), name);
}

int do_mknod(struct request *r)
{
	const struct fuse_mknod_in *in = request_take(r, sizeof(*in));
	const char *name = request_name(r);
	mode_t type = in->mode & S_IFMT;
	int error = may_make(r, name);

	if (error)
		return error;
	if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return -EPERM;
	return answer_new(r, mknodat(r->node->fd, name, type | (in->mode & SHARE_MODE_MOST), 0),
			  name);
}

/* What it says is the guest's affair: nobody here follows it. */
int do_symlink(struct request *r)
{
	const char *name = request_name(r);
	const char *target = request_text(r);
	int error = target ? may_make(r, name) : -EINVAL;

	if (error)
		return error;
	return answer_new(r, symlinkat(target, r->node->fd, name), name);
}

/* The old name is not known, and need not be: /proc/self/fd leads to the node. */
int do_link(struct request *r)
{
	const struct fuse_link_in *in = request_take(r, sizeof(*in));
	const char *name = request_name(r);
	struct node *old = node_get(r->share, in->oldnodeid);
	struct fuse_entry_out entry;
	int error = may_make(r, name);

	if (error)
		return error;
	if (!old)
		return -ESTALE;
	error = hold(old->fd);
	if (!error && linkat(r->share->proc, fixed_held, r->node->fd, name, AT_SYMLINK_FOLLOW))
		error = -errno;
	let_go(r->share);
	if (error)
		return error;
	error = enter_name(r->share, r->node, name, &entry);
	return error ? unmake(r->node, name, error) : request_reply(r, &entry, sizeof(entry));
}

static int remove_name(struct request *r, int flags)
{
	const char *name = request_name(r);
	uint16_t way = name ? node_way(r->share, r->node, name) : WAY_NONE;

	if (!name)
		return -EINVAL;
	if (way == WAY_HIDDEN)
		return -ENOENT;
	if (way && flags == AT_REMOVEDIR)
		return -EBUSY;
	return unlinkat(r->node->fd, name, flags) ? -errno : 0;
}

int do_unlink(struct request *r)
{
	return remove_name(r, 0);
}

int do_rmdir(struct request *r)
{
	return remove_name(r, AT_REMOVEDIR);
}

/* What is hidden stays where it is, and so does all that leads to it.  0 or -errno. */
static int may_move(uint16_t from, uint16_t to)
{
	if (from == WAY_HIDDEN)
		return -ENOENT;
	if (to == WAY_HIDDEN)
		return -EACCES;
	return from || to ? -EBUSY : 0;
}

static int move(struct request *r, uint64_t folder, unsigned int flags)
{
	const char *old = request_name(r);
	const char *new = request_name(r);
	struct node *to = node_get(r->share, folder);
	int error;

	if (!old || !new || (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)))
		return -EINVAL;
	if (!to)
		return -ESTALE;
	if (to->hollow)
		return -EROFS;
	error = may_move(node_way(r->share, r->node, old), node_way(r->share, to, new));
	if (error)
		return error;
	/* The C library's own would call renameat() for no flags. */
	return syscall(SYS_renameat2, r->node->fd, old, to->fd, new, flags) ? -errno : 0;
}

int do_rename(struct request *r)
{
	const struct fuse_rename_in *in = request_take(r, sizeof(*in));

	return move(r, in->newdir, 0);
}

int do_rename2(struct request *r)
{
	const struct fuse_rename2_in *in = request_take(r, sizeof(*in));

	return move(r, in->newdir, in->flags);
}

/*
 * The name is new, or it is opened as any node is: only so can nothing but a
 * regular file be opened.
 */
static int create(struct request *r, const char *name, const struct fuse_create_in *in,
		  struct fuse_entry_out *entry, bool *made)
{
	int flags = open_flags(in->flags);
	int error = may_make(r, name), fd;

	*made = false;
	if (error)
		return error;
	fd = openat(r->node->fd, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    in->mode & SHARE_MODE_MOST);
	if (fd < 0)
		fd = -errno;
	*made = fd >= 0;
	if (*made) {
		error = enter_new(r, name, entry);
		if (error)
			close(fd);
		return error ? error : fd;
	}
	if (fd != -EEXIST || (in->flags & O_EXCL))
		return fd;
	error = enter_name(r->share, r->node, name, entry);
	if (error)
		return error;
	fd = S_ISDIR(entry->attr.mode) ? -EISDIR :
	     node_open(r->share, node_get(r->share, entry->nodeid), flags);
	if (fd < 0)
		node_forget(r->share, entry->nodeid, 1);
	return fd;
}

int do_create(struct request *r)
{
	const struct fuse_create_in *in = request_take(r, sizeof(*in));
	const char *name = request_name(r);
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { .open.open_flags = share_open_hints(r->share) };
	bool made;
	int fd;

	if (!name || (in->flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	fd = create(r, name, in, &out.entry, &made);
	if (fd < 0)
		return fd;
	fd = open_file_add(r->share, node_get(r->share, out.entry.nodeid), fd, false,
			   in->flags & O_APPEND);
	if (fd < 0) {
		node_forget(r->share, out.entry.nodeid, 1);
		return made ? unmake(r->node, name, fd) : fd;
	}
	out.open.fh = fd;
	return request_reply(r, &out, sizeof(out));
}
