/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest layer's assembler: the guest's first instructions, the entry of
 * events and system calls, the way back, and those pv_ops whose callers expect
 * every register but rax to be kept.
 *
 * All of it runs at hardware ring 3.  "Interrupts" means virtual interrupts:
 * irq_enabled in the shared page, which %gs leads to as to all data of a CPU.
 * Read next: layer.h.
 */
#include <generated/utsrelease.h>
#include <linux/linkage.h>
#include <asm/page_types.h>
#include <asm/pgtable_types.h>
#include <asm/segment.h>
#include <asm/thread_info.h>
#include "compat/cmpxchg16b.h"
#include "layer.h"

#define SHARED(field)	%gs:gdt_page + LGS_##field(%rip)
#define LOCAL(field)	%gs:gdt_page + LGL_##field(%rip)
/* sizeof(struct pt_regs): head_64.S leaves as much at the initial stack's top. */
#define PT_REGS_SIZE	(21 * 8)
#define INIT_STACK_TOP	(init_thread_union + THREAD_SIZE - \
			 TOP_OF_KERNEL_STACK_PADDING)
/* Entries of a PGD: of PAGE_OFFSET and of __START_KERNEL_map. */
#define PGD_DIRECT_MAP	(273 * 8)
#define PGD_IMAGE	(511 * 8)

/*S:310
 * The first instructions of the guest.  The vCPU starts here, at the physical
 * address of lguest_start (the ELF entry), with virtual = physical, no stack,
 * interrupts off, %rdi = its number, and %rsi = guest-physical address of boot_params.
 *
 * Two hypercalls: INIT tells the Host where our events arrive, and LOAD_CR3
 * ends linear mode.  In between we complete the kernel's init_top_pgt: it maps
 * the first GiB twice (virtual = physical, where we are, and the direct map), the
 * kernel's image, and, by the linker's doing, us.  (6.1 and 6.12 have just
 * that in their images; in those of 7.x the page is empty.)
:*/
#define PA(symbol)	(symbol - __START_KERNEL_map)
#define LAYER_PA_OF(symbol) (symbol - LAYER_VA + LAYER_PA)

	.section .text, "ax"
SYM_CODE_START(lguest_start)
	endbr64
	testl	%edi, %edi
	jnz	lguest_start_other
	movq	%rsi, %rbx
	/*
	 * The page of vCPU 0.  Per-CPU data have only their initial image so far.  Their
	 * addresses began at 0, and this is the image's; from 6.15 on they begin at the
	 * image, and there is no such symbol: 0.
	 */
	.weak	init_per_cpu__fixed_percpu_data
	movq	$init_per_cpu__fixed_percpu_data, %rdi
	addq	$gdt_page, %rdi
	subq	$__START_KERNEL_map, %rdi
	movq	$lguest_event_entry, %rsi
	movq	$lguest_syscall_entry, %rdx
	movq	$lguest_entry_end, %r10
	movl	$LHCALL_INIT, %eax
	syscall

	movl	$PA(init_top_pgt), %edi
	movl	$(LAYER_PA_OF(first_gib) + _KERNPG_TABLE_NOENC), %eax
	movq	%rax, (%rdi)
	movq	%rax, PGD_DIRECT_MAP(%rdi)
	movl	$(PA(level3_kernel_pgt) + _PAGE_TABLE_NOENC), %eax
	movq	%rax, PGD_IMAGE(%rdi)
	movq	$.Lhigh, %rsi
	movl	$LHCALL_LOAD_CR3, %eax
	syscall
	ud2

.Lhigh:
	endbr64
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	wrfsbase %rax
	movq	$init_per_cpu__fixed_percpu_data, %rax
	wrgsbase %rax
	movq	%rax, SHARED(KERNEL_GS_BASE)

	movq	$(INIT_STACK_TOP - PT_REGS_SIZE), %rsp
	movq	$INIT_STACK_TOP, %rax
	movq	%rax, SHARED(SP0)
	xorl	%ebp, %ebp
	movq	%rbx, %rdi
	call	lguest_start_kernel
	ud2
