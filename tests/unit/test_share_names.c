// SOURCES: launcher/devices/share/share.c launcher/devices/share/share_request.c launcher/devices/share/share_body.c launcher/devices/share/share_nodes.c launcher/devices/share/share_names.c launcher/devices/share/share_files.c launcher/devices/share/share_folders.c launcher/devices/share/share_attributes.c launcher/devices/share/share_root.c launcher/devices/share/hidden.c launcher/jail/fixed.c launcher/devices/virtio/virtqueue.c launcher/jail/landlock.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c
// LIBS: -pthread
// SPDX-License-Identifier: GPL-2.0
/* Names that a guest gives: none leads out, each has its error, and what is hidden is not there. L10. */
#define _GNU_SOURCE 1
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "share_driver.h"

static void test_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "/", "inner/deep", "../secret", "a/" };
	char longest[300];
	size_t i;

	(void)state;
	assert_int_not_equal(lookup(1, "file"), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(lookup(1, bad[i]), 0);
		assert_int_equal(q.error, -EINVAL);
	}
	memset(longest, 'x', sizeof(longest));
	longest[256] = '\0';
	assert_int_equal(lookup(1, longest), 0);
	assert_int_equal(q.error, -ENAMETOOLONG);
	longest[255] = '\0';
	assert_int_equal(lookup(1, longest), 0);
	assert_int_equal(q.error, -ENOENT);
	begin(FUSE_LOOKUP, 1);		/* without its end */
	put("file", 4);
	assert_int_equal(send(), -EINVAL);
	begin(FUSE_RENAME, 1);		/* the second one is missing */
	put(&(struct fuse_rename_in){ .newdir = 1 }, sizeof(struct fuse_rename_in));
	put_name("file");
	assert_int_equal(send(), -EINVAL);
}

/*
 * Each operation with each kind of name, by a system call and by a request, in twin
 * folders: the outcome is the same.
 */
#define LONGEST	"longestlongestlongestlongestlongestlongestlongestlongestlongestlongest"	\
		"longestlongestlongestlongestlongestlongestlongestlongestlongestlongest"	\
		"longestlongestlongestlongestlongestlongestlongestlongestlongestlongest"	\
		"longestlongestlongestlongestlongestlongestlon"
static const char too_long[] = LONGEST "x";

static void make_twin(const char *where)
{
	int at;

	assert_int_equal(mkdir(where, 0755), 0);
	at = open(where, O_DIRECTORY | O_RDONLY);
	close(openat(at, "file", O_CREAT | O_WRONLY, 0644));
	close(openat(at, "other", O_CREAT | O_WRONLY, 0644));
	close(openat(at, LONGEST, O_CREAT | O_WRONLY, 0644));
	assert_int_equal(mkdirat(at, "empty", 0755), 0);
	assert_int_equal(mkdirat(at, "full", 0755), 0);
	assert_int_equal(mkdirat(at, "full/inner", 0755), 0);
	assert_int_equal(symlinkat("file", at, "link"), 0);
	assert_int_equal(mkfifoat(at, "pipe", 0666), 0);
	close(at);
}

static int opened(int fd)
{
	return fd < 0 ? -1 : close(fd);
}

static int native(const char *act, int at, const char *name)
{
	char text[PATH_MAX];
	int node, error;

	if (!strcmp(act, "lookup"))
		return opened(openat(at, name, O_PATH | O_NOFOLLOW));
	if (!strcmp(act, "mkdir"))
		return mkdirat(at, name, 0755);
	if (!strcmp(act, "mknod"))
		return mknodat(at, name, S_IFIFO | 0644, 0);
	if (!strcmp(act, "symlink"))
		return symlinkat("target", at, name);
	if (!strcmp(act, "link"))
		return linkat(at, "other", at, name, 0);
	if (!strcmp(act, "link folder"))
		return linkat(at, "empty", at, name, 0);
	if (!strcmp(act, "unlink"))
		return unlinkat(at, name, 0);
	if (!strcmp(act, "rmdir"))
		return unlinkat(at, name, AT_REMOVEDIR);
	if (!strcmp(act, "rename away"))
		return renameat(at, name, at, "new");
	if (!strcmp(act, "rename to file"))
		return renameat(at, name, at, "other");
	if (!strcmp(act, "rename to folder"))
		return renameat(at, name, at, "empty");
	if (!strcmp(act, "rename to full"))
		return renameat(at, name, at, "full");
	if (!strcmp(act, "rename here"))
		return renameat(at, "other", at, name);
	if (!strcmp(act, "rename folder here"))
		return renameat(at, "full", at, name);
	if (!strcmp(act, "rename, no replacing"))
		return renameat2(at, name, at, "other", RENAME_NOREPLACE);
	if (!strcmp(act, "exchange"))
		return renameat2(at, name, at, "other", RENAME_EXCHANGE);
	if (!strcmp(act, "create anew"))
		return opened(openat(at, name, O_CREAT | O_EXCL | O_WRONLY, 0644));
	if (!strcmp(act, "create"))
		return opened(openat(at, name, O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0644));
	if (!strcmp(act, "create to read"))
		return opened(openat(at, name, O_CREAT | O_RDONLY | O_NOFOLLOW, 0644));
	/* On what the name stands for. */
	node = openat(at, name, O_PATH | O_NOFOLLOW);
	if (node < 0)
		return -1;
	if (!strcmp(act, "opendir"))
		error = opened(openat(at, name, O_DIRECTORY | O_NOFOLLOW));
	else if (!strcmp(act, "open to write"))
		error = opened(openat(at, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK));
	else if (!strcmp(act, "readlink"))
		error = readlinkat(at, name, text, sizeof(text)) < 0 ? -1 : 0;
	else if (!strcmp(act, "truncate"))
		error = fchdir(at) || truncate(name, 5);
	else
		error = fchdir(at) || truncate(name, -5);
	opened(node);
	return error;
}

