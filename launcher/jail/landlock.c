// SPDX-License-Identifier: GPL-2.0
/*
 * Landlock: an ordinary process may tell the kernel which folders it will need,
 * and has none but those from then on.  Each thread can do so for itself; it
 * takes no privilege, no namespace and no empty folder to be locked into.
 * Read next: console/input.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "landlock.h"

#define FIRST_VERSION	(LANDLOCK_REFER - 1)	/* all accesses of version 1 */

int landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/*
 * Each thread has bounds of its own.  The first kernels with bounds for signals
 * take two threads of one process for strangers then, and ours wake each other up.
 */
static uint64_t known_scopes(int version)
{
	int fixed = version < 6 ? -1 :
		    syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_ASK_ERRATA);

	return version < 6 ? 0 : LANDLOCK_SCOPE_SOCKETS |
	       (fixed > 0 && (fixed & LANDLOCK_THREADS_FIXED) ? LANDLOCK_SCOPE_SIGNALS : 0);
}

/* All that this kernel can refuse. */
static struct landlock_handled known(int version)
{
	return (struct landlock_handled){
		.files = FIRST_VERSION | (version >= 2 ? LANDLOCK_REFER : 0) |
			 (version >= 3 ? LANDLOCK_TRUNCATE : 0) |
			 (version >= 5 ? LANDLOCK_IOCTL_DEV : 0),
		.net = version >= 4 ? LANDLOCK_NET : 0,
		.scopes = known_scopes(version),
	};
}

/* The size tells an older kernel what we speak of. */
static size_t size_for(int version)
{
	return version >= 6 ? sizeof(struct landlock_handled) :
	       version >= 4 ? offsetof(struct landlock_handled, scopes) :
			      offsetof(struct landlock_handled, net);
}

int landlock_restrict(const struct landlock_path_beneath_attr *rules, unsigned int count)
{
	int version = landlock_version();
	const struct landlock_handled all = known(version);
	int set = syscall(SYS_landlock_create_ruleset, &all, size_for(version), 0);
	int error = set < 0 ? -errno : 0;
	unsigned int i;

	for (i = 0; i < count && !error; i++) {
		struct landlock_path_beneath_attr rule = rules[i];

		rule.allowed_access &= all.files;
		if (syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
			error = -errno;
	}
	if (!error && syscall(SYS_landlock_restrict_self, set, 0))
		error = -errno;
	if (set >= 0)
		close(set);
	return error;
}
