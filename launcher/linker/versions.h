/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_VERSIONS_H
#define _LGUEST_LINKER_VERSIONS_H

#include <stdio.h>

#include "util.h"

/* As the file KERNELS says; tests/system/kernels.sh compares. */
#define FIRST_KNOWN	"6.1"
#define LAST_KNOWN	"7.3"
#define TESTED		"6.1, 6.12, 7.2, 7.3"

/* "6.12.117+deb12-amd64" -> 6012, which can be compared; 0 if it is no version. */
static inline unsigned int version_number(const char *release)
{
	unsigned int major, minor;

	if (sscanf(release, "%3u.%3u", &major, &minor) != 2)
		return 0;
	return 1000 * major + minor;
}

/* Is Linux @release of the file @name one that the layer was written for? */
int version_check(const char *release, const char *name, struct lguest_error *err);

#endif /* _LGUEST_LINKER_VERSIONS_H */
