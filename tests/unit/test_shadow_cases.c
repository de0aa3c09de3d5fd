// SOURCES: tests/unit/shadow_ops.c tests/unit/shadow_guest.c tests/unit/shadow_world.c tests/unit/shadow_model.c tests/unit/shadow_tlb.c tests/unit/shadow_vcpus.c tests/unit/shim/shim.c host/shadow_tables.c host/shadow_memory.c host/notifier.c host/page_walk.c host/page_tables.c host/page_sync.c host/direct.c host/tlb.c
// CFLAGS: -Itests/unit/shim -O2 -Wno-unused-parameter -DTABLES_AT_ONCE=6 -DSHIM_MOMENTS
// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow tables in cases that random guests (test_shadow.c) come to too seldom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include "shadow_world.h"
#include <cmocka.h>

static unsigned long rests;

static void test_out_of_memory(void **state)
{
	int fail;

	(void)state;
	w.op = 1;
	for (fail = 0; ; fail++) {
		struct lguest *lg = calloc(1, sizeof(*lg));
		int err;

		lg->pfn_limit = FRAMES;
		lg->cpus[0] = calloc(1, sizeof(*lg->cpus[0]));
		lg->cpus[0]->lg = lg;
		lg->cpus[0]->state = calloc(1, sizeof(struct lg_state));
		shim_five_levels = true;
		shim_fail_after = fail;
		init_shadow_memory(lg);
		err = start_linear(lg->cpus[0]);
		shim_fail_after = -1;
		free_shadow(lg);
		assert_int_equal(shim_allocated, 0);
		free(lg->cpus[0]->state);
		free(lg->cpus[0]);
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

/* A table of each level in the last page of RAM, its last entry in use. The page behind
 * that is none.
 */
static void test_tables_at_the_end_of_ram(void **state)
{
	const u64 last = 0xfffffffffffff000;	/* entry 511 of each */
	unsigned int i, level;
	u64 leaf;

	(void)state;
	for (level = 4; level; level--) {
		u64 frames[] = { 5, 1, 2, 3, 4 };

		frames[level] = FRAMES - 1;
		world_create(1, false, 0, 0);
		for (i = 4; i; i--)
			guest_write(frames[i], 511, frames[i - 1] << 12 | 7);
		load_cr3(frames[4], false);
		access_page(last, false, 0);
		assert_true(cpu_may(last, 0, &leaf));
		if (level < 4) {
			guest_write(frames[level + 1], 510, FRAMES << 12 | 7);
			access_page(last - (1ULL << (12 + 9 * level)), false, 0);
			assert_true(w.killed);
		}
		world_destroy();
	}
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

static struct lg_cpu *loader;
static enum lg_next loaded;

/* The first rest of a flush: another vCPU, which has flushed too, loads the space. */
static void loads_meanwhile(void)
{
	if (rests++ == 0)
		loaded = load_root(loader, 1 << 12 | LGUEST_CR3_NOFLUSH);
}

/*
 * All vCPUs flush everything, as for a change of the kernel's.  What one of them leaves
 * to whoever loads the space next is not done as long as that one is at it.
 */
static void test_loaded_in_a_rest(void **state)
{
	unsigned long n;

	(void)state;
	world_create(1, false, 0, 0);
	loader = world_vcpu();
	alias();
	touch_ways(1500);
	for (n = 0; n < 512; n++)
		guest_write(4, n, 6 << 12 | 7);
	loader->may_rest = true;
	CHECK(flush_everything(loader) == LG_RUN);
	loader->may_rest = false;
	CHECK(w.cpu->root->stale);
	rests = 0;
	w.cpu->may_rest = true;
	shim_rest = loads_meanwhile;
	CHECK(load_root(w.cpu, 1 << 12 | LGUEST_CR3_NOFLUSH) == LG_RUN);
	shim_rest = NULL;
	CHECK(rests > 1 && loaded == LG_RETRY && loader->root != w.cpu->root);
	CHECK(load_root(loader, 1 << 12 | LGUEST_CR3_NOFLUSH) == LG_RUN);
	CHECK(loader->root == w.cpu->root);
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

static bool is_known(u64 frame)
{
	unsigned int n;

	for (n = 0; n < LG_ROOTS; n++)
		if (w.lg->roots[n] && w.lg->roots[n]->pfn == frame)
			return true;
	return false;
}

/*
 * What a vCPU that sleeps has in its table is not evicted, however old it is, nor gone
 * when another one drops it; and not kept for longer.
 */
static void test_known_to_a_sleeper(void **state)
{
	struct lg_cpu *sleeper;
	u64 frame;

	(void)state;
	world_create(1, false, 0, 0);
	sleeper = world_vcpu();
	w.cpu = sleeper;
	for (frame = 1; frame <= 9; frame++)
		load_cr3(frame, true);
	w.cpu = w.lg->cpus[0];
	for (frame = 20; frame < 300; frame++)
		load_cr3(frame, true);
	CHECK(!is_known(1) && is_known(2) && is_known(9) && !is_known(20));
	drop_space(w.cpu, 2 << 12);
	drop_space(w.cpu, 9 << 12);
	CHECK(is_known(2) && is_known(9) && sleeper->root->dropped);
	check_everything();
	w.cpu = sleeper;
	load_cr3(299, true);
	CHECK(is_known(299) && is_known(2) + is_known(9) == 1);
	load_cr3(298, true);
	CHECK(!is_known(2) && !is_known(9) && is_known(3));
	check_everything();
	world_destroy();
}

/* A vCPU that computes for long: whatever goes from now on waits for it. */
static void computes(struct lg_cpu *cpu)
{
	cpu->in_guest = 1;
	cpu->shrinks_seen = w.lg->shrinks;
}

/* A fill, with what it needs; how often @other had to come out for it. */
static unsigned int fill_past(struct lg_cpu *other)
{
	unsigned int n = 0;

	while (fills(0) == LG_RETRY) {
		if (w.cpu->need.page)
			world_fault_in(w.cpu->need.page, w.cpu->need.write);
		if (!w.cpu->need.quiet)
			continue;
		CHECK(other->in_guest >= 0 && other->shrinks_seen < w.cpu->need.quiet);
		other->in_guest = -1;
		n++;
	}
	return n;
}

/*
 * Spaces by the hundred, each with a page, while another vCPU computes.  Of each that is
 * evicted the root waits for its tables: what waits is bounded, too, and when it is too
 * much, that vCPU is interrupted.
 */
static void test_dead_roots_are_bounded(void **state)
{
	struct lg_cpu *other;
	long limit, most = 0;
	unsigned int n, came_out = 0;

	(void)state;
	world_create(1, false, 0, 0);
	other = world_vcpu();
	w.lg->max_tables = 1500;
	limit = 2 * (w.lg->max_tables + 3 + nr_roots(w.lg) + 1 + w.lg->nr_spares + 10);
	guest_write(2, 0, 3 << 12 | 7);
	guest_write(3, 0, 4 << 12 | 7);
	guest_write(4, 0, 5 << 12 | 7);
	w.cpu->user = true;
	for (n = 0; n < 1500; n++) {
		u64 frame = 100 + n % 200;

		if (other->in_guest < 0)
			computes(other);
		guest_write(frame, 0, 2 << 12 | 7);
		load_cr3(frame, false);
		came_out += fill_past(other);
		most = max(most, shim_secondary);
		CHECK(shim_secondary <= limit);
	}
	CHECK(came_out >= 2 && came_out < 20);
	CHECK(most > limit * 3 / 4);
	CHECK(w.lg->dead_roots > 100);
	other->in_guest = -1;
	shrink_shadow(w.lg, ULONG_MAX);
	CHECK(!w.lg->dead_roots && !w.lg->nr_tables);
	world_destroy();
}

/* The shared page moves: no view of the vCPU's keeps what it had, nor others' on their CPUs. */
static void test_own_pages_are_forgotten(void **state)
{
	struct lg_space *spaces;
	unsigned int i, vcpus;

	(void)state;
	for (vcpus = 1; vcpus <= 2; vcpus++) {
		world_create(1, false, 0, 0);
		if (vcpus == 2)
			world_vcpu();
		spaces = w.cpu->state->spaces;
		for (i = 0; i < LG_NR_SPACES; i++) {
			spaces[i].kernel |= CR3_KEEP;
			spaces[i].user |= CR3_KEEP;
		}
		world_flushes = 0;
		forget_own_pages(w.cpu);
		for (i = 0; i < LG_NR_SPACES; i++)
			assert_int_equal((spaces[i].kernel | spaces[i].user) & CR3_KEEP, 0);
		assert_int_equal(world_flushes, vcpus - 1);
		world_destroy();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_zap_large_page_with_pat),
		cmocka_unit_test(test_user_in_upper_half),
		cmocka_unit_test(test_tables_at_the_end_of_ram),
		cmocka_unit_test(test_changes_elsewhere),
		cmocka_unit_test(test_tables_are_bounded),
		cmocka_unit_test(test_many_go_in_pieces),
		cmocka_unit_test(test_long_looks_rest),
		cmocka_unit_test(test_loaded_in_a_rest),
		cmocka_unit_test(test_shrink),
		cmocka_unit_test(test_known_to_a_sleeper),
		cmocka_unit_test(test_dead_roots_are_bounded),
		cmocka_unit_test(test_own_pages_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
