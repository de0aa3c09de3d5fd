// SPDX-License-Identifier: GPL-2.0
/*
 * --user and --env.  A user is one of the guest, and is found here before it starts: in
 * the files of its root, where no link leads out of it.
 * Read next: options.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lguest.h"
#include "options.h"
#include "run_as.h"

/* What our own initramfs has. */
static char users[] = "root:x:0:0:root:/root:/bin/sh\n";
static char groups[] = "root:x:0:\n";

static FILE *open_list(const char *root, const char *path, char *own)
{
	const struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
				      .resolve = RESOLVE_IN_ROOT };
	int folder, fd;

	if (!root)
		return fmemopen(own, strlen(own), "r");
	folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = folder < 0 ? -1 : syscall(SYS_openat2, folder, path, &how, sizeof(how));
	if (folder >= 0)
		close(folder);
	return fd < 0 ? NULL : fdopen(fd, "r");
}

/* -1, which means "do not change" to some calls, is nobody. */
static bool is_number(const char *text, uint32_t *number)
{
	unsigned long value;
	char *end;

	if (!*text || strspn(text, "0123456789") != strlen(text))
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	*number = value;
	return !errno && value < UINT32_MAX;
}

/* A name counts as one, should it look like a number. */
static bool find_user(const char *root, const char *text, struct run_as *as)
{
	FILE *file = open_list(root, "etc/passwd", users);
	struct passwd *entry;
	uint32_t number = 0;
	bool numeric = is_number(text, &number), found = false;

	while (file && !found && (entry = fgetpwent(file))) {
		if (strcmp(entry->pw_name, text) && !(numeric && entry->pw_uid == number))
			continue;
		found = true;
		as->who.uid = entry->pw_uid;
		as->who.gid = entry->pw_gid;
		as->name = strdup(entry->pw_name);
		as->home = strdup(entry->pw_dir);
	}
	if (file)
		fclose(file);
	if (found || !numeric)
		return found;
	as->who.uid = as->who.gid = number;
	return true;
}

static bool has_member(const struct group *group, const char *name)
{
	char **at;

	for (at = group->gr_mem; *at; at++)
		if (!strcmp(*at, name))
			return true;
	return false;
}

/* One group by its name or number; or, without a text, all that the user is in, as at login. */
static bool find_groups(const char *root, const char *text, struct run_as *as)
{
	FILE *file = open_list(root, "etc/group", groups);
	struct group *entry;
	uint32_t number;
	bool found = text && is_number(text, &number);

	if (found)
		as->who.gid = number;
	if (!text)
		as->who.groups[as->who.count++] = as->who.gid;
	while (file && (entry = fgetgrent(file))) {
		if (text && !strcmp(entry->gr_name, text)) {
			as->who.gid = entry->gr_gid;
			found = true;
			break;
		}
		if (!text && as->name && has_member(entry, as->name) &&
		    as->who.count < BECOME_GROUPS)
			as->who.groups[as->who.count++] = entry->gr_gid;
	}
	if (file)
		fclose(file);
	return found || !text;
}

bool run_as_read(const char *root, const char *text, struct run_as *as)
{
	char *user = strdup(text), *group = user ? strchr(user, ':') : NULL;
	bool ok;

	memset(as, 0, sizeof(*as));
	if (!user)
		return false;
	if (group)
		*group++ = '\0';
	ok = find_user(root, user, as);
	if (!ok)
		problem("run: --user: the guest has no user '%s' (%s/etc/passwd); give one that it has, or a number",
			user, root ? root : "its own");
	if (ok && !find_groups(root, group, as)) {
		problem("run: --user: the guest has no group '%s' (%s/etc/group); give one that it has, or a number",
			group, root ? root : "its own");
		ok = false;
	}
	free(user);
	return ok;
}

bool run_env_check(const struct text_list *variables)
{
	unsigned int i;

	for (i = 0; i < variables->count; i++)
		if (!variables->items[i][0] || variables->items[i][0] == '=') {
			problem("run: --env: '%s' has no name; say NAME=VALUE, or NAME for the value that it has here",
				variables->items[i]);
			return false;
		}
	return true;
}

static char *make(const char *name, const char *value)
{
	char *text;

	return asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text;
}

char **run_env(const struct text_list *variables, const struct run_as *as)
{
	char **list = calloc(variables->count + 4, sizeof(*list));
	unsigned int i, n = 0;

	if (list && as) {
		list[n++] = make("HOME", as->home && *as->home ? as->home : "/");
		if (as->name) {
			list[n++] = make("USER", as->name);
			list[n++] = make("LOGNAME", as->name);
		}
	}
	for (i = 0; list && i < variables->count; i++) {
		const char *item = variables->items[i], *value = getenv(item);

		if (strchr(item, '='))
			list[n++] = strdup(item);
		else if (value)
			list[n++] = make(item, value);
	}
	for (i = 0; i < n; i++)
		if (!list[i])
			return NULL;
	return list;
}
