/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The Switcher: the only code that runs in both worlds.
 *
 * It is data of the module, copied once to pages of its own and mapped in slot
 * 256 (switcher.h has the picture), so nothing here may need a relocation, an
 * alternative, a return thunk or any memory outside slots 256 and 508.  All of
 * it runs at CPL 0 with interrupts off.  What can still come is an NMI, a
 * machine check, or a debug exception: see trap_in_switcher.
 */
#include <linux/linkage.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>
#include "switcher.h"

	.section .rodata.switcher, "a"
	.balign 4096

#define STATE(field)	(switcher_start + LG_STATE_OFFSET + LGST_##field)(%rip)

#define USER_CS		0x33
#define USER32_CS	0x23
#define USER_DS		0x2b

	.globl switcher_start
switcher_start:

/*S:100
 * The 256 entry stubs: 16 bytes each, so that gate n leads to byte 16 * n.
 * The CPU has pushed ss, rsp, rflags, cs and rip on one of the host's entry
 * stacks (slot 508), and for some vectors an error code; the stub makes that
 * the same for all and adds the vector.
:*/
	.set vector, 0
	.rept 256
	.balign 16, 0xcc
	endbr64
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_entry
	.set vector, vector + 1
	.endr
	.balign 16, 0xcc

/*S:110
 * A trap or interrupt: the stack holds vector, error, rip, cs, rflags, rsp,
 * ss.  From ring 3 it ends the guest's turn: its registers go to the state
 * page, and we to the host.
:*/
trap_entry:
	testb	$3, 24(%rsp)
	jz	trap_in_switcher
	movq	%rcx, STATE(RCX)
	movq	%r11, STATE(R11)
	popq	STATE(TRAPNUM)
	popq	STATE(ERROR)
	popq	STATE(RIP)
	popq	STATE(CS)
	popq	STATE(RFLAGS)
	popq	STATE(RSP)
	popq	STATE(SS)
	jmp	leave_guest

/*S:120
 * The guest executed `syscall` (LSTAR points here while a vCPU is loaded).  No
 * stack is ours, and rsp is whatever the guest likes: not one push may happen
 * before to_host has set it.  Which of the two modes the guest was in, and so
 * whether this is a hypercall or a guest system call, is for C to know.
:*/
	.balign 16, 0xcc
	.globl switcher_syscall
switcher_syscall:
	endbr64
	movq	%rsp, STATE(RSP)
	movq	%rcx, STATE(RIP)
	movq	%rcx, STATE(RCX)
	movq	%r11, STATE(RFLAGS)
	movq	%r11, STATE(R11)
	movq	$USER_CS, STATE(CS)
	movq	$USER_DS, STATE(SS)
	movq	$LG_TRAP_SYSCALL, STATE(TRAPNUM)
	movq	$0, STATE(ERROR)
	jmp	leave_guest

	.balign 16, 0xcc
	.globl switcher_compat
switcher_compat:
	endbr64
	movq	%rsp, STATE(RSP)
	movq	%rcx, STATE(RIP)
	movq	%rcx, STATE(RCX)
	movq	%r11, STATE(RFLAGS)
	movq	%r11, STATE(R11)
	movq	$USER32_CS, STATE(CS)
	movq	$USER_DS, STATE(SS)
	movq	$LG_TRAP_COMPAT, STATE(TRAPNUM)
	movq	$0, STATE(ERROR)

/*S:130
 * Save the rest of the guest, then become the host again: its CR3, stack, FS
 * and GS bases, IDT and flags, in this order.  Until the IDT is the host's own
 * no host handler can run; once it is, everything else is in place.  The
 * guest's values are wiped from the registers before C code sees them.
:*/
leave_guest:
	movq	%rax, STATE(RAX)
	movq	%rbx, STATE(RBX)
	movq	%rdx, STATE(RDX)
	movq	%rsi, STATE(RSI)
	movq	%rdi, STATE(RDI)
	movq	%rbp, STATE(RBP)
	movq	%r8, STATE(R8)
	movq	%r9, STATE(R9)
	movq	%r10, STATE(R10)
	movq	%r12, STATE(R12)
	movq	%r13, STATE(R13)
	movq	%r14, STATE(R14)
	movq	%r15, STATE(R15)
	rdfsbase %rax
	movq	%rax, STATE(FS_BASE)
	rdgsbase %rax
	movq	%rax, STATE(GS_BASE)
to_host:
	movq	STATE(HOST_CR3), %rax
	movq	%rax, %cr3
	movq	STATE(HOST_RSP), %rsp
	movq	STATE(HOST_FS), %rax
	wrfsbase %rax
	movq	STATE(HOST_GS), %rax
	wrgsbase %rax
	lidt	STATE(HOST_IDT)
	pushq	$2		/* clears AC, DF, NT, TF: all the guest's */
	popfq
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	int3

/*S:140
 * The way in: called from C (run_guest_once) through slot 256 of the launcher,
 * interrupts off.  It returns from leave_guest, with the reason in the state
 * page.  Our IDT comes first, so that an NMI from here on finds us and not a
 * host handler that would run on the guest's CR3.
:*/
	.balign 16, 0xcc
	.globl switcher_enter
