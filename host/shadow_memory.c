// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of the shadow tables: where tables come from, how many there may
 * be, and how they go.
 *
 * Tables come from the spares, which are filled where sleeping is allowed.  One
 * that is taken out of the tree goes to lg->limbo with all that hangs below it,
 * in one step however much that is, and from there back to the spares, or to
 * the host, a few at each visit.
 *
 * Why nobody uses a table when it is freed:
 *  - C code finds tables from the top, under lg->lock, and keeps no pointer to
 *    one where it gives the lock up.  Nothing leads to one in limbo.
 *  - A CPU that runs the guest may be on its way through the tree, and keeps
 *    upper entries for later.  So each table has a stamp: lg->shrinks after it
 *    was taken out.  It is freed when every vCPU is out of the guest, or has
 *    entered it with that count in view, and so with what it kept thrown away
 *    (prepare_tlb()).  The pieces below get the stamp of the top: they hung
 *    there until then.
 *  - The notifier may meet a table that hangs below one in limbo, and drop its
 *    leaves: that does no harm.  Those in limbo themselves it does not see, nor
 *    does it have to: it interrupts every vCPU that has not passed the count.
 *    A table knows its root until it is freed, so the root stays as long.
 *
 * Read next: page_walk.c.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmstat.h>
#include "lg.h"
#include "page_tables.h"
#include "compat/reclaim.h"

/* For each vCPU those of a fill more, so that none takes another's. */
#define SPARES_WANTED(lg) (5 + 3 * READ_ONCE((lg)->nr_cpus))
#define SPARES_KEPT(lg)	(13 + 3 * READ_ONCE((lg)->nr_cpus))

/*
 * How many tables a guest may have: any guest some, for processes that are
 * small and many, and four for each 2 MiB that it has really there.  What its
 * launcher says that it has is no measure, nor is what it maps twice.
 */
#define TABLES_FOR_ALL	2048UL
#define PAGES_PER_TABLE	128

/* A table has two pages; of a root each has as many as this. */
#define TABLES_PER_ROOT	(pgtable_l5_enabled() ? 4 : 2)

/* Fewer than a visit can make must not be freed in it: see make_room(). */
#define LIMBO_PER_VISIT	16
#define PRUNED_AT_ONCE	64

/* Pages that show in /proc/meminfo as SecPageTables, and are charged. */
u64 *new_table_page(void)
{
	u64 *page = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

	if (page)
		mod_lruvec_page_state(virt_to_page(page), NR_SECONDARY_PAGETABLE, 1);
	return page;
}

/*
 * Who reclaims memory counts what comes back, and without that calls the OOM killer;
 * of shrinkers it sees the slabs only.
 */
void free_table_page(u64 *page)
{
	if (!page)
		return;
	lg_account_reclaimed(1);
	mod_lruvec_page_state(virt_to_page(page), NR_SECONDARY_PAGETABLE, -1);
	free_page((unsigned long)page);
}

static void free_one(struct shadow_table *t)
{
	if (!t)
		return;
	if (t->entries)
		set_page_private(virt_to_page(t->entries), 0);
	free_table_page(t->entries);
	free_table_page(t->guest);
	kfree(t);
}

static struct shadow_table *make_one(void)
{
	struct shadow_table *t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);

	if (!t)
		return NULL;
	t->entries = new_table_page();
	t->guest = new_table_page();
	if (!t->entries || !t->guest) {
		free_one(t);
		return NULL;
	}
	set_page_private(virt_to_page(t->entries), (unsigned long)t);
	return t;
}

/* Return: 0 or -ENOMEM.  May sleep. */
int refill_spare_tables(struct lguest *lg)
{
	struct shadow_table *t;

	while (READ_ONCE(lg->nr_spares) < SPARES_WANTED(lg)) {
		t = make_one();
		if (!t)
			return -ENOMEM;
		spin_lock(&lg->lock);
		list_add(&t->list, &lg->spares);
		lg->nr_spares++;
		spin_unlock(&lg->lock);
	}
	return 0;
}

void free_spare_tables(struct lguest *lg)
{
	struct shadow_table *t, *next;

	list_for_each_entry_safe(t, next, &lg->spares, list)
		free_one(t);
}

struct shadow_table *take_spare(struct lg_cpu *cpu, struct lg_root *root,
				int level)
{
	struct lguest *lg = cpu->lg;
	struct shadow_table *t;

	t = list_first_entry(&lg->spares, struct shadow_table, list);
	list_move(&t->list, &lg->tables);
	lg->nr_spares--;
	lg->nr_tables++;
	if (root)
		root->nr_tables++;
	t->root = root;
	t->level = level;
	t->split = false;
	memset(t->regions, 0, sizeof(t->regions));
	count(cpu, LG_COUNT_TABLES);
	return t;
}

/* A spare one is empty. */
static void give_spare(struct lguest *lg, struct shadow_table *t)
{
	struct lg_root *root = t->root;

	lg->nr_tables--;
	if (root && !--root->nr_tables && root->dead)
		retire_root(lg, root);
	if (lg->nr_spares < SPARES_KEPT(lg)) {
		list_move(&t->list, &lg->spares);
		lg->nr_spares++;
		return;
	}
	list_del(&t->list);
	free_one(t);
}

/* Nothing leads to @t any more, and shrunk() has been told. */
void send_to_limbo(struct lguest *lg, struct shadow_table *t)
{
	t->stamp = lg->shrinks;
	list_move_tail(&t->list, &lg->limbo);
}

