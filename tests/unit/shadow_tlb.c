// SPDX-License-Identifier: GPL-2.0
/*
 * Physical CPUs with tagged TLBs, as the manual has them (SDM 3A, 4.10), and
 * vCPUs that run on them.
 *
 * Whatever a walk meets, of all levels, stays cached under the PCID that was in
 * CR3, until a load of CR3 with that PCID and without bit 63.  A later walk may begin
 * at any upper entry that is cached, whatever has become of the tables above it.
 *
 * What has to be true:
 *  - when a vCPU enters the guest, all that it may use without a flush is what the
 *    tables say now, or less;
 *  - while it is there no table that it can still come to is a spare or freed, and
 *    none of its address spaces ends;
 *  - every leaf that it finds leads to a page that is the guest's now;
 *  - it never finds two sizes of page at one address;
 *  - in the user view it finds nothing that the guest keeps from its users.
 */
#include "shadow_world.h"

enum { P = 1, W = 2, U = 4, PS = 128 };
#define NX (1ULL << 63)
#define ADDRESS 0x000ffffffffff000ULL
#define KEEP (1ULL << 63)
#define OTHERS 5
#define WAYS 48

struct cached {
	u64 va, entry;
	int level;
	u64 frame;		/* of the guest, if it is a leaf */
};

static struct tag {
	struct cached ways[WAYS];
	unsigned int used;
} *tags[CPUS];

/* Where a vCPU is. */
static struct seat {
	bool in;		/* the guest */
	bool moving;		/* on its way there, or back */
	unsigned int on;	/* which CPU */
	u64 loaded;		/* CR3 there */
	struct lg_space *matched; /* the Switcher has found it, and will load it */
} seats[LGUEST_VCPUS];

static struct lg_pcids pcids[CPUS];
static struct other {
	struct lguest lg;
	struct lg_cpu cpu;
	struct lg_state state;
} *others[OTHERS];
unsigned long tlb_loads, tlb_kept, tlb_rounds;
static bool have_pcids;

static void look_at_spare(struct list_head *item, struct list_head *head);
static void look_at_free(void *page);

void tlb_create(bool pcids_too)
{
	unsigned int i;

	have_pcids = pcids_too;
	for (i = 0; i < CPUS; i++)
		tags[i] = calloc(4096, sizeof(*tags[i]));
	memset(pcids, 0, sizeof(pcids));
	memset(seats, 0, sizeof(seats));
	for (i = 0; i < OTHERS; i++) {
		others[i] = calloc(1, sizeof(*others[i]));
		others[i]->lg.cpus[0] = &others[i]->cpu;
		others[i]->cpu.lg = &others[i]->lg;
		others[i]->cpu.state = &others[i]->state;
		others[i]->state.keep = have_pcids ? KEEP : 0;
	}
	for (i = 0; i < w.lg->nr_cpus; i++)
		w.lg->cpus[i]->state->keep = have_pcids ? KEEP : 0;
	tlb_loads = tlb_kept = tlb_rounds = 0;
	shim_listed = look_at_spare;
	shim_freed = look_at_free;
}

void tlb_destroy(void)
{
	unsigned int i;

	shim_listed = NULL;
	shim_freed = NULL;
	for (i = 0; i < CPUS; i++) {
		tlb_rounds += pcids[i].round;
		free(tags[i]);
		tags[i] = NULL;
	}
	for (i = 0; i < OTHERS; i++)
		free(others[i]);
}

static struct seat *seat_of(struct lg_cpu *cpu)
{
	return &seats[cpu->id];
}

bool tlb_in(struct lg_cpu *cpu)
{
	return seat_of(cpu)->in;
}

bool tlb_moving(struct lg_cpu *cpu)
{
	return seat_of(cpu)->moving;
}

static bool taken(unsigned int on)
{
	unsigned int i;

	for (i = 0; i < w.lg->nr_cpus; i++)
		if (w.lg->cpus[i]->in_guest == (int)on)
			return true;
	return false;
}

static unsigned int free_cpu(void)
{
	unsigned int on;

	do {
		on = rnd() % CPUS;
	} while (taken(on));
	return on;
}

