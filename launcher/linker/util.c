// SPDX-License-Identifier: GPL-2.0
/*
 * Errors as sentences, and whole files in memory: see util.h.
 * The end of the walk; tests/micro/micro.h begins another.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

int link_fail(struct lguest_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

static int read_all(int fd, struct blob *blob, const char *path,
		    struct lguest_error *err)
{
	size_t done = 0;

	while (done < blob->size) {
		ssize_t n = read(fd, blob->data + done, blob->size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return link_fail(err, "reading %s: %s", path,
				    strerror(errno));
		if (n == 0)
			return link_fail(err, "reading %s: it became shorter meanwhile; try again",
				    path);
		done += n;
	}
	return 0;
}

static int read_open(int fd, struct blob *blob, const char *path, size_t limit,
		     struct lguest_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return link_fail(err, "reading %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return link_fail(err, "reading %s: it is not a regular file; give lguest a vmlinuz",
				 path);
	if ((uint64_t)st.st_size > limit)
		return link_fail(err, "reading %s: it has %lld bytes, more than the %zu MiB it may have; a vmlinux gets smaller with: strip -g",
			    path, (long long)st.st_size, limit >> 20);

	blob->size = st.st_size;
	blob->data = malloc(blob->size ? blob->size : 1);
	if (!blob->data)
		return link_fail(err, "reading %s: no memory for %zu bytes", path,
			    blob->size);
	if (read_all(fd, blob, path, err) < 0) {
		blob_free(blob);
		return -1;
	}
	return 0;
}

int blob_read(struct blob *blob, const char *path, size_t limit,
	      struct lguest_error *err)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its other end. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int ret;

	blob->data = NULL;
	blob->size = 0;
	if (fd < 0)
		return link_fail(err, "opening %s: %s", path, strerror(errno));
	ret = read_open(fd, blob, path, limit, err);
	close(fd);
	return ret;
}

/* Not what nohup and the like had us ignore: while it is blocked it would be pending. */
static void those_that_end_us(sigset_t *set)
{
	static const int all[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGALRM, SIGXCPU };
	struct sigaction old;
	size_t i;

	sigemptyset(set);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!sigaction(all[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaddset(set, all[i]);
}

void signals_hold(sigset_t *before)
{
	sigset_t set;

	those_that_end_us(&set);
	sigaddset(&set, SIGXFSZ);	/* a file that may not grow: EFBIG is enough */
	sigprocmask(SIG_BLOCK, &set, before);
}

bool signals_came(void)
{
	sigset_t set, pending, both;

	those_that_end_us(&set);
	sigpending(&pending);
	sigandset(&both, &set, &pending);
	return !sigisemptyset(&both);
}

void signals_let_go(const sigset_t *before)
{
	const struct timespec now = { 0 };
	sigset_t size;

	sigemptyset(&size);
	sigaddset(&size, SIGXFSZ);
	if (!sigismember(before, SIGXFSZ))
		sigtimedwait(&size, NULL, &now);
	sigprocmask(SIG_SETMASK, before, NULL);
}

void blob_free(struct blob *blob)
{
	free(blob->data);
	blob->data = NULL;
	blob->size = 0;
}
