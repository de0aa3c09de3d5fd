// SPDX-License-Identifier: GPL-2.0
/*
 * The self-test's first stage: nothing is changed, and all that the Switcher takes for
 * granted is looked at, on this CPU.  Read selftest.c first.
 * Read next: launcher/main.c.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <asm/cpu_entry_area.h>
#include <asm/desc.h>
#include <asm/fpu/xcr.h>
#include <asm/pgtable.h>
#include <asm/special_insns.h>
#include "lg.h"
#include "page_tables.h"
#include "selftest.h"
#include "compat/cpu.h"

/*H:800
 * Stage 1: the tables.  While a guest runs, the CPU still uses the host's GDT, TSS
 * and stacks, which are in the CPU entry area: slot 508 of every root.  A page of it
 * that is missing is a triple fault at the first interrupt, so they are walked here
 * as the CPU would do it.
 *
 * Return: the page's rights, as all entries on the way have them, or 0.
 */
static u64 rights_of(unsigned long address)
{
	u64 rights = _PAGE_PRESENT | _PAGE_RW | _PAGE_USER, entry;
	u64 *table = (u64 *)current->mm->pgd;
	int level = pgtable_l5_enabled() ? 5 : 4;

	for (; level; level--) {
		entry = READ_ONCE(table[index_of(address, level)]);
		if (!(entry & _PAGE_PRESENT))
			return 0;
		rights &= entry;
		if (entry & _PAGE_PSE && level > 1)
			break;
		table = __va(entry & PHYSICAL_PAGE_MASK);
	}
	return rights;
}

static int check_mapped(const char *what, unsigned long from, size_t size,
			u64 want)
{
	unsigned long at;
	u64 rights;

	for (at = from & PAGE_MASK; at < from + size; at += PAGE_SIZE) {
		rights = rights_of(at);
		if (index_of(at, 4) != ENTRY_AREA_SLOT)
			return selftest_failed("%s at %#lx is not in slot %d", what, at,
					       ENTRY_AREA_SLOT);
		if ((rights & want) != want || rights & _PAGE_USER)
			return selftest_failed("%s at %#lx is mapped with rights %#llx, not %#llx",
					       what, at, rights, want);
	}
	return 0;
}

/* Below the top that the TSS has for it.  0: this kernel does not use it. */
static int check_stack(const char *what, unsigned long top, size_t size)
{
	if (!top)
		return 0;
	return check_mapped(what, top - size, size, _PAGE_PRESENT | _PAGE_RW);
}

static int check_stacks(const struct x86_hw_tss *tss)
{
	unsigned int vector;
	int err;

	err = check_stack("the entry stack", tss->sp0, sizeof(struct entry_stack));
	for (vector = 0; !err && vector < 32; vector++)
		if (ist_of(vector))
			err = check_stack("an IST stack", tss->ist[ist_of(vector) - 1],
					  EXCEPTION_STKSZ);
	return err;
}

/* A descriptor without its accessed bit would make the CPU write to the GDT. */
static int check_gdt(const struct desc_struct *gdt)
{
	static const u8 used[] = {
		GDT_ENTRY_KERNEL_CS, GDT_ENTRY_KERNEL_DS, GDT_ENTRY_DEFAULT_USER32_CS,
		GDT_ENTRY_DEFAULT_USER_DS, GDT_ENTRY_DEFAULT_USER_CS,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(used); i++)
		if (!gdt[used[i]].p || !gdt[used[i]].s || !(gdt[used[i]].type & 1))
			return selftest_failed("descriptor %u of the GDT is %#llx", used[i],
					       *(u64 *)&gdt[used[i]]);
	return 0;
}

/* That of SEV-ES, where lguest is not loaded; and one that the kernel may not handle. */
static bool odd_ist(unsigned int vector)
{
	return vector == X86_TRAP_VC ||
	       (vector == X86_TRAP_MC && !IS_ENABLED(CONFIG_X86_MCE));
}

