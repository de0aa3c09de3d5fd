// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow tables: what the CPU really walks while a guest runs.
 *
 * The guest edits its own tables with plain stores, and we neither see nor
 * forbid that.  Our tables behave like a TLB: filled on demand (demand_page),
 * and brought up to date when the guest says that entries changed (flush_*,
 * load_root) by comparing.  This file has the data structure and the fill;
 * page_sync.c has the comparing.
 *
 * Everything here runs under lg->lock and never sleeps: where a page of the
 * launcher is not present, or memory is needed, it says so in cpu->need and
 * is called again.
 */
#include <linux/mm.h>
#include <linux/mem_encrypt.h>
#include <linux/slab.h>
#include <asm/cpufeature.h>
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
#define LOWER_HALF	256
#define SWITCHER_SLOT	256
#define ENTRY_AREA_SLOT	508

#define TABLE_BITS (_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED)

/* Spare tables that one fill can need at the most: L3, L2 and L1. */
#define SPARES_NEEDED	3
#define SPARES_KEPT	8

static unsigned int index_of(u64 address, int level)
{
	return (address >> (PAGE_SHIFT + 9 * (level - 1))) & 511;
}

static u64 pages_of(int level)
{
	return 1ULL << (9 * (level - 1));
}

struct shadow_table *table_of(u64 entry)
{
	struct page *page = pfn_to_page((entry & FRAME & ~sme_me_mask)
					>> PAGE_SHIFT);

	return (struct shadow_table *)page_private(page);
}

static u64 entry_to(u64 *table, u64 bits)
{
	return __pa(table) | bits | sme_me_mask;
}

/* A shadow entry with a table below it: L1 has none, L2 unless PS. */
bool leads_to_table(const struct shadow_table *t, u64 entry)
{
	return (entry & _PAGE_PRESENT) && t->level > 1 && !(entry & _PAGE_PSE);
}

/* Tables come from a vCPU's spares, which are filled where sleeping is allowed. */

static void free_one(struct shadow_table *t)
{
	if (!t)
		return;
	if (t->entries)
		set_page_private(virt_to_page(t->entries), 0);
	free_page((unsigned long)t->entries);
	free_page((unsigned long)t->guest);
	kfree(t);
}

static struct shadow_table *make_one(void)
{
	struct shadow_table *t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);

	if (!t)
		return NULL;
	t->entries = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	t->guest = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!t->entries || !t->guest) {
		free_one(t);
		return NULL;
	}
	set_page_private(virt_to_page(t->entries), (unsigned long)t);
	return t;
}

static void free_root_memory(struct lg_root *root)
{
	int view;

	if (!root)
		return;
	for (view = 0; view < 2; view++) {
		free_page((unsigned long)root->pml4[view]);
		free_page((unsigned long)root->pml5[view]);
	}
	kfree(root);
}

static struct lg_root *make_root(void)
{
	struct lg_root *root = kzalloc(sizeof(*root), GFP_KERNEL_ACCOUNT);
	bool five = pgtable_l5_enabled();
	int view;

	if (!root)
		return NULL;
	for (view = 0; view < 2; view++) {
		root->pml4[view] = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (five)
			root->pml5[view] =
				(u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!root->pml4[view] || (five && !root->pml5[view])) {
			free_root_memory(root);
			return NULL;
		}
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
	struct shadow_table *t;

	while (cpu->nr_spares < SPARES_KEPT) {
		t = make_one();
		if (!t)
			return -ENOMEM;
		list_add(&t->list, &cpu->spares);
		cpu->nr_spares++;
	}
	if (!cpu->spare_root)
		cpu->spare_root = make_root();
	return cpu->spare_root ? 0 : -ENOMEM;
}

void free_spares(struct lg_cpu *cpu)
{
	struct shadow_table *t, *next;

	list_for_each_entry_safe(t, next, &cpu->spares, list)
		free_one(t);
	INIT_LIST_HEAD(&cpu->spares);
	cpu->nr_spares = 0;
	free_root_memory(cpu->spare_root);
	cpu->spare_root = NULL;
}

static struct shadow_table *take_spare(struct lg_cpu *cpu, int level)
{
	struct shadow_table *t;

