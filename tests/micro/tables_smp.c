// SPDX-License-Identifier: GPL-2.0
/*
 * Several vCPUs in one address space, whose tables one of them changes: what the others
 * read after the flush is what it wrote, pages may be of one size and then of another, a
 * page of the kernel's is no user's for a moment, and an address space that one drops or
 * that is evicted ends no other's.
 * Read next: hypercalls.c.
 */
#include <sys/mman.h>
#include "micro.h"
#include "memory.h"

#define NR_FRAMES	8
#define ALL		((1 << LGUEST_VCPUS) - 1)
#define FIRST		LGUEST_IPI_VECTOR
#define NOFLUSH		LGUEST_CR3_NOFLUSH
#define OURS		(P_ | W_ | U_)

static u64 frames[NR_FRAMES], space, spaces[100];
static volatile u64 flushed;			/* rounds whose flush is over */
static volatile u64 reads[LGUEST_VCPUS], acks, rounds;

SNIPPET(t_read, "mov (%rdi), %rax\n");

static void kick_all(unsigned int nr)
{
	for (unsigned int n = 1; n < nr; n++)
		HCALL(KICK, n);
}

/* All of them have read so often since. */
static void wait_for_reads(unsigned int nr, u64 more)
{
	for (unsigned int n = 1; n < nr; n++)
		for (u64 until = reads[n] + more; reads[n] < until; )
			asm volatile("pause");
}

/* Never what was there before a flush that is over. */
static void reads_forever(void)
{
	enable_interrupts();
	for (;;) {
		u64 least = flushed;

		EXPECT(*at(VA) >= least);
		reads[own()->vcpu]++;
	}
}

static void flush_for_all(u64 end)
{
	HCALL(FLUSH_MULTI, ALL, MAIN_CR3, VA, end);
}

/* In each round it is another page, and says which round. */
static void next_page(u64 round)
{
	u64 frame = frames[round % NR_FRAMES];

	*(volatile u64 *)AT(frame) = round;
	*entry_of(MAIN_CR3, VA, 1) = frame | OURS;
}

static void make_frames(void)
{
	for (int i = 0; i < NR_FRAMES; i++)
		frames[i] = guest_page();
	next_page(0);
}

static void shoots_by_call(void)
{
	make_frames();
	kick_all(2);
	for (u64 round = 1; round <= rounds; round++) {
		wait_for_reads(2, round % 3);
		next_page(round);
		flush_for_all(round % 4 ? VA + PAGE : ~0UL);
		flushed = round;
		EXPECT_EQ(*at(VA), round);
	}
	guest_done();
}

TEST_S(120, "L1 F7 AT-86 after FLUSH_MULTI no vCPU reads by an old entry")
{
	rounds = 200;
	guest_with_passes(2, shoots_by_call, reads_forever);
}

static void flushes_and_acks(struct frame *f)
{
	EXPECT_EQ(f->vector, FIRST);
	HCALL(FLUSH_TLB, LGUEST_FLUSH_ONE, VA);
	__atomic_add_fetch(&acks, 1, __ATOMIC_SEQ_CST);
}

static void shoots_by_ipi(void)
{
	make_frames();
	on_event = flushes_and_acks;
	kick_all(3);
	wait_for_reads(3, 1);
	for (u64 round = 1; round <= rounds; round++) {
		acks = 0;
		next_page(round);
		HCALL(SEND_IPI, 6, FIRST);
		HCALL(FLUSH_TLB, LGUEST_FLUSH_ONE, VA);
		while (acks < 2)
			asm volatile("pause");
		flushed = round;
		EXPECT_EQ(*at(VA), round);
		wait_for_reads(3, 1);
	}
	guest_done();
}

TEST_S(120, "L1 F7 AT-86 nor after a flush by each, as IPIs ask for it")
{
	rounds = 60;
	guest_with_passes(3, shoots_by_ipi, reads_forever);
}

/* ---- another size */

static void other_size(u64 round, u64 table)
{
	volatile u64 *two_mib = entry_of(MAIN_CR3, VA, 2);

	if (round % 2) {
		*(volatile u64 *)AT(AREA) = round;
		*two_mib = AREA | OURS | A_ | D_ | PS_;
	} else {
		*(volatile u64 *)AT(frames[0]) = round;
		*two_mib = table | OURS;
	}
}

