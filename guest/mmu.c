// SPDX-License-Identifier: GPL-2.0
/*
 * Memory management ops.  The guest edits its page tables with plain stores:
 * the Host's shadow tables behave like a TLB, filled on demand and corrected
 * when the guest flushes.  So the native page-table ops stay, and only what
 * reads or changes CR2 and CR3, and the flushes, are ours.
 * Read next: poke.c.
 */
#include <linux/mm_types.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/tick.h>
#include <asm/trap_pf.h>
#include <asm/paravirt.h>
#include <asm/tlbflush.h>
#include "compat/free_tables.h"
#include "layer.h"

extern pgd_t early_top_pgt[PTRS_PER_PGD];

/*G:500
 * CR3: the Host has the real one, this is what Linux last loaded.  Bit 63 of a
 * load says that nothing needs to be flushed; it is not part of the register.
:*/
unsigned long lguest_read_cr3(void)
{
	return lguest_local.current_cr3;
}

/*
 * Whoever loads a space first may change it, and leave, before the vCPU that made it
 * loads it: so nobody may take it any more for one that was never loaded.
 */
static void now_loaded(unsigned long table)
{
	unsigned int vcpu;

	for (vcpu = 0; vcpu < lguest_shared.vcpus; vcpu++)
		if (lguest_pages[vcpu] &&
		    READ_ONCE(lguest_pages[vcpu]->local.never_loaded) == table)
			WRITE_ONCE(lguest_pages[vcpu]->local.never_loaded, 0);
}

/*
 * The Host knows an address space by its table, whatever the PCID.  Linux wants
 * a flush whenever it gives a PCID to another space, but there is nothing to
 * flush in one that was not loaded yet, nor below init_mm's upper half.
 */
static void lguest_write_cr3(unsigned long cr3)
{
	unsigned long table = cr3 & PTE_PFN_MASK, keep = cr3 & LGUEST_CR3_NOFLUSH;

	if (table == lguest_local.never_loaded || table == __pa_symbol(init_top_pgt))
		keep = LGUEST_CR3_NOFLUSH;
	if (!(cr3 & LGUEST_CR3_NOFLUSH))
		now_loaded(table);
	lguest_local.current_cr3 = cr3 & ~LGUEST_CR3_NOFLUSH;
	hcall(LHCALL_LOAD_CR3, table | keep, 0, 0);
}

static void lguest_write_cr2(unsigned long cr2)
{
	lguest_shared.cr2 = cr2;
}

/*G:505
 * Calls that can wait go into the ring of the shared page: the Host does them,
 * in order, before anything else at its next visit, and no direct switch leaves
 * the guest kernel while there are any.
:*/
static void hcall_later(unsigned long call, unsigned long a, unsigned long b)
{
	unsigned long enabled = lguest_shared.irq_enabled;
	struct lguest_hcall __seg_gs *slot;
	unsigned int n;

	/* An interrupt could want the same slot. */
	WRITE_ONCE(lguest_shared.irq_enabled, 0);
	barrier();
	n = lguest_local.next_call;
	if (READ_SHARED(lguest_shared.hcall_status[n]) != 0xff) {
		hcall(call, a, b, 0);		/* full: this empties it */
	} else {
		slot = &lguest_shared.hcalls[n];
		slot->number = call;
		slot->arg[0] = a;
		slot->arg[1] = b;
		barrier();
		WRITE_ONCE(lguest_shared.hcall_status[n], 0);
		lguest_local.next_call = (n + 1) % LGUEST_RING_SIZE;
	}
	WRITE_ONCE(lguest_shared.irq_enabled, enabled);
	if (enabled && READ_SHARED(lguest_shared.irq_pending))
		hcall(LHCALL_SEND_INTERRUPTS, 0, 0, 0);
}

/**
 * lguest_do_late_calls() - visit the Host now, if there is anything for it
 *
 * Called when another task is about to run.
 */
void lguest_do_late_calls(void)
{
	unsigned int last = (lguest_local.next_call - 1) % LGUEST_RING_SIZE;

	lguest_local.flush_later = 0;
	if (READ_SHARED(lguest_shared.hcall_status[last]) != 0xff ||
	    READ_SHARED(lguest_shared.set_timer))
		hcall(LHCALL_FLUSH_ASYNC, 0, 0, 0);
}

