// SPDX-License-Identifier: GPL-2.0
/*
 * Physical CPUs with tagged TLBs, as the manual has them (SDM 3A, 4.10), and
 * guests that run on them.
 *
 * Whatever a walk meets, of all levels, stays cached under the PCID that was in
 * CR3, until a load of CR3 with that PCID and without bit 63.  At each load all
 * that is cached for the new PCID has to be what the tables say now, or less.
 */
#include "shadow_world.h"

enum { P = 1, W = 2, U = 4, PS = 128 };
#define NX (1ULL << 63)
#define ADDRESS 0x000ffffffffff000ULL
#define CPUS 3
#define OTHERS 5
#define WAYS 48

struct cached {
	u64 va, entry;
	int level;
};

static struct tag {
	struct cached ways[WAYS];
	unsigned int used;
} *tags[CPUS];

static struct lg_pcids pcids[CPUS];
static struct other {
	struct lguest lg;
	struct lg_cpu cpu;
	struct lg_state state;
} *others[OTHERS];
static unsigned int here;	/* the CPU that w.cpu is on */
static u64 loaded;		/* CR3 there */
unsigned long tlb_loads, tlb_kept, tlb_rounds;

void tlb_create(bool have_pcids)
{
	unsigned int i;

	for (i = 0; i < CPUS; i++)
		tags[i] = calloc(4096, sizeof(*tags[i]));
	memset(pcids, 0, sizeof(pcids));
	for (i = 0; i < OTHERS; i++) {
		others[i] = calloc(1, sizeof(*others[i]));
		others[i]->lg.cpus[0] = &others[i]->cpu;
		others[i]->cpu.lg = &others[i]->lg;
		others[i]->cpu.state = &others[i]->state;
		others[i]->state.keep = have_pcids ? 1ULL << 63 : 0;
	}
	w.cpu->state->keep = have_pcids ? 1ULL << 63 : 0;
	tlb_loads = tlb_kept = tlb_rounds = 0;
}

void tlb_destroy(void)
{
	unsigned int i;

	for (i = 0; i < CPUS; i++) {
		tlb_rounds += pcids[i].round;
		free(tags[i]);
		tags[i] = NULL;
	}
	for (i = 0; i < OTHERS; i++)
		free(others[i]);
}

static u64 entry_at_level(u64 cr3, u64 va, int level)
{
	int at = shim_five_levels ? 5 : 4;
	u64 e = cr3;

	for (; at >= level; at--) {
		u64 *table = (u64 *)(uintptr_t)(e & ADDRESS & ~sme_me_mask);

		e = table[va >> (3 + 9 * at) & 511];
		if (!(e & P) || (at > level && at < 4 && e & PS))
			return 0;
	}
	return e;
}

static void check_cached(const struct cached *c)
{
	u64 now = entry_at_level(loaded, c->va, c->level);

	CHECK(now & P);
	CHECK((now & (ADDRESS | PS)) == (c->entry & (ADDRESS | PS)));
	CHECK(!(c->entry & ~now & (W | U)));
	CHECK(!(now & NX) || (c->entry & NX));
}

/* Load CR3 from a word, as the Switcher does. */
static struct tag *load(unsigned int cpu, struct lg_state *state, u64 *word)
{
	struct tag *tag = &tags[cpu][*word & 0xfff];

	CHECK(state->keep ? (*word & 0xfff) >= 2056 : !(*word & (NX | 0xfff)));
	if (!(*word >> 63))
		tag->used = 0;
	tlb_loads++;
	tlb_kept += tag->used > 0;
	*word |= state->keep;
	return tag;
}

static void load_ours(u64 address)
{
	struct lg_state *state = w.cpu->state;
	u64 *word = (u64 *)((char *)state + (address - w.cpu->va - 0x3000));
	struct tag *tag;
	unsigned int i;

	loaded = *word & ADDRESS & ~sme_me_mask;
	CHECK(loaded == (root_cr3(w.lg->roots[state->spaces[
		(address - w.cpu->va - 0x3000 - LGST_SPACES) / LG_SPACE_SIZE].index],
		state->user ? LG_USER : LG_KERNEL) & ~sme_me_mask));
	tag = load(here, state, word);
	for (i = 0; i < tag->used; i++)
		check_cached(&tag->ways[i]);
	loaded = *word;
}

