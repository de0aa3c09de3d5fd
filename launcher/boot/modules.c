// SPDX-License-Identifier: GPL-2.0
/*
 * The drivers of the guest's devices are modules of its kernel, which lie in
 * /lib/modules/RELEASE on this machine if that kernel is installed.  The file
 * modules.dep there says what each needs:
 *
 *	kernel/a/x.ko: kernel/b/y.ko kernel/c/z.ko
 *
 * to be loaded from the last to the first, and then x itself.
 * Read next: hardware/host.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "distribution.h"
#include "lguest.h"
#include "linker/bzimage.h"
#include "modules.h"

#define MOST		64
#define UNPACKED_LIMIT	(64UL << 20)

/* Paths, below MODULES_PLACE/RELEASE, in the order of loading. */
struct list {
	char *paths[MOST];
	unsigned int count;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* a-b.ko, a_b.ko.xz and a-b are all the module a_b. */
static bool is_module(const char *path, const char *name)
{
	path = base_name(path);
	for (; *name; name++, path++)
		if (*path != *name && !(*path == '-' && *name == '_'))
			return false;
	return !strncmp(path, ".ko", 3);
}

/* "x.ko" of "kernel/a/x.ko.xz". */
static void unpacked_name(char *name, size_t room, const char *path)
{
	char *end;

	snprintf(name, room, "%s", base_name(path));
	end = strstr(name, ".ko");
	if (end)
		end[3] = '\0';
}

static void append(struct list *list, const char *path)
{
	unsigned int i;

	for (i = 0; i < list->count; i++)
		if (!strcmp(list->paths[i], path))
			return;
	if (list->count < MOST) {
		char *copy = strdup(path);

		if (copy)
			list->paths[list->count++] = copy;
	}
}

/* The words behind the colon, from the last to the first; then the module. */
static void append_with_needs(struct list *list, const char *path, char *needs)
{
	char *space;

	while ((space = strrchr(needs, ' '))) {
		if (space[1])
			append(list, space + 1);
		*space = '\0';
	}
	append(list, path);
}

static bool find_module(FILE *dep, const char *name, struct list *list)
{
	char *line = NULL;
	bool found = false;
	size_t room = 0;

	rewind(dep);
	while (!found && getline(&line, &room, dep) > 0) {
		char *colon = strchr(line, ':');

		line[strcspn(line, "\n")] = '\0';
		if (!colon)
			continue;
		*colon = '\0';
		if (!is_module(line, name))
			continue;
		append_with_needs(list, line, colon + 1);
		found = true;
	}
	free(line);
	return found;
}

/* Its kernel may have it built in: modules.builtin is a list of paths. */
static bool is_built_in(const char *folder, const char *name)
{
	char path[PATH_MAX];
	bool found = false;
	char *line = NULL;
	size_t room = 0;
	FILE *list;

	snprintf(path, sizeof(path), "%s/modules.builtin", folder);
	list = fopen(path, "re");
	while (list && !found && getline(&line, &room, list) > 0) {
		line[strcspn(line, "\n")] = '\0';
		found = is_module(line, name);
	}
	free(line);
	if (list)
		fclose(list);
	return found;
}

/*
 * Some distributions pack their modules (x.ko.xz).  The guest gets them unpacked, as
 * insmod offers a packed one to the kernel first, which complains.
 */
static bool add_packed(struct archive *archive, const char *from, const char *to,
		       const void *bytes, size_t size)
{
	struct blob blob = { .data = malloc(UNPACKED_LIMIT), .size = UNPACKED_LIMIT };
	struct trouble trouble = { .why = "out of memory" };
	bool good = blob.data && !unpack(bytes, size, &blob, &trouble);

	if (good)
		archive_file(archive, to, 0644, blob.data, blob.size);
	else
		problem("cannot unpack the module %s: %s; install the kernel's package again",
			from, trouble.why);
	free(blob.data);
	return good;
}

static bool add_file(struct archive *archive, const char *folder, const char *path,
		     const char *name)
{
	char from[2 * PATH_MAX], to[PATH_MAX];
	struct stat status;
	void *bytes = MAP_FAILED;
	bool good = true;
	int fd;

	snprintf(from, sizeof(from), "%s/%.*s", folder, PATH_MAX - 1, path);
	snprintf(to, sizeof(to), "lib/modules/%s", name);
	fd = open(from, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && !fstat(fd, &status) && status.st_size > 0)
		bytes = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		close(fd);
	if (bytes == MAP_FAILED) {
		problem("cannot read the module %s: %s; install the kernel's package again",
			from, strerror(errno));
		return false;
	}
	if (!strcmp(base_name(path), name))
		archive_file(archive, to, 0644, bytes, status.st_size);
	else
		good = add_packed(archive, from, to, bytes, status.st_size);
	munmap(bytes, status.st_size);
	return good;
}

static void add_list(struct archive *archive, const char *folder, struct list *list)
{
	char text[MOST * 64];
	size_t used = 0;
	unsigned int i;

	archive_folder(archive, "lib");
	archive_folder(archive, "lib/modules");
	for (i = 0; i < list->count; i++) {
		char name[256];

		unpacked_name(name, sizeof(name), list->paths[i]);
		if (used + strlen(name) + 2 < sizeof(text) &&
		    add_file(archive, folder, list->paths[i], name))
			used += sprintf(text + used, "%s\n", name);
		free(list->paths[i]);
	}
	archive_file(archive, "lguest/modules", 0644, text, used);
}

void add_modules(struct archive *archive, const char *release,
		 const char *const *names)
{
	char folder[256], path[sizeof(folder) + 16];
	struct list list = { .count = 0 };
	FILE *dep = NULL;

	if (release) {
		snprintf(folder, sizeof(folder), MODULES_PLACE "/%s", release);
		snprintf(path, sizeof(path), "%s/modules.dep", folder);
		dep = fopen(path, "re");
	}
	if (!dep) {
		note("the guest gets no drivers for its devices: %s is not there; %s",
		     release ? path : MODULES_PLACE "/RELEASE",
		     how_to_install(PACKAGE_IMAGE, release).text);
		return;
	}
	for (; *names; names++)
		if (!find_module(dep, *names, &list) && !is_built_in(folder, *names))
			note("the guest gets no driver %s: it is not in %s", *names, path);
	fclose(dep);
	add_list(archive, folder, &list);
}
