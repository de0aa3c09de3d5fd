// SPDX-License-Identifier: GPL-2.0
/*
 * Why the guest stopped, and what becomes of it: host interrupts go to the
 * host, page faults to the shadow tables, and what is the guest's own goes to
 * the guest kernel as an event in its shared page.
 * Read next: pending.c.
 */
#include <linux/linkage.h>
#include <linux/sched/signal.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/irq_vectors.h>
#include <asm/mce.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>
#include "debug_status.h"
#include "lg.h"
#include "trace.h"
#include "compat/split_lock.h"

extern char raise_vector_stubs[];

/* Run the host's own handler for a vector, as if it had come just now. */
static void raise_host_vector(unsigned int vector)
{
	void (*stub)(void) = (void *)(raise_vector_stubs + 16 * vector);

	stub();
}

/* Vectors that are the host's business, whoever runs. */
bool is_host_vector(u64 trap)
{
	return trap == X86_TRAP_NMI || trap == X86_TRAP_MC ||
	       (trap >= FIRST_EXTERNAL_VECTOR && trap < 256 &&
		trap != IA32_SYSCALL_VECTOR);
}

/*
 * A machine check that struck the guest is an error of this process, as it would
 * be if a program of its own had met it: the host's handler must not take it for
 * one of the kernel, from which there often is no way on.  What it wants done to the
 * process is done on the way to user space.
 */
static void raise_machine_check(void)
{
#ifdef CONFIG_X86_MCE
	struct pt_regs regs = { .cs = 3, .flags = X86_EFLAGS_IF };

	do_machine_check(&regs);
#endif
}

/**
 * raise_nmi() - give the host the NMI that struck the guest or the Switcher
 * @cpu: vCPU just left; interrupts are off
 *
 * Before all else, and before any IRET: NMIs are blocked until the next one, which
 * has to be that of the host's own NMI handler.
 */
void raise_nmi(struct lg_cpu *cpu)
{
	struct lg_state *state = cpu->state;

	if (likely(!state->nmis && state->trapnum != X86_TRAP_NMI))
		return;
	state->nmis = 0;
	raise_host_vector(X86_TRAP_NMI);
}

/**
 * handle_host_interrupt() - give the host what is the host's, after raise_nmi()
 * @cpu: vCPU that was interrupted; interrupts are still off
 *
 * The CPU has acknowledged the interrupt to the guest-side IDT, so nobody but
 * us can tell the host.
 */
void handle_host_interrupt(struct lg_cpu *cpu)
{
	struct lg_state *state = cpu->state;
	u64 vector = state->trapnum;

	state->come_home = 0;
	if (unlikely(state->mces)) {
		state->mces = 0;
		raise_host_vector(X86_TRAP_MC);
	}
	if (vector == X86_TRAP_MC)
		raise_machine_check();
	else if (vector != X86_TRAP_NMI && is_host_vector(vector))
		raise_host_vector(vector);
}

/*H:400
 * Flags.  What a guest may have in RFLAGS while it runs: the arithmetic ones,
 * and for guest user single-step, direction, alignment check.  The real IF is
 * always on; the virtual one lives in the shared page.
:*/

#define FLAGS_ARITHMETIC (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | \
			  X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)
#define FLAGS_KERNEL	(FLAGS_ARITHMETIC | X86_EFLAGS_TF | X86_EFLAGS_DF | \
			 X86_EFLAGS_RF | X86_EFLAGS_ID)
#define FLAGS_USER	(FLAGS_KERNEL | X86_EFLAGS_AC)
#define FLAGS_ALWAYS	(X86_EFLAGS_IF | X86_EFLAGS_FIXED)

/* What ring 3 can have in its flags, wherever they came from: POPF gives it NT. */
#define FLAGS_POSSIBLE	(FLAGS_USER | X86_EFLAGS_NT | FLAGS_ALWAYS)

static u64 clean_base(u64 base)
{
	return canonical(base) ? base : 0;
}

static void enter_kernel_mode(struct lg_cpu *cpu)
{
	struct user_regs_struct *regs = regs_of(cpu);
	struct lguest_shared *shared = cpu->shared;

	if (!cpu->user)
		return;
	shared->user_gs_base = regs->gs_base;
	regs->gs_base = clean_base(READ_ONCE(shared->kernel_gs_base));
	cpu->user = false;
}

