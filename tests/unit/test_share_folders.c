// SOURCES: launcher/devices/share/share.c launcher/devices/share/share_request.c launcher/devices/share/share_body.c launcher/devices/share/share_nodes.c launcher/devices/share/share_names.c launcher/devices/share/share_files.c launcher/devices/share/share_folders.c launcher/devices/share/share_attributes.c launcher/devices/share/share_root.c launcher/devices/share/hidden.c launcher/jail/fixed.c launcher/devices/virtio/virtqueue.c launcher/jail/landlock.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c
// LIBS: -pthread -Wl,--wrap=lseek
// SPDX-License-Identifier: GPL-2.0
/* Folders that are read while they change, and move away: L10. */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "share_driver.h"

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

int main(void)
{
#define TMPFS(name) { #name "_on_tmpfs", name, setup_tmpfs, teardown, NULL }
	const struct CMUnitTest tests[] = {
		TEST(test_many_folders), TEST(test_folders), TEST(test_moved),
		TEST(test_removing), TEST(test_renaming),
		TMPFS(test_removing), TMPFS(test_renaming),
	};

	share_bounds();
	return cmocka_run_group_tests_name("share_folders", tests, NULL, NULL);
}
