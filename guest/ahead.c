// SPDX-License-Identifier: GPL-2.0
/*
 * Faulting ahead.  A process that writes to fresh memory, page after page, takes
 * a fault for each, and each costs a visit to the Host for its shadow entry.  When
 * we see such a run, we let Linux populate the rest of the 16 pages around: the
 * Host, which looks at just these 16 at a fault, then enters all of them in one
 * visit.  Linux does as much for pages of files (fault_around_bytes).
 *
 * And a process that was forked shares its stack for reading, but will soon write to
 * it: two faults.  At its first fault for anything else it gets its copy.
 *
 * Only Linux touches its tables here: handle_mm_fault() is called as for a fault,
 * from task work, so as any other code of the process on its way back to user.
 * The kernel's parameter lguest.faultahead=0 turns it off.
 * Read next: fault.c.
 */
#include <linux/irqflags.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/task_work.h>
#include <asm/setup.h>
#include <asm/trap_pf.h>
#include "layer.h"

#define AHEAD		16
/* So many pages one after the other are a run. */
#define RUN		3

static bool off;

/*
 * What each vCPU saw last, and one piece of work: a task may sleep before it comes to its
 * own, and be on another vCPU then.
 */
static struct ahead {
	unsigned long space;		/* CR3 */
	unsigned long next;		/* page after the last that was faulted in */
	unsigned int length;
	struct callback_head work;
	unsigned long work_space, work_at;
	bool work_waits;
} all[LGUEST_VCPUS];

static struct ahead *own(void)
{
	return &all[lguest_shared.vcpu];
}

/* Ordinary private memory, which nobody watches. */
static bool is_private(struct vm_area_struct *vma)
{
	unsigned long never = VM_SHARED | VM_IO | VM_PFNMAP | VM_MIXEDMAP |
			      VM_HUGETLB | VM_LOCKED | VM_LOCKONFAULT |
			      VM_UFFD_MISSING | VM_UFFD_WP;

	return vma_is_anonymous(vma) &&
	       (vma->vm_flags & (never | VM_WRITE)) == VM_WRITE;
}

/* No stack, and not used at random. */
static bool suits(struct vm_area_struct *vma)
{
	return is_private(vma) &&
	       !(vma->vm_flags & (VM_GROWSDOWN | VM_GROWSUP | VM_RAND_READ));
}

/* Nobody shall be reclaimed from, or even killed, for pages nobody asked for. */
static bool group_has_room(void)
{
	bool room = true;
#ifdef CONFIG_MEMCG
	struct mem_cgroup *group;

	rcu_read_lock();
	for (group = mem_cgroup_from_task(current); group && room;
	     group = parent_mem_cgroup(group)) {
		struct page_counter *memory = &group->memory;

		room = page_counter_read(memory) + AHEAD <=
		       min(READ_ONCE(memory->max), READ_ONCE(memory->high));
	}
	rcu_read_unlock();
#endif
	return room;
}

static bool memory_is_plenty(void)
{
	return si_mem_available() > (long)(totalram_pages() / 32) &&
	       group_has_room();
}

/*
 * The entry of an address, or all ones if there is no table for it.  With interrupts off
 * no other vCPU frees a table that we look at.
 */
static unsigned long entry_at(unsigned long address)
{
	unsigned long flags, *entry, value = ~0UL;

	local_irq_save(flags);
	entry = lguest_entry_of(address);
	if (entry)
		value = READ_ONCE(*entry);
	local_irq_restore(flags);
	return value;
}

/* Those that have nothing yet; the lock is held.  Returns where it ended. */
static unsigned long populate(struct vm_area_struct *vma, unsigned long at,
			      unsigned long end)
{
	for (end = min(end, vma->vm_end); at < end; at += PAGE_SIZE)
		if (!entry_at(at) &&
		    handle_mm_fault(vma, at, FAULT_FLAG_WRITE, NULL) &
		    VM_FAULT_ERROR)
			break;
	return at;
}

/* The space that the work is for, locked; or NULL, if it is not wanted any more. */
static struct mm_struct *begin_work(struct ahead *ahead)
{
	struct mm_struct *mm = current->mm;

	return mm && lguest_read_cr3() == ahead->work_space && memory_is_plenty() &&
	       down_read_trylock(&mm->mmap_lock) ? mm : NULL;
}

static void fault_ahead(struct callback_head *work)
{
	struct ahead *ahead = container_of(work, struct ahead, work);
	unsigned long at = ahead->work_at;
	struct mm_struct *mm = begin_work(ahead);
	struct vm_area_struct *vma;

	ahead->work_waits = false;
	if (!mm)
		return;
	vma = vma_lookup(mm, at - PAGE_SIZE);
	if (vma && suits(vma))
		ahead->next = populate(vma, at, ALIGN(at, AHEAD * PAGE_SIZE)) >>
			      PAGE_SHIFT;
	up_read(&mm->mmap_lock);

	/* An interrupt may have taken the hint that the fault left. */
	lguest_shared.fill_address = at - PAGE_SIZE;
	lguest_shared.fill_error = X86_PF_USER | X86_PF_WRITE | LGUEST_FILL_HINT;
}

/* At the return to user, for what that has at @at. */
static void add_work(struct ahead *ahead, task_work_func_t func, unsigned long at)
{
	ahead->work_space = lguest_read_cr3();
	ahead->work_at = at;
	ahead->work.func = func;
	ahead->work_waits = !task_work_add(current, &ahead->work, TWA_RESUME);
}

/**
 * lguest_note_fault() - guest user writes where there is no page yet
 * @address: where
 *
 * Linux's handler comes next.  What is to be done ahead is done after it.
 */
void lguest_note_fault(unsigned long address)
{
	unsigned long page = address >> PAGE_SHIFT, space = lguest_read_cr3();
	struct ahead *ahead = own();

	if (off || ahead->work_waits)
		return;
	ahead->length = ahead->space == space && ahead->next == page ?
			ahead->length + 1 : 1;
	ahead->space = space;
	ahead->next = page + 1;
	if (ahead->length >= RUN && ahead->next % AHEAD)
		add_work(ahead, fault_ahead, ahead->next << PAGE_SHIFT);
}

/* Is there a page of user, for reading only? */
static bool read_only(unsigned long address)
{
	return (long)address >= 0 &&
	       (entry_at(address) & (_PAGE_PRESENT | _PAGE_USER | _PAGE_RW)) ==
	       (_PAGE_PRESENT | _PAGE_USER);
}

static void copy_stack(struct callback_head *work)
{
	struct ahead *ahead = container_of(work, struct ahead, work);
	unsigned long at = ahead->work_at;
	struct mm_struct *mm = begin_work(ahead);
	struct vm_area_struct *vma;

	ahead->work_waits = false;
	if (!mm)
		return;
	vma = vma_lookup(mm, at);
	if (vma && is_private(vma) && read_only(at))
		handle_mm_fault(vma, at, FAULT_FLAG_WRITE, NULL);
	up_read(&mm->mmap_lock);
}

/**
 * lguest_note_stack() - guest user has a fault, but not of its stack
 * @sp: its stack pointer
 */
void lguest_note_stack(unsigned long sp)
{
	if (!off && !own()->work_waits && read_only(sp))
		add_work(own(), copy_stack, sp & PAGE_MASK);
}

/* Called among the initcalls. */
void setup_fault_ahead(void)
{
	off = strstr(boot_command_line, "lguest.faultahead=0");
}
