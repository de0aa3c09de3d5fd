// SPDX-License-Identifier: GPL-2.0
/*
 * The state of a physical CPU that a guest changes, apart from the registers
 * that the Switcher itself handles: segments, extended (FPU) state, protection
 * keys, debug registers, and the system-call MSRs of syscall_msrs.c.
 * enter_guest() is the world switch as C sees it.
 * Read next: switcher_map.c.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/cpu_entry_area.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/mmu_context.h>
#include <asm/pgtable.h>
#include <asm/special_insns.h>
#include "lg.h"
#include "host_rules.h"
#include "compat/cpu.h"
#include "compat/shadow_stack.h"

static DEFINE_PER_CPU(struct lg_pcids, pcids);
static unsigned int fpu_size;

/*H:310
 * Extended state.  The guest runs with the host's XCR0, so what it can touch
 * is what XCR0 enables: we keep all of that apart for it, except protection
 * keys, which are handled by hand below, and AMX.
 *
 * AMX's tiles are 8 KiB that few tasks have, and Linux arms XFD for all others, so
 * that their first use is a #NM.  But it does so when a task returns to user space,
 * and here none has: another task's tiles may still be in the CPU, and XFD as for
 * that one.  So the tiles are emptied, as the guest's area never has any, and XFD is
 * armed: for a guest there is no AMX.
 */
#define XFEATURES_NOT_KEPT (XFEATURE_MASK_PKRU | XFEATURE_MASK_XTILE)

#define MXCSR_MASK_DEFAULT 0xffbf	/* where FXSAVE gives none (SDM 1, 11.6.6) */

static u64 load_mask, save_mask;
static u32 mxcsr_mask;
static bool has_xfd;
static DEFINE_PER_CPU(u64, host_xfd);

static u32 ask_mxcsr_mask(void)
{
	struct fxregs_state state __aligned(16) = { .mxcsr_mask = 0 };

	kernel_fpu_begin();
	asm volatile("fxsave64 %0" : "+m" (state));
	kernel_fpu_end();
	return state.mxcsr_mask ?: MXCSR_MASK_DEFAULT;
}

/* Look what extended state there is. */
void init_fpu_size(void)
{
	u32 eax, ebx, ecx, edx;

	u64 xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);

	save_mask = xcr0 & ~XFEATURES_NOT_KEPT;
	load_mask = save_mask | (xcr0 & XFEATURE_MASK_XTILE);
	has_xfd = boot_cpu_has(X86_FEATURE_XFD);
	cpuid_count(0xd, 0, &eax, &ebx, &ecx, &edx);
	fpu_size = ebx;
	mxcsr_mask = ask_mxcsr_mask();
}

int init_fpu(struct lg_cpu *cpu)
{
	struct xregs_state *area;

	area = alloc_pages_exact(fpu_size, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!area)
		return -ENOMEM;
	/* An empty header is the initial state, but for this register. */
	area->i387.mxcsr = MXCSR_DEFAULT;
	cpu->fpu = area;
	return 0;
}

unsigned int fpu_area_size(void)
{
	return fpu_size;
}

u64 fpu_features(void)
{
	return save_mask;
}

/**
 * fpu_possible() - can XRSTOR load this?
 * @area: extended state from the launcher, of fpu_area_size()
 *
 * What it would not load is a #GP in the host.
 */
bool fpu_possible(const void *area)
{
	const struct xregs_state *state = area;

	return !(state->header.xfeatures & ~save_mask) && !state->header.xcomp_bv &&
	       !memchr_inv(state->header.reserved, 0, sizeof(state->header.reserved)) &&
	       !(state->i387.mxcsr & ~mxcsr_mask);
}

void free_fpu(struct lg_cpu *cpu)
{
	if (cpu->fpu)
		free_pages_exact(cpu->fpu, fpu_size);
	cpu->fpu = NULL;
}

/* Linux remembers what it has set: it is put back before it looks again. */
static void arm_xfd(void)
{
	u64 xfd;

	rdmsrq(MSR_IA32_XFD, xfd);
	this_cpu_write(host_xfd, xfd);
	wrmsrq(MSR_IA32_XFD, xfd | XFEATURE_MASK_XTILE_DATA);
}

/*
 * Both between kernel_fpu_begin() and kernel_fpu_end(): the launcher's own state is
 * loaded before it runs again.  That includes its shadow stack; the CPU may still use
 * that, or another task's, for all that runs at ring 3, so it is turned off.
 */
