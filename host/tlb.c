// SPDX-License-Identifier: GPL-2.0
/*
 * What a CPU's TLB may keep of a guest from one CR3 load to the next.
 *
 * Entries of the TLB carry a tag, the PCID that was in CR3, and a load of CR3
 * with bit 63 keeps those of the new PCID.  Each vCPU has a table of the address
 * spaces it used last (state->spaces), which the Switcher loads from; each entry
 * there holds two words for CR3, one for each view, with a PCID of their own.
 * The Switcher sets bit 63 in a word when it has loaded it; here it is cleared
 * again when anything that the TLB may have cached was taken away.
 *
 * The rule: what is cached under a word with bit 63 set is never more than the
 * shadow tables allow.  Entries that appear or gain rights need nothing: the
 * CPU caches no absent entry, and drops what it has for an address that faults.
 * Read next: notifier.c.
 */
#include <linux/cpumask.h>
#include <linux/smp.h>
#include "lg.h"
#include "page_tables.h"

/* Linux uses none from here on (but 6.15 would, with INVLPGB and pti=on). */
#define FIRST_PCID	2056
#define END_PCID	4096
#define PCIDS_OF_VCPU	(2 * LG_NR_SPACES)

/**
 * shrunk() - something that a TLB may hold was taken out of the shadow tables
 * @lg: the guest; lg->lock is held
 * @root: the address space that it was in, or NULL for the kernel half of all
 */
void shrunk(struct lguest *lg, struct lg_root *root)
{
	u64 now = lg->shrinks + 1;

	WRITE_ONCE(*(root ? &root->shrunk : &lg->kernel_shrunk), now);
	/* Who sees the count sees what it counts. */
	smp_store_release(&lg->shrinks, now);
}

/*
 * Can a vCPU use nothing any more that was taken out up to @stamp?  Marked as in
 * the guest, it has looked at lg->shrinks after that, and shrinks_seen is what
 * it saw: then, or at an earlier entry.  The caller sees to the order.
 */
bool cpu_passed(struct lg_cpu *cpu, u64 stamp)
{
	return READ_ONCE(cpu->in_guest) < 0 ||
	       READ_ONCE(cpu->shrinks_seen) >= stamp;
}

/**
 * passed() - can no CPU use any more what was taken out up to @stamp?
 * @lg: the guest
 * @stamp: lg->shrinks at that time
 */
bool passed(struct lguest *lg, u64 stamp)
{
	struct lg_cpu *cpu;
	unsigned int i;

	smp_mb();
	for_each_vcpu(lg, cpu, i)
		if (!cpu_passed(cpu, stamp))
			return false;
	return true;
}

static bool names(struct lg_cpu *cpu, struct lg_root *root)
{
	unsigned int n;

	for (n = 0; n < LG_NR_SPACES; n++)
		if (cpu->places[n] == root)
			return true;
	return false;
}

/* The vCPUs in whose tables an address space is, a bit for each; lg->lock is held. */
u64 who_names(struct lguest *lg, struct lg_root *root)
{
	struct lg_cpu *cpu;
	unsigned int i;
	u64 vcpus = 0;

	for_each_vcpu(lg, cpu, i)
		if (names(cpu, root))
			vcpus |= BIT_ULL(i);
	return vcpus;
}

/**
 * settled() - can no CPU use any more what an address space lost up to @stamp?
 * @lg: the guest; lg->lock is held
 * @root: the address space, or NULL for the kernel half of all
 * @stamp: lg->shrinks at that time
 *
 * A vCPU comes to it only by a place of its table; one that it has no more is
 * another's, whose first load flushes.
 */
bool settled(struct lguest *lg, struct lg_root *root, u64 stamp)
{
	struct lg_cpu *cpu;
	unsigned int i;

	smp_mb();
	for_each_vcpu(lg, cpu, i)
		if (!cpu_passed(cpu, stamp) && (!root || names(cpu, root)))
			return false;
	return true;
}

struct chase {
	struct lguest *lg;
	u64 vcpus, stamp;
};

/* Does a vCPU run on this CPU that has not passed? */
static bool is_chased(int where, void *info)
{
	struct chase *chase = info;
	struct lg_cpu *cpu;
	unsigned int i;

	for_each_vcpu(chase->lg, cpu, i) {
		if (READ_ONCE(cpu->in_guest) != where ||
		    !(chase->vcpus & BIT_ULL(i)) || cpu_passed(cpu, chase->stamp))
			continue;
		atomic64_inc(&chase->lg->interrupted);
		return true;
	}
	return false;
}

