/* SPDX-License-Identifier: GPL-2.0 */
/* What the self-test's two files share: selftest.c, and selftest_tables.c for stage 1. */
#ifndef _LG_SELFTEST_H
#define _LG_SELFTEST_H

#include <linux/types.h>

/* The sentence, into the log; -EIO. */
__printf(1, 2) int selftest_failed(const char *fmt, ...);
/* The step that comes next. */
void selftest_say(int stage, const char *step);

int selftest_stage_1(bool is_first);
u64 selftest_lstar(void);

#endif /* _LG_SELFTEST_H */
