// SPDX-License-Identifier: GPL-2.0
/*
 * Slot 256: where the Switcher lives, in the launcher's address space and in
 * every root of its guest.  See switcher.h for the picture of one vCPU's part.
 *
 * On a 5-level host the slot is the 256th of the top level all the same, only
 * at another address, and has one more table under it.
 * Read next: interrupts_and_traps.c.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/mem_encrypt.h>
#include <linux/sched/mm.h>
#include <asm/cpu_entry_area.h>
#include <asm/desc.h>
#include <asm/pgtable.h>
#include "lg.h"
#include "compat/tlb.h"

#define SLOT		256
#define SUPERVISOR_TABLE (_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED)
#define SUPERVISOR_TEXT	(_PAGE_PRESENT | _PAGE_ACCESSED)
#define SUPERVISOR_RO	(_PAGE_PRESENT | _PAGE_ACCESSED | _PAGE_NX)
#define SUPERVISOR_RW	(SUPERVISOR_RO | _PAGE_RW | _PAGE_DIRTY)

static struct page *text[LG_TEXT_PAGES];

static unsigned long slot_address(void)
{
	return pgtable_l5_enabled() ? 0xff00000000000000 : 0xffff800000000000;
}

static u64 entry_for(struct page *page, u64 bits)
{
	return page_to_phys(page) | bits | sme_me_mask;
}

/**
 * init_switcher() - copy the Switcher to pages of its own
 *
 * The module's own copy is never executed.  Return: 0 or -ENOMEM.
 */
int init_switcher(void)
{
	size_t size = switcher_end - switcher_start;
	int i;

	if (WARN_ON_ONCE(size > LG_TEXT_PAGES * PAGE_SIZE))
		return -EINVAL;
	for (i = 0; i < LG_TEXT_PAGES; i++) {
		text[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!text[i]) {
			free_switcher();
			return -ENOMEM;
		}
		memset(page_address(text[i]), 0xcc, PAGE_SIZE);
		memcpy(page_address(text[i]), switcher_start + i * PAGE_SIZE,
		       min(size - i * PAGE_SIZE, PAGE_SIZE));
	}
	return 0;
}

void free_switcher(void)
{
	int i;

	for (i = 0; i < LG_TEXT_PAGES; i++) {
		if (text[i])
			__free_page(text[i]);
		text[i] = NULL;
	}
}

/* The address of a label of switcher.S in this vCPU's alias. */
unsigned long switcher_address(struct lg_cpu *cpu, const char *label)
{
	return cpu->va + (label - switcher_start);
}

static void flush_this_cpu(void *unused)
{
	unsigned long cr4, flags;

	/* Turning global pages off and on drops all entries of all PCIDs. */
	local_irq_save(flags);
	asm volatile("mov %%cr4, %0" : "=r" (cr4));
	asm volatile("mov %0, %%cr4" : : "r" (cr4 ^ X86_CR4_PGE) : "memory");
	asm volatile("mov %0, %%cr4" : : "r" (cr4) : "memory");
	local_irq_restore(flags);
}

/**
 * flush_all_cpus() - drop every TLB entry of every CPU
 *
 * For the rare moments when the Switcher's own pages are freed, or a vCPU's page is
 * changed for another; the kernel's own function is not exported.  May not be called with interrupts off.
 */
void flush_all_cpus(void)
{
	on_each_cpu(flush_this_cpu, NULL, 1);
}

/* Loading CR3 with what it has drops what there is of the same PCID. */
static void load_cr3_again(void *unused)
{
	native_write_cr3(__native_read_cr3());
}

/*
 * An address space lost an entry of its top level: no CPU may keep what was below.
 * As the kernel does it itself, whose function is not exported: a CPU that loads
 * the space from now on sees the new count, and drops what it had of it; one that
 * had loaded it before, even if only for a kernel thread, is in its mask.  Each
 * CPU puts itself there before it reads the count; we count before we look there.
 * All other CPUs, and all other PCIDs, are left alone: a guest's are never loaded
 * again with what they had (tlb.c).
 */
static void flush_space(struct mm_struct *mm)
{
	if (!tlb_gen_is_looked_at()) {
		flush_all_cpus();
		return;
	}
	atomic64_inc_return(&mm->context.tlb_gen);	/* a full barrier, too */
	on_each_cpu_mask(mm_cpumask(mm), load_cr3_again, NULL, 1);
}

static struct page *new_table(void)
{
	return alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
}

static void put_tables(struct lg_slot *slot)
{
	struct page *tables[] = { slot->p4d, slot->pud, slot->pmd, slot->pte };
	int i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		if (tables[i])
			__free_page(tables[i]);
	memset(slot, 0, sizeof(*slot));
}

static bool make_tables(struct lg_slot *slot)
{
	slot->pud = new_table();
	slot->pmd = new_table();
	slot->pte = new_table();
	if (pgtable_l5_enabled())
		slot->p4d = new_table();
	if (!slot->pud || !slot->pmd || !slot->pte ||
	    (pgtable_l5_enabled() && !slot->p4d))
		return false;

	*(u64 *)page_address(slot->pud) = entry_for(slot->pmd, SUPERVISOR_TABLE);
	*(u64 *)page_address(slot->pmd) = entry_for(slot->pte, SUPERVISOR_TABLE);
	slot->entry = entry_for(slot->pud, SUPERVISOR_TABLE);
	if (slot->p4d) {
		*(u64 *)page_address(slot->p4d) = slot->entry;
		slot->entry = entry_for(slot->p4d, SUPERVISOR_TABLE);
	}
	return true;
}

