// SPDX-License-Identifier: GPL-2.0
/*
 * Disks (virtio standard 1.2, section 5.2): a raw file or a block device of the
 * host.  The write cache of a file is the host's page cache, that of a device its
 * own: a flush of the guest is an fdatasync here.
 *
 * Reads, writes and flushes are on their way side by side and end in any order
 * (disk_io.h); the rest is done at once, because it is rare.
 *
 * What cannot be done (beyond the end, on a read-only disk, a file that shrank) is an
 * I/O error for the guest, and nothing more.  What the host has no room for waits.
 * Read next: disk_file.h.
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
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/devices.h"
#include "devices/virtio/virtio.h"
#include "clock.h"
#include "disk_file.h"
#include "disk_io.h"
#include "hardware/guest.h"
#include "lguest.h"

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
	uint32_t type;			/* VIRTIO_BLK_T_* */
	bool no_room;			/* it waits for room, or is tried again */
	struct request *next;		/* free ones, or those that wait */
};

#define RETRY_AFTER	(2 * 1000000000ULL)	/* ns */
#define NO_ROOM		255			/* a status of ours */
enum asked { ASKED_NOTHING, ASKED_AGAIN, ASKED_LAST };

struct disk {
	struct disk_file file;
	struct engine engine;
	/* Under the queue's lock: */
	struct request *requests, *free;
	unsigned int errors;
	bool full;			/* and the user knows, or has been told often enough */
	unsigned int full_told;
	bool full_fails;
	struct request *waiting;	/* for room on the host */
	unsigned int without_room;	/* these, and those that are tried again */
	uint64_t retry_at;
	struct limits limits;
	unsigned int touched;		/* of requests; the others have no memory yet */
	/* By any thread: */
	atomic_int asked;
};

#define REQUESTS	(VIRTQUEUE_MOST + 1)	/* all of a queue, and one too many */

static struct disk *disk_of(struct virtio_queue *q)
{
	return q->device->state;
}

static bool in_range(const struct disk *disk, uint64_t sector, uint64_t size)
{
	return size % SECTOR == 0 && sector <= disk->file.sectors &&
	       size / SECTOR <= disk->file.sectors - sector;
}

