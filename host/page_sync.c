// SPDX-License-Identifier: GPL-2.0
/*
 * Bringing the shadow tables up to date, when the guest flushes its TLB.
 *
 * A real flush forgets everything.  We compare each shadow entry with the
 * guest's entry that it came from, and drop what changed: what did not change
 * needs no new fault, and after a flush that is nearly all.
 *
 * Always from the top of the path down: Linux frees a page of page tables
 * after a single flush inside the range that it mapped, so a changed entry at
 * any level takes all that hangs below it.
 * Read next: tlb.c.
 */
#include <linux/mm.h>
#include <asm/pgtable.h>
#include "lg.h"
#include "page_tables.h"

/*
 * Did a leaf only become read-only, or clean, as all pages of a process do when
 * it forks?  Its shadow entry then stays, for reading.
 */
static bool only_write_lost(u64 then, u64 now)
{
	now |= _PAGE_DIRTY;
	return !(now & _PAGE_RW) ? !entry_stale(then & ~_PAGE_RW, now)
				 : !entry_stale(then, now);
}

/*
 * Entries @i and on of a table of the guest.  Not readable counts as empty: what
 * hangs there is dropped then, and the next fill will see to it.
 */
static void read_entries(struct lg_cpu *cpu, u64 *to, u64 pfn, unsigned int i,
			 unsigned int nr)
{
	if (pfn < cpu->lg->pfn_limit &&
	    lgread_words(cpu, to, GPA((pfn << PAGE_SHIFT) + 8 * i), nr))
		return;
	memset(to, 0, 8 * nr);
	cpu->need.page = 0;
	cpu->need.write = false;
}

static void drop_counted(struct lg_cpu *cpu, struct shadow_table *t,
			 unsigned int i)
{
	drop_entry(cpu->lg, t, i);
	count(cpu, LG_COUNT_DROPS);
}

/* The guest's entry has changed: drop ours, or narrow it if that is enough. */
static void correct(struct lg_cpu *cpu, struct shadow_table *t, unsigned int i,
		    u64 now)
{
	if (leads_to_table(t, t->entries[i]) ||
	    !only_write_lost(t->guest[i], now)) {
		drop_counted(cpu, t, i);
		return;
	}
	t->guest[i] = now;
	WRITE_ONCE(t->entries[i], t->entries[i] & ~(_PAGE_RW | _PAGE_DIRTY));
	shrunk(cpu->lg, t->root);
}

/*
 * A table is compared by groups of entries, a cache line each: most of them are
 * empty on our side, and what the guest has there does not matter.
 */
#define GROUP 8

static bool group_is_empty(const u64 *entries)
{
	return !(entries[0] | entries[1] | entries[2] | entries[3] |
		 entries[4] | entries[5] | entries[6] | entries[7]);
}

/*
 * A process may have thousands of tables.  So many are looked at in one go; more
 * only where the lock can be given up between.  Others may do anything to the
 * tables then, so what is kept is not a place in them but the address up to which
 * all is done.  (The unit test takes fewer.)
 */
#ifndef TABLES_AT_ONCE
#define TABLES_AT_ONCE 64
#endif

struct progress {
	u64 address;		/* below it, in 48 bits, all is done */
	unsigned int left;	/* tables until the next rest */
};

static bool sync_table(struct lg_cpu *cpu, struct shadow_table *t, u64 pfn,
		       u64 address, struct progress *p);

static bool sync_entry(struct lg_cpu *cpu, struct shadow_table *t,
		       unsigned int i, u64 guest, u64 address, struct progress *p)
{
	if (!t->entries[i])
		return true;
	if (entry_stale(t->guest[i], guest))
		correct(cpu, t, i, guest);
	else if (leads_to_table(t, t->entries[i]))
		return sync_table(cpu, table_of(t->entries[i]),
				  (guest & FRAME) >> PAGE_SHIFT, address, p);
	return true;
}

/*
 * @pfn: the guest's table that @t shadows, @address: of its first entry.  Pieces
 * of a large page (split) have no guest table: the entry above them has been
 * compared.  False: not done, it is time for a rest.
 */
