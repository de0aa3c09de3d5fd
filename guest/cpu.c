// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's CPU as Linux sees it: model-specific registers, control and debug
 * registers, segments; and CPUID, in cpuid.c.  Everything here runs at ring 3,
 * so what the hardware would refuse is either kept in memory or answered like
 * hardware that lacks the feature.
 * Read next: privileged.c.
 */
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fsgsbase.h>
#include <asm/msr-index.h>
#include <asm/paravirt.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>
#include <asm/traps.h>
#include "compat/io_delay.h"
#include "compat/msr_ops.h"
#include "compat/wbinvd.h"
#include "layer.h"

/*G:310
 * Model-specific registers.  The three segment bases are real: the instruction
 * set lets ring 3 have them, and the base that waits for guest user is in the
 * shared page.  Of the others a few are read by code that must find sense in
 * them.  What we do not know does not exist: 0, or -EIO for those who ask
 * carefully.
:*/
#define EFER_SCE_LME_LMA_NX	0xd01

static bool read_known_msr(unsigned int msr, u64 *value)
{
	switch (msr) {
	case MSR_FS_BASE:
		*value = rdfsbase();
		return true;
	case MSR_GS_BASE:
		*value = rdgsbase();
		return true;
	case MSR_KERNEL_GS_BASE:
		*value = lguest_shared.user_gs_base;
		return true;
	case MSR_EFER:
		*value = EFER_SCE_LME_LMA_NX;
		return true;
	case MSR_IA32_UCODE_REV:
		/* So new that no erratum makes Linux give up PCID. */
		*value = ~0ULL;
		return true;
	case MSR_IA32_MISC_ENABLE:
		*value = MSR_IA32_MISC_ENABLE_FAST_STRING;
		return true;
	case MSR_IA32_CR_PAT:
		*value = 0x0007040600070406ULL;
		return true;
	case MSR_IA32_APICBASE:
		/* The first one is the one that was booted from. */
		*value = lguest_shared.vcpu ? 0 : MSR_IA32_APICBASE_BSP;
		return true;
	case MSR_STAR:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_SYSCALL_MASK:
	case MSR_TSC_AUX:
	case MSR_IA32_SYSENTER_CS:
	case MSR_IA32_SYSENTER_ESP:
	case MSR_IA32_SYSENTER_EIP:
		*value = 0;
		return true;
	default:
		*value = 0;
		return false;
	}
}

static bool write_known_msr(unsigned int msr, u64 value)
{
	u64 ignored;

	switch (msr) {
	case MSR_FS_BASE:
		wrfsbase(value);
		return true;
	case MSR_GS_BASE:
		wrgsbase(value);	/* first: it may be lost, see page.c */
		lguest_shared.kernel_gs_base = value;
		lguest_move_page(value);
		return true;
	case MSR_KERNEL_GS_BASE:
		lguest_shared.user_gs_base = value;
		return true;
	default:
		return read_known_msr(msr, &ignored);
	}
}

static u64 lguest_read_pmc(int counter)
{
	return 0;
}

/*G:320
 * Control registers: the Host owns the real ones, Linux gets its values back.
 * There is no op for reading CR4: Linux keeps a shadow of it.
:*/
#define FIRST_CR0	(X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | \
			 X86_CR0_WP | X86_CR0_AM | X86_CR0_PG)

static unsigned long lguest_read_cr0(void)
{
	return lguest_local.cr0;
}

static void lguest_write_cr0(unsigned long value)
{
	lguest_local.cr0 = value;
}

static void lguest_write_cr4(unsigned long value)
{
}

/*
 * Debug registers: hardware breakpoints never reach the CPU.  DR6, as the Host
 * found it after a debug exception, tells of single steps.
 */
static unsigned long lguest_get_debugreg(int n)
{
	return n == 6 ? lguest_shared.dr6 : lguest_local.debug_registers[n & 7];
}

static void lguest_set_debugreg(int n, unsigned long value)
{
	if (n == 6)
		lguest_shared.dr6 = value;
	else
		lguest_local.debug_registers[n & 7] = value;
}

/*G:330
 * Segments.  The hardware's GDT is the Host's; of the guest's only the three
 * thread-local descriptors exist for the CPU, and there are no LDTs.
:*/
static void lguest_load_tls(struct thread_struct *t, unsigned int cpu)
{
	u64 d[GDT_ENTRY_TLS_ENTRIES];
	bool same = true;
	int i;

	memcpy(d, t->tls_array, sizeof(d));
	for (i = 0; i < GDT_ENTRY_TLS_ENTRIES; i++) {
		same &= d[i] == lguest_local.tls[i];
		lguest_local.tls[i] = d[i];
	}
	if (!same)
		hcall(LHCALL_LOAD_TLS, d[0], d[1], d[2]);
}

/* Could guest user load this selector into a data segment register? */
static bool loadable(unsigned int sel)
{
	unsigned int i = (sel >> 3) - GDT_ENTRY_TLS_MIN;
	bool present, code, readable;
	u64 tls;

	if (sel == __USER_DS)
		return true;
	if ((sel & 7) != 3 || i >= GDT_ENTRY_TLS_ENTRIES)
		return false;
	tls = lguest_local.tls[i];
	present = tls & BIT_ULL(47);
	code = tls & BIT_ULL(43);
	readable = tls & BIT_ULL(41);
	return present && (!code || readable);
}

