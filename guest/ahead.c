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

static struct {
	unsigned long space;		/* CR3 */
	unsigned long next;		/* page after the last that was faulted in */
	unsigned int length;
} run;

/* One at a time: a task may sleep before it comes to its own. */
static struct callback_head work;
static bool work_waits;

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

/* Those that have nothing yet; the lock is held.  Returns where it ended. */
static unsigned long populate(struct vm_area_struct *vma, unsigned long at,
			      unsigned long end)
{
	for (end = min(end, vma->vm_end); at < end; at += PAGE_SIZE) {
		unsigned long *entry = lguest_entry_of(at);

		if (entry && !READ_ONCE(*entry) &&
		    handle_mm_fault(vma, at, FAULT_FLAG_WRITE, NULL) &
		    VM_FAULT_ERROR)
			break;
	}
	return at;
}

static void fault_ahead(struct callback_head *unused)
{
	struct mm_struct *mm = current->mm;
	unsigned long at = run.next << PAGE_SHIFT;
	struct vm_area_struct *vma;

	work_waits = false;
	if (!mm || lguest_read_cr3() != run.space || !memory_is_plenty() ||
	    !down_read_trylock(&mm->mmap_lock))
		return;
	vma = vma_lookup(mm, at - PAGE_SIZE);
	if (vma && suits(vma))
		run.next = populate(vma, at, ALIGN(at, AHEAD * PAGE_SIZE)) >>
			   PAGE_SHIFT;
	up_read(&mm->mmap_lock);

	/* An interrupt may have taken the hint that the fault left. */
	lguest_shared.fill_address = at - PAGE_SIZE;
	lguest_shared.fill_error = X86_PF_USER | X86_PF_WRITE | LGUEST_FILL_HINT;
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

	if (off || work_waits)
		return;
	run.length = run.space == space && run.next == page ? run.length + 1 : 1;
	run.space = space;
	run.next = page + 1;
	if (run.length < RUN || run.next % AHEAD == 0)
		return;
	work.func = fault_ahead;
	work_waits = !task_work_add(current, &work, TWA_RESUME);
}

static struct {
	unsigned long space, at;
} stack;

/* Is there a page of user, for reading only? */
static bool read_only(unsigned long address)
{
	unsigned long *entry = (long)address < 0 ? NULL : lguest_entry_of(address);

	return entry && (READ_ONCE(*entry) &
			 (_PAGE_PRESENT | _PAGE_USER | _PAGE_RW)) ==
			(_PAGE_PRESENT | _PAGE_USER);
}

static void copy_stack(struct callback_head *unused)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	work_waits = false;
	if (!mm || lguest_read_cr3() != stack.space || !memory_is_plenty() ||
	    !down_read_trylock(&mm->mmap_lock))
		return;
	vma = vma_lookup(mm, stack.at);
	if (vma && is_private(vma) && read_only(stack.at))
		handle_mm_fault(vma, stack.at, FAULT_FLAG_WRITE, NULL);
	up_read(&mm->mmap_lock);
}

/**
 * lguest_note_stack() - guest user has a fault, but not of its stack
 * @sp: its stack pointer
 */
void lguest_note_stack(unsigned long sp)
{
	if (off || work_waits || !read_only(sp))
		return;
	stack.space = lguest_read_cr3();
	stack.at = sp & PAGE_MASK;
	work.func = copy_stack;
	work_waits = !task_work_add(current, &work, TWA_RESUME);
}

/* Called among the initcalls. */
void setup_fault_ahead(void)
{
	off = strstr(boot_command_line, "lguest.faultahead=0");
}