/* The record of an event: what the CPU would have pushed. */
static void fill_record(struct lg_cpu *cpu, u64 vector, u64 error)
{
	struct user_regs_struct *regs = regs_of(cpu);
	struct lguest_shared *shared = cpu->shared;
	struct lguest_event *event = &shared->event;

	event->vector = vector;
	event->error = error;
	event->rip = regs->ip;
	event->cs = cpu->user ? regs->cs : __KERNEL_CS;
	event->rflags = (regs->flags & ~X86_EFLAGS_IF) |
			(READ_ONCE(shared->irq_enabled) & X86_EFLAGS_IF);
	event->rsp = regs->sp;
	event->ss = cpu->user ? regs->ss : __KERNEL_DS;
	event->rcx = regs->cx;
	event->r11 = regs->r11;
	shared->irq_enabled = 0;
}

static void go_to_entry(struct lg_cpu *cpu, u64 entry)
{
	struct user_regs_struct *regs = regs_of(cpu);

	enter_kernel_mode(cpu);
	regs->ip = entry;
	regs->cs = __USER_CS;
	regs->ss = __USER_DS;
	regs->flags = FLAGS_ALWAYS;
	regs->cx = regs->ip;
	regs->r11 = regs->flags;
	cpu->halted = false;
	cpu->stepped = cpu->stepping;
}

/**
 * deliver_trap() - an exception or interrupt for the guest kernel
 * @cpu: the vCPU
 * @vector: 0 to 255
 * @error: error code, 0 if the vector has none
 *
 * An exception while the record of the last event is still in use means that
 * the guest cannot even take an event: a double fault, and if that does not
 * work either, its end.
 */
void deliver_trap(struct lg_cpu *cpu, unsigned int vector, u64 error)
{
	struct lguest_shared *shared = cpu->shared;

	if (!shared) {
		kill_guest(cpu, "unhandled trap %u at %#lx (%#llx)", vector,
			   regs_of(cpu)->ip,
			   vector == X86_TRAP_PF ? cpu->cr2 : error);
		return;
	}
	if (READ_ONCE(shared->busy)) {
		if (cpu->double_fault) {
			kill_guest(cpu, "triple fault: trap %u at %#lx (%#llx)",
				   vector, regs_of(cpu)->ip,
				   vector == X86_TRAP_PF ? cpu->cr2 : error);
			return;
		}
		cpu->double_fault = true;
		vector = X86_TRAP_DF;
		error = 0;
	} else {
		cpu->double_fault = false;
	}
	trace_lguest_deliver(current->pid, vector, error);
	fill_record(cpu, vector, error);
	WRITE_ONCE(shared->busy, 1);
	go_to_entry(cpu, cpu->event_entry);
}

/* The guest user executed `syscall`. */
void deliver_syscall(struct lg_cpu *cpu)
{
	if (READ_ONCE(cpu->shared->busy)) {
		kill_guest(cpu, "system call at %#lx while an event record is in use",
			   regs_of(cpu)->ip);
		return;
	}
	fill_record(cpu, LGUEST_VECTOR_SYSCALL, 0);
	WRITE_ONCE(cpu->shared->busy, 1);
	go_to_entry(cpu, cpu->syscall_entry);
}

static bool user_segments_ok(u64 cs, u64 ss)
{
	return (cs == __USER_CS || cs == __USER32_CS) && ss == __USER_DS;
}

static bool selectors_possible(const struct user_regs_struct *regs)
{
	return (regs->ds | regs->es | regs->fs | regs->gs) <= U16_MAX;
}

/**
 * registers_possible() - can a guest have come to these by running?
 * @regs: from the launcher
 * @user: in guest user
 *
 * The rules are those of an IRET.  A guest kernel that is in other segments than it was
 * given could have come there by itself, but it cannot be restored.
 */
bool registers_possible(const struct user_regs_struct *regs, bool user)
{
	return canonical(regs->ip) && canonical(regs->fs_base) && canonical(regs->gs_base) &&
	       user_segments_ok(regs->cs, regs->ss) && (user || regs->cs == __USER_CS) &&
	       !(regs->flags & ~(u64)FLAGS_POSSIBLE) &&
	       (regs->flags & FLAGS_ALWAYS) == FLAGS_ALWAYS && selectors_possible(regs);
}

/*
 * The guest asks for a shadow entry together with its return.  The IRET is done
 * with, so what remains is made to look like the trap that it saves.
 */
static enum lg_next fill_after_iret(struct lg_cpu *cpu, u64 address, u64 error)
{
	enum lg_next next;

	cpu->cr2 = address;
	cpu->state->error = error & (X86_PF_WRITE | X86_PF_INSTR | X86_PF_USER);
	cpu->state->trapnum = error & LGUEST_FILL_STRICT ? X86_TRAP_PF
							 : LG_TRAP_FILL;
	next = demand_page(cpu, address, cpu->state->error,
			   cpu->state->trapnum == LG_TRAP_FILL);
	if (next == LG_RUN && cpu->user)
		fill_stack(cpu);
	return next;
}