static bool sync_table(struct lg_cpu *cpu, struct shadow_table *t, u64 pfn,
		       u64 address, struct progress *p)
{
	unsigned int start = p->address > address ?
			     index_of(p->address, t->level) : 0;
	u64 guest[GROUP], size = pages_of(t->level) << PAGE_SHIFT;
	unsigned int i, k;

	if (t->split)
		return true;
	if (!p->left) {
		p->address = max(p->address, address);
		return false;
	}
	p->left--;
	for (i = start & ~(GROUP - 1); i < 512; i += GROUP) {
		if (group_is_empty(t->entries + i))
			continue;
		read_entries(cpu, guest, pfn, i, GROUP);
		for (k = 0; k < GROUP; k++)
			if (i + k >= start &&
			    !sync_entry(cpu, t, i + k, guest[k],
					address + (i + k) * size, p))
				return false;
	}
	return true;
}

static bool sync_top(struct lg_cpu *cpu, struct lg_root *root, unsigned int i,
		     u64 guest, struct progress *p)
{
	u64 entry = top_entry(cpu->lg, root, i);

	if (!entry)
		return true;
	if (!entry_stale(*top_guest(cpu->lg, root, i), guest))
		return sync_table(cpu, table_of(entry),
				  (guest & FRAME) >> PAGE_SHIFT, (u64)i << 39, p);
	drop_top(cpu->lg, root, i);
	count(cpu, LG_COUNT_DROPS);
	return true;
}

/* Half of the top level: @entries are ours, and stand for entries @first on. */
static bool sync_some(struct lg_cpu *cpu, struct lg_root *root,
		      const u64 *entries, unsigned int first, struct progress *p)
{
	unsigned int start = index_of(p->address, 4) - first, i, k;
	u64 guest[GROUP];

	for (i = start & ~(GROUP - 1); i < 256; i += GROUP) {
		if (group_is_empty(entries + i))
			continue;
		read_entries(cpu, guest, root->pfn, first + i, GROUP);
		for (k = 0; k < GROUP; k++)
			if (i + k >= start &&
			    !sync_top(cpu, root, first + i + k, guest[k], p))
				return false;
	}
	return true;
}

static void sync_half(struct lg_cpu *cpu, struct lg_root *root,
		      const u64 *entries, unsigned int first)
{
	struct progress p = { (u64)first << 39, TABLES_AT_ONCE };

	if (root->linear)
		return;
	while (!sync_some(cpu, root, entries, first, &p)) {
		p.left = TABLES_AT_ONCE;
		if (cpu->may_rest)
			cond_resched_lock(&cpu->lg->lock);
	}
}

/* Has @nr tables to be looked at from where that may last? */
bool sync_needs_rest(struct lg_cpu *cpu, unsigned long nr)
{
	return nr > TABLES_AT_ONCE && !cpu->may_rest;
}

/*
 * The part of an address space that is its own.  Who loads it while we rest finds it
 * no longer stale, but not yet done.
 */
void sync_lower_half(struct lg_cpu *cpu, struct lg_root *root)
{
	root->stale = false;
	root->syncs++;
	sync_half(cpu, root, root->low[LG_KERNEL], 0);
	root->syncs--;
}

/*
 * The leaf of one page, after the guest has changed its own.  If that is one to
 * use it is at once ours again: who changes a page's rights is about to use it.
 */
static void renew(struct lg_cpu *cpu, struct shadow_table *t, struct walk *w,
		  u64 guest)
{
	unsigned int i = index_of(w->address, t->level);

	correct(cpu, t, i, guest);
	if (t->level == 1 && !t->entries[i])
		fill_quietly(cpu, w, t, i, guest);
}

static void flush_path(struct lg_cpu *cpu, struct lg_root *root, struct walk *w)
{
	struct lguest *lg = cpu->lg;
	unsigned int i = index_of(w->address, 4);
	u64 then = *top_guest(lg, root, i), guest;
	struct shadow_table *t;

	if (!top_entry(lg, root, i))
		return;
	read_entries(cpu, &guest, root->pfn, i, 1);
	if (entry_stale(then, guest)) {
		drop_top(lg, root, i);
		return;
	}
	t = table_of(top_entry(lg, root, i));
	for (;;) {
		w->path_rights &= guest;
		w->path_nx |= !!(guest & _PAGE_NX);
		i = index_of(w->address, t->level);
		if (t->split || !t->entries[i])
			return;
		read_entries(cpu, &guest, (guest & FRAME) >> PAGE_SHIFT, i, 1);
		if (entry_stale(t->guest[i], guest)) {
			renew(cpu, t, w, guest);
			return;
		}
		if (!leads_to_table(t, t->entries[i]))
			return;
		t = table_of(t->entries[i]);
	}
}

