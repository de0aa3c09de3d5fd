// SOURCES: launcher/devices/share/share.c launcher/devices/share/share_request.c launcher/devices/share/share_body.c launcher/devices/share/share_nodes.c launcher/devices/share/share_names.c launcher/devices/share/share_files.c launcher/devices/share/share_folders.c launcher/devices/share/share_attributes.c launcher/devices/share/share_root.c launcher/devices/share/hidden.c launcher/jail/fixed.c launcher/devices/virtio/virtqueue.c launcher/jail/landlock.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c
// LIBS: -pthread -Wl,--wrap=lseek,--wrap=fchownat
// SPDX-License-Identifier: GPL-2.0
/* Requests for files as no kernel sends them: L10, K13. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <dirent.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <cmocka.h>

#include "jail/confine.h"
#include "devices/share/share.h"
#include "devices/virtio/virtio.h"
#include "lguest.h"

static struct share *share;
static char place[64], folder[80];
static enum share_rule rule;

/* Nothing frees what lives as long as the launcher. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

bool confine_thread(enum thread_kind kind)
{
	(void)kind;
	return true;
}

void confine_process(void)
{
}

/* A request of our own making, and what came back. */
static struct {
	uint8_t bytes[65536];
	size_t size;
	uint8_t answer[65536];
	uint32_t got;		/* bytes, or VIRTIO_BAD */
	int error;
	const void *body;
	size_t body_size;
} q;

static void begin(uint32_t opcode, uint64_t node)
{
	struct fuse_in_header in = { .opcode = opcode, .unique = 77, .nodeid = node };

	memcpy(q.bytes, &in, sizeof(in));
	q.size = sizeof(in);
}

static void put(const void *bytes, size_t size)
{
	memcpy(q.bytes + q.size, bytes, size);
	q.size += size;
}

static void put_name(const char *name)
{
	put(name, strlen(name) + 1);
}

/* Parts of at most so many bytes, each with ASan's guard behind it. */
static unsigned int make_parts(struct iovec *parts, const uint8_t *bytes, size_t size,
			       size_t piece)
{
	unsigned int n = 0;
	size_t at = 0;

	while (at < size) {
		size_t length = size - at < piece || n == 120 ? size - at : piece;

		parts[n].iov_base = malloc(length);
		parts[n].iov_len = length;
		memcpy(parts[n].iov_base, bytes + at, length);
		at += length;
		n++;
	}
	return n;
}

static int send_as(size_t room, size_t piece, uint32_t length)
{
	struct chain chain = { .head = 0 };
	struct iovec kept[VIRTQUEUE_MOST];
	unsigned int i, count;
	size_t at = 0;

	if (q.size >= sizeof(struct fuse_in_header))
		memcpy(q.bytes, &length, sizeof(length));
	chain.out_parts = make_parts(chain.parts, q.bytes, q.size, piece);
	chain.out_size = q.size;
	memset(q.answer, 0, sizeof(q.answer));
	chain.in_parts = make_parts(chain.parts + chain.out_parts, q.answer, room, piece);
	chain.in_size = room;
	count = chain.out_parts + chain.in_parts;
	memcpy(kept, chain.parts, sizeof(kept));
	rule = SHARE_GOOD;
	i = chain.out_parts;
	q.got = share_request(share, &chain, &rule);
	for (; i < count; i++) {
		memcpy(q.answer + at, kept[i].iov_base, kept[i].iov_len);
		at += kept[i].iov_len;
	}
	for (i = 0; i < count; i++)
		free(kept[i].iov_base);
	q.error = 0;
	if (q.got >= sizeof(struct fuse_out_header) && q.got != VIRTIO_BAD) {
		const struct fuse_out_header *out = (void *)q.answer;

		assert_int_equal(out->len, q.got);
		assert_in_range(q.got, sizeof(*out), room);
		q.error = out->error;
		assert_in_range(-q.error, 0, 200);
		q.body = out + 1;
		q.body_size = q.got - sizeof(*out);
	}
	return q.error;
}

static int send(void)
{
	return send_as(8192, 4096, q.size);
}

static uint64_t lookup(uint64_t parent, const char *name)
{
	begin(FUSE_LOOKUP, parent);
	put_name(name);
	return send() ? 0 : ((const struct fuse_entry_out *)q.body)->nodeid;
}

static int open_as(uint32_t opcode, uint64_t node, uint32_t flags, uint64_t *fh)
{
	struct fuse_open_in in = { .flags = flags };

	begin(opcode, node);
	put(&in, sizeof(in));
	if (!send())
		*fh = ((const struct fuse_open_out *)q.body)->fh;
	return q.error;
}