static void nothing(void *unused)
{
}

/**
 * chase() - none of some vCPUs uses any more what was taken out up to @stamp
 * @lg: the guest; lg->lock is not held, interrupts are on
 * @vcpus: those, a bit for each
 * @stamp: lg->shrinks after that
 *
 * Interrupts those that are in the guest since before, all at once: their next entry
 * keeps nothing that is gone.  Who entered after it has nothing of it.  A vCPU that
 * is on its way in has interrupts off until the guest runs, and one that takes an
 * interrupt is out of the guest: when all have taken ours it is done.  So this waits
 * for CPUs, as the kernel does for its own TLBs, and never for what a guest does.
 *
 * Not only when something was taken out just now: another may have done it who
 * has not come to this yet, and the page is in some TLB all the same.
 */
void chase(struct lguest *lg, u64 vcpus, u64 stamp)
{
	struct chase chase = { lg, vcpus, stamp };

	if (vcpus && !passed(lg, stamp))
		on_each_cpu_cond_mask(is_chased, nothing, &chase, true,
				      cpu_online_mask);
}

/* The first load will flush it. */
static void give_pcid(u64 *word, struct lg_pcids *pcids)
{
	*word = (*word & ~(CR3_KEEP | CR3_PCID)) | pcids->next++;
}

/*
 * PCIDs of its own on this CPU, from now until all have been given out and the
 * next round begins.  Who had them before does not matter.
 */
static void take_pcids(struct lg_cpu *cpu, struct lg_pcids *pcids)
{
	struct lg_state *state = cpu->state;
	unsigned int i;

	if (cpu->pcids == pcids && cpu->pcid_round == pcids->round)
		return;
	if (pcids->next < FIRST_PCID || pcids->next + PCIDS_OF_VCPU > END_PCID) {
		pcids->next = FIRST_PCID;
		pcids->round++;
	}
	for (i = 0; i < LG_NR_SPACES; i++) {
		give_pcid(&state->spaces[i].kernel, pcids);
		give_pcid(&state->spaces[i].user, pcids);
	}
	cpu->pcids = pcids;
	cpu->pcid_round = pcids->round;
}

/**
 * forget_own_pages() - no TLB has the page that was in the vCPU's part of slot 256
 * @cpu: the vCPU, not in the guest; the caller is its owner
 *
 * Its own views are flushed when they are loaded next.  As all of a guest's are in one
 * table, other vCPUs, which never use it, may look there on a CPU that leaks: then all
 * is flushed, now.
 */
void forget_own_pages(struct lg_cpu *cpu)
{
	unsigned int i;

	for (i = 0; i < LG_NR_SPACES; i++) {
		cpu->state->spaces[i].kernel &= ~CR3_KEEP;
		cpu->state->spaces[i].user &= ~CR3_KEEP;
	}
	smp_mb();
	if (READ_ONCE(cpu->lg->nr_cpus) > 1)
		flush_all_cpus();
}

/**
 * prepare_tlb() - make the words for CR3 right for the entry that follows
 * @cpu: the vCPU; marked as in the guest, so that who takes entries away from
 *	now on interrupts it
 * @pcids: of this CPU
 *
 * What the host changes in slot 508 (perf's buffers) it flushes itself: its
 * entries there are global.
 */
void prepare_tlb(struct lg_cpu *cpu, struct lg_pcids *pcids)
{
	struct lguest *lg = cpu->lg;
	u64 now = smp_load_acquire(&lg->shrinks);
	u64 seen = cpu->shrinks_seen;
	bool kernel;
	unsigned int i;

	WRITE_ONCE(cpu->shrinks_seen, now);
	if (!cpu->state->keep)
		return;		/* no PCIDs: each load flushes */
	take_pcids(cpu, pcids);
	if (now == seen)
		return;
	kernel = READ_ONCE(lg->kernel_shrunk) > seen;
	for (i = 0; i < LG_NR_SPACES; i++) {
		struct lg_space *space = &cpu->state->spaces[i];
		struct lg_root *root = cpu->places[i];	/* pinned by that */
		/* Without a root: not loaded before set_place() resets it. */
		bool both = root && READ_ONCE(root->shrunk) > seen;

		if (both)
			space->user &= ~CR3_KEEP;
		if (both || kernel)
			space->kernel &= ~CR3_KEEP;
	}
}
