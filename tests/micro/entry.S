/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest half's way in and out: its first instruction, its event entry, and
 * run(), which goes to any state and returns with what that came to.
 *
 * GS points to the shared page while in guest kernel.  scratch[0] is non-zero
 * while run() is under way: the stack to go back to; scratch[1] its frame.
 */
#include "micro.h"
#include <lguest/guest.h>

	/* A word of the frame at rdi to its place in the return record. */
	.macro	put_field to, n
	mov	8 * \n(%rdi), %rax
	mov	%rax, %gs:\to
	.endm

	.text
	.globl guest_boot, guest_event_entry, guest_syscall_entry
	.globl guest_entry_end, run, guest_caught, guest_spin_in_entry

/* Linear mode: virtual = physical, all registers zero, but rdi of the others. */
guest_boot:
	mov	%edi, %ebx		/* which vCPU */
	mov	$LHCALL_LOAD_CR3, %eax
	mov	$BOOT_CR3, %edi
	lea	1f(%rip), %rsi
	add	$KERNEL_VA, %rsi
	syscall
	ud2
1:	mov	$(KERNEL_VA + KERNEL_STACK), %rsp
	mov	$(KERNEL_VA + SHARED_GPA), %rbp
	test	%ebx, %ebx
	jz	2f
	imul	$SIBLING_SIZE, %rbx, %rbp
	add	$(KERNEL_VA + SIBLINGS_GPA), %rbp
	lea	SIBLING_SIZE(%rbp), %rsp
2:	mov	$LHCALL_LOAD_CR3, %eax
	mov	$MAIN_CR3, %edi
	syscall
	wrgsbase %rbp
	mov	%ebx, %edi
	call	guest_main
	ud2

	.balign	16
guest_syscall_entry:
	incq	%gs:LGS_SCRATCH + 16
guest_event_entry:
	testb	$3, %gs:LGS_EVENT_CS
	jnz	1f
	cmpq	$0, %gs:LGS_SCRATCH
	je	2f
1:	mov	%gs:LGS_SP0, %rsp
2:	and	$-16, %rsp
	pushq	%gs:LGS_EVENT_SS
	pushq	%gs:LGS_EVENT_RSP
	pushq	%gs:LGS_EVENT_RFLAGS
	pushq	%gs:LGS_EVENT_CS
	pushq	%gs:LGS_EVENT_RIP
	pushq	%gs:LGS_EVENT_ERROR
	pushq	%gs:LGS_EVENT_VECTOR
	push	%rdi
	push	%rsi
	push	%rdx
	pushq	%gs:LGS_EVENT_RCX
	push	%rax
	push	%r8
	push	%r9
	push	%r10
	pushq	%gs:LGS_EVENT_R11
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	movq	$0, %gs:LGS_BUSY
	mov	%rsp, %rdi
	call	guest_event
	mov	%rsp, %rdi

/* To the state in the frame at rdi. */
resume:
	movq	$0, %gs:LGS_IRQ_ENABLED
	put_field LGS_IRET_RIP, 17
	put_field LGS_IRET_CS, 18
	put_field LGS_IRET_RFLAGS, 19
	put_field LGS_IRET_RSP, 20
	put_field LGS_IRET_SS, 21
	put_field LGS_IRET_R11, 6
	put_field LGS_IRET_RAX, 10
	put_field LGS_IRET_RCX, 11
	mov	8 * 0(%rdi), %r15
	mov	8 * 1(%rdi), %r14
	mov	8 * 2(%rdi), %r13
	mov	8 * 3(%rdi), %r12
	mov	8 * 4(%rdi), %rbp
	mov	8 * 5(%rdi), %rbx
	mov	8 * 7(%rdi), %r10
	mov	8 * 8(%rdi), %r9
	mov	8 * 9(%rdi), %r8
	mov	8 * 12(%rdi), %rdx
	mov	8 * 13(%rdi), %rsi
	mov	8 * 14(%rdi), %rdi
	mov	$LHCALL_IRET, %eax
	syscall
	ud2

/* Spin where nothing is delivered, until somebody changes scratch[3] again. */
guest_spin_in_entry:
	movq	$1, %gs:LGS_SCRATCH + 24
1:	pause
	cmpq	$1, %gs:LGS_SCRATCH + 24
	je	1b
	ret
guest_entry_end:

run:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %gs:LGS_SCRATCH
	mov	%rdi, %gs:LGS_SCRATCH + 8
	jmp	resume

/* An event ended a run(): return from it. */
guest_caught:
	mov	%gs:LGS_SCRATCH, %rsp
	movq	$0, %gs:LGS_SCRATCH
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.section .note.GNU-stack, "", @progbits
