// SPDX-License-Identifier: GPL-2.0
/*
 * `modprobe lg selftest=1`: does lguest work on this machine?  There is no device
 * then; each CPU in turn does all that the world switch relies on, in small steps.
 * A step stakes only what the ones before it have proved, and is in the log before
 * it is made: should the machine die, its last line names what killed it.
 *
 *	stage 1	nothing is changed: the CPU's tables and registers are such as the
 *		Switcher expects, and what slot 508 must map is mapped
 *	stage 2	to the guest's side and back, a thousand times, without an
 *		instruction at ring 3: the IRET there fails, for its frame has no
 *		segments.  The Switcher takes that trap and goes home
 *	stage 3	one instruction at ring 3, for each way to leave it
 *	stage 4	the direct switches, each once, and then that instruction
 *	stage 5	frames that the CPU must refuse, as a hostile guest would give them
 *
 * In stages 2 to 5 all that a world switch must leave as it was is compared after each.
 * The guest is made as any other, with modprobe's own mm for a launcher's, but has no
 * memory: its page of code is put into its shadow tables right here.
 * Read next: selftest_tables.c.
 */
#define pr_fmt(fmt) "lg: selftest: " fmt

#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <asm/cpu_entry_area.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/fsgsbase.h>
#include <asm/pgtable.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>
#include "lg.h"
#include "page_tables.h"
#include "selftest.h"
#include "compat/cpu.h"

#define CROSSINGS	1000
#define CODE		0x10000000UL	/* the guest's page of code: for its user, ... */
#define KERNEL_CODE	0xffff960000000000UL	/* ... and for its kernel */
#define NOTHING		(CODE + PAGE_SIZE)	/* here it has nothing */
#define HOLE		0x800000000000UL	/* not canonical */
#define SPACE		0x1000UL	/* the guest's name of its address space */

int selftest_failed(const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	pr_err("failed: CPU %d: %pV\n", raw_smp_processor_id(), &vaf);
	va_end(args);
	return -EIO;
}

void selftest_say(int stage, const char *step)
{
	pr_info("stage %d: CPU %d: %s\n", stage, raw_smp_processor_id(), step);
}

/* Else there is no way to the guest's side. */
static int check_slot(void)
{
	u64 entry = READ_ONCE(((u64 *)current->mm->pgd)[SWITCHER_SLOT]);

	return entry ? selftest_failed("slot %d is taken: %#llx", SWITCHER_SLOT, entry) : 0;
}

/*H:810
 * What a world switch must leave as it found it.  The entry points of system calls
 * may be ours until we return to user space, so they are looked at in the end.
 */
struct look {
	u64 cr0, cr3, cr4, xcr0, dr7, flags, gdt, idt, tr, ldt;
	u64 fs_base, gs_base, user_gs, star, mask, efer, pkru;
	u16 ds, es, fs, gs;
};

static const char *const look_names[] = {
	"CR0", "CR3", "CR4", "XCR0", "DR7", "flags", "GDT", "IDT", "TR", "LDT",
	"FS base", "GS base", "user's GS base", "STAR", "SFMASK", "EFER", "PKRU",
};

static void look_around(struct look *l)
{
	struct desc_ptr p;

	memset(l, 0, sizeof(*l));
	l->cr0 = read_cr0();
	l->cr3 = __read_cr3();
	l->cr4 = __read_cr4();
	l->xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	get_debugreg(l->dr7, 7);
	/* All but what any arithmetic changes. */
	l->flags = native_save_fl() & ~(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF |
					X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF);
	asm volatile("sgdt %0" : "=m" (p));
	l->gdt = p.address;
	store_idt(&p);
	l->idt = p.address;
	asm volatile("str %0" : "=r" (l->tr));
	asm volatile("sldt %0" : "=r" (l->ldt));
	l->fs_base = rdfsbase();
	l->gs_base = rdgsbase();
	rdmsrq(MSR_KERNEL_GS_BASE, l->user_gs);
	rdmsrq(MSR_STAR, l->star);
	rdmsrq(MSR_SYSCALL_MASK, l->mask);
	rdmsrq(MSR_EFER, l->efer);
	if (boot_cpu_has(X86_FEATURE_OSPKE))
		l->pkru = rdpkru();
	savesegment(ds, l->ds);
	savesegment(es, l->es);
	savesegment(fs, l->fs);
	savesegment(gs, l->gs);
}

