// SPDX-License-Identifier: GPL-2.0
/*
 * A container's guest: started with the root folder and the folders of the mounts as
 * shares; what a root folder needs is mounted in it by the agent's own tools.  Single
 * files (podman has some for /etc) are copied.
 * Read next: oci_process.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command/session.h"
#include "control/place.h"
#include "devices/devices.h"
#include "lguest.h"
#include "oci.h"

#define WORDS_MOST	64
#define MOUNTS_MOST	(SHARES_MOST - 1)	/* one is the root */
#define MEMORY_USUAL	(256ULL << 20)
#define MEMORY_LEAST_HERE	(64ULL << 20)	/* a stock kernel needs 62M */

int oci_lguest(char **words)
{
	pid_t child = fork();
	int status;

	if (!child) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		close_range(STDERR_FILENO + 1, ~0U, 0);
		execv("/proc/self/exe", words);
		_exit(STATUS_HOST);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return STATUS_HOST;
	return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_HOST;
}

void oci_stop_guest(const struct oci_container *c)
{
	int fd = place_connect("oci", c->guest, true, 1);

	if (fd < 0)
		return;
	close(fd);
	oci_lguest((char *[]){ "lguest", "stop", "--force", (char *)c->guest, NULL });
}

static const char *field(const json_t *mount, const char *key)
{
	const char *text = json_string_value(json_object_get(mount, key));

	return text ? text : "";
}

static bool has_option(const json_t *mount, const char *option)
{
	const json_t *options = json_object_get(mount, "options");
	size_t i;

	for (i = 0; i < json_array_size(options); i++) {
		const char *text = json_string_value(json_array_get(options, i));

		if (text && !strcmp(text, option))
			return true;
	}
	return false;
}

static bool is_bind(const json_t *mount)
{
	return !strcmp(field(mount, "type"), "bind") || has_option(mount, "bind") ||
	       has_option(mount, "rbind");
}

static bool is_shm(const json_t *mount)
{
	return !strcmp(field(mount, "destination"), "/dev/shm");
}

/* The folder of the host that a mount shares, or NULL. */
static const char *shared_folder(const json_t *mount, struct stat *status)
{
	const char *source = field(mount, "source");

	return is_bind(mount) && !is_shm(mount) && !stat(source, status) &&
	       S_ISDIR(status->st_mode) ? source : NULL;
}

static char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text_of(const char *format, ...)
{
	va_list list;
	char *text;

	va_start(list, format);
	if (vasprintf(&text, format, list) < 0)
		exit(STATUS_HOST);
	va_end(list);
	return text;
}

/* Words for the shares of all mounts; false after a message. */
static bool add_shares(const json_t *mounts, char **words, size_t *n)
{
	unsigned int shares = 0;
	struct stat status;
	size_t i;

	for (i = 0; i < json_array_size(mounts); i++) {
		const json_t *mount = json_array_get(mounts, i);
		const char *folder = shared_folder(mount, &status);

		if (!folder)
			continue;
		if (++shares > MOUNTS_MOST || strpbrk(folder, ":,")) {
			problem("oci: the mount of %s: %s", folder, shares > MOUNTS_MOST ?
				"a guest has not so many" :
				"a colon or comma in its name: it cannot be shared");
			return false;
		}
		words[(*n)++] = "--share";
		words[(*n)++] = text_of("%s:m%zu%s", folder, i, has_option(mount, "ro") ? ",ro" : "");
	}
	return true;
}

static bool have_passt(void)
{
	return !system("command -v passt >/dev/null 2>&1");
}