	t = list_first_entry(&cpu->spares, struct shadow_table, list);
	list_move(&t->list, &cpu->lg->tables);
	cpu->nr_spares--;
	cpu->lg->nr_tables++;
	t->level = level;
	count(cpu, LG_COUNT_TABLES);
	return t;
}

/* Free a table and all below it.  No CPU is in the guest with it loaded. */
static void free_tree(struct lguest *lg, struct shadow_table *t)
{
	unsigned int i;

	for (i = 0; i < 512; i++)
		if (leads_to_table(t, t->entries[i]))
			free_tree(lg, table_of(t->entries[i]));
	list_del(&t->list);
	lg->nr_tables--;
	free_one(t);
}

/* Drop one shadow entry, with all that hangs below it. */
void drop_entry(struct lguest *lg, struct shadow_table *t, unsigned int i)
{
	u64 entry = t->entries[i];

	WRITE_ONCE(t->entries[i], 0);
	if (leads_to_table(t, entry))
		free_tree(lg, table_of(entry));
}

/*
 * Entries of the top level.  They stand in both views (lower half), or in the
 * kernel view of every address space.
 */
u64 top_entry(struct lguest *lg, struct lg_root *root, unsigned int i)
{
	return i < LOWER_HALF ? root->pml4[LG_KERNEL][i] : lg->kernel_half[i - 256];
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

	WRITE_ONCE(root->pml4[LG_KERNEL][i], both ? entry | _PAGE_NX : entry);
	WRITE_ONCE(root->pml4[LG_USER][i], both ? entry : 0);
}

static void set_upper(struct lguest *lg, unsigned int i, u64 entry)
{
	unsigned int n;

	lg->kernel_half[i - 256] = entry;
	for (n = 0; n < LG_ROOTS; n++)
		if (lg->roots[n])
			WRITE_ONCE(lg->roots[n]->pml4[LG_KERNEL][i], entry);
}

static void set_top(struct lguest *lg, struct lg_root *root, unsigned int i,
		    u64 entry)
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
	free_tree(lg, table_of(entry));
}

void drop_lower_half(struct lguest *lg, struct lg_root *root)
{
	unsigned int i;

	for (i = 0; i < LOWER_HALF; i++)
		drop_top(lg, root, i);
	root->kernel_only = false;
}

static void drop_kernel_half(struct lguest *lg)
{
	unsigned int i;

	for (i = LOWER_HALF; i < 512; i++)
		drop_top(lg, NULL, i);
}

static void drop_all(struct lguest *lg)
{
	unsigned int n;

	for (n = 0; n < LG_ROOTS; n++)
		if (lg->roots[n])
			drop_lower_half(lg, lg->roots[n]);
	drop_kernel_half(lg);
}

static void make_kernel_only(struct lguest *lg, struct lg_root *root)
{
	unsigned int i;

	if (root->kernel_only)
		return;
	root->kernel_only = true;
	for (i = 0; i < LOWER_HALF; i++)
		set_lower(root, i, root->pml4[LG_KERNEL][i] & ~_PAGE_NX);
}

/* Roots. */

static bool in_use(struct lguest *lg, struct lg_root *root)
{
	unsigned int i;

	for (i = 0; i < lg->nr_cpus; i++)
		if (lg->cpus[i].root == root)
			return true;
	return false;
}

static void free_root(struct lguest *lg, unsigned int n)
{
	struct lg_root *root = lg->roots[n];

	drop_lower_half(lg, root);
	lg->roots[n] = NULL;
	free_root_memory(root);
}

static int find_root(struct lguest *lg, u64 pfn)
{
	unsigned int n;

	for (n = 0; n < LG_ROOTS; n++)
		if (lg->roots[n] && !lg->roots[n]->linear &&
		    lg->roots[n]->pfn == pfn)
			return n;
	return -1;
}

/* A free place, or that of the least recently used. */
static unsigned int root_place(struct lguest *lg)
{
	unsigned int n, oldest = 0;
	u64 when = U64_MAX;

	for (n = 0; n < LG_ROOTS; n++) {
		struct lg_root *root = lg->roots[n];

		if (!root)
			return n;
		if (!in_use(lg, root) && root->last_use < when) {
			when = root->last_use;
			oldest = n;
		}
	}
	free_root(lg, oldest);
	return oldest;
}

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
		pml5[0] = entry_to(pml4, TABLE_BITS);
		pml5[511] = pml5[0];
		pml5[SWITCHER_SLOT] = lg->slot.entry;
	}
}

static struct lg_root *new_root(struct lg_cpu *cpu, u64 pfn, bool linear)
{
	struct lguest *lg = cpu->lg;
	unsigned int n = root_place(lg);
	struct lg_root *root = cpu->spare_root;

