// SPDX-License-Identifier: GPL-2.0
/*
 * The power button: an interrupt line that the launcher raises when the guest
 * shall shut down.  There is no ACPI to bring such news, so Linux's own orderly
 * way is called here: it runs the program that kernel.poweroff_cmd names
 * (/sbin/poweroff), and switches off by itself if there is none.
 * Read next: smp.c.
 */
#include <linux/interrupt.h>
#include <linux/printk.h>
#include <linux/reboot.h>
#include "layer.h"

/* Programs are run from a work item; this only asks for it. */
static irqreturn_t power_button(int irq, void *unused)
{
	pr_info("lguest: the power button was pressed\n");
	orderly_poweroff(true);
	return IRQ_HANDLED;
}

/**
 * setup_power_button() - listen to the power button, among the initcalls
 *
 * One that was pressed earlier is not lost: the line was masked until now.
 */
void setup_power_button(void)
{
	int irq = lguest_setup_irq(LGUEST_IRQ_POWER);

	if (irq < 0 ||
	    request_irq(irq, power_button, IRQF_NO_THREAD, "power", NULL))
		pr_err("lguest: no power button\n");
}
