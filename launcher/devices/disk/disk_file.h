/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is behind a disk: a file or a block device of the host, its size and its
 * blocks.
 * Read next: disk_file.c.
 */
#ifndef LGUEST_DISK_FILE_H
#define LGUEST_DISK_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio/limits.h"

#define SECTOR		512ULL

struct disk_file {
	char *path;
	int fd;
	int direct;			/* the same past the page cache, or -1 */
	bool read_only;
	bool is_device;
	uint64_t sectors;
	/* In bytes; 0: not known. */
	uint32_t block, physical, least_io, best_io, discard;
	uint32_t offset;		/* of the first physical block */
	bool no_discard;
};

/* What -d takes. */
struct disk_option {
	char *path;			/* of this structure; or NULL: no memory */
	bool read_only;
	bool full_fails;		/* if the host has no room */
	char *overlay;			/* of path; or NULL */
	struct limits limits;
};
/* Take one apart; NULL, or what is wrong with it. */
const char *disk_option_read(struct disk_option *option, const char *text);

/*
 * vhost_blk.c: disks that qemu-storage-daemon serves.  Is it one, what is wrong with
 * it (or NULL), and make it (NULL after a message).
 */
struct virtio_device;
bool vhost_blk_serves(const struct disk_option *option);
const char *vhost_blk_wrong(const struct disk_option *option);
struct virtio_device *vhost_blk_create(const struct disk_option *option);

/*
 * qcow2.c: a new image of so many bytes, which shows what lies beneath; 0 or errno.
 * And what is wrong with an image that is there: it names other files; or NULL.
 */
int qcow2_make(const char *path, uint64_t size);
const char *qcow2_wrong(const char *path);

/* NULL, or what is wrong with it; disk_file_close() follows in either case. */
const char *disk_file_open(struct disk_file *file);
void disk_file_close(struct disk_file *file);

#endif /* LGUEST_DISK_FILE_H */
