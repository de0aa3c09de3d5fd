// SPDX-License-Identifier: GPL-2.0
/*
 * witness.ko: what the tests need to know of the host's CPUs, and no program
 * can see.  For the lab only; it has no part in lguest.
 *
 *	/dev/witness
 *	read()		the state of every CPU: control registers, tables, MSRs,
 *			and what the probe below has seen
 *	write "probe"	from now on compare the CPU before and after each
 *			enter_guest() of lg.ko (while this file is open), and
 *			now and then look at all that its tables lead to
 *	write "ts"	... with CR0.TS set meanwhile, so that the guest's first
 *			floating-point instruction is a #NM
 *	write "no ts"
 *	write "apf"	... and KVM's part of an async page fault played, at some of
 *			the guest's page faults
 *	write "bus"	... and a CPU played that tells of a bus lock instead, at each
 *			debug exception of the guest (while this file is open)
 *	write "v 77"	raise that vector on CPU 1, once
 *	write "odd"	CPU 1's CR4 is unlike that of the others (while this file is
 *			open, or until "even")
 *
 * Read next: tests/micro/witness.c, which asks.
 */
#include <linux/cpu.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/apic.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/xcr.h>
#include <asm/kvm_para.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>
#include "lg.h"
#include "compat/cpu.h"

#define TEXT_SIZE (1 << 18)

/* ---- One look at a CPU ---- */

/* What neither a guest nor a world switch may change. */
struct look {
	u64 cr0, cr4, xcr0, dr7, fs_base, gs_base;
	u64 gdt, idt;
	u16 gdt_limit, idt_limit, tr, ldt, ds, es, fs, gs;
	u64 flags, cr3;
};

static struct look look_around(void)
{
	struct look l = {
		.cr0 = read_cr0(), .cr4 = __read_cr4(), .cr3 = __read_cr3(),
		.fs_base = rdfsbase(), .gs_base = rdgsbase(),
	};
	struct desc_ptr p;

	if (l.cr4 & X86_CR4_OSXSAVE)
		l.xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	get_debugreg(l.dr7, 7);
	asm volatile("sgdt %0" : "=m" (p));
	l.gdt = p.address;
	l.gdt_limit = p.size;
	store_idt(&p);
	l.idt = p.address;
	l.idt_limit = p.size;
	l.tr = 0;
	asm volatile("str %0" : "=r" (l.tr));
	asm volatile("sldt %0" : "=r" (l.ldt));
	savesegment(ds, l.ds);
	savesegment(es, l.es);
	savesegment(fs, l.fs);
	savesegment(gs, l.gs);
	return l;
}

/* ---- The text of everything ---- */

struct text {
	char *buf;
	size_t used;
};

static __printf(2, 3) void put(struct text *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	t->used += vscnprintf(t->buf + t->used, TEXT_SIZE - t->used, fmt, args);
	va_end(args);
}

/* Counters, clocks, and bases that belong to the task. */
static bool varies(u32 msr)
{
	return msr == MSR_IA32_TSC || msr == MSR_IA32_TSC_DEADLINE ||
	       (msr >= 0x800 && msr < 0x900) ||		/* x2APIC */
	       (msr >= 0xc1 && msr <= 0xc8) || msr == MSR_IA32_MPERF ||
	       msr == MSR_IA32_APERF || msr == MSR_FS_BASE ||
	       msr == MSR_GS_BASE || msr == MSR_KERNEL_GS_BASE;
}

static void put_msrs(struct text *t, u32 first, u32 n)
{
	u32 msr;
	u64 value;

	for (msr = first; msr < first + n; msr++)
		if (!varies(msr) && !rdmsrq_safe(msr, &value) && value)
			put(t, "msr %#x %#llx\n", msr, value);
}

static void put_bytes(struct text *t, const char *name, const void *from, size_t n)
{
	put(t, "%s %*phN\n", name, (int)min_t(size_t, n, 64), from);
	for (; n > 64; n -= 64, from += 64)
		put(t, " %*phN\n", (int)min_t(size_t, n - 64, 64), from + 64);
}

