// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to the shadow tables, one by one or at random, each with its check
 * against the model.
 */
#include <stdio.h>
#include "shadow_world.h"

unsigned int cr3_frames;
unsigned long outcomes[5], renewed;

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
	if (need.quiet)
		chase(w.lg, LG_ALL_VCPUS, need.quiet);
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
	return need.tables || need.page || need.quiet;
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

	if (w.lg->nr_tables + 4 * w.lg->dead_roots > min(w.lg->max_tables, 2048UL))
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

void access_page(u64 address, bool user, u32 error)
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
void hint_page(u64 address, bool user, u32 error)
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

void any_access(void)
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
	      !w.cpu->need.tables && !w.cpu->need.call && !w.cpu->need.quiet);
	CHECK(!w.killed && !w.trapped);
}

void flush_a_page(u64 address)
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

void flush_all(void)
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
	for (n = 0; n < LG_ROOTS && !w.disturbed; n++)
		CHECK(!w.lg->roots[n] || w.lg->roots[n] == w.cpu->root ||
		      w.lg->roots[n]->stale);
}

void load_cr3(u64 frame, bool keep)
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
	unsigned int n, i;

	world_forget();
	drop_space(w.cpu, frame << 12 | (rnd() & 0xfff));
	no_need();
	for (n = 0; n < LG_ROOTS; n++) {
		struct lg_root *root = w.lg->roots[n];

		if (!root || root->linear || root->pfn != frame || root == w.cpu->root)
			continue;
		/* Another vCPU still knows it: then it has nothing. */
		CHECK(w.lg->nr_cpus > 1 && root->dropped && root->pins);
		for (i = 0; i < 256; i++)
			CHECK(!root->low[LG_KERNEL][i] && !root->low[LG_USER][i]);
	}
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

static struct lg_root *root_of(u64 frame)
{
	unsigned int n;

	for (n = 0; n < LG_ROOTS; n++) {
		struct lg_root *root = w.lg->roots[n];

		if (root && !root->linear && root->pfn == frame)
			return root;
	}
	return NULL;
}

/* Also of a space that is not this vCPU's; what is then found there is looked at. */
static void flush_for(u64 vcpus, struct lg_root *root, u64 start, u64 nr)
{
	struct lg_pages pages = { .start = start, .size = PAGE_SIZE, .nr = nr };
	struct lg_root *current = w.cpu->root;
	u64 before[5], i;

	if (!root)
		return;
	world_forget();
	w.cpu->root = root;
	for (i = 0; i < nr && nr < 5; i++)
		before[i] = shadow_leaf(start + i * PAGE_SIZE);
	w.cpu->root = current;
	while (flush_multi(w.cpu, vcpus, root->pfn, &pages) == LG_RETRY)
		w.cpu->may_rest = true;
	w.cpu->may_rest = false;
	no_need();
	if (w.disturbed || root != root_of(root->pfn))
		return;
	w.cpu->root = root;
	if (nr == 100)
		check_fresh_half(root, false);
	for (i = 0; i < nr && nr < 5 && !((start + i * PAGE_SIZE) >> 47); i++) {
		check_fresh_page(start + i * PAGE_SIZE);
		renewed += note_renewed(start + i * PAGE_SIZE, before[i]);
	}
	w.cpu->root = current;
	tlb_flushed(vcpus, root, start, nr == 100 ? ~0ULL : start + nr * PAGE_SIZE);
}

void flush_for_all(u64 address)
{
	if (!w.cpu->root->linear && !(address >> 47))
		flush_for(LG_ALL_VCPUS, w.cpu->root, address & PAGE_MASK, 1);
}

static void flush_for_several(void)
{
	flush_for(rnd() % 2 ? LG_ALL_VCPUS : rnd() % 16, root_of(rnd() % cr3_frames),
		  hot[rnd() % HOT] & 0x7ffffffff000, rnd() % 4 ? rnd() % 5 : 100);
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
	vcpus_rest();
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
	/* If nobody else runs in the guest nothing has to wait. */
	CHECK(w.lg->nr_cpus > 1 || (freed == min(most, had) &&
				    w.lg->nr_tables == had - freed));
}

void one_operation(void)
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
	else if (r < 989)
		flush_for_several();
	else
		read_somewhere();
}