switcher_enter:
	endbr64
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, STATE(HOST_RSP)
	lidt	STATE(GUEST_IDT)
entering:
	movq	STATE(GUEST_CR3), %rax
	movq	%rax, %cr3
	cmpl	$0, STATE(NR_STALE)
	jne	flush_stale
flushed:
	movq	STATE(FS_BASE), %rax
	wrfsbase %rax
	movq	STATE(GS_BASE), %rax
	wrgsbase %rax
	cmpl	$0, STATE(VERW)
	je	1f
	verw	STATE(VERW_SEL)
1:
	movq	STATE(R15), %r15
	movq	STATE(R14), %r14
	movq	STATE(R13), %r13
	movq	STATE(R12), %r12
	movq	STATE(RBP), %rbp
	movq	STATE(RBX), %rbx
	movq	STATE(R11), %r11
	movq	STATE(R10), %r10
	movq	STATE(R9), %r9
	movq	STATE(R8), %r8
	movq	STATE(RAX), %rax
	movq	STATE(RCX), %rcx
	movq	STATE(RDX), %rdx
	movq	STATE(RSI), %rsi
	movq	STATE(RDI), %rdi
	/* rip, cs, rflags, rsp, ss lie there in the order that iretq pops. */
	leaq	STATE(RIP), %rsp
	iretq

/*S:150
 * The host's own kernel mappings may be global, and then survive the CR3 load:
 * if a guest address coincides, the guest gets a page fault though its shadow
 * entry is right.  C puts such addresses here, and they are flushed now, when
 * nothing can bring the host's entry back; if that does not help, everything
 * is, by turning global pages off and on.
:*/
flush_stale:
	cmpl	$0, STATE(FLUSH_ALL)
	je	1f
	movq	%cr4, %rax
	movq	%rax, %rbx
	xorq	$0x80, %rax
	movq	%rax, %cr4
	movq	%rbx, %cr4
	jmp	flushed
1:	movq	STATE(STALE), %rax
	invlpg	(%rax)
	movq	STATE(STALE + 8), %rax
	invlpg	(%rax)
	movq	STATE(STALE + 16), %rax
	invlpg	(%rax)
	movq	STATE(STALE + 24), %rax
	invlpg	(%rax)
	jmp	flushed
entered:

/*S:160
 * A trap at CPL 0, so in the Switcher itself.
 *
 * An NMI or a machine check belongs to the host, and may not be handled on a
 * guest's CR3: count it, and let C raise it again when we are home.  If it came
 * on the way in we turn round at once; else we are nearly home anyway.
 *
 * A debug exception can only be left over from guest tricks (`mov ss` and a
 * breakpoint, then `syscall`): it is dropped.
 *
 * Anything else is a fault of the last instructions of the way in, which loaded
 * what the guest gave us: back to C, which ends the guest.
:*/
trap_in_switcher:
	pushq	%rax
	movq	8(%rsp), %rax
	cmpl	$2, %eax
	je	nmi_in_switcher
	cmpl	$18, %eax
	je	mce_in_switcher
	cmpl	$1, %eax
	je	debug_in_switcher
	addl	$LG_TRAP_SWITCHER, %eax
	movq	%rax, STATE(TRAPNUM)
	movq	16(%rsp), %rax
	movq	%rax, STATE(ERROR)
	jmp	to_host

nmi_in_switcher:
	incq	STATE(NMIS)
	jmp	turn_round
mce_in_switcher:
	incq	STATE(MCES)
turn_round:
	leaq	entering(%rip), %rax
	cmpq	%rax, 24(%rsp)
	jb	back_to_switcher
	leaq	entered(%rip), %rax
	cmpq	%rax, 24(%rsp)
	jae	back_to_switcher
	leaq	never_entered(%rip), %rax
	movq	%rax, 24(%rsp)
back_to_switcher:
	popq	%rax
	addq	$16, %rsp
	iretq
debug_in_switcher:
	andq	$~0x100, 40(%rsp)	/* TF */
	jmp	back_to_switcher

never_entered:
	movq	$LG_TRAP_NONE, STATE(TRAPNUM)
	jmp	to_host

	.globl switcher_end
switcher_end:

/*S:170
 * Raising a host interrupt again, from C on the host: `int n` at CPL 0 through
 * the host's own gate.  The `sti` before it makes the frame show interrupts
 * enabled, as it was when the interrupt struck (some handlers look), while its
 * shadow keeps others out until the gate has closed again.  NMI (2) and machine
 * check (18) go without.
:*/
	.text
	.balign 16
	.set vector, 0
SYM_CODE_START(raise_vector_stubs)
	.rept 256
	.balign 16, 0xcc
	UNWIND_HINT_FUNC
	endbr64
	.if vector >= 32
	sti
	.endif
	.byte	0xcd, vector
	jmp	raise_vector_done
	.set vector, vector + 1
	.endr
raise_vector_done:
	RET
SYM_CODE_END(raise_vector_stubs)