static int rename_as(uint64_t at, const char *from, const char *to, uint32_t flags)
{
	begin(flags ? FUSE_RENAME2 : FUSE_RENAME, at);
	if (flags)
		put(&(struct fuse_rename2_in){ .newdir = at, .flags = flags },
		    sizeof(struct fuse_rename2_in));
	else
		put(&(struct fuse_rename_in){ .newdir = at }, sizeof(struct fuse_rename_in));
	put_name(from);
	put_name(to);
	return send();
}

static int create_as(uint64_t at, const char *name, uint32_t flags)
{
	begin(FUSE_CREATE, at);
	put(&(struct fuse_create_in){ .flags = flags | O_CREAT, .mode = 0644 },
	    sizeof(struct fuse_create_in));
	put_name(name);
	return send();
}

static int by_name(uint32_t opcode, uint64_t at, const void *in, size_t size, const char *name)
{
	begin(opcode, at);
	put(in, size);
	put_name(name);
	return send();
}

static int set_size_of(uint64_t node, int64_t size)
{
	begin(FUSE_SETATTR, node);
	put(&(struct fuse_setattr_in){ .valid = FATTR_SIZE, .size = size },
	    sizeof(struct fuse_setattr_in));
	return send();
}

static int served(const char *act, uint64_t at, const char *name)
{
	uint64_t node, fh;

	if (!strcmp(act, "lookup"))
		return lookup(at, name) ? 0 : q.error;
	if (!strcmp(act, "mkdir"))
		return by_name(FUSE_MKDIR, at, &(struct fuse_mkdir_in){ .mode = 0755 },
			       sizeof(struct fuse_mkdir_in), name);
	if (!strcmp(act, "mknod"))
		return by_name(FUSE_MKNOD, at, &(struct fuse_mknod_in){ .mode = S_IFIFO | 0644 },
			       sizeof(struct fuse_mknod_in), name);
	if (!strcmp(act, "link") || !strcmp(act, "link folder")) {
		node = lookup(at, act[4] ? "empty" : "other");
		return by_name(FUSE_LINK, at, &(struct fuse_link_in){ .oldnodeid = node },
			       sizeof(struct fuse_link_in), name);
	}
	if (!strcmp(act, "symlink")) {
		begin(FUSE_SYMLINK, at);
		put_name(name);
		put_name("target");
		return send();
	}
	if (!strcmp(act, "unlink"))
		return by_name(FUSE_UNLINK, at, "", 0, name);
	if (!strcmp(act, "rmdir"))
		return by_name(FUSE_RMDIR, at, "", 0, name);
	if (!strcmp(act, "rename away"))
		return rename_as(at, name, "new", 0);
	if (!strcmp(act, "rename to file"))
		return rename_as(at, name, "other", 0);
	if (!strcmp(act, "rename to folder"))
		return rename_as(at, name, "empty", 0);
	if (!strcmp(act, "rename to full"))
		return rename_as(at, name, "full", 0);
	if (!strcmp(act, "rename here"))
		return rename_as(at, "other", name, 0);
	if (!strcmp(act, "rename folder here"))
		return rename_as(at, "full", name, 0);
	if (!strcmp(act, "rename, no replacing"))
		return rename_as(at, name, "other", RENAME_NOREPLACE);
	if (!strcmp(act, "exchange"))
		return rename_as(at, name, "other", RENAME_EXCHANGE);
	if (!strcmp(act, "create anew"))
		return create_as(at, name, O_EXCL | O_WRONLY);
	if (!strcmp(act, "create"))
		return create_as(at, name, O_WRONLY);
	if (!strcmp(act, "create to read"))
		return create_as(at, name, O_RDONLY);
	node = lookup(at, name);
	if (!node)
		return q.error;
	if (!strcmp(act, "opendir"))
		return open_as(FUSE_OPENDIR, node, O_RDONLY, &fh);
	if (!strcmp(act, "open to write"))
		return open_as(FUSE_OPEN, node, O_WRONLY, &fh);
	if (!strcmp(act, "truncate"))
		return set_size_of(node, 5);
	if (!strcmp(act, "truncate to less"))
		return set_size_of(node, -5);
	begin(FUSE_READLINK, node);
	return send();
}

