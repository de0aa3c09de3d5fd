// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow tables: what the CPU really walks while a guest runs.
 *
 * The guest edits its own tables with plain stores, and we neither see nor
 * forbid that.  Our tables behave like a TLB: filled on demand (demand_page),
 * and brought up to date when the guest says that entries changed (flush_*,
 * load_root) by comparing.  This file has the tables themselves and the roots:
 * making, finding, dropping.  Read next: shadow_memory.c (where the tables come
 * from and go), page_walk.c (the guest's tables), page_tables.c (the fill),
 * page_sync.c (the comparing).
 *
 * Everything in these five files runs under lg->lock and never sleeps: where a
 * page of the launcher is not present, or memory is needed, it says so in
 * cpu->need and is called again.
 */
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <asm/pgtable.h>
#include "lg.h"
#include "page_tables.h"

/*H:600
 * An x86-64 address names one entry in each of four tables:
 *
 *	 63    48 47  39 38  30 29  21 20  12 11      0
 *	| sign   | L4   | L3   | L2   | L1   | offset  |
 *
 * and an entry (SDM 3A, 4.5.4) looks like this:
 *
 *	 63  62..52 51          12 11..9 8 7  6 5 4   3   2  1 0
 *	|NX| soft  | frame        |soft |G|PS|D|A|PCD|PWT|US|RW|P|
 *
 * PS ends the walk early: a 1 GiB page in L3, a 2 MiB page in L2.
 *
 * A guest address space (lg_root) has two shadow L4 tables, one for each view.
 * What hangs below entries 0-255 is shared by both; entries 256-511 exist in
 * the kernel view only, and what hangs below them is shared by all address
 * spaces of the guest.  Each shadow table belongs to just one path, so the
 * rights of the path are known when a leaf is made, and go into the leaf: the
 * entries above it allow everything.
:*/

/* lg->lock for a vCPU's task.  One lock is enough for as long as few wait for it. */
void lock_tables(struct lg_cpu *cpu) __acquires(&cpu->lg->lock)
{
	u64 began;

	if (likely(spin_trylock(&cpu->lg->lock)))
		return;
	began = ktime_get_ns();
	spin_lock(&cpu->lg->lock);
	count(cpu, LG_COUNT_LOCK_WAITS);
	cpu->counts[LG_COUNT_LOCK_NS] += ktime_get_ns() - began;
}

struct shadow_table *table_of(u64 entry)
{
	struct page *page = pfn_to_page((entry & FRAME & ~sme_me_mask)
					>> PAGE_SHIFT);

	return (struct shadow_table *)page_private(page);
}

u64 entry_to(u64 *table, u64 bits)
{
	return __pa(table) | bits | sme_me_mask;
}

/* A shadow entry with a table below it: L1 has none, L2 unless PS. */
bool leads_to_table(const struct shadow_table *t, u64 entry)
{
	return (entry & _PAGE_PRESENT) && t->level > 1 && !(entry & _PAGE_PSE);
}

static void free_root_memory(struct lg_root *root)
{
	int view;

	if (!root)
		return;
	for (view = 0; view < 2; view++) {
		if (root->low[view] != root->pml4[view])
			free_table_page(root->low[view]);
		free_table_page(root->pml4[view]);
		free_table_page(root->pml5[view]);
	}
	kfree(root);
}

static bool add_tables(struct lg_root *root, int view)
{
	bool five = pgtable_l5_enabled();

	root->pml4[view] = new_table_page();
	root->low[view] = root->pml4[view];
	if (!five)
		return root->pml4[view];
	root->low[view] = new_table_page();
	root->pml5[view] = new_table_page();
	return root->pml4[view] && root->low[view] && root->pml5[view];
}

static struct lg_root *make_root(void)
{
	struct lg_root *root = kzalloc(sizeof(*root), GFP_KERNEL_ACCOUNT);

	if (root && (!add_tables(root, LG_KERNEL) ||
		     !add_tables(root, LG_USER))) {
		free_root_memory(root);
		return NULL;
	}
	return root;
}

/**
 * refill_spares() - allocate what the next fill may need; may sleep
 * @cpu: the vCPU
 *
 * Return: 0 or -ENOMEM.
 */
int refill_spares(struct lg_cpu *cpu)
{
	struct lguest *lg = cpu->lg;
	struct lg_root *root;

	if (refill_spare_tables(lg))
		return -ENOMEM;
	if (READ_ONCE(lg->spare_root))
		return 0;
	root = make_root();
	if (!root)
		return -ENOMEM;
	spin_lock(&lg->lock);
	swap(root, lg->spare_root);
	spin_unlock(&lg->lock);
	free_root_memory(root);		/* another vCPU was faster */
	return 0;
}

struct lg_lost *lost_of(struct lguest *lg, struct lg_root *root)
{
	return root ? &root->lost : &lg->kernel_lost;
}

/* Of a table above the last, nobody knows what hung below it; but most had no large page. */
static void note_lost(struct lguest *lg, struct lg_root *root, int level, u64 entry)
{
	struct lg_lost *lost = lost_of(lg, root);

	if (level > 2 ? lost->had_large : level == 2 && entry & _PAGE_PSE)
		lost->large = lg->shrinks;
	if (level > 2 || (level == 2 && !(entry & _PAGE_PSE)))
		lost->small = lg->shrinks;
}

/* Drop one shadow entry, with all that hangs below it. */
void drop_entry(struct lguest *lg, struct shadow_table *t, unsigned int i)
{
	u64 entry = t->entries[i];

	WRITE_ONCE(t->entries[i], 0);
	shrunk(lg, t->root);
	note_lost(lg, t->root, t->level, entry);
	if (leads_to_table(t, entry))
		send_to_limbo(lg, table_of(entry));
}

/*
 * Entries of the top level.  They stand in both views (lower half), or in the
 * kernel view of every address space.
 */
u64 top_entry(struct lguest *lg, struct lg_root *root, unsigned int i)
{
	return i < LOWER_HALF ? root->low[LG_KERNEL][i] : lg->kernel_half[i - 256];
}

u64 *top_guest(struct lguest *lg, struct lg_root *root, unsigned int i)
{
	return i < LOWER_HALF ? &root->guest[i] : &lg->kernel_guest[i - 256];
}

/*
 * NX in the kernel view: the guest kernel cannot execute what its user could
 * have written (SMEP).  In an address space that holds kernel pages below, and
 * so has no user view, it may execute those.
 */
static void set_lower(struct lg_root *root, unsigned int i, u64 entry)
{
	bool both = entry && !root->kernel_only;

	WRITE_ONCE(root->low[LG_KERNEL][i], both ? entry | _PAGE_NX : entry);
	WRITE_ONCE(root->low[LG_USER][i], both ? entry : 0);
}

static void set_upper(struct lguest *lg, unsigned int i, u64 entry)
{
	unsigned int n;

	lg->kernel_half[i - 256] = entry;
	for (n = 0; n < nr_roots(lg); n++)
		if (lg->roots[n])
			WRITE_ONCE(lg->roots[n]->pml4[LG_KERNEL][i], entry);
}

void set_top(struct lguest *lg, struct lg_root *root, unsigned int i, u64 entry)
{
	if (i < LOWER_HALF)
		set_lower(root, i, entry);
	else
		set_upper(lg, i, entry);
}

void drop_top(struct lguest *lg, struct lg_root *root, unsigned int i)
{
	u64 entry = top_entry(lg, root, i);

	if (!entry)
		return;
	set_top(lg, root, i, 0);
	root = i < LOWER_HALF ? root : NULL;
	shrunk(lg, root);
	note_lost(lg, root, 4, entry);
	send_to_limbo(lg, table_of(entry));
}

void drop_lower_half(struct lguest *lg, struct lg_root *root)
{
	unsigned int i;

	for (i = 0; i < LOWER_HALF; i++)
		drop_top(lg, root, i);
	root->kernel_only = false;
	root->lost.had_large = false;
}

static void drop_kernel_half(struct lguest *lg)
{
	unsigned int i;

	for (i = LOWER_HALF; i < 512; i++)
		drop_top(lg, NULL, i);
}

void make_kernel_only(struct lguest *lg, struct lg_root *root)
{
	unsigned int i;

	if (root->kernel_only)
		return;
	root->kernel_only = true;
	for (i = 0; i < LOWER_HALF; i++)
		set_lower(root, i, root->low[LG_KERNEL][i] & ~_PAGE_NX);
	shrunk(lg, root);
	root->hidden = lg->shrinks;
}

/* Roots. */

/* No table is left that was below it: now it can go, or be the next one. */
void retire_root(struct lguest *lg, struct lg_root *root)
{
	lg->dead_roots--;
	swap(root, lg->spare_root);
	free_root_memory(root);
}

static void free_root(struct lguest *lg, struct lg_root *root)
{
	drop_lower_half(lg, root);
	lg->roots[root->index] = NULL;
	root->dead = true;
	lg->dead_roots++;
	if (!root->nr_tables)
		retire_root(lg, root);
}

/**
 * unpin_root() - a place in a vCPU's table does not name it any more
 * @lg: the guest; lg->lock is held
 * @root: the address space; it may be gone afterwards
 */
void unpin_root(struct lguest *lg, struct lg_root *root)
{
	if (!--root->pins && root->dropped)
		free_root(lg, root);
}

/*
 * The guest has no use for it.  Other vCPUs may still name it, and one may even have it
 * loaded: to them it is an address space that has nothing.  Who loads it again finds
 * the same one, so there is never a second for the same tables.
 */
static void drop_root(struct lg_cpu *cpu, struct lg_root *root)
{
	drop_lower_half(cpu->lg, root);
	root->dropped = true;
	root->pins++;
	forget_space(cpu, root);
	unpin_root(cpu->lg, root);
}

/* The address space with this top-level table, or NULL. */
struct lg_root *find_root(struct lguest *lg, u64 pfn)
{
	unsigned int n;

	for (n = 0; n < nr_roots(lg); n++)
		if (lg->roots[n] && !lg->roots[n]->linear &&
		    lg->roots[n]->pfn == pfn)
			return lg->roots[n];
	return NULL;
}

/*
 * A free place, or that of the least recently used which no vCPU names.  There is
 * one: see LG_ROOTS.
 */
static unsigned int root_place(struct lguest *lg)
{
	unsigned int n, oldest = 0;
	u64 when = U64_MAX;

	for (n = 0; n < nr_roots(lg); n++) {
		struct lg_root *root = lg->roots[n];

		if (!root)
			return n;
		if (!root->pins && root->last_use < when) {
			when = root->last_use;
			oldest = n;
		}
	}
	free_root(lg, lg->roots[oldest]);
	return oldest;
}

/*
 * The slots that are the host's.  On a 5-level host the two halves have an L4
 * table each: with one for both, each would show up a second time, at addresses
 * that the guest's 48 bits do not have, and the kernel's at positive ones.
 */
static void fill_fixed_slots(struct lguest *lg, struct lg_root *root)
{
	int view;

	for (view = 0; view < 2; view++) {
		u64 *pml4 = root->pml4[view], *pml5 = root->pml5[view];

		pml4[ENTRY_AREA_SLOT] = lg->slot.entry_area;
		if (!pml5) {
			pml4[SWITCHER_SLOT] = lg->slot.entry;
			continue;
		}
		pml5[0] = entry_to(root->low[view], TABLE_BITS);
		pml5[511] = entry_to(pml4, TABLE_BITS);
		pml5[SWITCHER_SLOT] = lg->slot.entry;
	}
}

/* lg->spare_root is there. */
static struct lg_root *new_root(struct lg_cpu *cpu, u64 pfn, bool linear)
{
	struct lguest *lg = cpu->lg;
	unsigned int n = root_place(lg);
	struct lg_root *root = lg->spare_root;

	lg->spare_root = NULL;
	root->pfn = pfn;
	root->linear = linear;
	root->dead = false;
	root->dropped = false;
	root->stale = false;
	root->lost = (struct lg_lost) {};
	root->hidden = 0;
	root->last_use = ++lg->root_clock;
	memcpy(root->pml4[LG_KERNEL] + LOWER_HALF, lg->kernel_half,
	       sizeof(lg->kernel_half));
	fill_fixed_slots(lg, root);
	root->index = n;
	lg->roots[n] = root;
	count(cpu, LG_COUNT_ROOTS);
	return root;
}

static void use_root(struct lg_cpu *cpu, struct lg_root *root)
{
	cpu->root = root;
	root->last_use = ++cpu->lg->root_clock;
}

/* The root for a top-level table, new if there is none; NULL: LG_RETRY. */
static struct lg_root *root_for(struct lg_cpu *cpu, u64 pfn)
{
	struct lg_root *root = find_root(cpu->lg, pfn);

	if (root) {
		root->dropped = false;
		return root;
	}
	if (cpu->lg->spare_root)
		return new_root(cpu, pfn, false);
	cpu->need.tables = true;
	return NULL;
}

static bool directory_ok(struct lg_cpu *cpu, u64 cr3)
{
	if ((cr3 & FRAME) >> PAGE_SHIFT < cpu->lg->pfn_limit)
		return true;
	kill_guest(cpu, "bad page directory %#llx", cr3);
	return false;
}

/**
 * load_root() - LOAD_CR3
 * @cpu: the vCPU
 * @cr3: as the guest gave it
 */
enum lg_next load_root(struct lg_cpu *cpu, u64 cr3)
{
	struct lguest *lg = cpu->lg;
	struct lg_root *root, *old = cpu->root;
	bool sync, linear = old->linear;

	if (!directory_ok(cpu, cr3))
		return LG_RUN;
	lock_tables(cpu);
	root = root_for(cpu, (cr3 & FRAME) >> PAGE_SHIFT);
	sync = root && (!(cr3 & LGUEST_CR3_NOFLUSH) || root->stale || root->syncs);
	if (sync && sync_needs_rest(cpu, root->nr_tables))
		root = NULL;
	if (root) {
		use_root(cpu, root);
		cpu->pkru = 0;		/* it was another process's, perhaps */
		remember_space(cpu, cr3);
		if (linear)
			drop_root(cpu, old);
		/* Last, as it may rest: by then we have named it. */
		if (sync)
			sync_lower_half(cpu, root);
	}
	spin_unlock(&lg->lock);
	return root ? LG_RUN : LG_RETRY;
}

/* NEW_SPACE: nothing that we know of this frame is true any more. */
enum lg_next new_space(struct lg_cpu *cpu, u64 cr3)
{
	struct lguest *lg = cpu->lg;
	struct lg_root *root;

	if (!directory_ok(cpu, cr3))
		return LG_RUN;
	lock_tables(cpu);
	root = root_for(cpu, (cr3 & FRAME) >> PAGE_SHIFT);
	if (root) {
		drop_lower_half(lg, root);
		root->stale = false;
		announce_space(cpu, root, cr3);
	}
	spin_unlock(&lg->lock);
	return root ? LG_RUN : LG_RETRY;
}

/* DROP_SPACE: not the space in use. */
void drop_space(struct lg_cpu *cpu, u64 cr3)
{
	struct lg_root *root;

	lock_tables(cpu);
	root = find_root(cpu->lg, (cr3 & FRAME) >> PAGE_SHIFT);
	if (root && root != cpu->root)
		drop_root(cpu, root);
	spin_unlock(&cpu->lg->lock);
}

/* Drop the leaves for some frames; what the others point to is noted afresh. */
static void zap_in_table(struct lguest *lg, struct shadow_table *t, u64 first,
			 u64 end)
{
	u64 pages = pages_of(t->level), pfn;
	unsigned int i;

	memset(t->regions, 0, sizeof(t->regions));
	for (i = 0; i < 512; i++) {
		if (!t->entries[i] || leads_to_table(t, t->entries[i]))
			continue;
		/* Bit 12 of a large page's entry is PAT, not part of its frame. */
		pfn = ((t->guest[i] & FRAME) >> PAGE_SHIFT) & ~(pages - 1);
		if (pfn < end && first < pfn + pages)
			drop_entry(lg, t, i);
		else
			note_region(t, pfn);
	}
}

/**
 * zap_launcher_range() - drop every shadow leaf for a range of the launcher
 * @lg: the guest
 * @start: launcher address
 * @end: first address after it
 * @may_rest: whether it may sleep meanwhile, without lg->lock
 *
 * Called under lg->lock by the notifier, while no leaf can be made.  A guest of
 * 4 GiB may have ten thousand tables, too many to look at without a rest; what
 * others do then to the list of tables leaves our place in it alone.  Where it may
 * not sleep (the OOM reaper) others at least get the lock now and then.  A host that
 * swaps calls this for each page: tables that cannot map it cost one look.
 */
void zap_launcher_range(struct lguest *lg, unsigned long start,
			unsigned long end, bool may_rest)
{
	unsigned long size = lg->pfn_limit << PAGE_SHIFT;
	struct shadow_table place = {}, *t;	/* it maps nothing */
	unsigned long seen = 0;
	u64 first, last;

	if (end <= lg->base || start >= lg->base + size)
		return;
	first = (max(start, lg->base) - lg->base) >> PAGE_SHIFT;
	last = (min(end, lg->base + size) - lg->base + PAGE_SIZE - 1)
		>> PAGE_SHIFT;
	list_add(&place.list, &lg->tables);
	while (!list_is_last(&place.list, &lg->tables)) {
		t = list_next_entry(&place, list);
		list_move(&place.list, &t->list);
		if (in_regions(t, first, last))
			zap_in_table(lg, t, first, last);
		if (may_rest) {
			cond_resched_lock(&lg->lock);
		} else if (++seen % 64 == 0) {
			spin_unlock(&lg->lock);
			cpu_relax();
			spin_lock(&lg->lock);
		}
	}
	list_del(&place.list);
}

/* A vCPU's first address space: virtual = physical. */
int start_linear(struct lg_cpu *cpu)
{
	struct lguest *lg = cpu->lg;
	bool done;

	do {
		if (refill_spares(cpu))
			return -ENOMEM;
		spin_lock(&lg->lock);
		done = lg->spare_root;	/* or another vCPU was faster */
		if (done) {
			use_root(cpu, new_root(cpu, 0, true));
			remember_space(cpu, 0);
		}
		spin_unlock(&lg->lock);
	} while (!done);
	return 0;
}

/* No vCPU runs, and neither notifier nor shrinker knows the guest. */
void free_shadow(struct lguest *lg)
{
	unsigned int n;

	for (n = 0; n < LG_ROOTS; n++)
		if (lg->roots[n])
			free_root(lg, lg->roots[n]);
	drop_kernel_half(lg);
	while (empty_limbo(lg, 64))
		cond_resched();
	free_spare_tables(lg);
	free_root_memory(lg->spare_root);
}
