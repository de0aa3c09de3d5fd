// SPDX-License-Identifier: GPL-2.0
/*
 * The places of named guests.  Who holds the lock file owns the name; the lock
 * goes with the process, however that ends, so whatever lies in a folder whose
 * lock is free was left by a dead launcher, and the next one removes it.
 * Next: control.c, which answers at the socket.
 * Read next: control.c.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lguest.h"
#include "place.h"

#define PATIENCE	40		/* times 25 ms, for one that only looks */
#define WAITING		16		/* connections not yet accepted */

_Static_assert(sizeof(((struct place *)0)->folder) + sizeof("/control") <=
	       sizeof(((struct sockaddr_un *)0)->sun_path), "room for the path");

static bool is_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t length = strlen(name);

	return length && length <= NAME_MOST && strspn(name, letters) == length &&
	       *name != '.' && *name != '-';
}

bool name_is_good(const char *command, const char *name)
{
	if (is_name(name))
		return true;
	problem("%s: '%.60s' is no name for a guest; take letters, digits, '.', '_' and '-', at most %d",
		command, name, NAME_MOST);
	return false;
}

/*L:340
 * RUN is the folder that a login gives its user.  Without one, as in a script
 * of root or under su, we make one where only we can have made it.  Others may
 * write to /tmp: what is there already must be ours, and closed to them.
 :*/
/*
 * The user's own, of course: one that root still has from somebody whom sudo or su left
 * would get a folder there that its owner cannot use.
 */
static bool may_use(const char *given)
{
	static bool told;
	struct stat status;

	if (*given != '/' || stat(given, &status) || access(given, W_OK | X_OK))
		return false;
	if (status.st_uid == geteuid())
		return true;
	if (!told)
		problem("XDG_RUNTIME_DIR=%s is another user's, and not used; guests of that user are seen with `sudo -u '#%u' lguest list`",
			given, status.st_uid);
	told = true;
	return false;
}

static const char *run_folder(char *path, size_t size)
{
	const char *given = getenv("XDG_RUNTIME_DIR");

	if (given && may_use(given)) {
		snprintf(path, size, "%s", given);
		return "lguest";
	}
	snprintf(path, size, "/run/user/%u", getuid());
	if (!access(path, W_OK | X_OK))
		return "lguest";
	if (!getuid()) {
		strcpy(path, "/run");
		return "lguest";
	}
	strcpy(path, "/tmp");
	return NULL;
}

static bool make_private(const char *path)
{
	struct stat status;

	if ((mkdir(path, 0700) && errno != EEXIST) || lstat(path, &status)) {
		problem("cannot make the folder %s: %s; set XDG_RUNTIME_DIR to one of yours",
			path, strerror(errno));
		return false;
	}
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid())
		problem("%s is another user's, or no folder; have it removed, or set XDG_RUNTIME_DIR to a folder of yours",
			path);
	else if (status.st_mode & 077)
		problem("the folder %s is not yours alone; `chmod 700` it, or set XDG_RUNTIME_DIR",
			path);
	else
		return true;
	return false;
}

/* RUN/lguest, made if need be. */
static bool find_folder(char *path, size_t size)
{
	char run[PATH_MAX], own[32];
	const char *name = run_folder(run, sizeof(run));

	if (!name) {
		snprintf(own, sizeof(own), "lguest-%u", getuid());
		name = own;
	}
	if ((size_t)snprintf(path, size, "%s/%s", run, name) >= size) {
		problem("the folder %s has too long a name; set XDG_RUNTIME_DIR to a short one", run);
		return false;
	}
	return make_private(path);
}

static bool find_place(const char *name, char *folder, size_t size)
{
	if (!find_folder(folder, size - NAME_MOST - 1))
		return false;
	strcat(folder, "/");
	strcat(folder, name);
	return true;
}

static void path_in(const char *folder, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%.*s", folder, NAME_MOST, name);
}

static struct sockaddr_un address_of(const char *folder)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	path_in(folder, "control", address.sun_path, sizeof(address.sun_path));
	return address;
}

/* With the lock in hand: the lock's file goes last but one. */
static void remove_files(const char *folder)
{
	char path[160];

	path_in(folder, "control", path, sizeof(path));
	unlink(path);
	path_in(folder, "vsock", path, sizeof(path));
	unlink(path);
	path_in(folder, "lock", path, sizeof(path));
	unlink(path);
	rmdir(folder);
}

/* Descriptor of the lock, or a negative errno: EWOULDBLOCK if it is held. */
static int take_lock(const char *folder)
{
	struct stat ours, there;
	char path[160];
	int fd;

	path_in(folder, "lock", path, sizeof(path));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		int error = errno;

		close(fd);
		return -error;
	}
	/* Whoever removed it meanwhile also removed the folder. */
	if (!fstat(fd, &ours) && !stat(path, &there) &&
	    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
		return fd;
	close(fd);
	return -ENOENT;
}

/* One that lists guests may hold the lock, or remove the folder, for a moment. */
static int insist_on_lock(const char *folder)
{
	int i, lock = -EWOULDBLOCK;

	for (i = 0; i < PATIENCE; i++) {
		if (mkdir(folder, 0700) && errno != EEXIST)
			return -errno;
		lock = take_lock(folder);
		if (lock >= 0 || (lock != -EWOULDBLOCK && lock != -ENOENT))
			break;
		usleep(25000);
	}
	return lock;
}

