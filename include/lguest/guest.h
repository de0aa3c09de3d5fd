/* SPDX-License-Identifier: GPL-2.0 */
/*B:010
 * The ABI between a guest kernel and the Host: hypercalls, and the page that
 * each vCPU shares with the Host.
 *
 * A guest kernel runs at hardware ring 3, in long mode, with the Host's own
 * flat user segments (CS 0x33, SS 0x2b).  It has two views of its address
 * space: the kernel view, which holds everything, and the user view, which
 * lacks the upper half.  Only the Host and its Switcher change between them.
 *
 * This header stands alone, in C and in assembler.  What the launcher sees of
 * the Host is in <lguest/device.h>; how the two go together is told in
 * docs/SWITCHER.md and docs/MEMORY.md.
 *
 * A comment that begins with a letter and a number, as this one, is a station on the
 * walk through all of the code that `make book` prints: its part, and its place there.
 * Read next: host/switcher.h.
 */
#ifndef _LGUEST_GUEST_H
#define _LGUEST_GUEST_H

/*
 * Hypercalls
 * ----------
 * `syscall` in the kernel view, number in rax, arguments in rdi, rsi, rdx and
 * r10.  The result is in rax; rcx and r11 are lost, as the instruction has it;
 * all other registers are kept.  There are no error codes: a call that makes
 * no sense ends the guest with a sentence.  In the user view the same
 * instruction is a guest system call, whatever rax holds.  Numbers that are not
 * here were calls of the first lguest; they end the guest, too.
 */

/* FLUSH_ASYNC(): nothing; the visit itself empties the ring of calls. */
#define LHCALL_FLUSH_ASYNC	0
/*
 * INIT(shared, event_entry, syscall_entry, entry_end): must be the first call
 * of each vCPU, and may be made once more: then the shared page has moved, with
 * all that was in it, the ring of calls being empty.  A third ends the guest.
 *   shared:        guest-physical address of its struct lguest_shared, page
 *                  aligned, in RAM, and no other vCPU's
 *   event_entry:   virtual address at which traps and interrupts arrive
 *   syscall_entry: virtual address at which guest system calls arrive
 *   entry_end:     end of the code that begins at the lower of the two
 *                  addresses: no interrupt is delivered while rip is inside
 */
#define LHCALL_INIT		1
/*
 * SHUTDOWN(text, reason): ends the guest.  text is the guest-physical address
 * of a NUL-ended string, of which up to 256 bytes are used.
 */
#define LHCALL_SHUTDOWN		2
/*
 * LOAD_CR3(cr3, rip): switch to the address space whose top-level table is at bits
 * 12-51 of cr3.  Bit 63 (no-flush) keeps the shadow tables of that space as
 * they are; without it its lower half is brought up to date.  Bits 0-11 are
 * the guest's PCID.  The first call ends the linear mode in which a vCPU
 * starts (virtual = guest-physical); it goes on at rip, if that is not 0, or else
 * at the next instruction.
 */
#define LHCALL_LOAD_CR3		4
/*
 * FLUSH_TLB(kind, address): bring the shadow tables up to date after entries
 * were changed or removed (an entry that becomes present needs no flush).
 */
#define LHCALL_FLUSH_TLB	5
#define LGUEST_FLUSH_ONE	0	/* the page at address, user or kernel */
#define LGUEST_FLUSH_USER	1	/* lower half of the current space */
#define LGUEST_FLUSH_ALL	2	/* everything, in all address spaces */
/*
 * SET_CLOCKEVENT(ns): raise interrupt line 0 in ns nanoseconds (at least 1);
 * 0 disarms.  A new call replaces the old one.  The word set_timer of the shared
 * page does the same at the guest's next visit, whatever that is for.
 */
#define LHCALL_SET_CLOCKEVENT	9
/*
 * HALT(): sleep until an interrupt can be delivered, or a KICK comes.  Sets
 * irq_enabled first, so that "enable and halt" cannot lose an interrupt.
 */
#define LHCALL_HALT		10
/*
 * LOAD_TLS(d0, d1, d2): set the three thread-local descriptors (GDT entries
 * 12 to 14).  Each is 0 or a present DPL 3 data segment, or 32-bit code.
 */
#define LHCALL_LOAD_TLS		16
/*
 * NOTIFY(value): signals the eventfd that the launcher attached to value, or
 * else ends the launcher's read() with it.
 */
#define LHCALL_NOTIFY		17
/* SEND_INTERRUPTS(): deliver what waited while irq_enabled was 0. */
#define LHCALL_SEND_INTERRUPTS	19
/*
 * IRET(): go on with the state in lguest_shared.iret: to guest user if the RPL
 * of cs is 3, else to guest kernel.  The flags' IF becomes irq_enabled.
 */
