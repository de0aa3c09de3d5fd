// SOURCES: tests/unit/shadow_world.c tests/unit/shadow_model.c tests/unit/shadow_tlb.c tests/unit/shim/shim.c host/shadow_tables.c host/shadow_memory.c host/notifier.c host/page_walk.c host/page_tables.c host/page_sync.c host/direct.c host/tlb.c
// CFLAGS: -Itests/unit/shim -O2 -Wno-unused-parameter -DTABLES_AT_ONCE=6
// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow tables, as the module has them, against a reference: random guest
 * tables, accesses, stores, flushes and CR3 loads, while the launcher's pages
 * come and go.  SEED=n repeats a run, OPS=n changes its length.
 *
 * Does it find anything?  Each of these was put into the Host on purpose, and
 * made it fail within 100000 operations:
 *  - entry_stale() without NX, RW, U, or the cleared A and D bits
 *  - violation() without the U check, without SMEP, or with a user view of the
 *    upper half; reserved bits of large pages or of L4 not looked at
 *  - writable without D, leaf without NX; D not set, A in the leaf only
 *  - no check of a leaf's frame, of a table's frame, of RAM against device
 *    memory; 2 MiB entries without asking the launcher's tables
 *  - a changed non-leaf entry that keeps its subtree: in the fill (top, below),
 *    in a full sync, in flush_one(); a sync that does not descend
 *  - narrowing a leaf whatever changed, narrowing a whole subtree, or not at all
 *  - zap without split tables, without large entries, off by one page, with
 *    PAT taken for a frame
 *  - no NX in the lower half; kernel pages below left in the user view
 *  - neighbours filled without A, without D, out of RAM, with kernel pages
 *    below, without the rights or the NX of their path
 *  - CR3 load without sync, stale roots not looked at, FLUSH ALL without the
 *    upper half; freed or stale roots left to the Switcher's own CR3 loads
 *  - a spare table that is not empty, or still split; a new address space that
 *    has entries, or is taken for stale
 *  - a page renewed by its flush without the rights or the NX of its path, or
 *    while memory changes
 *  - a fill while memory changes, a need left over, a lost subtree, a lock not
 *    given back or taken twice, a hint that gives a fault or an exit
 *  - a TLB kept though an entry, a table or the root above was dropped or
 *    narrowed, by a flush, a fill or the notifier, in one view or both, or in
 *    the kernel half; or after a move to another CPU, with PCIDs that others
 *    had since, with PCIDs shared by views or spaces, by a new space
 *  - a table freed while a CPU that runs the guest may still walk through it:
 *    without a look at the stamp, with that of a child not its parent's, without
 *    the interrupt; a root freed before its tables; a table lost or freed twice
 *  - no limit by what is there; pages that are not counted
 *  - an entry for a page that is about to change; a wait for one that is not; no
 *    interrupt for who entered before, or one for who entered after
 * Two more made no difference, and cannot with one vCPU: eviction that does not
 * spare the root in use (it is the youngest), and a narrowed leaf whose guest
 * entry is not noted (it is narrowed again).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include "shadow_world.h"
#include <cmocka.h>

#define HOT 48

static const unsigned int indexes[] = { 0, 1, 255, 256, 257, 300, 508, 511 };
static u64 hot[HOT];
static unsigned int cr3_frames;	/* address spaces begin at frames below */
static unsigned long outcomes[5], renewed, rests;

static unsigned int any_index(void)
{
	return indexes[rnd() % ARRAY_SIZE(indexes)];
}

static u64 any_address(void)
{
	u64 va = rnd() & 0xfff;
	int level;

	for (level = 1; level <= 4; level++)
		va |= (u64)any_index() << (3 + 9 * level);
	if (va >> 47)
		va |= 0xffffULL << 48;
	return va;
}

static u64 an_address(void)
{
	u64 r = rnd();

	if (r % 64 == 0)
		return hot[r / 64 % HOT] = any_address();
	if (r % 64 == 1)
		return rnd() << 32 ^ rnd();	/* often not canonical */
	return hot[r / 64 % HOT] ^ (rnd() & 0xfff);
}

/* ---- the guest's tables */

static u64 any_flags(void)
{
	u64 r = rnd();

	return 1 | (r & 15 ? 2 : 0) | (r >> 4 & 7 ? 4 : 0) | (r >> 7 & 0x260) |
	       (r >> 20 & 0x118) | (r >> 32 & 15 ? 0 : 1ULL << 63);
}