/* ---- what the tables say */

static u64 *table_at(u64 entry)
{
	return (u64 *)(uintptr_t)(entry & ADDRESS & ~sme_me_mask);
}

static int top_level(void)
{
	return shim_five_levels ? 5 : 4;
}

static bool is_leaf(u64 entry, int level)
{
	return level == 1 || (level < 4 && entry & PS);
}

/* Bits of an address that say where it lies behind one entry. */
static u64 within(int level)
{
	return (1ULL << (3 + 9 * level)) - 1;
}

static unsigned int at_level(u64 va, int level)
{
	return va >> (3 + 9 * level) & 511;
}

static u64 entry_at_level(u64 cr3, u64 va, int level)
{
	int at = top_level();
	u64 e = cr3;

	for (; at >= level; at--) {
		e = table_at(e)[at_level(va, at)];
		if (!(e & P) || (at > level && is_leaf(e, at)))
			return 0;
	}
	return e;
}

static void check_cached(const struct cached *c, u64 cr3)
{
	u64 now = entry_at_level(cr3, c->va, c->level);

	CHECK(now & P);
	CHECK((now & (ADDRESS | PS)) == (c->entry & (ADDRESS | PS)));
	CHECK(!(c->entry & ~now & (W | U)));
	CHECK(!(now & NX) || (c->entry & NX));
}

/* ---- what a vCPU in the guest may still use */

static unsigned int current_place(struct lg_cpu *cpu)
{
	return (cpu->state->space - cpu->va - 0x3000 - LGST_SPACES) / LG_SPACE_SIZE;
}

typedef void (*tag_fn)(struct lg_cpu *cpu, u64 word, bool user, struct tag *tag);

/* All tags that it comes to without a flush: those of the words with bit 63. */
static void each_tag(struct lg_cpu *cpu, tag_fn fn)
{
	struct seat *s = seat_of(cpu);
	unsigned int n, view;

	for (n = 0; n < LG_NR_SPACES; n++)
		for (view = 0; view < 2; view++) {
			struct lg_space *space = &cpu->state->spaces[n];
			u64 word = view ? space->user : space->kernel;

			if (n != current_place(cpu) && !space->cr3 && space != s->matched)
				continue;
			if (word & KEEP || (word & ~KEEP) == (s->loaded & ~KEEP))
				fn(cpu, word, view, &tags[s->on][word & 0xfff]);
		}
}

static void each_in(tag_fn fn)
{
	unsigned int i;

	for (i = 0; w.lg && i < w.lg->nr_cpus; i++)
		if (seats[i].in)
			each_tag(w.lg->cpus[i], fn);
}

static u64 *going;		/* a page of tables that is to be free */

static void does_not_lead_there(struct lg_cpu *cpu, u64 word, bool user,
				struct tag *tag)
{
	unsigned int i;

	CHECK(table_at(word) != going);
	for (i = 0; i < tag->used; i++)
		CHECK(is_leaf(tag->ways[i].entry, tag->ways[i].level) ||
		      table_at(tag->ways[i].entry) != going);
}

static void look_at_free(void *page)
{
	going = page;
	each_in(does_not_lead_there);
}

static void look_at_spare(struct list_head *item, struct list_head *head)
{
	if (w.lg && head == &w.lg->spares)
		look_at_free(container_of(item, struct shadow_table, list)->entries);
}

/* ---- what it finds */

/* The guest's frame behind a leaf: one that has this page now. */
static u64 frame_behind(u64 leaf)
{
	u64 pfn = (leaf & ADDRESS & ~sme_me_mask) >> PAGE_SHIFT, frame;

	for (frame = 0; frame < FRAMES; frame++)
		if (w.present[frame] && w.host[frame].pfn == pfn)
			break;
	CHECK(frame < FRAMES);
	return frame;
}

static void not_of_two_sizes(const struct tag *tag, u64 va, int level)
{
	unsigned int i;

	for (i = 0; i < tag->used; i++) {
		const struct cached *c = &tag->ways[i];

		if (is_leaf(c->entry, c->level) && c->level != level)
			CHECK((c->va ^ va) & ~within(max(c->level, level)));
	}
}

