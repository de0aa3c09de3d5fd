// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts: the ops that switch them on and off, and the 64 interrupt lines
 * of the Host as a Linux interrupt chip.  Line n is Linux's interrupt n and
 * arrives as vector 0x30 + n.  No PIC and no APIC exists.
 * Read next: mmu.c.
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <asm/desc.h>
#include <asm/hw_irq.h>
#include <asm/i8259.h>
#include <asm/irq_vectors.h>
#include <asm/paravirt.h>
#include <asm/x86_init.h>
#include "layer.h"

/*G:400
 * Sleeping: HALT switches interrupts on and waits in one go, so that none can
 * slip in between.
:*/
static void lguest_safe_halt(void)
{
	WRITE_ONCE(lguest_local.in_halt, true);
	hcall(LHCALL_HALT, 0, 0, 0);
	WRITE_ONCE(lguest_local.in_halt, false);
}

/* A CPU that halts with interrupts off never wakes up: that ends the guest. */
static void lguest_halt(void)
{
	if (!lguest_shared.irq_enabled)
		lguest_shutdown("Halted with interrupts off",
				LGUEST_SHUTDOWN_CRASH);
	lguest_safe_halt();
}

/*G:410
 * The chip.  A line is masked in the shared page, where the Host looks before
 * it delivers.  It remembers what was raised meanwhile; so after unmasking a
 * line it must look again.
:*/
/* The timer is each vCPU's own; all else comes to vCPU 0. */
static unsigned int owner_of(struct irq_data *d)
{
	return d->irq == LGUEST_IRQ_TIMER ? lguest_shared.vcpu : 0;
}

static unsigned long *blocked_lines(struct irq_data *d)
{
	return (unsigned long *)&lguest_pages[owner_of(d)]->shared.blocked_interrupts;
}

static void line_mask(struct irq_data *d)
{
	set_bit(d->irq, blocked_lines(d));
}

static void line_unmask(struct irq_data *d)
{
	clear_bit(d->irq, blocked_lines(d));
	if (owner_of(d) == lguest_shared.vcpu)
		hcall(LHCALL_SEND_INTERRUPTS, 0, 0, 0);
	else
		hcall(LHCALL_KICK, owner_of(d), 0, 0);
}

/* The Host forgets a line as it delivers it: there is nothing to acknowledge. */
static void line_ack(struct irq_data *d)
{
}

static struct irq_chip line_chip = {
	.name		= "lguest",
	.irq_mask	= line_mask,
	.irq_unmask	= line_unmask,
	.irq_ack	= line_ack,
	.flags		= IRQCHIP_SKIP_SET_WAKE,
};

/**
 * lguest_setup_irq() - make an interrupt line known to Linux
 * @line: 0 to LGUEST_IRQS - 1
 *
 * The line stays masked until someone requests it.
 *
 * Return: Linux's number of the interrupt (@line), or a negative errno.
 */
int lguest_setup_irq(unsigned int line)
{
	int irq;

	if (line >= LGUEST_IRQS)
		return -EINVAL;
	irq = irq_alloc_desc_at(line, 0);
	if (irq < 0)
		return irq;
	/*
	 * A line that is raised while its handler runs is delivered again
	 * afterwards: an edge.
	 */
	irq_set_chip_and_handler_name(irq, &line_chip, handle_edge_irq,
				      "edge");
	per_cpu(vector_irq, 0)[LGUEST_IRQ_VECTOR + line] = irq_to_desc(irq);
	return irq;
}

/*G:415
 * IRQ work: what must not be done now shall be done as soon as interrupts are on.  Without
 * an APIC Linux would leave it to the next tick; 6.1 with PREEMPT_RT, which has much of it,
 * asks for some a second time meanwhile, and hangs over a list that leads to itself.
:*/
static void raise_irq_work(void)
{
	hcall(LHCALL_SEND_IPI, BIT(lguest_shared.vcpu), IRQ_WORK_VECTOR, 0);
}

/**
 * setup_irq_ops() - fill pv_ops.irq and x86_init.irqs
 */
void setup_irq_ops(void)
{
	lguest_shared.blocked_interrupts = ~0ULL;

	pv_ops.irq.save_fl.func = lguest_save_fl;
	pv_ops.irq.irq_disable.func = lguest_irq_disable;
	pv_ops.irq.irq_enable.func = lguest_irq_enable;
	pv_ops.irq.safe_halt = lguest_safe_halt;
	pv_ops.irq.halt = lguest_halt;

	patch_jump((char *)arch_irq_work_raise, raise_irq_work);

	legacy_pic = &null_legacy_pic;
	x86_init.irqs.pre_vector_init = x86_init_noop;
	x86_init.irqs.intr_mode_select = x86_init_noop;
	x86_init.irqs.intr_mode_init = x86_init_noop;
}