/*G:510
 * The three flushes of this CPU.  Like INVLPG, the flush of one address acts on
 * kernel addresses in all address spaces.
 *
 * The flush of a user's address can wait in two cases.  While a page fault is
 * handled (entry.S sets and clears lguest_local.flush_later), for copy-on-write does
 * one for each page: nobody uses that user's addresses before either the IRET at
 * the end or a switch to another task, and the Host empties the ring at both.
 * And with interrupts off: Linux flushes a range page by page so, and only then
 * goes on; lguest_irq_enable() has the ring emptied (lguest_local.ring_waits).  But
 * not in an interrupt: it may be another vCPU's, which goes on when we have flushed.
:*/
static void lguest_flush_tlb_user(void)
{
	hcall(LHCALL_FLUSH_TLB, LGUEST_FLUSH_USER, 0, 0);
}

static void lguest_flush_tlb_kernel(void)
{
	hcall(LHCALL_FLUSH_TLB, LGUEST_FLUSH_ALL, 0, 0);
}

static void lguest_flush_tlb_one_user(unsigned long address)
{
	if ((long)address < 0 || in_hardirq() ||
	    (!lguest_local.flush_later && lguest_shared.irq_enabled)) {
		hcall(LHCALL_FLUSH_TLB, LGUEST_FLUSH_ONE, address, 0);
		return;
	}
	hcall_later(LHCALL_FLUSH_TLB, LGUEST_FLUSH_ONE, address);
	if (!lguest_local.flush_later)
		lguest_local.ring_waits = 1;
}

/**
 * lguest_flush_page() - the entry of a page of the layer's own has changed
 * @address: of the page
 * @later: it is not used before the Host's next visit
 */
void lguest_flush_page(unsigned long address, bool later)
{
	if (later)
		hcall_later(LHCALL_FLUSH_TLB, LGUEST_FLUSH_ONE, address);
	else
		hcall(LHCALL_FLUSH_TLB, LGUEST_FLUSH_ONE, address, 0);
}

/*G:512
 * A flush for several CPUs.  Linux would interrupt each, to have it flush by itself: two
 * visits of each vCPU.  The Host knows whose TLB has anything of this address space; those
 * it interrupts, for a moment, and leaves all others alone, asleep or not.
 *
 * This vCPU has then caught up.  Others still count themselves as behind, and flush when
 * they next load the space without having to: a visit that they make anyway.
 *
 * What is not for one address space stays Linux's, and so does the flush, one in a second,
 * by which CPUs that have left a space learn that they need not hear of it any more.
:*/
static void caught_up_with(const struct flush_tlb_info *info)
{
	unsigned long flags;
	u16 asid;

	local_irq_save(flags);		/* another flush could end before ours */
	asid = this_cpu_read(cpu_tlbstate.loaded_mm_asid);
	if (this_cpu_read(cpu_tlbstate.loaded_mm) == info->mm &&
	    this_cpu_read(cpu_tlbstate.ctxs[asid].tlb_gen) + 1 == info->new_tlb_gen)
		this_cpu_write(cpu_tlbstate.ctxs[asid].tlb_gen, info->new_tlb_gen);
	local_irq_restore(flags);
}

static void lguest_flush_tlb_multi(const struct cpumask *cpus,
				   const struct flush_tlb_info *info)
{
	if (!info->mm || info->trim_cpumask) {
		native_flush_tlb_multi(cpus, info);
		return;
	}
	hcall4(LHCALL_FLUSH_MULTI, cpumask_bits(cpus)[0] | (u64)info->stride_shift << 32,
	       __pa(info->mm->pgd), info->start, info->end);
	caught_up_with(info);
}

/**
 * setup_multi_flush() - flushes for several CPUs are the Host's
 *
 * An IPI also waited for those that read page tables with interrupts off: Linux's own,
 * and lguest_rights_of().  Now tables are freed when RCU has seen that they are done.  But
 * with nohz_full= RCU takes a CPU that came from user for one that does not read: then all
 * stays as it was.  (In time for what Linux makes of its operations, after its parameters.)
 */
void setup_multi_flush(void)
{
#ifdef CONFIG_NO_HZ_FULL
	if (tick_nohz_full_running)
		return;
#endif
	pv_ops.mmu.flush_tlb_multi = lguest_flush_tlb_multi;
	free_tables_late();
}

