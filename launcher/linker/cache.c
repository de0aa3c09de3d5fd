// SPDX-License-Identifier: GPL-2.0
/*P:120
 * Linking takes half a second, most of it unpacking, so it is done once.  The
 * name of a file in the cache says what went into it: the release, for people,
 * and SHA-256 of the kernel's file and of the layer's two files.  If one of them changes
 * so does the name, and nothing is ever stale; nor can anybody make another kernel that
 * has the name of one that root has linked for all.
 *
 * To read a kernel and sum it up at each start takes longer than all else that the
 * launcher does.  So its sum is remembered, as the target of a symbolic link whose
 * name is everything that changes when the kernel's file does.
 *
 * The cache is $XDG_CACHE_HOME/lguest, for root /var/cache/lguest, and
 * otherwise ~/.cache/lguest.  What root has linked serves everybody; of what else is
 * there, what nobody has used for two months goes when something new comes.
 * Read next: debug_file.c.
:*/
#define _GNU_SOURCE 1
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <nettle/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache.h"
#include "io.h"

#define ROOTS_CACHE	"/var/cache/lguest"
/* s; the coarsest clock of a file system (FAT) */
#define CLOCK_STEP	2
#define DAY		(24 * 60 * 60)
#define UNUSED_MOST	(60 * DAY)

static char *cache_dir(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *dir = NULL;
	int ret = -1;

	/* The XDG specification: a relative path is to be ignored. */
	if (xdg && *xdg == '/')
		ret = asprintf(&dir, "%s/lguest", xdg);
	else if (geteuid() == 0)
		ret = asprintf(&dir, ROOTS_CACHE);
	else if (home && *home == '/')
		ret = asprintf(&dir, "%s/.cache/lguest", home);
	return ret < 0 ? NULL : dir;
}

/* mkdir -p */
static int make_dirs(char *dir, struct lguest_error *err)
{
	char *slash = dir;
	int ret;

	do {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		ret = mkdir(dir, 0755);
		if (ret < 0 && errno != EEXIST)
			return link_fail(err, "making the cache directory %s: %s; set XDG_CACHE_HOME to where you may write, or use: lguest link -o FILE",
					 dir, strerror(errno));
		if (slash)
			*slash = '/';
	} while (slash);
	return 0;
}

static struct sum end_sum(struct sha256_ctx *state)
{
	uint8_t bytes[SHA256_DIGEST_SIZE];
	struct sum sum;
	unsigned int i;

#if NETTLE_VERSION_MAJOR >= 4
	sha256_digest(state, bytes);
#else
	sha256_digest(state, sizeof(bytes), bytes);
#endif
	for (i = 0; i < sizeof(bytes); i++)
		snprintf(sum.text + 2 * i, 3, "%02x", bytes[i]);
	return sum;
}

struct sum kernel_sum(const struct blob *vmlinuz)
{
	struct sha256_ctx state;

	sha256_init(&state);
	sha256_update(&state, vmlinuz->size, vmlinuz->data);
	return end_sum(&state);
}

/* With their sizes, so that no byte can change over from one to the other. */
static struct sum layer_sum(const struct layer *layer)
{
	const struct blob *const files[] = { &layer->object_file, &layer->script_file };
	struct sha256_ctx state;
	char head[64];
	unsigned int i;

	sha256_init(&state);
	for (i = 0; i < 2; i++) {
		snprintf(head, sizeof(head), "%u %zu\n", LGUEST_LINK_VERSION, files[i]->size);
		sha256_update(&state, strlen(head), (uint8_t *)head);
		sha256_update(&state, files[i]->size, files[i]->data);
	}
	return end_sum(&state);
}

static char *sum_in(const char *dir, const struct stat *file)
{
	char *path;

	if (asprintf(&path, "%s/sha256-%llx-%llx-%llx-%llx.%lx-%llx.%lx", dir,
		     (unsigned long long)file->st_dev,
		     (unsigned long long)file->st_ino,
		     (unsigned long long)file->st_size,
		     (unsigned long long)file->st_mtim.tv_sec,
		     file->st_mtim.tv_nsec,
		     (unsigned long long)file->st_ctim.tv_sec,
		     file->st_ctim.tv_nsec) < 0)
		return NULL;
	return path;
}

