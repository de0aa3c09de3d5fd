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
 */
#include <linux/mm.h>
#include <asm/pgtable.h>
#include "lg.h"
#include "page_tables.h"

/**
 * entry_stale() - may a shadow entry be wrong?
 * @then: the guest's entry that it was made from
 * @now: the guest's entry as it is
 *
 * Accessed or dirty bits that the guest cleared count: it wants to see them
 * set again.  Bits that appear, and the software's own, do not.
 */
bool entry_stale(u64 then, u64 now)
{
	u64 exact = FRAME | _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_PSE |
		    _PAGE_NX;

	return ((then ^ now) & exact) ||
	       (then & ~now & (_PAGE_ACCESSED | _PAGE_DIRTY));
}

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

static void forget_need(struct lg_cpu *cpu)
{
	cpu->need.page = 0;
	cpu->need.write = false;
}

static bool read_table(struct lg_cpu *cpu, u64 *to, u64 pfn, size_t bytes)
{
	if (pfn < cpu->lg->pfn_limit &&
	    lgread_atomic(cpu, to, GPA(pfn << PAGE_SHIFT), bytes))
		return true;
	forget_need(cpu);
	return false;
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
 * @pfn: the guest's table that @t shadows.  Pieces of a large page (split) have
 * no guest table: the entry above them has been compared.
 */
static void sync_table(struct lg_cpu *cpu, struct shadow_table *t, u64 pfn)
{
	u64 *guest = cpu->lg->buffer + 512 * t->level;
	bool readable;
	unsigned int i;

	if (t->split)
		return;
	readable = read_table(cpu, guest, pfn, PAGE_SIZE);
	for (i = 0; i < 512; i++) {
		if (!t->entries[i])
			continue;
		if (!readable)
			drop_counted(cpu, t, i);
		else if (entry_stale(t->guest[i], guest[i]))
			correct(cpu, t, i, guest[i]);
		else if (leads_to_table(t, t->entries[i]))
			sync_table(cpu, table_of(t->entries[i]),
				   (guest[i] & FRAME) >> PAGE_SHIFT);
	}
}

static void sync_top(struct lg_cpu *cpu, struct lg_root *root, unsigned int i,
		     u64 guest)
{
	u64 entry = top_entry(cpu->lg, root, i);

	if (!entry)
		return;
	if (entry_stale(*top_guest(cpu->lg, root, i), guest)) {
		drop_top(cpu->lg, root, i);
		count(cpu, LG_COUNT_DROPS);
	} else {
		sync_table(cpu, table_of(entry), (guest & FRAME) >> PAGE_SHIFT);
	}
}

/* Entries @first to @end of the top level. */
static void sync_range(struct lg_cpu *cpu, struct lg_root *root,
		       unsigned int first, unsigned int end)
{
	u64 *guest = cpu->lg->buffer;
	bool readable;
	unsigned int i;

	if (root->linear)
		return;
	readable = read_table(cpu, guest, root->pfn, PAGE_SIZE);
	for (i = first; i < end; i++)
		sync_top(cpu, root, i, readable ? guest[i] : 0);
}

/* The part of an address space that is its own. */
void sync_lower_half(struct lg_cpu *cpu, struct lg_root *root)
{
	sync_range(cpu, root, 0, 256);
	root->stale = false;
}

/**
 * flush_one() - FLUSH_TLB(ONE): one page, in this address space or the kernel
 * @cpu: the vCPU
 * @address: any 64-bit value
 */
void flush_one(struct lg_cpu *cpu, u64 address)
{
	struct lguest *lg = cpu->lg;
	struct lg_root *root = cpu->root;
	unsigned int i = (address >> 39) & 511;
	struct shadow_table *t;
	u64 pfn, guest;
	bool readable;

	spin_lock(&lg->lock);
	if (root->linear || !top_entry(lg, root, i))
		goto out;
	readable = read_table(cpu, lg->buffer, root->pfn, PAGE_SIZE);
	guest = readable ? lg->buffer[i] : 0;
	if (entry_stale(*top_guest(lg, root, i), guest)) {
		drop_top(lg, root, i);
		goto out;
	}
	t = table_of(top_entry(lg, root, i));
	while (!t->split) {
		pfn = (guest & FRAME) >> PAGE_SHIFT;
		i = (address >> (PAGE_SHIFT + 9 * (t->level - 1))) & 511;
		if (!t->entries[i])
			break;
		guest = 0;
		if (pfn < lg->pfn_limit &&
		    !lgread_atomic(cpu, &guest,
				   GPA((pfn << PAGE_SHIFT) + 8 * i), 8))
			forget_need(cpu);
		if (entry_stale(t->guest[i], guest)) {
			correct(cpu, t, i, guest);
			break;
		}
		if (!leads_to_table(t, t->entries[i]))
			break;
		t = table_of(t->entries[i]);
	}
out:
	spin_unlock(&lg->lock);
}

/* FLUSH_TLB(USER). */
void flush_user(struct lg_cpu *cpu)
{
	spin_lock(&cpu->lg->lock);
	sync_lower_half(cpu, cpu->root);
	spin_unlock(&cpu->lg->lock);
}

/* FLUSH_TLB(ALL): other address spaces when they are next loaded. */
void flush_everything(struct lg_cpu *cpu)
{
	struct lguest *lg = cpu->lg;
	unsigned int n;

	spin_lock(&lg->lock);
	for (n = 0; n < LG_ROOTS; n++)
		if (lg->roots[n])
			lg->roots[n]->stale = true;
	forget_spaces(lg);
	sync_lower_half(cpu, cpu->root);
	sync_range(cpu, cpu->root, 256, 512);
	spin_unlock(&lg->lock);
}
