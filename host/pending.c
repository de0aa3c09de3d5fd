// SPDX-License-Identifier: GPL-2.0
/*
 * What a vCPU is told from outside: interrupt lines, messages of its siblings, NMIs,
 * kicks.  Anybody notes them in its lg_cpu and makes it look; it looks before it
 * enters the guest, and before it sleeps.
 * Read next: hypercalls.c.
 */
#include "lg.h"

/*H:420
 * Virtual interrupts.  64 lines: a line is pending (set by anyone), and may be
 * masked by the guest in its shared page.  64 vectors by which vCPUs tell each other
 * something; the highest comes first, and before all lines.  Either is delivered when
 * virtual interrupts are on, no event is half taken, and the guest is not inside the
 * code that takes and ends events.  An NMI does not ask for the first of these.
:*/

/* The next interrupt, or -1. */
static int next_vector(struct lg_cpu *cpu)
{
	u64 ipis = READ_ONCE(cpu->ipis[0]);
	u64 lines = READ_ONCE(cpu->irqs_pending[0]);

	if (!cpu->shared)
		return -1;
	if (ipis)
		return LGUEST_IPI_VECTOR + 63 - __builtin_clzll(ipis);
	lines &= ~READ_ONCE(cpu->shared->blocked_interrupts);
	return lines ? LGUEST_IRQ_VECTOR + __builtin_ctzll(lines) : -1;
}

static void take_vector(struct lg_cpu *cpu, int vector)
{
	if (vector >= LGUEST_IPI_VECTOR)
		clear_bit(vector - LGUEST_IPI_VECTOR, cpu->ipis);
	else
		clear_bit(vector - LGUEST_IRQ_VECTOR, cpu->irqs_pending);
}

static bool in_entry_code(struct lg_cpu *cpu)
{
	u64 rip = regs_of(cpu)->ip;

	return !cpu->user && rip >= cpu->entry_start && rip < cpu->entry_end;
}

static bool may_take_event(struct lg_cpu *cpu)
{
	return !READ_ONCE(cpu->shared->busy) && !in_entry_code(cpu);
}

static bool wants_interrupts(struct lg_cpu *cpu)
{
	return READ_ONCE(cpu->shared->irq_enabled) & LGUEST_IF;
}

/* Is there what ends a HALT (which has turned interrupts on) or a WAIT? */
bool may_wake(struct lg_cpu *cpu)
{
	if (READ_ONCE(cpu->kicked))
		return true;
	return cpu->shared && (READ_ONCE(cpu->nmi) ||
			       (wants_interrupts(cpu) && next_vector(cpu) >= 0));
}

/**
 * try_to_wake() - end a HALT or WAIT if there is what ends it
 * @cpu: the vCPU, which is not asleep
 */
void try_to_wake(struct lg_cpu *cpu)
{
	if (!may_wake(cpu))
		return;
	WRITE_ONCE(cpu->kicked, false);
	cpu->halted = false;
}

static void tell_of_more(struct lg_cpu *cpu, bool more)
{
	u64 pending = more ? LGUEST_IF : 0;

	if (cpu->shared->irq_pending != pending)
		cpu->shared->irq_pending = pending;
}

/* Who sets it again from now on means another one. */
static bool deliver_nmi(struct lg_cpu *cpu)
{
	bool now = may_take_event(cpu);

	if (now) {
		WRITE_ONCE(cpu->nmi, false);
		deliver_trap(cpu, X86_TRAP_NMI, 0);
	}
	tell_of_more(cpu, !now || next_vector(cpu) >= 0);
	return now;
}

/**
 * maybe_deliver_interrupt() - deliver one interrupt if that is possible now
 * @cpu: the vCPU
 *
 * If one has to wait, the guest is told by irq_pending: it will ask for it when
 * it turns interrupts on.
 *
 * Return: true if one was delivered.
 */
bool maybe_deliver_interrupt(struct lg_cpu *cpu)
{
	int vector;

	if (!cpu->shared)
		return false;
	if (unlikely(READ_ONCE(cpu->nmi)))
		return deliver_nmi(cpu);
	vector = next_vector(cpu);
	if (vector < 0 || !wants_interrupts(cpu) || !may_take_event(cpu)) {
		tell_of_more(cpu, vector >= 0);
		return false;
	}
	take_vector(cpu, vector);
	tell_of_more(cpu, next_vector(cpu) >= 0);
	write_times(cpu);
	count(cpu, LG_COUNT_INTERRUPTS);
	deliver_trap(cpu, vector, 0);
	return true;
}

/*
 * From any context: what is noted, and then the vCPU looks.
 */

void set_interrupt(struct lg_cpu *cpu, unsigned int irq)
{
	set_bit(irq, cpu->irqs_pending);
	kick_cpu(cpu);
}

/**
 * send_ipi() - a sibling's message
 * @cpu: to this vCPU
 * @vector: LGUEST_IPI_VECTOR to 255, or that of an NMI
 *
 * One that is not yet delivered is enough, and who sent it makes the vCPU look: so
 * however many are sent, each delivery costs one interrupt of a host's CPU at most.
 */
void send_ipi(struct lg_cpu *cpu, unsigned int vector)
{
	bool noted = vector == X86_TRAP_NMI ? xchg(&cpu->nmi, true) :
		test_and_set_bit(vector - LGUEST_IPI_VECTOR, cpu->ipis);

	if (!noted)
		kick_cpu(cpu);
}

/* KICK: end its HALT or WAIT, or the next. */
void end_wait(struct lg_cpu *cpu)
{
	WRITE_ONCE(cpu->kicked, true);
	kick_cpu(cpu);
}