static void flush_address(struct lg_cpu *cpu, struct lg_root *root, u64 address)
{
	struct walk w = {
		.address = address,
		.path_rights = _PAGE_RW | _PAGE_USER,
	};

	if (!root->linear)
		flush_path(cpu, root, &w);
}

/**
 * flush_one() - FLUSH_TLB(ONE): one page, in this address space or the kernel
 * @cpu: the vCPU
 * @address: any 64-bit value
 */
void flush_one(struct lg_cpu *cpu, u64 address)
{
	lock_tables(cpu);
	flush_address(cpu, cpu->root, address);
	spin_unlock(&cpu->lg->lock);
}

/* FLUSH_TLB(USER). */
enum lg_next flush_user(struct lg_cpu *cpu)
{
	if (sync_needs_rest(cpu, READ_ONCE(cpu->root->nr_tables)))
		return LG_RETRY;
	lock_tables(cpu);
	sync_lower_half(cpu, cpu->root);
	spin_unlock(&cpu->lg->lock);
	return LG_RUN;
}

/* FLUSH_TLB(ALL): other address spaces when they are next loaded. */
enum lg_next flush_everything(struct lg_cpu *cpu)
{
	struct lguest *lg = cpu->lg;
	unsigned int n;

	if (sync_needs_rest(cpu, READ_ONCE(lg->nr_tables)))
		return LG_RETRY;
	lock_tables(cpu);
	for (n = 0; n < nr_roots(lg); n++)
		if (lg->roots[n])
			lg->roots[n]->stale = true;
	/* Only ours: it is made on every vCPU that must not load them unseen. */
	forget_spaces(cpu);
	sync_lower_half(cpu, cpu->root);
	sync_half(cpu, cpu->root, lg->kernel_half, LOWER_HALF);
	spin_unlock(&lg->lock);
	return LG_RUN;
}

#define PAGES_AT_ONCE	64

/* Few pages: each by itself.  Many, or who knows which: all of the half. */
static void flush_some(struct lg_cpu *cpu, struct lg_root *root,
		       const struct lg_pages *pages)
{
	u64 address = pages->start, i;

	if (pages->nr > PAGES_AT_ONCE) {
		sync_lower_half(cpu, root);
		return;
	}
	for (i = 0; i < pages->nr && !(address >> 47); i++, address += pages->size)
		flush_address(cpu, root, address);
}

/**
 * flush_multi() - FLUSH_MULTI: pages of one address space, for several vCPUs
 * @cpu: the vCPU that asks
 * @vcpus: those for which it must be done, a bit for each
 * @table: frame of the address space's top level
 * @pages: which, of the lower half
 *
 * The tables are compared once for all.  Only those vCPUs are interrupted that are in
 * the guest since before the space lost something, and have it in their tables of
 * spaces: nobody else's TLB has anything of it that will be used.
 */
enum lg_next flush_multi(struct lg_cpu *cpu, u64 vcpus, u64 table,
			 const struct lg_pages *pages)
{
	struct lguest *lg = cpu->lg;
	struct lg_root *root;
	u64 stamp = 0;

	lock_tables(cpu);
	root = find_root(lg, table);
	if (root && pages->nr > PAGES_AT_ONCE && sync_needs_rest(cpu, root->nr_tables)) {
		spin_unlock(&lg->lock);
		return LG_RETRY;
	}
	if (root) {
		root->pins++;		/* it may rest */
		flush_some(cpu, root, pages);
		stamp = root->shrunk;
		vcpus &= who_names(lg, root);
		unpin_root(lg, root);
	}
	spin_unlock(&lg->lock);
	chase(lg, vcpus, stamp);
	return LG_RUN;
}