static int init(void)
{
	struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 131072, .flags = ~0U,
	};

	begin(FUSE_INIT, 0);
	put(&in, sizeof(in));
	return send();
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int begin_share(bool read_only)
{
	share = calloc(1, sizeof(*share));
	if (!share)
		return -1;
	share->read_only = read_only;
	share->proc = -1;
	return share_open(share, folder) ? -1 : init();
}

/* PLACE/secret is outside; PLACE/shared is the share. */
static int setup_in(const char *where, bool read_only)
{
	snprintf(place, sizeof(place), "%s/lguest-share-XXXXXX", where);
	if (!mkdtemp(place))
		return -1;
	snprintf(folder, sizeof(folder), "%s/shared", place);
	if (mkdir(folder, 0755) || chdir(folder) || mkdir("inner", 0755))
		return -1;
	write_file("../secret", "secret");
	write_file("file", "hello");
	write_file("inner/deep", "deep");
	if (symlink("../secret", "up") || symlink("/etc/passwd", "absolute") ||
	    symlink("/", "root") || mkfifo("pipe", 0666))
		return -1;
	return begin_share(read_only);
}

static int setup(void **state)
{
	(void)state;
	return setup_in("/tmp", false);
}

static int setup_read_only(void **state)
{
	(void)state;
	return setup_in("/tmp", true);
}

/* A file system in memory, or NULL. */
static const char *memory_folder(void)
{
	static const char *const known[] = { "/dev/shm", "/tmp", "/run" };
	struct statfs status;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!statfs(known[i], &status) && status.f_type == TMPFS_MAGIC &&
		    !access(known[i], W_OK))
			return known[i];
	return NULL;
}

static int setup_tmpfs(void **state)
{
	const char *where = memory_folder();

	(void)state;
	if (!where)
		print_message("# no tmpfs to write to: on the file system of /tmp instead\n");
	return setup_in(where ? where : "/tmp", false);
}

