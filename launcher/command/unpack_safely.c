// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest sends as a tar may have any names: "../x", "/etc/x", "link/x" after a
 * symbolic link.  GNU tar and bsdtar refuse these; they do it in an empty folder of
 * their own, and with Landlock, where there is one, can write nowhere else.  Then each
 * file is moved to its place by its name in one open folder, and no link is followed:
 * neither one that came now, nor one that an earlier copy left there.
 * Read next: oci/oci_config.c.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/landlock.h"
#include "lguest.h"
#include "unpack_safely.h"

#define DEEPEST	100		/* folders in folders */

bool tar_is_safe(void)
{
	char line[256] = "";
	pid_t child;
	int fd = tar_start((char *[]){ "tar", "--version", NULL }, -1, &child);
	ssize_t got = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	line[got < 0 ? 0 : got] = '\0';
	if (fd >= 0) {
		close(fd);
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (strstr(line, "GNU tar") || strstr(line, "bsdtar"))
		return true;
	problem("cp: files of a guest are unpacked by GNU tar or bsdtar only, as these do not leave their folder; install one");
	return false;
}

/* Read and execute what there is, write only here. */
static bool stay_in(int folder)
{
	const struct landlock_path_beneath_attr rules[] = {
		{ .parent_fd = open("/", O_PATH | O_CLOEXEC),
		  .allowed_access = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
				    LANDLOCK_ACCESS_FS_READ_DIR },
		{ .parent_fd = folder,
		  .allowed_access = (2 * LANDLOCK_TRUNCATE - 1) & ~(LANDLOCK_ACCESS_FS_MAKE_CHAR |
				    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SOCK) },
	};

	/* The first version has no hard links between folders. */
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       (landlock_version() < 2 || !landlock_restrict(rules, 2));
}

static void become_tar(char **words, int folder, const int ends[2])
{
	char *unpack[] = { "tar", "-x", "-p", "-o", "-f", "-", NULL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	unsetenv("TAR_OPTIONS");
	unsetenv("POSIXLY_CORRECT");
	if (words)
		dup2(ends[1], STDOUT_FILENO);
	else if (fchdir(folder) || dup2(ends[0], STDIN_FILENO) || !stay_in(folder))
		_exit(126);
	execvp("tar", words ? words : unpack);
	_exit(127);
}

int tar_start(char **words, int folder, pid_t *child)
{
	int ends[2];

	if ((!words && folder < 0) || pipe2(ends, O_CLOEXEC))
		return -1;
	*child = fork();
	if (!*child)
		become_tar(words, folder, ends);
	if (folder >= 0)
		close(folder);
	close(ends[words ? 1 : 0]);
	if (*child >= 0)
		return ends[words ? 0 : 1];
	close(ends[words ? 0 : 1]);
	return -1;
}

bool tar_ended(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		problem("cp: there is no tar here; install GNU tar");
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

int unpack_folder(const char *staging)
{
	int top = open(staging, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd = -1;

	if (top >= 0 && !mkdirat(top, "x", 0700))
		fd = openat(top, "x", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top >= 0)
		close(top);
	return fd;
}

/* ---- the way from there */

static bool cannot(const char *name, int error)
{
	problem("cp: cannot put '%s' there: %s", name, strerror(error));
	return false;
}

/*
 * visit() each entry of the folder @name; it is ours, as nobody else may look into the
 * staging folder, and its mode may be anything.
 */
static bool each(int parent, const char *name, unsigned int depth,
		 bool (*visit)(int folder, const char *name, unsigned int depth, int with), int with)
{
	struct dirent *entry;
	bool ok = true;
	DIR *list;
	int fd;

	fd = depth < DEEPEST ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
				      O_CLOEXEC) : -1;
	list = fd < 0 ? NULL : fdopendir(fd);
	if (!list) {
		if (fd >= 0)
			close(fd);
		return cannot(name, depth < DEEPEST ? errno : ELOOP);
	}
	while ((entry = readdir(list)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ok &= visit(fd, entry->d_name, depth + 1, with);
	closedir(list);
	return ok;
}

static bool left_out;

/* Take out what no guest shall bring: devices and the like, and others' rights. */
static bool clean(int folder, const char *name, unsigned int depth, int with)
{
	struct stat status;
	bool ok;

	(void)with;
	if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW))
		return cannot(name, errno);
	switch (status.st_mode & S_IFMT) {
	case S_IFLNK:
		return true;
	case S_IFREG:
		return !(status.st_mode & (S_ISUID | S_ISGID)) ||
		       !fchmodat(folder, name, status.st_mode & 01777, 0) || cannot(name, errno);
	case S_IFDIR:
		/* With the right to move it, which is taken back when it has its place. */
		if (fchmodat(folder, name, 0700, 0))
			return cannot(name, errno);
		ok = each(folder, name, depth, clean, 0);
		return (!fchmodat(folder, name, (status.st_mode & 01777) | 0200, 0) ||
			cannot(name, errno)) && ok;
	default:
		problem("cp: '%s' is no file, folder or link, and left out", name);
		left_out = true;
		return !unlinkat(folder, name, 0) || cannot(name, errno);
	}
}

static bool settle(int from, const char *name, unsigned int depth, int to);

/* From one folder's name to another's. */
static bool settle_as(int from, const char *name, unsigned int depth, int to, const char *as)
{
	struct stat theirs, ours;
	int fd;
	bool ok;

	if (fstatat(from, name, &theirs, AT_SYMLINK_NOFOLLOW))
		return cannot(name, errno);
	if (fstatat(to, as, &ours, AT_SYMLINK_NOFOLLOW) ||
	    (!S_ISDIR(theirs.st_mode) && !S_ISDIR(ours.st_mode)))
		return !renameat(from, name, to, as) || cannot(as, errno);
	if (!S_ISDIR(theirs.st_mode) || !S_ISDIR(ours.st_mode))
		return cannot(as, S_ISDIR(ours.st_mode) ? EISDIR : ENOTDIR);
	fd = openat(to, as, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cannot(as, errno);
	ok = each(from, name, depth, settle, fd);
	close(fd);
	return ok;
}

static bool settle(int from, const char *name, unsigned int depth, int to)
{
	return settle_as(from, name, depth, to, name);
}

/* The user's own path, of which all but the last name may be a link. */
static int open_parent(const char *path, char **name)
{
	char *copy = strdup(path), *folder = strdup(path);
	int fd = copy && folder ? open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	*name = copy ? basename(copy) : "";
	free(folder);
	return fd;		/* the name stays */
}

bool unpack_settle(const char *from, const char *place)
{
	char *name, *as;
	int source = open_parent(from, &name), target = open_parent(place, &as);
	struct stat status;
	int there;

	if (source < 0 || target < 0 || fstatat(source, name, &status, AT_SYMLINK_NOFOLLOW))
		return cannot(place, errno);
	if (!clean(source, name, 0, 0))
		return false;
	/* A place that is a link to a folder is the user's wish. */
	there = S_ISDIR(status.st_mode) ?
		openat(target, as, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return (there < 0 ? settle_as(source, name, 0, target, as) :
			    each(source, name, 0, settle, there)) && !left_out;
}

static bool remove_one(int folder, const char *name, unsigned int depth, int with)
{
	struct stat status;

	if (!unlinkat(folder, name, 0))
		return true;
	if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(status.st_mode))
		return false;
	if (!fchmodat(folder, name, 0700, 0))
		each(folder, name, depth, remove_one, with);
	return !unlinkat(folder, name, AT_REMOVEDIR);
}

void unpack_remove(const char *staging)
{
	char *rm[] = { "rm", "-rf", "--", (char *)staging, NULL };
	pid_t child;

	if (remove_one(AT_FDCWD, staging, 0, 0))
		return;
	child = fork();		/* folders below many folders: it has no limit */
	if (!child) {
		execvp(*rm, rm);
		_exit(127);
	}
	if (child < 0 || !tar_ended(child))
		problem("cp: %s is left; remove it", staging);
}
