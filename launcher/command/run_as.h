/* SPDX-License-Identifier: GPL-2.0 */
/* How COMMAND runs: as whom, where, with what in its environment. */
#ifndef LGUEST_RUN_AS_H
#define LGUEST_RUN_AS_H

#include <stdbool.h>

#include "boot/become.h"

struct text_list;

struct run_as {
	struct become who;
	char *name, *home;	/* or NULL: not known */
};

/* "USER", "USER:GROUP", names or numbers of this root's /etc (NULL: our own initramfs). */
bool run_as_read(const char *root, const char *text, struct run_as *as);
/* "K=V", or "K" for our own value, if we have one.  False after a message. */
bool run_env_check(const struct text_list *variables);
/* All of them as "K=V", the user's first, so that --env wins; NULL: no memory. */
char **run_env(const struct text_list *variables, const struct run_as *as);

#endif /* LGUEST_RUN_AS_H */