static u64 any_entry(void)
{
	u64 r = rnd() % 100, flags = any_flags();

	if (r < 66)
		return (rnd() % TABLES) << 12 | flags;
	if (r < 78)
		return (rnd() % FRAMES) << 12 | flags;
	if (r < 87)	/* 2 MiB, bit 12 is PAT */
		return (rnd() % 5) << 21 | (rnd() & 1) << 12 | flags | 0x80;
	if (r < 90)
		return (rnd() % 3) << 30 | (rnd() & 1) << 12 | flags | 0x80;
	if (r < 92)	/* device memory */
		return (FRAMES + rnd() % (DEVICE_LIMIT - FRAMES)) << 12 | flags;
	if (r < 94)
		return 1ULL << (46 + rnd() % 6) | flags;
	if (r < 95)
		return (DEVICE_LIMIT - 1 + rnd() % 3) << 12 | flags;
	if (r < 96)
		return rnd() << 16 ^ rnd();
	if (r < 98)
		return (rnd() << 16 ^ rnd()) & ~1ULL;
	return 0;
}

static void edit(void)
{
	static const unsigned char bits[] = { 0, 1, 2, 5, 6, 7, 8, 9, 12, 21, 63 };
	u64 frame = rnd() % TABLES;
	unsigned int index = any_index();
	u64 old = guest_read(frame, index);

	if (rnd() % 3)
		guest_write(frame, index,
			    old ^ 1ULL << bits[rnd() % ARRAY_SIZE(bits)]);
	else
		guest_write(frame, index, any_entry());
}

/* A guest that works: one of its addresses leads to a page. */
static void repair(void)
{
	u64 va = hot[rnd() % HOT], table = w.cpu->root->pfn, e;
	int level;

	for (level = 4; level >= 1; level--) {
		unsigned int index = va >> (3 + 9 * level) & 511;

		if (table >= TABLES)
			return;
		e = guest_read(table, index);
		if (!(e & 1) || e >> 46 << 46 & FRAME || (e & 0x80) ||
		    (level > 1 && (e & FRAME) >> 12 >= TABLES) ||
		    (e & FRAME) >> 12 >= FRAMES) {
			e = (rnd() % (level > 1 ? TABLES : FRAMES)) << 12 |
			    any_flags();
			guest_write(table, index, e & ~0x80ULL);
		}
		table = (e & FRAME) >> 12;
	}
}

static void fill_guest_tables(void)
{
	unsigned int frame, i;

	for (frame = 0; frame < TABLES; frame++)
		for (i = 0; i < ARRAY_SIZE(indexes); i++)
			guest_write(frame, indexes[i], any_entry());
	for (i = 0; i < HOT; i++)
		hot[i] = any_address();
}

/* ---- operations, each with its check */

/* What core.c does for cpu->need.  False: nothing was needed. */
static bool satisfy(void)
{
	struct lg_need need = w.cpu->need;

	memset(&w.cpu->need, 0, sizeof(w.cpu->need));
	CHECK(!need.call);
	/* It waits only for what it has to. */
	if (need.wait) {
		s64 frame = (need.page - w.lg->base) >> PAGE_SHIFT;

		CHECK(w.change_end && frame >= w.around_first && frame < w.around_end);
		CHECK(page_is_changing(w.lg, need.page));
		world_end_long();
		CHECK(!page_is_changing(w.lg, need.page));
		return true;
	}
	if (need.tables) {
		shim_fail_after = rnd() % 4 ? -1 : (long)(rnd() % 6);
		if (refill_spares(w.cpu)) {
			shim_fail_after = -1;
			CHECK(refill_spares(w.cpu) == 0);
		}
		shim_fail_after = -1;
	}
	if (need.page)
		world_fault_in(need.page, need.write);
	return need.tables || need.page;
}

static bool same_fault(const struct outcome *o, u64 address)
{
	return w.trapped && w.vector == X86_TRAP_PF && w.trap_error == o->code &&
	       w.cpu->shared->cr2 == address;
}

static void check_fill(u64 address, u32 error, struct outcome before)
{
	struct outcome o = expect_access(address, w.cpu->user, error);
	u64 leaf, rights = _PAGE_RW | _PAGE_DIRTY;

	CHECK(o.kind == FILLED && o.gpa == before.gpa);
	o.leaf = (o.leaf & ~rights) | (before.leaf & rights);
	note_fill(address, &o);
	CHECK(cpu_may(address, error, &leaf));
	CHECK(leaf == o.leaf);
	/* What the guest may write now, the host must not take for unwritten. */
	CHECK(!(leaf & _PAGE_RW) || w.host[o.gpa >> PAGE_SHIFT].dirty);
}

/* A fault although all is there: something of the host is in the TLB. */
static void fault_again(u64 address, u32 error)
{
	u64 before = w.cpu->counts[LG_COUNT_SPURIOUS], old, leaf;

	if (w.lg->nr_tables > min(w.lg->max_tables, 2048UL))
		return;
	CHECK(refill_spares(w.cpu) == 0);
	CHECK(cpu_may(address, error, &old));
	w.cpu->state->nr_stale = 0;
	CHECK(demand_page(w.cpu, address, error, false) == LG_RUN);
	CHECK(cpu_may(address, error, &leaf) && leaf == old);
	CHECK(w.cpu->counts[LG_COUNT_SPURIOUS] == before + 1);
	CHECK(w.cpu->state->nr_stale &&
	      w.cpu->state->stale[0] == (address & PAGE_MASK));
}

