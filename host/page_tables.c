// SPDX-License-Identifier: GPL-2.0
/*
 * The fill: a page fault of the guest becomes a shadow entry, a fault that the
 * guest itself has to see, or an access to device memory.  The structure is
 * that of shadow_tables.c; how entries go away again is in page_sync.c.
 * Read next: page_sync.c.
 */
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <asm/pgtable.h>
#include "lg.h"
#include "page_tables.h"

/* Spare tables that one fill can need at the most: L3, L2 and L1. */
#define SPARES_NEEDED	3

/*
 * The guest writes to it past the launcher's own entry, in which the CPU then sets no
 * dirty bit.  So that what it writes is not lost when the host takes the page away, the
 * page itself is marked.  That of a file is already, or the launcher might not write.
 */
static void mark_dirty(struct page *page)
{
	struct folio *folio = page_folio(page);

	if (!folio_test_dirty(folio) &&
	    (folio_test_anon(folio) || folio_test_swapbacked(folio)))
		folio_set_dirty(folio);
}

/*
 * The host's frame behind a guest frame, or 0.  lg->lock is held and the page is
 * not about to change, so it stays right until the notifier tells us.
 * @write: it must be one that the launcher may write, @dirty: and the guest will.
 */
static u64 host_pfn(struct lg_cpu *cpu, u64 pfn, bool write, bool dirty)
{
	unsigned long address = launcher_address(cpu->lg, GPA(pfn << PAGE_SHIFT));
	struct page *page;
	u64 found;

	if (is_changing(cpu->lg, address, PAGE_SIZE) ||
	    get_user_pages_fast_only(address, 1, write ? FOLL_WRITE : 0,
				     &page) != 1)
		return 0;
	found = page_to_pfn(page);
	if (dirty)
		mark_dirty(page);
	put_page(page);
	return found;
}

/*
 * Does the launcher map this with a 2 MiB page?  Its tables cannot be freed
 * while interrupts are off.
 */
static u64 launcher_pmd(struct mm_struct *mm, unsigned long address)
{
	unsigned long flags;
	u64 value = 0;
	pgd_t *pgd;
	p4d_t *p4d;
	pud_t *pud;

	local_irq_save(flags);
	pgd = pgd_offset(mm, address);
	if (pgd_none(READ_ONCE(*pgd)))
		goto out;
	p4d = p4d_offset(pgd, address);
	if (p4d_none(READ_ONCE(*p4d)))
		goto out;
	pud = pud_offset(p4d, address);
	if (!pud_present(READ_ONCE(*pud)) || (pud_val(*pud) & _PAGE_PSE))
		goto out;
	value = pmd_val(READ_ONCE(*pmd_offset(pud, address)));
out:
	local_irq_restore(flags);
	return value;
}

/*
 * Can the 2 MiB around w->pfn be one shadow entry?  The guest must map them
 * with one entry, and so must the launcher; both aligned alike.
 */
static bool huge_possible(struct lg_cpu *cpu, struct walk *w, bool write)
{
	struct lguest *lg = cpu->lg;
	u64 first = w->pfn & ~511ULL;
	unsigned long address = launcher_address(lg, GPA(first << PAGE_SHIFT));
	u64 want = _PAGE_PRESENT | _PAGE_PSE | _PAGE_USER |
		   (write ? _PAGE_RW : 0);

	if (w->leaf < 2 || first + 512 > lg->pfn_limit ||
	    !IS_ALIGNED(address, PMD_SIZE) ||
	    is_changing(lg, address, PMD_SIZE))
		return false;
	return (launcher_pmd(lg->mm, address) & want) == want;
}

static u64 leaf_entry(struct walk *w, u64 frame, bool writable)
{
	u64 entry = (frame << PAGE_SHIFT) | sme_me_mask | _PAGE_PRESENT |
		    _PAGE_USER | _PAGE_ACCESSED;

	if (writable)
		entry |= _PAGE_RW | _PAGE_DIRTY;
	if (w->nx)
		entry |= _PAGE_NX;
	return entry;
}

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

/*H:625
 * Two sizes of page for one address in a TLB stop some CPUs (a machine check at a
 * fetch).  So where one size was lost, and be it long ago by a flush of the guest, the
 * other comes only when no vCPU has the first any more.  False: cpu->need says so.
 */
static bool may_change_size(struct lg_cpu *cpu, struct shadow_table *t, bool large)
{
	struct lg_lost *lost = lost_of(cpu->lg, t->root);
	u64 stamp = large ? lost->small : lost->large;

	if (settled(cpu->lg, t->root, stamp))
		return true;
	cpu->need.quiet = stamp;
	return false;
}

