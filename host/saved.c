// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU's state, given to the launcher (SAVE) and taken from it (RESTORE).
 * Read next: end.c.
 */
#include <linux/bitops.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "lg.h"

/*H:124
 * Most of what the Host knows of a guest can be forgotten: shadow tables, PCIDs, what the
 * Switcher does by itself.  The guest loses nothing by it, as with any of its address
 * spaces that was evicted.  What remains of a vCPU is its registers, and a few numbers
 * that its hypercalls have left here.
 *
 * RESTORE is no way past the checks: whatever a launcher has in its hands, a guest must
 * have been able to come to by running.  So each field passes the check that stands where the
 * guest itself sets it: INIT's for the shared page and the entries, LOAD_TLS's, IRET's;
 * and what XRSTOR refuses, and would do so in the host's kernel, is refused before.
 */
struct saved {
	struct lguest_vcpu vcpu;
	u8 fpu[];			/* of fpu_area_size() */
};

#define ALL_FLAGS (LGUEST_VCPU_INITED | LGUEST_VCPU_MOVED | LGUEST_VCPU_USER | \
		   LGUEST_VCPU_HALTED | LGUEST_VCPU_KICKED | LGUEST_VCPU_NMI | \
		   LGUEST_VCPU_DOUBLE)

static_assert(sizeof_field(struct lguest_vcpu, regs) == sizeof(struct user_regs_struct));

static size_t saved_size(void)
{
	return sizeof(struct saved) + fpu_area_size();
}

/* Is there more of it than registers: something half done, or that the launcher is to get? */
static bool is_between(struct lg_cpu *cpu)
{
	return cpu->trap_pending || (cpu->exit.kind && !cpu->exit_given) ||
	       READ_ONCE(cpu->getreg) >= 0 || READ_ONCE(cpu->inject) >= 0 ||
	       READ_ONCE(cpu->step) || cpu->stepping || cpu->stepped;
}

static u64 flags_of(struct lg_cpu *cpu)
{
	return (cpu->shared ? LGUEST_VCPU_INITED : 0) |
	       (cpu->shared_moved ? LGUEST_VCPU_MOVED : 0) |
	       (cpu->user ? LGUEST_VCPU_USER : 0) |
	       (cpu->halted ? LGUEST_VCPU_HALTED : 0) |
	       (READ_ONCE(cpu->kicked) ? LGUEST_VCPU_KICKED : 0) |
	       (READ_ONCE(cpu->nmi) ? LGUEST_VCPU_NMI : 0) |
	       (cpu->double_fault ? LGUEST_VCPU_DOUBLE : 0);
}

/* The timer first: one that fires meanwhile is there as its line. */
static void fill_saved(struct lg_cpu *cpu, struct lguest_vcpu *to)
{
	*to = (struct lguest_vcpu) {
		.version = LGUEST_VCPU_VERSION,
		.size = saved_size(),
		.cr3 = cpu->root->linear ? ~0ULL : cpu->root->pfn << PAGE_SHIFT,
		.shared = cpu->shared_gpa,
		.event_entry = cpu->event_entry,
		.syscall_entry = cpu->syscall_entry,
		.entry_end = cpu->entry_end,
		.pkru = cpu->pkru,
		.next_hcall = cpu->state->next_hcall,
		.features = fpu_features(),
	};
	memcpy(to->regs, regs_of(cpu), sizeof(to->regs));
	memcpy(to->tls, cpu->tls, sizeof(to->tls));
	to->timer = clockevent_left(cpu);
	smp_rmb();
	to->flags = flags_of(cpu);
	to->lines = READ_ONCE(cpu->irqs_pending[0]);
	to->ipis = READ_ONCE(cpu->ipis[0]);
}

/**
 * req_save() - SAVE
 * @cpu: the vCPU
 * @arg: address and size of the launcher's buffer
 */
int req_save(struct lg_cpu *cpu, const u64 *arg)
{
	void __user *to = (void __user *)arg[0];
	struct lguest_vcpu vcpu;

	if (current != cpu->tsk)
		return -EPERM;
	if (is_between(cpu))
		return -EBUSY;
	if (arg[1] < saved_size())
		return -ENOSPC;
	fill_saved(cpu, &vcpu);
	if (copy_to_user(to, &vcpu, sizeof(vcpu)) ||
	    copy_to_user(to + sizeof(vcpu), cpu->fpu, fpu_area_size()))
		return -EFAULT;
	return 0;
}

static bool is_fresh(struct lg_cpu *cpu)
{
	return !cpu->shared && cpu->root->linear && !cpu->counts[LG_COUNT_SWITCHES] &&
	       !is_between(cpu);
}

/* Before INIT there is no guest user, and nothing that INIT would have set. */
static bool init_possible(const struct lguest_vcpu *vcpu)
{
	if (vcpu->flags & LGUEST_VCPU_INITED)
		return entries_ok(vcpu->event_entry, vcpu->syscall_entry);
	return !(vcpu->flags & (LGUEST_VCPU_MOVED | LGUEST_VCPU_USER | LGUEST_VCPU_DOUBLE)) &&
	       !vcpu->shared && !vcpu->event_entry && !vcpu->syscall_entry && !vcpu->entry_end;
}

