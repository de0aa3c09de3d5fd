// SPDX-License-Identifier: GPL-2.0
/*
 * STEP: one instruction of the guest, for a debugger.  The CPU does it, by its
 * trap flag, which is set for a single stay in the guest and taken out again
 * before anything else looks at the flags.
 * Read next: stats.c.
 */
#include <asm/processor-flags.h>
#include "lg.h"
#include "page_tables.h"

#define PUSHF	0x9c
#define POPF	0x9d
#define IRET	0xcf

/*H:450
 * When is an instruction done?  If the CPU says so by a debug exception; if the
 * guest kernel was entered for it (go_to_entry() notes that); if it was a system
 * call or a hypercall; and if the Host did it itself, so that rip has moved.
 * What remains are host interrupts, and faults that only filled a shadow entry:
 * after these the same instruction is tried again.  While we step, the Switcher
 * does nothing by itself (not_direct), and the guest gets no interrupt, or each
 * step would end in the timer's.
 *
 * The guest shall not see our flag.  SYSCALL puts the flags into r11 and an event
 * into its record: both are cleaned on the way out.  PUSHF stores them: that is
 * mended afterwards.  POPF and IRET replace them: what is there then is the
 * guest's own.
 */
void begin_step_read(struct lg_cpu *cpu)
{
	bool step = READ_ONCE(cpu->step);

	if (cpu->stepped)	/* and not yet told */
		return;
	if (step && !cpu->stepping)
		cpu->step_began = false;
	cpu->stepping = step;
}

static bool is_prefix(u8 byte, bool code64)
{
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
	case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
		return true;
	}
	return code64 && (byte & 0xf0) == 0x40;
}

/* What comes next?  If its page is not there, it faults, and we look again. */
void look_at_step(struct lg_cpu *cpu)
{
	bool code64 = regs_of(cpu)->cs != __USER32_CS;
	u8 insn[15];
	size_t i = 0, size;

	size = read_virtual(cpu, regs_of(cpu)->ip, insn, sizeof(insn));
	memset(&cpu->need, 0, sizeof(cpu->need));
	while (i < size && is_prefix(insn[i], code64))
		i++;
	cpu->step_insn = i < size ? insn[i] : 0;
}

/**
 * enter_guest_to_step() - enter_guest(), for one instruction
 * @cpu: the vCPU
 */
void enter_guest_to_step(struct lg_cpu *cpu)
{
	struct user_regs_struct *regs = regs_of(cpu);
	u64 trap;

	cpu->step_began = true;
	cpu->step_from = regs->ip;
	cpu->step_tf = regs->flags & X86_EFLAGS_TF;
	regs->flags |= X86_EFLAGS_TF;
	enter_guest(cpu);
	trap = cpu->state->trapnum;
	if (cpu->step_tf)
		return;
	if (trap == LG_TRAP_SYSCALL || trap == LG_TRAP_COMPAT)
		regs->r11 &= ~X86_EFLAGS_TF;
	if (trap != X86_TRAP_DB ||
	    (cpu->step_insn != POPF && cpu->step_insn != IRET))
		regs->flags &= ~X86_EFLAGS_TF;
}

/* Clear a bit of the guest's memory, by its own tables. */
static enum lg_next clear_bit_at(struct lg_cpu *cpu, u64 address, u8 bit)
{
	struct walk w = { .address = address };
	enum lg_next next = LG_RUN;
	u64 old, gpa, mask;

	lock_tables(cpu);
	if (canonical(address) && walk_guest(cpu, &w) == WALK_FOUND &&
	    w.pfn < cpu->lg->pfn_limit) {
		gpa = (w.pfn << PAGE_SHIFT) | (address & ~PAGE_MASK & ~7);
		mask = (u64)bit << 8 * (address & 7);
		if (!lgread_atomic(cpu, &old, GPA(gpa), sizeof(old)) ||
		    lgcmpxchg_atomic(cpu, GPA(gpa), old, old & ~mask) <= 0)
			next = LG_RETRY;
	} else if (cpu->need.page) {
		next = LG_RETRY;
	}
	spin_unlock(&cpu->lg->lock);
	return next;
}

/**
 * finish_step() - the CPU has done the instruction
 * @cpu: the vCPU
 *
 * Return: as handle_trap(), which then calls it again.
 */
enum lg_next finish_step(struct lg_cpu *cpu)
{
	if (cpu->step_insn != PUSHF)
		return LG_RUN;
	return clear_bit_at(cpu, regs_of(cpu)->sp + 1, X86_EFLAGS_TF >> 8);
}

/**
 * note_step() - after each trap while stepping: was that the step?
 * @cpu: the vCPU
 * @trap: what handle_trap() has dealt with ...
 * @next: ... and its answer
 *
 * Return: the answer to give instead.
 */
enum lg_next note_step(struct lg_cpu *cpu, u64 trap, enum lg_next next)
{
	if (cpu->step_began &&
	    (trap == X86_TRAP_DB || trap == LG_TRAP_SYSCALL ||
	     trap == LG_TRAP_COMPAT || regs_of(cpu)->ip != cpu->step_from))
		cpu->stepped = true;
	return cpu->stepped && next == LG_RUN ? LG_LEAVE : next;
}