static int compare(const struct look *before, const struct look *after)
{
	const u64 *was = (const u64 *)before, *is = (const u64 *)after;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(look_names); i++)
		if (was[i] != is[i])
			return selftest_failed("%s was %#llx and is %#llx", look_names[i], was[i],
					       is[i]);
	if (before->ds != after->ds || before->es != after->es ||
	    before->fs != after->fs || before->gs != after->gs)
		return selftest_failed("the segments were %x %x %x %x and are %x %x %x %x",
				       before->ds, before->es, before->fs, before->gs,
				       after->ds, after->es, after->fs, after->gs);
	return 0;
}

/*
 * Enter the guest, as run_guest_atomic() does.  True: it was the host that an interrupt
 * or a fault came for, and this says nothing yet.
 */
static bool enter_once(struct lg_cpu *cpu, struct look *before, struct look *after)
{
	bool again, wait;

	kernel_fpu_begin();
	load_guest_fpu(cpu);
	local_irq_disable();
	look_around(before);
	enter_guest(cpu);
	wait = take_async_fault(cpu);
	raise_nmi(cpu);
	look_around(after);
	again = cpu->state->trapnum == LG_TRAP_NONE ||
		is_host_vector(cpu->state->trapnum);
	handle_host_interrupt(cpu);
	if (!wait)
		local_irq_enable();
	save_guest_fpu(cpu);
	if (wait)
		wait_for_host_page(cpu);
	else
		kernel_fpu_end();
	return again;
}

static int enter(struct lg_cpu *cpu)
{
	struct look before, after;
	bool again;
	int err;

	do {
		again = enter_once(cpu, &before, &after);
		err = compare(&before, &after);
	} while (again && !err);
	return err;
}

static void set_registers(struct lg_cpu *cpu, u64 rip, bool user)
{
	*regs_of(cpu) = (struct user_regs_struct) {
		.ip = rip, .cs = __USER_CS, .ss = __USER_DS, .sp = CODE + PAGE_SIZE,
		.flags = X86_EFLAGS_FIXED | X86_EFLAGS_IF,
		.ax = NOTHING, .bx = 0xb, .r15 = 0xf,
	};
	cpu->user = user;
}

/* It stopped, for the expected reason, at the expected place? */
static int expect(struct lg_cpu *cpu, u64 trap, u64 rip)
{
	struct lg_state *state = cpu->state;

	if (state->trapnum != trap || regs_of(cpu)->ip != rip)
		return selftest_failed("the guest stopped with trap %llu (%#llx) at %#lx, not with %llu at %#llx",
				       state->trapnum, state->error, regs_of(cpu)->ip, trap, rip);
	if (regs_of(cpu)->bx != 0xb || regs_of(cpu)->r15 != 0xf)
		return selftest_failed("the guest's registers have changed");
	return 0;
}

/*H:820
 * Stage 2: a frame without segments, so that nothing at ring 3 runs.  The IDT, CR3,
 * the bases of FS and GS, the Switcher's own trap gate and all the way home have
 * been used after that.
 */
static int stage_2(struct lg_cpu *cpu)
{
	int i, err = 0;

	if (memcmp((void *)cpu->va, switcher_start, switcher_end - switcher_start))
		return selftest_failed("the Switcher at %#lx is not the module's", cpu->va);
	selftest_say(2, "one crossing, not to ring 3");
	for (i = 0; i < CROSSINGS && !err; i++) {
		if (i == 1)
			selftest_say(2, "many crossings");
		set_registers(cpu, CODE, false);
		regs_of(cpu)->cs = 0;
		regs_of(cpu)->ss = 0;
		err = enter(cpu) ?: expect(cpu, LG_TRAP_SWITCHER + X86_TRAP_GP, CODE);
		cond_resched();
	}
	return err;
}

/*H:830
 * Stage 3: the ways out of ring 3.  Each instruction has 16 bytes of the page of code
 * for itself.
 */
static const struct insn {
	const char *name;
	u8 bytes[4];
	u64 trap;
	unsigned int past;		/* the trap comes after so many bytes */
	u16 cs;
} insns[] = {
	{ "ud2, a fault", { 0x0f, 0x0b }, X86_TRAP_UD },
	{ "int3, a trap", { 0xcc }, X86_TRAP_BP, 1 },
	{ "hlt, a fault with an error code", { 0xf4 }, X86_TRAP_GP },
	{ "syscall", { 0x0f, 0x05, 0x0f, 0x0b }, LG_TRAP_SYSCALL, 2 },
	{ "a load from an absent page", { 0x48, 0x8b, 0x00 }, X86_TRAP_PF },
	{ "ud2 of 32-bit code", { 0x0f, 0x0b }, X86_TRAP_UD, 0, __USER32_CS },
};