/* Fault as often as a CPU would until the access is done or someone's. */
static enum lg_next fault_until_done(u64 address, u32 error, bool hint)
{
	enum lg_next next;
	int tries = 0;
	u64 leaf, i;

	world_forget();
	for (i = 0; i < FRAMES; i++)
		w.host[i].dirty = false;
	for (;;) {
		CHECK(tries++ < 40);		/* it goes forward */
		w.lost_race = false;
		next = demand_page(w.cpu, address, error, hint);
		CHECK(!w.lg->lock.held);
		if (next == LG_RETRY) {
			CHECK(satisfy());
			continue;
		}
		if (w.device || w.trapped || w.killed ||
		    (!w.lost_race && (hint || cpu_may(address, error, &leaf))))
			return next;
	}
}

static void remember_neighbours(u64 address, u64 *leaves)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		leaves[i] = shadow_leaf((address & ~0xffffULL) | i << 12);
}

static void access_page(u64 address, bool user, u32 error)
{
	u64 leaf, around[16];
	struct outcome o;

	w.cpu->user = user;
	if (cpu_may(address, error, &leaf) && rnd() % 8)
		return;		/* the CPU would not ask */
	/* Of the CPU's word only write and fetch may matter. */
	error |= rnd() & ~0x12 & 0x1f;
	o = expect_access(address, user, error);
	if (canonical(address))
		remember_neighbours(address, around);
	fault_until_done(address, error, false);
	outcomes[o.kind]++;
	switch (o.kind) {
	case FILLED:
		CHECK(!w.trapped && !w.killed && !w.device);
		check_fill(address, error, o);
		note_neighbours(address, around);
		if (rnd() % 8 == 0)
			fault_again(address, error);
		break;
	case FAULT:
		CHECK(same_fault(&o, address) && !w.killed && !w.device);
		break;
	case GENERAL:
		CHECK(w.trapped && w.vector == X86_TRAP_GP && !w.trap_error);
		break;
	case DEVICE:
		CHECK(w.device && w.device_at == o.gpa && !w.trapped);
		break;
	case KILLED:
		CHECK(w.killed && !w.trapped);
		break;
	}
}

/* "Fill if you can": never a fault, nor an exit. */
static void hint_page(u64 address, bool user, u32 error)
{
	struct outcome o;
	u64 around[16];

	w.cpu->user = user;
	o = expect_access(address, user, error);
	if (canonical(address))
		remember_neighbours(address, around);
	CHECK(fault_until_done(address, error, true) == LG_RUN);
	CHECK(!w.trapped && !w.device);
	CHECK(w.killed == (o.kind == KILLED && !w.cpu->root->linear));
	if (o.kind == FILLED) {
		check_fill(address, error, o);
		note_neighbours(address, around);
	}
}

static void any_access(void)
{
	static const u32 kinds[] = { 0, 2, 0x10, 2 };

	bool user = !w.cpu->root->linear && rnd() % 2;

	if (rnd() % 8)
		access_page(an_address(), user, kinds[rnd() % 4]);
	else
		hint_page(an_address(), user, kinds[rnd() % 4]);
}

/* Memory changes that the guest uses, and some that it does not. */
static void access_while_changing(void)
{
	world_begin_long(rnd() % FRAMES, 1 + rnd() % (rnd() % 2 ? 8 : 1000));
	if (rnd() % 2)
		any_access();
}

static void no_need(void)
{
	CHECK(!w.cpu->need.page && !w.cpu->need.write && !w.cpu->need.wait &&
	      !w.cpu->need.tables && !w.cpu->need.call);
	CHECK(!w.killed && !w.trapped);
}

static void flush_a_page(u64 address)
{
	u64 before = canonical(address) ? shadow_leaf(address) : 0;

	world_forget();
	flush_one(w.cpu, address);
	no_need();
	if (!canonical(address) || w.cpu->root->linear)
		return;
	check_fresh_page(address);
	renewed += note_renewed(address, before);
}

/* Other tasks, while a long look through the tables rests. */
static void others(void);

static void with_others(void (*operation)(void))
{
	shim_rest = others;
	operation();
	shim_rest = NULL;
}

static void (*do_again)(void);

/* A call that wants to rest is done again from where it may. */
static void done_again(void)
{
	w.cpu->may_rest = true;
	do_again();
	w.cpu->may_rest = false;
}

