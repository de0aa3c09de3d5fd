// SPDX-License-Identifier: GPL-2.0
/*
 * Linux changes its text while it runs: static keys, tracers, probes, programs of
 * BPF.  The text is read-only, so it makes an address space with a page that can be
 * written, loads that, writes a few bytes, and forgets it: three times for each
 * place, forty thousand places for a tracer of functions.  On hardware that is a
 * second; here each of them flushes, and faults, and that is two visits.
 *
 * So the layer writes through pages of its own, at the end of its place.  They stay
 * until another task runs: places near each other cost no more than one does.
 * Read next: ahead.c.
 */
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/vmalloc.h>
#include "layer.h"

/* One page more: a place may begin on the last of the slots, and end behind it. */
#define SLOTS		256
#define FIRST		(PTRS_PER_PTE - SLOTS - 1)
#define WRITABLE	(pgprot_val(PAGE_KERNEL) & ~_PAGE_GLOBAL)
#define ADDRESS(slot)	(LAYER_VA + ((FIRST + (slot)) << PAGE_SHIFT))

extern unsigned long lguest_layer_pte[PTRS_PER_PTE];
/* A kernel where it has another name is slower, no more. */
extern char __text_poke[] __weak;

static unsigned long *const slots = lguest_layer_pte + FIRST;

/* Each vCPU has its own of them: another's tasks change as they like. */
static unsigned int nr_slots(void)
{
	return (SLOTS + 1) / lguest_shared.vcpus;
}

static unsigned int first_slot(void)
{
	return lguest_shared.vcpu * nr_slots();
}

static unsigned long frame_of(unsigned long address)
{
	if (address < MODULES_VADDR && address >= __START_KERNEL_map)
		return __pa(address) >> PAGE_SHIFT;
	return vmalloc_to_pfn((void *)address);
}

static void show_page(unsigned int slot, unsigned long address)
{
	unsigned long entry = frame_of(address) << PAGE_SHIFT | WRITABLE;
	unsigned long old = slots[slot];

	if (old == entry)
		return;
	WRITE_ONCE(slots[slot], entry);
	if (old)
		lguest_flush_page(ADDRESS(slot), false);
	lguest_local.poked = true;
}

/*G:530
 * In place of Linux's __text_poke().  It writes at most two pages.
:*/
static void *poke(void (*write)(void *to, const void *from, size_t size),
		  void *address, const void *from, size_t size)
{
	unsigned long at = (unsigned long)address, flags;
	unsigned int slot;

	local_irq_save(flags);
	slot = first_slot() + (at >> PAGE_SHIFT) % (nr_slots() - 1);
	show_page(slot, at);
	if (offset_in_page(at) + size > PAGE_SIZE)
		show_page(slot + 1, at + PAGE_SIZE);
	write((void *)ADDRESS(slot) + offset_in_page(at), from, size);
	local_irq_restore(flags);
	return address;
}

/**
 * lguest_end_poking() - nothing of the kernel's text can be written any more
 *
 * Called when another task is about to run; the Host does its part at the visit
 * that follows.
 */
void lguest_end_poking(void)
{
	unsigned int slot, end;

	if (!lguest_local.poked)
		return;
	lguest_local.poked = false;
	end = first_slot() + nr_slots();
	for (slot = first_slot(); slot < end; slot++)
		if (slots[slot]) {
			WRITE_ONCE(slots[slot], 0);
			lguest_flush_page(ADDRESS(slot), true);
		}
}

/**
 * setup_poking() - write to the kernel's text without a change of address space
 */
void setup_poking(void)
{
	patch_jump(__text_poke, poke);
}
