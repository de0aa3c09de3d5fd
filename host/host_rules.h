/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What we cannot run on, and the sentence for it: first of the machine, then of each
 * CPU.  Plain tables, so that a unit test can make machines up; check_host.c looks
 * what is so.  `lguest check --deep` tells the same from outside (launcher/check/deep.c).
 */
#ifndef _LG_HOST_RULES_H
#define _LG_HOST_RULES_H

struct host_facts {
	_Bool xen_pv;
	_Bool realtime;		/* CONFIG_PREEMPT_RT */
	_Bool encrypted;	/* SEV-ES or SEV-SNP: CPUID is #VC */
	_Bool tdx;		/* CPUID is #VE */
	_Bool fsgsbase, nx, xsave;
	_Bool tsc;		/* its rate is known */
};

struct cpu_facts {
	unsigned long long cr4, xcr0, idt, gdt, gdt_wanted, lstar;
	unsigned short tr;
	_Bool vmx;		/* LSTAR may be that of KVM's guest */
};

#define CR4_IS_FSGSBASE	(1ULL << 16)
#define CR4_IS_LASS	(1ULL << 27)
#define CR4_IS_FRED	(1ULL << 32)
/*
 * Those by which a guest would notice another CPU: PGE, OSFXSR, UMIP, LA57, FSGSBASE,
 * PCIDE, OSXSAVE, SMEP, SMAP, PKE, CET.  Linux has others as they come (PSE), or for
 * each task (TSD).
 */
#define CR4_ALIKE	0xf71a80ULL

#define RO_IDT_WANTED	0xfffffe0000000000ULL
#define KERNEL_TEXT	0xffffffff80000000ULL
#define KERNEL_TEXT_END	0xffffffffc0000000ULL
#define TSS_SELECTOR	0x40

static inline const char *host_trouble(const struct host_facts *f)
{
	if (f->xen_pv)
		return "is afraid of being a guest of a paravirtual hypervisor: ring 0 is not ours";
	if (f->realtime)
		return "cannot work on PREEMPT_RT, where its locks would sleep: boot a kernel without -rt";
	if (f->encrypted)
		return "cannot work under SEV-ES or SEV-SNP, where CPUID is an exception: use a machine whose state is not encrypted";
	if (f->tdx)
		return "cannot work under TDX, where CPUID is an exception: use a machine whose state is not encrypted";
	if (!f->fsgsbase)
		return "needs a CPU with FSGSBASE (and no nofsgsbase parameter)";
	if (!f->nx)
		return "needs a CPU with NX";
	if (!f->xsave)
		return "needs a CPU with XSAVE (and no noxsave parameter)";
	if (!f->tsc)
		return "needs a CPU with a TSC whose rate the kernel knows: look for TSC in dmesg";
	return NULL;
}

/* @first: a CPU that will do */
static inline const char *cpu_trouble(const struct cpu_facts *f,
				      const struct cpu_facts *first)
{
	if (!(f->cr4 & CR4_IS_FSGSBASE))
		return "needs CPUs with FSGSBASE (and no nofsgsbase parameter)";
	if (f->cr4 & CR4_IS_FRED)
		return "cannot work with FRED yet: boot the host with fred=off";
	if (f->idt != RO_IDT_WANTED)
		return "finds the interrupt table elsewhere than in the CPU entry area: use a stock kernel";
	if (f->gdt != f->gdt_wanted || f->tr != TSS_SELECTOR)
		return "finds the GDT or the task register not as Linux has them: use a stock kernel";
	if (!f->vmx && (f->lstar < KERNEL_TEXT || f->lstar >= KERNEL_TEXT_END))
		return "finds that system calls do not lead to the kernel: unload what has changed that";
	if ((f->cr4 ^ first->cr4) & CR4_ALIKE)
		return "needs CPUs that are alike, and their CR4 differ: update the microcode early in the boot";
	if (f->xcr0 != first->xcr0)
		return "needs CPUs that are alike, and their XCR0 differ: update the microcode early in the boot";
	return NULL;
}

#endif
