// SPDX-License-Identifier: GPL-2.0
/*
 * Disks (virtio standard 1.2, section 5.2): a raw file or a block device of the
 * host.  The write cache of a file is the host's page cache, that of a device its
 * own: a flush of the guest is an fdatasync here.
 *
 * Reads, writes and flushes are on their way side by side and end in any order
 * (disk_io.h); the rest is done at once, because it is rare.
 *
 * What cannot be done (beyond the end, on a read-only disk, no space left, a
 * file that shrank) is an I/O error for the guest, and nothing more.
 * Read next: disk_io.h.
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

#include "devices/devices.h"
#include "devices/virtio/virtio.h"
#include "disk_io.h"
#include "lguest.h"

#define SECTOR		512ULL
#define SEGMENTS	(VIRTQUEUE_MOST - 2)	/* header and status need two */
#define ERRORS_TOLD	8
#define RANGES		64			/* of one discard */
#define RANGE_MOST	(1U << 22)		/* sectors: 2 GiB */

/* A request of the guest that is on its way. */
struct request {
	struct transfer transfer;	/* first: the engine gives it back */
	uint64_t left;			/* bytes to go */
	uint32_t written;		/* to the guest, at the end */
	uint8_t *status;
	struct chain chain;
	struct request *next;		/* free ones */
};

struct disk {
	char *path;
	int fd;
	int direct;			/* the same past the page cache, or -1 */
	bool read_only;
	bool is_device;
	uint64_t sectors;
	struct engine engine;
	/* Under the queue's lock: */
	struct request *requests, *free;
	unsigned int errors;
	unsigned int touched;		/* of requests; the others have no memory yet */
};

#define REQUESTS	(VIRTQUEUE_MOST + 1)	/* all of a queue, and one too many */

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

static void give(struct disk *disk, struct request *r, enum transfer_kind kind)
{
	r->transfer.kind = kind;
	disk->engine.kind->give(&disk->engine, &r->transfer);
}

/* True if it is on its way; else it ends with this status. */
static bool begin(struct disk *disk, struct request *r, uint64_t sector, bool write,
		  uint8_t *status)
{
	struct chain *c = &r->chain;

	r->left = write ? c->out_size : c->in_size;
	r->transfer.part = write ? chain_out(c) : chain_in(c);
	r->transfer.parts = write ? c->out_parts : c->in_parts;
	/* Where the header was: its address, not aligned, would keep us from the device. */
	for (; r->transfer.parts && !r->transfer.part->iov_len; r->transfer.parts--)
		r->transfer.part++;
	r->transfer.at = sector * SECTOR;
	*status = VIRTIO_BLK_S_OK;
	if (!in_range(disk, sector, r->left) || (write && disk->read_only))
		*status = VIRTIO_BLK_S_IOERR;
	else if (r->left)
		give(disk, r, write ? TRANSFER_WRITE : TRANSFER_READ);
	return *status == VIRTIO_BLK_S_OK && r->left;
}

/* What a slow call would keep waiting goes first. */
static void go_ahead(struct virtio_queue *q)
{
	disk_of(q)->engine.kind->go(&disk_of(q)->engine);
	virtio_tell(q);
}

/* As begin(). */
static bool act(struct virtio_queue *q, struct request *r,
		const struct virtio_blk_outhdr *header, uint8_t *status)
{
	switch (header->type) {
	case VIRTIO_BLK_T_IN:
		return begin(disk_of(q), r, header->sector, false, status);
	case VIRTIO_BLK_T_OUT:
		return begin(disk_of(q), r, header->sector, true, status);
	case VIRTIO_BLK_T_FLUSH:
		give(disk_of(q), r, TRANSFER_SYNC);
		return true;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		go_ahead(q);
		*status = ranges(q, &r->chain, header->type == VIRTIO_BLK_T_DISCARD);
		return false;
	case VIRTIO_BLK_T_GET_ID:
		*status = give_id(q, &r->chain);
		return false;
	default:
		*status = VIRTIO_BLK_S_UNSUPP;
		return false;
	}
}

static struct request *new_request(struct disk *disk)
{
	struct request *r = disk->free;

	if (!r)
		return &disk->requests[disk->touched++];
	disk->free = r->next;
	return r;
}

static void free_request(struct disk *disk, struct request *r)
{
	r->next = disk->free;
	disk->free = r;
}

/* Back to the driver. */
static void end(struct virtio_queue *q, struct request *r, uint8_t status)
{
	*r->status = status;
	virtio_done(q, r->chain.head, r->written);
	free_request(disk_of(q), r);
}