static void keep(struct tag *tag, u64 va, u64 entry, int level)
{
	struct cached new = { va & ~within(level), entry, level, 0 };
	unsigned int i;

	if (is_leaf(entry, level)) {
		new.frame = frame_behind(entry);
		not_of_two_sizes(tag, new.va, level);
	}
	for (i = 0; i < tag->used; i++)
		if (tag->ways[i].va == new.va && tag->ways[i].level == level)
			break;
	if (i == WAYS)
		i = rnd() % WAYS;
	else if (i == tag->used)
		tag->used++;
	tag->ways[i] = new;
}

/* What faults is not kept. */
static void drop_cached(struct tag *tag, u64 va)
{
	unsigned int i = 0;

	while (i < tag->used)
		if ((tag->ways[i].va ^ va) & ~within(tag->ways[i].level))
			i++;
		else
			tag->ways[i] = tag->ways[--tag->used];
}

/* Is it cached?  Else where a walk may begin: at any upper entry that is. */
static bool hit(const struct tag *tag, u64 va, bool write, struct cached *from)
{
	unsigned int i;

	for (i = 0; i < tag->used; i++) {
		const struct cached *c = &tag->ways[i];

		if ((c->va ^ va) & ~within(c->level))
			continue;
		if (!is_leaf(c->entry, c->level) && rnd() % 2)
			*from = *c;
		if (is_leaf(c->entry, c->level) && (!write || c->entry & W) && rnd() % 8)
			return true;
	}
	return false;
}

static void touch(struct lg_cpu *cpu, u64 va, bool write)
{
	struct seat *s = seat_of(cpu);
	struct tag *tag = &tags[s->on][s->loaded & 0xfff];
	struct cached from = { .entry = s->loaded, .level = top_level() + 1 };
	int slot = va >> 39 & 511, level;
	u64 e;

	if (!canonical(va) || slot == 256 || slot == 508 || hit(tag, va, write, &from))
		return;
	e = from.entry;
	for (level = from.level - 1; level >= 1; level--) {
		e = table_at(e)[at_level(va, level)];
		if (!(e & P)) {
			drop_cached(tag, va);
			return;
		}
		keep(tag, va, e, level);
		if (is_leaf(e, level))
			return;
	}
}

/* ---- loads of CR3 */

/* Load CR3 from a word, as the Switcher does. */
static struct tag *load(unsigned int on, struct lg_state *state, u64 *word)
{
	struct tag *tag = &tags[on][*word & 0xfff];

	CHECK(state->keep ? (*word & 0xfff) >= 2056 : !(*word & (NX | 0xfff)));
	if (!(*word >> 63))
		tag->used = 0;
	tlb_loads++;
	tlb_kept += tag->used > 0;
	*word |= state->keep;
	return tag;
}

static void load_ours(struct lg_cpu *cpu, u64 address)
{
	struct lg_state *state = cpu->state;
	u64 *word = (u64 *)((char *)state + (address - cpu->va - 0x3000));
	struct lg_root *root = root_at(cpu, current_place(cpu));

	CHECK(root);
	CHECK((*word & ADDRESS) == root_cr3(root, state->user ? LG_USER : LG_KERNEL));
	load(seat_of(cpu)->on, state, word);
	seat_of(cpu)->loaded = *word;
}

static void is_what_the_tables_say(struct lg_cpu *cpu, u64 word, bool user,
				   struct tag *tag)
{
	unsigned int i;

	for (i = 0; word & KEEP && i < tag->used; i++)
		check_cached(&tag->ways[i], word);
}

/**
 * tlb_enter() - a vCPU enters the guest, and stays there
 * @cpu: the vCPU
 * @now: nobody is at the tables meanwhile
 */