/* Through some of them we raise again what has struck the guest. */
static int check_gates(const gate_desc *idt)
{
	unsigned int n;

	for (n = 0; n < 256; n++) {
		if (!idt[n].bits.p) {
			if (n == X86_TRAP_NMI || n >= FIRST_EXTERNAL_VECTOR)
				return selftest_failed("gate %u is not present", n);
			continue;
		}
		if (idt[n].segment != __KERNEL_CS || idt[n].bits.type != GATE_INTERRUPT)
			return selftest_failed("gate %u leads to segment %#x, type %u", n,
					       idt[n].segment, idt[n].bits.type);
		if (idt[n].bits.ist != ist_of(n) && !odd_ist(n))
			return selftest_failed("gate %u has IST %u, not %u", n,
					       idt[n].bits.ist, ist_of(n));
	}
	return 0;
}

static int check_tables(void)
{
	struct cpu_entry_area *area = get_cpu_entry_area(smp_processor_id());
	const struct x86_hw_tss *tss = &area->tss.x86_tss;
	struct desc_ptr gdt, idt;
	struct desc_struct *d;
	unsigned long tr, base;
	int err;

	store_idt(&idt);
	asm volatile("sgdt %0" : "=m" (gdt));
	asm volatile("str %0" : "=r" (tr));
	d = (void *)gdt.address;
	if (idt.address != CPU_ENTRY_AREA_RO_IDT || idt.size < 4095)
		return selftest_failed("the IDT is at %#lx, limit %#x", idt.address, idt.size);
	if (gdt.address != (unsigned long)&area->gdt || gdt.size < GDT_SIZE - 1)
		return selftest_failed("the GDT is at %#lx, limit %#x", gdt.address, gdt.size);
	base = get_desc_base(d + GDT_ENTRY_TSS) |
	       (unsigned long)((u32 *)(d + GDT_ENTRY_TSS))[2] << 32;
	if (tr != GDT_ENTRY_TSS * 8 || base != (unsigned long)tss)
		return selftest_failed("TR is %#lx and the TSS at %#lx", tr, base);
	err = check_mapped("the IDT", idt.address, PAGE_SIZE, _PAGE_PRESENT) ?:
	      check_mapped("the GDT", gdt.address, GDT_SIZE, _PAGE_PRESENT) ?:
	      check_mapped("the TSS", base, sizeof(*tss), _PAGE_PRESENT);
	return err ?: check_gdt(d) ?: check_gates((void *)idt.address) ?:
	       check_stacks(tss);
}

/*
 * Registers that must be the same on all CPUs, because a vCPU may go to any; what
 * the first one has.
 */
static struct {
	u64 lstar, star, mask, xcr0, cr4;
} first;

/* What other modules and processes may change on one CPU alone, or does not matter. */
#define CR4_VARIES (X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | \
		    X86_CR4_PSE | X86_CR4_PCE | X86_CR4_VMXE)

static int check_registers(bool is_first)
{
	typeof(first) now = { .cr4 = __read_cr4() & ~CR4_VARIES };

	rdmsrq(MSR_LSTAR, now.lstar);
	rdmsrq(MSR_STAR, now.star);
	rdmsrq(MSR_SYSCALL_MASK, now.mask);
	now.xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (is_first)
		first = now;
	if (now.lstar < __START_KERNEL_map || now.lstar >= MODULES_VADDR)
		return selftest_failed("system calls lead to %#llx, not to the kernel's text",
				       now.lstar);
	if (now.star != ((u64)__USER32_CS << 48 | (u64)__KERNEL_CS << 32))
		return selftest_failed("STAR is %#llx", now.star);
	if (now.lstar != first.lstar || now.star != first.star || now.mask != first.mask)
		return selftest_failed("the MSRs of system calls differ between CPUs");
	if (now.xcr0 != first.xcr0)
		return selftest_failed("XCR0 is %#llx here and %#llx there", now.xcr0, first.xcr0);
	if (now.cr4 != first.cr4)
		return selftest_failed("CR4 is %#llx here and %#llx there", now.cr4, first.cr4);
	return 0;
}

/* Where system calls lead when nobody has changed it. */
u64 selftest_lstar(void)
{
	return first.lstar;
}

/**
 * selftest_stage_1() - look at this CPU
 * @is_first: the others must be like it
 *
 * Return: 0 or -EIO.
 */
int selftest_stage_1(bool is_first)
{
	int err;

	selftest_say(1, "registers");
	err = check_registers(is_first);
	if (err)
		return err;
	selftest_say(1, "tables, gates and stacks");
	return check_tables();
}