static int remove_one(const char *path, const struct stat *status, int kind,
		      struct FTW *walk)
{
	(void)status, (void)kind, (void)walk;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	nodes_reset(share);
	close(share->root);
	close(share->proc);
	free(share);
	return chdir("/") || nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void assert_secret_safe(void)
{
	char text[16] = "";
	FILE *file = fopen("../secret", "r");

	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_string_equal(text, "secret");
	fclose(file);
}

static void test_init(void **state)
{
	struct fuse_init_in in = { .major = 7, .minor = 30 };

	(void)state;
	begin(FUSE_INIT, 0);
	put(&in, sizeof(in));
	assert_int_equal(send(), -EPROTO);
	in.major = 8;
	begin(FUSE_INIT, 0);
	put(&in, sizeof(in));
	assert_int_equal(send(), -EPROTO);
	begin(FUSE_INIT, 0);
	put(&in, 15);
	assert_int_equal(send(), -EINVAL);
	assert_int_equal(init(), 0);
	assert_int_equal(((const struct fuse_init_out *)q.body)->max_write, 1 << 20);
}

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

static void test_links(void **state)
{
	uint64_t fh, up = lookup(1, "up"), root = lookup(1, "root");

	(void)state;
	assert_int_not_equal(up, 0);
	assert_int_equal(open_as(FUSE_OPEN, up, O_RDONLY, &fh), -ELOOP);
	assert_int_equal(open_as(FUSE_OPENDIR, root, O_RDONLY, &fh), -ENOTDIR);
	assert_int_equal(lookup(root, "etc"), 0);
	assert_int_equal(q.error, -ENOTDIR);
	begin(FUSE_READLINK, up);
	assert_int_equal(send(), 0);
	assert_int_equal(q.body_size, 9);
	assert_memory_equal(q.body, "../secret", 9);
	begin(FUSE_SETATTR, up);
	put(&(struct fuse_setattr_in){ .valid = FATTR_MODE, .mode = 0 },
	    sizeof(struct fuse_setattr_in));
	assert_int_equal(send(), -EOPNOTSUPP);
	begin(FUSE_SETATTR, up);
	put(&(struct fuse_setattr_in){ .valid = FATTR_SIZE }, sizeof(struct fuse_setattr_in));
	assert_int_equal(send(), -EINVAL);
	assert_secret_safe();
}

/* Opening a pipe would wait, a device would do who knows what. */
static void test_special_files(void **state)
{
	struct fuse_mknod_in in = { .mode = S_IFCHR | 0666, .rdev = 0x103 };
	struct fuse_create_in create = { .flags = O_RDONLY | O_CREAT, .mode = 0644 };
	uint64_t fh, pipe = lookup(1, "pipe");

	(void)state;
	assert_int_equal(open_as(FUSE_OPEN, pipe, O_RDONLY, &fh), -ENXIO);
	begin(FUSE_CREATE, 1);
	put(&create, sizeof(create));
	put_name("pipe");
	assert_int_equal(send(), -ENXIO);
	begin(FUSE_MKNOD, 1);
	put(&in, sizeof(in));
	put_name("null");
	assert_int_equal(send(), -EPERM);
	in.mode = S_IFBLK | 0666;
	begin(FUSE_MKNOD, 1);
	put(&in, sizeof(in));
	put_name("null");
	assert_int_equal(send(), -EPERM);
	assert_int_equal(access("null", F_OK), -1);
}

static mode_t mode_of(const char *name)
{
	struct stat status;

	assert_int_equal(lstat(name, &status), 0);
	return status.st_mode & 07777;
}

static void test_set_user_id(void **state)
{
	struct fuse_create_in create = { .flags = O_RDWR | O_CREAT, .mode = 06755 };
	struct fuse_mkdir_in mkdir_in = { .mode = 07777 };
	uint64_t tool;

	(void)state;
	begin(FUSE_CREATE, 1);
	put(&create, sizeof(create));
	put_name("tool");
	assert_int_equal(send(), 0);
	assert_int_equal(mode_of("tool") & 07000, 0);
	tool = lookup(1, "tool");
	begin(FUSE_SETATTR, tool);
	put(&(struct fuse_setattr_in){ .valid = FATTR_MODE, .mode = 06711 },
	    sizeof(struct fuse_setattr_in));
	assert_int_equal(send(), 0);
	assert_int_equal(mode_of("tool"), 0711);
	begin(FUSE_MKDIR, 1);
	put(&mkdir_in, sizeof(mkdir_in));
	put_name("new");
	assert_int_equal(send(), 0);
	assert_int_equal(mode_of("new") & 06000, 0);
}

/* Whatever descriptor there is: of a file that is not in the folder, too. */
static void test_changes(void **state)
{
	static const char *const outside[] = { "../secret", "..", "/etc/passwd", "../shared2" };
	const struct change mode = { .what = CHANGE_MODE, .mode = 06751 };
	const struct change odd = { .what = 77 };
	const struct change owner = { .what = CHANGE_OWNER, .uid = getuid(), .gid = getgid() };
	const struct change times = { .what = CHANGE_TIMES, .times = { { 5, 0 }, { 7, 0 } } };
	struct stat before, after;
	size_t i;
	int fd;

	(void)state;
	assert_int_equal(mkdir("../shared2", 0755), 0);	/* its name begins like ours */
	for (i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		fd = open(outside[i], O_PATH | O_CLOEXEC);
		assert_int_equal(fstat(fd, &before), 0);
		assert_int_equal(change_file(share, fd, &mode), -EPERM);
		assert_int_equal(change_file(share, fd, &owner), -EPERM);
		assert_int_equal(change_file(share, fd, &times), -EPERM);
		assert_int_equal(fstat(fd, &after), 0);
		assert_memory_equal(&before, &after, sizeof(before));
		close(fd);
	}
	fd = open("inner/deep", O_PATH | O_CLOEXEC);
	assert_int_equal(change_file(share, fd, &odd), -EINVAL);
	assert_int_equal(change_file(share, fd, &mode), 0);
	assert_int_equal(mode_of("inner/deep") & 07777, 0751);
	assert_int_equal(change_file(share, fd, &times), 0);
	assert_int_equal(stat("inner/deep", &after), 0);
	assert_int_equal(after.st_mtime, 7);
	assert_int_equal(rename("inner", "../moved"), 0);
	assert_int_equal(change_file(share, fd, &mode), -EPERM);
	close(fd);
	fd = open("up", O_PATH | O_NOFOLLOW | O_CLOEXEC);	/* a link's own time */
	assert_int_equal(change_file(share, fd, &times), 0);
	assert_int_equal(lstat("up", &after), 0);
	assert_int_equal(after.st_mtime, 7);
	close(fd);
}

static void test_numbers(void **state)
{
	static const uint64_t bad[] = { 0, 2, 4095, SHARE_NODES_MOST, 1ULL << 32, 1ULL << 63, -1ULL };
	struct fuse_read_in in = { .size = 4096 };
	uint64_t fh, file;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(lookup(bad[i], "file"), 0);
		assert_int_equal(q.error, -ESTALE);
		begin(FUSE_RENAME, 1);
		put(&bad[i], sizeof(bad[i]));
		put_name("file");
		put_name("file2");
		assert_int_equal(send(), -ESTALE);
		begin(FUSE_LINK, 1);
		put(&bad[i], sizeof(bad[i]));
		put_name("file2");
		assert_int_equal(send(), -ESTALE);
	}
	file = lookup(1, "file");
	assert_int_equal(open_as(FUSE_OPEN, file, O_RDWR, &fh), 0);
	in.fh = fh;
	begin(FUSE_READ, file);
	put(&in, sizeof(in));
	assert_int_equal(send(), 0);
	assert_int_equal(q.body_size, 5);
	assert_memory_equal(q.body, "hello", 5);
	begin(FUSE_READ, 1);		/* another node's file */
	put(&in, sizeof(in));
	assert_int_equal(send(), -EBADF);
	begin(FUSE_READDIR, file);	/* a file as a folder */
	put(&in, sizeof(in));
	assert_int_equal(send(), -EBADF);
	for (i = 1; i < sizeof(bad) / sizeof(bad[0]); i++) {
		in.fh = bad[i];
		begin(FUSE_READ, file);
		put(&in, sizeof(in));
		assert_int_equal(send(), -EBADF);
	}
	in.fh = fh;
	in.offset = -1ULL;
	begin(FUSE_READ, file);
	put(&in, sizeof(in));
	assert_int_equal(send(), -EINVAL);
}

