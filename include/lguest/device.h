/* SPDX-License-Identifier: GPL-2.0 */
/*B:020
 * The ABI of /dev/lguest, between a launcher and the Host.
 *
 * One open file is one guest.  write() makes a request: an array of 64-bit
 * words, the first of which is its number.  The file offset (pwrite) names the
 * vCPU where that matters.  pread() runs the vCPU named by the offset until
 * something happens that the launcher must see to.  close() frees everything.
 *
 * Every successful request returns the number of bytes it used; longer writes
 * are legal, the rest is ignored.  Errors common to all requests:
 *   EFAULT  the buffer is not readable
 *   EINVAL  shorter than the request's words; unknown request; no guest yet;
 *           no such vCPU
 *   ENOENT  the guest is dead: read() tells why
 *   ENOMEM  no memory; nothing has changed
 *
 * Read next: host/lg.h.
 */
#ifndef _LGUEST_DEVICE_H
#define _LGUEST_DEVICE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <assert.h>
#include <linux/types.h>
#endif

/*
 * INITIALIZE base pfn_limit start device_limit
 *   base:         address of guest-physical 0 in the launcher, page aligned
 *   pfn_limit:    pages of guest RAM, at least 1
 *   start:        guest-physical address of the first instruction of vCPU 0,
 *                 which starts in the kernel view with virtual = physical,
 *                 irq_enabled off and all registers zero
 *   device_limit: end, in pages, of the guest-physical space: what lies
 *                 between pfn_limit and it is device memory (trap 14)
 * Only memory that the launcher may itself write is usable as RAM.
 * EBUSY: this file has a guest already.  EINVAL: base not page aligned, limits
 * out of order or above 2^40 pages.  ENOMEM: no memory, or "could not map
 * switcher pages high": this process has a guest already, or its slot is
 * taken.  EINTR: a signal came; nothing has changed.  EPERM: a worker of io_uring
 * asks, which cannot be a vCPU's task.
 */
#define LHREQ_INITIALIZE	0
/* 1 was GETDMA: EINVAL. */
/* IRQ irq: raise an interrupt line (0..63) of this vCPU. EINVAL: no such line. */
#define LHREQ_IRQ		2
/*
 * BREAK on: 1 makes the vCPU's read() end with EAGAIN, and waits until another
 * request gives 0 (EINTR if a signal comes first, ENOENT if the guest dies);
 * until then every read() gives EAGAIN.  EINVAL: neither 0 nor 1.
 */
#define LHREQ_BREAK		3
/*
 * EVENTFD value fd: NOTIFY(value) of the guest signals the eventfd fd from now
 * on, and no longer ends read().  fd = -1 detaches.  EINVAL: value 0, fd is no
 * eventfd.  EBADF: fd not open.  EEXIST: attached already.  ENOENT: detach of
 * what is not attached.  ENOSPC: more than 64 attached.
 */
#define LHREQ_EVENTFD		4
/*
 * GETREG offset: the next read() of this vCPU gives the 8 bytes of a register,
 * named by its byte offset in struct user_regs_struct, LHREG_CR2 or LHREG_CR3.
 * If another task than the vCPU's own asks, one more read() may do something else
 * first.  ENOENT: no such register.
 */
#define LHREQ_GETREG		5
/*
 * SETREG offset value: sets a general register, rip or rsp (rip must be
 * canonical, EINVAL).  Only the task that made the vCPU may, and so only while it
 * is not in read().  EPERM: another task.  ENOENT: no such register, or not settable.
 */
#define LHREQ_SETREG		6
/*
 * TRAP number error: the vCPU takes exception number (0..31) before its next
 * instruction.  EINVAL: out of range, or the guest has no event entry.
 */