/*H:410
 * IRET.  The guest kernel returns from an event: everything in the record is
 * the guest's word, so it is checked or forced here.
 *
 * A return to user with a code or stack segment that Linux does not have is a
 * fault of that user: it gets it as a #GP at the place it wanted to go to.
 */
enum lg_next return_from_event(struct lg_cpu *cpu)
{
	struct user_regs_struct *regs = regs_of(cpu);
	struct lguest_shared *shared = cpu->shared;
	struct lguest_iret iret = shared->iret;
	u64 fill_error = READ_ONCE(shared->fill_error);
	bool segments_ok = true;

	barrier();
	regs->ip = iret.rip;
	regs->sp = iret.rsp;
	regs->ax = iret.rax;
	regs->cx = iret.rcx;
	regs->r11 = iret.r11;
	regs->ss = __USER_DS;
	if ((iret.cs & 3) == 3) {
		cpu->user = true;
		segments_ok = user_segments_ok(iret.cs, iret.ss);
		regs->cs = segments_ok ? iret.cs : __USER_CS;
		regs->flags = (iret.rflags & FLAGS_USER) | FLAGS_ALWAYS;
		regs->gs_base = clean_base(READ_ONCE(shared->user_gs_base));
	} else {
		regs->cs = __USER_CS;
		regs->flags = (iret.rflags & FLAGS_KERNEL) | FLAGS_ALWAYS;
	}
	shared->irq_enabled = iret.rflags & X86_EFLAGS_IF;
	if (!segments_ok) {
		deliver_trap(cpu, X86_TRAP_GP, iret.cs & 0xfffc);
	} else if (!canonical(regs->ip)) {
		/* Never loaded: deliver_trap() puts it in the record. */
		deliver_trap(cpu, X86_TRAP_GP, 0);
	} else if (fill_error) {
		shared->fill_error = 0;
		return fill_after_iret(cpu, READ_ONCE(shared->fill_address),
				       fill_error);
	}
	return LG_RUN;
}

/*H:430
 * #GP(0) in the guest kernel: an instruction that ring 3 may not execute and
 * that the layer did not replace.  The launcher gets its bytes and emulates.
 */
static enum lg_next exit_to_emulate(struct lg_cpu *cpu, u32 kind, u64 value,
				    u32 access)
{
	struct lguest_exit *exit = &cpu->exit;

	exit->insn_len = read_virtual(cpu, regs_of(cpu)->ip, exit->insn,
				      sizeof(exit->insn));
	if (!exit->insn_len && cpu->need.page)
		return LG_RETRY;
	memset(&cpu->need, 0, sizeof(cpu->need));
	exit->value = value;
	exit->access = access;
	exit->kind = kind;
	return LG_LEAVE;
}

/**
 * exit_to_device() - the guest touched device memory
 * @cpu: the vCPU
 * @gpa: where
 * @error: of the page fault
 */
enum lg_next exit_to_device(struct lg_cpu *cpu, u64 gpa, u32 error)
{
	u32 access = (error & X86_PF_WRITE ? LGUEST_ACCESS_WRITE : 0) |
		     (error & X86_PF_INSTR ? LGUEST_ACCESS_FETCH : 0);

	return exit_to_emulate(cpu, LGUEST_EXIT_MMIO, gpa, access);
}

static enum lg_next handle_gp(struct lg_cpu *cpu)
{
	u64 error = cpu->state->error;

	if (!cpu->user && error == 0)
		return exit_to_emulate(cpu, LGUEST_EXIT_TRAP, 0, 0);
	deliver_trap(cpu, X86_TRAP_GP, error);
	return LG_RUN;
}

static enum lg_next handle_debug(struct lg_cpu *cpu)
{
	if (cpu->stepped)	/* called again */
		return finish_step(cpu);
	if (has_bus_lock(cpu->dr6))
		cpu->locked_bus = true;
	if (cpu->stepping && !cpu->step_tf && cpu->dr6 & DR_STEP)
		return finish_step(cpu);
	if (is_bus_lock(cpu->dr6))
		return LG_RUN;
	if (cpu->shared)
		cpu->shared->dr6 = dr6_for_guest(cpu->dr6);
	deliver_trap(cpu, X86_TRAP_DB, 0);
	return LG_RUN;
}

/*H:440
 * Ring 3 may execute IRET to ring 3, and Linux does in its sync_core().  Some
 * emulators (QEMU's TCG before 9.1) pop its frame with a supervisor's access,
 * which SMAP then forbids: a page fault of ring 3 that is no user access, of a
 * page that is present.  No real CPU says that of an IRET, so we finish it.
 */