/* Runs on the CPU it tells of. */
static void tell_cpu(void *data)
{
	struct text *t = data;
	struct look l = look_around();
	struct desc_struct gdt[GDT_ENTRIES];

	put(t, "cpu %d\n", smp_processor_id());
	put(t, "cr0 %#llx\ncr4 %#llx\nxcr0 %#llx\ndr7 %#llx\n", l.cr0, l.cr4,
	    l.xcr0, l.dr7);
	put(t, "gdtr %#llx %#x\nidtr %#llx %#x\ntr %#x\nldtr %#x\n", l.gdt,
	    l.gdt_limit, l.idt, l.idt_limit, l.tr, l.ldt);
	memcpy(gdt, (void *)l.gdt, sizeof(gdt));
	memset(gdt + GDT_ENTRY_TLS_MIN, 0, 3 * sizeof(*gdt));	/* the task's */
	put_bytes(t, "gdt", gdt, sizeof(gdt));
	put_bytes(t, "idt", (void *)l.idt, l.idt_limit + 1);
	put_msrs(t, 0, 0x2000);
	put_msrs(t, 0xc0000000, 0x2000);
	put_msrs(t, 0xc0010000, 0x2000);
}

/* ---- What the kernel has for itself ---- */

static unsigned long (*lookup)(const char *name);

static int find_lookup(void)
{
	struct kprobe finder = { .symbol_name = "kallsyms_lookup_name" };
	int err = lookup ? 0 : register_kprobe(&finder);

	if (lookup || err)
		return err;
	lookup = (void *)finder.addr;
	unregister_kprobe(&finder);
	return 0;
}

/* ---- The probe on enter_guest() ---- */

struct before {
	struct look look;
	struct pt_regs regs;
};

static atomic64_t entries, differences;
static char first_difference[128];
static bool probing, want_ts;

static void differs(const char *what, u64 was, u64 is)
{
	if (atomic64_inc_return(&differences) == 1)
		snprintf(first_difference, sizeof(first_difference),
			 "%s was %#llx is %#llx", what, was, is);
}

/* ---- All that a guest can reach: pages of its launcher ---- */

#define FRAMES (1UL << 20)		/* the lab has no more than 4 GiB */
static unsigned long *ours;		/* one bit for each */
static atomic64_t roots, leaves;

/*
 * Such a look refuses what is there if the entry changes meanwhile, as when its
 * accessed bit is cleared (kswapd: from 6.12 on all the time) or set: so more than one.
 */
static bool find_page(unsigned long address, struct page **page)
{
	int tries;

	for (tries = 0; tries < 5; tries++)
		if (get_user_pages_fast_only(address, 1, 0, page) == 1)
			return true;
	return false;
}

static void mark_launcher_pages(struct lguest *lg)
{
	struct page *page;
	u64 pfn;

	bitmap_zero(ours, FRAMES);
	for (pfn = 0; pfn < lg->pfn_limit; pfn++) {
		if (!find_page(lg->base + pfn * PAGE_SIZE, &page))
			continue;
		if (page_to_pfn(page) < FRAMES)
			__set_bit(page_to_pfn(page), ours);
		put_page(page);
	}
}

static void check_leaf(u64 entry, int level, bool user, bool fixed_slot)
{
	u64 pfn = (entry & PHYSICAL_PAGE_MASK) >> PAGE_SHIFT, i;

	atomic64_inc(&leaves);
	if (!user) {
		if (!fixed_slot)
			differs("supervisor leaf", 0, entry);
		return;
	}
	pfn &= ~((1ULL << 9 * (level - 1)) - 1);
	for (i = 0; i < 1ULL << 9 * (level - 1); i++)
		if (pfn + i >= FRAMES || !test_bit(pfn + i, ours))
			differs("leaf to a page that is not the launcher's", i, entry);
}

