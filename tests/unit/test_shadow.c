// SOURCES: tests/unit/shadow_ops.c tests/unit/shadow_guest.c tests/unit/shadow_world.c tests/unit/shadow_model.c tests/unit/shadow_tlb.c tests/unit/shadow_vcpus.c tests/unit/shim/shim.c host/shadow_tables.c host/shadow_memory.c host/notifier.c host/page_walk.c host/page_tables.c host/page_sync.c host/direct.c host/tlb.c
// CFLAGS: -Itests/unit/shim -O2 -Wno-unused-parameter -DTABLES_AT_ONCE=6 -DSHIM_MOMENTS
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
 * And with several vCPUs (AT-85, AT-86):
 *  - an address space evicted, or freed when it is dropped, though another vCPU has it
 *    in its table; a pin not counted, or not taken back; another's table written
 *  - a page that users must not see, below upper entries that another vCPU's user view
 *    has cached; a page of another size than another vCPU's TLB has for the address
 *  - the stamp of a table taken before its count; a chase that does not wait
 * One more made no difference, and cannot: a narrowed leaf whose guest entry is not
 * noted (it is narrowed again).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include "shadow_world.h"
#include <cmocka.h>

struct setting {
	bool five_levels;
	u64 sme_mask, misalign;
	unsigned int spaces;
	unsigned long max_tables;
	bool no_pcids;
	unsigned long linear;	/* operations before the first CR3 load */
	unsigned int vcpus;	/* 0 is 1 */
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
	u64 end = operations() / (s->vcpus ? 4 : 1);
	double begin = now();

	memset(outcomes, 0, sizeof(outcomes));
	renewed = 0;
	world_create(seed(), s->five_levels, s->sme_mask, s->misalign);
	vcpus_create(s->vcpus);
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
		if (s->vcpus) {
			vcpus_operation();
		} else {
			one_operation();
			if (rnd() % 4 == 0)
				tlb_run(an_address);
		}
		if (rnd() % 32 == 0)
			check_everything();
	}
	world_end_long();
	vcpus_destroy();
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

/* Two vCPUs, with more address spaces than their Switchers know. */
static void test_two_vcpus(void **state)
{
	(void)state;
	run(&(struct setting) { .spaces = 10, .linear = 10, .vcpus = 2 });
}

/* ... and than there are roots; all on a host with five levels. */
static void test_three_vcpus(void **state)
{
	(void)state;
	run(&(struct setting) { .five_levels = true, .spaces = TABLES, .vcpus = 3 });
}

static void test_vcpus_without_pcids(void **state)
{
	(void)state;
	run(&(struct setting) { .spaces = 3, .vcpus = 4, .no_pcids = true });
}

static void test_vcpus_with_few_tables(void **state)
{
	(void)state;
	run(&(struct setting) { .spaces = 4, .vcpus = 4, .max_tables = 20 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_spaces),
		cmocka_unit_test(test_five_levels),
		cmocka_unit_test(test_memory_encryption),
		cmocka_unit_test(test_many_spaces),
		cmocka_unit_test(test_few_tables),
		cmocka_unit_test(test_unaligned),
		cmocka_unit_test(test_two_vcpus),
		cmocka_unit_test(test_three_vcpus),
		cmocka_unit_test(test_vcpus_without_pcids),
		cmocka_unit_test(test_vcpus_with_few_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
