// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest does not see: names, kept as a tree of the components on the way to
 * them, and files, kept by their numbers.  A name alone would not do, since a file has
 * as many as it has hard links; nor a number alone, since whoever writes such a file
 * anew, as editors do, gives it another.  The guest's kernel has no part in it: what is
 * hidden is not found by the share's server.
 * Read next: secrets.c.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hidden.h"
#include "lguest.h"

#define WALK_MOST	(1U << 16)	/* files in what is hidden, looked at for other names */

struct way {
	char *name;
	bool pattern, end;
	uint16_t child, next;		/* the first below it, and the next beside it */
};

struct file_id {
	uint64_t device, number;
};

struct hidden {
	struct way *ways;
	unsigned int ways_used, ways_room;
	struct file_id *files;		/* sorted by hidden_complete() */
	size_t files_used, files_room;
	bool failed;
};

bool path_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	if (length == 1)
		return path[1];
	return !strncmp(path, folder, length) && path[length] == '/' && path[length + 1];
}

char *path_settle(const char *path)
{
	char *head = strdup(path), *real = NULL, *whole = NULL;
	size_t length = head ? strlen(head) : 0;

	/* Shorter by a component each time, until it is there. */
	while (length && !real) {
		head[length] = '\0';
		real = realpath(head, NULL);
		while (!real && length && head[--length] != '/')
			;
	}
	if (!real)
		real = strdup("/");
	if (real && asprintf(&whole, "%s%s", !strcmp(real, "/") && path[length] ? "" : real,
			     path + length) < 0)
		whole = NULL;
	for (length = whole ? strlen(whole) : 0; length > 1 && whole[length - 1] == '/';)
		whole[--length] = '\0';
	free(head);
	free(real);
	return whole;
}

char *path_place(const char *path)
{
	char *copy = strdup(path), *last, *folder = NULL, *place = NULL;
	size_t length = copy ? strlen(copy) : 0;

	while (length > 1 && copy[length - 1] == '/')
		copy[--length] = '\0';
	last = copy ? strrchr(copy, '/') : NULL;
	last = last ? last + 1 : copy;
	if (copy && (!*last || !strcmp(last, ".") || !strcmp(last, "..")))
		place = path_settle(copy);
	else if (copy)
		folder = last == copy ? path_settle(".") : strndup(copy, last - copy);
	if (folder && last != copy) {
		char *written = folder;

		folder = path_settle(written);
		free(written);
	}
	if (folder && asprintf(&place, "%s/%s", folder[1] ? folder : "", last) < 0)
		place = NULL;
	free(folder);
	free(copy);
	return place;
}

/* ---- names */

static uint16_t new_way(struct hidden *h, const char *name, size_t length)
{
	struct way *more;

	if (h->ways_used == h->ways_room) {
		unsigned int room = h->ways_room * 2;

		more = room < WAY_HIDDEN ? realloc(h->ways, room * sizeof(*more)) : NULL;
		if (!more)
			return WAY_NONE;
		h->ways = more;
		h->ways_room = room;
	}
	h->ways[h->ways_used] = (struct way){ .name = strndup(name, length) };
	return h->ways[h->ways_used].name ? h->ways_used++ : WAY_NONE;
}

/* The component below a way that is written so; it is made if it is not there. */
static uint16_t step(struct hidden *h, uint16_t from, const char *name, size_t length,
		     bool pattern)
{
	uint16_t at = h->ways[from].child;

	for (; at; at = h->ways[at].next)
		if (strlen(h->ways[at].name) == length && h->ways[at].pattern == pattern &&
		    !strncmp(h->ways[at].name, name, length))
			return at;
	at = new_way(h, name, length);
	if (!at)
		return WAY_NONE;
	h->ways[at].pattern = pattern;
	h->ways[at].next = h->ways[from].child;
	h->ways[from].child = at;
	return at;
}

static void add_name(struct hidden *h, const char *path, bool pattern)
{
	uint16_t at = WAY_TOP;

	while (at && *path) {
		size_t slashes = strspn(path, "/"), length = strcspn(path + slashes, "/");

		path += slashes + length;
		if (length)
			at = step(h, at, path - length, length, pattern && !*path);
	}
	if (at)
		h->ways[at].end = true;
	else
		h->failed = true;
}

