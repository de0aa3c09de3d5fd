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
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gdb_listen.h"
#include "lguest.h"

static struct listener {
	struct sockaddr_un address;
	struct stat socket;	/* as we made it */
	int listener, connection;	/* or -1 */
} gdb = { .listener = -1, .connection = -1 };

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
	if (*path && strlen(path) < sizeof(gdb.address.sun_path))
		return true;
	say_why(path, "the path is missing or too long");
	return false;
}

bool gdb_listen(const char *path)
{
	struct listener *g = &gdb;

	g->address.sun_family = AF_UNIX;
	strcpy(g->address.sun_path, path);
	if (!path_is_free(&g->address))
		return false;
	g->listener = listen_at(&g->address);
	if (g->listener < 0)
		return false;
	stat(path, &g->socket);
	problem("the guest waits for a debugger: gdb vmlinux -ex 'target remote %s'", path);
	return true;
}

int gdb_listener(void)
{
	return gdb.connection >= 0 ? -1 : gdb.listener;
}

int gdb_connection(void)
{
	return gdb.connection;
}

bool gdb_accept(void)
{
	gdb.connection = accept4(gdb.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return gdb.connection >= 0;
}

void gdb_drop(void)
{
	if (gdb.connection >= 0)
		close(gdb.connection);
	gdb.connection = -1;
}

void gdb_close(void)
{
	struct listener *g = &gdb;
	struct stat now;

	if (g->listener < 0)
		return;
	gdb_drop();
	if (!lstat(g->address.sun_path, &now) && now.st_ino == g->socket.st_ino &&
	    now.st_dev == g->socket.st_dev)
		unlink(g->address.sun_path);
	close(g->listener);
	g->listener = -1;
}
