// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's own tables: the walk through them as a CPU would do it, and
 * whose fault a page fault is.  Called under lg->lock, never sleeps; nothing
 * found here is believed longer than the lock is held.  Read next:
 * page_tables.c, which makes shadow entries of what is found.
 */
#include <linux/mm.h>
#include <asm/cpufeature.h>
#include <asm/pgtable.h>
#include "lg.h"
#include "page_tables.h"

/*H:610
 * The walk through the guest's own tables.
:*/

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
	return lgread_words(cpu, &w->entry[level], GPA(at), 1);
}

u64 reserved_bits(u64 entry, int level)
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
		w->path_rights = w->rights;
		w->path_nx = w->nx;
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
int set_accessed_dirty(struct lg_cpu *cpu, struct walk *w, bool write)
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
u32 violation(struct lg_cpu *cpu, struct walk *w, u32 error)
{
	bool lower = (s64)w->address >= 0;
	bool user_page = w->rights & _PAGE_USER;

	/* The user view has no upper half, whatever the entry there says. */
	if (cpu->user && (!user_page || !lower))
		return X86_PF_PROT;
	if ((error & X86_PF_WRITE) && !(w->rights & _PAGE_RW))
		return X86_PF_PROT;
	if ((error & X86_PF_INSTR) &&
	    (w->nx || (!cpu->user && lower && user_page)))
		return X86_PF_PROT;
	return 0;
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
