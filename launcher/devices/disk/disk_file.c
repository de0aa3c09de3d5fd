// SPDX-License-Identifier: GPL-2.0
/*
 * Opening what is behind a disk, so that nobody else writes to it meanwhile: not
 * another guest, not QEMU, and not this host, which may have it mounted.
 * Read next: disk_io.h.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "devices/devices.h"
#include "disk_file.h"
#include "lguest.h"

#define TRIES		40		/* for what somebody holds for a moment */
#define TRY_EVERY	50000000	/* ns */

#define HOW_TO_MAKE	"; make an image with `truncate -s 4G IMG`"
static const char no_disk[] = "it is neither a file nor a block device" HOW_TO_MAKE;
static const char in_use[] = "another guest uses it; several can, if all have it read-only with ,ro";
static const char claimed[] = "this host has it mounted or in use, or another guest has (`lsblk` tells); unmount it, or have it read-only with ,ro";

static bool read_word(struct disk_option *o, const char *word, const char **why)
{
	enum limits_word limit = limits_read(&o->limits, word);

	if (!strcmp(word, "ro"))
		o->read_only = true;
	else if (!strcmp(word, "full=error") || !strcmp(word, "full=pause"))
		o->full_fails = word[5] == 'e';
	else if (!strncmp(word, "full=", 5))
		*why = "full= is error or pause; leave it out for pause";
	else if (!strncmp(word, "overlay=", 8))
		o->overlay = (char *)word + 8;
	else if (limit == LIMITS_WRONG)
		*why = LIMITS_HELP;
	else
		return limit == LIMITS_TAKEN;
	return true;
}

/* From the end: what is no word of ours, and what is before it, is the name. */
const char *disk_option_read(struct disk_option *o, const char *text)
{
	const char *why = NULL;
	char *comma;

	*o = (struct disk_option){ .path = strdup(text) };
	if (!o->path)
		return "out of memory; free some";
	while (!why && (comma = strrchr(o->path, ',')) && read_word(o, comma + 1, &why))
		*comma = '\0';
	return why;
}

bool disk_check(const char *text)
{
	struct disk_option option;
	const char *why = disk_option_read(&option, text), *path = option.path;
	struct stat status;

	if (why)
		path = text;
	else if (!*path)
		why = "its name is missing; say -d IMG or -d IMG,ro";
	else if (stat(path, &status))
		why = errno == ENOENT ? "No such file or directory" HOW_TO_MAKE : strerror(errno);
	else if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		why = no_disk;
	else if (vhost_blk_serves(&option))
		why = vhost_blk_wrong(&option);
	if (why)
		problem("cannot use the disk %s: %s", path, why);
	free(option.path);
	return !why;
}

/*D:250
 * QEMU locks single bytes of an image: a byte from 100 on for each thing that it
 * does (0 reads, 1 writes, 3 changes the size), and one from 200 on for each that
 * nobody else may do.  All these are shared locks; who begins sets his own and
 * then looks whether the other kind is held for it.
 */
#define DOES		100
#define FORBIDS		200
enum { READS, WRITES, RESIZES = 3 };

static bool lock_byte(int fd, int command, short type, off_t at)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	if (fcntl(fd, command, &lock))
		return errno != EAGAIN && errno != EACCES;	/* no such locks here */
	return command != F_OFD_GETLK || lock.l_type == F_UNLCK;
}

static bool free_of(int fd, off_t at)
{
	return lock_byte(fd, F_OFD_GETLK, F_WRLCK, at);
}

static bool lock_bytes(const struct disk_file *file)
{
	static const off_t mine[] = { DOES + READS, FORBIDS + WRITES, FORBIDS + RESIZES };
	size_t i;

	for (i = 0; i < sizeof(mine) / sizeof(mine[0]); i++)
		if (!lock_byte(file->fd, F_OFD_SETLK, F_RDLCK, mine[i]))
			return false;
	if (!file->read_only && !lock_byte(file->fd, F_OFD_SETLK, F_RDLCK, DOES + WRITES))
		return false;
	return free_of(file->fd, FORBIDS + READS) && free_of(file->fd, DOES + RESIZES) &&
	       (file->read_only || free_of(file->fd, FORBIDS + WRITES)) &&
	       free_of(file->fd, DOES + WRITES);
}
/* :*/

