// SPDX-License-Identifier: GPL-2.0
/*
 * Where the page of a vCPU is (see layer.h): Linux decides it.
 * Read next: cpuid.c.
 */
#include <linux/percpu.h>
#include <linux/string.h>
#include <linux/pgtable.h>
#include <asm/debugreg.h>
#include <asm/fsgsbase.h>
#include "layer.h"

/* For what needs a plain address, or another vCPU's. */
struct lguest_cpu *lguest_pages[LGUEST_VCPUS];

static struct lguest_cpu *page_at(unsigned long base)
{
	return (void *)(base + (unsigned long)&lguest_cpu);
}

/**
 * setup_first_page() - vCPU 0 has its page in Linux's image until Linux moves it
 */
void setup_first_page(void)
{
	struct lguest_cpu *page = page_at(rdgsbase());

	page->local.page = __pa(page);
	page->local.double_fault_stack = (unsigned long)lguest_df_stack_end;
	lguest_pages[0] = page;
}

/*G:155
 * Linux sets GS base when it has made room for the data of each CPU, and copied there
 * what was in its image: with our page as that was then.  Now it is copied again, and
 * the Host hears of the new one.
 *
 * The base is set before anything here is used.  Linux 6.1 has just loaded %gs, and with
 * that lost the old one (on Intel's CPUs; AMD's keep it).
:*/

/**
 * lguest_move_page() - the page of vCPU 0, if it is another one now
 * @base: GS base, which is set
 */
void lguest_move_page(unsigned long base)
{
	struct lguest_cpu *old = lguest_pages[lguest_shared.vcpu];
	struct lguest_cpu *new = page_at(base);
	const size_t own = sizeof(new->shared.own);

	if (new == old)
		return;
	hcall(LHCALL_FLUSH_ASYNC, 0, 0, 0);	/* empties the ring */
	memcpy((void *)new + own, (void *)old + own, sizeof(*new) - own);
	new->shared.kernel_gs_base = base;
	new->local.page = per_cpu_ptr_to_phys(new);
	lguest_pages[0] = new;
	hcall4(LHCALL_INIT, new->local.page, (unsigned long)lguest_event_entry,
	       (unsigned long)lguest_syscall_entry, (unsigned long)lguest_entry_end);
}

/**
 * lguest_make_page() - the page of another vCPU, before its first INIT
 * @vcpu: its number, and Linux's
 * @stack: the end of one, for double faults
 *
 * Until now it has what vCPU 0's had in the image; the GDT stays.
 */
struct lguest_cpu *lguest_make_page(unsigned int vcpu, unsigned long stack)
{
	struct lguest_cpu *new = page_at(per_cpu_offset(vcpu));
	const size_t own = sizeof(new->shared.own);

	memset((void *)new + own, 0, sizeof(*new) - own);
	new->shared.blocked_interrupts = ~0ULL;
	new->shared.direct_faults = 1;
	new->shared.dr6 = DR6_RESERVED;
	new->shared.kernel_gs_base = per_cpu_offset(vcpu);
	new->shared.vcpus = lguest_shared.vcpus;
	new->local.cr0 = lguest_local.cr0;
	new->local.double_fault_stack = stack;
	new->local.page = per_cpu_ptr_to_phys(new);
	/* For Linux's first look; smp.c has it loaded. */
	new->local.current_cr3 = __pa_symbol(init_top_pgt);
	lguest_pages[vcpu] = new;
	return new;
}