static uint8_t status_of(int error)
{
	return error == EOPNOTSUPP || error == ENOSYS || error == ENOTTY ?
	       VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

static bool no_room(int error)
{
	return error == ENOSPC || error == EDQUOT;
}

static int punch(const struct disk *disk, uint64_t from, uint64_t size)
{
	uint64_t range[2] = { from, size };

	if (disk->file.is_device)
		return ioctl(disk->file.fd, BLKDISCARD, range);
	return fallocate(disk->file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 from, size);
}

static int write_zeroes_slowly(const struct disk *disk, uint64_t from, uint64_t size)
{
	static const uint8_t zeroes[65536];

	while (size) {
		size_t n = size < sizeof(zeroes) ? size : sizeof(zeroes);
		ssize_t done = pwrite(disk->file.fd, zeroes, n, from);

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

	if (disk->file.is_device)
		return ioctl(disk->file.fd, BLKZEROOUT, range);
	if (may_punch && !punch(disk, from, size))
		return 0;
	if (!fallocate(disk->file.fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, from, size))
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
	if (error && no_room(errno) && !disk->full_fails)
		return NO_ROOM;
	return error ? status_of(errno) : VIRTIO_BLK_S_OK;
}

/* Of a copy: it may be done again. */
static uint8_t ranges(struct virtio_queue *q, const struct request *r)
{
	struct chain copy = r->chain, *c = &copy;
	bool discard = r->type == VIRTIO_BLK_T_DISCARD;
	struct virtio_blk_discard_write_zeroes range;
	uint8_t status = VIRTIO_BLK_S_OK;

	if (disk_of(q)->file.read_only || c->out_size % sizeof(range) ||
	    c->out_size > RANGES * sizeof(range))
		return VIRTIO_BLK_S_IOERR;
	while (status == VIRTIO_BLK_S_OK &&
	       chain_read(c, &range, sizeof(range)) == sizeof(range))
		status = one_range(disk_of(q), &range, discard);
	return status;
}

static uint8_t give_id(struct virtio_queue *q, struct chain *c)
{
	const char *name = strrchr(disk_of(q)->file.path, '/');
	char id[VIRTIO_BLK_ID_BYTES] = "";

	name = name ? name + 1 : disk_of(q)->file.path;
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
	if (!in_range(disk, sector, r->left) || (write && disk->file.read_only))
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

/*D:205
 * The host has no room for it.  An error would make the guest's file system one that
 * can only be read, for something that somebody can do something about: so the guest
 * stands until there is room, or it is stopped.
 :*/
static bool wait_for_room(struct virtio_queue *q, struct request *r, int error)
{
	struct disk *disk = disk_of(q);

	if (!disk->waiting)
		disk->retry_at = now_ns() + RETRY_AFTER;
	r->next = disk->waiting;
	disk->waiting = r;
	if (r->no_room || disk->without_room)
		guest_still_held();
	else
		guest_hold();
	if (r->no_room)
		return true;
	r->no_room = true;
	if (disk->without_room++)
		return true;
	if (disk->full_told++ < ERRORS_TOLD)
		problem("%s: this host has no room for what the guest writes: %s; the guest stands until there is: make some, `lguest resume` tries at once",
			disk->file.path, strerror(error));
	return true;
}

static void found_room(struct disk *disk, struct request *r)
{
	if (!r->no_room)
		return;
	r->no_room = false;
	if (--disk->without_room)
		return;
	guest_let_go();
	note("%s: there is room again", disk->file.path);
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
		*status = ranges(q, r);
		return *status == NO_ROOM && wait_for_room(q, r, ENOSPC);
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
	r->no_room = false;
	r->next = disk->free;
	disk->free = r;
}

/* Back to the driver. */
static void end(struct virtio_queue *q, struct request *r, uint8_t status)
{
	found_room(disk_of(q), r);
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
	r->type = header.type;
	r->transfer.file = disk_of(q)->file.direct < 0 ? disk_of(q)->file.fd : disk_of(q)->file.direct;
	data = c->in_size;
	virtio_began(q);
	virtio_count(q, c->out_size + c->in_size);
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

	if (virtio_must_wait(q))
		return 0;
	do {
		r = new_request(disk_of(q));
		got = virtqueue_pop(&q->ring, &r->chain);
		if (got > 0 && q->on_way == q->ring.size) {
			q->ring.broken = "more requests are on their way than the queue holds";
			got = -1;
		}
		if (got > 0 && !begin_request(q, r))
			got = -2;
	} while (got > 0 && !virtio_must_wait(q));
	if (got <= 0)
		free_request(disk_of(q), r);
	return got < 0 ? -1 : 0;
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
	if (done == -EINVAL && t->file != disk->file.fd) {
		t->file = disk->file.fd;
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

/* With -v, the first few.  What the user can do something about is said in any case. */
static void tell_error(struct disk *disk, const struct transfer *t)
{
	if (no_room(-t->result) && !disk->full &&
	    disk->full_told++ < ERRORS_TOLD) {
		disk->full = true;
		problem("%s: this host has no room for what the guest writes: %s; the guest gets I/O errors until there is",
			disk->file.path, strerror(-t->result));
	}
	if (disk->errors++ < ERRORS_TOLD)
		note("%s: cannot %s at byte %lld: %s", disk->file.path,
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
	/* A sync that failed has lost what it should keep: again would be a lie. */
	if (!ok && t->kind == TRANSFER_WRITE && no_room(-t->result) && !disk->full_fails) {
		wait_for_room(q, r, -t->result);
		return;
	}
	if (!ok)
		tell_error(disk, t);
	else if (t->kind == TRANSFER_WRITE)
		disk->full = false;
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

static void begin_again(struct virtio_queue *q, struct request *r)
{
	uint8_t status;

	if (r->type == VIRTIO_BLK_T_OUT) {
		give(disk_of(q), r, TRANSFER_WRITE);
		return;
	}
	status = ranges(q, r);
	if (status == NO_ROOM)
		wait_for_room(q, r, ENOSPC);
	else
		end(q, r, status);
}

/* Those that wait for room, if it is time. */
static void try_again(struct virtio_queue *q)
{
	struct disk *disk = disk_of(q);
	int asked = atomic_exchange(&disk->asked, ASKED_NOTHING);
	struct request *r, *next;

	disk->full_fails |= asked == ASKED_LAST;
	if (!disk->waiting || (!asked && now_ns() < disk->retry_at))
		return;
	r = disk->waiting;
	for (disk->waiting = NULL; r; r = next) {
		next = r->next;
		begin_again(q, r);
	}
}

static void retry(struct virtio_device *device, bool last)
{
	struct disk *disk = device->state;

	atomic_store(&disk->asked, last ? ASKED_LAST : ASKED_AGAIN);
	virtio_kick(&device->queues[0]);
}

static void wake_for_retry(struct virtio_queue *q)
{
	struct disk *disk = disk_of(q);

	if (disk->waiting && (!q->wake || disk->retry_at < q->wake))
		q->wake = disk->retry_at;
}

/*D:220
 * What ended makes room for more, and what begins may end at once; when
 * neither happens the driver is told, and asked to notify again.
 :*/
static void serve(struct virtio_queue *q)
{
	struct engine *engine = &disk_of(q)->engine;
	int got;

	q->wake = 0;
	try_again(q);
	do {
		virtqueue_notify_me(&q->ring, false);
		do {
			got = begin_waiting(q);
			engine->kind->go(engine);
		} while (end_transfers(q) && !got && !virtio_hurry(q));
		virtio_tell(q);
	} while (!got && !q->wake && !virtio_hurry(q) && virtqueue_notify_me(&q->ring, true));
	wake_for_retry(q);
	if (got < 0)
		virtio_fail(q->device, q->ring.broken);
	q->source = q->on_way ? engine->ready : -1;
}

/* Those that are tried again come back from the engine. */
static void forget_waiting(struct virtio_queue *q)
{
	struct disk *disk = disk_of(q);
	struct request *r, *next;

	for (r = disk->waiting; r; r = next) {
		next = r->next;
		free_request(disk, r);
		q->on_way--;
	}
	disk->waiting = NULL;
	if (disk->without_room)
		guest_let_go();
	disk->without_room = 0;
}

/* The guest's memory is about to be its own again. */
static void drain(struct virtio_queue *q)
{
	struct engine *engine = &disk_of(q)->engine;

	if (q->on_way)
		note("%s: waiting for %u requests", disk_of(q)->file.path, q->on_way);
	forget_waiting(q);
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
	.retry = retry,
	.patient = true,
};

/*
 * Blocks as the host's disk has them: a partition table counts in them, and what
 * is less than one costs the host a read before the write.
 */
static void describe_blocks(struct virtio_blk_config *config, const struct disk_file *file)
{
	uint32_t more = file->physical / file->block;

	config->blk_size = file->block;
	if (more > 1)
		config->physical_block_exp = __builtin_ctz(more);
	if (more > 1 && file->offset % file->block == 0)
		config->alignment_offset = file->offset / file->block;
	if (file->least_io / file->block <= UINT16_MAX)
		config->min_io_size = file->least_io / file->block;
	config->opt_io_size = file->best_io / file->block;
	config->discard_sector_alignment = (file->discard ? file->discard : 4096) / SECTOR;
}

static void configure(struct virtio_device *device, const struct disk *disk)
{
	struct virtio_blk_config config = {
		.capacity = disk->file.sectors,
		.seg_max = SEGMENTS,
		.max_discard_sectors = RANGE_MOST,
		.max_discard_seg = RANGES,
		.max_write_zeroes_sectors = RANGE_MOST,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};

	device->offered = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) |
			  VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
			  VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) |
			  VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
	if (disk->file.read_only)
		device->offered |= VIRTIO_BIT(VIRTIO_BLK_F_RO);
	else
		device->offered |= VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	if (!disk->file.read_only && !disk->file.no_discard)
		device->offered |= VIRTIO_BIT(VIRTIO_BLK_F_DISCARD);
	describe_blocks(&config, &disk->file);
	device->config_size = sizeof(config) < VIRTIO_CONFIG_MOST ?
			      sizeof(config) : VIRTIO_CONFIG_MOST;
	memcpy(device->config, &config, device->config_size);
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
		note("%s: no io_uring here: %s; threads instead", disk->file.path, strerror(-error));
		engine->kind = &engine_threads;
		error = engine->kind->open(engine);
	}
	if (error)
		engine->kind = NULL;
	return error;
}

static const char *open_disk(struct disk *disk)
{
	const char *why = disk_file_open(&disk->file);
	int error;

	if (why)
		return why;
	error = open_engine(disk);
	return error ? strerror(-error) : NULL;
}

static struct virtio_device *forget(struct virtio_device *device, struct disk *disk)
{
	if (disk) {
		if (disk->engine.kind)
			disk->engine.kind->close(&disk->engine);
		disk_file_close(&disk->file);
		free(disk->requests);
	}
	free(disk);
	free(device);
	return NULL;
}

/* A raw one, which we serve ourselves. */
static struct virtio_device *create(const struct disk_option *option, const char *why)
{
	struct virtio_device *device = calloc(1, sizeof(*device));
	struct disk *disk = calloc(1, sizeof(*disk));

	if (disk) {
		disk->file.fd = disk->file.direct = -1;
		disk->file.path = option->path;
		disk->requests = calloc(REQUESTS, sizeof(*disk->requests));
	}
	if (!device || !disk || !disk->file.path || !disk->requests) {
		problem("cannot make a disk: out of memory; free some");
		return forget(device, disk);
	}
	disk->file.read_only = option->read_only;
	disk->full_fails = option->full_fails;
	disk->limits = option->limits;
	if (!why)
		why = open_disk(disk);
	if (why) {
		problem("cannot use the disk %s: %s", disk->file.path, why);
		return forget(device, disk);
	}
	configure(device, disk);
	if (!virtio_init(device, &kind, disk->file.path, disk))
		return forget(device, disk);
	if (limits_any(&disk->limits))
		device->queues[0].limits = &disk->limits;
	return device;
}

struct virtio_device *disk_create(const char *option)
{
	struct disk_option asked;
	const char *why = disk_option_read(&asked, option);

	return !why && vhost_blk_serves(&asked) ? vhost_blk_create(&asked) : create(&asked, why);
}
