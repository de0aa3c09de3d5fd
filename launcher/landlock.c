// SPDX-License-Identifier: GPL-2.0
/*
 * Landlock: an ordinary process may tell the kernel which folders it will need,
 * and has none but those from then on.  Each thread can do so for itself; it
 * takes no privilege, no namespace and no empty folder to be locked into.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "landlock.h"

#define FIRST_VERSION	(LANDLOCK_REFER - 1)	/* all accesses of version 1 */

int landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static uint64_t known_accesses(void)
{
	int version = landlock_version();

	return FIRST_VERSION | (version >= 2 ? LANDLOCK_REFER : 0) |
	       (version >= 3 ? LANDLOCK_TRUNCATE : 0);
}

int landlock_restrict(const struct landlock_path_beneath_attr *rules, unsigned int count)
{
	struct landlock_ruleset_attr all = { .handled_access_fs = known_accesses() };
	int set = syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	int error = set < 0 ? -errno : 0;
	unsigned int i;

	for (i = 0; i < count && !error; i++) {
		struct landlock_path_beneath_attr rule = rules[i];

		rule.allowed_access &= all.handled_access_fs;
		if (syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
			error = -errno;
	}
	if (!error && syscall(SYS_landlock_restrict_self, set, 0))
		error = -errno;
	if (set >= 0)
		close(set);
	return error;
}