/* From the top table of a root down. The host's own tables are not followed. */
static void check_table(const u64 *table, int level, bool user, bool fixed_slot,
			bool top)
{
	int i;

	for (i = 0; i < 512; i++) {
		u64 e = READ_ONCE(table[i]);
		bool fixed = fixed_slot || (top && i == 256) ||
			     (level == 4 && i == 508);
		bool u = user && (e & _PAGE_USER);

		if (!(e & _PAGE_PRESENT)) {
			if (e && !fixed)
				differs("bits in an absent entry", 0, e);
			continue;
		}
		if (fixed && !u)
			continue;
		if (level == 1 || (level < 4 && (e & _PAGE_PSE)))
			check_leaf(e, level, u, fixed);
		else
			check_table(__va(e & PHYSICAL_PAGE_MASK), level - 1, u,
				    fixed, false);
	}
}

static void check_guest(struct lg_cpu *cpu)
{
	struct lguest *lg = cpu->lg;
	struct lg_root *root = cpu->root;
	int view;

	if (!spin_trylock(&lg->lock))
		return;
	/* What is present in its tables stays the launcher's while we hold it. */
	mark_launcher_pages(lg);
	for (view = 0; view < 2; view++) {
		if (root->pml5[view])
			check_table(root->pml5[view], 5, true, false, true);
		else if (root->pml4[view])
			check_table(root->pml4[view], 4, true, false, true);
	}
	atomic64_inc(&roots);
	spin_unlock(&lg->lock);
}

/* ---- What KVM below us does when a page of ours is not there ---- */

/*
 * Sets the kernel's word before the guest's entry, and if that ends with a page fault
 * leaves it, with the fault's address for a token: which later is woken.  The
 * kernel's own handler is not switched on in the lab: who leaves the word set is
 * told of, and nothing worse.
 */
struct apf_reason { u32 flags, token, pad[14], enabled; };
static struct apf_reason __percpu *apf_reason;
static bool __percpu *apf_enabled;	/* where it has moved to */
/* Where lg.ko finds the word by itself, it is told of one of ours, and waits for nothing. */
static DEFINE_PER_CPU(struct apf_reason, apf_of_ours);
static struct apf_reason *__percpu *apf_of_lg;
static void (*apf_wake)(u32 token);
static bool want_apf;
static atomic64_t apf_sent, apf_left;
static u32 apf_token;

static void wake_apf(struct work_struct *work)
{
	apf_wake(apf_token);
}

static DECLARE_DELAYED_WORK(apf_waker, wake_apf);

static void enable_apf(bool on)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		if (apf_of_lg)
			*per_cpu_ptr(apf_of_lg, cpu) = on ? per_cpu_ptr(apf_reason, cpu) : NULL;
		else if (apf_enabled)
			*per_cpu_ptr(apf_enabled, cpu) = on;
		else
			per_cpu_ptr(apf_reason, cpu)->enabled = on;
	}
	WRITE_ONCE(want_apf, on);
}

static int start_apf(void)
{
	int err = find_lookup();

	if (err)
		return err;
	apf_of_lg = (void __percpu *)lookup("lg:async_data");
	apf_reason = apf_of_lg ? &apf_of_ours : (void __percpu *)lookup("apf_reason");
	apf_enabled = (void __percpu *)lookup("async_pf_enabled");
	apf_wake = (void *)lookup("kvm_async_pf_task_wake");
	if (!apf_reason || (!apf_of_lg && !apf_wake))
		return -ENOENT;
	enable_apf(true);
	return 0;
}

static void apf_on_entry(void)
{
	if (!READ_ONCE(want_apf))
		return;
	if (this_cpu_ptr(apf_reason)->flags)
		atomic64_inc(&apf_left);
	this_cpu_ptr(apf_reason)->flags = delayed_work_pending(&apf_waker) ? 0 :
					  KVM_PV_REASON_PAGE_NOT_PRESENT;
}

/* At once, or in a while: the task may find its page there already. */
static void apf_on_return(u64 trapnum)
{
	unsigned long delay;

	if (!READ_ONCE(want_apf) || !this_cpu_ptr(apf_reason)->flags)
		return;
	/* Once for each address, or the guest would never get on. */
	if (trapnum != X86_TRAP_PF || apf_token == (u32)read_cr2()) {
		this_cpu_ptr(apf_reason)->flags = 0;
		return;
	}
	apf_token = read_cr2();
	delay = atomic64_inc_return(&apf_sent) % 2 ? 2 : 0;
	if (!apf_of_lg)
		schedule_delayed_work(&apf_waker, delay);
}