	cpu->spare_root = NULL;
	root->pfn = pfn;
	root->linear = linear;
	memcpy(root->pml4[LG_KERNEL] + LOWER_HALF, lg->kernel_half,
	       sizeof(lg->kernel_half));
	fill_fixed_slots(lg, root);
	lg->roots[n] = root;
	count(cpu, LG_COUNT_ROOTS);
	return root;
}

static void use_root(struct lg_cpu *cpu, struct lg_root *root)
{
	cpu->root = root;
	root->last_use = ++cpu->lg->root_clock;
}

/**
 * load_root() - LOAD_CR3
 * @cpu: the vCPU
 * @cr3: as the guest gave it
 */
enum lg_next load_root(struct lg_cpu *cpu, u64 cr3)
{
	struct lguest *lg = cpu->lg;
	u64 pfn = (cr3 & FRAME) >> PAGE_SHIFT;
	struct lg_root *root, *old = cpu->root;
	int n;

	if (pfn >= lg->pfn_limit) {
		kill_guest(cpu, "bad page directory %#llx", cr3);
		return LG_RUN;
	}
	spin_lock(&lg->lock);
	n = find_root(lg, pfn);
	if (n < 0 && !cpu->spare_root) {
		spin_unlock(&lg->lock);
		cpu->need.tables = true;
		return LG_RETRY;
	}
	root = n < 0 ? new_root(cpu, pfn, false) : lg->roots[n];
	use_root(cpu, root);
	if (n >= 0 && (!(cr3 & LGUEST_CR3_NOFLUSH) || root->stale))
		sync_lower_half(cpu, root);
	if (old->linear) {
		for (n = 0; lg->roots[n] != old; n++)
			;
		free_root(lg, n);
	}
	spin_unlock(&lg->lock);
	return LG_RUN;
}

/* DROP_SPACE: not the space in use. */
void drop_space(struct lg_cpu *cpu, u64 cr3)
{
	struct lguest *lg = cpu->lg;
	int n;

	spin_lock(&lg->lock);
	n = find_root(lg, (cr3 & FRAME) >> PAGE_SHIFT);
	if (n >= 0 && !in_use(lg, lg->roots[n]))
		free_root(lg, n);
	spin_unlock(&lg->lock);
}

/**
 * guest_cr3() - the CR3 for the vCPU's address space in its present mode
 * @cpu: the vCPU
 *
 * No no-flush bit: each world switch begins with an empty TLB for this PCID.
 * PCIDs from 2056 up are never used by Linux (see docs/MEMORY.md).
 */
u64 guest_cr3(struct lg_cpu *cpu)
{
	int view = cpu->user ? LG_USER : LG_KERNEL;
	struct lg_root *root = cpu->root;
	u64 *top = root->pml5[view] ?: root->pml4[view];
	u64 cr3 = __pa(top) | sme_me_mask;

	if (__read_cr4() & X86_CR4_PCIDE)
		cr3 |= LG_PCID;
	return cr3;
}

/*H:610
 * The walk through the guest's own tables.
 */
static bool bad_frame(struct lg_cpu *cpu, u64 entry, u64 pages)
{
	u64 pfn = (entry & FRAME) >> PAGE_SHIFT;
	struct lguest *lg = cpu->lg;

	if (pfn < lg->device_limit && pages <= lg->device_limit - pfn)
		return false;
	kill_guest(cpu, "bad page table entry %#llx", entry);
	return true;
}

/* Until its first CR3 load, a vCPU sees one big identity mapping. */
static u64 linear_entry(u64 address, int level)
{
	if (level == 4)
		return index_of(address, 4) ? 0 : _KERNPG_TABLE_NOENC;
	return (address & ~(GIB - 1)) | __PAGE_KERNEL_LARGE_EXEC;
}

static bool read_entry(struct lg_cpu *cpu, struct walk *w, int level, u64 pfn)
{
	u64 at = (pfn << PAGE_SHIFT) + 8 * index_of(w->address, level);

	w->at[level] = at;
	if (cpu->root->linear) {
		w->entry[level] = linear_entry(w->address, level);
		return true;
	}
	if (pfn >= cpu->lg->pfn_limit) {
		kill_guest(cpu, "page table at %#llx is not in memory", at);
		return false;
	}
	return lgread_atomic(cpu, &w->entry[level], GPA(at), 8);
}

static u64 reserved_bits(u64 entry, int level)
{
	u64 bits = FRAME & ~((1ULL << boot_cpu_data.x86_phys_bits) - 1);

	if (level == 4)
		bits |= _PAGE_PSE;
	else if (level > 1 && (entry & _PAGE_PSE))
		bits |= ((pages_of(level) << PAGE_SHIFT) - 1) & FRAME &
			~_PAGE_PAT_LARGE;
	return entry & bits;
}