void tlb_enter(struct lg_cpu *cpu, bool now)
{
	struct seat *s = seat_of(cpu);

	CHECK(!s->in && !s->moving);
	s->moving = true;
	if (rnd() % 8 == 0 || taken(s->on))
		s->on = free_cpu();
	cpu->user = !cpu->root->linear && rnd() % 2;
	prepare_direct(cpu);
	cpu->in_guest = s->on;
	if (now)
		at_any_time(cpu);
	prepare_tlb(cpu, &pcids[s->on]);
	s->loaded = 0;
	s->matched = NULL;
	if (now) {
		CHECK(cpu_passed(cpu, w.lg->shrinks));
		each_tag(cpu, is_what_the_tables_say);
	}
	s->in = true;
	s->moving = false;
	load_ours(cpu, cpu->state->load);
}

static void finish_direct(struct lg_cpu *cpu)
{
	struct seat *s = seat_of(cpu);

	cpu->state->space = cpu->va + 0x3000 + LGST_SPACES +
			    (s->matched - cpu->state->spaces) * LG_SPACE_SIZE;
	s->matched = NULL;
	load_ours(cpu, cpu->state->space + 8);
}

/* It comes out, for whatever reason. */
void tlb_leave(struct lg_cpu *cpu)
{
	struct seat *s = seat_of(cpu);

	if (s->matched)
		finish_direct(cpu);
	s->moving = true;
	note_direct(cpu);
	CHECK(cpu->root && cpu->user == !!cpu->state->user);
	s->in = false;
	cpu->in_guest = -1;
	s->moving = false;
}

/* The guest does something, direct switches included. */
void tlb_step(struct lg_cpu *cpu, u64 address)
{
	struct lg_state *state = cpu->state;
	struct lg_root *root = root_at(cpu, current_place(cpu));
	struct lg_space *space = &state->spaces[rnd() % LG_NR_SPACES];

	if (seat_of(cpu)->matched) {
		finish_direct(cpu);
		return;
	}
	CHECK(root);
	switch (root->linear ? 2 : rnd() % 6) {
	case 0:
		state->user = !state->user;
		load_ours(cpu, state->space + (state->user ? 16 : 8));
		break;
	case 1:
		if (!state->user && space->cr3)
			seat_of(cpu)->matched = space;
		break;
	default:
		touch(cpu, address, rnd() % 2);
	}
}

/* ---- other guests, and one stay in this one */

/* Another guest's vCPU, of which we only know what it leaves in the TLB. */
static void run_other(struct other *o, unsigned int on)
{
	unsigned int i, view;

	prepare_tlb(&o->cpu, &pcids[on]);
	for (i = 0; i < LG_NR_SPACES; i++)
		for (view = 0; view < 2; view++) {
			u64 *word = view ? &o->state.spaces[i].user :
					   &o->state.spaces[i].kernel;
			struct tag *tag = load(on, &o->state, word);
			u64 mine = (u64)(uintptr_t)word;

			CHECK(!tag->used || tag->ways[0].entry == mine);
			tag->used = 1;
			tag->ways[0] = (struct cached) { ~0ULL, mine, 1, 0 };
		}
}

/* So many that come and go that the PCIDs are used up. */
static void crowd(void)
{
	unsigned int i, on = free_cpu(), next = free_cpu();

	for (i = 0; i < 300; i++) {
		run_other(others[1], on);
		run_other(others[1], next);
		if (i % 16 == 0)
			run_other(others[0], on);
	}
}

void tlb_others(void)
{
	if (rnd() % 2)
		run_other(others[rnd() % OTHERS], free_cpu());
	if (rnd() % 1024 == 0)
		crowd();
}

/*
 * Others are at the tables while the vCPU runs.  If it is the only one it either has
 * to leave the guest, or all that it has cached is still right.
 */
static bool others_work(void)
{
	if (rnd() % 2)
		shrink_shadow(w.lg, rnd() % 64);
	else
		world_disturb();
	if (!seat_of(w.cpu)->in)
		return false;
	if (w.lg->nr_cpus == 1)
		each_tag(w.cpu, is_what_the_tables_say);
	return true;
}

/* One stay in the guest. */
void tlb_run(u64 (*address)(void))
{
	unsigned int steps = rnd() % 12;

	tlb_others();
	tlb_enter(w.cpu, true);
	while (steps-- && (rnd() % 32 || others_work()))
		tlb_step(w.cpu, address());
	if (seat_of(w.cpu)->in)
		tlb_leave(w.cpu);
}