/*D:200
 * A request: a header of 16 bytes, the data, and one byte for the status, the
 * last of what we write.  How they are cut into parts is the driver's affair.
 :*/
static bool begin_request(struct virtio_queue *q, struct request *r)
{
	struct virtio_blk_outhdr header;
	struct chain *c = &r->chain;
	uint8_t status;
	bool under_way;
	uint64_t data;
	void *place;

	if (chain_read(c, &header, sizeof(header)) != sizeof(header) ||
	    !chain_take_end(c, &place)) {
		q->ring.broken = "a disk request has no header or no status";
		return false;
	}
	r->status = place;
	r->transfer.file = disk_of(q)->direct < 0 ? disk_of(q)->fd : disk_of(q)->direct;
	data = c->in_size;
	virtio_began(q);
	under_way = act(q, r, &header, &status);
	r->written = (header.type == VIRTIO_BLK_T_IN ? data : data - c->in_size) + 1;
	if (!under_way)
		end(q, r, status);
	return true;
}

/* As many as there are: 0, or -1 if the driver broke a rule. */
static int begin_waiting(struct virtio_queue *q)
{
	struct request *r;
	int got;

	do {
		r = new_request(disk_of(q));
		got = virtqueue_pop(&q->ring, &r->chain);
		if (got > 0 && q->on_way == q->ring.size) {
			q->ring.broken = "more requests are on their way than the queue holds";
			got = -1;
		}
	} while (got > 0 && begin_request(q, r));
	free_request(disk_of(q), r);
	return got > 0 ? -1 : got;
}

/*D:210
 * All of a transfer, in as many calls as it takes.  No bytes at all mean the
 * end of a file that has become shorter.  True if another call is on its way.
 :*/
static bool goes_on(struct disk *disk, struct request *r)
{
	struct transfer *t = &r->transfer;
	ssize_t done = t->result;

	/* Neither memory nor sectors need suit the device: the page cache takes all. */
	if (done == -EINVAL && t->file != disk->fd) {
		t->file = disk->fd;
		done = -EAGAIN;
	}
	if (done == -EINTR || done == -EAGAIN) {
		give(disk, r, t->kind);
		return true;
	}
	if (t->kind == TRANSFER_SYNC || done <= 0 || (uint64_t)done >= r->left)
		return false;
	r->left -= done;
	t->at += done;
	for (; (size_t)done >= t->part->iov_len; t->parts--, t->part++)
		done -= t->part->iov_len;
	t->part->iov_base = (char *)t->part->iov_base + done;
	t->part->iov_len -= done;
	give(disk, r, t->kind);
	return true;
}

/* Without a flush command the driver takes every write as done for good. */
static bool wants_sync(struct virtio_queue *q, const struct transfer *t)
{
	return t->kind == TRANSFER_WRITE && t->result > 0 &&
	       !(q->device->accepted & VIRTIO_BIT(VIRTIO_BLK_F_FLUSH));
}

/* With -v, the first few. */
static void tell_error(struct disk *disk, const struct transfer *t)
{
	if (disk->errors++ < ERRORS_TOLD)
		note("%s: cannot %s at byte %lld: %s", disk->path,
		     t->kind == TRANSFER_READ ? "read" :
		     t->kind == TRANSFER_WRITE ? "write" : "sync",
		     (long long)t->at,
		     t->result ? strerror(-t->result) : "the file has become shorter");
}

