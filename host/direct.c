// SPDX-License-Identifier: GPL-2.0
/*
 * Direct switches: what the Switcher does by itself, without a visit to the
 * host (switcher.S, from S:200 on).  Here is what it needs to know for that,
 * and what we must learn from it when the guest comes back.
 */
#include <asm/cpufeature.h>
#include <asm/segment.h>
#include "lg.h"

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
	state->not_direct = !cpu->shared || cpu->pkru;
	/* As the kernel does before it returns to a user. */
	state->verw = boot_cpu_has(X86_FEATURE_CLEAR_CPU_BUF);
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
 * remember_space() - make the current address space one the Switcher knows
 * @cpu: the vCPU, which has just loaded it as cpu->root
 * @cr3: as the guest gave it, or 0 if the Switcher must not load it by itself
 */
void remember_space(struct lg_cpu *cpu, u64 cr3)
{
	struct lg_space *spaces = cpu->state->spaces, space;
	u64 key = cr3 & ~LGUEST_CR3_NOFLUSH;
	unsigned int i;

	for (i = 0; i < LG_NR_SPACES - 1; i++)
		if (spaces[i].cr3 == key)
			break;
	space = spaces[i];
	if (!key || space.cr3 != key) {
		/* Only the PCIDs stay, and the first load will flush. */
		space = (struct lg_space) {
			.cr3 = key,
			.kernel = root_cr3(cpu->root, LG_KERNEL) |
				  (space.kernel & CR3_PCID),
			.user = root_cr3(cpu->root, LG_USER) |
				(space.user & CR3_PCID),
			.index = cpu->root->index,
		};
	}
	/* The newest first: the oldest falls off the end. */
	memmove(spaces + 1, spaces, i * sizeof(*spaces));
	spaces[0] = space;
	cpu->state->space = space_address(cpu);
}

/* An address space is going away.  A key of 0 is never looked for. */
void forget_space(struct lguest *lg, unsigned int index)
{
	unsigned int i, n;

	for (i = 0; i < lg->nr_cpus; i++)
		for (n = 0; n < LG_NR_SPACES; n++)
			if (lg->cpus[i].state->spaces[n].index == index)
				lg->cpus[i].state->spaces[n].cr3 = 0;
}

/* All address spaces need a look at their next load. */
void forget_spaces(struct lguest *lg)
{
	unsigned int i, n;

	for (i = 0; i < lg->nr_cpus; i++)
		for (n = 0; n < LG_NR_SPACES; n++)
			lg->cpus[i].state->spaces[n].cr3 = 0;
}