/*H:630
 * Find, or make, the shadow table of @level on the path to w->address.  An
 * entry on the way that came from a guest entry which is no longer there is
 * dropped with all below it.  NULL: cpu->need says what lacks.
 */
static struct shadow_table *below(struct lg_cpu *cpu, struct walk *w,
				  struct shadow_table *t)
{
	unsigned int i = index_of(w->address, t->level);
	struct shadow_table *child;
	bool leaf = w->leaf >= t->level;
	u64 guest = w->entry[max(w->leaf, t->level)];

	if (t->entries[i] && (!leads_to_table(t, t->entries[i]) ||
			      (!t->split && entry_stale(t->guest[i], guest))))
		drop_entry(cpu->lg, t, i);
	if (!t->split)
		t->guest[i] = guest;
	if (t->entries[i])
		return table_of(t->entries[i]);
	if (t->level == 2 && !may_change_size(cpu, t, false))
		return NULL;
	child = take_spare(cpu, t->root, t->level - 1);
	child->split = leaf;
	WRITE_ONCE(t->entries[i], entry_to(child->entries, TABLE_BITS));
	return child;
}

static struct shadow_table *find_table(struct lg_cpu *cpu, struct walk *w,
				       int level)
{
	struct lguest *lg = cpu->lg;
	struct lg_root *root = cpu->root;
	unsigned int i = index_of(w->address, 4);
	u64 *guest = top_guest(lg, root, i);
	struct shadow_table *t;

	if (top_entry(lg, root, i) && entry_stale(*guest, w->entry[4]))
		drop_top(lg, root, i);
	*guest = w->entry[4];
	if (!top_entry(lg, root, i)) {
		t = take_spare(cpu, i < LOWER_HALF ? root : NULL, 3);
		set_top(lg, root, i, entry_to(t->entries, TABLE_BITS));
	} else {
		t = table_of(top_entry(lg, root, i));
	}
	while (t && t->level > level)
		t = below(cpu, w, t);
	return t;
}

/* False: cpu->need says what lacks; never for one of 4 KiB. */
static bool put_leaf(struct lg_cpu *cpu, struct shadow_table *t, unsigned int i,
		     u64 entry, u64 guest)
{
	u64 old = t->entries[i], more = _PAGE_RW | _PAGE_DIRTY;

	/* To gain the right to write is the one change that takes nothing away. */
	if (old && ((old & ~entry) || (entry & ~(old | more))))
		drop_entry(cpu->lg, t, i);
	if (t->level == 2) {
		if (!may_change_size(cpu, t, true))
			return false;
		lost_of(cpu->lg, t->root)->had_large = true;
	}
	WRITE_ONCE(t->entries[i], entry);
	t->guest[i] = guest;
	note_region(t, (guest & FRAME) >> PAGE_SHIFT);
	count(cpu, LG_COUNT_FILLS);
	return true;
}

/*
 * The shadow entry was right already, and the CPU faulted all the same: a
 * global entry of the host is in the way (see flush_stale in switcher.S).
 */
static void note_spurious(struct lg_cpu *cpu, u64 address)
{
	struct lg_state *state = cpu->state;
	unsigned int i;

	count(cpu, LG_COUNT_SPURIOUS);
	address &= PAGE_MASK;
	cpu->stale_tries = cpu->last_stale == address ? cpu->stale_tries + 1 : 0;
	for (i = LG_NR_STALE - 1; i > 0; i--)
		state->stale[i] = state->stale[i - 1];
	state->stale[0] = address;
	cpu->last_stale = address;
	state->nr_stale = 1;
	state->flush_all = cpu->stale_tries > 2;
}

/*
 * An entry of 4 KiB without a fault: if the guest has the page present and has
 * used it before, and the launcher has it at hand.  @w: address and rights of
 * the path above.
 */
void fill_quietly(struct lg_cpu *cpu, struct walk *w, struct shadow_table *t,
		  unsigned int i, u64 guest)
{
	struct walk n = { .leaf = 1, .nx = w->path_nx || (guest & _PAGE_NX) };
	u64 pfn = (guest & FRAME) >> PAGE_SHIFT, frame;
	bool may_write, writable;

	n.rights = w->path_rights & guest;
	may_write = n.rights & _PAGE_RW;
	writable = may_write && (guest & _PAGE_DIRTY);
	if (!(guest & _PAGE_PRESENT) || !(guest & _PAGE_ACCESSED) ||
	    pfn >= cpu->lg->pfn_limit || (!t->split && reserved_bits(guest, 1)))
		return;
	/* Kernel pages in the lower half have their own rule. */
	if ((s64)w->address >= 0 && !(n.rights & _PAGE_USER))
		return;
	frame = host_pfn(cpu, pfn, may_write, writable);
	if (frame)
		put_leaf(cpu, t, i, leaf_entry(&n, frame, writable), guest);
}

