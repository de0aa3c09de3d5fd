/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Landlock, by which a thread gives up the file system but for some folders, and
 * the network where the kernel can do that.
 */
#ifndef LGUEST_LANDLOCK_H
#define LGUEST_LANDLOCK_H

#include <linux/landlock.h>
#include <stdint.h>

/* What our headers may be too old to know, with the version that brought it. */
#define LANDLOCK_REFER		(1ULL << 13)	/* 2: move between folders */
#define LANDLOCK_TRUNCATE	(1ULL << 14)	/* 3 */
#define LANDLOCK_IOCTL_DEV	(1ULL << 15)	/* 5: of devices opened from now on */
#define LANDLOCK_NET		3ULL		/* 4: bind and connect TCP sockets */
#define LANDLOCK_SCOPE_SOCKETS	(1ULL << 0)	/* 6: abstract Unix sockets of others */
#define LANDLOCK_SCOPE_SIGNALS	(1ULL << 1)	/* 6: signals to others */
#define LANDLOCK_ASK_ERRATA	(1U << 1)	/* a flag: which faults are mended */
#define LANDLOCK_THREADS_FIXED	(1 << 1)	/* threads of a process may signal each other */

/* As the kernel has it since version 6; older ones take the first parts. */
struct landlock_handled {
	uint64_t files, net, scopes;
};

/* What the kernel has; below 1: no Landlock, or switched off. */
int landlock_version(void);

/*
 * The calling thread, and those it starts, may from now on reach by name only
 * what the rules allow; files that are open stay so.  TCP, abstract Unix sockets
 * and signals to others are none of its business any more, where the kernel has
 * rules for that; what it does not know is left out.  0 or -errno; it needs version 1 and no_new_privs.
 */
int landlock_restrict(const struct landlock_path_beneath_attr *rules, unsigned int count);

#endif /* LGUEST_LANDLOCK_H */