enum { UD2, INT3, HLT, SYSCALL, LOAD };
#define AT(n) (CODE + 16 * (n))
#define KERNEL_AT(n) (KERNEL_CODE + 16 * (n))

static int stage_3(struct lg_cpu *cpu)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(insns) && !err; i++) {
		selftest_say(3, insns[i].name);
		set_registers(cpu, AT(i), true);
		if (insns[i].cs)
			regs_of(cpu)->cs = insns[i].cs;
		err = enter(cpu) ?: expect(cpu, insns[i].trap, AT(i) + insns[i].past);
		if (!err && i == LOAD && cpu->cr2 != NOTHING)
			err = selftest_failed("the page fault was at %#llx", cpu->cr2);
	}
	return err;
}

/*H:840
 * Stage 4: the direct switches.  The guest has a shared page now, and both its entry
 * points are the ud2; so is where it returns to.
 */
static struct direct {
	const char *name;
	int counter;			/* of state->direct */
	int from;			/* the instruction */
	bool user;
	u64 ax, di;
	bool by_iret;
	u64 rip;
} directs[] = {
	{ "a system call, to the guest kernel by sysret", LG_DIRECT_SYSCALL, SYSCALL,
	  true, 0, 0, false, KERNEL_AT(UD2) },
	{ "a page fault, to the guest kernel by sysret", LG_DIRECT_FAULT, LOAD,
	  true, NOTHING, 0, false, KERNEL_AT(UD2) },
	{ "the guest kernel returns by sysret", LG_DIRECT_IRET, SYSCALL,
	  false, LHCALL_IRET, 0, false, AT(UD2) },
	{ "the guest kernel returns by iretq", LG_DIRECT_IRET, SYSCALL,
	  false, LHCALL_IRET, 0, true, AT(UD2) },
	{ "the guest kernel loads CR3", LG_DIRECT_CR3, SYSCALL,
	  false, LHCALL_LOAD_CR3, SPACE | LGUEST_CR3_NOFLUSH, false,
	  KERNEL_AT(SYSCALL) + 2 },
};

static void set_shared(struct lguest_shared *shared, const struct direct *d)
{
	memset(shared, 0, sizeof(*shared));
	memset(shared->hcall_status, 0xff, sizeof(shared->hcall_status));
	shared->direct_faults = 1;
	shared->iret = (struct lguest_iret) {
		.rip = AT(UD2), .cs = __USER_CS, .ss = __USER_DS,
		.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF, .rsp = CODE + PAGE_SIZE,
		.r11 = X86_EFLAGS_FIXED | X86_EFLAGS_IF,
		.rcx = d->by_iret ? 0 : AT(UD2),
	};
}

static int stage_4(struct lg_cpu *cpu, struct page *page)
{
	const struct direct *d;
	u64 count;
	int err = 0;

	cpu->shared = page_address(page);
	cpu->syscall_entry = KERNEL_AT(UD2);
	cpu->event_entry = KERNEL_AT(UD2);
	cpu->state->spaces[0].cr3 = SPACE;
	for (d = directs; d < directs + ARRAY_SIZE(directs) && !err; d++) {
		selftest_say(4, d->name);
		set_shared(cpu->shared, d);
		set_registers(cpu, (d->user ? CODE : KERNEL_CODE) + 16 * d->from, d->user);
		regs_of(cpu)->ax = d->ax;
		regs_of(cpu)->di = d->di;
		count = cpu->state->direct[d->counter];
		err = enter(cpu) ?: expect(cpu, X86_TRAP_UD, d->rip);
		if (!err && cpu->state->direct[d->counter] != count + 1)
			err = selftest_failed("the Switcher did not do this by itself");
	}
	cpu->state->spaces[0].cr3 = 0;
	cpu->shared = NULL;
	return err;
}

/*H:850
 * Stage 5: bad frames.  The IRET faults at CPL 0, on the Switcher's own stack.  Of
 * an address that is not canonical an emulator may notice only at ring 3.
 */
static int stage_5(struct lg_cpu *cpu)
{
	int err;

	selftest_say(5, "a frame without a stack segment");
	set_registers(cpu, CODE, false);
	regs_of(cpu)->ss = 0;
	err = enter(cpu) ?: expect(cpu, LG_TRAP_SWITCHER + X86_TRAP_GP, CODE);
	if (err)
		return err;
	selftest_say(5, "a frame with the kernel's code segment and a user's stack");
	set_registers(cpu, CODE, false);
	regs_of(cpu)->cs = __KERNEL_CS | 3;
	err = enter(cpu);
	if (!err && cpu->state->trapnum != LG_TRAP_SWITCHER + X86_TRAP_GP)
		err = selftest_failed("the guest stopped with trap %llu", cpu->state->trapnum);
	if (err)
		return err;
	selftest_say(5, "a frame with an address that is not canonical");
	set_registers(cpu, HOLE, false);
	err = enter(cpu);
	if (!err && cpu->state->trapnum % LG_TRAP_SWITCHER != X86_TRAP_GP &&
	    cpu->state->trapnum % LG_TRAP_SWITCHER != X86_TRAP_PF)
		err = selftest_failed("the guest stopped with trap %llu", cpu->state->trapnum);
	return err;
}