static void end_transfer(struct virtio_queue *q, struct transfer *t)
{
	struct request *r = (struct request *)t;
	struct disk *disk = disk_of(q);
	bool ok = t->kind == TRANSFER_SYNC ? !t->result : t->result > 0;

	if (goes_on(disk, r))
		return;
	if (wants_sync(q, t)) {
		give(disk, r, TRANSFER_SYNC);
		return;
	}
	if (!ok)
		tell_error(disk, t);
	end(q, r, ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
}

/* True if something had ended. */
static bool end_transfers(struct virtio_queue *q)
{
	struct engine *engine = &disk_of(q)->engine;
	struct transfer *t = engine->kind->take(engine, false);
	bool any = t;

	for (; t; t = engine->kind->take(engine, false))
		end_transfer(q, t);
	return any;
}

/*D:220
 * What ended makes room for more, and what begins may end at once; when
 * neither happens the driver is told, and asked to notify again.
 :*/
static void serve(struct virtio_queue *q)
{
	struct engine *engine = &disk_of(q)->engine;
	int got;

	do {
		virtqueue_notify_me(&q->ring, false);
		do {
			got = begin_waiting(q);
			engine->kind->go(engine);
		} while (end_transfers(q) && !got && !virtio_hurry(q));
		virtio_tell(q);
	} while (!got && !virtio_hurry(q) && virtqueue_notify_me(&q->ring, true));
	if (got < 0)
		virtio_fail(q->device, q->ring.broken);
	q->source = q->on_way ? engine->ready : -1;
}

/* The guest's memory is about to be its own again. */
static void drain(struct virtio_queue *q)
{
	struct engine *engine = &disk_of(q)->engine;

	if (q->on_way)
		note("%s: waiting for %u requests", disk_of(q)->path, q->on_way);
	engine->kind->go(engine);
	for (; q->on_way; q->on_way--)
		free_request(disk_of(q), (struct request *)engine->kind->take(engine, true));
}

static const struct virtio_kind kind = {
	.id = VIRTIO_ID_BLOCK,
	.driver = "virtio_blk",
	.queues = 1,
	.thread = THREAD_DISK,
	.serve = serve,
	.drain = drain,
	.patient = true,
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

#define HOW_TO_MAKE	"; make an image with `truncate -s 4G IMG`"
static const char no_disk[] = "it is neither a file nor a block device" HOW_TO_MAKE;

bool disk_check(const char *option)
{
	char *path = strdup(option);
	const char *why = NULL;
	struct stat status;

	if (!path)
		return false;
	path_take_ro(path);
	if (!*path)
		why = "its name is missing; say -d IMG or -d IMG,ro";
	else if (stat(path, &status))
		why = errno == ENOENT ? "No such file or directory" HOW_TO_MAKE : strerror(errno);
	else if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		why = no_disk;
	if (why)
		problem("cannot use the disk %s: %s", path, why);
	free(path);
	return !why;
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
		return no_disk;
	}
	if (pread(disk->fd, magic, 4, 0) == 4 && !memcmp(magic, "QFI\xfb", 4))
		return "it is in the format qcow2, and lguest takes raw images; `qemu-img convert -O raw OLD NEW` makes one";
	disk->sectors = size / SECTOR;
	return disk->sectors ? NULL : "it is empty; give it a size with `truncate -s 4G IMG`";
}

/* For the tests: LGUEST_TEST_DISK=threads does without io_uring. */
static int open_engine(struct disk *disk)
{
	struct engine *engine = &disk->engine;
	const char *wanted = getenv("LGUEST_TEST_DISK");
	int error = -EPERM;

	engine->kind = &engine_uring;
	if (!wanted || strcmp(wanted, engine_threads.name))
		error = engine->kind->open(engine);
	if (error) {
		note("%s: no io_uring here: %s; threads instead", disk->path, strerror(-error));
		engine->kind = &engine_threads;
		error = engine->kind->open(engine);
	}
	if (error)
		engine->kind = NULL;
	return error;
}

/*
 * A device is read and written past the page cache, which would keep a second
 * copy of what the guest's own cache has.  The lock stays with the first
 * descriptor.  Without this one, all goes through the page cache.
 */
static void open_direct(struct disk *disk)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", disk->fd);
	disk->direct = open(path, (disk->read_only ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
	if (disk->direct < 0)
		note("%s: through the page cache: %s", disk->path, strerror(errno));
}

static const char *open_disk(struct disk *disk)
{
	const char *why;
	int error;

	disk->fd = open(disk->path, (disk->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (disk->fd < 0)
		return !disk->read_only && (errno == EACCES || errno == EROFS) ?
		       "it may not be written; open it read-only with ,ro" : strerror(errno);
	/* Two guests that write the same disk would ruin it. */
	if (flock(disk->fd, (disk->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return "another guest uses it; several can, if all have it read-only with ,ro";
	why = measure(disk);
	if (why)
		return why;
	if (disk->is_device)
		open_direct(disk);
	error = open_engine(disk);
	return error ? strerror(-error) : NULL;
}

static struct virtio_device *forget(struct virtio_device *device, struct disk *disk)
{
	if (disk) {
		if (disk->engine.kind)
			disk->engine.kind->close(&disk->engine);
		if (disk->direct >= 0)
			close(disk->direct);
		if (disk->fd >= 0)
			close(disk->fd);
		free(disk->requests);
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

	if (disk) {
		disk->fd = disk->direct = -1;
		disk->path = strdup(option);
		disk->requests = calloc(REQUESTS, sizeof(*disk->requests));
	}
	if (!device || !disk || !disk->path || !disk->requests) {
		problem("cannot make a disk: out of memory; free some");
		return forget(device, disk);
	}
	disk->read_only = path_take_ro(disk->path);
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