/**
 * walk_guest() - look an address up in the guest's tables
 * @cpu: the vCPU, whose address space it is
 * @w: with the address set; the rest is filled
 *
 * Return: WALK_FOUND, WALK_ABSENT or WALK_RESERVED (faults of the guest), or
 * WALK_STOP: a table is not readable now (cpu->need) or the guest is dead.
 */
enum walk_result walk_guest(struct lg_cpu *cpu, struct walk *w)
{
	u64 pfn = cpu->root->pfn;
	int level;

	w->rights = _PAGE_RW | _PAGE_USER;
	w->nx = false;
	for (level = 4; level >= 1; level--) {
		u64 entry;

		if (!read_entry(cpu, w, level, pfn))
			return WALK_STOP;
		entry = w->entry[level];
		w->leaf = level;
		if (!(entry & _PAGE_PRESENT))
			return WALK_ABSENT;
		if (reserved_bits(entry, level))
			return WALK_RESERVED;
		w->rights &= entry;
		w->nx |= !!(entry & _PAGE_NX);
		if (level == 1 || (level < 4 && (entry & _PAGE_PSE)))
			break;
		pfn = (entry & FRAME) >> PAGE_SHIFT;
	}
	w->leaf_pfn = (w->entry[level] & FRAME & ~((pages_of(level) << 12) - 1))
			>> PAGE_SHIFT;
	w->pfn = w->leaf_pfn + ((w->address >> PAGE_SHIFT) &
				(pages_of(level) - 1));
	if (!cpu->root->linear &&
	    bad_frame(cpu, w->leaf_pfn << PAGE_SHIFT, pages_of(level)))
		return WALK_STOP;
	return WALK_FOUND;
}

/* Accessed in all entries of the path, dirty in the leaf on a write. */
static int set_accessed_dirty(struct lg_cpu *cpu, struct walk *w, bool write)
{
	int level, did;

	if (cpu->root->linear)
		return 1;
	for (level = 4; level >= w->leaf; level--) {
		u64 new = w->entry[level] | _PAGE_ACCESSED;

		if (write && level == w->leaf)
			new |= _PAGE_DIRTY;
		if (new == w->entry[level])
			continue;
		did = lgcmpxchg_atomic(cpu, GPA(w->at[level]),
				       w->entry[level], new);
		if (did <= 0)
			return did;
		w->entry[level] = new;
	}
	return 1;
}

/*H:620
 * Whose fault is it?  Error code bits (SDM 3A, 4.7): the guest gets what a CPU
 * would have said to it in its present mode, not what our tables made the real
 * CPU say.
 */
static u32 violation(struct lg_cpu *cpu, struct walk *w, u32 error)
{
	bool lower = (s64)w->address >= 0;
	bool user_page = w->rights & _PAGE_USER;

	if (cpu->user && !user_page)
		return X86_PF_PROT;
	if ((error & X86_PF_WRITE) && !(w->rights & _PAGE_RW))
		return X86_PF_PROT;
	if ((error & X86_PF_INSTR) &&
	    (w->nx || (!cpu->user && lower && user_page)))
		return X86_PF_PROT;
	return 0;
}

static void give_fault(struct lg_cpu *cpu, u64 address, u32 error, u32 why)
{
	u32 code = (error & (X86_PF_WRITE | X86_PF_INSTR)) | why |
		   (cpu->user ? X86_PF_USER : 0);

	if (cpu->shared)
		cpu->shared->cr2 = address;
	count(cpu, LG_COUNT_GUEST_FAULTS);
	deliver_trap(cpu, X86_TRAP_PF, code);
}

/*
 * The host's frame behind a guest frame, or 0.  lg->lock is held and nothing
 * is being invalidated, so it stays right until the notifier tells us.
 */
static u64 host_pfn(struct lg_cpu *cpu, u64 pfn, bool write)
{
	unsigned long address = launcher_address(cpu->lg, GPA(pfn << PAGE_SHIFT));
	struct page *page;
	u64 found;

	if (get_user_pages_fast_only(address, 1, write ? FOLL_WRITE : 0,
				     &page) != 1)
		return 0;
	found = page_to_pfn(page);
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
	    !IS_ALIGNED(address, PMD_SIZE))
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