/**
 * map_switcher() - take slot 256 of the launcher's address space
 * @lg: its guest; lg->mm is set
 *
 * The slot is private to this process: a new one starts from the kernel's own
 * top level, where it is empty.  Return: 0, or -ENOMEM also if it is taken.
 */
int map_switcher(struct lguest *lg)
{
	struct lg_slot *slot = &lg->slot;
	u64 *top = (u64 *)lg->mm->pgd + SLOT;
	pgd_t *area = pgd_offset(lg->mm, CPU_ENTRY_AREA_BASE);

	if (!make_tables(slot))
		goto fail;
	slot->entry_area = p4d_val(*p4d_offset(area, CPU_ENTRY_AREA_BASE)) &
			   ~_PAGE_USER;
	if (cmpxchg64(top, 0, slot->entry) != 0) {
		pr_err_ratelimited("lguest: could not map switcher pages high: slot %d of process %d is taken\n",
		       SLOT, task_tgid_nr(current));
		goto fail;
	}
	slot->mm = lg->mm;
	return 0;

fail:
	put_tables(slot);
	return -ENOMEM;
}

/*
 * Nobody runs in this guest any more, but any CPU may still have the slot in
 * its TLB, and may use the launcher's tables for a kernel thread.
 */
void unmap_switcher(struct lguest *lg)
{
	if (!lg->slot.mm)
		return;
	WRITE_ONCE(((u64 *)lg->mm->pgd)[SLOT], 0);
	flush_space(lg->slot.mm);
	put_tables(&lg->slot);
}

static u64 *slot_pte(struct lg_cpu *cpu, unsigned long offset)
{
	u64 *pte = page_address(cpu->lg->slot.pte);

	return pte + ((cpu->id * LG_VCPU_STRIDE + offset) >> PAGE_SHIFT);
}

/* Which of the host's IST stacks a vector uses; 0 for the entry stack. */
unsigned int ist_of(unsigned int vector)
{
	switch (vector) {
	case X86_TRAP_DF:
		return IST_INDEX_DF + 1;
	case X86_TRAP_NMI:
		return IST_INDEX_NMI + 1;
	case X86_TRAP_DB:
		return IST_INDEX_DB + 1;
	case X86_TRAP_MC:
		return IST_INDEX_MCE + 1;
	}
	return 0;
}

/* Software may raise these from ring 3 (as far as Linux lets it). */
static bool open_to_guest(unsigned int vector)
{
	return vector == X86_TRAP_BP || vector == X86_TRAP_OF ||
	       vector == IA32_SYSCALL_VECTOR;
}

static void make_idt(struct lg_cpu *cpu)
{
	gate_desc *idt = page_address(cpu->idt);
	unsigned int n;

	for (n = 0; n < 256; n++) {
		unsigned long stub = cpu->va + 16 * n;

		idt[n] = (gate_desc) {
			.offset_low = (u16)stub,
			.offset_middle = (u16)(stub >> 16),
			.offset_high = (u32)(stub >> 32),
			.segment = __KERNEL_CS,
			.bits = {
				.ist = ist_of(n),
				.type = GATE_INTERRUPT,
				.dpl = open_to_guest(n) ? 3 : 0,
				.p = 1,
			},
		};
	}
}

/**
 * make_vcpu_pages() - a vCPU's pages for slot 256, not yet in it
 * @cpu: with its number and guest set
 *
 * Return: 0 or -ENOMEM; free_vcpu_pages() undoes also a half-done one.
 */
int make_vcpu_pages(struct lg_cpu *cpu)
{
	cpu->va = slot_address() + cpu->id * LG_VCPU_STRIDE;
	cpu->idt = alloc_page(GFP_KERNEL_ACCOUNT);
	cpu->state = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!cpu->idt || !cpu->state)
		return -ENOMEM;
	make_idt(cpu);
	if (__read_cr4() & X86_CR4_PCIDE)
		cpu->state->keep = CR3_KEEP;
	cpu->state->guest_idt.address = cpu->va + LG_IDT_OFFSET;
	cpu->state->guest_idt.size = PAGE_SIZE - 1;
	return 0;
}

/* Others of the guest may run: not present so far, so no CPU can have it cached. */
void map_vcpu(struct lg_cpu *cpu)
{
	int i;

	for (i = 0; i < LG_TEXT_PAGES; i++)
		*slot_pte(cpu, i * PAGE_SIZE) = entry_for(text[i],
							  SUPERVISOR_TEXT);
	*slot_pte(cpu, LG_IDT_OFFSET) = entry_for(cpu->idt, SUPERVISOR_RO);
	*slot_pte(cpu, LG_STATE_OFFSET) =
		entry_for(virt_to_page(cpu->state), SUPERVISOR_RW);
}

/* Before map_vcpu(), or after unmap_switcher(): nothing leads to the pages. */
void free_vcpu_pages(struct lg_cpu *cpu)
{
	if (cpu->idt)
		__free_page(cpu->idt);
	free_page((unsigned long)cpu->state);
	cpu->idt = NULL;
	cpu->state = NULL;
}

/* As map_vcpu(), or before forget_own_pages(): no other CPU uses the place. */
void map_shared(struct lg_cpu *cpu, struct page *page)
{
	*slot_pte(cpu, LG_SHARED_OFFSET) = entry_for(page, SUPERVISOR_RW);
}
