/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How Linux learns which CPUs there are, and of a driver for their APICs: 6.9 made all of
 * it anew.  What the headers lack of it is declared here.
 */
#ifndef _GUEST_COMPAT_APIC_H
#define _GUEST_COMPAT_APIC_H

#include <linux/version.h>
#include <asm/apic.h>
#include <asm/smp.h>
#include <asm/x86_init.h>

extern struct apic apic_noop;
extern enum apic_intr_mode_id apic_intr_mode;
extern int smp_found_config;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
extern unsigned int boot_cpu_physical_apicid;
extern u8 boot_cpu_apic_version;

/* Any version but 0, of which Linux says that it is the firmware's mistake. */
#define APIC_VERSION	0x14

static int package_of(int id, int shift)
{
	return id >> shift;
}

static inline void install_driver(struct apic *driver)
{
	driver->phys_pkg_id = package_of;
	apic = driver;
}

static inline void register_cpus(unsigned int nr)
{
	unsigned int i;

	boot_cpu_physical_apicid = 0;
	boot_cpu_apic_version = APIC_VERSION;
	for (i = 0; i < nr; i++)
		generic_processor_info(i, APIC_VERSION);
	/* Before Linux looks at it, and installs another driver. */
	smp_found_config = 1;
}

static void find_cpus(unsigned int early)
{
	if (!early)
		lguest_find_cpus();
}

static inline void have_cpus_found(void)
{
	x86_init.mpparse.get_smp_config = find_cpus;
}
#else
void apic_install_driver(struct apic *driver);
void topology_register_apic(u32 apic_id, u32 acpi_id, bool present);
void topology_register_boot_apic(u32 apic_id);
extern bool apic_is_disabled;

static inline void install_driver(struct apic *driver)
{
	apic_install_driver(driver);
}

static inline void register_cpus(unsigned int nr)
{
	unsigned int i;

	topology_register_boot_apic(0);
	for (i = 0; i < nr; i++)
		topology_register_apic(i, CPU_ACPIID_INVALID, true);
	smp_found_config = 1;
}

/* Without ACPI, and without tables of the firmware's, Linux takes it for disabled. */
static void allow_cpus(void)
{
	apic_is_disabled = false;
}

static inline void have_cpus_found(void)
{
	x86_init.mpparse.early_parse_smp_cfg = allow_cpus;
	x86_init.mpparse.parse_smp_cfg = lguest_find_cpus;
}
#endif

/* One after the other: since 6.5 all can begin at once, which is harder to follow. */
static inline void start_one_by_one(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	x86_cpuinit.parallel_bringup = false;
#endif
}

#endif /* _GUEST_COMPAT_APIC_H */