/* Of anyone's, or of root's only. */
static bool recall_from(const char *dir, const struct stat *file, bool roots,
			char **release, struct sum *sum)
{
	char text[256], *path = sum_in(dir, file);
	const size_t digits = sizeof(sum->text) - 1;
	struct stat status;
	ssize_t len = -1;

	if (path && !lstat(path, &status) && (!roots || status.st_uid == 0))
		len = readlink(path, text, sizeof(text) - 1);
	free(path);
	if (len <= 0)
		return false;
	text[len] = '\0';
	if (strspn(text, "0123456789abcdef") != digits || text[digits] != '-' ||
	    strchr(text, '/'))
		return false;
	text[digits] = '\0';
	memcpy(sum->text, text, sizeof(sum->text));
	*release = strdup(text + digits + 1);
	return *release;
}

bool cache_recall(const char *vmlinuz, char **release, struct sum *sum)
{
	struct stat file;
	bool found;
	char *dir;

	if (stat(vmlinuz, &file))
		return false;
	if (recall_from(ROOTS_CACHE, &file, true, release, sum))
		return true;
	dir = cache_dir();
	found = dir && recall_from(dir, &file, false, release, sum);
	free(dir);
	return found;
}

bool cache_remember(const struct stat *file, const char *release, const struct sum *sum)
{
	char *dir, *path = NULL, *text = NULL;
	struct lguest_error ignored;
	time_t now = time(NULL);
	bool done;

	/* A change a moment after this one may have the same times. */
	if (now <= file->st_mtim.tv_sec + CLOCK_STEP ||
	    now <= file->st_ctim.tv_sec + CLOCK_STEP)
		return false;
	dir = cache_dir();
	if (dir && !make_dirs(dir, &ignored))
		path = sum_in(dir, file);
	if (asprintf(&text, "%s-%s", sum->text, release) < 0)
		text = NULL;
	done = path && text && !symlink(text, path);
	free(text);
	free(path);
	free(dir);
	return done;
}

static char *name_in(const char *dir, const struct sum *kernel_sum,
		     const char *release, const struct layer *layer)
{
	struct sum sum = layer_sum(layer);
	char *path;

	if (asprintf(&path, "%s/%s-%s-%s.elf", dir, release, kernel_sum->text, sum.text) < 0)
		return NULL;
	return path;
}

/* Of "RELEASE-SUM-SUM.elf...", with sums of so many digits, the end; NULL: it is not so. */
static const char *behind_sums(const char *name, size_t digits)
{
	const char *end = strstr(name, ".elf");
	size_t size = 2 * (digits + 1), i;

	if (!end || (size_t)(end - name) <= size)
		return NULL;
	for (i = 0; i < size; i++)
		if (i % (digits + 1) ? !isxdigit((unsigned char)end[i - size]) : end[i - size] != '-')
			return NULL;
	return end + strlen(".elf");
}

/* By CRC64. */
static bool is_of_old(const char *name)
{
	const char *end = behind_sums(name, 16);

	return !strncmp(name, "sum-", 4) || (end && !*end);
}

/*
 * What nobody has used for long: of a kernel or a layer that was replaced, mostly.  What
 * is not finished was left by an lguest that was killed.
 */
static bool is_left(int dir, const char *name, bool for_all)
{
	const char *end = behind_sums(name, sizeof(((struct sum *)0)->text) - 1);
	bool unfinished = end && *end;
	struct stat status;

	if ((!end && strncmp(name, "sha256-", 7)) || (for_all && !unfinished))
		return false;
	return !fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) &&
	       time(NULL) - status.st_mtim.tv_sec > (unfinished ? DAY : UNUSED_MOST);
}

/* In root's cache time decides nothing: nothing there changes, whoever uses it. */
void cache_used(const char *path)
{
	if (strncmp(path, ROOTS_CACHE "/", strlen(ROOTS_CACHE "/")))
		utimensat(AT_FDCWD, path, NULL, 0);
}

