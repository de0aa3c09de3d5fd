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

static unsigned int current_place(struct lg_cpu *cpu)
{
	return (cpu->state->space - space_address(cpu)) / LG_SPACE_SIZE;
}

/* The guest came back: in which mode, and which address space? */
void note_direct(struct lg_cpu *cpu)
{
	cpu->user = cpu->state->user;
	cpu->root = cpu->places[current_place(cpu)];
	WRITE_ONCE(cpu->root->last_use, READ_ONCE(cpu->lg->root_clock));
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

/*
 * A place of the table gets another address space, or none (NULL).  Only the PCIDs
 * stay, and the first load will flush.
 *
 * Nobody else writes to this table: its Switcher may have found a key there, and be
 * about to load what stands beside it.  So an address space that is named here is
 * pinned, and that is all that others have to know.
 */
static void set_place(struct lg_cpu *cpu, unsigned int n, struct lg_root *root,
		      u64 key)
{
	struct lg_space *space = &cpu->state->spaces[n];
	struct lg_root *old = cpu->places[n];

	space->cr3 = key;
	if (root) {
		root->pins++;
		space->kernel = root_cr3(root, LG_KERNEL) | (space->kernel & CR3_PCID);
		space->user = root_cr3(root, LG_USER) | (space->user & CR3_PCID);
	}
	cpu->places[n] = root;
	if (old)
		unpin_root(cpu->lg, old);
}

/* The place with this key, or LG_NR_SPACES. */
static unsigned int find_space(struct lg_cpu *cpu, u64 key)
{
	unsigned int n;

	for (n = 0; n < LG_NR_SPACES; n++)
		if (cpu->state->spaces[n].cr3 == key)
			break;
	return n;
}

/* Is nothing lost if another address space comes there? */
static bool place_is_free(struct lg_cpu *cpu, unsigned int n)
{
	return !cpu->state->spaces[n].cr3 || cpu->places[n]->dropped;
}

/* Its own place, a free one, or that of the oldest. */
static unsigned int place_for(struct lg_cpu *cpu, u64 key)
{
	unsigned int n = find_space(cpu, key);

	if (n < LG_NR_SPACES)
		return n;
	for (n = 0; n < LG_NR_SPACES - 1; n++)
		if (place_is_free(cpu, n))
			break;
	return n;
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
	unsigned int n = place_for(cpu, key);

	if (!key || spaces[n].cr3 != key)
		set_place(cpu, n, cpu->root, key);
	/* The newest first: the oldest falls off the end. */
	space = spaces[n];
	memmove(spaces + 1, spaces, n * sizeof(*spaces));
	spaces[0] = space;
	memmove(cpu->places + 1, cpu->places, n * sizeof(*cpu->places));
	cpu->places[0] = cpu->root;
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
	unsigned int current_at = current_place(cpu), place = LG_NR_SPACES - 1, n;
	u64 key = cr3 & ~LGUEST_CR3_NOFLUSH;

	if (!key || find_space(cpu, key) < LG_NR_SPACES)
		return;
	for (n = 0; n < LG_NR_SPACES; n++)
		if (place_is_free(cpu, n) && n != current_at)
			place = n;
	if (place != current_at)
		set_place(cpu, place, root, key);
}

/* An address space is of no use any more. */
void forget_space(struct lg_cpu *cpu, struct lg_root *root)
{
	unsigned int n;

	for (n = 0; n < LG_NR_SPACES; n++)
		if (cpu->places[n] == root && n != current_place(cpu))
			set_place(cpu, n, NULL, 0);
}

/* All address spaces need a look at their next load.  A key of 0 is never looked for. */
void forget_spaces(struct lg_cpu *cpu)
{
	unsigned int n;

	for (n = 0; n < LG_NR_SPACES; n++)
		if (n == current_place(cpu))
			cpu->state->spaces[n].cr3 = 0;
		else
			set_place(cpu, n, NULL, 0);
}
