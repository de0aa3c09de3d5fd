/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Callbacks of the host's sleep take an argument since some release of each stable series
 * (6.12.114; 6.18.52): so Kbuild asks the header, not the version.
 */
#ifndef _LG_COMPAT_SYSCORE_H
#define _LG_COMPAT_SYSCORE_H

#include <linux/syscore_ops.h>

/* Defines @name, for register_syscore(): @fn() is called when the host goes to sleep. */
#ifdef LG_HAVE_SYSCORE
#define LG_DEFINE_SYSCORE(name, fn)					\
	static int name##_suspend(void *unused) { return fn(); }	\
	static const struct syscore_ops name##_ops = {			\
		.suspend = name##_suspend,				\
	};								\
	static struct syscore name = { .ops = &name##_ops }
#else
#define LG_DEFINE_SYSCORE(name, fn)					\
	static struct syscore_ops name = { .suspend = (fn) }
#define register_syscore	register_syscore_ops
#define unregister_syscore	unregister_syscore_ops
#endif

#endif