#define LHCALL_IRET		20
/*
 * GET_TIME(): nanoseconds of the Host's monotonic clock; also brings wall_sec
 * and wall_nsec up to date.
 */
#define LHCALL_GET_TIME		21
/*
 * DROP_SPACE(cr3): forget the shadow tables of an address space that will not
 * be loaded again as it is (a hint: process exit).
 */
#define LHCALL_DROP_SPACE	22
/*
 * NEW_SPACE(cr3): cr3 has a top-level table with an empty lower half that has
 * not been loaded yet.  The Host forgets what it knew of that frame, and the
 * first LOAD_CR3 of it may have no-flush: it then needs no visit.
 */
#define LHCALL_NEW_SPACE	23

/*
 * SEND_IPI(vcpus, vector): interrupt each vCPU whose bit is set in vcpus, oneself
 * too, by this vector: LGUEST_IPI_VECTOR to 255, when it has its interrupts on, or 2,
 * an NMI, also when not (but not while busy is set or it is in the entry code).  Equal
 * ones that were not delivered yet are one.  Another vector, or a vCPU that there is
 * not: the guest ends.
 */
#define LHCALL_SEND_IPI		24
/*
 * KICK(vcpu): end the HALT or WAIT of a vCPU, or the next one if it is in none.
 * Kicks are not counted.  No such vCPU: the guest ends.
 */
#define LHCALL_KICK		25
/*
 * WAIT(): sleep until a KICK or an NMI or, if irq_enabled is set, until an interrupt
 * can be delivered.  irq_enabled stays as it is.
 */
#define LHCALL_WAIT		26
/*
 * FLUSH_MULTI(vcpus | stride << 32, table, start, end): after entries were changed
 * or removed in the lower half of the address space with this top-level table, for all
 * of these vCPUs (a bit for each), whatever they have loaded: the pages start,
 * start + 2^stride, ... before end; all of the half if that are more than 64, or end
 * is all ones.  stride is 12, 21 or 30; 0 is 12.
 */
#define LHCALL_FLUSH_MULTI	27

/* Reasons of SHUTDOWN. */
#define LGUEST_SHUTDOWN_POWEROFF 1
#define LGUEST_SHUTDOWN_RESTART	2
#define LGUEST_SHUTDOWN_CRASH	3

/* CR3 bit 63, as in the architecture: do not flush (SDM 3A, 4.10.4.1). */
#define LGUEST_CR3_NOFLUSH	(1ULL << 63)

/* A guest has at most so many vCPUs. */
#define LGUEST_VCPUS		16

/* IPIs are vectors from here to 255. */
#define LGUEST_IPI_VECTOR	0xc0

/* Interrupt lines 0..63 arrive as vectors 0x30..0x6f. */
#define LGUEST_IRQS		64
#define LGUEST_IRQ_VECTOR	0x30
#define LGUEST_IRQ_TIMER	0
#define LGUEST_IRQ_CONSOLE	1
/* Lines from here on belong to the launcher's other devices. */
#define LGUEST_IRQ_DEVICES	2
/* The power button: raised once when the guest shall shut down by itself. */
#define LGUEST_IRQ_POWER	63

/* irq_enabled holds this bit (that of RFLAGS.IF) or zero. */
#define LGUEST_IF		0x200

/* In fill_error: the guest's tables allow the access. */
#define LGUEST_FILL_STRICT	(1 << 30)
/* In fill_error: nothing but that it is not zero. */
#define LGUEST_FILL_HINT	(1 << 29)

/* event.vector of a guest system call */
#define LGUEST_VECTOR_SYSCALL	256

#define LGUEST_RING_SIZE	64

/*
 * Offsets into struct lguest_shared for assembler; checked below.
 */
#define LGS_IRQ_ENABLED		128
#define LGS_IRQ_PENDING		136
#define LGS_BUSY		152
#define LGS_EVENT_VECTOR	160
#define LGS_EVENT_ERROR		168
#define LGS_EVENT_RIP		176
#define LGS_EVENT_CS		184
#define LGS_EVENT_RFLAGS	192
#define LGS_EVENT_RSP		200
#define LGS_EVENT_SS		208
#define LGS_EVENT_RCX		216
#define LGS_EVENT_R11		224
#define LGS_IRET_RIP		232
#define LGS_IRET_CS		240
#define LGS_IRET_RFLAGS		248
#define LGS_IRET_RSP		256
#define LGS_IRET_SS		264
#define LGS_IRET_RAX		272
#define LGS_IRET_RCX		280
#define LGS_IRET_R11		288
#define LGS_CR2			296
#define LGS_USER_GS_BASE	304
#define LGS_KERNEL_GS_BASE	312
#define LGS_SP0			320
#define LGS_SCRATCH		328
#define LGS_FILL_ADDRESS	408
#define LGS_FILL_ERROR		416
#define LGS_DIRECT_FAULTS	424
#define LGS_HCALL_STATUS	432