/* An access of the guest: nothing if it is cached, else a walk. */
static void touch(u64 va, bool write)
{
	struct tag *tag = &tags[here][loaded & 0xfff];
	int level, slot = va >> 39 & 511;
	unsigned int i;
	u64 e;

	if (!canonical(va) || slot == 256 || slot == 508)
		return;
	for (level = shim_five_levels ? 5 : 4; level >= 1; level--) {
		u64 at = va & ~0ULL << (3 + 9 * level);
		bool leaf;

		e = entry_at_level(loaded, va, level);
		if (!(e & P))
			return;
		leaf = level == 1 || (level < 4 && e & PS);
		for (i = 0; i < tag->used; i++)
			if (tag->ways[i].va == at && tag->ways[i].level == level)
				break;
		if (i < tag->used && leaf && (!write || tag->ways[i].entry & W))
			return;
		if (i == tag->used && i == WAYS)
			i = rnd() % WAYS;
		else if (i == tag->used)
			tag->used++;
		tag->ways[i] = (struct cached) { at, e, level };
		if (leaf)
			return;
	}
}

/* Another vCPU, of which we only know what it leaves in the TLB. */
static void run_other(struct other *o, unsigned int on)
{
	struct lg_cpu *cpu = &o->cpu;
	unsigned int i, view;

	prepare_tlb(cpu, &pcids[on]);
	for (i = 0; i < LG_NR_SPACES; i++)
		for (view = 0; view < 2; view++) {
			u64 *word = view ? &o->state.spaces[i].user :
					   &o->state.spaces[i].kernel;
			struct tag *tag = load(on, &o->state, word);
			u64 mine = (u64)(uintptr_t)word;

			CHECK(!tag->used || tag->ways[0].entry == mine);
			tag->used = 1;
			tag->ways[0] = (struct cached) { ~0ULL, mine, 1 };
		}
}

/* So many that come and go that the PCIDs are used up. */
static void crowd(void)
{
	unsigned int i, cpu = rnd() % CPUS;

	for (i = 0; i < 300; i++) {
		run_other(others[1], cpu);
		run_other(others[1], (cpu + 1) % CPUS);
		if (i % 16 == 0)
			run_other(others[0], cpu);
	}
}

/*
 * A CPU in the guest goes by the upper entries that it has cached without a look
 * from above: none may lead to a table that is free.
 */
void tlb_follow(void)
{
	struct shadow_table *t, *spare;
	struct tag *tag;
	unsigned int i;

	if (!tags[here])
		return;
	tag = &tags[here][loaded & 0xfff];
	for (i = 0; i < tag->used; i++) {
		struct cached *c = &tag->ways[i];

		if (c->level > 4 || c->level == 1 || c->entry & PS)
			continue;
		t = table_of(c->entry);
		CHECK(t && entry_to(t->entries, 0) == (c->entry & (ADDRESS | sme_me_mask)));
		list_for_each_entry(spare, &w.lg->spares, list)
			CHECK(spare != t);
	}
}

/*
 * Others are at the tables while the vCPU runs.  It either has to leave the
 * guest, or all that it has cached is still right.
 */
static bool others_work(void)
{
	struct tag *tag = &tags[here][loaded & 0xfff];
	unsigned int i;

	if (rnd() % 2)
		shrink_shadow(w.lg, rnd() % 64);
	else
		world_disturb();
	if (w.cpu->in_guest < 0)
		return false;
	for (i = 0; i < tag->used; i++)
		check_cached(&tag->ways[i]);
	tlb_follow();
	return true;
}

/* One stay in the guest, direct switches included. */
void tlb_run(u64 (*address)(void))
{
	struct lg_state *state = w.cpu->state;
	unsigned int steps = rnd() % 12;
	bool linear = w.cpu->root->linear;

	if (rnd() % 8 == 0)
		here = rnd() % CPUS;
	if (rnd() % 2)
		run_other(others[rnd() % OTHERS], rnd() % CPUS);
	if (rnd() % 1024 == 0)
		crowd();
	w.cpu->user = !linear && rnd() % 2;
	prepare_direct(w.cpu);
	w.cpu->in_guest = here;
	prepare_tlb(w.cpu, &pcids[here]);
	load_ours(state->load);
	while (steps--) {
		u64 space = state->space;

		if (rnd() % 32 == 0 && !others_work())
			break;
		switch (linear ? 2 : rnd() % 6) {
		case 0:
			state->user = !state->user;
			load_ours(space + (state->user ? 16 : 8));
			break;
		case 1:
			space = rnd() % LG_NR_SPACES;
			if (state->user || !state->spaces[space].cr3)
				break;
			state->space = w.cpu->va + 0x3000 + LGST_SPACES +
				       space * LG_SPACE_SIZE;
			load_ours(state->space + 8);
			break;
		default:
			touch(address(), rnd() % 2);
		}
	}
	w.cpu->in_guest = -1;
	note_direct(w.cpu);
	CHECK(w.cpu->root && w.cpu->user == !!state->user);
}
