// SPDX-License-Identifier: GPL-2.0
/*
 * Users and groups, out of the files of the root that a command gets: "name", a number,
 * or one of these with ":group", or ":group,more,...".  Numbers need not be in the files.
 * Read next: launcher/boot/modules.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "sys.h"

#define LINE_MOST	8192

static struct lines {
	int fd;
	bool at_end;
	size_t used, size;	/* of the line before; of all */
	char bytes[LINE_MOST];
} lines;

static bool open_lines(const char *path)
{
	lines.used = lines.size = 0;
	lines.at_end = false;
	lines.fd = sys3(open, path, O_RDONLY | O_CLOEXEC, 0);
	return lines.fd >= 0;
}

static void fill(void)
{
	long got;

	memmove(lines.bytes, lines.bytes + lines.used, lines.size - lines.used);
	lines.size -= lines.used;
	lines.used = 0;
	got = sys3(read, lines.fd, lines.bytes + lines.size, LINE_MOST - lines.size);
	lines.at_end = got <= 0;
	if (got > 0)
		lines.size += got;
}

/* The next one, without its newline, or NULL; one that is too long comes in parts. */
static char *next_line(void)
{
	size_t i, start;

	for (;;) {
		for (i = lines.used; i < lines.size && lines.bytes[i] != '\n'; i++)
			;
		if (i < lines.size || lines.at_end || (!lines.used && lines.size == LINE_MOST))
			break;
		fill();
	}
	if (i == lines.size && i == lines.used) {
		sys1(close, lines.fd);
		return NULL;
	}
	if (i == LINE_MOST)
		i--;
	lines.bytes[i] = '\0';
	start = lines.used;
	lines.used = i + 1 < lines.size ? i + 1 : lines.size;
	return lines.bytes + start;
}

/* Cut at the separator: what stands before it; *rest is what comes behind. */
static char *cut(char **rest, char separator)
{
	char *start = *rest, *at = start;

	while (*at && *at != separator)
		at++;
	*rest = *at ? at + 1 : at;
	*at = '\0';
	return start;
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static bool number(const char *text, uint32_t *value)
{
	uint64_t all = 0;

	if (!*text)
		return false;
	for (; *text >= '0' && *text <= '9' && all <= UINT32_MAX; text++)
		all = all * 10 + (*text - '0');
	*value = all;
	return !*text && all < UINT32_MAX;
}

static void copy(char *to, const char *from, size_t room)
{
	while (--room && *from)
		*to++ = *from++;
	*to = '\0';
}

/* The line of this name, or of this number if the name is one. */
static bool find_in_passwd(const char *name, struct user *user)
{
	uint32_t wanted, uid;
	bool by_number = number(name, &wanted);
	char *line;

	if (!open_lines("/etc/passwd"))
		return false;
	while ((line = next_line())) {
		char *login = cut(&line, ':');

		cut(&line, ':');
		if (!number(cut(&line, ':'), &uid))
			continue;
		if (by_number ? uid != wanted : !same(login, name))
			continue;
		if (!number(cut(&line, ':'), &user->gid))
			continue;
		user->uid = uid;
		cut(&line, ':');
		copy(user->name, login, sizeof(user->name));
		copy(user->home, cut(&line, ':'), sizeof(user->home));
		sys1(close, lines.fd);
		return true;
	}
	return false;
}

static bool find_group(const char *name, uint32_t *gid)
{
	char *line;

	if (number(name, gid))
		return true;
	if (!open_lines("/etc/group"))
		return false;
	while ((line = next_line())) {
		char *group = cut(&line, ':');

		cut(&line, ':');
		if (same(group, name) && number(cut(&line, ':'), gid)) {
			sys1(close, lines.fd);
			return true;
		}
	}
	return false;
}

static void find_groups(struct user *user)
{
	char *line;

	if (!*user->name || !open_lines("/etc/group"))
		return;
	while ((line = next_line())) {
		uint32_t gid;

		cut(&line, ':');
		cut(&line, ':');
		if (!number(cut(&line, ':'), &gid))
			continue;
		while (*line)
			if (same(cut(&line, ','), user->name) && user->group_count < USER_GROUPS)
				user->groups[user->group_count++] = gid;
	}
}

int find_user(const char *text, struct user *user)
{
	char words[256], *group = words;
	const char *name;

	memset(user, 0, sizeof(*user));
	copy(words, *text ? text : "0", sizeof(words));
	name = cut(&group, ':');
	if (!find_in_passwd(name, user) && !number(name, &user->uid))
		return -ENOENT;
	if (!*group) {
		find_groups(user);
		return 0;
	}
	if (!find_group(cut(&group, ','), &user->gid))
		return -ENOENT;
	while (*group && user->group_count < USER_GROUPS)
		if (!find_group(cut(&group, ','), &user->groups[user->group_count++]))
			return -ENOENT;
	return 0;
}