#define LHREQ_TRAP		7
/*
 * DEVICE_EVENTFD address data fd: a store of the 32-bit number data to this
 * guest-physical address of device memory signals the eventfd fd from now on,
 * and no longer ends read(), if it is done by a plain MOV; by any other
 * instruction it still does.  fd = -1 detaches.  EINVAL: address not in device
 * memory or not aligned to 4, data above 2^32 - 1, fd is no eventfd.  Others as
 * for EVENTFD; the 64 are those of both.
 */
#define LHREQ_DEVICE_EVENTFD	8
/*
 * IRQFD irq fd: whenever the eventfd fd is signalled, this raises an interrupt
 * line (0..63) of this vCPU and takes the count back to 0.  fd = -1 detaches.
 * Closing the eventfd everywhere makes the line free for another.  EINVAL: no
 * such line, fd is no eventfd.  EBADF: fd not open.  EEXIST: the line has one
 * already.  ENOENT: detach of what is not attached.
 */
#define LHREQ_IRQFD		9
/*
 * IRQ_STATUS irq address value: from now on the Host keeps a status word for an
 * interrupt line.  A 32-bit load from this guest-physical address of device
 * memory gives it, a store to address + 4 clears the bits stored (both by a
 * plain MOV, and without ending read()), and the line's IRQFD sets bit 0.  It
 * now becomes value; unless that is 0, the line is raised.  EINVAL: no such
 * line, address not in device memory or not aligned to 4, value above 2^32 - 1,
 * the line has a word elsewhere or the word is another line's.
 */
#define LHREQ_IRQ_STATUS	10
/*
 * STEP on: 1 makes read() end after one instruction of the guest, from the next
 * read() on and until it gives a record; no interrupt is delivered meanwhile.
 * If nothing else is to be told, the record is LGUEST_EXIT_STEP.  0 takes it
 * back, unless it is done already.  An instruction that faults, or that the
 * guest's kernel gets an event for, ends at the first instruction of its event
 * entry; one for which the Host only fills its tables has not been run yet;
 * `mov ss` and the next are one; HALT does not sleep.  The guest does not see
 * the trap flag that this takes, and its own works as ever.  EINVAL: neither 0
 * nor 1.
 */
#define LHREQ_STEP		11
/*
 * VCPU (no words; the file offset is its number): make a vCPU, which the calling
 * task is to run, and no other can.  A guest has vCPU 0 after INITIALIZE; the next
 * are made in order, also while others run.  It starts at the same place and as vCPU 0
 * does, but with its number in rdi, and as if it had called WAIT: its first read()
 * sleeps until a KICK.  EEXIST: there is one.  EINVAL: not the next number, or all
 * LGUEST_VCPUS are there.  ENOSPC: the Host allows no more (parameter "vcpus" of its module).
 * EPERM: the caller's memory is not the guest's, or a worker of io_uring asks.
 */
#define LHREQ_VCPU		12
/*
 * SAVE address size: writes the state of this vCPU to this address of the caller: struct
 * lguest_vcpu, and behind it the extended state; its field size says how much that is.
 * What is in RAM, and what the launcher itself has told the Host (eventfds, IRQFD,
 * IRQ_STATUS), is not part of it.  EPERM: not the task that made the vCPU.  EBUSY: the
 * last read() ended in the middle of something (by a signal or BREAK), a record, a
 * register or a TRAP waits, or a STEP is armed.  ENOSPC: size is too small.  EFAULT:
 * not writable.
 */
#define LHREQ_SAVE		13
/*
 * RESTORE address size: the vCPU goes on from a state that SAVE gave, of this guest or
 * another one with the same RAM in it.  Nothing in it is believed: EINVAL: there is a
 * value that no vCPU can have come to by running; a part of it may have been taken
 * over, so such a guest is only good to be closed.  EPROTO: version, size or features are not
 * those that SAVE would give here.  EBUSY: the vCPU has run, or was restored.  EPERM: not
 * the task that made it, or not with that memory any more.  EFAULT: not readable.  EINTR: a
 * signal came; nothing has changed.
 */
