// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest cp`: files and folders between here and a guest that runs, by two tars and a
 * session of the agent.  What comes from the guest is unpacked in an empty folder of our
 * own, beside the place where it shall be, and taken from there: see unpack_safely.c.
 * Read next: unpack_safely.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/place.h"
#include "lguest.h"
#include "options.h"
#include "session.h"
#include "unpack_safely.h"

static const struct option no_options[] = { { .name = NULL } };

const struct command cp_command = {
	"cp", "SRC DST",
	"Copy a file or folder to a guest that has a name, or from it.\n"
	"One of SRC and DST is NAME:PATH. As with `cp -a`, into DST if that is a folder;\n"
	"SRC/. is what is in the folder. Modes, links and times of files are kept, owners are not.",
	no_options, cmd_cp,
};

struct copy {
	const char *name;	/* of the guest */
	char *there, *here;	/* paths */
	bool to_guest;
};

static int test_there(const struct copy *copy, char *how, char *path)
{
	return session_tool("cp", copy->name, NULL, (char *[]){ "test", how, path, NULL }, -1, -1);
}

/* A link is copied as one, wherever it leads. */
static bool is_link(const char *path)
{
	struct stat status;

	return !lstat(path, &status) && S_ISLNK(status.st_mode);
}

static bool is_folder(const char *path)
{
	struct stat status;

	return !stat(path, &status) && S_ISDIR(status.st_mode);
}

/* The last part of a path, "" if that is no name. */
static const char *last_name(const char *path)
{
	static char parts[2][PATH_MAX];
	static unsigned int turn;
	char *copy = parts[turn++ % 2];
	const char *name;

	snprintf(copy, PATH_MAX, "%s", path);
	name = basename(copy);
	return strcmp(name, "/") && strcmp(name, ".") && strcmp(name, "..") ? name : "";
}

static char *joined(const char *folder, const char *name)
{
	char *path;

	if (asprintf(&path, "%s%s%s", folder, *name ? "/" : "", name) < 0)
		exit(STATUS_FAILED);
	return path;
}

/* "a/b" -> "a"; "b" -> "." */
static char *folder_of(const char *path)
{
	char *copy = strdup(path);

	return copy ? dirname(copy) : ".";
}

static int failed(const char *what, const char *path, int error)
{
	problem("cp: cannot %s %s: %s", what, path, strerror(error));
	return STATUS_FAILED;
}

/* ---- to the guest */

/* tar of ours, whose output is the session's input; then that of the guest. */
static int stream(const struct copy *copy, char **ours, char *there)
{
	char *theirs[] = { "tar", "-x", "-p", "-o", "-f", "-", "-C", there, NULL };
	pid_t child;
	int status, fd = tar_start(ours, -1, &child);

	if (fd < 0)
		return failed("start", "tar", errno);
	status = session_tool("cp", copy->name, NULL, theirs, fd, -1);
	close(fd);
	if (!tar_ended(child) && !status)
		status = STATUS_FAILED;
	return status;
}

static int folder_to_guest(const struct copy *copy, bool into)
{
	char *there = into ? joined(copy->there, last_name(copy->here)) : copy->there;
	char *mkdir_p[] = { "mkdir", "-p", "--", there, NULL };
	char *mkdir_new[] = { "mkdir", "--", there, NULL };
	int status = session_tool("cp", copy->name, NULL, into ? mkdir_p : mkdir_new, -1, -1);

	if (status)
		return status;
	return stream(copy, (char *[]){ "tar", "-c", "-f", "-", "-C", copy->here, ".", NULL },
		      there);
}

/* A link of the name that it shall have there leads tar to it; to a link: a copy of that. */
static bool link_to(const char *here, const char *link)
{
	char target[PATH_MAX];
	ssize_t size;

	if (!is_link(here))
		return realpath(here, target) && !symlink(target, link);
	size = readlink(here, target, sizeof(target) - 1);
	target[size < 0 ? 0 : size] = '\0';
	return size >= 0 && !symlink(target, link);
}

