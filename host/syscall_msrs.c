// SPDX-License-Identifier: GPL-2.0
/*
 * The MSRs that say where `syscall` and `sysenter` lead.  While a guest runs they
 * lead into the Switcher; whatever else runs must find the host's own there, or
 * those that KVM has put in their place.
 * Read next: predictions.c.
 */
#include <linux/cpuhotplug.h>
#include <linux/percpu.h>
#include <linux/user-return-notifier.h>
#include <asm/processor.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>
#include <asm/vmx.h>
#include "lg.h"
#include "compat/cpu.h"
#include "compat/syscore.h"

/*H:300
 * There are two ways to share these registers with the host.
 *
 * Lazily: they are ours from a guest's first entry on until this CPU is about to
 * return to any user space.  The kernel then calls our notifier, and they are the
 * host's again.  A write is slow, and an exit where the host is a virtual machine
 * itself, so this is the way wherever it is right: on CPUs without VMX.
 *
 * By stay: each entry looks what is there and writes ours, each exit puts back
 * what was found, all with interrupts off.  So it must be on CPUs with VMX, for
 * there KVM keeps the same registers lazily, too:
 *
 *  - What its guest uses stays there until a return to user space, and KVM
 *    remembers that.  We may find that, must not run with it, and must not leave
 *    anything else.
 *  - In an interrupt, when it turns VMX on, it reads what it takes for the
 *    host's, and later puts it back for good.  So ours may never be there
 *    while interrupts are on.  CR4.VMXE comes too late to tell, and going off
 *    it is cleared before KVM's guest's values are gone; so nothing is made of it.
 *  - A VM exit loads SYSENTER_CS with what KVM has once read there.
 *
 * KVM on AMD's CPUs saves all of them when a task begins to run a guest, and
 * loads them again at each exit.  What was there before is there afterwards,
 * ours as well, so lazily is right; but nobody may put back the host's while such
 * a task goes on, because its next exit would undo that.  Its return to user space
 * is one end of that, another task on this CPU is another: we only do it in a
 * task of our own.  (The host's sleep is neither, but then all tasks are frozen.)
 */
enum { LSTAR, STAR, FLAG_MASK, SYSENTER_CS, CSTAR, EFER, NR_MSRS };

static const u32 numbers[NR_MSRS] = {
	[LSTAR] = MSR_LSTAR, [STAR] = MSR_STAR,
	[FLAG_MASK] = MSR_SYSCALL_MASK, [SYSENTER_CS] = MSR_IA32_SYSENTER_CS,
	[CSTAR] = MSR_CSTAR, [EFER] = MSR_EFER,
};

struct cpu_msrs {
	struct user_return_notifier notifier;
	bool loaded;
	u64 found[NR_MSRS];
	u64 ours[NR_MSRS];
};

static DEFINE_PER_CPU(struct cpu_msrs, cpu_msrs);
static unsigned int used;		/* a bit for each that matters here */
static bool by_stay;
static int hotplug_state;

#define OUR_STAR	((u64)__USER32_CS << 48 | (u64)__KERNEL_CS << 32)
#define OUR_FLAG_MASK							\
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
	 X86_EFLAGS_SF | X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF | \
	 X86_EFLAGS_OF | X86_EFLAGS_IOPL | X86_EFLAGS_NT | X86_EFLAGS_RF | \
	 X86_EFLAGS_AC | X86_EFLAGS_ID)

static u64 our_value(struct lg_cpu *cpu, int i, u64 found)
{
	switch (i) {
	case LSTAR:
		return switcher_address(cpu, switcher_syscall);
	case CSTAR:
		return switcher_address(cpu, switcher_compat);
	case STAR:
		return OUR_STAR;
	case FLAG_MASK:
		return OUR_FLAG_MASK;
	case EFER:
		return found | EFER_SCE;
	}
	return 0;	/* `sysenter` is a #GP */
}

static void give_back(struct cpu_msrs *msrs)
{
	int i;

	for (i = 0; i < NR_MSRS; i++)
		if (used & BIT(i) && msrs->ours[i] != msrs->found[i])
			wrmsrq(numbers[i], msrs->found[i]);
	msrs->loaded = false;
}

static void end_laziness(struct cpu_msrs *msrs)
{
	unsigned long flags;

	local_irq_save(flags);
	if (msrs->loaded) {
		give_back(msrs);
		user_return_notifier_unregister(&msrs->notifier);
	}
	local_irq_restore(flags);
}

static void on_user_return(struct user_return_notifier *notifier)
{
	end_laziness(container_of(notifier, struct cpu_msrs, notifier));
}

