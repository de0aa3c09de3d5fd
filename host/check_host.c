// SPDX-License-Identifier: GPL-2.0
/*
 * Is this a machine that we know?  Asked when the module is loaded, and of each CPU
 * that comes later.  The sentences are in host_rules.h.
 * Read next: module.c.
 */
#include <linux/cc_platform.h>
#include <linux/cpuhotplug.h>
#include <linux/percpu.h>
#include <asm/cpu_entry_area.h>
#include <asm/cpufeature.h>
#include <asm/desc.h>
#include <asm/fpu/xcr.h>
#include <asm/special_insns.h>
#include <asm/tsc.h>
#include "lg.h"
#include "host_rules.h"
#include "compat/async_fault.h"
#include "compat/cpu.h"
#include "compat/kernels.h"

static_assert(RO_IDT_WANTED == CPU_ENTRY_AREA_RO_IDT);
static_assert(CR4_IS_FSGSBASE == X86_CR4_FSGSBASE);
#ifdef X86_CR4_LASS		/* from Linux 6.17 on */
static_assert(CR4_IS_LASS == X86_CR4_LASS);
#endif
static_assert(CR4_ALIKE == (X86_CR4_PGE | X86_CR4_OSFXSR | X86_CR4_UMIP | X86_CR4_LA57 |
			    X86_CR4_FSGSBASE | X86_CR4_PCIDE | X86_CR4_OSXSAVE |
			    X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PKE | BIT_ULL(23)));
static_assert(KERNEL_TEXT == __START_KERNEL_map);
static_assert(TSS_SELECTOR == GDT_ENTRY_TSS * 8);

static DEFINE_PER_CPU(bool, good);
static struct cpu_facts first;
static bool have_first, loaded;
static int hotplug_state;

static void look_at_host(struct host_facts *f)
{
	*f = (struct host_facts) {
		.xen_pv = cpu_feature_enabled(X86_FEATURE_XENPV),
		.realtime = IS_ENABLED(CONFIG_PREEMPT_RT),
		.encrypted = cc_platform_has(CC_ATTR_GUEST_STATE_ENCRYPT),
		.tdx = cpu_feature_enabled(X86_FEATURE_TDX_GUEST),
		.fsgsbase = boot_cpu_has(X86_FEATURE_FSGSBASE),
		.nx = boot_cpu_has(X86_FEATURE_NX),
		.xsave = boot_cpu_has(X86_FEATURE_XSAVE),
		.tsc = boot_cpu_has(X86_FEATURE_TSC) && tsc_khz,
	};
}

static void look_at_cpu(struct cpu_facts *f)
{
	struct desc_ptr table;

	*f = (struct cpu_facts) {
		.cr4 = __read_cr4(),
		.xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK),
		.gdt_wanted = (unsigned long)get_cpu_gdt_ro(smp_processor_id()),
		.vmx = cpuid_ecx(1) & BIT(5),
	};
	store_idt(&table);
	f->idt = table.address;
	native_store_gdt(&table);
	f->gdt = table.address;
	asm("str %0" : "=r" (f->tr));
	rdmsrq(MSR_LSTAR, f->lstar);
}

/*
 * On the CPU itself, before any user's task can run there.  When the module is loaded
 * an error ends that.  Later it would keep the CPU from the host: so guests may not
 * run there.
 */
static int cpu_comes(unsigned int cpu)
{
	struct cpu_facts facts;
	const char *trouble;

	find_async_flags();
	look_at_cpu(&facts);
	if (!have_first)
		first = facts;
	have_first = true;
	trouble = cpu_trouble(&facts, &first);
	if (trouble)
		pr_err("lguest %s (CPU %u)\n", trouble, cpu);
	this_cpu_write(good, !trouble);
	return trouble && !loaded ? -ENODEV : 0;
}

/* Interrupts are off.  Is this CPU one that guests may run on? */
bool cpu_is_good(void)
{
	return this_cpu_read(good);
}

/*H:050
 * What we cannot run on.  Each refusal is a sentence in the log.
 */
int check_host(void)
{
	struct host_facts facts;
	const char *trouble;

	if (!LG_KERNEL_IS_KNOWN)
		pr_warn("lguest knows Linux " LG_KNOWN_KERNELS " and not this kernel: it is tried anyway\n");
	look_at_host(&facts);
	trouble = host_trouble(&facts);
	if (trouble) {
		pr_err("lguest %s\n", trouble);
		return facts.xen_pv ? -EPERM : -ENODEV;
	}
	hotplug_state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "lguest:check",
					  cpu_comes, NULL);
	loaded = true;
	return hotplug_state < 0 ? hotplug_state : 0;
}

void forget_host(void)
{
	cpuhp_remove_state_nocalls(hotplug_state);
}
