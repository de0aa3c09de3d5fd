// SPDX-License-Identifier: GPL-2.0
/*
 * What is in a folder: its names, and with READDIRPLUS what they stand for.
 * Read next: hidden.c.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "share.h"

#define WINDOW		8192
#define WINDOWS_MOST	256	/* all of the launcher may have 64 MiB */

/*D:540
 * A position in a folder is a number that the host's file system made up.  On
 * some (tmpfs, before Linux 6.6) it counts the names before it: whoever removes
 * names while he reads, as rm -r does, and then goes to a position, has passed
 * over as many.  The open folder itself never does that, as long as it is read on
 * and on.  So a position is gone to only if the guest leaves the order of reading;
 * what was read and did not fit into an answer, or was in the last answers and the
 * guest's program had no room for it, is kept here.
 :*/
struct folder_window {
	uint64_t before;		/* position of the first byte */
	uint64_t given;			/* position behind what the guest got last */
	size_t given_at;		/* which is here */
	size_t size;
	char bytes[WINDOW] __attribute__((aligned(8)));
};

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

static const struct dirent64 *entry_at(const struct folder_window *w, size_t at)
{
	return (const void *)(w->bytes + at);
}

/* Go to where the guest goes on, in the window if that is there; or -errno. */
static int find_place(struct folder_window *w, int fd, uint64_t position)
{
	uint64_t here = w->before;
	size_t at = 0;

	if (position && position == w->given)
		return 0;
	while (here != position && at < w->size) {
		here = entry_at(w, at)->d_off;
		at += entry_at(w, at)->d_reclen;
	}
	if (!position || here != position) {
		if (lseek(fd, position, SEEK_SET) < 0)
			return -errno;
		at = w->size = 0;
		w->before = position;
	}
	w->given = position;
	w->given_at = at;
	return 0;
}

/* Have something to give; size is 0 at the folder's end.  Or -errno. */
static int fill_window(struct folder_window *w, int fd)
{
	ssize_t size;

	if (w->given_at < w->size)
		return 0;
	size = getdents64(fd, w->bytes, sizeof(w->bytes));
	if (size < 0)
		return -errno;
	w->before = w->given;
	w->given_at = 0;
	w->size = size;
	return 0;
}

static bool is_hidden(const struct listing *list, const struct dirent64 *entry)
{
	const struct share *share = list->r->share;

	return node_way(share, list->folder, entry->d_name) == WAY_HIDDEN ||
	       (!is_dots(entry->d_name) &&
		hidden_file(share->hidden, list->folder->device, entry->d_ino));
}

static int list_window(struct listing *list, struct folder_window *w)
{
	while (w->given_at < w->size) {
		const struct dirent64 *entry = entry_at(w, w->given_at);

		if (!is_hidden(list, entry) && !list_one(list, entry))
			return list->used ? (int)list->used : -EINVAL;
		w->given = entry->d_off;
		w->given_at += entry->d_reclen;
	}
	return list->used;
}

static int make_window(struct share *share, struct open_file *file)
{
	unsigned int i, n = 0;

	for (i = 0; i < SHARE_OPEN_MOST; i++)
		n += share->open[i].window != NULL;
	if (n >= WINDOWS_MOST)
		return -ENFILE;
	file->window = calloc(1, sizeof(*file->window));
	return file->window ? 0 : -ENOMEM;
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
	int error = 0, listed = 0;

	if (!file)
		return -EBADF;
	if (r->node->hollow)
		return 0;
	if (!file->window)
		error = make_window(r->share, file);
	if (!error)
		error = find_place(file->window, file->fd, in->offset);
	/* Nothing is the folder's end, and must not be because all of it is hidden. */
	do {
		if (!error)
			error = fill_window(file->window, file->fd);
		if (!error)
			listed = list_window(&list, file->window);
	} while (!error && !listed && file->window->size);
	return error ? error : listed;
}

int do_readdir(struct request *r)
{
	return list(r, false);
}

int do_readdirplus(struct request *r)
{
	return list(r, true);
}