static int listen_at(const char *folder)
{
	struct sockaddr_un address = address_of(folder);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	unlink(address.sun_path);
	if (fd >= 0 && !bind(fd, (void *)&address, sizeof(address)) && !listen(fd, WAITING))
		return fd;
	error = errno;
	if (fd >= 0)
		close(fd);
	return -error;
}

/* Of the guest whose place this is; no guest's name begins with a dot. */
static void status_path(const char *folder, char *path, size_t size)
{
	const char *name = strrchr(folder, '/') + 1;

	snprintf(path, size, "%.*s.%s", (int)(name - folder), folder, name);
}

static void keep_status(const char *folder, int status)
{
	char path[160];
	FILE *out;

	status_path(folder, path, sizeof(path));
	unlink(path);
	out = status >= 0 ? fopen(path, "wxe") : NULL;
	if (out) {
		fprintf(out, "%d\n", status);
		fclose(out);
	}
}

bool place_take(struct place *place, const char *name)
{
	place->socket = -1;
	if (!find_place(name, place->folder, sizeof(place->folder)))
		return false;
	place->lock = insist_on_lock(place->folder);
	if (place->lock == -EWOULDBLOCK) {
		problem("run: a guest called '%s' runs already; take another --name, or `lguest stop %s`",
			name, name);
		return false;
	}
	if (place->lock >= 0)
		place->socket = listen_at(place->folder);
	if (place->lock >= 0 && place->socket >= 0) {
		keep_status(place->folder, -1);
		return true;
	}
	problem("run: cannot use the folder %s: %s; set XDG_RUNTIME_DIR to one of yours",
		place->folder, strerror(place->lock < 0 ? -place->lock : -place->socket));
	return false;
}

bool place_vsock(const char *name, char *path, size_t size)
{
	char folder[sizeof(((struct place *)0)->folder)];

	if (!find_place(name, folder, sizeof(folder)))
		return false;
	path_in(folder, "vsock", path, size);
	return true;
}

int place_status(const char *name)
{
	char folder[sizeof(((struct place *)0)->folder)], path[160];
	FILE *in = NULL;
	int status = -1;

	if (find_place(name, folder, sizeof(folder))) {
		status_path(folder, path, sizeof(path));
		in = fopen(path, "re");
	}
	if (in && fscanf(in, "%d", &status) != 1)
		status = -1;
	if (in)
		fclose(in);
	return status;
}

void place_leave(struct place *place, int status)
{
	keep_status(place->folder, status);
	remove_files(place->folder);
	close(place->socket);
	close(place->lock);
}

int place_peer(int fd)
{
	struct ucred peer = { .pid = 0 };
	socklen_t size = sizeof(peer);

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	return peer.pid;
}

static int connect_at(const char *folder, unsigned int seconds)
{
	struct sockaddr_un address = address_of(folder);
	struct timeval limit = { .tv_sec = seconds };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (!connect(fd, (void *)&address, sizeof(address)))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

int place_connect(const char *command, const char *name, bool quiet, unsigned int seconds)
{
	char folder[sizeof(((struct place *)0)->folder)];
	int fd;

	if (!find_place(name, folder, sizeof(folder)))
		return -1;
	fd = connect_at(folder, seconds);
	if (fd >= 0)
		return fd;
	errno = -fd;
	if (quiet)
		return -1;
	if (fd == -ENOENT || fd == -ECONNREFUSED || fd == -ENOTDIR)
		problem("%s: no guest called '%s' runs; `lguest list` shows yours", command, name);
	else if (fd == -EAGAIN)
		problem("%s: the guest '%s' does not answer; is its launcher stopped? `fuser %s/lock` tells its PID",
			command, name, folder);
	else
		problem("%s: cannot reach the guest '%s': %s/control: %s; is it another user's?",
			command, name, folder, strerror(-fd));
	return -1;
}

/* If nobody holds its lock, what is there was left behind. */
static bool is_held(const char *folder)
{
	int lock = take_lock(folder);

	if (lock < 0)
		return lock == -EWOULDBLOCK;
	remove_files(folder);
	close(lock);
	return false;
}

/* Others may put files there, which are no guests. */
static int is_place(const struct dirent *entry)
{
	return is_name(entry->d_name) &&
	       (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
}

char **place_names(void)
{
	char folder[sizeof(((struct place *)0)->folder)], path[160];
	struct dirent **entries;
	int count, i, used = 0;
	char **names;

	if (!find_folder(folder, sizeof(folder)))
		return NULL;
	count = scandir(folder, &entries, is_place, alphasort);
	names = count < 0 ? NULL : calloc(count + 1, sizeof(*names));
	if (!names) {
		problem("cannot read the folder %s: %s; see `ls -l` of it", folder,
			strerror(errno));
		return NULL;
	}
	for (i = 0; i < count; i++) {
		path_in(folder, entries[i]->d_name, path, sizeof(path));
		if (is_held(path))
			names[used++] = strdup(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return names;
}