SYM_CODE_END(lguest_start)

/*S:315
 * Another vCPU, which Linux has just kicked (smp.c).  Nothing is mapped virtual =
 * physical any more.
 *
 * After it was offline lguest_become() is all there is to do.
:*/
SYM_CODE_START_LOCAL(lguest_start_other)
	movl	%edi, %ebx
	shll	$LGO_SHIFT, %ebx
	addq	$LAYER_PA_OF(lguest_others), %rbx
	movq	LGO_SHARED(%rbx), %rdi
	movq	$lguest_event_entry, %rsi
	movq	$lguest_syscall_entry, %rdx
	movq	$lguest_entry_end, %r10
	movl	$LHCALL_INIT, %eax
	syscall
	movl	$PA(init_top_pgt), %edi
	movq	$.Lother_high, %rsi
	movl	$LHCALL_LOAD_CR3, %eax
	syscall
	ud2

.Lother_high:
	endbr64
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	wrfsbase %rax
	leaq	LAYER_VA - LAYER_PA(%rbx), %rdi
SYM_INNER_LABEL(lguest_become, SYM_L_GLOBAL)
	endbr64
	movq	LGO_GS_BASE(%rdi), %rax
	wrgsbase %rax
	movq	LGO_STACK(%rdi), %rsp
	movq	LGO_CODE(%rdi), %rax
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	call	*%rax
	ud2
SYM_CODE_END(lguest_start_other)

/*S:320
 * Entry code: from here to lguest_entry_end the Host delivers no interrupt.
:*/
	.section .entry.text, "ax"

/*S:321
 * A trap or interrupt.  The Host has put what the CPU would have pushed into
 * the shared page, and left us the stack pointer of the interrupted code, rcx
 * and r11.  We build the frame that the hardware would have built, on the
 * stack that it would have taken, and go to the handler that Linux named in
 * its IDT:
 *
 *	ss  rsp  rflags  cs  rip  [error code]  <- rsp
 *
 * Once busy is clear the record may be overwritten, so the handler's address
 * goes to the scratch slot, which nobody but us touches; with interrupts off
 * there is nothing that could arrive before the jump.
:*/
SYM_CODE_START(lguest_event_entry)
	endbr64
	testb	$3, SHARED(EVENT_CS)
	jnz	.Lfrom_user
	andq	$-16, %rsp
.Lframe:
	movl	SHARED(EVENT_VECTOR), %r11d
	cmpl	$8, %r11d
	je	.Ldouble_fault
.Lpush:
	pushq	SHARED(EVENT_SS)
	pushq	SHARED(EVENT_RSP)
	pushq	SHARED(EVENT_RFLAGS)
	pushq	SHARED(EVENT_CS)
	pushq	SHARED(EVENT_RIP)
	/* Vectors with an error code: 8, 10-14, 17, 21, 29, 30. */
	cmpl	$31, %r11d
	ja	.Lno_error
	movl	$0x60227d00, %ecx
	btl	%r11d, %ecx
	jnc	.Lno_error
	pushq	SHARED(EVENT_ERROR)
.Lno_error:
	leaq	lguest_handlers(%rip), %rcx
	movq	(%rcx, %r11, 8), %rcx
	movq	%rcx, SHARED(SCRATCH)
	movq	SHARED(EVENT_RCX), %rcx
	movq	SHARED(EVENT_R11), %r11
	movq	$0, SHARED(BUSY)
	jmp	*SHARED(SCRATCH)
	int3

.Lfrom_user:
	movq	SHARED(SP0), %rsp
	jmp	.Lframe

	/* A double fault mostly means that the stack is no good.  Each vCPU has one for it. */
.Ldouble_fault:
	movq	LOCAL(DF_STACK), %rsp
	jmp	.Lpush
SYM_CODE_END(lguest_event_entry)

