/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arguments of system calls that a filter can judge.  It sees an argument's address,
 * not what lies there: so these lie in memory that is read-only for good, and their
 * addresses are what filter.c allows.  The server of a share has no other name for a
 * file than one within a folder, and no other way to come by one.
 */
#ifndef LGUEST_FIXED_H
#define LGUEST_FIXED_H

#include <linux/openat2.h>

/* "", for the calls that take it to mean the descriptor itself. */
extern const char fixed_empty[];
/* This descriptor's name in /proc/self/fd. */
#define FIXED_HELD	200
extern const char fixed_held[];
/* O_PATH, beneath a folder. */
extern const struct open_how fixed_look;

#endif /* LGUEST_FIXED_H */