void load_guest_fpu(struct lg_cpu *cpu)
{
	user_shadow_stack_off();
	asm volatile("xrstor64 %0" : : "m" (*(char *)cpu->fpu),
		     "a" ((u32)load_mask), "d" ((u32)(load_mask >> 32))
		     : "memory");
	if (has_xfd)
		arm_xfd();
}

void save_guest_fpu(struct lg_cpu *cpu)
{
	asm volatile("xsave64 %0" : "+m" (*(char *)cpu->fpu)
		     : "a" ((u32)save_mask), "d" ((u32)(save_mask >> 32))
		     : "memory");
	if (has_xfd)
		wrmsrq(MSR_IA32_XFD, this_cpu_read(host_xfd));
}

/* The guest took a #NM.  KVM would find why, and think that its guest did. */
void forget_nm(void)
{
	if (has_xfd)
		wrmsrq(MSR_IA32_XFD_ERR, 0);
}

/*H:320
 * All guest pages are user pages to the hardware, so protection keys would
 * work on the guest kernel's too: its accesses are made with all keys open.
 */
static u32 swap_pkru(u32 new)
{
	u32 old;

	if (!boot_cpu_has(X86_FEATURE_OSPKE))
		return 0;
	old = rdpkru();
	if (old != new)
		wrpkru(new);
	return old;
}

/*H:325
 * What the launcher's task or memory has, the guest would have too.  With an LDT
 * that is more than it seems: the CPU looks for the LDT at its kernel address, but
 * in the tables that are loaded, and the guest may map what it likes there, a call
 * gate to ring 0 for example.
 *
 * Any thread may make the LDT, at any time.  Linux stores the pointer and then
 * interrupts all CPUs that have this memory loaded, to make them load it.  So who
 * reads NULL here with interrupts off enters the guest without one, and is
 * interrupted before the CPU has one.  Rights to ports are each thread's own, and
 * it cannot change them inside read().
:*/

/**
 * check_task() - may this task run a guest now?
 *
 * To be asked before each entry, with interrupts off.
 *
 * Return: 0, or -EPERM if its ports or its LDT would be the guest's too.
 */
int check_task(void)
{
	if (test_thread_flag(TIF_IO_BITMAP))
		return -EPERM;
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	if (READ_ONCE(current->mm->context.ldt))
		return -EPERM;
#endif
	return 0;
}

/* Thread-local descriptors: flat or not, but user's, and no system segment. */
static bool descriptor_ok(struct desc_struct d)
{
	if (!*(u64 *)&d)
		return true;
	if (!d.p || d.dpl != 3 || !d.s || d.l)
		return false;
	/* Conforming code would run at whatever ring jumps there. */
	return !((d.type & 8) && (d.type & 4));
}

/**
 * load_tls_entries() - LOAD_TLS
 * @cpu: the vCPU
 * @desc: what is to become GDT entries 12 to 14 while it runs
 *
 * Return: 0, or -EINVAL if one is not a descriptor a user may have.
 */
int load_tls_entries(struct lg_cpu *cpu, const u64 desc[3])
{
	struct desc_struct tls[3];
	int i;

	memcpy(tls, desc, sizeof(tls));
	for (i = 0; i < 3; i++) {
		if (!descriptor_ok(tls[i]))
			return -EINVAL;
		/* So that the CPU never has to write the host's GDT. */
		if (desc[i])
			tls[i].type |= 1;
	}
	memcpy(cpu->tls, tls, sizeof(tls));
	cpu->tls_used = desc[0] || desc[1] || desc[2];
	return 0;
}

static __always_inline void write_tls(const struct desc_struct tls[3])
{
	struct desc_struct *gdt = get_current_gdt_rw();

	memcpy(gdt + GDT_ENTRY_TLS_MIN, tls, 3 * sizeof(*tls));
}

struct selectors {
	u16 ds, es, fs, gs;
};

static __always_inline void read_selectors(struct selectors *s)
{
	savesegment(ds, s->ds);
	savesegment(es, s->es);
	savesegment(fs, s->fs);
	savesegment(gs, s->gs);
}

/*H:330
 * Only those that differ.  The base of FS goes wrong with it, which is put right
 * later; that of GS must not be wrong for one instruction of C: it is how the
 * kernel finds its data, and a tracer's call, a return thunk or a sanitizer may be
 * anywhere that the compiler likes.  So it comes back in the same breath.  (An NMI
 * in between finds its own GS base: paranoid_entry in arch/x86/entry/entry_64.S.)
 */
