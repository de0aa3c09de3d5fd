/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the Switcher's assembler and the Host's C share: where a vCPU's pages
 * lie in slot 256, and the layout of its state page.
 * Read next: switcher.S.
 */
#ifndef _LG_SWITCHER_H
#define _LG_SWITCHER_H

/*S:010
 * Slot 256 of the launcher's address space, and of every guest root, holds the
 * same thing: 64 KiB for each vCPU,
 *
 *	page 0, 1	the Switcher's text (an alias of the one copy)
 *	page 2		the IDT in force while this vCPU runs; its gates lead
 *			into pages 0 and 1
 *	page 3		the state page: struct lg_state
 *	page 4		the page it shares with its guest kernel
 *	others		not mapped
 *
 * all of it supervisor-only.  Text and state are a constant distance apart, so
 * that the Switcher finds its state relative to rip: in both worlds, without
 * any register, and whichever vCPU it runs for.
:*/
#define LG_TEXT_PAGES		2
#define LG_IDT_OFFSET		0x2000
#define LG_STATE_OFFSET		0x3000
#define LG_SHARED_OFFSET	0x4000
#define LG_VCPU_STRIDE		0x10000

/* Numbers beyond the 256 vectors, for what else ends a stay in the guest. */
#define LG_TRAP_SYSCALL		256	/* `syscall` from 64-bit code */
#define LG_TRAP_COMPAT		257	/* `syscall` from 32-bit code (AMD) */
#define LG_TRAP_NONE		258	/* never entered: an NMI came on the way */
#define LG_NR_TRAPS		259	/* those so far can end a stay, and are counted */
#define LG_TRAP_FILL		259	/* never raised: a hint after IRET */
#define LG_TRAP_SWITCHER	512	/* + vector: fault inside the Switcher */

/* Offsets into struct lg_state; lg.h checks them. */
#define LGST_R15	0
#define LGST_R14	8
#define LGST_R13	16
#define LGST_R12	24
#define LGST_RBP	32
#define LGST_RBX	40
#define LGST_R11	48
#define LGST_R10	56
#define LGST_R9		64
#define LGST_R8		72
#define LGST_RAX	80
#define LGST_RCX	88
#define LGST_RDX	96
#define LGST_RSI	104
#define LGST_RDI	112
#define LGST_RIP	128
#define LGST_CS		136
#define LGST_RFLAGS	144
#define LGST_RSP	152
#define LGST_SS		160
#define LGST_FS_BASE	168
#define LGST_GS_BASE	176
#define LGST_TRAPNUM	216
#define LGST_ERROR	224
#define LGST_HOST_CR3	232
#define LGST_HOST_RSP	240
#define LGST_HOST_GS	256
#define LGST_LOAD	264
#define LGST_NMIS	272
#define LGST_MCES	280
#define LGST_HOST_IDT	288
#define LGST_GUEST_IDT	304
#define LGST_STALE	320
#define LGST_NR_STALE	352	/* looked at as one word with: */
#define LGST_CHANGE_CR4	356
#define LGST_FLUSH_ALL	360
#define LGST_VERW	364
#define LGST_VERW_SEL	366
#define LGST_HOST_CR4	368
#define LGST_GUEST_CR4	376

#define LGST_USER	384
#define LGST_NOT_DIRECT	388
#define LGST_COME_HOME	392
#define LGST_HAS_PKU	396
#define LGST_SPACE	400
#define LGST_KEEP	408
#define LGST_SYSCALL_ENTRY 416
#define LGST_NEXT_HCALL	424
#define LGST_EVENT_ENTRY 432
#define LGST_DIRECT	440
#define LGST_SPACES	472

#define LG_NR_STALE	4

/*S:020
 * Address spaces that the Switcher may load by itself, the current one always
 * among them: for each, the guest's CR3 (with PCID, without the no-flush bit)
 * and what to load for each view.  When it has loaded such a word it sets bit
 * 63 in it: the next load may keep what is in the TLB (tlb.c).
:*/
#define LG_NR_SPACES	8
#define LG_SPACE_SIZE	24
#define LG_SPACE_CR3	0
#define LG_SPACE_KERNEL	8
#define LG_SPACE_USER	16

/* Counters of direct switches, 8 bytes each, at LGST_DIRECT. */
#define LG_DIRECT_SYSCALL 0
#define LG_DIRECT_IRET	1
#define LG_DIRECT_CR3	2
#define LG_DIRECT_FAULT	3
#define LG_NR_DIRECT	4

#endif /* _LG_SWITCHER_H */
