// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on what a name stands for, and on open files.  Data goes straight
 * between the host's file and the memory that the machine sees, too.
 * Read next: share_names.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "jail/fixed.h"
#include "share.h"

#define CACHE_SHORT	1	/* seconds: others change the folder too */
#define CACHE_STEADY	60

uint64_t share_cache_time(const struct share *share)
{
	return share->steady ? CACHE_STEADY : CACHE_SHORT;
}

void fill_attributes(const struct statx *s, struct fuse_attr *to)
{
	*to = (struct fuse_attr){
		.ino = s->stx_ino,
		.size = s->stx_size,
		.blocks = s->stx_blocks,
		.atime = s->stx_atime.tv_sec,
		.mtime = s->stx_mtime.tv_sec,
		.ctime = s->stx_ctime.tv_sec,
		.atimensec = s->stx_atime.tv_nsec,
		.mtimensec = s->stx_mtime.tv_nsec,
		.ctimensec = s->stx_ctime.tv_nsec,
		.mode = s->stx_mode,
		.nlink = s->stx_nlink,
		.uid = s->stx_uid,
		.gid = s->stx_gid,
		/* As the protocol packs it: 12 bits of major, 20 of minor. */
		.rdev = (s->stx_rdev_minor & 0xff) | s->stx_rdev_major << 8 |
			(s->stx_rdev_minor & ~0xffU) << 12,
		.blksize = s->stx_blksize,
	};
}

static int answer_attributes(struct request *r)
{
	struct fuse_attr_out out = { .attr_valid = share_cache_time(r->share) };
	struct statx status;
	int error = node_status(r->node, &status);

	if (error)
		return error;
	fill_attributes(&status, &out.attr);
	return request_reply(r, &out, sizeof(out));
}

int do_getattr(struct request *r)
{
	return answer_attributes(r);
}

static int set_mode(struct request *r, unsigned int mode)
{
	const struct change change = { .what = CHANGE_MODE, .mode = mode };

	return S_ISLNK(r->node->type) ? -EOPNOTSUPP :
	       change_file(r->share, r->node->fd, &change);
}

static int set_owner(struct request *r, const struct fuse_setattr_in *in)
{
	const struct change change = {
		.what = CHANGE_OWNER,
		.uid = in->valid & FATTR_UID ? in->uid : (uid_t)-1,
		.gid = in->valid & FATTR_GID ? in->gid : (gid_t)-1,
	};

	return change_file(r->share, r->node->fd, &change);
}

static int set_size(struct request *r, const struct fuse_setattr_in *in)
{
	struct open_file *file = NULL;
	int fd, error;

	if (!S_ISREG(r->node->type))
		return S_ISDIR(r->node->type) && in->size <= INT64_MAX ? -EISDIR : -EINVAL;
	if (in->valid & FATTR_FH)
		file = open_file_get(r, in->fh, false);
	fd = file ? file->fd : node_open(r->share, r->node, O_WRONLY);
	if (fd < 0)
		return fd;
	error = ftruncate(fd, in->size) ? -errno : 0;
	if (!file)
		close(fd);
	return error;
}

static struct timespec time_to_set(uint32_t valid, uint32_t set, uint32_t now,
				   uint64_t seconds, uint32_t ns)
{
	struct timespec t = { .tv_sec = seconds, .tv_nsec = ns };

	if (!(valid & set))
		t.tv_nsec = UTIME_OMIT;
	else if (valid & now)
		t.tv_nsec = UTIME_NOW;
	return t;
}

