/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KVM's async page faults, if the host is its guest.  From 7.2 on at the latest the
 * kernel's functions are for KVM's own modules (LG_KVM_ONLY, see Kbuild): async_fault.c.
 */
#ifndef _LG_COMPAT_ASYNC_FAULT_H
#define _LG_COMPAT_ASYNC_FAULT_H

#include <asm/kvm_para.h>

#ifdef LG_KVM_ONLY
void find_async_flags(void);
u32 take_async_flags(void);

/*
 * The guest touches its page again, and KVM, which knows that page, stops this CPU until
 * it has come or an interrupt does.  The kernel is told in any case, finds no task, and
 * keeps a note of some 100 bytes for the one that may come: for ever, as none will.
 *
 * The kernel's own handler would wait, and it cannot be had by its vector, as that of NMIs
 * is: it panics if such a fault is not one of user space, and from one of user space it
 * comes back to user space, over the registers of our read().  To set the kernel's word and
 * fault at the token in user space is no better: whatever faults in between panics, too.
 * Nor can KVM be told to send none: it forgets whom it has to wake.
 */
static inline void wait_for_async_page(u32 token)
{
}
#else
static inline void find_async_flags(void)
{
}
#define take_async_flags	kvm_read_and_reset_apf_flags
#define wait_for_async_page	kvm_async_pf_task_wait_schedule
#endif

#endif
