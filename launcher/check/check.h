/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LGUEST_CHECK_H
#define LGUEST_CHECK_H

#include <jansson.h>

#include "facts.h"

/* All rows of `lguest check --deep`; counts[] has one for each verdict. */
json_t *check_deep(const struct machine *m, unsigned int *counts);

#endif /* LGUEST_CHECK_H */
