/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LGUEST_CHECK_H
#define LGUEST_CHECK_H

#include <stdbool.h>

bool has_word(const char *line, const char *word);

#endif /* LGUEST_CHECK_H */
