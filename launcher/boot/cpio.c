// SPDX-License-Identifier: GPL-2.0
/*
 * Writes the "newc" format of Documentation/driver-api/early-userspace/
 * buffer-format.rst: for each entry a header of 8-digit hexadecimal numbers,
 * its name and its bytes, each padded to a multiple of four.
 * Read next: init.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cpio.h"

#define HEADER_SIZE 110

static void append(struct archive *a, const void *bytes, size_t size)
{
	if (a->failed)
		return;
	if (size > a->room - a->size) {
		size_t room = a->size + size + (a->size + size) / 2 + 4096;
		uint8_t *more = room > size ? realloc(a->bytes, room) : NULL;

		if (!more) {
			a->failed = true;
			return;
		}
		a->bytes = more;
		a->room = room;
	}
	if (size)
		memcpy(a->bytes + a->size, bytes, size);
	a->size += size;
}

static void pad(struct archive *a)
{
	append(a, "\0\0\0", -a->size & 3);
}

/*L:210
 * magic ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor
 * rdevminor namesize check: everything belongs to root, and has no date, so
 * that the same guest always gets the same archive.
 :*/
static void entry(struct archive *a, const char *name, unsigned int mode,
		  unsigned int major, unsigned int minor,
		  const void *bytes, size_t size)
{
	char header[HEADER_SIZE + 1];

	if (size > UINT32_MAX) {
		a->failed = true;
		return;
	}
	snprintf(header, sizeof(header),
		 "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		 ++a->entries, mode, 0, 0, 1, 0, (unsigned int)size, 0, 0,
		 major, minor, (unsigned int)strlen(name) + 1, 0);
	append(a, header, HEADER_SIZE);
	append(a, name, strlen(name) + 1);
	pad(a);
	append(a, bytes, size);
	pad(a);
}

void archive_folder(struct archive *a, const char *name)
{
	entry(a, name, S_IFDIR | 0755, 0, 0, NULL, 0);
}

void archive_file(struct archive *a, const char *name, unsigned int mode,
		  const void *bytes, size_t size)
{
	entry(a, name, S_IFREG | mode, 0, 0, bytes, size);
}

void archive_link(struct archive *a, const char *name, const char *to)
{
	entry(a, name, S_IFLNK | 0777, 0, 0, to, strlen(to));
}

void archive_device(struct archive *a, const char *name, unsigned int major,
		    unsigned int minor)
{
	entry(a, name, S_IFCHR | 0600, major, minor, NULL, 0);
}

bool archive_end(struct archive *a)
{
	entry(a, "TRAILER!!!", 0, 0, 0, NULL, 0);
	return !a->failed;
}

void archive_free(struct archive *a)
{
	free(a->bytes);
	memset(a, 0, sizeof(*a));
}
