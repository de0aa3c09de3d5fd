// SPDX-License-Identifier: GPL-2.0
/*
 * How a guest ends: the launcher hears why, in words.  Linux's own ways to power off,
 * to restart and to panic lead here.
 * Read next: patch.c.
 */
#include <linux/console.h>
#include <linux/kernel.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/pm.h>
#include <linux/reboot.h>
#include <linux/string.h>
#include <asm/reboot.h>
#include "layer.h"

/*G:110
 * The end.  text appears in the launcher's last message.
:*/

/**
 * lguest_shutdown() - end the guest
 * @text: why, at most 255 characters
 * @reason: LGUEST_SHUTDOWN_*
 *
 * Does not return.
 */
void lguest_shutdown(const char *text, unsigned long reason)
{
	struct lguest_cpu *own = lguest_pages[lguest_shared.vcpu];

	strscpy(own->local.text, text, sizeof(own->local.text));
	for (;;)
		hcall(LHCALL_SHUTDOWN,
		      own->local.page + offsetof(struct lguest_cpu, local.text), reason, 0);
}

/* A trap for which there is no handler yet: the layer or the image is wrong. */
void lguest_unexpected(void)
{
	char text[200];
	struct lguest_event __seg_gs *e = &lguest_shared.event;

	snprintf(text, sizeof(text),
		 "Unexpected trap %llu error %#llx at %#llx, cr2 %#llx rsp %#llx",
		 e->vector, e->error, e->rip, lguest_shared.cr2, e->rsp);
	lguest_shutdown(text, LGUEST_SHUTDOWN_CRASH);
}

static int panic_event(struct notifier_block *self, unsigned long event,
		       void *text)
{
	console_flush_on_panic(CONSOLE_FLUSH_PENDING);
	lguest_shutdown(text, LGUEST_SHUTDOWN_CRASH);
	return NOTIFY_DONE;
}

/* Last, so that all others have their say. */
static struct notifier_block panic_block = {
	.notifier_call	= panic_event,
	.priority	= INT_MIN,
};

static void power_off(void)
{
	lguest_shutdown("Power down", LGUEST_SHUTDOWN_POWEROFF);
}

static void restart(char *command)
{
	lguest_shutdown("Restart", LGUEST_SHUTDOWN_RESTART);
}

static void emergency_restart_now(void)
{
	restart(NULL);
}

static void nothing(void)
{
}

/**
 * setup_machine_ops() - Linux's ends become a guest's
 */
void setup_machine_ops(void)
{
	machine_ops.restart = restart;
	machine_ops.emergency_restart = emergency_restart_now;
	machine_ops.halt = power_off;
	machine_ops.power_off = power_off;
	machine_ops.shutdown = nothing;
	/* Without it reboot(2) turns a power-off into a halt. */
	pm_power_off = power_off;
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
}
