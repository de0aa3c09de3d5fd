/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LGUEST_LINKER_VERSIONS_H
#define _LGUEST_LINKER_VERSIONS_H

#include "util.h"

/* As the file KERNELS says; tests/system/kernels.sh compares. */
#define FIRST_KNOWN	"6.1"
#define LAST_KNOWN	"7.3"

/* Is Linux @release of the file @name one that the layer was written for? */
int version_check(const char *release, const char *name, struct lguest_error *err);

#endif /* _LGUEST_LINKER_VERSIONS_H */