/* ---- A CPU that detects bus locks ---- */

#define DR6_OF_BUS_LOCK	(DR6_RESERVED & ~(1UL << 11))

static bool want_bus_locks;

static void bus_lock_on_return(struct lg_cpu *cpu)
{
	if (READ_ONCE(want_bus_locks) && cpu->state->trapnum == X86_TRAP_DB)
		cpu->dr6 = DR6_OF_BUS_LOCK;
}

#define SAME(field) do { \
	if (b->look.field != now.field) \
		differs(#field, b->look.field, now.field); \
} while (0)
#define SAME_REG(reg) do { \
	if (b->regs.reg != regs->reg) \
		differs(#reg, b->regs.reg, regs->reg); \
} while (0)
#define NEVER_SET (X86_EFLAGS_IF | X86_EFLAGS_DF | X86_EFLAGS_TF | \
		   X86_EFLAGS_NT | X86_EFLAGS_IOPL | X86_EFLAGS_AC)

static int on_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct before *b = (void *)ri->data;

	b->regs = *regs;
	b->look = look_around();
	if (regs->flags & X86_EFLAGS_IF)
		differs("flags on entry", 0, regs->flags);
	apf_on_entry();
	if (READ_ONCE(want_ts))
		asm volatile("mov %0, %%cr0" : : "r" (b->look.cr0 | X86_CR0_TS));
	return 0;
}

static int on_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct before *b = (void *)ri->data;
	struct look now;

	if (read_cr0() & X86_CR0_TS)
		asm volatile("clts");
	now = look_around();
	apf_on_return(((struct lg_cpu *)b->regs.di)->state->trapnum);
	bus_lock_on_return((struct lg_cpu *)b->regs.di);
	if (atomic64_inc_return(&entries) % 128 == 0)
		check_guest((struct lg_cpu *)b->regs.di);
	SAME(cr0);
	SAME(cr3);
	SAME(cr4);
	SAME(xcr0);
	SAME(dr7);
	SAME(fs_base);
	SAME(gs_base);
	SAME(gdt);
	SAME(gdt_limit);
	SAME(idt);
	SAME(idt_limit);
	SAME(tr);
	SAME(ldt);
	SAME(ds);
	SAME(es);
	SAME(fs);
	SAME(gs);
	SAME_REG(bx);
	SAME_REG(bp);
	SAME_REG(r12);
	SAME_REG(r13);
	SAME_REG(r14);
	SAME_REG(r15);
	if (regs->sp != b->regs.sp + sizeof(long))
		differs("sp", b->regs.sp, regs->sp);
	if (regs->flags & NEVER_SET)
		differs("flags", 0, regs->flags);
	return 0;
}

static struct kretprobe probe;

static int start_probe(void)
{
	int err;

	if (probing)
		return 0;
	probe = (struct kretprobe) {
		.kp.symbol_name = "lg:enter_guest",
		.handler = on_return,
		.entry_handler = on_entry,
		.data_size = sizeof(struct before),
	};
	err = register_kretprobe(&probe);
	probing = !err;
	return err;
}

/* ---- /dev/witness ---- */

/* ---- A CPU that is not like the others ---- */

static void (*update_cr4)(unsigned long set, unsigned long clear);

/* By the kernel's own function, so that it stays so. */
static void set_pge(void *to)
{
	if (to)
		update_cr4(X86_CR4_PGE, 0);
	else
		update_cr4(0, X86_CR4_PGE);
}

static int make_cpu_odd(bool odd)
{
	static bool is_odd;
	int err;

	if (odd == is_odd)
		return 0;
	err = find_lookup();
	if (err)
		return err;
	update_cr4 = (void *)lookup("cr4_update_irqsoff");
	if (!update_cr4)
		return -ENOENT;
	is_odd = odd;
	return smp_call_function_single(1, set_pge, odd ? NULL : &is_odd, 1);
}

/* ---- A vector that another CPU raises ---- */

#define ICR_BUSY	BIT(12)
#define ICR_ASSERT	BIT(14)