/* Where a system call and a request cannot be the same. */
static bool cannot_compare(const char *act, const char *name)
{
	/* truncate() follows links, and opens no pipe. */
	if (!strncmp(act, "truncate", 8))
		return !strcmp(name, "link");
	/* A pipe is not opened here, whether or not somebody reads it. */
	return !strcmp(act, "create to read") && !strcmp(name, "pipe");
}

static void compare(const char *act, const char *folder_name, const char *name)
{
	char shared[32], twin[32];
	int at, expected, seen;

	make_twin("twin");
	make_twin("../twin");
	snprintf(shared, sizeof(shared), "%s", folder_name);
	snprintf(twin, sizeof(twin), "../twin/%s", folder_name);
	at = open(twin, O_PATH);
	assert_true(at >= 0);
	expected = native(act, at, name) ? -errno : 0;
	close(at);
	assert_int_equal(chdir(folder), 0);
	init();
	seen = served(act, *shared ? lookup(lookup(1, "twin"), shared) : lookup(1, "twin"), name);
	if (seen != expected)
		fail_msg("%s %.9s in '%s': %s; natively %s", act, name, folder_name,
			 strerror(-seen), strerror(-expected));
	assert_int_equal(nftw("twin", remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(nftw("../twin", remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void test_native_errors(void **state)
{
	static const char *const acts[] = {
		"lookup", "mkdir", "mknod", "symlink", "link", "link folder", "unlink", "rmdir",
		"rename away", "rename to file", "rename to folder", "rename to full",
		"rename here", "rename folder here", "rename, no replacing", "exchange",
		"create anew", "create", "create to read", "opendir", "open to write", "readlink",
		"truncate", "truncate to less",
	};
	static const char *const names[] = {
		"file", "empty", "full", "link", "pipe", "none", LONGEST, too_long,
	};
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		for (j = 0; j < sizeof(names) / sizeof(names[0]); j++)
			if (!cannot_compare(acts[i], names[j]))
				compare(acts[i], "", names[j]);
	for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (!strncmp(acts[i], "link", 4))
			continue;	/* both names are in the folder */
		compare(acts[i], "file", "name");
		compare(acts[i], "file", too_long);
	}
}

/* ---- what is hidden */

static struct hidden *hide_these(const char *const *paths)
{
	struct hidden *hidden = hidden_create();
	char path[120];

	for (; *paths; paths++) {
		snprintf(path, sizeof(path), "%s/%s", folder, *paths);
		hidden_add(hidden, place, path, strpbrk(*paths, "*?"));
	}
	assert_true(hidden_complete(hidden));
	share->hidden = hidden;
	share->nodes[FUSE_ROOT_ID].way = hidden_way_of(hidden, folder);
	return hidden;
}

static int rename_flags(uint64_t at, const char *from, const char *to, uint32_t flags)
{
	const struct fuse_rename2_in in = { .newdir = at, .flags = flags };

	begin(FUSE_RENAME2, at);
	put(&in, sizeof(in));
	put_name(from);
	put_name(to);
	return send();
}

static int link_as(uint64_t old, const char *name)
{
	begin(FUSE_LINK, 1);
	put(&(struct fuse_link_in){ .oldnodeid = old }, sizeof(struct fuse_link_in));
	put_name(name);
	return send();
}

static int symlink_as(const char *name)
{
	begin(FUSE_SYMLINK, 1);
	put_name(name);
	put_name("target");
	return send();
}

static void assert_hidden(uint64_t at, const char *name)
{
	assert_int_equal(lookup(at, name), 0);
	assert_int_equal(q.error, -ENOENT);
}

/* No name leads to it, be it new, a hard link, that of a folder that was moved. */
static void test_hidden(void **state)
{
	static const char *const paths[] = {
		"netrc", ".ssh", ".config/gcloud", "sha*w", "link", "a/b/secret/", NULL,
	};
	static const char *const gone[] = {
		"netrc", ".ssh", "shadow", "shadw", "link", "hard", "key", "target",
	};
	size_t i;

	(void)state;
	write_file("netrc", "one");
	assert_int_equal(mkdir(".ssh", 0700) || mkdir("a", 0755) || mkdir("a/b", 0755) ||
			 mkdir("a/b/secret", 0755), 0);
	write_file(".ssh/id", "two");
	write_file("shadow", "three");
	write_file("target", "four");
	assert_int_equal(link("netrc", "hard") || link(".ssh/id", "key") ||
			 link("shadow", "inner/hard") || symlink("target", "link"), 0);
	hide_these(paths);
	write_file("shadw", "five");
	for (i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		assert_hidden(1, gone[i]);
	assert_hidden(lookup(1, "inner"), "hard");
	assert_hidden(lookup(lookup(1, "a"), "b"), "secret");
	write_file("shade", "six");
	assert_int_not_equal(lookup(1, "shade"), 0);

	/* As an editor writes it anew; and what comes where nothing was. */
	write_file("new", "again");
	assert_int_equal(rename("new", "netrc"), 0);
	assert_hidden(1, "netrc");
	assert_int_equal(mkdir(".config", 0755) || mkdir(".config/gcloud", 0755), 0);
	assert_hidden(lookup(1, ".config"), "gcloud");

	/* The host's user moves it, or the way to it. */
	assert_int_equal(rename(".ssh", "ssh-old") || rename("a/b", "c"), 0);
	assert_hidden(1, "ssh-old");
	assert_hidden(lookup(1, "c"), "secret");
}

/* The guest cannot make it, nor move what leads to it. */
static void test_hidden_writes(void **state)
{
	static const char *const paths[] = { "netrc", ".config/gcloud", "later", NULL };
	const struct fuse_mkdir_in folder_mode = { .mode = 0755 };
	const struct fuse_mknod_in file_mode = { .mode = S_IFREG | 0644 };
	uint64_t config;

	(void)state;
	write_file("netrc", "one");
	hide_these(paths);
	assert_int_equal(create_as(1, "netrc", O_RDWR), -EACCES);
	assert_int_equal(create_as(1, "later", O_RDWR | O_EXCL), -EACCES);
	assert_int_equal(by_name(FUSE_MKDIR, 1, &folder_mode, sizeof(folder_mode), "later"), -EACCES);
	assert_int_equal(by_name(FUSE_MKNOD, 1, &file_mode, sizeof(file_mode), "later"), -EACCES);
	assert_int_equal(symlink_as("later"), -EACCES);
	assert_int_equal(link_as(lookup(1, "file"), "later"), -EACCES);
	assert_int_equal(by_name(FUSE_UNLINK, 1, "", 0, "netrc"), -ENOENT);
	assert_int_equal(by_name(FUSE_RMDIR, 1, "", 0, "netrc"), -ENOENT);
	assert_int_equal(rename_flags(1, "netrc", "mine", 0), -ENOENT);
	assert_int_equal(rename_flags(1, "file", "netrc", 0), -EACCES);
	assert_int_equal(rename_flags(1, "file", "netrc", RENAME_EXCHANGE), -EACCES);

	assert_int_equal(by_name(FUSE_MKDIR, 1, &folder_mode, sizeof(folder_mode), ".config"), 0);
	config = lookup(1, ".config");
	assert_int_equal(by_name(FUSE_MKDIR, config, &folder_mode, sizeof(folder_mode), "gcloud"),
			 -EACCES);
	assert_int_equal(by_name(FUSE_MKDIR, config, &folder_mode, sizeof(folder_mode), "other"), 0);
	assert_int_equal(rename_flags(1, ".config", "mine", 0), -EBUSY);
	assert_int_equal(rename_flags(1, "inner", ".config", RENAME_EXCHANGE), -EBUSY);
	assert_int_equal(by_name(FUSE_RMDIR, 1, "", 0, ".config"), -EBUSY);
	assert_int_equal(access("later", F_OK) || access("mine", F_OK), 1);
	assert_int_equal(rename_flags(1, "file", "mine", 0), 0);
}

/* Names are not listed, and a folder does not end where all of a piece is hidden. */
static void test_hidden_listing(void **state)
{
	static const char *const paths[] = { "inner/e1???", NULL };
	static const char *const all[] = { "inner/*", NULL };
	uint64_t inner;
	unsigned int i;
	char name[32];

	(void)state;
	assert_int_equal(remove("inner/deep"), 0);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "inner/e%u", i < 5 ? i : 1000 + i);
		write_file(name, "");
	}
	hide_these(paths);
	inner = lookup(1, "inner");
	hide_these(paths);
	read_folder(FUSE_READDIR, inner, 200, 5);
	read_folder(FUSE_READDIRPLUS, inner, 400, 5);
	nodes_reset(share);
	hide_these(all);
	inner = lookup(1, "inner");
	read_folder(FUSE_READDIR, inner, 4096, 0);
	read_folder(FUSE_READDIRPLUS, inner, 4096, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names), TEST(test_native_errors),
		TEST(test_hidden), TEST(test_hidden_writes), TEST(test_hidden_listing),
	};

	share_bounds();
	return cmocka_run_group_tests_name("share_names", tests, NULL, NULL);
}
