// SPDX-License-Identifier: GPL-2.0
/*
 * What is known of a container: ROOT/ID/state.json, and beside it the file "start", which
 * is there until the process has begun.  The rest is seen: does the process live?
 * Read next: oci_guest.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/place.h"
#include "lguest.h"
#include "oci.h"

static void path_in(const struct oci_container *c, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", c->folder, name);
}

void oci_fifo(const struct oci_container *c, char *path, size_t size)
{
	path_in(c, "start", path, size);
}

static bool name_it(struct oci_container *c, const char *root, const char *id)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
	char *at;

	memset(c, 0, sizeof(*c));
	if (!*id || strlen(id) >= sizeof(c->id) || strspn(id, good) != strlen(id) || *id == '.' ||
	    (size_t)snprintf(c->folder, sizeof(c->folder), "%s/%s", root, id) >= sizeof(c->folder)) {
		problem("oci: '%.80s' is no name for a container here", id);
		return false;
	}
	strcpy(c->id, id);
	snprintf(c->guest, sizeof(c->guest), "oci-%.44s", id);
	while ((at = strchr(c->guest, '+')))
		*at = '_';
	return true;
}

bool oci_make(struct oci_container *c, const char *root, const char *id, const char *bundle)
{
	if (!name_it(c, root, id))
		return false;
	if (mkdir(root, 0700) && errno != EEXIST) {
		problem("oci: cannot make %s: %s", root, strerror(errno));
		return false;
	}
	if (mkdir(c->folder, 0700)) {
		problem("oci: the container %s: %s", id, errno == EEXIST ? "there is one already" :
			strerror(errno));
		return false;
	}
	c->bundle = realpath(bundle, NULL);
	return c->bundle && oci_keep(c);
}

bool oci_keep(const struct oci_container *c)
{
	json_t *state = json_pack("{s:s,s:i,s:I,s:O*}", "bundle", c->bundle, "pid", (int)c->pid,
				  "born", (json_int_t)c->born, "annotations", c->annotations);
	char path[PATH_MAX], temporary[PATH_MAX];
	bool ok;

	path_in(c, "state.json", path, sizeof(path));
	path_in(c, "state.new", temporary, sizeof(temporary));
	ok = state && !json_dump_file(state, temporary, 0) && !rename(temporary, path);
	json_decref(state);
	if (!ok)
		problem("oci: cannot write %s: %s", path, strerror(errno));
	return ok;
}

bool oci_find(struct oci_container *c, const char *root, const char *id, bool quiet)
{
	char path[PATH_MAX];
	json_t *state;

	if (!name_it(c, root, id))
		return false;
	path_in(c, "state.json", path, sizeof(path));
	state = json_load_file(path, 0, NULL);
	if (!state) {
		if (!quiet)
			problem("oci: there is no container %s", id);
		return false;
	}
	c->bundle = strdup(json_string_value(json_object_get(state, "bundle")) ?: "");
	c->pid = json_integer_value(json_object_get(state, "pid"));
	c->born = json_integer_value(json_object_get(state, "born"));
	c->annotations = json_incref(json_object_get(state, "annotations"));
	json_decref(state);
	return true;
}

/* Field 22 of its stat: a PID comes again, but not with the same start. 0: it is gone. */
uint64_t oci_birth(pid_t pid)
{
	unsigned long long start = 0;
	char path[64], text[1024], state = 'Z', *at;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	in = fopen(path, "re");
	if (in && fgets(text, sizeof(text), in) && (at = strrchr(text, ')')) &&
	    sscanf(at, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &state, &start) != 2)
		start = 0;
	if (in)
		fclose(in);
	return state == 'Z' || state == 'X' ? 0 : start;
}

const char *oci_status(const struct oci_container *c)
{
	char path[PATH_MAX];
	uint64_t start;

	if (!c->pid)
		return "creating";
	start = oci_birth(c->pid);
	if (!start || (c->born && start != c->born))
		return "stopped";
	oci_fifo(c, path, sizeof(path));
	return access(path, F_OK) ? "running" : "created";
}

const char *oci_default_root(void)
{
	static char path[PATH_MAX];
	char *at = place_vsock("x", path, sizeof(path)) ? strstr(path, "/x/vsock") : NULL;

	if (!at)
		return NULL;
	strcpy(at, "/.oci");
	return path;
}

void oci_forget(const struct oci_container *c)
{
	static const char *const names[] = { "state.json", "state.new", "start" };
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path_in(c, names[i], path, sizeof(path));
		unlink(path);
	}
	rmdir(c->folder);
}