/*
 * Loading %gs replaces the base under which the kernel finds its per-CPU data,
 * so nothing must come before the base is back: interrupts are off, it is done in the
 * entry code, where not even an NMI comes, and selectors that would fault become 0, as
 * the native code does it after the fault.  The base that the selector gave is guest
 * user's.  (AMD's CPUs leave the base alone when a null selector is loaded.)
 */
static void lguest_load_gs_index(unsigned int sel)
{
	u64 enabled = lguest_shared.irq_enabled;
	unsigned long base;

	sel &= 0xffff;
	WRITE_ONCE(lguest_shared.irq_enabled, 0);
	barrier();
	if (sel > 3 && !loadable(sel))
		sel = 0;
	base = lguest_load_gs(sel);
	lguest_shared.user_gs_base = sel > 3 ? base : 0;
	barrier();
	WRITE_ONCE(lguest_shared.irq_enabled, enabled);
	if (enabled && READ_SHARED(lguest_shared.irq_pending))
		hcall(LHCALL_SEND_INTERRUPTS, 0, 0, 0);
}

static void lguest_load_sp0(unsigned long sp0)
{
	lguest_shared.sp0 = sp0;
	/* Another task is next. */
	lguest_end_poking();
	lguest_do_late_calls();
}

static unsigned long lguest_store_tr(void)
{
	return GDT_ENTRY_TSS * 8;
}

static bool is_early_handler(void *handler)
{
	return handler >= (void *)early_idt_handler_array[0] &&
	       handler < (void *)early_idt_handler_array[NUM_EXCEPTION_VECTORS];
}

/*G:340
 * The IDT: we keep the handler's address of each gate.  The vectors that have
 * a stack of their own on hardware go to those variants of Linux's handlers
 * that can do without.
:*/
static void lguest_write_idt_entry(gate_desc *idt, int n,
				   const gate_desc *gate)
{
	void *handler = (void *)gate_offset(gate);

	memcpy(&idt[n], gate, sizeof(*gate));
	if (!is_early_handler(handler)) {
		switch (n) {
		case X86_TRAP_PF:
			linux_page_fault = handler;
			handler = lguest_page_fault;
			lguest_shared.direct_faults = 1;
			break;
#ifdef CONFIG_IA32_EMULATION
		case X86_TRAP_GP:
			linux_general_protection = handler;
			handler = lguest_general_protection;
			break;
#endif
		case X86_TRAP_DB:
			handler = asm_xenpv_exc_debug;
			break;
		case X86_TRAP_NMI:
			handler = asm_xenpv_exc_nmi;
			break;
		case X86_TRAP_DF:
			handler = asm_xenpv_exc_double_fault;
			break;
#ifdef CONFIG_X86_MCE
		case X86_TRAP_MC:
			handler = asm_xenpv_exc_machine_check;
			break;
#endif
		}
	}
	lguest_handlers[n & 0xff] = handler;
}

/* All gates come through the op above, whichever table is loaded. */
static void lguest_load_dt(const struct desc_ptr *dt)
{
}

static void lguest_set_ldt(const void *ldt, unsigned int entries)
{
}

/**
 * setup_cpu_ops() - fill pv_ops.cpu
 */
void setup_cpu_ops(void)
{
	lguest_shared.dr6 = DR6_RESERVED;
	lguest_local.cr0 = FIRST_CR0;

	no_io_delay();
	no_wbinvd();
	pv_ops.cpu.get_debugreg = lguest_get_debugreg;
	pv_ops.cpu.set_debugreg = lguest_set_debugreg;
	pv_ops.cpu.read_cr0 = lguest_read_cr0;
	pv_ops.cpu.write_cr0 = lguest_write_cr0;
	pv_ops.cpu.write_cr4 = lguest_write_cr4;
	pv_ops.cpu.load_tr_desc = paravirt_nop;
	pv_ops.cpu.load_gdt = lguest_load_dt;
	pv_ops.cpu.load_idt = lguest_load_dt;
	pv_ops.cpu.set_ldt = lguest_set_ldt;
	pv_ops.cpu.store_tr = lguest_store_tr;
	pv_ops.cpu.load_tls = lguest_load_tls;
	pv_ops.cpu.load_gs_index = lguest_load_gs_index;
	pv_ops.cpu.write_idt_entry = lguest_write_idt_entry;
	pv_ops.cpu.load_sp0 = lguest_load_sp0;
#ifdef CONFIG_X86_IOPL_IOPERM
	pv_ops.cpu.invalidate_io_bitmap = paravirt_nop;
	pv_ops.cpu.update_io_bitmap = paravirt_nop;
#endif
	setup_features();
	pv_ops.cpu.cpuid = lguest_cpuid;
	setup_msr_ops();
	pv_ops.cpu.read_pmc = lguest_read_pmc;
}