#ifndef __ASSEMBLY__
#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>
typedef __u64 lguest_u64;
typedef __u32 lguest_u32;
typedef __u8 lguest_u8;
#else
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
typedef uint64_t lguest_u64;
typedef uint32_t lguest_u32;
typedef uint8_t lguest_u8;
#endif

/*
 * An event: what the CPU would have pushed.  The Host fills it, sets busy,
 * clears irq_enabled, and enters the guest at its event entry with
 *   rsp            as it was (the entry code changes stacks: sp0 from user)
 *   rcx, r11       lost; their values are here
 *   all others     as they were
 *   GS base        kernel_gs_base; that of user went to user_gs_base
 * The entry code copies the record and clears busy.  An exception while busy
 * is set is a double fault (vector 8, delivered once; a third ends the guest).
 *
 * cs has RPL 0 for events from the guest kernel and RPL 3 for guest user.
 * error is 0 for vectors without an error code.  rflags has IF as
 * irq_enabled was.  A guest system call arrives at syscall_entry instead,
 * with rip, rflags and rsp filled and vector 256.
 */
struct lguest_event {
	lguest_u64 vector;
	lguest_u64 error;
	lguest_u64 rip;
	lguest_u64 cs;
	lguest_u64 rflags;
	lguest_u64 rsp;
	lguest_u64 ss;
	lguest_u64 rcx;
	lguest_u64 r11;
};

/* The return record: what the IRET call takes (irq_enabled must be 0). */
struct lguest_iret {
	lguest_u64 rip;
	lguest_u64 cs;
	lguest_u64 rflags;
	lguest_u64 rsp;
	lguest_u64 ss;
	lguest_u64 rax;
	lguest_u64 rcx;
	lguest_u64 r11;
};

/*
 * Page faults.  The Host resolves by itself those that only mean
 * that its shadow tables lack an entry which the guest's tables have: the guest
 * sees its own faults only.
 *
 * A guest that sets direct_faults gets all faults of its user, and those of its
 * kernel in the lower half, without a visit to the Host, with cr2 set and the
 * real CPU's error code.  It must look into its own tables, and if they allow
 * the access, return by IRET with
 *	fill_address	cr2
 *	fill_error	the error code, plus LGUEST_FILL_STRICT
 * The Host clears fill_error, and does for the access at fill_address what it
 * would have done with its fault.  Without the STRICT bit it only fills
 * what it can: a hint to set before IRET from a fault that the guest has
 * resolved, which saves the user a second one.  (The Host sets it so itself for
 * faults that it gives to the guest.)
 */

/* A call in the ring: hcall_status goes 0xff (free) -> 0 (ready) -> 0xff. */
struct lguest_hcall {
	lguest_u64 number;
	lguest_u64 arg[4];
};

/*
 * The shared page: one per vCPU, in guest RAM, kept resident by the Host.
 * G: written by the guest, H: by the Host, B: by both, when the guest does
 * not run.  Nothing in it is trusted beyond its own guest.
 */
struct lguest_shared {
	lguest_u64 own[16];		/* G the Host ignores it (Linux's GDT) */
	lguest_u64 irq_enabled;		/* B virtual IF: LGUEST_IF or 0 */
	lguest_u64 irq_pending;		/* B non-zero: visit us when IF is set */
	lguest_u64 blocked_interrupts;	/* G bit n masks line n */
	lguest_u64 busy;		/* B event record not yet copied */
	struct lguest_event event;	/* H */
	struct lguest_iret iret;	/* G */
	lguest_u64 cr2;			/* B address of the last page fault */
	lguest_u64 user_gs_base;	/* B GS base of guest user */
	lguest_u64 kernel_gs_base;	/* G GS base for event entries */
	lguest_u64 sp0;			/* G kernel stack; the Host ignores it */
	lguest_u64 scratch[4];		/* G the Host ignores it */

	lguest_u64 tsc_khz;		/* H 0 if the TSC cannot keep time (any more) */
	lguest_u32 time_seq;		/* H odd while the next two change */
	lguest_u32 sleeps;		/* H twice those of its machine; odd: about to */
	lguest_u64 wall_sec;		/* H wall clock, UTC ... */
	lguest_u64 wall_nsec;		/* H ... at INIT, GET_TIME, interrupts */
	lguest_u64 vcpu;		/* H number of this vCPU */
	lguest_u64 dr6;			/* H debug status of the last vector 1 */
	lguest_u64 fill_address;	/* B see "Page faults" above */
	lguest_u64 fill_error;		/* B non-zero: fill_address counts */
	lguest_u64 direct_faults;	/* G non-zero: see there */