/**
 * tlb_interrupt() - a CPU is interrupted: the vCPU that runs there comes out
 * @on: the CPU
 */
void tlb_interrupt(int on)
{
	unsigned int i, steps;

	for (i = 0; i < w.lg->nr_cpus; i++) {
		struct lg_cpu *cpu = w.lg->cpus[i];

		if (cpu->in_guest != on)
			continue;
		CHECK(!seats[i].moving);
		if (!seats[i].in) {	/* in a test that only says so */
			cpu->in_guest = -1;
			continue;
		}
		for (steps = rnd() % 4; steps--; )
			tlb_step(cpu, an_address());
		tlb_leave(cpu);
	}
}

/* ---- what has to be true of those that are in the guest */

static u64 first_gone, end_gone;

static void has_no_such_frame(struct lg_cpu *cpu, u64 word, bool user,
			      struct tag *tag)
{
	unsigned int i;

	for (i = 0; i < tag->used; i++) {
		const struct cached *c = &tag->ways[i];

		if (is_leaf(c->entry, c->level))
			CHECK(c->frame >= end_gone ||
			      c->frame + (c->level == 2 ? BLOCK : 1) <= first_gone);
	}
}

/* These frames are about to get other pages. */
void tlb_frames_gone(u64 first, u64 end)
{
	first_gone = first;
	end_gone = end;
	each_in(has_no_such_frame);
}

static struct {
	u64 vcpus, start, end;
	struct lg_root *root;
} flushed;

static void has_nothing_old(struct lg_cpu *cpu, u64 word, bool user,
			    struct tag *tag)
{
	unsigned int i;

	if (!(flushed.vcpus >> cpu->id & 1) ||
	    (word & ADDRESS) != root_cr3(flushed.root, user ? LG_USER : LG_KERNEL))
		return;
	for (i = 0; i < tag->used; i++) {
		const struct cached *c = &tag->ways[i];

		if (c->va < flushed.end && c->va + within(c->level) >= flushed.start &&
		    !(c->va >> 47))
			check_cached(c, word);
	}
}

/* Nobody of these has of these pages what the tables have no more. */
void tlb_flushed(u64 vcpus, struct lg_root *root, u64 start, u64 end)
{
	flushed.vcpus = vcpus;
	flushed.root = root;
	flushed.start = start;
	flushed.end = end;
	each_in(has_nothing_old);
}

static void is_for_users(u64 word, u64 va, u64 *table, int level)
{
	unsigned int i;

	for (i = 0; i < 512; i++) {
		u64 e = table[i], at = va + ((u64)i << (3 + 9 * level));

		if (!(e & P))
			continue;
		if (!is_leaf(e, level))
			is_for_users(word, at, table_at(e), level - 1);
		else
			CHECK(for_users(word, at, level, e));
	}
}

/* By each upper entry that is cached, to all that lies below. */
static void finds_users_pages(struct lg_cpu *cpu, u64 word, bool user,
			      struct tag *tag)
{
	unsigned int i;

	for (i = 0; user && i < tag->used; i++) {
		const struct cached *c = &tag->ways[i];

		if (c->level > 3 || c->va >> 47)
			continue;
		if (is_leaf(c->entry, c->level))
			CHECK(for_users(word, c->va, c->level, c->entry));
		else
			is_for_users(word, c->va, table_at(c->entry), c->level - 1);
	}
}

static void finds_one_size(struct lg_cpu *cpu, u64 word, bool user,
			   struct tag *tag)
{
	unsigned int i, k;

	for (i = 0; i < tag->used; i++) {
		const struct cached *c = &tag->ways[i];
		u64 large = c->level > 2 ? 0 : entry_at_level(word, c->va, 2);

		if (c->level == 1)
			CHECK(!(large & PS));
		if (c->level != 2 || !(c->entry & PS) || !large || large & PS)
			continue;
		for (k = 0; k < 512; k++)
			CHECK(!table_at(large)[k]);
	}
}

void tlb_check(void)
{
	each_in(finds_users_pages);
	each_in(finds_one_size);
}