static void changes_sizes(void)
{
	u64 table;

	make_frames();
	*(volatile u64 *)AT(frames[0]) = 0;
	table = *entry_of(MAIN_CR3, VA, 2) & PTE_FRAME;
	kick_all(3);
	for (u64 round = 1; round <= rounds; round++) {
		wait_for_reads(3, round % 3);
		other_size(round, table);
		/* To be used before the flush is allowed, and has to be sound. */
		if (round % 8 < 4)
			(void)*at(VA);
		flush_for_all(VA + PAGE);
		flushed = round;
		EXPECT_EQ(*at(VA), round);
	}
	guest_done();
}

TEST_S(120, "L1 AT-86 2 MiB and 4 KiB by turns, while others read")
{
	struct guest *g = make_guest_with(3, changes_sizes, reads_forever);

	IN_GUEST(g, rounds) = 100;
	madvise(g->mem + AREA, 2UL << 20, MADV_HUGEPAGE);
	g->mem[AREA] = 1;
	passes(g);
	join_siblings(g);
	end_guest(g);
}

/* ---- whose page it is */

#define SECRET 0x5ec4e7
#define PUBLIC 77

static void reads_as_user(void)
{
	for (;;) {
		struct frame f = user_at((void (*)(void))t_read);

		f.rdi = VA;
		run(&f);
		EXPECT(f.vector == 6 || f.vector == 14);
		EXPECT(f.vector == 14 || f.rax == PUBLIC);
		reads[own()->vcpu]++;
	}
}

static void set_page(u64 entry)
{
	*entry_of(MAIN_CR3, VA, 1) = entry;
	flush_for_all(VA + PAGE);
}

static void keeps_a_secret(void)
{
	make_frames();
	*(volatile u64 *)AT(frames[0]) = PUBLIC;
	*(volatile u64 *)AT(frames[1]) = SECRET;
	kick_all(2);
	for (u64 round = 0; round < rounds; round++) {
		set_page(frames[0] | OURS);
		EXPECT_EQ(*at(VA), PUBLIC);
		wait_for_reads(2, 2);
		set_page(0);
		*entry_of(MAIN_CR3, VA, 1) = frames[1] | P_ | W_;
		EXPECT_EQ(*at(VA), SECRET);
		wait_for_reads(2, round % 3);
		set_page(0);
	}
	guest_done();
}

TEST_S(120, "L1 F12 AT-86 what the kernel maps for itself, no other vCPU's user reads")
{
	rounds = 100;
	guest_with_passes(2, keeps_a_secret, reads_as_user);
}

/* ---- whose address space it is */

static void loads_it_forever(void)
{
	for (;;) {
		HCALL(LOAD_CR3, space | NOFLUSH);
		EXPECT_EQ(*at(VA), PUBLIC);
		HCALL(LOAD_CR3, MAIN_CR3 | NOFLUSH);
		reads[own()->vcpu]++;
	}
}

static void drops_and_evicts(void)
{
	make_frames();
	*(volatile u64 *)AT(frames[0]) = PUBLIC;
	space = new_space();
	map(space, VA, frames[0], OURS);
	for (int i = 0; i < 100; i++)
		spaces[i] = new_space();
	kick_all(3);
	wait_for_reads(3, 1);
	for (u64 round = 0; round < rounds; round++) {
		wait_for_reads(3, round % 3);
		HCALL(DROP_SPACE, space);
		for (int i = 0; i < 7; i++)
			HCALL(LOAD_CR3, spaces[(7 * round + i) % 100]);
		if (round % 2) {
			HCALL(NEW_SPACE, space);
			HCALL(LOAD_CR3, space | NOFLUSH);
			EXPECT_EQ(*at(VA), PUBLIC);
		}
		HCALL(LOAD_CR3, MAIN_CR3 | NOFLUSH);
	}
	guest_done();
}

TEST_S(120, "L1 AT-85 a space that others load directly is dropped, announced, evicted")
{
	rounds = 100;
	guest_with_passes(3, drops_and_evicts, loads_it_forever);
}