static void flush_with(enum lg_next (*flush)(struct lg_cpu *cpu))
{
	CHECK(flush(w.cpu) == LG_RUN);
}

static void user_again(void)
{
	flush_with(flush_user);
}

static void everything_again(void)
{
	flush_with(flush_everything);
}

static void flush_lower(void)
{
	world_forget();
	if (flush_user(w.cpu) == LG_RETRY) {
		do_again = user_again;
		with_others(done_again);
	}
	no_need();
	check_fresh_half(w.cpu->root, false);
}

static void flush_all(void)
{
	unsigned int n;

	world_forget();
	if (flush_everything(w.cpu) == LG_RETRY) {
		do_again = everything_again;
		with_others(done_again);
	}
	no_need();
	check_fresh_half(w.cpu->root, false);
	if (!w.cpu->root->linear)
		check_fresh_half(w.cpu->root, true);
	for (n = 0; n < LG_ROOTS; n++)
		CHECK(!w.lg->roots[n] || w.lg->roots[n] == w.cpu->root ||
		      w.lg->roots[n]->stale);
}

static void load_cr3(u64 frame, bool keep)
{
	u64 cr3 = frame << 12 | (rnd() & 0xfff) | (keep ? LGUEST_CR3_NOFLUSH : 0);
	struct lg_root *old = w.cpu->root;
	bool was_stale = false;
	unsigned int n;

	for (n = 0; n < LG_ROOTS; n++)
		if (w.lg->roots[n] && w.lg->roots[n]->pfn == frame)
			was_stale = w.lg->roots[n]->stale;
	world_forget();
	while (load_root(w.cpu, cr3) == LG_RETRY) {
		/* If it lacks nothing, then only a place to rest. */
		if (!satisfy()) {
			CHECK(!w.cpu->may_rest);
			w.cpu->may_rest = true;
			shim_rest = others;
		}
	}
	w.cpu->may_rest = false;
	shim_rest = NULL;
	if (frame >= FRAMES) {
		CHECK(w.killed && w.cpu->root == old);
		return;
	}
	no_need();
	CHECK(w.cpu->root->pfn == frame && !w.cpu->root->linear);
	if (!keep || was_stale)
		check_fresh_half(w.cpu->root, false);
}

/*
 * Rights change above two pages, and only one of them is touched before the
 * flush: the other's entry must not survive it.
 */
static void change_path(void)
{
	static const u64 rights[] = { 2, 4, 1ULL << 63 };
	u64 va = hot[rnd() % HOT], table = w.cpu->root->pfn, other;
	int level, at = 2 + rnd() % 3;
	unsigned int index;

	for (level = 4; level > at; level--) {
		if (table >= FRAMES)
			return;
		index = va >> (3 + 9 * level) & 511;
		table = (guest_read(table, index) & FRAME) >> 12;
	}
	if (table >= TABLES)
		return;
	other = (va & ~0x1ff000ULL) | (u64)any_index() << 12;
	access_page(va, false, 0);
	access_page(other, false, 0);
	index = va >> (3 + 9 * at) & 511;
	guest_write(table, index, guest_read(table, index) ^ rights[rnd() % 3]);
	access_page(other, false, 0);
	if (rnd() % 2)
		flush_a_page(va);
	else
		flush_all();
}

/* A page that is in use gets other rights or another frame, and is flushed. */
static void change_leaf(void)
{
	static const unsigned char bits[] = { 1, 2, 5, 6, 12, 16, 63 };
	u64 va = hot[rnd() % HOT], table = w.cpu->root->pfn;
	unsigned int index;
	int level, n;

	access_page(va, false, rnd() & 2);
	for (level = 4; ; level--) {
		if (table >= TABLES)
			return;
		index = va >> (3 + 9 * level) & 511;
		if (level == 1)
			break;
		if (guest_read(table, index) & 0x80)
			return;
		table = (guest_read(table, index) & FRAME) >> 12;
	}
	for (n = rnd() % 3; n >= 0; n--)
		guest_write(table, index, guest_read(table, index) ^
			    1ULL << bits[rnd() % ARRAY_SIZE(bits)]);
	if (rnd() % 4 == 0)		/* then it may not be filled */
		world_begin_long((guest_read(table, index) & FRAME) >> 12 & (FRAMES - 1), 1);
	flush_a_page(va);
}

/*
 * A page changes that the TLB has, and the guest flushes it, or does not and
 * has it filled again.
 */
static u64 focus;

static u64 the_focus(void)
{
	return focus;
}