/*H:630
 * Find, or make, the shadow table of @level on the path to w->address.  An
 * entry on the way that came from a guest entry which is no longer there is
 * dropped with all below it.
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
	child = take_spare(cpu, t->level - 1);
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
		t = take_spare(cpu, 3);
		set_top(lg, root, i, entry_to(t->entries, TABLE_BITS));
	} else {
		t = table_of(top_entry(lg, root, i));
	}
	while (t->level > level)
		t = below(cpu, w, t);
	return t;
}

static void put_leaf(struct lg_cpu *cpu, struct shadow_table *t, unsigned int i,
		     u64 entry, u64 guest)
{
	if (leads_to_table(t, t->entries[i]))
		drop_entry(cpu->lg, t, i);
	WRITE_ONCE(t->entries[i], entry);
	t->guest[i] = guest;
	count(cpu, LG_COUNT_FILLS);
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

/* Make the shadow entry for w->address; false: cpu->need says what lacks. */
static bool fill(struct lg_cpu *cpu, struct walk *w)
{
	bool may_write = w->rights & _PAGE_RW;
	bool writable = may_write && (w->entry[w->leaf] & _PAGE_DIRTY);
	u64 guest = w->entry[w->leaf], frame, entry;
	u64 pfn = w->pfn;
	struct shadow_table *t;
	unsigned int i;
	int level = 1;

	frame = host_pfn(cpu, pfn, may_write);
	if (!frame) {
		cpu->need.page = launcher_address(cpu->lg,
						  GPA(pfn << PAGE_SHIFT));
		cpu->need.write = may_write;
		return false;
	}
	if (huge_possible(cpu, w, may_write)) {
		level = 2;
		frame &= ~511ULL;
		pfn &= ~511ULL;
	}
	t = find_table(cpu, w, level);
	i = index_of(w->address, level);
	entry = leaf_entry(w, frame, writable) | (level == 2 ? _PAGE_PSE : 0);
	if (t->entries[i] == entry)
		note_spurious(cpu, w->address);
	if (w->leaf > level)	/* a piece: its own frame, for the notifier */
		guest = (guest & ~FRAME) | (pfn << PAGE_SHIFT);
	put_leaf(cpu, t, i, entry, guest);
	return true;
}

/* A page that is not RAM, or is no page at all. */
static enum lg_next not_ram(struct lg_cpu *cpu, struct walk *w, u32 error)
{
	return exit_to_device(cpu, (w->pfn << PAGE_SHIFT) |
			      (w->address & ~PAGE_MASK), error);
}

static enum lg_next demand_page_locked(struct lg_cpu *cpu, struct walk *w,
				       u32 error)
{
	struct lguest *lg = cpu->lg;
	struct lg_root *root = cpu->root;
	u32 why;
	int did;

	switch (walk_guest(cpu, w)) {
	case WALK_STOP:
		return READ_ONCE(lg->dead) ? LG_RUN : LG_RETRY;
	case WALK_ABSENT:
		give_fault(cpu, w->address, error, 0);
		return LG_RUN;
	case WALK_RESERVED:
		give_fault(cpu, w->address, error, X86_PF_PROT | X86_PF_RSVD);
		return LG_RUN;
	case WALK_FOUND:
		break;
	}
	why = violation(cpu, w, error);
	if (why) {
		give_fault(cpu, w->address, error, why);
		return LG_RUN;
	}
	if (w->pfn >= lg->pfn_limit) {
		if (cpu->root->linear && w->pfn >= lg->device_limit)
			kill_guest(cpu, "nothing at %#llx", w->address);
		return not_ram(cpu, w, error);
	}
	did = set_accessed_dirty(cpu, w, error & X86_PF_WRITE);
	if (did == 0)
		return LG_RUN;		/* changed meanwhile: let it fault again */
	if (did < 0)
		return LG_RETRY;
	if ((s64)w->address >= 0 && !(w->rights & _PAGE_USER))
		make_kernel_only(lg, root);
	else if (cpu->user && root->kernel_only)
		drop_lower_half(lg, root);
	return fill(cpu, w) ? LG_RUN : LG_RETRY;
}

/**
 * demand_page() - the guest took a page fault
 * @cpu: the vCPU
 * @address: CR2
 * @error: the real CPU's error code; only write and fetch are believed
 *
 * Fills the shadow tables if the guest's own allow the access, else the fault
 * is the guest's, or the launcher's if it is device memory.
 */
enum lg_next demand_page(struct lg_cpu *cpu, u64 address, u32 error)
{
	struct lguest *lg = cpu->lg;
	struct walk w = { .address = address };
	unsigned int slot = index_of(address, 4);
	enum lg_next next;