static bool run_detached(const struct oci_container *c, const struct oci_config *config)
{
	uint64_t memory = config->memory ? config->memory : MEMORY_USUAL;
	char *words[WORDS_MOST] = { "lguest", "run", "--detach", "--name", (char *)c->guest };
	size_t n = 5;

	if (memory < MEMORY_LEAST_HERE)
		memory = MEMORY_LEAST_HERE;
	words[n++] = "-m";
	words[n++] = text_of("%lluK", (unsigned long long)memory >> 10);
	if (config->vcpus > 1) {
		words[n++] = "-c";
		words[n++] = text_of("%u", config->vcpus);
	}
	words[n++] = "--share";
	words[n++] = text_of("%s:root%s", config->root, config->read_only ? ",ro" : "");
	if (!add_shares(json_object_get(config->object, "mounts"), words, &n))
		return false;
	if (config->network && have_passt()) {
		words[n++] = "--net";
		words[n++] = "user";
	}
	return oci_lguest(words) == STATUS_DONE;
}

/* ---- inside */

static bool tool(const struct oci_container *c, char **words, int in)
{
	return !session_tool("oci", c->guest, OCI_ROOT, words, in, -1);
}

static bool mount_in(const struct oci_container *c, const char *type, const char *source,
		     const char *options, const char *at)
{
	return tool(c, (char *[]){ "mkdir", "-p", "--", (char *)at, NULL }, -1) &&
	       tool(c, (char *[]){ "mount", "-t", (char *)type, "-o", (char *)options,
				   (char *)source, (char *)at, NULL }, -1);
}

/* One file of the host's, as it is now. */
static bool copy_in(const struct oci_container *c, const char *source, const char *at, size_t i)
{
	char *copy = text_of("/dev/.oci-%zu", i), *of = text_of("of=%s", copy);
	char *folder = dirname(text_of("%s", at));
	int fd = open(source, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && tool(c, (char *[]){ "dd", of, "status=none", NULL }, fd) &&
		  tool(c, (char *[]){ "mkdir", "-p", "--", folder, NULL }, -1) &&
		  tool(c, (char *[]){ "touch", "--", (char *)at, NULL }, -1) &&
		  tool(c, (char *[]){ "mount", "-o", "bind", copy, (char *)at, NULL }, -1);

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool mount_one(const struct oci_container *c, const json_t *mount, size_t i)
{
	const char *type = field(mount, "type"), *at = field(mount, "destination");
	const char *source = field(mount, "source");
	const char *mode = has_option(mount, "ro") ? "ro" : "rw";
	struct stat status;
	char *tag;

	if (shared_folder(mount, &status)) {
		tag = text_of("m%zu", i);
		return mount_in(c, "virtiofs", tag, mode, at);
	}
	if (is_shm(mount))
		return mount_in(c, "tmpfs", "shm", "mode=1777", at);
	if (is_bind(mount))
		return stat(source, &status) || !S_ISREG(status.st_mode) ||
		       copy_in(c, source, at, i);
	if (!strcmp(at, "/dev"))
		return mount_in(c, "devtmpfs", "dev", "rw", at);
	if (!strcmp(type, "proc") || !strcmp(type, "sysfs") || !strcmp(type, "tmpfs"))
		return mount_in(c, type, type, mode, at);
	if (!strcmp(type, "devpts"))
		return mount_in(c, type, type, "mode=620,ptmxmode=666,gid=5", at);
	return true;		/* cgroup, mqueue and others: not here */
}

static bool prepare(const struct oci_container *c, const struct oci_config *config)
{
	const json_t *mounts = json_object_get(config->object, "mounts");
	bool ok = true;
	size_t i;

	if (config->hostname)
		ok = tool(c, (char *[]){ "hostname", (char *)config->hostname, NULL }, -1);
	for (i = 0; ok && i < json_array_size(mounts); i++) {
		ok = mount_one(c, json_array_get(mounts, i), i);
		if (!ok)
			problem("oci: cannot mount %s in the guest",
				field(json_array_get(mounts, i), "destination"));
	}
	return ok;
}

bool oci_start_guest(const struct oci_container *c, const struct oci_config *config)
{
	if (!run_detached(c, config))
		return false;
	if (prepare(c, config))
		return true;
	oci_stop_guest(c);
	return false;
}