static void change_page(void)
{
	static const u64 bits[] = { 2, 2, 4, 0x40, 0x20, 1, 0x1000, 1ULL << 63 };
	u64 table = w.cpu->root->pfn;
	unsigned int index;
	int level;

	focus = hot[rnd() % HOT];
	access_page(focus, rnd() % 2, 2);
	tlb_run(the_focus);
	for (level = 4; level > 1 && table < TABLES; level--) {
		index = focus >> (3 + 9 * level) & 511;
		table = (guest_read(table, index) & FRAME) >> 12;
	}
	if (w.cpu->root->linear || table >= TABLES)
		return;
	index = focus >> 12 & 511;
	guest_write(table, index,
		    guest_read(table, index) ^ bits[rnd() % ARRAY_SIZE(bits)]);
	if (rnd() % 2)
		flush_a_page(focus);
	else
		hint_page(focus, rnd() % 2, 0);
	tlb_run(the_focus);
}

static void drop_a_space(u64 frame)
{
	unsigned int n;

	world_forget();
	drop_space(w.cpu, frame << 12 | (rnd() & 0xfff));
	no_need();
	for (n = 0; n < LG_ROOTS; n++)
		CHECK(!w.lg->roots[n] || w.lg->roots[n]->linear ||
		      w.lg->roots[n]->pfn != frame ||
		      w.lg->roots[n] == w.cpu->root);
}

/* Whatever the Host knew of this frame, it is a new address space. */
static void make_a_space(u64 frame)
{
	struct lg_root *root, *current = w.cpu->root;
	unsigned int i;

	world_forget();
	while (new_space(w.cpu, frame << 12 | (rnd() & 0xfff)) == LG_RETRY)
		CHECK(satisfy());
	if (frame >= FRAMES) {
		CHECK(w.killed);
		return;
	}
	no_need();
	for (i = 0; i < LG_ROOTS; i++) {
		root = w.lg->roots[i];
		if (root && !root->linear && root->pfn == frame)
			break;
	}
	CHECK(i < LG_ROOTS && !root->stale);
	/* The current space is the one that it was. */
	CHECK(w.cpu->root == current);
	prepare_direct(w.cpu);
	note_direct(w.cpu);
	CHECK(w.cpu->root == current);
	for (i = 0; i < 256; i++)
		CHECK(!root->low[LG_KERNEL][i] && !root->low[LG_USER][i]);
}

static void read_somewhere(void)
{
	size_t len = 1 + rnd() % 15, got, expected;
	u64 address = an_address() | (rnd() % 2 ? 0xff8 : 0);
	u8 bytes[15], right[15];
	bool kill;
	int tries;

	w.cpu->user = false;
	expected = expect_read(address, right, len, &kill);
	for (tries = 0; ; tries++) {
		world_forget();
		got = read_virtual(w.cpu, address, bytes, len);
		if (!w.cpu->need.page)
			break;
		CHECK(tries < 20 && satisfy());
	}
	CHECK(got == expected && w.killed == kill && !w.trapped);
	CHECK(!memcmp(bytes, right, got));
}

static void others(void)
{
	if (rnd() % 64)
		return;
	shim_rest = NULL;
	if (rnd() % 4 == 0)
		shrink_shadow(w.lg, rnd() % 64);
	else if (rnd() % 2)
		drop_a_space(rnd() % cr3_frames);
	else
		world_zap(rnd() % FRAMES, rnd() % 100);
	shim_rest = others;
}

static void zap_somewhere(void)
{
	world_zap(rnd() % (2 * FRAMES), rnd() % 2000);
}

static void host_needs_memory(void)
{
	unsigned long had = w.lg->nr_tables, most = rnd() % 100, freed;

	freed = shrink_shadow(w.lg, most);
	/* Nobody runs in the guest, so nothing has to wait. */
	CHECK(freed == min(most, had) && w.lg->nr_tables == had - freed);
}

static void one_operation(void)
{
	u64 r = rnd() % 1000;

	if (r < 500)
		any_access();
	else if (r < 650)
		repair();
	else if (r < 780)
		edit();
	else if (r < 850)
		flush_a_page(an_address());
	else if (r < 862)
		flush_lower();
	else if (r < 870)
		flush_all();
	else if (r < 920)
		load_cr3(rnd() % cr3_frames, rnd() % 4);
	else if (r < 926)
		load_cr3(rnd() % 2 ? FRAMES + rnd() % 9 : rnd() % FRAMES, true);
	else if (r < 928)
		drop_a_space(rnd() % cr3_frames);
	else if (r < 930)
		make_a_space(rnd() % 16 ? rnd() % cr3_frames : rnd() % (2 * FRAMES));
	else if (r < 970)
		with_others(world_disturb);
	else if (r < 973)
		change_path();
	else if (r < 974)
		change_page();
	else if (r < 976)
		access_while_changing();
	else if (r < 977)
		world_end_long();
	else if (r < 978)
		with_others(zap_somewhere);
	else if (r < 984)
		change_leaf();
	else if (r < 985)
		host_needs_memory();
	else
		read_somewhere();
}

