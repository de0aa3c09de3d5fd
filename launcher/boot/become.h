/* SPDX-License-Identifier: GPL-2.0 */
/* The user that a command of the guest runs as, and the program that makes it so. */
#ifndef LGUEST_BECOME_H
#define LGUEST_BECOME_H

#include <stddef.h>
#include <stdint.h>

#define BECOME_GROUPS	64

struct become {
	uint32_t uid, gid;
	uint32_t count;		/* of the others */
	uint32_t groups[BECOME_GROUPS];
};

#define BECOME_MOST	1024	/* bytes of the program */
size_t become_program(const struct become *who, unsigned char *bytes);

#endif /* LGUEST_BECOME_H */