/* After all of it: do system calls lead where they did? */
static int check_given_back(void)
{
	u64 lstar, was = selftest_lstar();

	selftest_say(5, "the entry points of system calls are given back");
	end_msr_laziness_here();
	rdmsrq(MSR_LSTAR, lstar);
	return lstar == was ? 0 :
	       selftest_failed("system calls lead to %#llx, not to %#llx", lstar, was);
}

/* One page, at an address of the guest's first address space. */
static int map_page(struct lg_cpu *cpu, struct page *page, unsigned long at)
{
	struct lguest *lg = cpu->lg;
	struct lg_root *root = at < HOLE ? cpu->root : NULL;
	struct shadow_table *t, *next;
	int level;

	if (refill_spares(cpu))
		return -ENOMEM;
	spin_lock(&lg->lock);
	t = take_spare(cpu, root, 3);
	set_top(lg, cpu->root, index_of(at, 4), entry_to(t->entries, TABLE_BITS));
	for (level = 3; level > 1; level--, t = next) {
		next = take_spare(cpu, root, level - 1);
		t->entries[index_of(at, level)] = entry_to(next->entries, TABLE_BITS);
	}
	t->entries[index_of(at, 1)] = page_to_phys(page) | sme_me_mask |
		_PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED;
	spin_unlock(&lg->lock);
	return 0;
}

static int map_code(struct lg_cpu *cpu, struct page *page)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(insns); i++)
		memcpy(page_address(page) + 16 * i, insns[i].bytes,
		       sizeof(insns[i].bytes));
	return map_page(cpu, page, CODE) ?: map_page(cpu, page, KERNEL_CODE);
}

static int all_stages_here(struct lg_cpu *cpu, struct page *shared)
{
	return stage_2(cpu) ?: stage_3(cpu) ?: stage_4(cpu, shared) ?:
	       stage_5(cpu) ?: check_given_back();
}

/* On each CPU, with and without a guest: first they all have a look. */
static int on_all_cpus(struct lg_cpu *cpu, struct page *shared)
{
	bool is_first = true;
	unsigned int n;
	int err = 0;

	for_each_online_cpu(n) {
		err = set_cpus_allowed_ptr(current, cpumask_of(n));
		if (!err)
			err = cpu ? all_stages_here(cpu, shared) : selftest_stage_1(is_first);
		if (err)
			break;
		is_first = false;
	}
	return err;
}

static int with_a_guest(struct page *code, struct page *shared)
{
	struct lguest *lg = new_guest(0, 1, CODE, 1);
	int err;

	if (IS_ERR(lg))
		return PTR_ERR(lg);
	map_shared(lg->cpus[0], shared);
	err = map_code(lg->cpus[0], code) ?:
	      on_all_cpus(lg->cpus[0], shared);
	free_guest(lg, true);
	return err;
}

/**
 * run_selftest() - try all that a guest needs, on each CPU
 *
 * In the context of modprobe, whose mm is the launcher's.
 *
 * Return: 0; -EIO if this machine is not as lguest needs it, with a sentence in the
 * log; another errno if the test could not be made.
 */
int run_selftest(void)
{
	struct page *code = alloc_page(GFP_KERNEL | __GFP_ZERO);
	struct page *shared = alloc_page(GFP_KERNEL | __GFP_ZERO);
	cpumask_var_t allowed;
	int err = -ENOMEM;

	if (!code || !shared || !alloc_cpumask_var(&allowed, GFP_KERNEL))
		goto free_pages;
	cpumask_copy(allowed, current->cpus_ptr);
	err = check_slot() ?: on_all_cpus(NULL, NULL) ?: with_a_guest(code, shared);
	set_cpus_allowed_ptr(current, allowed);
	free_cpumask_var(allowed);
	if (err && err != -EIO)
		pr_err("could not be made: error %d\n", err);
	if (!err)
		pr_info("passed on %u CPUs; no device is there: unload lg, and load it without selftest\n",
			num_online_cpus());
free_pages:
	if (code)
		__free_page(code);
	if (shared)
		__free_page(shared);
	return err;
}