static void test_write_sizes(void **state)
{
	struct fuse_write_in in = { .size = 6 };
	uint64_t fh, file = lookup(1, "file");

	(void)state;
	assert_int_equal(open_as(FUSE_OPEN, file, O_WRONLY, &in.fh), 0);
	fh = in.fh;
	begin(FUSE_WRITE, file);
	put(&in, sizeof(in));
	put("world", 5);
	assert_int_equal(send(), -EINVAL);
	in.size = 5;
	in.offset = 3;
	begin(FUSE_WRITE, file);
	put(&in, sizeof(in));
	put("world", 5);
	assert_int_equal(send_as(24, 3, q.size), 0);
	assert_int_equal(((const struct fuse_write_out *)q.body)->size, 5);
	in.offset = 1ULL << 63;
	begin(FUSE_WRITE, file);
	put(&in, sizeof(in));
	put("world", 5);
	assert_int_equal(send(), -EINVAL);
	assert_int_equal(open_as(FUSE_OPEN, file, O_RDONLY, &in.fh), 0);
	in.offset = 0;
	begin(FUSE_WRITE, file);	/* a file open for reading */
	put(&in, sizeof(in));
	put("world", 5);
	assert_int_equal(send(), -EBADF);
	begin(FUSE_READ, file);
	put(&(struct fuse_read_in){ .fh = in.fh, .size = 100 }, sizeof(struct fuse_read_in));
	assert_int_equal(send_as(16 + 100, 7, q.size), 0);
	assert_int_equal(q.body_size, 8);
	assert_memory_equal(q.body, "helworld", 8);
	assert_int_not_equal(fh, in.fh);
}

static void test_forget(void **state)
{
	struct {
		struct fuse_batch_forget_in in;
		struct fuse_forget_one one[3];
	} batch = { { .count = 0xffffffff }, { { 1, 100 }, { 2, 100 }, { 1000, 1 } } };
	uint64_t file = lookup(1, "file");

	(void)state;
	assert_int_equal(lookup(1, "file"), file);
	begin(FUSE_FORGET, file);
	put(&(struct fuse_forget_in){ .nlookup = 1 }, sizeof(struct fuse_forget_in));
	send_as(0, 4096, q.size);
	assert_int_equal(q.got, 0);
	assert_non_null(node_get(share, file));
	send_as(0, 4096, q.size);
	assert_null(node_get(share, file));
	send_as(0, 4096, q.size);
	lookup(1, "file");
	begin(FUSE_BATCH_FORGET, 0);
	put(&batch, sizeof(batch));
	send_as(0, 5, q.size);
	assert_int_equal(q.got, 0);
	assert_null(node_get(share, 2));
	assert_non_null(node_get(share, 1));
}

/* What the host's file system says to it; 0: the real one. */
static int chown_error;
int __real_fchownat(int fd, const char *name, uid_t uid, gid_t gid, int flags);
int __wrap_fchownat(int fd, const char *name, uid_t uid, gid_t gid, int flags);
int __wrap_fchownat(int fd, const char *name, uid_t uid, gid_t gid, int flags)
{
	if (!chown_error)
		return __real_fchownat(fd, name, uid, gid, flags);
	errno = chown_error;
	return -1;
}