static bool iret_was_refused(struct lg_cpu *cpu)
{
	u8 insn[2];

	if (cpu->state->error & X86_PF_USER || !(cpu->state->error & X86_PF_PROT))
		return false;
	return read_virtual(cpu, regs_of(cpu)->ip, insn, 2) == 2 &&
	       insn[0] == 0x48 && insn[1] == 0xcf;
}

static enum lg_next finish_iret(struct lg_cpu *cpu)
{
	struct user_regs_struct *regs = regs_of(cpu);
	struct { u64 rip, cs, rflags, rsp, ss; } frame;
	size_t done = read_virtual(cpu, regs->sp, &frame, sizeof(frame));

	if (done != sizeof(frame))
		return cpu->need.page ? LG_RETRY :
		       demand_page(cpu, regs->sp + done, X86_PF_USER, false);
	if (!user_segments_ok(frame.cs, frame.ss) || !canonical(frame.rip)) {
		deliver_trap(cpu, X86_TRAP_GP, frame.cs & 0xfffc);
		return LG_RUN;
	}
	regs->ip = frame.rip;
	regs->cs = frame.cs;
	regs->flags = (frame.rflags & (cpu->user ? FLAGS_USER : FLAGS_KERNEL)) |
		      FLAGS_ALWAYS;
	regs->sp = frame.rsp;
	return LG_RUN;
}

static enum lg_next handle_page_fault(struct lg_cpu *cpu)
{
	trace_lguest_page_fault(current->pid, cpu->cr2, cpu->state->error);
	if (unlikely(iret_was_refused(cpu)))
		return finish_iret(cpu);
	return demand_page(cpu, cpu->cr2, cpu->state->error, false);
}

static enum lg_next handle_syscall(struct lg_cpu *cpu)
{
	/* `syscall` as the last instruction below the hole. */
	if (!cpu->user && !canonical(regs_of(cpu)->ip)) {
		deliver_trap(cpu, X86_TRAP_GP, 0);
		return LG_RUN;
	}
	if (!cpu->user)
		return do_hypercall(cpu);
	deliver_syscall(cpu);
	return LG_RUN;
}

/*
 * Without the flag AC it is a split lock, for which the host has a policy towards its
 * processes: a warning and a delay, or SIGBUS.  Guests cannot switch it off.
 */
static enum lg_next handle_alignment(struct lg_cpu *cpu)
{
	if (host_judges_split_locks() && !(regs_of(cpu)->flags & X86_EFLAGS_AC)) {
		cpu->need.split_lock = true;
		return LG_RETRY;
	}
	deliver_trap(cpu, X86_TRAP_AC, cpu->state->error);
	return LG_RUN;
}

static enum lg_next handle_other(struct lg_cpu *cpu, u64 trap)
{
	switch (trap) {
	case X86_TRAP_AC:
		return handle_alignment(cpu);
	case X86_TRAP_PF:
		return handle_page_fault(cpu);
	case LG_TRAP_FILL:
		return demand_page(cpu, cpu->cr2, cpu->state->error, true);
	case X86_TRAP_GP:
		return handle_gp(cpu);
	case X86_TRAP_DB:
		return handle_debug(cpu);
	case LG_TRAP_SYSCALL:
		return handle_syscall(cpu);
	case LG_TRAP_COMPAT:
		deliver_trap(cpu, X86_TRAP_UD, 0);
		return LG_RUN;
	case X86_TRAP_NM:
		/* Extended state that the host has not enabled. */
		deliver_trap(cpu, X86_TRAP_UD, 0);
		return LG_RUN;
	}
	if (trap >= LG_TRAP_SWITCHER)
		kill_guest(cpu, "the Switcher took trap %llu (%#llx) on its way to %#lx",
			   trap - LG_TRAP_SWITCHER, cpu->state->error,
			   regs_of(cpu)->ip);
	else
		deliver_trap(cpu, trap, cpu->state->error);
	return LG_RUN;
}

/**
 * handle_trap() - deal with what ended the last stay in the guest
 * @cpu: the vCPU
 *
 * Never sleeps.  Return: LG_RETRY if cpu->need must be satisfied first (call
 * again then), LG_LEAVE if the outer loop has something to do, else LG_RUN.
 */
enum lg_next handle_trap(struct lg_cpu *cpu)
{
	u64 trap = cpu->state->trapnum;
	enum lg_next next = LG_RUN;

	if (trap != LG_TRAP_NONE && !is_host_vector(trap))
		next = handle_other(cpu, trap);
	if (next != LG_RETRY)
		cpu->trap_pending = false;
	if (unlikely(cpu->stepping))
		next = note_step(cpu, trap, next);
	return next;
}
