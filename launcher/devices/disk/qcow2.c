// SPDX-License-Identifier: GPL-2.0
/*
 * As much of QEMU's format qcow2 as it takes to begin an image, and to see that one
 * names no other file: who can write an image, a guest's user for instance, shall not
 * choose what of the host's files a guest reads.
 * Read next: hardware/console.c.
 */
#define _GNU_SOURCE 1
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "disk_file.h"

#define MAGIC		0x514649fbU	/* "QFI", 0xfb */
#define CLUSTER_BITS	16
#define CLUSTER		(1UL << CLUSTER_BITS)
#define L1_COVERS	(CLUSTER * (CLUSTER / 8))	/* bytes of the disk, by one entry */
#define L1_AT		3UL		/* clusters: the header, references, their counts */
#define MOST		(1ULL << 44)
#define DATA_FILE	4ULL		/* incompatible: the data are in another file */

/* Version 2; a newer one has more behind it.  All numbers have the highest byte first. */
struct header {
	uint32_t magic, version;
	uint64_t backing_at;
	uint32_t backing_size, cluster_bits;
	uint64_t size;
	uint32_t encrypted, l1_entries;
	uint64_t l1_at, counts_at;
	uint32_t counts_clusters, snapshots;
	uint64_t snapshots_at;
	uint64_t incompatible;		/* from version 3 on */
} __attribute__((packed));

#define VERSION_2_SIZE	offsetof(struct header, incompatible)

const char *qcow2_wrong(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct header h = { .magic = 0 };
	ssize_t got = fd < 0 ? -1 : pread(fd, &h, sizeof(h), 0);
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (got < 0)
		return strerror(error);
	if (got < (ssize_t)VERSION_2_SIZE || be32toh(h.magic) != MAGIC)
		return "it is no qcow2 image; a raw one must have another name";
	if (h.backing_at)
		return "it names a backing file, which is not opened; say -d BACKING,overlay=IMG, if you trust that file with the guest, after `qemu-img rebase -u -b '' IMG`";
	if (be32toh(h.version) >= 3 && (be64toh(h.incompatible) & DATA_FILE))
		return "its data are in another file that it names; `qemu-img convert` it";
	return NULL;
}

/* The clusters in use have one reference each. */
static bool write_counts(int fd, unsigned int used)
{
	uint64_t table = htobe64(2 * CLUSTER);
	uint16_t one = htobe16(1);
	unsigned int i;

	for (i = 0; i < used; i++)
		if (pwrite(fd, &one, sizeof(one), 2 * CLUSTER + i * sizeof(one)) != sizeof(one))
			return false;
	return pwrite(fd, &table, sizeof(table), CLUSTER) == sizeof(table);
}

static bool fill(int fd, uint64_t size)
{
	uint64_t entries = (size + L1_COVERS - 1) / L1_COVERS;
	uint64_t clusters = (entries * 8 + CLUSTER - 1) / CLUSTER;
	const struct header h = {
		.magic = htobe32(MAGIC), .version = htobe32(2),
		.cluster_bits = htobe32(CLUSTER_BITS), .size = htobe64(size),
		.l1_entries = htobe32(entries), .l1_at = htobe64(L1_AT * CLUSTER),
		.counts_at = htobe64(CLUSTER), .counts_clusters = htobe32(1),
	};

	return !ftruncate(fd, (L1_AT + clusters) * CLUSTER) &&
	       write_counts(fd, L1_AT + clusters) &&
	       pwrite(fd, &h, VERSION_2_SIZE, 0) == (ssize_t)VERSION_2_SIZE && !fsync(fd);
}

int qcow2_make(const char *path, uint64_t size)
{
	int fd, error = 0;

	if (!size || size > MOST)
		return EFBIG;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return errno;
	if (!fill(fd, size)) {
		error = errno ? errno : EIO;
		unlink(path);
	}
	close(fd);
	return error;
}