/* Each kind of thing is made, under the name "new". */
static int make_new(unsigned int way)
{
	static const uint32_t codes[] = {
		FUSE_CREATE, FUSE_MKNOD, FUSE_MKDIR, FUSE_SYMLINK,
	};

	begin(codes[way], 1);
	switch (codes[way]) {
	case FUSE_CREATE:
		put(&(struct fuse_create_in){ .flags = O_RDWR, .mode = 0644 },
		    sizeof(struct fuse_create_in));
		break;
	case FUSE_MKNOD:
		put(&(struct fuse_mknod_in){ .mode = S_IFREG | 0644 },
		    sizeof(struct fuse_mknod_in));
		break;
	case FUSE_MKDIR:
		put(&(struct fuse_mkdir_in){ .mode = 0755 }, sizeof(struct fuse_mkdir_in));
	}
	put_name("new");
	if (codes[way] == FUSE_SYMLINK)
		put_name("target");
	return send();
}

/* An error leaves nothing behind; but where files have no owners there is no error. */
static void test_all_or_nothing(void **state)
{
	struct stat status;
	unsigned int way;
	uint64_t fh, file;

	(void)state;
	share->give_away = true;
	for (way = 0; way < 4; way++) {
		chown_error = EDQUOT;
		assert_int_equal(make_new(way), -EDQUOT);
		assert_int_equal(lstat("new", &status), -1);
		chown_error = EPERM;
		assert_int_equal(make_new(way), 0);
		assert_int_equal(lstat("new", &status), 0);
		assert_int_equal(remove("new"), 0);
	}
	chown_error = 0;
	share->give_away = false;
	/* No place among the nodes, or among the open files. */
	file = lookup(1, "file");
	nodes_descriptors(0);
	for (way = 0; way < 4; way++) {
		assert_int_equal(make_new(way), -ENFILE);
		assert_int_equal(lstat("new", &status), -1);
	}
	nodes_descriptors(10000);
	while (!open_as(FUSE_OPEN, file, O_RDONLY, &fh))
		;
	assert_int_equal(q.error, -ENFILE);
	assert_int_equal(make_new(0), -ENFILE);
	assert_int_equal(lstat("new", &status), -1);
	/* ... but what was there before stays. */
	write_file("new", "old");
	assert_int_equal(make_new(0), -ENFILE);
	assert_int_equal(lstat("new", &status), 0);
}

/*
 * Nothing is kept back here that a close() could still write, so Linux is told not to
 * ask: one request less for each file that is closed.
 */
static void test_flush(void **state)
{
	uint64_t fh;

	(void)state;
	assert_int_equal(open_as(FUSE_OPEN, lookup(1, "file"), O_RDWR, &fh), 0);
	begin(FUSE_FLUSH, 2);
	put(&(struct fuse_flush_in){ .fh = fh }, sizeof(struct fuse_flush_in));
	assert_int_equal(send(), -ENOSYS);
	assert_int_equal(q.got, sizeof(struct fuse_out_header));
}

static void test_limits(void **state)
{
	uint64_t fh, file, number;
	unsigned int i;
	char name[16];

	(void)state;
	file = lookup(1, "file");
	for (i = 0; i < SHARE_OPEN_MOST; i++)
		assert_int_equal(open_as(FUSE_OPEN, file, O_RDONLY, &fh), 0);
	assert_int_equal(open_as(FUSE_OPEN, file, O_RDONLY, &fh), -ENFILE);
	assert_int_equal(open_as(FUSE_OPENDIR, 1, O_RDONLY, &fh), -ENFILE);
	begin(FUSE_RELEASE, file);
	put(&(struct fuse_release_in){ .fh = 7 }, sizeof(struct fuse_release_in));
	assert_int_equal(send(), 0);
	nodes_descriptors(3);
	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		write_file(name, "");
		number = lookup(1, name);
		assert_int_equal(!number, i >= 3);
	}
	assert_int_equal(q.error, -ENFILE);
	assert_int_equal(open_as(FUSE_OPEN, file, O_RDONLY, &fh), -ENFILE);
	begin(FUSE_FORGET, file);
	put(&(struct fuse_forget_in){ .nlookup = 1 }, sizeof(struct fuse_forget_in));
	send_as(0, 4096, q.size);
	assert_int_equal(lookup(1, name), file);	/* its place */
}

/* What was read of folders is kept, but not of more than the launcher has memory for. */
static int read_root(uint64_t fh)
{
	begin(FUSE_READDIR, 1);
	put(&(struct fuse_read_in){ .fh = fh, .size = 4096 }, sizeof(struct fuse_read_in));
	return send();
}

static void test_many_folders(void **state)
{
	uint64_t fh[300], last = 0;
	unsigned int i;

	(void)state;
	for (i = 0; i < 300; i++) {
		assert_int_equal(open_as(FUSE_OPENDIR, 1, O_RDONLY, &fh[i]), 0);
		if (!last && read_root(fh[i]) == -ENFILE)
			last = i;
	}
	assert_int_equal(last, 256);
	begin(FUSE_RELEASEDIR, 1);
	put(&(struct fuse_release_in){ .fh = fh[0] }, sizeof(struct fuse_release_in));
	assert_int_equal(send(), 0);
	assert_int_equal(read_root(fh[last]), 0);
	assert_int_equal(read_root(fh[last + 1]), -ENFILE);
}

