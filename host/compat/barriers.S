/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two functions that the kernel's own macros call, under its names: UNTRAIN_RET_VM,
 * indirect_branch_prediction_barrier() and CLEAR_BRANCH_HISTORY_VMEXIT.  From 7.2 on at the
 * latest the kernel has them for itself and KVM's modules (LG_KVM_ONLY, see Kbuild).
 *
 * Both run right after a guest, before anything has been done about what it taught the
 * predictors: so they have no indirect jump, and return only as the kernel's do.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>

	.section .noinstr.text, "ax"

/*
 * A barrier (IBPB) for everything that the indirect predictors have learnt.  On some CPUs
 * it leaves the return stack as it is.  (The kernel may know that a lesser one will do on
 * this CPU, SBPB; this one does what that does.)  Changes rax, rcx, rdx.
 */
SYM_FUNC_START(write_ibpb)
	ANNOTATE_NOENDBR
	movl	$MSR_IA32_PRED_CMD, %ecx
	movl	$PRED_CMD_IBPB, %eax
	xorl	%edx, %edx
	wrmsr
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_BUG_IBPB_NO_RET
	RET
SYM_FUNC_END(write_ibpb)

/*
 * Overwrite the history of branches, by which a CPU chooses among its predictions: the
 * sequence that Intel gives in "Branch History Injection and Intra-mode Branch Target
 * Injection", for CPUs up to those that can do it themselves (BHI_DIS_S).  It has to be
 * these branches: five rounds, each a call deeper, of five times two taken jumps.
 * An lfence keeps what follows from beginning earlier.  Changes rax, rcx.
 *
 * A return in the lower half of a cache line is slow where ITS is cured, and would be
 * more than one branch there: so those inside begin the upper half.
 */
SYM_FUNC_START(clear_bhb_loop)
	ANNOTATE_NOENDBR
	pushq	%rbp
	movq	%rsp, %rbp
	movl	$5, %ecx
	ANNOTATE_INTRA_FUNCTION_CALL
	call	.Lround
	jmp	.Ldone

	.balign 64, 0xcc
	.skip	32 - (.Lround_return - .Lround), 0xcc
	ANNOTATE_INTRA_FUNCTION_CALL
.Lround:
	call	.Ljumps
.Lround_return:
	RET

	.balign 64, 0xcc
	.skip	32 - (.Ljumps_return - .Ljumps), 0xcc
.Ljumps:
	movl	$5, %eax
.Ljump:
	jmp	.Lland
	nop
.Lland:
	subl	$1, %eax
	jnz	.Ljump
	subl	$1, %ecx
	jnz	.Lround
.Ljumps_return:
	RET
.Ldone:
	lfence
	popq	%rbp
	RET
SYM_FUNC_END(clear_bhb_loop)
STACK_FRAME_NON_STANDARD(clear_bhb_loop)