/*
 * By the local APIC's own register: the kernel has no call for a vector that nobody has.
 */
static int raise_on_cpu1(u32 vector)
{
	u32 target = per_cpu(x86_cpu_to_apicid, 1);
	void __iomem *apic;
	unsigned long flags;
	u64 base;

	if (vector < FIRST_EXTERNAL_VECTOR || vector > 255)
		return -EINVAL;
	if (!rdmsrq_safe(MSR_IA32_APICBASE, &base) && base & X2APIC_ENABLE) {
		wrmsrq(0x830, (u64)target << 32 | ICR_ASSERT | vector);
		return 0;
	}
	apic = ioremap(APIC_DEFAULT_PHYS_BASE, PAGE_SIZE);
	if (!apic)
		return -ENOMEM;
	local_irq_save(flags);
	writel(target << 24, apic + APIC_ICR2);
	writel(ICR_ASSERT | vector, apic + APIC_ICR);
	while (readl(apic + APIC_ICR) & ICR_BUSY)
		cpu_relax();
	local_irq_restore(flags);
	iounmap(apic);
	return 0;
}

static int witness_release(struct inode *inode, struct file *file)
{
	WRITE_ONCE(want_ts, false);
	WRITE_ONCE(want_bus_locks, false);
	if (probing)
		unregister_kretprobe(&probe);
	probing = false;
	if (want_apf)
		enable_apf(false);
	flush_delayed_work(&apf_waker);
	return make_cpu_odd(false);
}

static ssize_t witness_read(struct file *file, char __user *buf, size_t size,
			    loff_t *off)
{
	struct text t = { vmalloc(TEXT_SIZE) };
	ssize_t got;
	int cpu;

	if (!t.buf)
		return -ENOMEM;
	put(&t, "entries %lld\nroots %lld\nleaves %lld\n",
	    atomic64_read(&entries), atomic64_read(&roots), atomic64_read(&leaves));
	put(&t, "missed %d\ndifferences %lld %s\n", probing ? probe.nmissed : 0,
	    atomic64_read(&differences), first_difference);
	put(&t, "apf sent %lld\napf left %lld\n", atomic64_read(&apf_sent),
	    atomic64_read(&apf_left));
	cpus_read_lock();
	for_each_online_cpu(cpu)
		smp_call_function_single(cpu, tell_cpu, &t, 1);
	cpus_read_unlock();
	got = min(size, t.used);
	if (copy_to_user(buf, t.buf, got))
		got = -EFAULT;
	vfree(t.buf);
	return got;
}

static ssize_t witness_write(struct file *file, const char __user *buf,
			     size_t size, loff_t *off)
{
	char word[8] = "";
	u32 vector;
	int err = 0;

	if (size >= sizeof(word))
		return -EINVAL;
	if (copy_from_user(word, buf, size))
		return -EFAULT;
	if (!strcmp(word, "probe"))
		err = start_probe();
	else if (!strcmp(word, "apf"))
		err = start_apf();
	else if (sscanf(word, "v %u", &vector) == 1)
		err = raise_on_cpu1(vector);
	else if (!strcmp(word, "bus"))
		WRITE_ONCE(want_bus_locks, true);
	else if (!strcmp(word, "odd") || !strcmp(word, "even"))
		err = make_cpu_odd(word[0] == 'o');
	else
		WRITE_ONCE(want_ts, !strcmp(word, "ts"));
	return err ? err : size;
}

static const struct file_operations witness_fops = {
	.owner = THIS_MODULE,
	.read = witness_read,
	.write = witness_write,
	.release = witness_release,
};

static struct miscdevice witness_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "witness",
	.fops = &witness_fops,
	.mode = 0600,
};

static int __init init(void)
{
	int err;

	ours = vzalloc(BITS_TO_LONGS(FRAMES) * sizeof(long));
	if (!ours)
		return -ENOMEM;
	err = misc_register(&witness_dev);
	if (err)
		vfree(ours);
	return err;
}

static void __exit fini(void)
{
	misc_deregister(&witness_dev);
	vfree(ours);
}

module_init(init);
module_exit(fini);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("tests of lguest: the state of the host's CPUs");