/* ---- runs */

struct setting {
	bool five_levels;
	u64 sme_mask, misalign;
	unsigned int spaces;
	unsigned long max_tables;
	bool no_pcids;
	unsigned long linear;	/* operations before the first CR3 load */
};

static u64 seed(void)
{
	const char *s = getenv("SEED");

	return s ? strtoull(s, NULL, 0) : 20240611;
}

static u64 operations(void)
{
	const char *s = getenv("OPS");

	return s ? strtoull(s, NULL, 0) : 100000;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void run(const struct setting *s)
{
	u64 end = operations();
	double begin = now();

	memset(outcomes, 0, sizeof(outcomes));
	renewed = 0;
	world_create(seed(), s->five_levels, s->sme_mask, s->misalign);
	tlb_create(!s->no_pcids);
	if (s->max_tables)
		w.lg->max_tables = s->max_tables;
	cr3_frames = s->spaces;
	fill_guest_tables();
	for (w.op = 1; w.op <= s->linear; w.op++) {
		access_page(rnd() % (DEVICE_LIMIT * PAGE_SIZE * 9 / 8), false,
			    rnd() & 0x12);
		access_page(rnd() % (FRAMES * PAGE_SIZE), false, rnd() & 0x12);
		if (rnd() % 16 == 0)
			any_access();
		if (rnd() % 16 == 0)
			world_disturb();
		if (rnd() % 64 == 0)
			flush_all();
		tlb_run(an_address);
		check_everything();
	}
	load_cr3(0, false);
	for (; w.op <= end; w.op++) {
		one_operation();
		if (rnd() % 4 == 0)
			tlb_run(an_address);
		if (rnd() % 32 == 0)
			check_everything();
	}
	world_end_long();
	check_everything();
	world_destroy();
	tlb_destroy();
	printf("# %lu CR3 loads kept the TLB of %lu, PCIDs ran out %lu times\n",
	       tlb_loads, tlb_kept, tlb_rounds);
	printf("# SEED=%llu: %llu operations, %.0f a second; %lu fills, %lu faults, %lu #GP, %lu device, %lu ends, %lu renewed\n",
	       (unsigned long long)seed(), (unsigned long long)end,
	       (double)end / (now() - begin), outcomes[FILLED], outcomes[FAULT],
	       outcomes[GENERAL], outcomes[DEVICE], outcomes[KILLED], renewed);
	CHECK(end < 10000 || (outcomes[FILLED] > end / 20 &&
			      outcomes[FAULT] > end / 20 && outcomes[DEVICE] &&
			      outcomes[GENERAL] && outcomes[KILLED] && renewed));
}

static void test_few_spaces(void **state)
{
	(void)state;
	run(&(struct setting) { .spaces = 3, .linear = 500 });
}

static void test_five_levels(void **state)
{
	(void)state;
	run(&(struct setting) { .five_levels = true, .spaces = 4 });
}

static void test_memory_encryption(void **state)
{
	(void)state;
	run(&(struct setting) { .sme_mask = BIT_ULL(47), .spaces = 4 });
}

/* More address spaces than roots: the oldest go. */
static void test_many_spaces(void **state)
{
	(void)state;
	run(&(struct setting) { .spaces = TABLES, .max_tables = 300 });
}

/* All tables are thrown away again and again. */
static void test_few_tables(void **state)
{
	(void)state;
	run(&(struct setting) { .spaces = 5, .max_tables = 20, .linear = 100 });
}

/* Guest and launcher do not agree where 2 MiB begin; the CPU has no PCIDs. */
static void test_unaligned(void **state)
{
	(void)state;
	run(&(struct setting) { .spaces = 4, .misalign = PAGE_SIZE,
			        .no_pcids = true });
}

/* ---- one by one */

static void test_out_of_memory(void **state)
{
	int fail;

	(void)state;
	w.op = 1;
	for (fail = 0; ; fail++) {
		struct lguest *lg = calloc(1, sizeof(*lg));
		int err;

		lg->pfn_limit = FRAMES;
		lg->cpus[0].lg = lg;
		lg->cpus[0].state = calloc(1, sizeof(struct lg_state));
		shim_five_levels = true;
		shim_fail_after = fail;
		init_shadow_memory(lg);
		err = start_linear(&lg->cpus[0]);
		shim_fail_after = -1;
		free_shadow(lg);
		assert_int_equal(shim_allocated, 0);
		free(lg->cpus[0].state);
		free(lg);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
	}
	assert_true(fail > 20);
}

/* PAT is bit 12 of a large page's entry, and no part of its frame. */
static void test_zap_large_page_with_pat(void **state)
{
	u64 leaf;

	(void)state;
	world_create(1, false, 0, 0);
	guest_write(1, 0, 2 << 12 | 7);
	guest_write(2, 0, 3 << 12 | 7);
	guest_write(3, 0, 0x200000 * 2 | 0x1000 | 0x87);
	load_cr3(1, false);
	access_page(0x3000, true, 2);
	assert_true(cpu_may(0, 2, &leaf) && (leaf & _PAGE_PSE));
	world_zap(2 * BLOCK, 1);
	assert_false(cpu_may(0, 0, &leaf));
	world_destroy();
}

/* The user view has no upper half, so a user's access there is a fault. */
static void test_user_in_upper_half(void **state)
{
	(void)state;
	world_create(1, false, 0, 0);
	guest_write(1, 300, 2 << 12 | 7);
	guest_write(2, 0, 3 << 12 | 7);
	guest_write(3, 0, 4 << 12 | 7);
	guest_write(4, 0, 5 << 12 | 7);
	load_cr3(1, false);
	access_page(0xffff960000000000, false, 2);
	access_page(0xffff960000000000, true, 2);
	assert_int_equal(w.trap_error, 7);
	check_everything();
	world_destroy();
}

/* Three pages of tables that lead to one page by 2^27 ways. */
static void alias(void)
{
	unsigned int i;

	guest_write(1, 0, 2 << 12 | 7);
	for (i = 0; i < 512; i++) {
		guest_write(2, i, 3 << 12 | 7);
		guest_write(3, i, 4 << 12 | 7);
		guest_write(4, i, 5 << 12 | 7);
	}
	load_cr3(1, false);
}

static void touch_ways(u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++) {
		access_page(i << 21, true, 2);
		CHECK(w.lg->nr_tables <= 2048 + w.mm.rss / 128 + 3);
		CHECK(shim_secondary < 2 * 2048 + 2 * (long)w.mm.rss / 128 + 64);
	}
}