/*
 * Let the Host prepare at its next visit (fork flushes soon) for a new space.  What says
 * that nothing of it needs a flush must be of the vCPU in whose ring that stands: until
 * then the Host may know the table by what it was before.
 */
static int lguest_pgd_alloc(struct mm_struct *mm)
{
	unsigned long flags;

	local_irq_save(flags);
	lguest_local.never_loaded = __pa(mm->pgd);
	hcall_later(LHCALL_NEW_SPACE, __pa(mm->pgd), 0);
	local_irq_restore(flags);
	return 0;
}

/*
 * The last reference to an address space is gone: no CPU has it loaded, not
 * even lazily.  Spare the Host keeping shadow tables for it.
 */
static void lguest_pgd_free(struct mm_struct *mm, pgd_t *pgd)
{
	now_loaded(__pa(pgd));
	hcall_later(LHCALL_DROP_SPACE, __pa(pgd), 0);
}

static unsigned long table_at(unsigned long entry)
{
	return page_offset_base + (entry & PTE_PFN_MASK);
}

static unsigned long *entry_in(unsigned long table, unsigned long address,
			       int shift)
{
	return (unsigned long *)(table + ((address >> shift) & 511) * 8);
}

/* The rights of all entries on the path together, or 0 if there is no page. */
unsigned long lguest_rights_of(unsigned long address)
{
	unsigned long table = table_at(lguest_local.current_cr3), rights = ~0UL, nx = 0;
	int shift;

	for (shift = PGDIR_SHIFT; shift >= PAGE_SHIFT; shift -= 9) {
		unsigned long entry = *entry_in(table, address, shift);

		if (!(entry & _PAGE_PRESENT))
			return 0;
		rights &= entry;
		nx |= entry & _PAGE_NX;
		if (shift < PGDIR_SHIFT && (entry & _PAGE_PSE))
			break;
		table = table_at(entry);
	}
	return (rights & ~_PAGE_NX) | nx;
}

/* The entry of 4 KiB for an address, or NULL if there is no table for it. */
unsigned long *lguest_entry_of(unsigned long address)
{
	unsigned long table = table_at(lguest_local.current_cr3);
	int shift;

	for (shift = PGDIR_SHIFT; shift > PAGE_SHIFT; shift -= 9) {
		unsigned long entry = *entry_in(table, address, shift);

		if (!(entry & _PAGE_PRESENT) || (entry & _PAGE_PSE))
			return NULL;
		table = table_at(entry);
	}
	return entry_in(table, address, PAGE_SHIFT);
}

/*G:520
 * init_top_pgt, which the guest starts with, maps the first GiB twice: in the
 * direct map, where it belongs, and virtual = physical, which our first
 * instructions needed.  But Linux wants to build its direct map in there from
 * nothing, while it runs on early_top_pgt; if that lacks something (RAM above
 * 1 GiB), do_early_exception() adds it.  So: early_top_pgt gets what is needed,
 * init_top_pgt keeps the kernel's image and us.
:*/
static void change_to_early_tables(void)
{
	const int direct = pgd_index(PAGE_OFFSET), image = PTRS_PER_PGD - 1;
	int i;

	early_top_pgt[direct] = init_top_pgt[direct];
	early_top_pgt[image] = init_top_pgt[image];
	lguest_write_cr3(__pa_symbol(early_top_pgt));
	for (i = 0; i < image; i++)
		init_top_pgt[i] = (pgd_t){};
}

/**
 * setup_mmu_ops() - fill pv_ops.mmu, and load the page tables of early boot
 */
void setup_mmu_ops(void)
{
	pv_ops.mmu.flush_tlb_user = lguest_flush_tlb_user;
	pv_ops.mmu.flush_tlb_kernel = lguest_flush_tlb_kernel;
	pv_ops.mmu.flush_tlb_one_user = lguest_flush_tlb_one_user;
	pv_ops.mmu.read_cr2.func = lguest_read_cr2;
	pv_ops.mmu.write_cr2 = lguest_write_cr2;
	pv_ops.mmu.read_cr3 = lguest_read_cr3;
	pv_ops.mmu.write_cr3 = lguest_write_cr3;
	pv_ops.mmu.pgd_alloc = lguest_pgd_alloc;
	pv_ops.mmu.pgd_free = lguest_pgd_free;

	change_to_early_tables();
}
