// SOURCES: launcher/devices/share/share.c launcher/devices/share/share_request.c launcher/devices/share/share_body.c launcher/devices/share/share_nodes.c launcher/devices/share/share_names.c launcher/devices/share/share_files.c launcher/devices/share/share_folders.c launcher/devices/share/share_attributes.c launcher/devices/share/share_root.c launcher/devices/share/hidden.c launcher/jail/fixed.c launcher/devices/virtio/virtqueue.c launcher/jail/landlock.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c
// LIBS: -pthread -Wl,--wrap=fchownat
// SPDX-License-Identifier: GPL-2.0
/* Requests for files as no kernel sends them: L10, K13. */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "share_driver.h"

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
	const struct CMUnitTest tests[] = {
		TEST(test_init), TEST(test_links), TEST(test_special_files),
		TEST(test_set_user_id), TEST(test_changes), TEST(test_numbers), TEST(test_write_sizes),
		TEST(test_forget), TEST(test_limits), TEST(test_all_or_nothing), TEST(test_flush),
		TEST(test_kernel_interfaces), TEST(test_cut_short), TEST(test_fuzz),
		cmocka_unit_test_setup_teardown(test_read_only, setup_read_only, teardown),
		cmocka_unit_test_setup_teardown(test_fuzz_read_only, setup_read_only, teardown),
	};

	share_bounds();
	return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