/*H:640
 * Fill around: a fault is dear, a neighbour's entry cheap.  Whatever else of
 * the 16 pages around it the guest has present and has touched before gets its
 * entry too, if the launcher has the page at hand.
 */
#define AROUND 16

static void fill_around(struct lg_cpu *cpu, struct walk *w,
			struct shadow_table *t, unsigned int i)
{
	unsigned int first = i & ~(AROUND - 1), k;
	u64 guest[AROUND];

	if (t->split) {
		for (k = 0; k < AROUND; k++)
			guest[k] = (w->entry[w->leaf] & ~FRAME & ~_PAGE_PSE) |
				   ((w->pfn - i + first + k) << PAGE_SHIFT);
	} else if (!lgread_words(cpu, guest, GPA(w->at[1] & ~(AROUND * 8 - 1ULL)),
				 AROUND)) {
		memset(&cpu->need, 0, sizeof(cpu->need));
		return;
	}
	for (k = 0; k < AROUND; k++)
		if (!t->entries[first + k])
			fill_quietly(cpu, w, t, first + k, guest[k]);
}

/*
 * Make the shadow entry for w->address; false: cpu->need says what lacks.
 * @faulted: the CPU did, so our entry cannot have been there.
 */
static bool fill(struct lg_cpu *cpu, struct walk *w, bool faulted)
{
	bool may_write = w->rights & _PAGE_RW;
	bool writable = may_write && (w->entry[w->leaf] & _PAGE_DIRTY);
	u64 guest = w->entry[w->leaf], frame, entry;
	u64 pfn = w->pfn;
	struct shadow_table *t;
	unsigned int i;
	int level = 1;

	frame = host_pfn(cpu, pfn, may_write, writable);
	if (!frame) {
		cpu->need.page = launcher_address(cpu->lg,
						  GPA(pfn << PAGE_SHIFT));
		cpu->need.write = may_write;
		cpu->need.wait = is_changing(cpu->lg, cpu->need.page, PAGE_SIZE);
		return false;
	}
	if (huge_possible(cpu, w, may_write)) {
		level = 2;
		frame &= ~511ULL;
		pfn &= ~511ULL;
	}
	t = find_table(cpu, w, level);
	if (!t)
		return false;
	i = index_of(w->address, level);
	entry = leaf_entry(w, frame, writable) | (level == 2 ? _PAGE_PSE : 0);
	if (faulted && t->entries[i] == entry)
		note_spurious(cpu, w->address);
	if (w->leaf > level)	/* a piece: its own frame, for the notifier */
		guest = (guest & ~FRAME) | (pfn << PAGE_SHIFT);
	if (!put_leaf(cpu, t, i, entry, guest))
		return false;
	if (level == 1)
		fill_around(cpu, w, t, i);
	return true;
}

/* A page that is not RAM, or is no page at all. */
static enum lg_next not_ram(struct lg_cpu *cpu, struct walk *w, u32 error)
{
	u64 gpa = (w->pfn << PAGE_SHIFT) | (w->address & ~PAGE_MASK);

	if (access_device(cpu, gpa, error))
		return LG_RUN;
	return exit_to_device(cpu, gpa, error);
}

/* The guest's own page fault; why is what the error code has besides. */
static void give_fault(struct lg_cpu *cpu, u64 address, u32 error, u32 why)
{
	u32 code = (error & (X86_PF_WRITE | X86_PF_INSTR)) | why |
		   (cpu->user ? X86_PF_USER : 0);

	if (cpu->shared)
		cpu->shared->cr2 = address;
	count(cpu, LG_COUNT_GUEST_FAULTS);
	deliver_trap(cpu, X86_TRAP_PF, code);
}