static int set_times(struct request *r, const struct fuse_setattr_in *in)
{
	const struct change change = { .what = CHANGE_TIMES, .times = {
		time_to_set(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
		time_to_set(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
	} };

	return change_file(r->share, r->node->fd, &change);
}

int do_setattr(struct request *r)
{
	const struct fuse_setattr_in *in = request_take(r, sizeof(*in));
	int error = 0;

	if (in->valid & FATTR_MODE)
		error = set_mode(r, in->mode);
	if (!error && (in->valid & (FATTR_UID | FATTR_GID)))
		error = set_owner(r, in);
	if (!error && (in->valid & FATTR_SIZE))
		error = set_size(r, in);
	if (!error && (in->valid & (FATTR_ATIME | FATTR_MTIME)))
		error = set_times(r, in);
	return error ? error : answer_attributes(r);
}

int do_readlink(struct request *r)
{
	char target[PATH_MAX];
	ssize_t size;

	if (!S_ISLNK(r->node->type))
		return -EINVAL;
	size = readlinkat(r->node->fd, fixed_empty, target, sizeof(target));
	return size < 0 ? -errno : request_reply(r, target, size);
}

int open_flags(uint32_t flags)
{
	return flags & (O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC);
}

bool flags_write(uint32_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

/* Of a root that nobody changes the guest may keep what it has read. */
uint32_t share_open_hints(const struct share *share)
{
	return share->steady ? FOPEN_KEEP_CACHE : 0;
}

static int answer_open(struct request *r, int fd, bool folder, bool append)
{
	struct fuse_open_out out = { .open_flags = share_open_hints(r->share) };
	int number = fd < 0 ? fd : open_file_add(r->share, r->node, fd, folder, append);

	if (number < 0)
		return number;
	if (folder && r->share->steady)
		out.open_flags |= FOPEN_CACHE_DIR;
	out.fh = number;
	return request_reply(r, &out, sizeof(out));
}

int do_open(struct request *r)
{
	const struct fuse_open_in *in = request_take(r, sizeof(*in));

	if ((in->flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if (S_ISDIR(r->node->type))
		return -EISDIR;
	if (r->share->read_only && flags_write(in->flags))
		return -EROFS;
	return answer_open(r, node_open(r->share, r->node, open_flags(in->flags)), false,
			   in->flags & O_APPEND);
}

int do_opendir(struct request *r)
{
	if (!S_ISDIR(r->node->type))
		return -ENOTDIR;
	return answer_open(r, node_open(r->share, r->node, O_RDONLY | O_DIRECTORY), true, false);
}

static int close_file(struct request *r, bool folder)
{
	const struct fuse_release_in *in = request_take(r, sizeof(*in));
	struct open_file *file = open_file_get(r, in->fh, folder);

	if (!file)
		return -EBADF;
	open_file_close(file);
	return 0;
}

int do_release(struct request *r)
{
	return close_file(r, false);
}

int do_releasedir(struct request *r)
{
	return close_file(r, true);
}

/* Shorten the parts to so many bytes; gives how many parts remain. */
static unsigned int cut(struct iovec *parts, unsigned int count, size_t size)
{
	unsigned int i;

	for (i = 0; i < count && size; i++) {
		if (parts[i].iov_len > size)
			parts[i].iov_len = size;
		size -= parts[i].iov_len;
	}
	return i;
}

int do_read(struct request *r)
{
	const struct fuse_read_in *in = request_take(r, sizeof(*in));
	struct open_file *file = open_file_get(r, in->fh, false);
	unsigned int parts;
	ssize_t got;

	if (!file)
		return -EBADF;
	if (in->offset > INT64_MAX || in->size > INT32_MAX)
		return -EINVAL;
	parts = cut(chain_in(r->chain), r->chain->in_parts, in->size);
	got = preadv(file->fd, chain_in(r->chain), parts, in->offset);
	return got < 0 ? -errno : (int)got;
}

/*
 * The guest writes a page of its cache (of a mapping) by whatever open file is
 * at hand; with O_APPEND it would land at the end.
 */
static ssize_t write_at(struct request *r, const struct open_file *file,
			const struct fuse_write_in *in)
{
	bool again = file->append && (in->write_flags & FUSE_WRITE_CACHE);
	int fd = again ? node_open(r->share, r->node, O_WRONLY) : file->fd;
	ssize_t done;

	if (fd < 0)
		return fd;
	done = pwritev(fd, chain_out(r->chain), r->chain->out_parts, in->offset);
	if (done < 0)
		done = -errno;
	if (again)
		close(fd);
	return done;
}

int do_write(struct request *r)
{
	const struct fuse_write_in *in = request_take(r, sizeof(*in));
	struct open_file *file = open_file_get(r, in->fh, false);
	struct fuse_write_out out = { .size = 0 };
	ssize_t done;

	if (!file)
		return -EBADF;
	if (in->offset > INT64_MAX || in->size != r->chain->out_size)
		return -EINVAL;
	done = write_at(r, file, in);
	if (done < 0)
		return done;
	out.size = done;
	return request_reply(r, &out, sizeof(out));
}

static int sync_file(struct request *r, bool folder)
{
	const struct fuse_fsync_in *in = request_take(r, sizeof(*in));
	struct open_file *file = open_file_get(r, in->fh, folder);

	if (!file)
		return -EBADF;
	return (in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(file->fd) :
							 fsync(file->fd)) ? -errno : 0;
}

int do_fsync(struct request *r)
{
	return sync_file(r, false);
}

int do_fsyncdir(struct request *r)
{
	return sync_file(r, true);
}

int do_fallocate(struct request *r)
{
	const struct fuse_fallocate_in *in = request_take(r, sizeof(*in));
	struct open_file *file = open_file_get(r, in->fh, false);

	if (!file)
		return -EBADF;
	if (in->mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	return fallocate(file->fd, in->mode, in->offset, in->length) ? -errno : 0;
}

/* The guest's kernel does the others itself. */
int do_lseek(struct request *r)
{
	const struct fuse_lseek_in *in = request_take(r, sizeof(*in));
	struct open_file *file = open_file_get(r, in->fh, false);
	struct fuse_lseek_out out;
	off_t at;

	if (!file)
		return -EBADF;
	if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
		return -EINVAL;
	at = lseek(file->fd, in->offset, in->whence);
	if (at < 0)
		return -errno;
	out.offset = at;
	return request_reply(r, &out, sizeof(out));
}

int do_statfs(struct request *r)
{
	struct fuse_statfs_out out = { .st.blocks = 0 };
	struct statfs status;

	if (fstatfs(r->node->fd, &status))
		return -errno;
	out.st = (struct fuse_kstatfs){
		.blocks = status.f_blocks,
		.bfree = status.f_bfree,
		.bavail = status.f_bavail,
		.files = status.f_files,
		.ffree = status.f_ffree,
		.bsize = status.f_bsize,
		.frsize = status.f_frsize,
		.namelen = status.f_namelen,
	};
	return request_reply(r, &out, sizeof(out));
}