static void test_read_only(void **state)
{
	static const uint32_t writes[] = {
		FUSE_SETATTR, FUSE_SYMLINK, FUSE_MKNOD, FUSE_MKDIR, FUSE_UNLINK, FUSE_RMDIR,
		FUSE_RENAME, FUSE_LINK, FUSE_WRITE, FUSE_CREATE, FUSE_FALLOCATE, FUSE_RENAME2,
	};
	static const uint32_t flags[] = { O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC };
	uint64_t fh, file = lookup(1, "file");
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		begin(writes[i], 1);
		memset(q.bytes + q.size, 0, 200);
		q.size += 200;
		assert_int_equal(send(), -EROFS);
	}
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		assert_int_equal(open_as(FUSE_OPEN, file, flags[i], &fh), -EROFS);
	assert_int_equal(open_as(FUSE_OPEN, file, O_RDONLY, &fh), 0);
}

/* Every entry comes once, however little room there is. */
static void read_folder(uint32_t opcode, uint64_t node, uint32_t room, unsigned int wanted)
{
	size_t head = opcode == FUSE_READDIR ? 0 : sizeof(struct fuse_entry_out);
	struct fuse_read_in in = { .size = room };
	unsigned int found = 0, sum = 0;
	size_t at;

	assert_int_equal(open_as(FUSE_OPENDIR, node, O_RDONLY, &in.fh), 0);
	for (;;) {
		begin(opcode, node);
		put(&in, sizeof(in));
		assert_int_equal(send_as(16 + room, 4096, q.size), 0);
		if (!q.body_size)
			break;
		for (at = 0; at < q.body_size; ) {
			const struct fuse_dirent *d = (void *)((char *)q.body + at + head);

			assert_true(at + head + FUSE_NAME_OFFSET + d->namelen <= q.body_size);
			if (d->name[0] == 'e') {
				found++;
				sum += atoi(d->name + 1);
			}
			in.offset = d->off;
			at += FUSE_DIRENT_ALIGN(head + FUSE_NAME_OFFSET + d->namelen);
		}
		assert_int_equal(at, q.body_size);
	}
	assert_int_equal(found, wanted);
	assert_int_equal(sum, wanted * (wanted - 1) / 2);
}

static void test_folders(void **state)
{
	struct fuse_read_in in = { .size = 10 };
	uint64_t inner = lookup(1, "inner");
	char name[32];
	unsigned int i;

	(void)state;
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "inner/e%u", i);
		write_file(name, "");
	}
	read_folder(FUSE_READDIR, inner, 200, 300);
	read_folder(FUSE_READDIR, inner, 4096, 300);
	read_folder(FUSE_READDIRPLUS, inner, 400, 300);
	read_folder(FUSE_READDIRPLUS, inner, 4096, 300);
	assert_int_equal(open_as(FUSE_OPENDIR, inner, O_RDONLY, &in.fh), 0);
	begin(FUSE_READDIR, inner);
	put(&in, sizeof(in));
	assert_int_equal(send(), -EINVAL);	/* as getdents64() does */
}

/*
 * What a program in the guest does that removes or renames all that it finds.  The
 * guest's kernel hands it a part of an answer, sometimes: it asks for the rest again.
 */
static unsigned int sought;		/* positions gone to, but for the begin */

off_t __wrap_lseek(int fd, off_t at, int whence);
off_t __real_lseek(int fd, off_t at, int whence);
off_t __wrap_lseek(int fd, off_t at, int whence)
{
	sought += at != 0;
	return __real_lseek(fd, at, whence);
}

static void remove_entry(const struct fuse_dirent *d, uint64_t node)
{
	char name[256] = "";

	memcpy(name, d->name, d->namelen);
	if (name[0] == '.')
		return;
	begin(FUSE_UNLINK, node);
	put_name(name);
	assert_int_equal(send(), 0);
}

/* Another name of the same length, which does not begin with "e". */
static void rename_entry(const struct fuse_dirent *d, uint64_t node)
{
	char name[256] = "", made[400];

	memcpy(name, d->name, d->namelen);
	if (name[0] != 'e')
		return;
	begin(FUSE_RENAME, node);
	put(&(struct fuse_rename_in){ .newdir = node }, sizeof(struct fuse_rename_in));
	put_name(name);
	name[0] = 'n';
	put_name(name);
	assert_int_equal(send(), 0);
	snprintf(made, sizeof(made), "%s/more/new-%s", folder, name);
	close(open(made, O_CREAT | O_WRONLY, 0600));
}