/* However much the launcher says it has, what counts is what is there. */
static void test_tables_are_bounded(void **state)
{
	unsigned long made;

	(void)state;
	world_create(1, false, 0, 0);
	w.lg->max_tables = 1UL << 40;
	alias();
	w.mm.rss = 0;
	touch_ways(4000);
	made = w.cpu->counts[LG_COUNT_TABLES];
	CHECK(made > 4000 && w.lg->nr_tables > 1900);
	w.mm.rss = 128 * 500;
	touch_ways(4000);
	CHECK(w.lg->nr_tables > 2400);
	/* Mapped more often than there is memory. */
	shim_ram = 128 * 100;
	touch_ways(4000);
	CHECK(w.lg->nr_tables <= 2148 + 3);
	shim_ram = 1UL << 20;
	check_everything();
	world_destroy();
}

/* The vCPU runs, and has seen all that was taken out so far. */
static void goes_in(void)
{
	w.cpu->in_guest = 1;
	w.cpu->shrinks_seen = w.lg->shrinks;
	w.interrupted = 0;
}

static enum lg_next fills(u64 address)
{
	world_forget();
	CHECK(refill_spares(w.cpu) == 0);
	return demand_page(w.cpu, address, 6, false);
}

/*
 * What becomes of the launcher's other memory stops nothing and interrupts
 * nobody; a change of the guest's stops what needs it, and interrupts whoever may
 * have it in the TLB.
 */
static void test_changes_elsewhere(void **state)
{
	u64 leaf;

	(void)state;
	world_create(1, false, 0, 0);
	guest_write(1, 0, 2 << 12 | 7);
	guest_write(2, 0, 3 << 12 | 7);
	guest_write(3, 0, 4 << 12 | 7);
	guest_write(4, 0, 700 << 12 | 7);
	guest_write(4, 64, 701 << 12 | 7);
	guest_write(4, 128, 720 << 12 | 7);
	load_cr3(1, false);
	w.cpu->user = true;
	access_page(0, true, 2);
	world_fault_in(w.lg->base + 701 * PAGE_SIZE, true);
	world_fault_in(w.lg->base + 720 * PAGE_SIZE, true);

	goes_in();
	world_begin(-50, 50);		/* right below, right above */
	world_begin(FRAMES, 50);
	CHECK(!w.lg->changing && !w.interrupted);
	CHECK(fills(64 << 12) == LG_RUN && cpu_may(64 << 12, 2, &leaf));
	world_end(-50, 50);
	world_end(FRAMES, 50);
	CHECK(!w.lg->changing);

	/* Two at once, and what lies between; but no more than that. */
	world_begin(710, 2);
	world_begin(725, 1);
	CHECK(!w.interrupted);		/* nothing of it was ever in a TLB */
	CHECK(cpu_may(0, 2, &leaf) && cpu_may(64 << 12, 2, &leaf));
	CHECK(fills(128 << 12) == LG_RETRY && w.cpu->need.wait);
	CHECK(w.cpu->need.page == w.lg->base + 720 * PAGE_SIZE);
	CHECK(fills(64 << 12) == LG_RUN);
	world_zap(701, 1);
	CHECK(w.interrupted == 1 && !cpu_may(64 << 12, 2, &leaf));
	CHECK(fills(64 << 12) == LG_RETRY && w.cpu->need.wait);
	world_end(710, 2);
	CHECK(fills(128 << 12) == LG_RETRY && w.cpu->need.wait);
	world_end(725, 1);
	CHECK(fills(64 << 12) == LG_RUN && cpu_may(64 << 12, 2, &leaf));
	CHECK(fills(128 << 12) == LG_RUN && cpu_may(128 << 12, 2, &leaf));

	/* Out of the tables already, but perhaps not out of the TLB. */
	goes_in();
	world_zap(700, 1);
	CHECK(w.interrupted == 1 && !cpu_may(0, 0, &leaf));
	w.cpu->in_guest = 1;		/* and has still not looked */
	world_zap(700, 1);
	CHECK(w.interrupted == 2);
	goes_in();
	world_zap(700, 1);
	world_zap(0, FRAMES);
	CHECK(w.interrupted == 1);
	w.cpu->in_guest = -1;
	world_destroy();
}