/* What root has linked for all, `lguest link --all` removes, when its kernel is gone. */
void cache_prune(void)
{
	char *path = cache_dir();
	DIR *dir = path ? opendir(path) : NULL;
	bool for_all = path && !strcmp(path, ROOTS_CACHE);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (is_of_old(entry->d_name) || is_left(dirfd(dir), entry->d_name, for_all))
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	free(path);
}

/* Is it there, and has nobody but root made it? */
static bool is_roots(const char *path)
{
	struct stat status;

	return !stat(path, &status) && S_ISREG(status.st_mode) &&
	       status.st_uid == 0 && !(status.st_mode & (S_IWGRP | S_IWOTH)) &&
	       !access(path, R_OK);
}

int cache_path(const struct sum *kernel_sum, const char *release,
	       const struct layer *layer, char **path,
	       struct lguest_error *err)
{
	char *dir;
	int ret;

	*path = name_in(ROOTS_CACHE, kernel_sum, release, layer);
	if (*path && is_roots(*path))
		return 0;
	free(*path);
	*path = NULL;
	dir = cache_dir();
	if (!dir)
		return link_fail(err, "linking: no cache directory, because HOME is not set; set it, or use: lguest link -o FILE");
	ret = make_dirs(dir, err);
	if (!ret) {
		*path = name_in(dir, kernel_sum, release, layer);
		if (!*path)
			ret = link_fail(err, "linking: no memory");
	}
	free(dir);
	return ret;
}

static bool shall_end(void *nothing)
{
	(void)nothing;
	return signals_came();
}

/* What is wrong, or 0.  The data must be there before the name is. */
static int write_contents(int fd, const struct blob *contents)
{
	int why = write_all(fd, contents->data, contents->size, shall_end, NULL);

	return why || !fsync(fd) ? why : errno;
}

static int write_then_name(char *temp, const char *path, const struct blob *contents)
{
	mode_t mask = umask(0);
	int fd, why;

	umask(mask);
	fd = mkostemp(temp, 0);
	if (fd < 0)
		return errno;
	why = write_contents(fd, contents);
	if (!why && fchmod(fd, 0644 & ~mask) < 0)
		why = errno;
	if (close(fd) < 0 && !why)
		why = errno;
	if (!why && signals_came())
		why = EINTR;
	if (!why && rename(temp, path) < 0)
		why = errno;
	if (why)
		unlink(temp);
	return why;
}

/*
 * A name that is given would be another file's from then on: of a device, a pipe or a
 * folder nobody means that.  A symbolic link stays, and what it leads to is replaced.
 */
static int find_target(const char *path, char **target, struct lguest_error *err)
{
	struct stat status;
	bool there = !stat(path, &status);

	*target = there ? realpath(path, NULL) : NULL;
	if (there && !S_ISREG(status.st_mode))
		return link_fail(err, "writing %s: it is there, and no ordinary file; give another name",
				 path);
	if (!there && !lstat(path, &status))
		return link_fail(err, "writing %s: it is a symbolic link that leads nowhere; give another name",
				 path);
	if (!there)
		*target = strdup(path);
	return *target ? 0 : link_fail(err, "writing %s: no memory", path);
}

int write_check(const char *path, struct lguest_error *err)
{
	char *target;
	int ret = find_target(path, &target, err);

	free(target);
	return ret;
}

int write_whole(const char *path, const struct blob *contents,
		struct lguest_error *err)
{
	char *target, *temp = NULL;
	sigset_t signals;
	int why = ENOMEM;

	if (find_target(path, &target, err) < 0) {
		free(target);
		return -1;
	}
	if (asprintf(&temp, "%s.XXXXXX", target) >= 0) {
		signals_hold(&signals);
		why = write_then_name(temp, target, contents);
		signals_let_go(&signals);
		free(temp);
	}
	free(target);
	return why ? link_fail(err, "writing %s: %s; is there room, and may you write there? choose another place if not",
			       path, strerror(why)) : 0;
}