uint16_t hidden_way(const struct hidden *h, uint16_t way, const char *name)
{
	uint16_t at, found = WAY_NONE;

	if (!h || way == WAY_NONE || way == WAY_HIDDEN)
		return way;
	for (at = h->ways[way].child; at; at = h->ways[at].next) {
		const struct way *w = &h->ways[at];

		if (w->pattern ? fnmatch(w->name, name, 0) : strcmp(w->name, name))
			continue;
		if (w->end)
			return WAY_HIDDEN;
		found = at;
	}
	return found;
}

uint16_t hidden_way_of(const struct hidden *h, const char *path)
{
	uint16_t way = h ? WAY_TOP : WAY_NONE;
	char name[NAME_MAX + 1];

	while (way != WAY_NONE && *path) {
		size_t slashes = strspn(path, "/"), length = strcspn(path + slashes, "/");

		path += slashes + length;
		if (!length || length > NAME_MAX)
			continue;
		memcpy(name, path - length, length);
		name[length] = '\0';
		way = hidden_way(h, way, name);
	}
	return way;
}

/* ---- files */

static uint64_t device_of(const struct stat *status)
{
	return (uint64_t)major(status->st_dev) << 32 | minor(status->st_dev);
}

static void add_file(struct hidden *h, const struct stat *status)
{
	if (h->files_used == h->files_room) {
		size_t room = h->files_room ? h->files_room * 2 : 64;
		struct file_id *more = realloc(h->files, room * sizeof(*more));

		if (!more) {
			h->failed = true;
			return;
		}
		h->files = more;
		h->files_room = room;
	}
	h->files[h->files_used++] = (struct file_id){ device_of(status), status->st_ino };
}

/* nftw() has no argument of ours. */
static struct {
	struct hidden *hidden;
	unsigned int seen;
} walk;

/* Of what lies in a hidden folder, only what has one more name can be met elsewhere. */
static int walk_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)path;
	if (++walk.seen > WALK_MOST)
		return 1;
	if (kind != FTW_NS && (!at->level || (S_ISREG(status->st_mode) && status->st_nlink > 1)))
		add_file(walk.hidden, status);
	return 0;
}

static void add_tree(struct hidden *h, const char *path)
{
	walk.hidden = h;
	walk.seen = 0;
	if (nftw(path, walk_one, 16, FTW_PHYS | FTW_MOUNT) == 1)
		problem("%s: hidden, but too large to look for files in it that have another name elsewhere; hide those too, if there are any",
			path);
}

static void add_matches(struct hidden *h, const char *root, const char *folder,
			const char *pattern)
{
	DIR *dir = opendir(*folder ? folder : "/");
	struct dirent *entry;
	char *path;

	while (dir && (entry = readdir(dir))) {
		if (fnmatch(pattern, entry->d_name, FNM_PERIOD))
			continue;
		if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0) {
			h->failed = true;
			break;
		}
		hidden_add(h, root, path, false);
		free(path);
	}
	if (dir)
		closedir(dir);
}

/* The path of a link is hidden, and where it leads to. */
static void add_settled(struct hidden *h, const char *root, const char *path, bool pattern)
{
	struct stat status;
	char *real;

	if (!path_below(path, root))
		return;
	add_name(h, path, pattern);
	if (pattern || lstat(path, &status))
		return;
	if (!S_ISLNK(status.st_mode)) {
		add_tree(h, path);
		return;
	}
	real = realpath(path, NULL);
	if (real)
		add_settled(h, root, real, false);
	free(real);
}

void hidden_add(struct hidden *h, const char *root, const char *path, bool pattern)
{
	char *place = path_place(path), *last;

	if (!place) {
		h->failed = true;
		return;
	}
	add_settled(h, root, place, pattern);
	if (pattern) {
		last = strrchr(place, '/');
		*last++ = '\0';
		add_matches(h, root, place, last);
	}
	free(place);
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct file_id));
}

bool hidden_complete(const struct hidden *h)
{
	if (h->files_used)
		qsort(h->files, h->files_used, sizeof(*h->files), compare);
	return !h->failed;
}

bool hidden_file(const struct hidden *h, uint64_t device, uint64_t number)
{
	const struct file_id id = { device, number };

	return h && h->files_used &&
	       bsearch(&id, h->files, h->files_used, sizeof(id), compare);
}

struct hidden *hidden_create(void)
{
	struct hidden *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->ways_room = 64;
	h->ways = calloc(h->ways_room, sizeof(*h->ways));
	h->ways_used = WAY_TOP + 1;	/* WAY_NONE is none */
	if (h->ways)
		return h;
	free(h);
	return NULL;
}