/* In a task of our own that stays on this CPU: now, not at its return to user space. */
void end_msr_laziness_here(void)
{
	end_laziness(this_cpu_ptr(&cpu_msrs));
}

/* In the hotplug task of a CPU that goes offline, or when the module goes. */
static int cpu_goes(unsigned int cpu)
{
	end_laziness(per_cpu_ptr(&cpu_msrs, cpu));
	return 0;
}

/*
 * The host goes to sleep, on the one CPU that is not taken offline for it.  What
 * is awake again afterwards has the host's MSRs.
 */
static int host_sleeps(void)
{
	end_laziness(this_cpu_ptr(&cpu_msrs));
	return 0;
}

LG_DEFINE_SYSCORE(sleeper, host_sleeps);

static void load_ours(struct lg_cpu *cpu, struct cpu_msrs *msrs)
{
	u64 now, ours;
	int i;

	for (i = 0; i < NR_MSRS; i++) {
		if (!(used & BIT(i)))
			continue;
		if (!msrs->loaded)
			rdmsrq(numbers[i], msrs->found[i]);
		now = msrs->loaded ? msrs->ours[i] : msrs->found[i];
		ours = our_value(cpu, i, msrs->found[i]);
		if (ours != now)
			wrmsrq(numbers[i], ours);
		msrs->ours[i] = ours;
	}
}

/**
 * load_syscall_msrs() - make system calls lead to this vCPU's Switcher
 * @cpu: vCPU about to be entered; interrupts are off and stay so
 */
void load_syscall_msrs(struct lg_cpu *cpu)
{
	struct cpu_msrs *msrs = this_cpu_ptr(&cpu_msrs);

	if (msrs->loaded &&
	    msrs->ours[LSTAR] == switcher_address(cpu, switcher_syscall))
		return;
	load_ours(cpu, msrs);
	if (!by_stay && !msrs->loaded) {
		msrs->notifier.on_user_return = on_user_return;
		user_return_notifier_register(&msrs->notifier);
	}
	msrs->loaded = true;
}

/* After the stay, before any interrupt is handled. */
void leave_syscall_msrs(void)
{
	if (by_stay)
		give_back(this_cpu_ptr(&cpu_msrs));
}

/* As KVM asks: a VMX that switches EFER by itself leaves nothing of it behind. */
static bool vmx_switches_efer(void)
{
	u64 entry, exit;

	if (rdmsrq_safe(MSR_IA32_VMX_ENTRY_CTLS, &entry) ||
	    rdmsrq_safe(MSR_IA32_VMX_EXIT_CTLS, &exit))
		return false;
	return (entry >> 32) & VM_ENTRY_LOAD_IA32_EFER &&
	       (exit >> 32) & VM_EXIT_LOAD_IA32_EFER;
}

/*
 * Each one that is left out saves an exit in a virtual machine.  In long mode AMD's
 * CPUs have no `sysenter`, and Intel's no `syscall` from 32-bit code; but QEMU's
 * emulation has both from there, whatever CPU it is.
 *
 * VMX is asked for as KVM does: the kernel's flag may be cleared by a parameter.
 */
static void choose_msrs(void)
{
	unsigned int vendor = boot_cpu_data.x86_vendor;
	bool tcg = cpuid_base_hypervisor("TCGTCGTCGTCG", 0) != 0;

	by_stay = (cpuid_ecx(1) & BIT(5)) != 0;
	used = BIT(LSTAR);
	if ((vendor != X86_VENDOR_AMD && vendor != X86_VENDOR_HYGON) || tcg)
		used |= BIT(SYSENTER_CS);
	if (vendor != X86_VENDOR_INTEL || tcg)
		used |= BIT(CSTAR);
	if (by_stay)
		used |= BIT(STAR) | BIT(FLAG_MASK);
	if (by_stay && !vmx_switches_efer())
		used |= BIT(EFER);
}

/**
 * init_syscall_msrs() - choose what to do here; watch CPUs go and sleep
 *
 * Return: 0 or an errno.
 */
int init_syscall_msrs(void)
{
	choose_msrs();
	hotplug_state = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN,
						  "lguest:msrs", NULL, cpu_goes);
	if (hotplug_state < 0)
		return hotplug_state;
	register_syscore(&sleeper);
	return 0;
}

/* No vCPU exists; but a CPU that saw no user space since may have our MSRs. */
void free_syscall_msrs(void)
{
	unregister_syscore(&sleeper);
	cpuhp_remove_state(hotplug_state);
}
