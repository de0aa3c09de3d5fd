/* SPDX-License-Identifier: GPL-2.0 */
/* Landlock, by which a thread gives up the file system but for some folders. */
#ifndef LGUEST_LANDLOCK_H
#define LGUEST_LANDLOCK_H

#include <linux/landlock.h>

/* Bits that our headers may be too old to know. */
#define LANDLOCK_REFER		(1ULL << 13)	/* of version 2: move between folders */
#define LANDLOCK_TRUNCATE	(1ULL << 14)	/* of version 3 */

/* What the kernel has; below 1: no Landlock, or switched off. */
int landlock_version(void);

/*
 * The calling thread, and those it starts, may from now on reach by name only
 * what the rules allow; files that are open stay so.  Accesses that the kernel
 * does not know are left out.  0 or -errno; it needs version 1 and no_new_privs.
 */
int landlock_restrict(const struct landlock_path_beneath_attr *rules, unsigned int count);

#endif /* LGUEST_LANDLOCK_H */
