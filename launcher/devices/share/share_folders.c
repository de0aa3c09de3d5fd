// SPDX-License-Identifier: GPL-2.0
/*
 * What is in a folder: its names, and with READDIRPLUS what they stand for.
 * Read next: devices/vsock/virtio_vsock.c.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "share.h"

struct listing {
	struct request *r;
	const struct node *folder;
	size_t room, used;
	bool plus;
};

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* False if it does not fit. */
static bool list_one(struct listing *list, const struct dirent64 *from)
{
	static const char zeroes[sizeof(uint64_t)];
	struct fuse_entry_out entry = { .nodeid = 0 };
	size_t length = strlen(from->d_name);
	struct fuse_dirent to = {
		.ino = from->d_ino,
		.off = from->d_off,
		.namelen = length,
		.type = from->d_type,
	};
	size_t size = (list->plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET) + length;
	size_t padding = FUSE_DIRENT_ALIGN(size) - size;

	if (list->used + size + padding > list->room)
		return false;
	/* Without a node the guest looks it up later, and hears why it cannot. */
	if (list->plus && !is_dots(from->d_name) &&
	    enter_name(list->r->share, list->folder, from->d_name, &entry))
		memset(&entry, 0, sizeof(entry));
	if (list->plus)
		chain_write(list->r->chain, &entry, sizeof(entry));
	chain_write(list->r->chain, &to, FUSE_NAME_OFFSET);
	chain_write(list->r->chain, from->d_name, length);
	chain_write(list->r->chain, zeroes, padding);
	list->used += size + padding;
	return true;
}

/* 1: go on; 0: the end, or no more room; or -errno. */
static int list_some(struct listing *list, int fd)
{
	char buffer[4096] __attribute__((aligned(8)));
	ssize_t at, size = getdents64(fd, buffer, sizeof(buffer));

	if (size <= 0)
		return size < 0 && !list->used ? -errno : 0;
	for (at = 0; at < size; ) {
		const struct dirent64 *entry = (void *)(buffer + at);

		if (!list_one(list, entry))
			return 0;
		at += entry->d_reclen;
	}
	return 1;
}

static int list(struct request *r, bool plus)
{
	const struct fuse_read_in *in = request_take(r, sizeof(*in));
	struct open_file *file = open_file_get(r, in->fh, true);
	struct listing list = {
		.r = r,
		.folder = r->node,
		.room = in->size < r->chain->in_size ? in->size : r->chain->in_size,
		.plus = plus,
	};
	int error;

	if (!file)
		return -EBADF;
	if (r->node->hollow)
		return 0;
	if (lseek(file->fd, in->offset, SEEK_SET) < 0)
		return -errno;
	do
		error = list_some(&list, file->fd);
	while (error > 0);
	return error ? error : (int)list.used;
}

int do_readdir(struct request *r)
{
	return list(r, false);
}

int do_readdirplus(struct request *r)
{
	return list(r, true);
}
