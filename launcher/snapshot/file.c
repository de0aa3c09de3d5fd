// SPDX-License-Identifier: GPL-2.0
/*
 * A snapshot on the disk.  Who can write the file owns the guest, and who can read it has
 * all of the guest's secrets.
 * Read next: boot/load.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "lguest.h"
#include "linker/util.h"

#define SUM	32

static void sum_bytes(const void *bytes, size_t size, uint8_t sum[SUM])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, size, bytes);
	sha256_digest(&ctx, SUM, sum);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

/* Only zeros have the sum of zeros, and no other bytes. */
static void sum_chunk(const uint8_t *chunk, size_t size, uint8_t sum[SUM])
{
	if (is_zero(chunk, size))
		memset(sum, 0, SUM);
	else
		sum_bytes(chunk, size, sum);
}

static size_t chunk_size(uint64_t ram_size, uint64_t at)
{
	return ram_size - at < SNAPSHOT_CHUNK ? ram_size - at : SNAPSHOT_CHUNK;
}

static size_t nr_chunks(uint64_t ram_size)
{
	return (ram_size + SNAPSHOT_CHUNK - 1) / SNAPSHOT_CHUNK;
}

/* ---- Writing ---- */

static int write_at(int fd, const void *bytes, size_t size, uint64_t at)
{
	while (size) {
		ssize_t done = pwrite(fd, bytes, size, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? errno : ENOSPC;
		bytes = (const uint8_t *)bytes + done;
		size -= done;
		at += done;
	}
	return 0;
}

/* The pages of a chunk that are not zero, as few pieces as they are. */
static int write_chunk(int fd, const uint8_t *chunk, size_t size, uint64_t at)
{
	size_t from = 0, to;
	int error = 0;

	while (from < size && !error) {
		if (is_zero(chunk + from, MEMORY_PAGE)) {
			from += MEMORY_PAGE;
			continue;
		}
		for (to = from; to < size && !is_zero(chunk + to, MEMORY_PAGE); )
			to += MEMORY_PAGE;
		error = write_at(fd, chunk + from, to - from, at + from);
		from = to;
	}
	return error;
}

static int write_ram(int fd, const struct snapshot_header *header, const struct memory *memory,
		     uint8_t *sums)
{
	uint64_t at;
	int error = 0;

	for (at = 0; at < memory->size && !error; at += SNAPSHOT_CHUNK, sums += SUM) {
		const uint8_t *chunk = memory->base + at;
		size_t size = chunk_size(memory->size, at);

		sum_chunk(chunk, size, sums);
		error = write_chunk(fd, chunk, size, header->ram_offset + at);
	}
	return error;
}

static void add_section(struct snapshot_header *header, const struct snapshot_piece *piece,
			uint64_t *end)
{
	struct snapshot_section *section = &header->sections[header->nr_sections++];

	section->kind = piece->kind;
	section->flags = piece->kind == SNAPSHOT_RAM_SUMS ? 0 : SNAPSHOT_MUST;
	section->offset = *end;
	section->size = piece->size;
	*end = align_up(*end + piece->size, 64);
}

static void lay_out(struct snapshot_header *header, const char *kernel,
		    const struct memory *memory, const struct snapshot_piece *pieces,
		    unsigned int nr)
{
	uint64_t end = sizeof(*header);
	unsigned int i;

	*header = (struct snapshot_header){
		.version = SNAPSHOT_VERSION,
		.header_size = sizeof(*header),
		.ram_size = memory->size,
		.made = time(NULL),
	};
	memcpy(header->magic, SNAPSHOT_MAGIC, sizeof(header->magic));
	snprintf(header->lguest, sizeof(header->lguest), "%s", LGUEST_VERSION);
	snprintf(header->kernel, sizeof(header->kernel), "%s", kernel);
	for (i = 0; i < nr; i++)
		add_section(header, &pieces[i], &end);
	header->ram_offset = align_up(end, MEMORY_LARGE);
	header->file_size = header->ram_offset + header->ram_size;
}

/*L:118
 * The header comes last: a file without one is no snapshot.  What was zero is not written,
 * so the file takes as much room as the guest had touched.
 :*/
static int write_all_of_it(int fd, struct snapshot_header *header, const struct memory *memory,
			   const struct snapshot_piece *pieces, uint8_t *sums)
{
	int error = ftruncate(fd, header->file_size) ? errno : 0;
	unsigned int i;

	if (!error)
		error = write_ram(fd, header, memory, sums);
	for (i = 0; i < header->nr_sections && !error; i++) {
		struct snapshot_section *section = &header->sections[i];

		sum_bytes(pieces[i].bytes, pieces[i].size, section->sum);
		error = write_at(fd, pieces[i].bytes, pieces[i].size, section->offset);
	}
	snapshot_seal(header);
	if (!error)
		error = write_at(fd, header, sizeof(*header), 0);
	return error ? error : fsync(fd) ? errno : 0;
}

/* Under another name until it is whole. */
static int write_file(const char *path, struct snapshot_header *header,
		      const struct memory *memory, const struct snapshot_piece *pieces,
		      uint8_t *sums)
{
	char *other;
	int fd, error;

	if (asprintf(&other, "%s.XXXXXX", path) < 0)
		return ENOMEM;
	fd = mkostemp(other, O_CLOEXEC);	/* 0600 */
	error = fd < 0 ? errno : write_all_of_it(fd, header, memory, pieces, sums);
	if (fd >= 0) {
		close(fd);
		if (!error && rename(other, path))
			error = errno;
		if (error)
			unlink(other);
	}
	free(other);
	return error;
}

bool snapshot_write(const char *path, const char *kernel, const struct memory *memory,
		    const struct snapshot_piece *pieces, unsigned int nr)
{
	struct snapshot_piece all[SNAPSHOT_SECTIONS];
	size_t size = nr_chunks(memory->size) * SUM;
	struct snapshot_header header;
	uint8_t *sums = NULL;
	int error = E2BIG;

	if (nr < SNAPSHOT_SECTIONS && size <= SNAPSHOT_SECTION_MOST) {
		sums = calloc(1, size);
		error = sums ? 0 : ENOMEM;
	}
	if (!error) {
		memcpy(all, pieces, nr * sizeof(*pieces));
		all[nr] = (struct snapshot_piece){ SNAPSHOT_RAM_SUMS, sums, size };
		lay_out(&header, kernel, memory, all, nr + 1);
		error = write_file(path, &header, memory, all, sums);
	}
	free(sums);
	if (error)
		problem("cannot write the snapshot %s: %s", path, strerror(error));
	return !error;
}

/* ---- Reading ---- */

static bool read_at(int fd, void *bytes, size_t size, uint64_t at)
{
	while (size) {
		ssize_t got = pread(fd, bytes, size, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		bytes = (uint8_t *)bytes + got;
		size -= got;
		at += got;
	}
	return true;
}

static const char *owner_fault(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is no regular file";
	if (st->st_uid && st->st_uid != geteuid())
		return "it is another user's, who could change what the guest does";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "others may write to it; chmod go-w makes it yours";
	return NULL;
}

static const char *read_section(struct snapshot *snapshot, uint32_t n)
{
	const struct snapshot_section *section = &snapshot->header.sections[n];
	uint8_t sum[SUM];

	snapshot->bytes[n] = malloc(section->size + 1);
	if (!snapshot->bytes[n])
		return "there is no memory for it";
	if (!read_at(snapshot->fd, snapshot->bytes[n], section->size, section->offset))
		return "it cannot be read";
	sum_bytes(snapshot->bytes[n], section->size, sum);
	return memcmp(sum, section->sum, SUM) ? "a section of it is damaged" : NULL;
}

static const char *read_it(struct snapshot *snapshot)
{
	const char *fault;
	struct stat st;
	uint32_t i;

	if (fstat(snapshot->fd, &st))
		return strerror(errno);
	fault = owner_fault(&st);
	if (!fault && !read_at(snapshot->fd, &snapshot->header, sizeof(snapshot->header), 0))
		fault = "it is no snapshot of lguest";
	if (!fault)
		fault = snapshot_fault(&snapshot->header, st.st_size);
	for (i = 0; !fault && i < snapshot->header.nr_sections; i++)
		fault = read_section(snapshot, i);
	return fault;
}

bool snapshot_open(struct snapshot *snapshot, const char *path)
{
	const char *fault;

	memset(snapshot, 0, sizeof(*snapshot));
	/* O_NONBLOCK: a FIFO must not wait for its other end. */
	snapshot->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	fault = snapshot->fd < 0 ? strerror(errno) : read_it(snapshot);
	if (!fault)
		return true;
	problem("cannot use the snapshot %s: %s", path, fault);
	snapshot_close(snapshot);
	return false;
}

void snapshot_close(struct snapshot *snapshot)
{
	unsigned int i;

	for (i = 0; i < SNAPSHOT_SECTIONS; i++)
		free(snapshot->bytes[i]);
	memset(snapshot->bytes, 0, sizeof(snapshot->bytes));
	if (snapshot->fd >= 0)
		close(snapshot->fd);
	snapshot->fd = -1;
}

const void *snapshot_section(const struct snapshot *snapshot, enum snapshot_kind kind,
			     unsigned int n, size_t *size)
{
	uint32_t i;

	for (i = 0; i < snapshot->header.nr_sections; i++) {
		const struct snapshot_section *section = &snapshot->header.sections[i];

		if (section->kind != kind || n--)
			continue;
		*size = section->size;
		return snapshot->bytes[i];
	}
	return NULL;
}

bool snapshot_map(const struct snapshot *snapshot, const struct memory *memory)
{
	const struct snapshot_header *header = &snapshot->header;

	if (memory->size != header->ram_size) {
		problem("the snapshot has %llu KiB of memory, and this guest %llu KiB",
			(unsigned long long)header->ram_size >> 10,
			(unsigned long long)memory->size >> 10);
		return false;
	}
	if (mmap(memory->base, memory->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
		 snapshot->fd, header->ram_offset) != MAP_FAILED)
		return true;
	problem("cannot map the snapshot's memory: %s", strerror(errno));
	return false;
}

/* By reading, not by a mapping: a file that is cut meanwhile would be a SIGBUS. */
static bool chunks_are_right(const struct snapshot *snapshot, const uint8_t *sums, uint8_t *chunk)
{
	const struct snapshot_header *header = &snapshot->header;
	uint8_t sum[SUM];
	uint64_t at;

	for (at = 0; at < header->ram_size; at += SNAPSHOT_CHUNK, sums += SUM) {
		size_t size = chunk_size(header->ram_size, at);

		if (!read_at(snapshot->fd, chunk, size, header->ram_offset + at))
			return false;
		sum_chunk(chunk, size, sum);
		if (memcmp(sum, sums, SUM))
			return false;
	}
	return true;
}

bool snapshot_verify(const struct snapshot *snapshot, const char *path)
{
	size_t size = 0;
	const uint8_t *sums = snapshot_section(snapshot, SNAPSHOT_RAM_SUMS, 0, &size);
	uint8_t *chunk = malloc(SNAPSHOT_CHUNK);
	bool right = chunk && sums && size == nr_chunks(snapshot->header.ram_size) * SUM &&
		     chunks_are_right(snapshot, sums, chunk);

	free(chunk);
	if (!right)
		problem("the snapshot %s is damaged: its memory is not what was saved", path);
	return right;
}
