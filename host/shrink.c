// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow tables are a cache: when the host needs memory it gets them back, those
 * of guests that sleep, too.  shadow_memory.c has the tables of one guest.
 * Read next: syscall_msrs.c.
 */
#include <linux/list.h>
#include <linux/mutex.h>
#include "lg.h"
#include "compat/shrinker.h"

/*
 * All guests.  Nothing is allocated under the lock, so that it may be waited for
 * where memory is short.  So it must be: who goes away with nothing, because another
 * task is at it, soon calls the OOM killer.
 */
static LIST_HEAD(guests);
static DEFINE_MUTEX(guests_lock);

static unsigned long count_tables(struct shrinker *shrinker,
				  struct shrink_control *sc)
{
	struct lguest *lg;
	unsigned long n = 0;

	mutex_lock(&guests_lock);
	list_for_each_entry(lg, &guests, all_guests)
		n += READ_ONCE(lg->nr_tables);
	mutex_unlock(&guests_lock);
	return n ?: SHRINK_EMPTY;
}

static unsigned long free_tables(struct shrinker *shrinker,
				 struct shrink_control *sc)
{
	unsigned long freed = 0;
	struct lguest *lg;

	mutex_lock(&guests_lock);
	list_for_each_entry(lg, &guests, all_guests) {
		if (freed >= sc->nr_to_scan)
			break;
		freed += shrink_shadow(lg, sc->nr_to_scan - freed);
	}
	/* Another one is the first to give next time. */
	list_rotate_left(&guests);
	mutex_unlock(&guests_lock);
	return freed;
}

LG_DEFINE_SHRINKER(table_shrinker, count_tables, free_tables);

int init_shrinker(void)
{
	return table_shrinker_register();
}

void free_shrinker(void)
{
	table_shrinker_unregister();
}

void add_to_shrinker(struct lguest *lg)
{
	mutex_lock(&guests_lock);
	list_add(&lg->all_guests, &guests);
	mutex_unlock(&guests_lock);
}

/* When it returns, nobody is at this guest's tables. */
void remove_from_shrinker(struct lguest *lg)
{
	mutex_lock(&guests_lock);
	list_del(&lg->all_guests);
	mutex_unlock(&guests_lock);
}