/* LG_LEAVE: it is device memory. */
static enum lg_next demand_page_locked(struct lg_cpu *cpu, struct walk *w,
				       u32 error, bool only_try)
{
	struct lguest *lg = cpu->lg;
	struct lg_root *root = cpu->root;
	enum walk_result found;
	u32 why;
	int did;

	found = walk_guest(cpu, w);
	if (found == WALK_STOP)
		return READ_ONCE(lg->dead) ? LG_RUN : LG_RETRY;
	why = found == WALK_ABSENT ? 0 :
	      found == WALK_RESERVED ? X86_PF_PROT | X86_PF_RSVD :
				       violation(cpu, w, error);
	if (found != WALK_FOUND || why) {
		if (!only_try)
			give_fault(cpu, w->address, error, why);
		return LG_RUN;
	}
	if (only_try && w->pfn >= lg->pfn_limit)
		return LG_RUN;
	if (w->pfn >= lg->pfn_limit) {
		if (!cpu->root->linear || w->pfn < lg->device_limit)
			return LG_LEAVE;
		kill_guest(cpu, "nothing at %#llx", w->address);
		return LG_RUN;
	}
	did = set_accessed_dirty(cpu, w, error & X86_PF_WRITE);
	if (did == 0)
		return LG_RUN;		/* changed meanwhile: let it fault again */
	if (did < 0)
		return LG_RETRY;
	if ((s64)w->address >= 0 && !(w->rights & _PAGE_USER)) {
		make_kernel_only(lg, root);
		/* Guest user elsewhere may still come to its tables. */
		if (!settled(lg, root, root->hidden)) {
			cpu->need.quiet = root->hidden;
			return LG_RETRY;
		}
	} else if (cpu->user && root->kernel_only) {
		drop_lower_half(lg, root);
	}
	return fill(cpu, w, !only_try) ? LG_RUN : LG_RETRY;
}

static bool has_entry(struct lg_cpu *cpu, u64 address)
{
	u64 entry = top_entry(cpu->lg, cpu->root, index_of(address, 4));
	struct shadow_table *t;

	while (entry) {
		t = table_of(entry);
		entry = t->entries[index_of(address, t->level)];
		if (!leads_to_table(t, entry))
			break;
	}
	return entry;
}

/*
 * Guest user has denied itself a protection key.  The guest's kernel knows of no
 * keys, so this ends as with a kernel that does, by the fault; and as that kernel
 * cannot undo it for a signal's handler or the next process, we do.
 */
static void give_key_fault(struct lg_cpu *cpu, u64 address, u32 error)
{
	cpu->pkru = 0;
	give_fault(cpu, address, error, X86_PF_PROT | X86_PF_PK);
}

/**
 * demand_page() - the guest took a page fault
 * @cpu: the vCPU
 * @address: CR2
 * @error: the real CPU's error code; only write, fetch and key are believed
 * @only_try: it was no fault, but a hint: fill if that is possible
 *
 * Fills the shadow tables if the guest's own allow the access, else the fault
 * is the guest's, or the launcher's if it is device memory.
 */
enum lg_next demand_page(struct lg_cpu *cpu, u64 address, u32 error,
			 bool only_try)
{
	struct lguest *lg = cpu->lg;
	struct walk w = { .address = address };
	unsigned int slot = index_of(address, 4);
	enum lg_next next;

	if (!canonical(address)) {
		if (!only_try)
			deliver_trap(cpu, X86_TRAP_GP, 0);
		return LG_RUN;
	}
	if (slot == SWITCHER_SLOT || slot == ENTRY_AREA_SLOT) {
		if (!only_try)
			give_fault(cpu, address, error, 0);
		return LG_RUN;
	}
	/* Nothing of ours is wrong then, however often it comes. */
	if (!only_try && (error & X86_PF_PK)) {
		/* Its kernel goes on with all keys open: see enter_guest(). */
		if (cpu->user)
			give_key_fault(cpu, address, error);
		return LG_RUN;
	}
	lock_tables(cpu);
	if (lg->nr_spares < SPARES_NEEDED) {
		cpu->need.tables = true;
		next = LG_RETRY;
	} else if (!make_room(lg)) {
		cpu->need.quiet = lg->shrinks;
		next = LG_RETRY;
	} else {
		next = demand_page_locked(cpu, &w, error, only_try);
	}
	spin_unlock(&lg->lock);
	/* This reads the instruction, and takes the lock for it. */
	return next == LG_LEAVE ? not_ram(cpu, &w, error) : next;
}

/**
 * fill_stack() - guest user goes on after a fill, and needs its stack, too
 * @cpu: the vCPU
 *
 * In a new address space that entry lacks as well, and would be the next fault.
 * The page becomes accessed, as by a CPU that works ahead; never dirty.
 */
void fill_stack(struct lg_cpu *cpu)
{
	u64 sp = regs_of(cpu)->sp;
	bool there;

	lock_tables(cpu);
	there = (s64)sp < 0 || has_entry(cpu, sp);
	spin_unlock(&cpu->lg->lock);
	if (there)
		return;
	demand_page(cpu, sp, X86_PF_USER, true);
	/* Whatever it lacked: there was no fault. */
	memset(&cpu->need, 0, sizeof(cpu->need));
}
