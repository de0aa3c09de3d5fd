// SPDX-License-Identifier: GPL-2.0
/*
 * The first look at a page fault: is it the Host's, whose shadow table lacks an entry,
 * or Linux's?
 * Read next: time.c.
 */
#include <linux/mm_types.h>
#include <linux/pgtable.h>
#include <asm/trap_pf.h>
#include "layer.h"

void *linux_page_fault;

static bool allowed(unsigned long rights, unsigned long code, bool user)
{
	if (code & X86_PF_WRITE && !(rights & _PAGE_RW))
		return false;
	if (user)
		return rights & _PAGE_USER &&
		       !(code & X86_PF_INSTR && rights & _PAGE_NX);
	/* The kernel never executes below. */
	return !(code & X86_PF_INSTR);
}

/*G:515
 * Faults at user addresses come to us before the Host has looked at them.  If our
 * tables allow the access, the Host's shadow tables just lack the entry: it is
 * asked for one as part of the return.  If not, Linux will put things right,
 * and the Host may make its entry when it returns: a fresh page then costs one
 * visit to the Host in all.
:*/
/**
 * lguest_sort_fault() - whose is this page fault?
 * @frame: with the real CPU's error code, which is made the guest's own
 *
 * Return: 1 if it is the Host's, 0 if it is Linux's.
 */
int lguest_sort_fault(struct fault_frame *frame);

int lguest_sort_fault(struct fault_frame *frame)
{
	unsigned long address = lguest_shared.cr2, rights, code;
	bool user = frame->cs & 3, refused;

	/* Of the kernel at its own addresses: the Host did look at it. */
	if (!user && (long)address < 0)
		return 0;
	/* The Host did, too: SIGSEGV, as with a kernel that knows keys. */
	if (frame->error & X86_PF_PK)
		return 0;
	code = (frame->error & (X86_PF_WRITE | X86_PF_INSTR)) |
	       (user ? X86_PF_USER : 0);
	rights = lguest_rights_of(address);
	refused = (long)address < 0 || !allowed(rights, code, user);

	lguest_shared.fill_address = address;
	lguest_shared.fill_error = code | LGUEST_FILL_HINT;
	if (rights && !refused) {
		lguest_shared.fill_error |= LGUEST_FILL_STRICT;
		return 1;
	}
	frame->error = rights ? code | X86_PF_PROT : code;
	if (!rights && user && code & X86_PF_WRITE)
		lguest_note_fault(address);
	if (user && (address ^ frame->sp) >> PAGE_SHIFT)
		lguest_note_stack(frame->sp);
	return 0;
}