static bool space_possible(struct lg_cpu *cpu, u64 cr3)
{
	return cr3 == ~0ULL ||
	       (PAGE_ALIGNED(cr3) && guest_range_ok(cpu->lg, GPA(cr3), PAGE_SIZE));
}

static bool state_possible(struct lg_cpu *cpu, const struct saved *from)
{
	const struct lguest_vcpu *vcpu = &from->vcpu;
	struct user_regs_struct regs;

	memcpy(&regs, vcpu->regs, sizeof(regs));
	return !(vcpu->flags & ~(u64)ALL_FLAGS) && vcpu->pkru <= U32_MAX &&
	       vcpu->next_hcall < LGUEST_RING_SIZE &&
	       !memchr_inv(vcpu->reserved, 0, sizeof(vcpu->reserved)) &&
	       init_possible(vcpu) && space_possible(cpu, vcpu->cr3) &&
	       registers_possible(&regs, vcpu->flags & LGUEST_VCPU_USER) &&
	       fpu_possible(from->fpu);
}

/* As the first LOAD_CR3 of a guest.  Its shadow tables are empty; faults fill them. */
static int load_space(struct lg_cpu *cpu, u64 cr3)
{
	enum lg_next next;
	int err;

	do {
		err = satisfy_need(cpu);
		if (err)
			return err;
		if (READ_ONCE(cpu->lg->dead))
			return -ENOENT;
		cpu->may_rest = true;
		next = load_root(cpu, cr3 | LGUEST_CR3_NOFLUSH);
		cpu->may_rest = false;
	} while (next == LG_RETRY);
	return 0;
}

/* What may fail, each part with the check of its own. */
static int attach_state(struct lg_cpu *cpu, const struct lguest_vcpu *vcpu)
{
	int err;

	if (load_tls_entries(cpu, vcpu->tls))
		return -EINVAL;
	if (vcpu->flags & LGUEST_VCPU_INITED && pin_shared(cpu, vcpu->shared))
		return -EINVAL;
	err = vcpu->cr3 == ~0ULL ? 0 : load_space(cpu, vcpu->cr3);
	if (err && cpu->shared_page) {
		unpin_user_page(cpu->shared_page);
		cpu->shared_page = NULL;
		cpu->shared_gpa = 0;
	}
	return err;
}

static void take_pending(struct lg_cpu *cpu, const struct lguest_vcpu *vcpu)
{
	unsigned long lines = vcpu->lines, ipis = vcpu->ipis;
	unsigned int n;

	for_each_set_bit(n, &lines, 64)
		set_bit(n, cpu->irqs_pending);
	for_each_set_bit(n, &ipis, 64)
		set_bit(n, cpu->ipis);
	if (vcpu->flags & LGUEST_VCPU_NMI)
		WRITE_ONCE(cpu->nmi, true);
	if (vcpu->flags & LGUEST_VCPU_KICKED)
		WRITE_ONCE(cpu->kicked, true);
}

static void take_state(struct lg_cpu *cpu, const struct saved *from)
{
	const struct lguest_vcpu *vcpu = &from->vcpu;

	memcpy(regs_of(cpu), vcpu->regs, sizeof(vcpu->regs));
	memcpy(cpu->fpu, from->fpu, fpu_area_size());
	cpu->pkru = vcpu->pkru;
	cpu->user = vcpu->flags & LGUEST_VCPU_USER;
	cpu->halted = vcpu->flags & LGUEST_VCPU_HALTED;
	cpu->double_fault = vcpu->flags & LGUEST_VCPU_DOUBLE;
	cpu->shared_moved = vcpu->flags & LGUEST_VCPU_MOVED;
	cpu->state->next_hcall = vcpu->next_hcall;
	take_pending(cpu, vcpu);
	set_clockevent(cpu, vcpu->timer);
	if (!(vcpu->flags & LGUEST_VCPU_INITED))
		return;
	use_shared(cpu, vcpu->event_entry, vcpu->syscall_entry, vcpu->entry_end);
	start_clock(cpu);
}

static int take_saved(struct lg_cpu *cpu, const struct saved *from)
{
	const struct lguest_vcpu *vcpu = &from->vcpu;
	int err;

	if (vcpu->version != LGUEST_VCPU_VERSION || vcpu->size != saved_size() ||
	    vcpu->features != fpu_features())
		return -EPROTO;
	if (!state_possible(cpu, from))
		return -EINVAL;
	err = attach_state(cpu, vcpu);
	if (!err)
		take_state(cpu, from);
	return err;
}

/**
 * req_restore() - RESTORE
 * @cpu: the vCPU
 * @arg: address and size of what is in the launcher's memory
 */
int req_restore(struct lg_cpu *cpu, const u64 *arg)
{
	struct saved *from;
	int err;

	/* As for read(): after an exec the task has other memory than its guest. */
	if (current != cpu->tsk || current->mm != cpu->lg->mm)
		return -EPERM;
	if (!is_fresh(cpu))
		return -EBUSY;
	if (arg[1] != saved_size())
		return -EPROTO;
	from = memdup_user((void __user *)arg[0], saved_size());
	if (IS_ERR(from))
		return PTR_ERR(from);
	err = take_saved(cpu, from);
	kfree(from);
	return err;
}