/*S:322
 * A system call of guest user.  Only rip, rsp and rflags are in the record;
 * the selectors are what the hardware's SYSCALL would have loaded, and rcx and
 * r11 are what it would have left.
:*/
SYM_CODE_START(lguest_syscall_entry)
	endbr64
	movq	SHARED(SP0), %rsp
	pushq	$__USER_DS
	pushq	SHARED(EVENT_RSP)
	pushq	SHARED(EVENT_RFLAGS)
	pushq	$__USER_CS
	pushq	SHARED(EVENT_RIP)
	movq	SHARED(EVENT_RIP), %rcx
	movq	SHARED(EVENT_RFLAGS), %r11
	movq	$0, SHARED(BUSY)
	jmp	entry_SYSCALL_64_after_hwframe
	int3
SYM_CODE_END(lguest_syscall_entry)

/*S:323
 * The way back.  boot.c makes xen_iret and early_xen_iret_patch, the two ends
 * of Linux's return path under X86_FEATURE_XENPV, jump here: with the frame on
 * the stack, all registers as they shall be, and interrupts off.  The frame
 * and the registers that the hypercall destroys go into the return record.
:*/
SYM_CODE_START(lguest_iret)
	endbr64
	movq	$0, SHARED(IRQ_ENABLED)
	movl	$0, LOCAL(FLUSH_LATER)
	movq	%rax, SHARED(IRET_RAX)
	movq	%rcx, SHARED(IRET_RCX)
	movq	%r11, SHARED(IRET_R11)
	popq	SHARED(IRET_RIP)
	popq	SHARED(IRET_CS)
	popq	SHARED(IRET_RFLAGS)
	popq	SHARED(IRET_RSP)
	popq	SHARED(IRET_SS)
	movl	$LHCALL_IRET, %eax
	syscall
	ud2
SYM_CODE_END(lguest_iret)

/*S:324
 * Loads %gs, and keeps its base.  Returns the base that came with the selector.
:*/
SYM_CODE_START(lguest_load_gs)
	endbr64
	rdgsbase %rdx
	movl	%edi, %gs
	rdgsbase %rax
	wrgsbase %rdx
	ret
	int3
SYM_CODE_END(lguest_load_gs)
SYM_INNER_LABEL(lguest_entry_end, SYM_L_GLOBAL)

/* A C function decides, by the frame, how it goes on: zero flag set if by Linux's handler. */
.macro ASK function
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	cld
	leaq	72(%rsp), %rdi
	call	\function
	testl	%eax, %eax
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
.endm

/*S:325
 * A page fault.  Those at user addresses the Host did not look at
 * (direct_faults); lguest_sort_fault() does.  It leaves a request for the Host
 * in the shared page, and either that is all there is to do, or Linux's handler
 * follows, with the error code as the guest's own tables make it.
:*/
	.section .text, "ax"
SYM_CODE_START(lguest_page_fault)
	endbr64
	movl	$1, LOCAL(FLUSH_LATER)
	ASK	lguest_sort_fault
	jnz	2f
	jmp	*linux_page_fault(%rip)
	int3
2:	leaq	8(%rsp), %rsp
	jmp	lguest_iret
	int3
SYM_CODE_END(lguest_page_fault)

#ifdef CONFIG_IA32_EMULATION
/*S:327
 * A general protection fault.  SYSENTER is one, as the Host leaves it no way in; but
 * 32-bit programs may use it where the CPU has it (Linux's vDSO does not offer it then).
 * Its entry wants the same frame without the error code.
:*/
SYM_CODE_START(lguest_general_protection)
	endbr64
	ASK	lguest_is_sysenter
	jnz	2f
	jmp	*linux_general_protection(%rip)
	int3
2:	leaq	8(%rsp), %rsp
	jmp	entry_SYSENTER_compat_after_hwframe
	int3
SYM_CODE_END(lguest_general_protection)
#endif