static __always_inline void load_selectors(const struct selectors *now,
					   const struct selectors *want,
					   u64 gs_base)
{
	if (now->ds != want->ds)
		loadsegment(ds, want->ds);
	if (now->es != want->es)
		loadsegment(es, want->es);
	if (now->fs != want->fs)
		asm volatile("movw %0, %%fs" : : "rm" (want->fs));
	if (now->gs != want->gs)
		asm volatile("movw %0, %%gs; wrgsbase %1" : :
			     "r" (want->gs), "r" (gs_base));
}

/*
 * From the host's selectors to the guest and back, where no tracer or probe may
 * be.  What the CPU has of the trap is taken at once, before anything of the host
 * can trap: @guest has the guest's selectors afterwards.
 */
static noinstr void cross(struct lg_cpu *cpu, struct selectors *guest,
			  unsigned long enter)
{
	struct lg_state *state = cpu->state;
	struct selectors host;

	read_selectors(&host);
	load_selectors(&host, guest, state->host_gs);
	amd_clear_divider();	/* or a division by zero may show the last one's result */
	switch_worlds(enter);
	if (state->trapnum == X86_TRAP_PF)
		cpu->cr2 = native_read_cr2();
	if (unlikely(state->trapnum == X86_TRAP_DB)) {
		cpu->dr6 = native_get_debugreg(6);
		native_set_debugreg(6, DR6_RESERVED);
	}
	/* Before the task's own selectors: one may be of these. */
	if (cpu->tls_used)
		write_tls(current->thread.tls_array);
	read_selectors(guest);
	load_selectors(guest, &host, state->host_gs);
	wrfsbase(state->host_fs);
}

/* Null, the user data segment, or a live TLS entry: what cannot fault. */
static u16 safe_selector(struct lg_cpu *cpu, u16 sel)
{
	unsigned int n = sel >> 3;

	if ((sel & ~3) == 0 || sel == __USER_DS)
		return sel;
	if (n >= GDT_ENTRY_TLS_MIN && n <= GDT_ENTRY_TLS_MAX &&
	    (sel & 7) == 3 && cpu->tls_used &&
	    cpu->tls[n - GDT_ENTRY_TLS_MIN].p)
		return sel;
	return 0;
}

/* With LASS a guest could not run.  The Switcher sees to it: no host code may miss it. */
static void prepare_cr4(struct lg_state *state)
{
	state->host_cr4 = __read_cr4();
	state->guest_cr4 = state->host_cr4 & ~CR4_IS_LASS;
	state->change_cr4 = state->flush_all || state->guest_cr4 != state->host_cr4;
}

/* From 6.16 on the kernel keeps it in cpu_dr7; it is no watchpoint to turn off. */
#define DR7_ALWAYS_SET	0x400

/**
 * enter_guest() - the world switch: run the guest until anything happens
 * @cpu: vCPU with its registers, root and mode set
 *
 * Interrupts are off, and guest extended state is loaded.  On return the reason
 * is in the state page; a host interrupt that caused it is not handled yet.
 */
void enter_guest(struct lg_cpu *cpu)
{
	struct lg_state *state = cpu->state;
	struct user_regs_struct *regs = &state->regs;
	struct selectors guest;
	unsigned long dr7 = this_cpu_read(cpu_dr7) & ~DR7_ALWAYS_SET;
	u32 pkru;

	load_syscall_msrs(cpu);
	separate_predictions(cpu);
	if (unlikely(dr7))
		set_debugreg(0, 7);
	if (cpu->tls_used)
		write_tls(cpu->tls);

	state->host_cr3 = __read_cr3();
	state->host_cr3 |= state->keep;
	state->host_fs = rdfsbase();
	state->host_gs = rdgsbase();
	store_idt(&state->host_idt);
	prepare_cr4(state);
	pkru = swap_pkru(cpu->user ? cpu->pkru : 0);
	prepare_direct(cpu);
	prepare_tlb(cpu, this_cpu_ptr(&pcids));

	guest.ds = safe_selector(cpu, regs->ds);
	guest.es = safe_selector(cpu, regs->es);
	guest.fs = safe_selector(cpu, regs->fs);
	guest.gs = safe_selector(cpu, regs->gs);
	cross(cpu, &guest, switcher_address(cpu, switcher_enter));
	regs->ds = guest.ds;
	regs->es = guest.es;
	regs->fs = guest.fs;
	regs->gs = guest.gs;

	note_direct(cpu);
	pkru = swap_pkru(pkru);
	if (cpu->user)
		cpu->pkru = pkru;
	if (unlikely(dr7))
		set_debugreg(dr7, 7);
	leave_syscall_msrs();
	if (likely(state->trapnum != LG_TRAP_NONE)) {
		state->nr_stale = 0;
		state->flush_all = 0;
	}
	count(cpu, LG_COUNT_SWITCHES);
}