/* Two guests that write the same disk would ruin it.  And for old programs flock(). */
static const char *lock(const struct disk_file *file)
{
	if (flock(file->fd, (file->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) &&
	    errno == EWOULDBLOCK)
		return in_use;
	return lock_bytes(file) ? NULL : in_use;
}

/* O_EXCL, of a block device, is refused if the host has mounted it. */
static const char *take(struct disk_file *file)
{
	int flags = file->read_only ? O_RDONLY : O_RDWR | O_EXCL;
	const char *why;

	file->fd = open(file->path, flags | O_CLOEXEC);
	if (file->fd < 0 && errno == EBUSY)
		return claimed;
	if (file->fd < 0)
		return !file->read_only && (errno == EACCES || errno == EROFS) ?
		       "it may not be written; open it read-only with ,ro" : strerror(errno);
	why = lock(file);
	if (!why)
		return NULL;
	close(file->fd);
	file->fd = -1;
	return why;
}

/*
 * A guest that reboots lets go of its disk for a moment, and the host's udev looks
 * at each disk that somebody has let go of.
 */
static const char *take_patiently(struct disk_file *file)
{
	const struct timespec pause = { .tv_nsec = TRY_EVERY };
	const char *why = take(file);
	unsigned int i;

	for (i = 0; i < TRIES && (why == in_use || why == claimed); i++) {
		nanosleep(&pause, NULL);
		why = take(file);
	}
	return why;
}

/* A number of the device's queue, which a partition has in common with its disk. */
static bool queue_number(dev_t device, const char *name, unsigned long long *value)
{
	static const char *const places[] = { "queue", "../queue" };
	char path[128];
	unsigned int i;
	bool found = false;
	FILE *file;

	for (i = 0; i < 2 && !found; i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(device),
			 minor(device), places[i], name);
		file = fopen(path, "re");
		found = file && fscanf(file, "%llu", value) == 1;
		if (file)
			fclose(file);
	}
	return found;
}

static const char *measure_device(struct disk_file *file, dev_t device, uint64_t *size)
{
	unsigned long long number;
	int block, offset;

	if (ioctl(file->fd, BLKGETSIZE64, size))
		return strerror(errno);
	if (!ioctl(file->fd, BLKSSZGET, &block))
		file->block = block;
	if (ioctl(file->fd, BLKPBSZGET, &file->physical))
		file->physical = 0;
	if (ioctl(file->fd, BLKIOMIN, &file->least_io))
		file->least_io = 0;
	if (ioctl(file->fd, BLKIOOPT, &file->best_io))
		file->best_io = 0;
	if (!ioctl(file->fd, BLKALIGNOFF, &offset) && offset > 0)
		file->offset = offset;
	if (queue_number(device, "discard_granularity", &number))
		file->discard = number;
	file->no_discard = queue_number(device, "discard_max_bytes", &number) && !number;
	return NULL;
}

/* Size of the file or device, or what is wrong with it. */
static const char *measure(struct disk_file *file)
{
	const char *why = NULL;
	struct stat status;
	uint64_t size;
	char magic[4];

	file->block = SECTOR;
	if (fstat(file->fd, &status))
		return strerror(errno);
	size = status.st_size;
	file->is_device = S_ISBLK(status.st_mode);
	if (file->is_device)
		why = measure_device(file, status.st_rdev, &size);
	else if (!S_ISREG(status.st_mode))
		why = no_disk;
	if (why)
		return why;
	if (pread(file->fd, magic, 4, 0) == 4 && !memcmp(magic, "QFI\xfb", 4))
		return "it begins as qcow2 does, and lguest takes raw images; if a guest had it, the guest wrote that, else `qemu-img convert -f qcow2 -O raw OLD NEW` makes one";
	file->sectors = size / SECTOR;
	if (!size)
		return "it is empty; give it a size with `truncate -s 4G IMG`";
	if (size % SECTOR)
		return "its last bytes fill no block of 512, and would be missing; `truncate -s %512 IMG` rounds its size up";
	return NULL;
}

/*
 * A device is read and written past the page cache, which would keep a second
 * copy of what the guest's own cache has.  The lock stays with the first
 * descriptor.  Without this one, all goes through the page cache.
 */
static void open_direct(struct disk_file *file)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	file->direct = open(path, (file->read_only ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
	if (file->direct < 0)
		note("%s: through the page cache: %s", file->path, strerror(errno));
}

const char *disk_file_open(struct disk_file *file)
{
	const char *why;

	file->direct = -1;
	why = take_patiently(file);
	if (!why)
		why = measure(file);
	if (!why && file->is_device)
		open_direct(file);
	return why;
}

void disk_file_close(struct disk_file *file)
{
	if (file->direct >= 0)
		close(file->direct);
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
}