	if (!canonical(address)) {
		deliver_trap(cpu, X86_TRAP_GP, 0);
		return LG_RUN;
	}
	if (slot == SWITCHER_SLOT || slot == ENTRY_AREA_SLOT) {
		give_fault(cpu, address, error, 0);
		return LG_RUN;
	}
	if (cpu->nr_spares < SPARES_NEEDED) {
		cpu->need.tables = true;
		return LG_RETRY;
	}
	spin_lock(&lg->lock);
	if (lg->changing) {
		cpu->need.wait = true;
		next = LG_RETRY;
	} else {
		if (lg->nr_tables > lg->max_tables)
			drop_all(lg);
		next = demand_page_locked(cpu, &w, error);
	}
	spin_unlock(&lg->lock);
	return next;
}

/**
 * read_virtual() - copy from the guest's present address space
 * @cpu: the vCPU
 * @address: virtual address
 * @to: buffer
 * @len: bytes
 *
 * Return: how many bytes could be read; 0 with cpu->need set: try again.
 */
size_t read_virtual(struct lg_cpu *cpu, u64 address, void *to, size_t len)
{
	size_t done = 0;

	spin_lock(&cpu->lg->lock);
	while (done < len) {
		struct walk w = { .address = address + done };
		u64 gpa, part;

		if (!canonical(w.address) || walk_guest(cpu, &w) != WALK_FOUND ||
		    w.pfn >= cpu->lg->pfn_limit)
			break;
		gpa = (w.pfn << PAGE_SHIFT) | (w.address & ~PAGE_MASK);
		part = min_t(u64, len - done, PAGE_SIZE - (gpa & ~PAGE_MASK));
		if (!lgread_atomic(cpu, to + done, GPA(gpa), part))
			break;
		done += part;
	}
	spin_unlock(&cpu->lg->lock);
	return done;
}

static bool leaf_overlaps(struct shadow_table *t, unsigned int i, u64 first,
			  u64 end)
{
	u64 pfn = (t->guest[i] & FRAME) >> PAGE_SHIFT;

	if (!t->entries[i] || leads_to_table(t, t->entries[i]))
		return false;
	return pfn < end && first < pfn + pages_of(t->level);
}

/**
 * zap_launcher_range() - drop every shadow leaf for a range of the launcher
 * @lg: the guest
 * @start: launcher address
 * @end: first address after it
 *
 * Called under lg->lock by the notifier.
 */
void zap_launcher_range(struct lguest *lg, unsigned long start,
			unsigned long end)
{
	unsigned long size = lg->pfn_limit << PAGE_SHIFT;
	struct shadow_table *t;
	u64 first, last;
	unsigned int i;

	if (end <= lg->base || start >= lg->base + size)
		return;
	first = (max(start, lg->base) - lg->base) >> PAGE_SHIFT;
	last = (min(end, lg->base + size) - lg->base + PAGE_SIZE - 1)
		>> PAGE_SHIFT;
	list_for_each_entry(t, &lg->tables, list)
		for (i = 0; t->level <= 2 && i < 512; i++)
			if (leaf_overlaps(t, i, first, last))
				WRITE_ONCE(t->entries[i], 0);
}

/**
 * init_shadow() - prepare the shadow tables of a new guest
 * @lg: the guest
 *
 * Return: 0 or -ENOMEM.
 */
int init_shadow(struct lguest *lg)
{
	INIT_LIST_HEAD(&lg->tables);
	/* 3 pages for reading guest tables, one for each level. */
	lg->buffer = alloc_pages_exact(SYNC_BUFFER, GFP_KERNEL_ACCOUNT);
	if (!lg->buffer)
		return -ENOMEM;
	lg->max_tables = 2048 + lg->pfn_limit / 128;
	return 0;
}

/* vCPU 0's first address space: virtual = physical. */
int start_linear(struct lg_cpu *cpu)
{
	if (refill_spares(cpu))
		return -ENOMEM;
	use_root(cpu, new_root(cpu, 0, true));
	return 0;
}

/* No vCPU runs, and the notifier is gone. */
void free_shadow(struct lguest *lg)
{
	unsigned int n;

	if (!lg->buffer)
		return;
	for (n = 0; n < LG_ROOTS; n++)
		if (lg->roots[n])
			free_root(lg, n);
	drop_kernel_half(lg);
	free_pages_exact(lg->buffer, SYNC_BUFFER);
	lg->buffer = NULL;
}
