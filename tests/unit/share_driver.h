/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's side of a shared folder, for the unit tests: requests made by hand. */
#ifndef LGUEST_SHARE_DRIVER_H
#define LGUEST_SHARE_DRIVER_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "devices/share/share.h"
#include "devices/virtio/virtio.h"
#include "jail/confine.h"
#include "lguest.h"

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

static inline int open_as(uint32_t opcode, uint64_t node, uint32_t flags, uint64_t *fh)
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

static inline int setup_read_only(void **state)
{
	(void)state;
	return setup_in("/tmp", true);
}

/* A file system in memory, or NULL. */
static inline const char *memory_folder(void)
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

static inline int setup_tmpfs(void **state)
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

static inline void assert_secret_safe(void)
{
	char text[16] = "";
	FILE *file = fopen("../secret", "r");

	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_string_equal(text, "secret");
	fclose(file);
}

/* Every entry comes once, however little room there is. */
static inline void read_folder(uint32_t opcode, uint64_t node, uint32_t room, unsigned int wanted)
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

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

/* What is made has the mode that is asked for, and no more than 1 MiB. */
static void share_bounds(void)
{
	umask(0);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 1 << 20, 1 << 20 });
}

#endif /* LGUEST_SHARE_DRIVER_H */