static void go_through(uint32_t opcode, uint64_t node, uint32_t room, unsigned int most,
		       void (*act)(const struct fuse_dirent *d, uint64_t node))
{
	static uint8_t answer[65536] __attribute__((aligned(8)));
	size_t head = opcode == FUSE_READDIR ? 0 : sizeof(struct fuse_entry_out);
	struct fuse_read_in in = { .size = room };
	unsigned int taken, rounds;
	size_t at, size;

	assert_int_equal(open_as(FUSE_OPENDIR, node, O_RDONLY, &in.fh), 0);
	for (rounds = 0; rounds < 20000; rounds++) {
		begin(opcode, node);
		put(&in, sizeof(in));
		assert_int_equal(send_as(16 + room, 4096, q.size), 0);
		if (!q.body_size)
			break;
		memcpy(answer, q.body, size = q.body_size);
		for (at = 0, taken = 0; at < size && taken < most; taken++) {
			const struct fuse_dirent *d = (void *)(answer + at + head);

			act(d, node);
			in.offset = d->off;
			at += FUSE_DIRENT_ALIGN(head + FUSE_NAME_OFFSET + d->namelen);
		}
	}
	assert_in_range(rounds, 1, 19999);
	begin(FUSE_RELEASEDIR, node);
	put(&(struct fuse_release_in){ .fh = in.fh }, sizeof(struct fuse_release_in));
	assert_int_equal(send(), 0);
}

static uint64_t make_full(unsigned int count)
{
	char name[32];

	assert_int_equal(mkdir("more", 0755), 0);
	while (count--) {
		snprintf(name, sizeof(name), "more/e-%u", count);
		write_file(name, "");
	}
	sought = 0;
	return lookup(1, "more");
}