/* To the front: what hangs there is as old as what it hung from. */
static void unlink_children(struct lguest *lg, struct shadow_table *t)
{
	struct shadow_table *child;
	unsigned int i;

	for (i = 0; i < 512; i++) {
		if (leads_to_table(t, t->entries[i])) {
			child = table_of(t->entries[i]);
			child->stamp = t->stamp;
			list_move(&child->list, &lg->limbo);
		}
		t->entries[i] = 0;
	}
}

/**
 * empty_limbo() - free tables that were taken out
 * @lg: the guest; lg->lock is held
 * @most: no more than so many
 *
 * Return: how many it were.
 */
unsigned long empty_limbo(struct lguest *lg, unsigned long most)
{
	struct shadow_table *t;
	unsigned long n;

	for (n = 0; n < most && !list_empty(&lg->limbo); n++) {
		t = list_first_entry(&lg->limbo, struct shadow_table, list);
		if (!passed(lg, t->stamp))
			break;
		unlink_children(lg, t);
		give_spare(lg, t);
	}
	return n;
}

/*
 * Take tables below @t out, from the bottom up, so that each is one and no more.
 * False: @want of them have been, and there may be others.
 */
static bool prune_below(struct lguest *lg, struct shadow_table *t,
			unsigned long *want)
{
	unsigned int i;

	for (i = 0; i < 512; i++) {
		if (!leads_to_table(t, t->entries[i]))
			continue;
		if (!prune_below(lg, table_of(t->entries[i]), want) || !*want)
			return false;
		drop_entry(lg, t, i);
		--*want;
	}
	return true;
}

static void prune_half(struct lguest *lg, struct lg_root *root,
		       unsigned int first, unsigned int end, unsigned long *want)
{
	unsigned int i;
	u64 entry;

	for (i = first; i < end && *want; i++) {
		entry = top_entry(lg, root, i);
		if (!entry || !prune_below(lg, table_of(entry), want) || !*want)
			continue;
		drop_top(lg, root, i);
		--*want;
	}
}

/* The least recently used root that is not among @done, or NULL. */
static struct lg_root *oldest_root(struct lguest *lg, const unsigned long *done)
{
	struct lg_root *root, *oldest = NULL;
	unsigned int n;

	for (n = 0; n < nr_roots(lg); n++) {
		root = lg->roots[n];
		if (root && !test_bit(n, done) &&
		    (!oldest || root->last_use < oldest->last_use))
			oldest = root;
	}
	return oldest;
}

/* Take tables out: of processes that did not run for long, the kernel's last. */
static void prune(struct lguest *lg, unsigned long want)
{
	DECLARE_BITMAP(done, LG_ROOTS) = {};
	struct lg_root *root;

	while (want && (root = oldest_root(lg, done))) {
		__set_bit(root->index, done);
		prune_half(lg, root, 0, LOWER_HALF, &want);
	}
	prune_half(lg, NULL, LOWER_HALF, 512, &want);
}

/* Roots that are dead, too: one table in limbo is enough to keep one. */
static bool too_many(struct lguest *lg)
{
	u64 there, nr = lg->nr_tables + lg->dead_roots * TABLES_PER_ROOT;

	if (nr > lg->max_tables)
		return true;
	if (nr <= TABLES_FOR_ALL)
		return false;
	there = min(get_mm_rss(lg->mm), totalram_pages());
	return nr > TABLES_FOR_ALL + there / PAGES_PER_TABLE;
}

/* As many as there may be if all that the launcher promised is there. */
void init_shadow_memory(struct lguest *lg)
{
	INIT_LIST_HEAD(&lg->tables);
	INIT_LIST_HEAD(&lg->limbo);
	INIT_LIST_HEAD(&lg->spares);
	lg->max_tables = TABLES_FOR_ALL + lg->pfn_limit / PAGES_PER_TABLE;
}

static bool limbo_waits(struct lguest *lg)
{
	struct shadow_table *t;

	if (list_empty(&lg->limbo))
		return false;
	t = list_first_entry(&lg->limbo, struct shadow_table, list);
	return !passed(lg, t->stamp);
}

/**
 * make_room() - before a fill: see that there are not too many tables
 * @lg: the guest; lg->lock is held
 *
 * Each visit frees more than it can make, so there are never more than the limit
 * and those of a single fill; and a visit is never long.
 *
 * Return: false if there are, and they cannot come back while vCPUs are in the guest
 * that may still walk through them.
 */
bool make_room(struct lguest *lg)
{
	empty_limbo(lg, LIMBO_PER_VISIT);
	if (!too_many(lg))
		return true;
	if (list_empty(&lg->limbo)) {
		prune(lg, PRUNED_AT_ONCE);
		empty_limbo(lg, LIMBO_PER_VISIT);
	}
	return !too_many(lg) || !limbo_waits(lg);
}

/**
 * shrink_shadow() - the host needs memory
 * @lg: the guest
 * @most: tables to free, no more
 *
 * In any process, while the guest may run.  Return: how many were freed.
 */
unsigned long shrink_shadow(struct lguest *lg, unsigned long most)
{
	unsigned long freed;
	u64 stamp;

	spin_lock(&lg->lock);
	freed = empty_limbo(lg, most);
	if (list_empty(&lg->limbo))
		prune(lg, most - freed);
	stamp = lg->shrinks;
	spin_unlock(&lg->lock);
	chase(lg, LG_ALL_VCPUS, stamp);
	spin_lock(&lg->lock);
	freed += empty_limbo(lg, most - freed);
	spin_unlock(&lg->lock);
	return freed;
}