	lguest_u8 hcall_status[LGUEST_RING_SIZE];	/* B */
	struct lguest_hcall hcalls[LGUEST_RING_SIZE];	/* G */
	lguest_u64 set_timer;		/* B non-zero: as for SET_CLOCKEVENT */
	lguest_u64 vcpus;		/* H how many there are, by INIT */
};

#define LGS_CHECK(off, field) \
	_Static_assert(offsetof(struct lguest_shared, field) == (off), #field)
LGS_CHECK(LGS_IRQ_ENABLED, irq_enabled);
LGS_CHECK(LGS_IRQ_PENDING, irq_pending);
LGS_CHECK(LGS_BUSY, busy);
LGS_CHECK(LGS_EVENT_VECTOR, event.vector);
LGS_CHECK(LGS_EVENT_ERROR, event.error);
LGS_CHECK(LGS_EVENT_RIP, event.rip);
LGS_CHECK(LGS_EVENT_CS, event.cs);
LGS_CHECK(LGS_EVENT_RFLAGS, event.rflags);
LGS_CHECK(LGS_EVENT_RSP, event.rsp);
LGS_CHECK(LGS_EVENT_SS, event.ss);
LGS_CHECK(LGS_EVENT_RCX, event.rcx);
LGS_CHECK(LGS_EVENT_R11, event.r11);
LGS_CHECK(LGS_IRET_RIP, iret.rip);
LGS_CHECK(LGS_IRET_CS, iret.cs);
LGS_CHECK(LGS_IRET_RFLAGS, iret.rflags);
LGS_CHECK(LGS_IRET_RSP, iret.rsp);
LGS_CHECK(LGS_IRET_SS, iret.ss);
LGS_CHECK(LGS_IRET_RAX, iret.rax);
LGS_CHECK(LGS_IRET_RCX, iret.rcx);
LGS_CHECK(LGS_IRET_R11, iret.r11);
LGS_CHECK(LGS_CR2, cr2);
LGS_CHECK(LGS_USER_GS_BASE, user_gs_base);
LGS_CHECK(LGS_KERNEL_GS_BASE, kernel_gs_base);
LGS_CHECK(LGS_SP0, sp0);
LGS_CHECK(LGS_SCRATCH, scratch);
LGS_CHECK(LGS_FILL_ADDRESS, fill_address);
LGS_CHECK(LGS_FILL_ERROR, fill_error);
LGS_CHECK(LGS_DIRECT_FAULTS, direct_faults);
LGS_CHECK(LGS_HCALL_STATUS, hcall_status);
_Static_assert(sizeof(struct lguest_shared) <= 4096, "one page");
#undef LGS_CHECK

/*
 * Console port: one page of guest RAM with a ring each way, between the
 * guest layer and the launcher; the Host takes no part.  The layer fills in
 * magic and port, and makes the page known by NOTIFY(its guest-physical
 * address); it does the same whenever out_head moved.  The launcher takes
 * all output before the guest runs on, so the ring is then empty; it puts
 * input in and raises LGUEST_IRQ_CONSOLE.  While in_more is set the layer
 * also makes that call when it has emptied the input ring.  The four counters
 * run freely and are taken modulo the ring's size.
 */
#define LGUEST_CONSOLE_MAGIC	0x4e4f4347	/* "GCON" */
#define LGUEST_CONSOLE_IN	1024
#define LGUEST_CONSOLE_OUT	2048
#define LGUEST_CONSOLE_PORTS	4
#define LGUEST_PORT_CONSOLE	0	/* kernel messages, the shell */
#define LGUEST_PORT_STDOUT	1	/* of `lguest run -- COMMAND`; stdin, too */
#define LGUEST_PORT_STDERR	2
#define LGUEST_PORT_CONTROL	3	/* "exit N\n" before the power-off */

struct lguest_console {
	lguest_u32 magic;
	lguest_u32 port;
	lguest_u32 out_head;		/* G next byte to write */
	lguest_u32 out_tail;		/* L next byte to print */
	lguest_u32 in_head;		/* L next byte to write */
	lguest_u32 in_tail;		/* G next byte to read */
	lguest_u32 in_more;		/* L non-zero: more input waits */
	lguest_u8 reserved[996];
	lguest_u8 in[LGUEST_CONSOLE_IN];
	lguest_u8 out[LGUEST_CONSOLE_OUT];
};
_Static_assert(sizeof(struct lguest_console) == 4096, "one page");

#endif /* !__ASSEMBLY__ */

/*
 * Virtio devices: for each, the kernel's command line holds a parameter
 *	lguest.virtio=SIZE@ADDRESS:LINE
 * ADDRESS is that of its registers (virtio-mmio, version 2) in device memory,
 * page aligned; LINE is its interrupt line, raised anew for every event.  The
 * layer makes platform devices "virtio-mmio" of them, in this order.
 */
#define LGUEST_VIRTIO_PARAM	"lguest.virtio="

#endif /* _LGUEST_GUEST_H */
