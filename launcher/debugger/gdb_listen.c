// SPDX-License-Identifier: GPL-2.0
/*
 * The debugger's socket.  The supervisor listens and accepts; a connection is handed to
 * the machine (gdb.c), which has no right to accept any, and kept until that says that
 * the debugger is gone: so it lives through a restart.
 * Read next: gdb.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gdb_listen.h"
#include "lguest.h"

static int say_why(const char *path, const char *why)
{
	problem("run: cannot listen for a debugger at %s: %s; give --gdb another path",
		path, why);
	return -1;
}

/* A socket that nobody listens at any more was left behind. */
static bool path_is_free(const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	struct stat status;
	bool in_use;
	int fd;

	if (lstat(path, &status))
		return true;
	if (!S_ISSOCK(status.st_mode)) {
		say_why(path, "there is a file, and it is no socket");
		return false;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	in_use = fd < 0 || !connect(fd, (const void *)address, sizeof(*address)) ||
		 errno != ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	if (in_use)
		say_why(path, "somebody listens there");
	return !in_use && !unlink(path);
}

/*L:460
 * Who may connect reads and writes all of the guest: a socket with the rights of
 * its file, not a port, so that it is the user who started the guest and no other.
 :*/
static int listen_at(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask = umask(0177);
	int error = fd < 0 || bind(fd, (const void *)address, sizeof(*address)) ||
		    listen(fd, 1) ? errno : 0;

	umask(mask);
	if (!error)
		return fd;
	if (fd >= 0)
		close(fd);
	return say_why(address->sun_path, strerror(error));
}

bool gdb_check(const char *path)
{
	if (*path && strlen(path) < sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return true;
	say_why(path, "the path is missing or too long");
	return false;
}

bool gdb_listen(struct gdb_listener *gdb, const char *path)
{
	gdb->address.sun_family = AF_UNIX;
	strcpy(gdb->address.sun_path, path);
	if (!path_is_free(&gdb->address))
		return false;
	gdb->listener = listen_at(&gdb->address);
	if (gdb->listener < 0)
		return false;
	stat(path, &gdb->made);
	problem("the guest waits for a debugger: gdb vmlinux -ex 'target remote %s'", path);
	return true;
}

int gdb_awaited(const struct gdb_listener *gdb)
{
	return gdb->connection >= 0 ? -1 : gdb->listener;
}

bool gdb_accept(struct gdb_listener *gdb)
{
	gdb->connection = accept4(gdb->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return gdb->connection >= 0;
}

void gdb_drop(struct gdb_listener *gdb)
{
	if (gdb->connection >= 0)
		close(gdb->connection);
	gdb->connection = -1;
}

void gdb_close(struct gdb_listener *gdb)
{
	struct stat now;

	if (gdb->listener < 0)
		return;
	gdb_drop(gdb);
	if (!lstat(gdb->address.sun_path, &now) && now.st_ino == gdb->made.st_ino &&
	    now.st_dev == gdb->made.st_dev)
		unlink(gdb->address.sun_path);
	close(gdb->listener);
	gdb->listener = -1;
}