static int file_to_guest(const struct copy *copy, bool into)
{
	char folder[] = "/tmp/lguest-cp-XXXXXX";
	char *name = strdup(last_name(into ? copy->here : copy->there)), *link;
	char *ours[] = { "tar", "-c", "-f", "-", is_link(copy->here) ? "-C" : "-hC", folder,
			 "--", name, NULL };
	int status;

	if (!mkdtemp(folder))
		return failed("make", folder, errno);
	link = joined(folder, name);
	if (link_to(copy->here, link))
		status = stream(copy, ours, into ? copy->there : folder_of(copy->there));
	else
		status = failed("read", copy->here, errno);
	unlink(link);
	rmdir(folder);
	return status;
}

static int to_guest(const struct copy *copy)
{
	struct stat status;
	int there;

	if (lstat(copy->here, &status))
		return failed("read", copy->here, errno);
	there = test_there(copy, "-d", copy->there);
	if (there > 1)
		return there;
	if (is_folder(copy->here) && !is_link(copy->here))
		return folder_to_guest(copy, !there);
	if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))
		return failed("copy", copy->here, EINVAL);
	if (there && !*last_name(copy->there))
		return failed("make", copy->there, ENOTDIR);
	return file_to_guest(copy, !there);
}

/* ---- from the guest */

/* Where it shall be: in a folder that is there, or of this name. */
static char *place_here(const struct copy *copy)
{
	return is_folder(copy->here) ? joined(copy->here, last_name(copy->there)) :
				       copy->here;
}

/* Into @staging/x, or, of a file, to @staging/x/NAME. */
static int fetch(const struct copy *copy, char *staging, bool folder, char *name)
{
	char *theirs[] = { "tar", "-c", "-f", "-", "-C",
			   folder ? copy->there : folder_of(copy->there), "--",
			   folder ? "." : name, NULL };
	pid_t child;
	int status, fd = tar_start(NULL, unpack_folder(staging), &child);

	if (fd < 0)
		return failed("start", "tar", errno);
	status = session_tool("cp", copy->name, NULL, theirs, -1, fd);
	close(fd);
	if (!tar_ended(child) && !status) {
		problem("cp: what '%s' sent was not all taken", copy->name);
		status = STATUS_FAILED;
	}
	return status;
}

static int from_guest(const struct copy *copy)
{
	char *place = place_here(copy), *name = strdup(last_name(copy->there));
	char *parent = is_folder(place) ? place : folder_of(place), *from;
	char *staging = joined(parent, ".lguest-cp-XXXXXX");
	int link = test_there(copy, "-L", copy->there), folder = 0, status;

	if (link <= 1)
		folder = link == 1 ? test_there(copy, "-d", copy->there) : 1;
	if (link > 1 || folder > 1)
		return link > 1 ? link : folder;
	if (!tar_is_safe())
		return STATUS_FAILED;
	if (!mkdtemp(staging))
		return failed("write to", parent, errno);
	status = fetch(copy, staging, !folder, name);
	from = joined(staging, "x");
	if (folder)
		from = joined(from, name);
	if (!status && !unpack_settle(from, place))
		status = STATUS_FAILED;
	unpack_remove(staging);
	return status;
}

/* ---- who is who */

/* "NAME:PATH"; a path before the colon is none. */
static bool is_there(char *word, struct copy *copy)
{
	char *colon = strchr(word, ':'), *slash = strchr(word, '/');

	if (!colon || colon == word || (slash && slash < colon))
		return false;
	*colon = '\0';
	copy->name = word;
	copy->there = colon[1] ? colon + 1 : ".";
	return true;
}

int cmd_cp(int argc, char **argv)
{
	struct copy copy = { .name = NULL };
	int first = parse_options(&cp_command, argc, argv, NULL, NULL);
	bool from = false, to = false;

	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first < 0)
		return STATUS_USAGE;
	if (first == argc - 2) {
		from = is_there(argv[first], &copy);
		to = !from && is_there(argv[first + 1], &copy);
	}
	if (!from && !to) {
		problem("cp: it takes SRC and DST, one of them NAME:PATH, as in `lguest cp file web:/tmp`");
		return STATUS_USAGE;
	}
	if (!name_is_good("cp", copy.name))
		return STATUS_USAGE;
	copy.here = argv[first + from];
	return to ? to_guest(&copy) : from_guest(&copy);
}
