// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory: the only way from a guest-physical address to bytes.
 *
 * Guest-physical p is launcher address base + p.  We are always in the
 * launcher's own process here, so these are ordinary user accesses; what comes
 * from the guest is checked once, in guest_range_ok().
 * Read next: page_tables.h.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>
#include "lg.h"
#include "compat/gup.h"

#define MAX_PFN (1ULL << 40)

/**
 * limits_ok() - can a guest be like this?
 * @base: launcher address of guest-physical 0
 * @pfn_limit: pages of RAM
 * @start: address of the first instruction
 * @device_limit: end of guest-physical space, in pages
 *
 * What INITIALIZE promises, and all that the sums below rely on.
 */
bool limits_ok(u64 base, u64 pfn_limit, u64 start, u64 device_limit)
{
	return PAGE_ALIGNED(base) && pfn_limit && pfn_limit <= device_limit &&
	       device_limit <= MAX_PFN && canonical(start) &&
	       access_ok((void __user *)base, pfn_limit << PAGE_SHIFT);
}

/**
 * guest_range_ok() - is this range all RAM?
 * @lg: the guest
 * @gpa: first byte
 * @len: bytes; an empty range is fine up to and including the limit
 */
bool guest_range_ok(const struct lguest *lg, lg_gpa_t gpa, u64 len)
{
	u64 limit = lg->pfn_limit << PAGE_SHIFT;

	return len <= limit && gpa.v <= limit - len;
}

/* The caller has checked the address, or will only hand it to fault_in(). */
unsigned long launcher_address(const struct lguest *lg, lg_gpa_t gpa)
{
	return lg->base + gpa.v;
}

/**
 * lgread_words() - read words of guest RAM where sleeping is not possible
 * @cpu: who asks
 * @to: kernel buffer
 * @gpa: checked guest-physical address, a multiple of 8; all on one page
 * @nr: how many words of 64 bits
 *
 * Each word as a whole, as a CPU reads a table: another one may be storing to it.
 * Return: false if the page is not there; cpu->need then says so.
 */
bool lgread_words(struct lg_cpu *cpu, u64 *to, lg_gpa_t gpa, unsigned int nr)
{
	unsigned long address = launcher_address(cpu->lg, gpa);
	u64 __user *from = (u64 __user *)address;
	unsigned int i;

	pagefault_disable();
	if (!user_access_begin(from, nr * sizeof(*from)))
		goto fault;
	for (i = 0; i < nr; i++)
		unsafe_get_user(to[i], from + i, fault_end);
	user_access_end();
	pagefault_enable();
	return true;

fault_end:
	user_access_end();
fault:
	pagefault_enable();
	cpu->need.page = address & PAGE_MASK;
	return false;
}

/**
 * lgread_atomic() - read guest RAM where sleeping is not possible
 * @cpu: who asks
 * @to: kernel buffer
 * @gpa: checked guest-physical address; the range may not cross a page
 * @len: bytes
 *
 * Of no use for tables, whose entries may change meanwhile: see lgread_words().
 * Return: false if the page is not there; cpu->need then says so.
 */
bool lgread_atomic(struct lg_cpu *cpu, void *to, lg_gpa_t gpa, u64 len)
{
	unsigned long address = launcher_address(cpu->lg, gpa);
	unsigned long left;

	pagefault_disable();
	left = __copy_from_user_inatomic(to, (void __user *)address, len);
	pagefault_enable();
	if (!left)
		return true;
	cpu->need.page = address & PAGE_MASK;
	return false;
}

/**
 * lgcmpxchg_atomic() - change a table entry of the guest, if it is still @old
 * @cpu: who asks
 * @gpa: checked guest-physical address of the entry
 * @old: what was read there
 * @new: what is to stand there
 *
 * Return: 1 if done, 0 if the entry has changed, -EFAULT if the page cannot be
 * written now (cpu->need then says so).
 */
int lgcmpxchg_atomic(struct lg_cpu *cpu, lg_gpa_t gpa, u64 old, u64 new)
{
	unsigned long address = launcher_address(cpu->lg, gpa);
	u64 __user *entry = (u64 __user *)address;
	bool same;

	pagefault_disable();
	if (!user_access_begin(entry, sizeof(*entry)))
		goto fault;
	same = unsafe_try_cmpxchg_user(entry, &old, new, fault_end);
	user_access_end();
	pagefault_enable();
	return same;

fault_end:
	user_access_end();
fault:
	pagefault_enable();
	cpu->need.page = address & PAGE_MASK;
	cpu->need.write = true;
	return -EFAULT;
}

/**
 * lgread() - read guest RAM; may sleep
 * @cpu: who asks
 * @to: kernel buffer
 * @gpa: guest-physical address, not yet checked
 * @len: bytes
 *
 * A bad range, or memory that the launcher took away, ends the guest, and the
 * buffer is zeroed: callers need no error path.
 */
void lgread(struct lg_cpu *cpu, void *to, lg_gpa_t gpa, u64 len)
{
	if (guest_range_ok(cpu->lg, gpa, len) &&
	    !copy_from_user(to, (void __user *)launcher_address(cpu->lg, gpa),
			    len))
		return;
	memset(to, 0, len);
	kill_guest(cpu, "bad read address %#llx len %llu", gpa.v, len);
}

/* As demand_page() looks: nothing sleeps, and what is there may be refused. */
static bool can_be_found(unsigned long address)
{
	struct page *page;

	if (get_user_pages_fast_only(address, 1, 0, &page) != 1)
		return false;
	put_page(page);
	return true;
}

static int bring(unsigned long address, unsigned int flags)
{
	struct page *page;
	int got = get_user_pages_fast(address, 1, flags | LG_FOLL_NUMA, &page);

	if (got == 1) {
		put_page(page);
		return 0;
	}
	if (got == -EINTR || got == -ERESTARTSYS)
		return -EINTR;
	return got == -ENOMEM ? -ENOMEM : -EFAULT;
}

/**
 * fault_in() - make a page of the launcher present; may sleep
 * @address: launcher address
 * @write: whether the guest is to write it
 *
 * Memory that was never written is a page of zeros, small or huge, which lookups
 * that do not sleep may refuse for ever: it is made a page of its own.  They refuse
 * for a moment, too, while the page moves.  So memory that the launcher may only read is
 * looked for more than once; with what it may write, one pass settles it.
 *
 * Return: 0; -EINTR if a signal came; -ENOMEM if there is no memory for it now; -EFAULT if
 * the launcher could not access it so, or has only zeros there that it may not write.
 */
int fault_in(unsigned long address, bool write)
{
	int tries, err;

	address &= PAGE_MASK;
	if (write)
		return bring(address, FOLL_WRITE);
	for (tries = 0; tries < 5; tries++) {
		err = bring(address, 0);
		if (err || can_be_found(address))
			return err;
		err = bring(address, FOLL_WRITE);
		if (err != -EFAULT)
			return err;
	}
	return err;
}
