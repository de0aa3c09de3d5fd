/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The Switcher: the only code that runs in both worlds.
 *
 * It is data of the module, copied once to pages of its own and mapped in slot
 * 256 (switcher.h has the picture), so nothing here may need a relocation, an
 * alternative, a return thunk or any memory outside slots 256 and 508.  All of
 * it runs at CPL 0 with interrupts off.  What can still come is an NMI, a
 * machine check, or a debug exception: see trap_in_switcher.
 * Read next: guest/entry.S.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>
#include <asm/unwind_hints.h>
#include <lguest/guest.h>
#include "switcher.h"
#include "compat/mitigations.h"

	.section .rodata.switcher, "a"
	.balign 4096

#define STATE(field)	(switcher_start + LG_STATE_OFFSET + LGST_##field)(%rip)

#define SHARED(field)	(switcher_start + LG_SHARED_OFFSET + LGS_##field)(%rip)
#define DIRECT(which) \
	(switcher_start + LG_STATE_OFFSET + LGST_DIRECT + 8 * LG_DIRECT_##which)(%rip)

#define OWN_STACK (switcher_start + LG_STATE_OFFSET + 4096)(%rip)

#define REAL_FLAGS	0x202		/* IF and the bit that is always set */
#define DR6_CLEAR	0xffff0ff0
#define MCG_RIPV	1		/* of MSR_IA32_MCG_STATUS */
#define HOST_CS		0x10
#define KERNEL_DS	0x18
#define GUEST_KERNEL_CS	0x10
#define GUEST_KERNEL_SS	0x18
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
	cmpq	$14, STATE(TRAPNUM)
	jne	leave_guest
	cmpl	$0, STATE(NOT_DIRECT)
	jne	leave_guest
	jmp	maybe_direct_fault

/*S:120
 * The guest executed `syscall` (LSTAR points here while a vCPU is loaded).  No
 * stack is ours, and rsp is whatever the guest likes: not one push may happen
 * before we have one, at the end of the state page.  In the user view this is a
 * guest system call, in the kernel view a hypercall; most of the first kind and
 * some of the second are done right here, unless the host has a reason against
 * it (not_direct).
:*/
	.balign 16, 0xcc
	.globl switcher_syscall
switcher_syscall:
	endbr64
	movq	%rsp, STATE(RSP)
	leaq	OWN_STACK, %rsp
syscall_on_stack:
	movq	%rcx, STATE(RIP)
	movq	%rcx, STATE(RCX)
	movq	%r11, STATE(RFLAGS)
	movq	%r11, STATE(R11)
	movq	%rax, STATE(RAX)
	movq	%rdx, STATE(RDX)
	movq	$USER_CS, STATE(CS)
	movq	$USER_DS, STATE(SS)
	cmpl	$0, STATE(NOT_DIRECT)
	jne	syscall_to_host
	cmpl	$0, STATE(USER)
	jne	direct_syscall
	/* All hypercalls wait for those in the ring, and those for the host. */
	movq	STATE(NEXT_HCALL), %rcx
	leaq	switcher_start + LG_SHARED_OFFSET + LGS_HCALL_STATUS(%rip), %rdx
	cmpb	$0xff, (%rdx, %rcx)
	jne	syscall_to_host
	cmpq	$LHCALL_IRET, %rax
	je	direct_iret
	cmpq	$LHCALL_LOAD_CR3, %rax
	je	direct_cr3

syscall_to_host:
	movq	$LG_TRAP_SYSCALL, STATE(TRAPNUM)
	movq	$0, STATE(ERROR)
	movq	STATE(RAX), %rax
	movq	STATE(RDX), %rdx
	jmp	leave_guest

/*
 * Load CR3 from a word of the table of spaces.  What was in the TLB for this
 * PCID, if anything, is right from now on, until the host says otherwise.
 */
.macro LOAD_CR3 word
	movq	\word, %rax
	movq	%rax, %cr3
	movq	STATE(KEEP), %rax
	orq	%rax, \word
.endm

.macro JUMP_UNLESS_CANONICAL reg scratch target
	movq	\reg, \scratch
	shlq	$16, \scratch
	sarq	$16, \scratch
	cmpq	\reg, \scratch
	jne	\target
.endm

/*S:200
 * Guest user -> guest kernel, on `syscall`.  What deliver_syscall() does in C:
 * fill the event record, turn virtual interrupts off, change GS base and view,
 * and go on at the entry point that the guest kernel registered.
 *
 * From here on rax, rcx, rdx and r11 are free: the guest's are in the state
 * page.  Nothing is changed before the last test has been passed.  Each field
 * of the shared page, which another vCPU of the guest may write to meanwhile,
 * is read just once.
:*/
direct_syscall:
	/* Reasons for the host: a record not taken, closed keys, an odd GS base. */
	cmpq	$0, SHARED(BUSY)
	jne	syscall_to_host
	cmpl	$0, STATE(HAS_PKU)
	je	1f
	xorl	%ecx, %ecx
	rdpkru				/* also clears edx */
	testl	%eax, %eax
	jne	syscall_to_host
1:	movq	SHARED(KERNEL_GS_BASE), %rax
	JUMP_UNLESS_CANONICAL %rax, %rdx, syscall_to_host

	/* The last test is passed.  What SWAPGS would do, ... */
	rdgsbase %rdx
	movq	%rdx, SHARED(USER_GS_BASE)
	wrgsbase %rax
	/* ... the event record, its flags with the virtual IF, ... */
	movq	$LGUEST_VECTOR_SYSCALL, SHARED(EVENT_VECTOR)
	movq	$0, SHARED(EVENT_ERROR)
	movq	STATE(RIP), %rcx
	movq	%rcx, SHARED(EVENT_RIP)
	movq	%rcx, SHARED(EVENT_RCX)
	movq	$USER_CS, SHARED(EVENT_CS)
	movq	$USER_DS, SHARED(EVENT_SS)
	movq	STATE(RSP), %rdx
	movq	%rdx, SHARED(EVENT_RSP)
	movq	%r11, SHARED(EVENT_R11)
	andq	$~LGUEST_IF, %r11
	movq	SHARED(IRQ_ENABLED), %rax
	andl	$LGUEST_IF, %eax
	orq	%rax, %r11
	movq	%r11, SHARED(EVENT_RFLAGS)
	/* ... interrupts off until the record is taken. */
	movq	$0, SHARED(IRQ_ENABLED)
	movq	$1, SHARED(BUSY)

	incq	DIRECT(SYSCALL)
	movq	STATE(SYSCALL_ENTRY), %rcx
to_guest_kernel:
	movl	$0, STATE(USER)
	movq	STATE(SPACE), %rdx
	LOAD_CR3 LG_SPACE_KERNEL(%rdx)
to_entry_code:
	movl	$REAL_FLAGS, %r11d
	movq	%rcx, STATE(RIP)
	movq	%rcx, STATE(RCX)
	movq	%r11, STATE(RFLAGS)
	movq	%r11, STATE(R11)
	jmp	back_by_sysret

#define PF_USER		4
#define PF_NOT_PLAIN	~7 & ~0x10	/* all but present, write, user, fetch */

/*S:205
 * A page fault at a user's address, if the guest wants to look at these first
 * (direct_faults): fill_record() and give_fault() in C.  A fault of protection
 * keys, or at an address that this guest's CPU does not have, is not for it to
 * see; nor is one in the kernel's half: of the guest kernel it may be one that the
 * entry code needs, and of its user it may be due to a global entry of the host,
 * whose error code tells where the host has pages.
:*/
maybe_direct_fault:
	movq	%rax, STATE(RAX)
	movq	%rdx, STATE(RDX)
	leaq	OWN_STACK, %rsp
	cmpq	$0, SHARED(DIRECT_FAULTS)
	je	fault_to_host
	cmpq	$0, SHARED(BUSY)
	jne	fault_to_host
	movq	STATE(ERROR), %rax
	testq	$PF_NOT_PLAIN, %rax
	jnz	fault_to_host
	testl	$PF_USER, %eax
	jz	fault_to_host
	movq	%cr2, %rcx
	JUMP_UNLESS_CANONICAL %rcx, %rdx, fault_to_host
	testq	%rcx, %rcx
	js	fault_to_host
	cmpl	$0, STATE(USER)
	jne	fault_of_user

	andq	$~PF_USER, STATE(ERROR)
	movq	$GUEST_KERNEL_CS, SHARED(EVENT_CS)
	movq	$GUEST_KERNEL_SS, SHARED(EVENT_SS)
	jmp	fill_fault_record

fault_of_user:
	cmpq	$USER_CS, STATE(CS)
	jne	fault_to_host
	cmpl	$0, STATE(HAS_PKU)
	je	1f
	xorl	%ecx, %ecx
	rdpkru
	testl	%eax, %eax
	jne	fault_to_host
1:	movq	SHARED(KERNEL_GS_BASE), %rax
	JUMP_UNLESS_CANONICAL %rax, %rdx, fault_to_host

	rdgsbase %rdx
	movq	%rdx, SHARED(USER_GS_BASE)
	wrgsbase %rax
	movq	$USER_CS, SHARED(EVENT_CS)
	movq	STATE(SS), %rax
	movq	%rax, SHARED(EVENT_SS)

fill_fault_record:
	movq	%cr2, %rcx
	movq	%rcx, SHARED(CR2)
	movq	$14, SHARED(EVENT_VECTOR)
	movq	STATE(ERROR), %rax
	movq	%rax, SHARED(EVENT_ERROR)
	movq	STATE(RIP), %rax
	movq	%rax, SHARED(EVENT_RIP)
	movq	STATE(RSP), %rax
	movq	%rax, SHARED(EVENT_RSP)
	movq	STATE(RCX), %rax
	movq	%rax, SHARED(EVENT_RCX)
	movq	%r11, SHARED(EVENT_R11)
	movq	STATE(RFLAGS), %rcx
	andq	$~LGUEST_IF, %rcx
	movq	SHARED(IRQ_ENABLED), %rax
	andl	$LGUEST_IF, %eax
	orq	%rax, %rcx
	movq	%rcx, SHARED(EVENT_RFLAGS)
	movq	$0, SHARED(IRQ_ENABLED)
	movq	$1, SHARED(BUSY)
	movq	$USER_CS, STATE(CS)
	movq	$USER_DS, STATE(SS)
	incq	DIRECT(FAULT)
	/*
	 * The trap left a null ss, and AMD's sysret only changes its selector:
	 * code of 32 bits could not use it.
	 */
	movl	$KERNEL_DS, %eax
	movl	%eax, %ss
	movq	STATE(EVENT_ENTRY), %rcx
	cmpl	$0, STATE(USER)
	jne	to_guest_kernel
	jmp	to_entry_code

fault_to_host:
	movq	STATE(RAX), %rax
	movq	STATE(RDX), %rdx
	jmp	leave_guest

#define FLAGS_FOR_KERNEL	0x210ed7	/* arithmetic, DF, IF, RF, ID, bit 1 */
#define FLAGS_FOR_USER		0x250ed7	/* and AC */

/*S:210
 * Guest kernel -> wherever it says, on the IRET call: return_from_event() in C.
 * Anything but the ordinary is left to that: segments other than the usual,
 * single-step, an interrupt that waits for IF.  RF is ordinary: a fault sets it, and
 * in QEMU 10 an interrupt finds it where a fault left it.
:*/
direct_iret:
	cmpq	$0, SHARED(FILL_ERROR)
	jne	call_by_host
	movq	SHARED(IRET_RFLAGS), %r11
	testl	$LGUEST_IF, %r11d
	jz	1f
	cmpq	$0, SHARED(IRQ_PENDING)
	jne	call_by_host
1:	movq	SHARED(IRET_RIP), %rcx
	movq	SHARED(IRET_CS), %rax
	cmpq	$USER_CS, %rax
	je	iret_to_user
	cmpq	$GUEST_KERNEL_CS, %rax
	jne	call_by_host
	testq	$~FLAGS_FOR_KERNEL, %r11
	jnz	call_by_host
	JUMP_UNLESS_CANONICAL %rcx, %rax, call_by_host
	jmp	load_iret_record

iret_to_user:
	cmpq	$USER_DS, SHARED(IRET_SS)
	jne	call_by_host
	testq	$~FLAGS_FOR_USER, %r11
	jnz	call_by_host
	JUMP_UNLESS_CANONICAL %rcx, %rax, call_by_host
	movq	SHARED(USER_GS_BASE), %rax
	JUMP_UNLESS_CANONICAL %rax, %rdx, call_by_host
	wrgsbase %rax
	movl	$1, STATE(USER)
	movq	STATE(SPACE), %rdx
	LOAD_CR3 LG_SPACE_USER(%rdx)

load_iret_record:
	movl	%r11d, %eax
	andl	$LGUEST_IF, %eax
	movq	%rax, SHARED(IRQ_ENABLED)
	orl	$REAL_FLAGS, %r11d
	movq	%rcx, STATE(RIP)
	movq	%r11, STATE(RFLAGS)
	movq	SHARED(IRET_RSP), %rax
	movq	%rax, STATE(RSP)
	movq	SHARED(IRET_RAX), %rax
	movq	%rax, STATE(RAX)
	movq	SHARED(IRET_RCX), %rax
	movq	%rax, STATE(RCX)
	movq	SHARED(IRET_R11), %rdx
	movq	%rdx, STATE(R11)
	incq	DIRECT(IRET)
	/* sysret leaves rip in rcx and rflags in r11: fine if they are the same */
	cmpq	%rax, %rcx
	jne	back_by_iret
	cmpq	%rdx, %r11
	jne	back_by_iret
	jmp	back_by_sysret

call_by_host:
	movq	STATE(RCX), %rcx
	movq	STATE(R11), %r11
	jmp	syscall_to_host

/*S:220
 * Another address space, on the LOAD_CR3 call: if nothing needs to be flushed
 * (bit 63), and the host has put it in our table.
:*/
direct_cr3:
	movq	%rdi, %rax
	btrq	$63, %rax
	jnc	call_by_host
	testq	%rax, %rax
	jz	call_by_host
	leaq	switcher_start + LG_STATE_OFFSET + LGST_SPACES(%rip), %rdx
	leaq	LG_NR_SPACES * LG_SPACE_SIZE(%rdx), %rcx
1:	cmpq	%rax, LG_SPACE_CR3(%rdx)
	je	2f
	addq	$LG_SPACE_SIZE, %rdx
	cmpq	%rcx, %rdx
	jne	1b
	jmp	call_by_host

2:	/* sysret to a rip beyond the canonical would fault here, not there */
	movq	STATE(RIP), %rcx
	JUMP_UNLESS_CANONICAL %rcx, %rax, call_by_host
	movq	%rdx, STATE(SPACE)
	LOAD_CR3 LG_SPACE_KERNEL(%rdx)
	incq	DIRECT(CR3)

/*S:230
 * The two ways back to the guest.  All of its state is in the state page, but
 * for the registers that no direct switch touches.  If an NMI or a machine
 * check came meanwhile, it goes to the host at once.  One that comes between
 * that test and the last instruction goes on at come_home, as if it had come
 * before, so that none is left waiting.
 *
 * sysret takes rip from rcx and flags from r11, whatever they are: a rip that is
 * not canonical faults at CPL 0 on Intel, on the guest's stack, and IOPL is
 * among the flags.  So both come here in the registers in which they were
 * tested (rcx), or which the CPU or a constant filled (r11), never from memory
 * a second time: whatever writes to the state page meanwhile changes nothing.
:*/
back_by_sysret:
	movq	STATE(RAX), %rax
	movq	STATE(RDX), %rdx
sysret_test:
	cmpl	$0, STATE(COME_HOME)
	jne	come_home
	movq	STATE(RSP), %rsp
	sysretq
sysret_done:
	int3

back_by_iret:
	movq	STATE(RAX), %rax
	movq	STATE(RDX), %rdx
	movq	STATE(RCX), %rcx
	movq	STATE(R11), %r11
iret_test:
	cmpl	$0, STATE(COME_HOME)
	jne	come_home
	leaq	STATE(RIP), %rsp
	iretq
iret_done:
	int3

come_home:
	movq	$LG_TRAP_NONE, STATE(TRAPNUM)
	movq	$0, STATE(ERROR)
	jmp	leave_guest

	.balign 16, 0xcc
	.globl switcher_compat
switcher_compat:
	endbr64
	movq	%rsp, STATE(RSP)
	leaq	OWN_STACK, %rsp
compat_on_stack:
	movq	%rcx, STATE(RIP)
	movq	%rcx, STATE(RCX)
	movq	%r11, STATE(RFLAGS)
	movq	%r11, STATE(R11)
	movq	$USER32_CS, STATE(CS)
	movq	$USER_DS, STATE(SS)
	movq	$LG_TRAP_COMPAT, STATE(TRAPNUM)
	movq	$0, STATE(ERROR)

/*S:130
 * Save the rest of the guest, then become the host again: its CR3, stack, CR4, GS
 * base, IDT and flags, in this order.  Until the IDT is the host's own no host
 * handler can run; once it is, everything else is in place, but FS's base, which no
 * handler needs and cross() loads.  The guest's values are wiped from the registers
 * before C code sees them.
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
	cmpl	$0, STATE(CHANGE_CR4)
	jne	restore_cr4
cr4_restored:
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
	lretq
	int3

/*S:140
 * The way in: from switch_worlds (below) through slot 256 of the launcher,
 * interrupts off.  It returns from leave_guest, with the reason in the state
 * page.  Our IDT comes first, so that an NMI from here on finds us and not a
 * host handler that would run on the guest's CR3.
:*/
	.balign 16, 0xcc
	.globl switcher_enter
switcher_enter:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, STATE(HOST_RSP)
	lidt	STATE(GUEST_IDT)
entering:
	movq	STATE(LOAD), %rdx
	LOAD_CR3 (%rdx)
	cmpq	$0, STATE(NR_STALE)	/* and CHANGE_CR4 */
	jne	change_cr4
flushed:
	movq	STATE(FS_BASE), %rax
	wrfsbase %rax
	movq	STATE(GS_BASE), %rax
	wrgsbase %rax
	cmpw	$0, STATE(VERW)
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
	int3

/*S:150
 * What only some entries need.
 *
 * LASS: at ring 3 all addresses of the upper half fault, whatever the tables say, and
 * a guest kernel runs there.  So the guest's CR4 is without it, where the host's is not.
 *
 * The host's own kernel mappings may be global, and then survive the CR3 load:
 * if a guest address coincides, the guest gets a page fault though its shadow
 * entry is right.  C puts such addresses here, and they are flushed now, when
 * nothing can bring the host's entry back; if that does not help, everything
 * is, by turning global pages off and on.
 *
 * CR4 is written from memory, and read again.  Whoever could make the CPU jump to
 * the middle of this with a value of his own would find ours a moment later.
:*/
.macro WRITE_CR4 word
.Lagain\@:
	movq	\word, %rax
	movq	%rax, %cr4
	movq	%cr4, %rax
	cmpq	\word, %rax
	jne	.Lagain\@
.endm

change_cr4:
	cmpl	$0, STATE(CHANGE_CR4)
	je	flush_stale
	cmpl	$0, STATE(FLUSH_ALL)
	je	1f
	movq	STATE(HOST_CR4), %rax
	xorq	$0x80, %rax
	movq	%rax, %cr4
1:	WRITE_CR4 STATE(GUEST_CR4)
	cmpl	$0, STATE(NR_STALE)
	je	flushed
flush_stale:
	movq	STATE(STALE), %rax
	invlpg	(%rax)
	movq	STATE(STALE + 8), %rax
	invlpg	(%rax)
	movq	STATE(STALE + 16), %rax
	invlpg	(%rax)
	movq	STATE(STALE + 24), %rax
	invlpg	(%rax)
	jmp	flushed
entered:

restore_cr4:
	WRITE_CR4 STATE(HOST_CR4)
	jmp	cr4_restored

#define TRAP_RCX	(%rsp)
#define TRAP_RAX	8(%rsp)
#define TRAP_VECTOR	16(%rsp)
#define TRAP_ERROR	24(%rsp)
#define TRAP_RIP	32(%rsp)
#define TRAP_CS		40(%rsp)
#define TRAP_RFLAGS	48(%rsp)
#define TRAP_RSP	56(%rsp)
#define TRAP_SS		64(%rsp)

.macro JUMP_IF_IN from to target
	leaq	\from(%rip), %rax
	cmpq	%rax, %rcx
	jb	.Lnot\@
	leaq	\to(%rip), %rax
	cmpq	%rax, %rcx
	jb	\target
.Lnot\@:
.endm

/* Do what is left to do before there is a stack. */
.macro TAKE_STACK_FOR target
	movq	TRAP_RSP, %rax
	movq	%rax, STATE(RSP)
	popq	%rcx
	popq	%rax
	leaq	OWN_STACK, %rsp
	jmp	\target
.endm

/*S:160
 * A trap at CPL 0, so in the Switcher itself.
 *
 * An NMI or a machine check belongs to the host, and may not be handled on a
 * guest's CR3: count it, and let C raise it again when we are home.  A debug
 * exception can only be left over from guest tricks (`mov ss` and a breakpoint,
 * then `syscall`): it is dropped.  After these three the Switcher goes on, by
 * where they struck:
 *
 *  - On the way in: it turns round at once.
 *  - Between the last test of a direct switch and its last instruction: as if
 *    that test had sent it to the host.
 *  - In `syscall` before it has a stack: its own end of the state page; rsp is
 *    still the guest's, and nothing may be written there.
 *  - Elsewhere: right there.  Its stack is ours then, the state page or one of
 *    the host's, and what lies below rsp is free.
 *
 * None of this is an IRET, because that would let the next NMI in: the last NMI's
 * frame might be in use still, and the `int $2` by which C raises the first
 * one has to find NMIs blocked, as a real one does.  They are so until the
 * host's own handler returns.
 *
 * Anything else is a fault of the last instructions of the way in, which loaded
 * what the guest gave us: back to C, which ends the guest.  So is a machine check
 * that says that rip is not where to go on (RIPV clear): C raises it first.
 */
trap_in_switcher:
	pushq	%rax
	pushq	%rcx
	movq	TRAP_VECTOR, %rax
	cmpl	$2, %eax
	je	nmi_in_switcher
not_an_nmi:
	cmpl	$18, %eax
	je	mce_in_switcher
not_the_hosts:
	cmpl	$1, %eax
	je	debug_in_switcher
lost_in_switcher:
	movq	TRAP_VECTOR, %rax
	addl	$LG_TRAP_SWITCHER, %eax
	movq	%rax, STATE(TRAPNUM)
	movq	TRAP_ERROR, %rax
	movq	%rax, STATE(ERROR)
	jmp	to_host

nmi_in_switcher:
	incq	STATE(NMIS)
	movl	$1, STATE(COME_HOME)
	jmp	go_on
mce_in_switcher:
	incq	STATE(MCES)
	movl	$1, STATE(COME_HOME)
	pushq	%rdx
	movl	$MSR_IA32_MCG_STATUS, %ecx
	rdmsr
	popq	%rdx
	testl	$MCG_RIPV, %eax
	jz	lost_in_switcher
	jmp	go_on
debug_in_switcher:
	andq	$~0x100, TRAP_RFLAGS	/* TF */
	movl	$DR6_CLEAR, %eax
	movq	%rax, %dr6
go_on:
	movq	TRAP_RIP, %rcx
	JUMP_IF_IN entering, entered, never_entered
	JUMP_IF_IN sysret_test, sysret_done, trap_come_home
	JUMP_IF_IN iret_test, iret_done, trap_come_home
	movl	TRAP_SS, %eax		/* the trap may have left a null ss */
	movl	%eax, %ss
	JUMP_IF_IN switcher_syscall, syscall_on_stack, trap_in_syscall
	JUMP_IF_IN switcher_compat, compat_on_stack, trap_in_compat

	movq	TRAP_RSP, %rax
	movq	TRAP_CS, %rcx
	movq	%rcx, -8(%rax)
	movq	TRAP_RIP, %rcx
	movq	%rcx, -16(%rax)
	movq	TRAP_RFLAGS, %rcx
	movq	%rcx, -24(%rax)
	movq	TRAP_RAX, %rcx
	movq	%rcx, -32(%rax)
	popq	%rcx
	leaq	-32(%rax), %rsp
	popq	%rax
	popfq
	lretq
	int3

trap_come_home:
	popq	%rcx
	popq	%rax
	jmp	come_home
trap_in_syscall:
	TAKE_STACK_FOR syscall_on_stack
trap_in_compat:
	TAKE_STACK_FOR compat_on_stack

never_entered:
	movq	$LG_TRAP_NONE, STATE(TRAPNUM)
	jmp	to_host

	.globl switcher_end
switcher_end:

/*
 * On CPUs where the kernel runs with IBRS on and users with it off, each change
 * of side is a write to this register; the kernel keeps its value at hand.
 */
.macro WRITE_IBRS on
#ifdef LG_IBRS_ENTRY
	ALTERNATIVE "jmp .Lend_\@", "", X86_FEATURE_KERNEL_IBRS
	movl	$MSR_IA32_SPEC_CTRL, %ecx
	movq	PER_CPU_VAR(x86_spec_ctrl_current), %rdx
	movl	%edx, %eax
	.if !\on
	andl	$~SPEC_CTRL_IBRS, %eax
	.endif
	shrq	$32, %rdx
	wrmsr
.Lend_\@:
#endif
.endm

/* Enhanced IBRS does not cover the return stack from ring 3. */
.macro FILL_RETURN_STACK
	ALTERNATIVE_2 "jmp .Lfilled_\@", \
		__stringify(__FILL_RETURN_BUFFER(%rax, RSB_CLEAR_LOOPS)), \
		X86_FEATURE_RSB_VMEXIT, \
		__stringify(__FILL_RETURN_BUFFER(%rax, RSB_CLEAR_LOOPS)), \
		X86_FEATURE_IBRS_ENHANCED
.Lfilled_\@:
.endm

/*S:145
 * switch_worlds(switcher_enter of this vCPU): the world switch as C calls it.
 * This is code of the module, on the host's side.  Both ways are far returns:
 * no CPU predicts those, so what the guest has taught the branch predictors
 * cannot lead them astray.  The Switcher itself has no near return and no
 * indirect jump.  (An iretq would let the next NMI in too early.)
 *
 * Then, before the first near return, comes what the kernel does when it is
 * entered from user mode, by its own macros: which of them do anything is
 * decided for this CPU when the module is loaded, as it is for the kernel.
 * They are those for guests of KVM, which do all that those for users do, and
 * more where the owner fears guests only.
 *
 * One thing more than that is needed, as after a guest of KVM: the return
 * stack may hold addresses in the upper half, where a guest kernel runs and
 * which SMEP does not forbid.
 *
 * No probe and no tracer comes here, nor into cross(), which calls it.
:*/
	.section .noinstr.text, "ax"
	.balign 16
	.skip	16, 0x90	/* for the kernel to count calls in (retbleed=stuff) */
SYM_CODE_START(switch_worlds)
	UNWIND_HINT_FUNC
	pushq	$HOST_CS
	leaq	back_from_guest(%rip), %rax
	pushq	%rax
	pushq	$HOST_CS
	pushq	%rdi
	WRITE_IBRS 0
	lretq
	int3
SYM_INNER_LABEL(back_from_guest, SYM_L_LOCAL)
	ANNOTATE_NOENDBR	/* a far return is no indirect jump */
	UNWIND_HINT_FUNC
	FILL_RETURN_STACK
	WRITE_IBRS 1
	UNTRAIN_RET_VM
	CLEAR_BRANCH_HISTORY_VMEXIT
	RET
SYM_CODE_END(switch_worlds)

/*S:170
 * Raising a host interrupt again, from C on the host: `int n` at CPL 0 through
 * the host's own gate.  The `sti` before it makes the frame show interrupts
 * enabled, as it was when the interrupt struck (some handlers look), while its
 * shadow keeps others out until the gate has closed again.  NMI (2) and machine
 * check (18) go without.
:*/
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