static void test_removing(void **state)
{
	static const struct { uint32_t opcode, room; unsigned int most; } ways[] = {
		{ FUSE_READDIR, 4096, ~0U }, { FUSE_READDIRPLUS, 4096, ~0U },
		{ FUSE_READDIR, 200, ~0U }, { FUSE_READDIRPLUS, 60000, ~0U },
		{ FUSE_READDIR, 4096, 1 }, { FUSE_READDIRPLUS, 4096, 7 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		uint64_t node = make_full(1000);

		go_through(ways[i].opcode, node, ways[i].room, ways[i].most, remove_entry);
		assert_int_equal(sought, 0);
		if (rmdir("more"))
			fail_msg("names are left, way %u", i);
	}
}

static unsigned int count_of(const char *name, char first)
{
	DIR *dir = opendir(name);
	unsigned int count = 0;
	struct dirent *d;

	assert_non_null(dir);
	while ((d = readdir(dir)))
		count += d->d_name[0] == first;
	closedir(dir);
	return count;
}

static void test_renaming(void **state)
{
	(void)state;
	go_through(FUSE_READDIR, make_full(1000), 4096, ~0U, rename_entry);
	assert_int_equal(count_of("more", 'e'), 0);
	assert_in_range(count_of("more", 'n'), 2000, 2000);
	assert_int_equal(sought, 0);
}

/* A folder that others move away does not take the guest along. */
static void test_moved(void **state)
{
	uint64_t inner = lookup(1, "inner");

	(void)state;
	assert_int_equal(rename("inner", "../outside"), 0);
	assert_int_equal(lookup(inner, ".."), 0);
	assert_int_equal(q.error, -EINVAL);
	assert_int_equal(lookup(1, "inner"), 0);
	assert_int_equal(q.error, -ENOENT);
	assert_int_equal(lookup(1, "secret"), 0);
	/* Landlock, where the launcher is confined, closes the files in it too. */
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

static void test_kernel_interfaces(void **state)
{
	struct share *other = calloc(1, sizeof(*other)), *mine = share;
	uint64_t fh, proc;

	(void)state;
	other->proc = -1;
	other->read_only = true;
	assert_non_null(share_open(other, "/proc"));
	assert_null(share_open(other, "/"));
	share = other;
	assert_int_equal(init(), 0);
	proc = lookup(1, "proc");
	assert_int_not_equal(proc, 0);
	assert_int_equal(lookup(proc, "self"), 0);
	assert_int_equal(q.error, -ENOENT);
	assert_int_equal(open_as(FUSE_OPENDIR, proc, O_RDONLY, &fh), 0);
	begin(FUSE_READDIR, proc);
	put(&(struct fuse_read_in){ .fh = fh, .size = 4096 }, sizeof(struct fuse_read_in));
	assert_int_equal(send(), 0);
	assert_int_equal(q.body_size, 0);
	share = mine;
}

/* Cut short anywhere, with any length in the header, in parts of any size. */
static void test_cut_short(void **state)
{
	uint32_t opcode, size;

	(void)state;
	for (opcode = 0; opcode < 60; opcode++) {
		for (size = 0; size <= 160; size++) {
			if (opcode == FUSE_DESTROY)
				continue;
			begin(opcode, 1);
			memset(q.bytes + q.size, 'x', 200);
			q.size = size;
			send_as(300, 11, size);
			assert_int_equal(q.got == VIRTIO_BAD, size < 40);
			assert_int_equal(rule, size < 40 ? SHARE_NO_HEADER : SHARE_GOOD);
			send_as(300, 4096, 12345);
			if (size >= 40 && q.got)
				assert_true(q.error == -EINVAL || q.error == -ENOSYS);
		}
	}
	for (size = 0; size < 16; size++) {
		begin(FUSE_GETATTR, 1);
		put("0123456789abcdef", 16);
		send_as(size, 4096, q.size);
		assert_int_equal(q.got, VIRTIO_BAD);
		assert_int_equal(rule, SHARE_NO_ROOM);
	}
	for (; size < 16 + sizeof(struct fuse_attr_out); size++)
		assert_int_equal(send_as(size, 4096, q.size), -EINVAL);
	assert_int_equal(send_as(size, 4096, q.size), 0);
}

static const uint32_t *random_word(unsigned int *seed)
{
	static const uint32_t words[] = { 0, 1, 2, 3, 5, 255, 4095, 4096, 0x7fffffff, ~0U };
	static uint32_t word;

	word = rand_r(seed) % 4 ? words[rand_r(seed) % 10] : (uint32_t)rand_r(seed);
	return &word;
}

/* Random requests, of which many are nearly right. */
static void fuzz(unsigned int rounds, unsigned int least)
{
	static const char *const names[] = {
		"file", "inner", "up", "root", "pipe", "absolute", "new", "..", "../secret", "x/y",
	};
	/* In words, of the protocol's structures. */
	static const unsigned int sizes[] = { 0, 2, 2, 4, 4, 8, 10, 22 };
	unsigned int i, n, seed = 20, done = 0;

	for (i = 0; i < rounds; i++) {
		begin(rand_r(&seed) % 54, rand_r(&seed) % 2 ? 1 : rand_r(&seed) % 8);
		for (n = sizes[rand_r(&seed) % 8]; n; n--)
			put(random_word(&seed), 4);
		for (n = rand_r(&seed) % 3; n; n--)
			put_name(names[rand_r(&seed) % 10]);
		if (rand_r(&seed) % 8 == 0)
			q.size -= rand_r(&seed) % 4;
		send_as(16 + rand_r(&seed) % 600, 1 + rand_r(&seed) % 100, q.size);
		done += q.got >= sizeof(struct fuse_out_header) && q.got != VIRTIO_BAD && !q.error;
		if (i % 100 == 0)
			init();
	}
	assert_secret_safe();
	assert_in_range(done, least, rounds);	/* it was not all refused */
}

static void test_fuzz(void **state)
{
	(void)state;
	fuzz(20000, 800);
	assert_int_equal(access("../new", F_OK), -1);
}

static void test_fuzz_read_only(void **state)
{
	struct stat before, after;

	(void)state;
	assert_int_equal(stat(folder, &before), 0);
	fuzz(5000, 200);
	assert_int_equal(stat(folder, &after), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	assert_int_equal(access("new", F_OK), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TMPFS(name) { #name "_on_tmpfs", name, setup_tmpfs, teardown, NULL }
	const struct CMUnitTest tests[] = {
		TEST(test_init), TEST(test_names), TEST(test_native_errors), TEST(test_links), TEST(test_special_files),
		TEST(test_set_user_id), TEST(test_changes), TEST(test_numbers), TEST(test_write_sizes),
		TEST(test_forget), TEST(test_limits), TEST(test_folders), TEST(test_moved),
		TEST(test_all_or_nothing), TEST(test_flush),
		TEST(test_removing), TEST(test_renaming),
		TMPFS(test_removing), TMPFS(test_renaming),
		TEST(test_kernel_interfaces), TEST(test_many_folders),
		TEST(test_hidden), TEST(test_hidden_writes), TEST(test_hidden_listing),
		TEST(test_cut_short), TEST(test_fuzz),
		cmocka_unit_test_setup_teardown(test_read_only, setup_read_only, teardown),
		cmocka_unit_test_setup_teardown(test_fuzz_read_only, setup_read_only, teardown),
	};

	umask(0);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 1 << 20, 1 << 20 });
	return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
