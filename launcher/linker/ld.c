// SPDX-License-Identifier: GPL-2.0
/*P:090
 * The linking itself is done by ld(1), of the binutils.  It reads the layer,
 * the layer's script and the script from symbols.c, and writes an executable
 * that contains just the layer, each address filled in.
 *
 * ld works on files, so we give it a directory of our own under $TMPDIR.  It
 * is started without a shell, and what it has to say goes into our error.
 * Read next: result.c.
:*/
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "distribution.h"
#include "ld.h"

#define LINKED_LIMIT	(64UL << 20)

struct workdir {
	char dir[256];
	char symbols[288];
	char linked[288];
	char log[288];
};

static int workdir_make(struct workdir *w, struct lguest_error *err)
{
	const char *tmp = getenv("TMPDIR");
	int len;

	if (!tmp || !*tmp)
		tmp = "/tmp";
	len = snprintf(w->dir, sizeof(w->dir), "%s/lguest-link-XXXXXX", tmp);
	if (len >= (int)sizeof(w->dir))
		return link_fail(err, "linking: $TMPDIR is too long a path; set it to a shorter one");
	if (!mkdtemp(w->dir))
		return link_fail(err, "linking: making a directory in %s: %s; set TMPDIR to where you may write",
				 tmp, strerror(errno));
	snprintf(w->symbols, sizeof(w->symbols), "%s/symbols.lds", w->dir);
	snprintf(w->linked, sizeof(w->linked), "%s/layer.elf", w->dir);
	snprintf(w->log, sizeof(w->log), "%s/log", w->dir);
	return 0;
}

static void workdir_remove(const struct workdir *w)
{
	unlink(w->symbols);
	unlink(w->linked);
	unlink(w->log);
	rmdir(w->dir);
}

static int write_symbols(const struct workdir *w, const struct layer *layer,
			 const struct kernel *kernel, struct lguest_error *err)
{
	FILE *out = fopen(w->symbols, "we");
	int ret;

	if (!out)
		return link_fail(err, "linking: writing %s: %s", w->symbols,
				 strerror(errno));
	ret = ld_symbols(layer, kernel, out, err);
	if (fclose(out) != 0 && !ret)
		ret = link_fail(err, "linking: writing %s: %s", w->symbols,
				strerror(errno));
	return ret;
}

/* Run a program with its output in a file.  Returns its wait status. */
static int spawn(char *const argv[], const char *log, const sigset_t *signals,
		 int *status, struct lguest_error *err)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	pid_t pid;
	int ret;

	if (posix_spawn_file_actions_init(&files) || posix_spawnattr_init(&attributes))
		return link_fail(err, "linking: no memory");
	posix_spawnattr_setsigmask(&attributes, signals);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	ret = posix_spawn_file_actions_addopen(&files, 1, log,
					       O_WRONLY | O_CREAT | O_EXCL,
					       0600);
	if (!ret)
		ret = posix_spawn_file_actions_adddup2(&files, 1, 2);
	if (!ret)
		ret = posix_spawnp(&pid, argv[0], &files, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	if (ret)
		return link_fail(err, "linking: starting %s: %s; %s", argv[0], strerror(ret),
				 how_to_install(PACKAGE_BINUTILS, NULL).text);
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return link_fail(err, "linking: waiting for %s: %s",
					 argv[0], strerror(errno));
	return 0;
}

static int report(const struct layer *layer, const struct workdir *w,
		  int status, struct lguest_error *err)
{
	struct lguest_error ignored;
	struct blob log;
	int len = 0;

	if (blob_read(&log, w->log, 1 << 20, &ignored) == 0)
		len = log.size < 3000 ? log.size : 3000;
	while (len && log.data[len - 1] == '\n')
		len--;
	link_fail(err, "linking %s: ld ended with %s %d:\n%.*s",
		  layer->object, WIFSIGNALED(status) ? "signal" : "status",
		  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		  len, len ? (const char *)log.data : "");
	blob_free(&log);
	return -1;
}

static int run_in(struct workdir *w, const struct layer *layer,
		  const struct kernel *kernel, const sigset_t *signals,
		  struct blob *linked, FILE *verbose, struct lguest_error *err)
{
	char *argv[] = {
		"ld", "-m", "elf_x86_64", "-static", "-nostdlib",
		"--build-id=none", "-z", "max-page-size=4096",
		"-z", "noexecstack",
		"-T", layer->script, "-o", w->linked, layer->object, w->symbols, NULL,
	};
	int status, i;

	if (write_symbols(w, layer, kernel, err) < 0)
		return -1;
	if (verbose) {
		for (i = 0; argv[i]; i++)
			fprintf(verbose, "%s%s", i ? " " : "", argv[i]);
		fputc('\n', verbose);
	}
	if (spawn(argv, w->log, signals, &status, err) < 0)
		return -1;
	if (status)
		return report(layer, w, status, err);
	return blob_read(linked, w->linked, LINKED_LIMIT, err);
}

int ld_run(const struct layer *layer, const struct kernel *kernel,
	   struct blob *linked, FILE *verbose, struct lguest_error *err)
{
	struct workdir w;
	sigset_t signals;
	int ret;

	signals_hold(&signals);
	ret = workdir_make(&w, err);
	if (!ret) {
		ret = run_in(&w, layer, kernel, &signals, linked, verbose, err);
		if (ret < 0 && verbose && !signals_came())
			fprintf(verbose, "keeping the files in %s\n", w.dir);
		else
			workdir_remove(&w);
	}
	signals_let_go(&signals);
	return ret;
}
