// SPDX-License-Identifier: GPL-2.0
/*
 * Direct switches: what the Switcher does by itself, without a visit to the
 * host (switcher.S, from S:200 on).  Here is what it needs to know for that,
 * and what we must learn from it when the guest comes back.
 * Read next: memory.c.
 */
#include <linux/mem_encrypt.h>
#include <asm/cpufeature.h>
#include <asm/segment.h>
#include "lg.h"
#include "compat/mitigations.h"

/* Where the table of spaces is for the Switcher. */
static u64 space_address(struct lg_cpu *cpu)
{
	return cpu->va + LG_STATE_OFFSET + LGST_SPACES;
}

/**
 * prepare_direct() - tell the Switcher about the vCPU's mode and address space
 * @cpu: vCPU that is about to be entered
 *
 * One word, not_direct, gathers every reason why its next `syscall`, of either
 * kind, has to come to the host.
 */
void prepare_direct(struct lg_cpu *cpu)
{
	struct lg_state *state = cpu->state;

	state->user = cpu->user;
	state->load = state->space + (cpu->user ? LG_SPACE_USER : LG_SPACE_KERNEL);
	state->syscall_entry = cpu->syscall_entry;
	state->event_entry = cpu->event_entry;
	state->has_pku = boot_cpu_has(X86_FEATURE_OSPKE);
	state->not_direct = !cpu->shared || cpu->pkru || cpu->stepping;
	state->verw = lg_wants_verw();
	state->verw_sel = __KERNEL_DS;
}

/* The guest came back: in which mode, and which address space? */
void note_direct(struct lg_cpu *cpu)
{
	struct lguest *lg = cpu->lg;
	struct lg_state *state = cpu->state;
	u64 n = (state->space - space_address(cpu)) / LG_SPACE_SIZE;

	cpu->user = state->user;
	cpu->root = lg->roots[state->spaces[n].index];
	cpu->root->last_use = lg->root_clock;
}

/**
 * root_cr3() - the CR3 of one view of an address space
 * @root: the space
 * @view: LG_KERNEL or LG_USER
 *
 * Without a PCID.
 */
u64 root_cr3(struct lg_root *root, enum lg_view view)
{
	return __pa(root->pml5[view] ?: root->pml4[view]) | sme_me_mask;
}

/* Only the PCIDs stay, and the first load will flush. */
static void set_space(struct lg_space *space, struct lg_root *root, u64 key)
{
	*space = (struct lg_space) {
		.cr3 = key,
		.kernel = root_cr3(root, LG_KERNEL) | (space->kernel & CR3_PCID),
		.user = root_cr3(root, LG_USER) | (space->user & CR3_PCID),
		.index = root->index,
	};
}

static struct lg_space *find_space(struct lg_cpu *cpu, u64 key)
{
	unsigned int i;

	for (i = 0; i < LG_NR_SPACES; i++)
		if (cpu->state->spaces[i].cr3 == key)
			return &cpu->state->spaces[i];
	return NULL;
}

/**
 * remember_space() - make the current address space one the Switcher knows
 * @cpu: the vCPU, which has just loaded it as cpu->root
 * @cr3: as the guest gave it, or 0 if the Switcher must not load it by itself
 */
void remember_space(struct lg_cpu *cpu, u64 cr3)
{
	struct lg_space *spaces = cpu->state->spaces, space, *place;
	u64 key = cr3 & ~LGUEST_CR3_NOFLUSH;

	/* Its own place, a free one, or that of the oldest. */
	place = find_space(cpu, key) ?: find_space(cpu, 0) ?:
		&spaces[LG_NR_SPACES - 1];
	space = *place;
	if (!key || space.cr3 != key)
		set_space(&space, cpu->root, key);
	/* The newest first: the oldest falls off the end. */
	memmove(spaces + 1, spaces, (place - spaces) * sizeof(*spaces));
	spaces[0] = space;
	cpu->state->space = space_address(cpu);
}

/**
 * announce_space() - let the Switcher load an address space that is not current
 * @cpu: the vCPU
 * @root: the space
 * @cr3: as the guest will give it
 *
 * The others stay where they are, for one of them is the current one.
 */
void announce_space(struct lg_cpu *cpu, struct lg_root *root, u64 cr3)
{
	struct lg_state *state = cpu->state;
	struct lg_space *place = &state->spaces[LG_NR_SPACES - 1];
	u64 current_at = state->space - space_address(cpu);
	u64 key = cr3 & ~LGUEST_CR3_NOFLUSH;
	unsigned int i;

	if (!key || find_space(cpu, key))
		return;
	for (i = 0; i < LG_NR_SPACES; i++)
		if (!state->spaces[i].cr3 && i * LG_SPACE_SIZE != current_at)
			place = &state->spaces[i];
	if ((place - state->spaces) * LG_SPACE_SIZE != current_at)
		set_space(place, root, key);
}

/* An address space is going away.  A key of 0 is never looked for. */
void forget_space(struct lguest *lg, unsigned int index)
{
	struct lg_cpu *cpu;
	unsigned int i, n;

	for_each_vcpu(lg, cpu, i)
		for (n = 0; n < LG_NR_SPACES; n++)
			if (cpu->state->spaces[n].index == index)
				cpu->state->spaces[n].cr3 = 0;
}

/* All address spaces need a look at their next load. */
void forget_spaces(struct lguest *lg)
{
	struct lg_cpu *cpu;
	unsigned int i, n;

	for_each_vcpu(lg, cpu, i)
		for (n = 0; n < LG_NR_SPACES; n++)
			cpu->state->spaces[n].cr3 = 0;
}
