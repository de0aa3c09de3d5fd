// SPDX-License-Identifier: GPL-2.0
/*
 * Disks (virtio standard 1.2, section 5.2): a raw file or a block device of the
 * host.  The host's page cache is the disk's write cache: a flush of the guest
 * is an fdatasync here.
 *
 * What cannot be done (beyond the end, on a read-only disk, no space left, a
 * file that shrank) is an I/O error for the guest, and nothing more.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices.h"
#include "lguest.h"
#include "virtio.h"

#define SECTOR		512ULL
#define SEGMENTS	(VIRTQUEUE_MOST - 2)	/* header and status need two */
#define RANGES		64			/* of one discard */
#define RANGE_MOST	(1U << 22)		/* sectors: 2 GiB */

struct disk {
	char *path;
	int fd;
	bool read_only;
	bool is_device;
	uint64_t sectors;
};

static struct disk *disk_of(struct virtio_queue *q)
{
	return q->device->state;
}

static bool in_range(const struct disk *disk, uint64_t sector, uint64_t size)
{
	return size % SECTOR == 0 && sector <= disk->sectors &&
	       size / SECTOR <= disk->sectors - sector;
}

static uint8_t status_of(int error)
{
	return error == EOPNOTSUPP || error == ENOSYS || error == ENOTTY ?
	       VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

/*L:650
 * All of a transfer, in as many calls as it takes.  Fewer bytes than asked for
 * mean the end of a file that has become shorter.
 :*/
static uint8_t transfer(struct disk *disk, struct iovec *part, unsigned int parts,
			uint64_t sector, uint64_t size, bool write)
{
	off_t at = sector * SECTOR;

	if (!in_range(disk, sector, size) || (write && disk->read_only))
		return VIRTIO_BLK_S_IOERR;
	while (size) {
		ssize_t done = write ? pwritev(disk->fd, part, parts, at) :
				       preadv(disk->fd, part, parts, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return VIRTIO_BLK_S_IOERR;
		at += done;
		size -= done;
		for (; parts && (size_t)done >= part->iov_len; parts--, part++)
			done -= part->iov_len;
		if (parts) {
			part->iov_base = (char *)part->iov_base + done;
			part->iov_len -= done;
		}
	}
	return VIRTIO_BLK_S_OK;
}

static uint8_t flush(const struct disk *disk)
{
	return fdatasync(disk->fd) ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
}

/* Without a flush command the driver takes every write as done for good. */
static uint8_t write_out(struct virtio_queue *q, struct chain *c, uint64_t sector)
{
	struct disk *disk = disk_of(q);
	uint8_t status = transfer(disk, chain_out(c), c->out_parts, sector,
				  c->out_size, true);

	if (status == VIRTIO_BLK_S_OK &&
	    !(q->device->accepted & VIRTIO_BIT(VIRTIO_BLK_F_FLUSH)))
		status = flush(disk);
	return status;
}

static int punch(const struct disk *disk, uint64_t from, uint64_t size)
{
	uint64_t range[2] = { from, size };

	if (disk->is_device)
		return ioctl(disk->fd, BLKDISCARD, range);
	return fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 from, size);
}

static int write_zeroes_slowly(const struct disk *disk, uint64_t from, uint64_t size)
{
	static const uint8_t zeroes[65536];

	while (size) {
		size_t n = size < sizeof(zeroes) ? size : sizeof(zeroes);
		ssize_t done = pwrite(disk->fd, zeroes, n, from);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		from += done;
		size -= done;
	}
	return 0;
}

static int zero(const struct disk *disk, uint64_t from, uint64_t size, bool may_punch)
{
	uint64_t range[2] = { from, size };

	if (disk->is_device)
		return ioctl(disk->fd, BLKZEROOUT, range);
	if (may_punch && !punch(disk, from, size))
		return 0;
	if (!fallocate(disk->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, from, size))
		return 0;
	return write_zeroes_slowly(disk, from, size);
}

static uint8_t one_range(const struct disk *disk,
			 const struct virtio_blk_discard_write_zeroes *range,
			 bool discard)
{
	uint64_t from = range->sector * SECTOR;
	uint64_t size = range->num_sectors * SECTOR;
	bool unmap = range->flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	int error;

	if ((range->flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) || (discard && unmap))
		return VIRTIO_BLK_S_UNSUPP;
	if (range->num_sectors > RANGE_MOST ||
	    !in_range(disk, range->sector, size))
		return VIRTIO_BLK_S_IOERR;
	if (!size)
		return VIRTIO_BLK_S_OK;
	error = discard ? punch(disk, from, size) : zero(disk, from, size, unmap);
	return error ? status_of(errno) : VIRTIO_BLK_S_OK;
}

static uint8_t ranges(struct virtio_queue *q, struct chain *c, bool discard)
{
	struct virtio_blk_discard_write_zeroes range;
	uint8_t status = VIRTIO_BLK_S_OK;

	if (disk_of(q)->read_only || c->out_size % sizeof(range) ||
	    c->out_size > RANGES * sizeof(range))
		return VIRTIO_BLK_S_IOERR;
	while (status == VIRTIO_BLK_S_OK &&
	       chain_read(c, &range, sizeof(range)) == sizeof(range))
		status = one_range(disk_of(q), &range, discard);
	return status;
}

static uint8_t give_id(struct virtio_queue *q, struct chain *c)
{
	const char *name = strrchr(disk_of(q)->path, '/');
	char id[VIRTIO_BLK_ID_BYTES] = "";

	name = name ? name + 1 : disk_of(q)->path;
	memcpy(id, name, strnlen(name, sizeof(id)));
	chain_write(c, id, sizeof(id));
	return VIRTIO_BLK_S_OK;
}

static uint8_t act(struct virtio_queue *q, struct chain *c,
		   const struct virtio_blk_outhdr *header)
{
	switch (header->type) {
	case VIRTIO_BLK_T_IN:
		return transfer(disk_of(q), chain_in(c), c->in_parts,
				header->sector, c->in_size, false);
	case VIRTIO_BLK_T_OUT:
		return write_out(q, c, header->sector);
	case VIRTIO_BLK_T_FLUSH:
		virtio_tell(q);		/* this takes its time */
		return flush(disk_of(q));
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		virtio_tell(q);
		return ranges(q, c, header->type == VIRTIO_BLK_T_DISCARD);
	case VIRTIO_BLK_T_GET_ID:
		return give_id(q, c);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/*L:660
 * A request: a header of 16 bytes, the data, and one byte for the status, the
 * last of what we write.  How they are cut into parts is the driver's affair.
 :*/
static uint32_t request(struct virtio_queue *q, struct chain *c)
{
	struct virtio_blk_outhdr header;
	uint64_t data;
	void *status;

	if (chain_read(c, &header, sizeof(header)) != sizeof(header) ||
	    !chain_take_end(c, &status)) {
		q->ring.broken = "a disk request has no header or no status";
		return VIRTIO_BAD;
	}
	data = c->in_size;
	*(uint8_t *)status = act(q, c, &header);
	return (header.type == VIRTIO_BLK_T_IN ? data : data - c->in_size) + 1;
}

static void serve(struct virtio_queue *q)
{
	virtio_each(q, request);
}

static const struct virtio_kind kind = {
	.id = VIRTIO_ID_BLOCK,
	.queues = 1,
	.serve = serve,
};

static void configure(struct virtio_device *device, const struct disk *disk)
{
	struct virtio_blk_config config = {
		.capacity = disk->sectors,
		.seg_max = SEGMENTS,
		.blk_size = SECTOR,
		.max_discard_sectors = RANGE_MOST,
		.max_discard_seg = RANGES,
		.discard_sector_alignment = 8,
		.max_write_zeroes_sectors = RANGE_MOST,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};

	device->offered = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) |
			  VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
			  VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
	if (disk->read_only)
		device->offered |= VIRTIO_BIT(VIRTIO_BLK_F_RO);
	else
		device->offered |= VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) |
				   VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	device->config_size = sizeof(config) < VIRTIO_CONFIG_MOST ?
			      sizeof(config) : VIRTIO_CONFIG_MOST;
	memcpy(device->config, &config, device->config_size);
}

/* Size of the file or device, or what is wrong with it. */
static const char *measure(struct disk *disk)
{
	struct stat status;
	uint64_t size;
	char magic[4];

	if (fstat(disk->fd, &status))
		return strerror(errno);
	if (S_ISBLK(status.st_mode)) {
		disk->is_device = true;
		if (ioctl(disk->fd, BLKGETSIZE64, &size))
			return strerror(errno);
	} else if (S_ISREG(status.st_mode)) {
		size = status.st_size;
	} else {
		return "it is neither a file nor a block device; make an image with `truncate -s 4G IMG`";
	}
	if (pread(disk->fd, magic, 4, 0) == 4 && !memcmp(magic, "QFI\xfb", 4))
		return "it is in the format qcow2, and lguest takes raw images; `qemu-img convert -O raw OLD NEW` makes one";
	disk->sectors = size / SECTOR;
	return disk->sectors ? NULL : "it is empty; give it a size with `truncate -s 4G IMG`";
}

static const char *open_disk(struct disk *disk)
{
	disk->fd = open(disk->path, (disk->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (disk->fd < 0)
		return !disk->read_only && (errno == EACCES || errno == EROFS) ?
		       "it may not be written; open it read-only with ,ro" : strerror(errno);
	/* Two guests that write the same disk would ruin it. */
	if (flock(disk->fd, (disk->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return "another guest uses it; several can, if all have it read-only with ,ro";
	return measure(disk);
}

static struct virtio_device *forget(struct virtio_device *device, struct disk *disk)
{
	if (disk) {
		if (disk->fd >= 0)
			close(disk->fd);
		free(disk->path);
	}
	free(disk);
	free(device);
	return NULL;
}

struct virtio_device *disk_create(const char *option)
{
	struct virtio_device *device = calloc(1, sizeof(*device));
	struct disk *disk = calloc(1, sizeof(*disk));
	const char *why;
	char *comma;

	if (disk) {
		disk->fd = -1;
		disk->path = strdup(option);
	}
	if (!device || !disk || !disk->path) {
		problem("cannot make a disk: out of memory; free some");
		return forget(device, disk);
	}
	comma = strrchr(disk->path, ',');
	if (comma && !strcmp(comma, ",ro")) {
		*comma = '\0';
		disk->read_only = true;
	}
	why = open_disk(disk);
	if (why) {
		problem("cannot use the disk %s: %s", disk->path, why);
		return forget(device, disk);
	}
	configure(device, disk);
	if (!virtio_init(device, &kind, disk->path, disk))
		return forget(device, disk);
	return device;
}
