// SPDX-License-Identifier: GPL-2.0
/*
 * How a stock kernel is made a guest.  entry.S comes here with the kernel's
 * own page tables loaded and nothing else done: the work of the kernel's
 * x86_64_start_kernel() is ours, and at its end Linux starts as it always does,
 * with its hooks (pv_ops, x86_init, x86_platform, machine_ops) pointing to us.
 *
 * Forcing X86_FEATURE_XENPV makes Linux choose, when it patches itself, the
 * entry code for a kernel that does not run at ring 0: no swapgs, no CR3
 * switch, no stack switch.  Xen's drivers stay asleep.
 * Read next: end.c.
 */
#include <linux/acpi.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/nmi.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <asm/cpufeature.h>
#include <asm/desc.h>
#include <asm/paravirt.h>
#include <asm/pci_x86.h>
#include <asm/setup.h>
#include <asm/smp.h>
#include <asm/tlbflush.h>
#include <asm/x86_init.h>
#include "compat/cpu_cap.h"
#include "compat/microcode.h"
#include "compat/mpparse.h"
#include "compat/mtrr.h"
#include "compat/reset_reason.h"
#include "compat/retbleed.h"
#include "compat/smp_locks.h"
#include "compat/split_lock.h"
#include "compat/sysfast32.h"
#include "layer.h"

/* See arch_setup(): Linux's own business. */
extern unsigned int sysctl_compaction_proactiveness;

/*G:120
 * With one vCPU nobody else needs to be stopped.
:*/
static void stop_nobody(int wait)
{
}

/*G:130
 * A PC without a PC's parts: no firmware, no ports, no legacy devices, no PCI,
 * no ACPI.  Each line keeps Linux from looking for something, which would cost
 * a visit to the launcher per access at best.
:*/
static unsigned char no_nmi_reason(void)
{
	return 0;
}

static void no_legacy_features(void)
{
	x86_platform.legacy.i8042 = X86_LEGACY_I8042_PLATFORM_ABSENT;
	x86_platform.legacy.rtc = 0;
	x86_platform.legacy.warm_reset = 0;
	x86_platform.legacy.no_vga = 1;
	x86_platform.legacy.reserve_bios_regions = 0;
	x86_platform.legacy.devices.pnpbios = 0;
}

static void setup_platform(void)
{
	x86_init.resources.probe_roms = x86_init_noop;
	x86_init.resources.reserve_resources = x86_init_noop;
	x86_init.resources.dmi_setup = x86_init_noop;
	no_cpu_table();

	x86_platform.set_legacy_features = no_legacy_features;
	x86_platform.get_nmi_reason = no_nmi_reason;
	x86_platform.realmode_reserve = x86_init_noop;
	x86_platform.realmode_init = x86_init_noop;

	disable_acpi();
	pci_probe = 0;
	if (lguest_shared.vcpus == 1)
		smp_ops.stop_other_cpus = stop_nobody;
}

/*G:140
 * Hooks that Linux calls on its way up: in setup_arch(), when it has looked at
 * the CPU, and among the initcalls, between those of buses and of devices.
:*/
/* All of them are taken: drivers that would try some do not. */
static struct resource no_ports = {
	.name	= "paravirt-ioport",
	.end	= IO_SPACE_LIMIT,
	.flags	= IORESOURCE_IO | IORESOURCE_BUSY,
};

static void arch_setup(void)
{
	/*
	 * Page table isolation is the Host's: guest user has a view without
	 * the upper half.  So this CPU does not have the bug; and Linux must
	 * not get the idea, as that would put NX on user's half.
	 */
	clear_bit(X86_BUG_CPU_MELTDOWN, (unsigned long *)cpu_caps_set);
	setup_clear_cpu_cap(X86_BUG_CPU_MELTDOWN);
	setup_clear_cpu_cap(X86_FEATURE_PTI);

	keep_lock_prefixes();
	no_reset_reason();
	split_locks_are_fatal();
	all_memory_is_cached();

	/*
	 * Intel's cure is an MSR that ring 3 does not have.  Linux shall say
	 * "Vulnerable" and not warn that it chose the wrong one.
	 */
	if (boot_cpu_data.x86_vendor == X86_VENDOR_INTEL)
		no_retbleed_cure();

	/*
	 * What wakes an idle CPU for nothing.  The watchdog takes a guest that
	 * the Host did not run for a while for a hung one, too.
	 */
#ifdef CONFIG_COMPACTION
	sysctl_compaction_proactiveness = 0;
#endif
#ifdef CONFIG_LOCKUP_DETECTOR
	watchdog_user_enabled = 0;
#endif

	request_resource(&ioport_resource, &no_ports);
}

/*G:420
 * In place of native_init_IRQ(): all gates of the IDT, which also installs the
 * stubs through which vectors 0x30.. reach the lines of irq.c.
:*/
static void init_irq(void)
{
	idt_setup_apic_and_irq_gates();
	setup_console();
}

static int before_devices(void)
{
	no_sleep_states();
	setup_vdso();
	start_console();
	setup_fault_ahead();
	add_virtio_devices();
	setup_power_button();
	return 0;
}

/*G:160
 * The layer's place: its frames are not free memory, its addresses are not free
 * for modules.
:*/
static struct vm_struct layer_area = {
	.addr	= (void *)LAYER_VA,
	.size	= LAYER_SIZE,
	.flags	= VM_MAP | VM_NO_GUARD,
	.phys_addr = LAYER_PA,
};

static void reserve_layer(void)
{
	memblock_reserve(LAYER_PA, lguest_layer_end - lguest_layer_start);
	vm_area_add_early(&layer_area);
}

/*G:100
 * The first C code: what must be so before Linux's start_kernel().
:*/

/**
 * lguest_start_kernel() - called by lguest_start
 * @boot_params: guest-physical address of what the launcher tells Linux
 *
 * Does not return.
 */
void __noreturn lguest_start_kernel(char *boot_params_pa);

void __noreturn lguest_start_kernel(char *boot_params_pa)
{
	clear_bss();
	setup_first_page();

	pv_info.name = "lguest";
	setup_cpu_ops();
	setup_irq_ops();
	setup_mmu_ops();
	patch_text();
	setup_privileged();
	setup_absent();
	setup_poking();
	skip_sync_irets();
	/* The first traps, until Linux has its own handlers. */
	idt_setup_early_handler();

	/* CR4's shadow, as head_64.S would have left CR4. */
	this_cpu_write(cpu_tlbstate.cr4, X86_CR4_PAE | X86_CR4_PGE);
	force_cpu_cap(X86_FEATURE_XENPV);
	setup_clear_cpu_cap(X86_FEATURE_SYSFAST32);
	setup_clear_cpu_cap(X86_FEATURE_SYSCALL32);
	no_microcode_loader();
	setup_early_console();

	setup_platform();
	setup_machine_ops();
	setup_time_ops();
	setup_smp();
	x86_init.irqs.intr_init = init_irq;
	x86_init.oem.arch_setup = arch_setup;
	x86_init.iommu.iommu_init = before_devices;
	reserve_layer();

	/* Copies boot_params and the command line, and calls start_kernel(). */
	x86_64_start_reservations(boot_params_pa);
	unreachable();
}