/* A process that has many tables ends: no visit has much to do. */
static void test_many_go_in_pieces(void **state)
{
	unsigned long before;

	(void)state;
	world_create(1, false, 0, 0);
	alias();
	touch_ways(1500);
	load_cr3(6, false);
	before = w.lg->nr_tables;
	CHECK(before > 1500);
	drop_space(w.cpu, 1 << 12);
	CHECK(w.lg->nr_tables == before && !list_empty(&w.lg->limbo));
	for (; !list_empty(&w.lg->limbo); before = w.lg->nr_tables) {
		hint_page(rnd() % 4 << 39, true, 2);
		CHECK(w.lg->nr_tables < before && w.lg->nr_tables + 16 >= before);
		check_everything();
	}
	world_destroy();
}

static void rested(void)
{
	rests++;
}

/* A look through many tables is none with preemption off, and rests. */
static void test_long_looks_rest(void **state)
{
	unsigned long n, drops;

	(void)state;
	world_create(1, false, 0, 0);
	alias();
	touch_ways(1500);
	drops = w.cpu->counts[LG_COUNT_DROPS];
	for (n = 0; n < 512; n++)
		guest_write(4, n, 6 << 12 | 7);
	CHECK(flush_user(w.cpu) == LG_RETRY);
	CHECK(flush_everything(w.cpu) == LG_RETRY);
	CHECK(load_root(w.cpu, 1 << 12) == LG_RETRY);
	CHECK(w.cpu->counts[LG_COUNT_DROPS] == drops);
	rests = 0;
	w.cpu->may_rest = true;
	shim_rest = rested;
	CHECK(flush_user(w.cpu) == LG_RUN);
	shim_rest = NULL;
	CHECK(w.cpu->counts[LG_COUNT_DROPS] >= drops + 1400);
	CHECK(rests > 1400 / 6);
	check_everything();
	world_destroy();
}

/* All that the host wants it gets, and the guest goes on. */
static void test_shrink(void **state)
{
	unsigned long had;
	long pages;
	u64 leaf;

	(void)state;
	world_create(1, false, 0, 0);
	alias();
	touch_ways(1500);
	had = w.lg->nr_tables;
	pages = shim_secondary;
	shim_reclaimed = 0;
	CHECK(shrink_shadow(w.lg, 100) == 100);
	CHECK(w.lg->nr_tables == had - 100);
	CHECK(shrink_shadow(w.lg, ULONG_MAX) == had - 100);
	CHECK(w.lg->nr_tables == 0 && shim_secondary < 50);
	/* Who reclaims memory hears of each page. */
	CHECK((long)shim_reclaimed == pages - shim_secondary);
	CHECK(shrink_shadow(w.lg, ULONG_MAX) == 0);
	access_page(7UL << 21, true, 2);
	CHECK(cpu_may(7UL << 21, 2, &leaf));
	check_everything();
	world_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_zap_large_page_with_pat),
		cmocka_unit_test(test_user_in_upper_half),
		cmocka_unit_test(test_changes_elsewhere),
		cmocka_unit_test(test_tables_are_bounded),
		cmocka_unit_test(test_many_go_in_pieces),
		cmocka_unit_test(test_long_looks_rest),
		cmocka_unit_test(test_shrink),
		cmocka_unit_test(test_few_spaces),
		cmocka_unit_test(test_five_levels),
		cmocka_unit_test(test_memory_encryption),
		cmocka_unit_test(test_many_spaces),
		cmocka_unit_test(test_few_tables),
		cmocka_unit_test(test_unaligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
