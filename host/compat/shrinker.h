/* SPDX-License-Identifier: GPL-2.0 */
/* Since 6.7 a shrinker is allocated by the kernel. */
#ifndef _LG_COMPAT_SHRINKER_H
#define _LG_COMPAT_SHRINKER_H

#include <linux/shrinker.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)

#define LG_DEFINE_SHRINKER(name, count, scan)				\
static struct shrinker *name;						\
static int name##_register(void)					\
{									\
	name = shrinker_alloc(0, "lguest");				\
	if (!name)							\
		return -ENOMEM;						\
	name->count_objects = (count);					\
	name->scan_objects = (scan);					\
	shrinker_register(name);					\
	return 0;							\
}									\
static void name##_unregister(void)					\
{									\
	shrinker_free(name);						\
}

#else

#define LG_DEFINE_SHRINKER(name, count, scan)				\
static struct shrinker name = {						\
	.count_objects = (count),					\
	.scan_objects = (scan),						\
	.seeks = DEFAULT_SEEKS,						\
};									\
static int name##_register(void)					\
{									\
	return register_shrinker(&name, "lguest");			\
}									\
static void name##_unregister(void)					\
{									\
	unregister_shrinker(&name);					\
}

#endif
#endif