/*S:330
 * Interrupt on and off, without a visit to the Host unless an interrupt, or a
 * flush in the ring, has been waiting.  Nothing but rax may change.
:*/
	.section .text, "ax"
SYM_CODE_START(lguest_save_fl)
	endbr64
	movq	SHARED(IRQ_ENABLED), %rax
	ret
	int3
SYM_CODE_END(lguest_save_fl)

SYM_CODE_START(lguest_irq_disable)
	endbr64
	movq	$0, SHARED(IRQ_ENABLED)
	ret
	int3
SYM_CODE_END(lguest_irq_disable)

/*
 * An interrupt that comes between the two instructions is delivered at once:
 * the test then finds nothing, or asks once too often.
 */
SYM_CODE_START(lguest_irq_enable)
	endbr64
	movq	$LGUEST_IF, SHARED(IRQ_ENABLED)
	cmpq	$0, SHARED(IRQ_PENDING)
	jne	1f
	cmpl	$0, LOCAL(RING_WAITS)
	jne	2f
	ret
	int3
1:	movl	$LHCALL_SEND_INTERRUPTS, %eax
	jmp	3f
2:	movl	$LHCALL_FLUSH_ASYNC, %eax
3:	movl	$0, LOCAL(RING_WAITS)
	pushq	%rcx
	pushq	%r11
	syscall
	popq	%r11
	popq	%rcx
	ret
	int3
SYM_CODE_END(lguest_irq_enable)

SYM_CODE_START(lguest_read_cr2)
	endbr64
	movq	SHARED(CR2), %rax
	ret
	int3
SYM_CODE_END(lguest_read_cr2)

/*
 * In place of this_cpu_cmpxchg16b_emu(), which Linux uses until it has patched
 * itself, and which begins with a `cli` that no op replaces.  Every CPU with
 * FSGSBASE has the instruction.
 */
SYM_CODE_START(lguest_cmpxchg16b)
	endbr64
	cmpxchg16b %gs:(%rsi)
	CMPXCHG16B_RESULT
	ret
	int3
SYM_CODE_END(lguest_cmpxchg16b)

/*S:340
 * For vectors that Linux has no handler for (yet).  Entered like those, with
 * the frame on the stack; does not return.
:*/
SYM_CODE_START(lguest_no_handler)
	endbr64
	cld
	andq	$-16, %rsp
	call	lguest_unexpected
	ud2
SYM_CODE_END(lguest_no_handler)

	.section .data, "aw"
	.balign 8
SYM_DATA_START(lguest_handlers)
	.rept	256
	.quad	lguest_no_handler
	.endr
SYM_DATA_END(lguest_handlers)

	.section .data..page_aligned, "aw"
	.balign PAGE_SIZE
	.fill	2 * PAGE_SIZE, 1, 0
SYM_DATA(lguest_df_stack_end,)

/* The first GiB, in large pages, for the first instructions and early boot. */
	.section .data..page_aligned, "aw"
	.balign PAGE_SIZE
SYM_DATA_START_LOCAL(first_gib)
	.quad	LAYER_PA_OF(first_gib_pmd) + _KERNPG_TABLE_NOENC
	.fill	511, 8, 0
SYM_DATA_END(first_gib)
SYM_DATA_START_LOCAL(first_gib_pmd)
	.set	at, 0
	.rept	512
	.quad	at + __PAGE_KERNEL_LARGE_EXEC
	.set	at, at + 0x200000
	.endr
SYM_DATA_END(first_gib_pmd)

/*
 * The page table of the layer's own 2 MiB.  The linker fills it, as it knows
 * where the segments begin and end.
 */
	.section .lguest.pte, "aw"
	.balign PAGE_SIZE
SYM_DATA_START(lguest_layer_pte)
	.fill	PAGE_SIZE, 1, 0
SYM_DATA_END(lguest_layer_pte)

/* Which kernel this was compiled for: the linker takes no other. */
	.section .lguest.release, "", @progbits
	.asciz	UTS_RELEASE

	.section .note.GNU-stack, "", @progbits