#define LHREQ_RESTORE		14
/* Not of struct user_regs_struct: the address of the last page fault, ... */
#define LHREG_CR2		0x1000
/* ... and of the top-level table in use; all ones while virtual = physical. */
#define LHREG_CR3		0x1008

/* The state of a vCPU, as SAVE gives it. */
struct lguest_vcpu {
	__u32 version;		/* LGUEST_VCPU_VERSION */
	__u32 size;		/* of it all, with the extended state behind it */
	__u64 flags;		/* LGUEST_VCPU_* */
	__u64 regs[27];		/* struct user_regs_struct */
	__u64 cr3;		/* of the top-level table; all ones while virtual = physical */
	__u64 shared;		/* guest-physical; this and the next three as by INIT, ... */
	__u64 event_entry, syscall_entry, entry_end;	/* ... or 0 before it */
	__u64 pkru;		/* of guest user */
	__u64 tls[3];		/* as by LOAD_TLS */
	__u64 lines, ipis;	/* pending: bit n is line n, or vector LGUEST_IPI_VECTOR + n */
	__u64 timer;		/* nanoseconds until it fires; 0: off */
	__u64 next_hcall;	/* cursor in the ring of calls */
	__u64 features;		/* XCR0 of the extended state, which has XSAVE's standard form */
	__u64 reserved[21];	/* 0 */
};
_Static_assert(sizeof(struct lguest_vcpu) == 512, "no padding");

#define LGUEST_VCPU_VERSION	1
#define LGUEST_VCPU_INITED	(1 << 0)	/* INIT was called ... */
#define LGUEST_VCPU_MOVED	(1 << 1)	/* ... twice */
#define LGUEST_VCPU_USER	(1 << 2)	/* it is in guest user */
#define LGUEST_VCPU_HALTED	(1 << 3)	/* ... in a HALT or WAIT */
#define LGUEST_VCPU_KICKED	(1 << 4)	/* the next of these ends at once */
#define LGUEST_VCPU_NMI		(1 << 5)	/* one is pending */
#define LGUEST_VCPU_DOUBLE	(1 << 6)	/* a double fault was delivered */

/* What read() gives: one of these (other fields zero), ... */
struct lguest_exit {
	__u32 kind;		/* LGUEST_EXIT_* */
	__u32 access;		/* MMIO: LGUEST_ACCESS_* */
	__u64 value;		/* NOTIFY value, or guest-physical address */
	__u8 insn[15];		/* TRAP, MMIO: bytes at rip ... */
	__u8 insn_len;		/* ... and how many of them could be read */
	__u64 reserved;
};
_Static_assert(sizeof(struct lguest_exit) == 40, "no padding");

#define LGUEST_EXIT_NOTIFY	1	/* the guest called NOTIFY */
#define LGUEST_EXIT_TRAP	13	/* #GP(0) in the guest kernel: emulate */
#define LGUEST_EXIT_MMIO	14	/* access to device memory: emulate */
#define LGUEST_EXIT_STEP	15	/* the instruction of a STEP is done */
#define LGUEST_ACCESS_WRITE	1
#define LGUEST_ACCESS_FETCH	2
/*
 * ... the 8 bytes of an armed GETREG, or an error:
 *   EINVAL     no guest, no such vCPU, or the buffer is too small
 *   EPERM      not the task that made the vCPU; or the launcher has an LDT, or
 *              this task rights to I/O ports, which the guest would have too
 *   EFAULT     the buffer is not writable; the record comes again next time
 *   EAGAIN     BREAK
 *   EINTR      a signal
 *   ERESTART   (85) the guest asked for a restart
 *   ENOENT     the guest is dead.  The next read() gives the reason, with its
 *              NUL, cut to the buffer's size: "POWEROFF: ..." or "CRASH: ..."
 *              with the guest's words, or what the Host has against it
 *
 * A record is done with when the next read() begins: the vCPU then goes on at
 * its rip, which the launcher has moved by SETREG if it emulated.
 */

#endif /* _LGUEST_DEVICE_H */
