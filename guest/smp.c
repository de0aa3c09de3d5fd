// SPDX-License-Identifier: GPL-2.0
/*
 * The other vCPUs.  Linux's own code starts and stops CPUs, and sends their interrupts; it
 * needs a driver for their APICs, and here is one for APICs that do not exist.
 * Read next: emulator.c.
 */
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <asm/cpu.h>
#include <asm/paravirt.h>
#include <asm/realmode.h>
#include <asm/smp.h>
#include "compat/microcode.h"
#include "layer.h"

static void lguest_find_cpus(void);

#include "compat/apic.h"

/*G:850
 * Interrupts between vCPUs: the Host takes a mask of them, and the vector of Linux's gate;
 * or 2, which is an NMI.  A vCPU's number, Linux's number and that of its APIC are the same.
:*/
static void send(unsigned long vcpus, int vector)
{
	if (vcpus)
		hcall(LHCALL_SEND_IPI, vcpus, vector, 0);
}

static unsigned long self(void)
{
	return BIT(lguest_shared.vcpu);
}

static void send_one(int cpu, int vector)
{
	send(BIT(cpu), vector);
}

static void send_mask(const struct cpumask *mask, int vector)
{
	send(cpumask_bits(mask)[0], vector);
}

static void send_mask_but_self(const struct cpumask *mask, int vector)
{
	send(cpumask_bits(mask)[0] & ~self(), vector);
}

static void send_all_but_self(int vector)
{
	send_mask_but_self(cpu_online_mask, vector);
}

static void send_all(int vector)
{
	send_mask(cpu_online_mask, vector);
}

static void send_self(int vector)
{
	send(self(), vector);
}

/* Of whoever asks, whatever the register that is not there says. */
static u32 own_id(unsigned long unused)
{
	return lguest_shared.vcpu;
}

/*G:860
 * A vCPU waits in the Host until it is kicked for the first time, and then begins in
 * entry.S as vCPU 0 did; after it was offline it waits in die().  Either way it
 * goes on where Linux wants a new CPU to begin, on the stack of its idle task.
:*/
extern unsigned long initial_code;
struct task_struct *idle_thread_get(unsigned int cpu);

struct lguest_other lguest_others[LGUEST_VCPUS];

/* The third argument is there since 6.16: the CPU, which we know. */
static int wake(u32 apic_id, unsigned long start_ip, unsigned int cpu)
{
	struct lguest_other *other = &lguest_others[apic_id];
	unsigned long stack;

	if (!other->was_there) {
		stack = __get_free_pages(GFP_KERNEL, 1);
		if (!stack)
			return -ENOMEM;
		other->shared = lguest_make_page(apic_id, stack + 2 * PAGE_SIZE)->local.page;
		other->gs_base = per_cpu_offset(apic_id);
		other->was_there = true;
	}
	other->stack = idle_thread_get(apic_id)->thread.sp;
	other->code = initial_code;
	smp_store_release(&other->go, true);
	hcall(LHCALL_KICK, apic_id, 0, 0);
	return 0;
}

/* Linux takes all vectors from it, and the timer may still go off. */
static int leave(void)
{
	int error = native_cpu_disable();

	if (!error)
		disable_percpu_irq(LGUEST_IRQ_TIMER);
	return error;
}

static void die(void)
{
	struct lguest_other *other = &lguest_others[lguest_shared.vcpu];

	/* First: once it is reported, wake() may come. */
	WRITE_ONCE(other->go, false);
	play_dead_common();
	while (!smp_load_acquire(&other->go))
		hcall(LHCALL_WAIT, 0, 0, 0);
	lguest_become(other);
}

/*G:870
 * Linux asks for its CPUs, installs the driver, and later believes that it found tables of
 * the firmware's.
:*/
static struct apic driver;

/* A copy of the one that does nothing: what is not ours does just that. */
static void make_driver(void)
{
	driver = apic_noop;
	driver.name = "lguest";
	driver.get_apic_id = (void *)own_id;
	driver.send_IPI = send_one;
	driver.send_IPI_mask = send_mask;
	driver.send_IPI_mask_allbutself = send_mask_but_self;
	driver.send_IPI_allbutself = send_all_but_self;
	driver.send_IPI_all = send_all;
	driver.send_IPI_self = send_self;
	driver.wakeup_secondary_cpu_64 = (void *)wake;
}

static void lguest_find_cpus(void)
{
	make_driver();
	install_driver(&driver);
	register_cpus(lguest_shared.vcpus);
}

static void select_mode(void)
{
	apic_intr_mode = APIC_SYMMETRIC_IO;
	setup_multi_flush();
}

/* Where Linux looks for the address at which a CPU of a PC begins. */
static struct real_mode_header no_real_mode;

/**
 * setup_smp() - the other vCPUs become Linux's CPUs; with one vCPU nothing is done
 */
void setup_smp(void)
{
	if (lguest_shared.vcpus < 2)
		return;
	real_mode_header = &no_real_mode;
	smp_ops.cpu_disable = leave;
	smp_ops.play_dead = die;
	x86_init.irqs.intr_mode_select = select_mode;
	have_cpus_found();
	start_one_by_one();
	no_other_microcode();
}
