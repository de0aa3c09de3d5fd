// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory: the shadow tables behave as a TLB would, and keep the two views
 * apart.  Read next: memory_launcher.c.
 */
#include <string.h>
#include "micro.h"
#include "memory.h"

#define VA_K 0xffffc00000000000UL	/* in the kernel half */

SNIPPET(m_read, "mov (%rdi), %rax\n");
SNIPPET(m_write, "mov %rsi, (%rdi)\n");
SNIPPET(m_fetch, "jmp *%rdi\n");

/* Access in guest user: the error code, or OK; rax is the value read. */
u64 value;

static u64 access_as(char *code, u64 va, u64 rsi, bool user)
{
	struct frame f = user ? user_at((void (*)(void))code) :
				kernel_at((void (*)(void))code);

	f.rdi = va;
	f.rsi = rsi;
	run(&f);
	value = f.rax;
	if (f.vector == 6)
		return OK;
	if (f.vector == 14) {
		EXPECT_EQ(SHARED->cr2, va);
		return f.error;
	}
	return f.vector << 16;
}

u64 user_reads(u64 va)
{
	return access_as(m_read, va, 0, true);
}

static u64 user_writes(u64 va, u64 what)
{
	return access_as(m_write, va, what, true);
}

volatile u64 *at(u64 va)
{
	return (void *)va;
}

static void flush_page(u64 va)
{
	HCALL(FLUSH_TLB, LGUEST_FLUSH_ONE, va);
}

static void flush_all(void)
{
	HCALL(FLUSH_TLB, LGUEST_FLUSH_ALL);
}

/* ---- Fill and flush ---- */

static void absent_to_present(void)
{
	u64 page = guest_page();

	*at((u64)AT(page)) = 42;
	for (u64 i = 0; i < 20; i++) {
		u64 va = VA + i * 0x201000;

		EXPECT_EQ(user_reads(va), PF_USER);
		map(MAIN_CR3, va, page, P_ | W_ | U_);
		EXPECT_EQ(user_reads(va), OK);
		EXPECT_EQ(value, 42);
	}
}

TEST("F2 F7 absent to present needs no flush")
{
	guest_passes(absent_to_present);
}

static void accessed_dirty(void)
{
	u64 page = guest_page();
	volatile u64 *l1;

	map(MAIN_CR3, VA, page, P_ | W_ | U_);
	l1 = entry_of(MAIN_CR3, VA, 1);
	EXPECT_EQ(*l1 & (A_ | D_), 0);
	(void)*at(VA);
	EXPECT_EQ(*l1 & (A_ | D_), A_);
	*at(VA) = 1;
	EXPECT_EQ(*l1 & (A_ | D_), A_ | D_);
	for (int level = 2; level <= 4; level++)
		EXPECT_EQ(*entry_of(MAIN_CR3, VA, level) & A_, A_);

	/* Cleared and flushed, they stay clear until touched. */
	*l1 &= ~(A_ | D_);
	flush_page(VA);
	EXPECT_EQ(*l1 & (A_ | D_), 0);
	(void)*at(VA);
	EXPECT_EQ(*l1 & (A_ | D_), A_);
	*l1 &= ~(A_ | D_);
	flush_page(VA);
	*at(VA) = 1;
	EXPECT_EQ(*l1 & (A_ | D_), A_ | D_);
	/* Only the dirty bit. */
	*l1 &= ~D_;
	flush_all();
	(void)*at(VA);
	EXPECT_EQ(*l1 & (A_ | D_), A_);
	*at(VA) = 1;
	EXPECT_EQ(*l1 & (A_ | D_), A_ | D_);
	/* The same for a table. */
	*entry_of(MAIN_CR3, VA, 2) &= ~A_;
	flush_all();
	(void)*at(VA);
	EXPECT_EQ(*entry_of(MAIN_CR3, VA, 2) & A_, A_);
}

TEST("F4 AT-47 accessed and dirty: set by use, clear until then")
{
	guest_passes(accessed_dirty);
}

static void faulting_sets_nothing(void)
{
	u64 page = guest_page();

	map(MAIN_CR3, VA, page, P_ | U_);
	EXPECT_EQ(user_writes(VA, 1), PF_PROT | PF_WRITE | PF_USER);
	EXPECT_EQ(*entry_of(MAIN_CR3, VA, 1) & D_, 0);
	map(MAIN_CR3, VA + PAGE, page, P_ | W_);
	EXPECT_EQ(user_reads(VA + PAGE), PF_PROT | PF_USER);
}

TEST("F4 an access that faults sets no dirty bit")
{
	guest_passes(faulting_sets_nothing);
}

static void flush_drops_changed(void)
{
	u64 a = guest_page(), b = guest_page();

	*at((u64)AT(a)) = 1;
	*at((u64)AT(b)) = 2;
	map(MAIN_CR3, VA, a, P_ | W_ | U_);
	EXPECT_EQ(*at(VA), 1);
	/* Without a flush: old or new. */
	map(MAIN_CR3, VA, b, P_ | W_ | U_);
	EXPECT(*at(VA) == 1 || *at(VA) == 2);
	flush_page(VA);
	EXPECT_EQ(*at(VA), 2);
	/* Less rights, by each kind of flush. */
	*at(VA) = 3;
	map(MAIN_CR3, VA, b, P_ | U_ | A_);
	flush_all();
	EXPECT_EQ(user_writes(VA, 1), PF_PROT | PF_WRITE | PF_USER);
	map(MAIN_CR3, VA, b, P_ | W_ | U_);
	EXPECT_EQ(user_writes(VA, 9), OK);
	map(MAIN_CR3, VA, b, 0);
	HCALL(FLUSH_TLB, LGUEST_FLUSH_USER);
	EXPECT_EQ(user_reads(VA), PF_USER);
	map(MAIN_CR3, VA, a, P_ | W_ | U_);
	EXPECT_EQ(user_reads(VA), OK);
	EXPECT_EQ(value, 1);
	map(MAIN_CR3, VA, 0, 0);
	HCALL(LOAD_CR3, MAIN_CR3);
	EXPECT_EQ(user_reads(VA), PF_USER);
	/* In the kernel half. */
	map(MAIN_CR3, VA_K, a, P_ | W_);
	EXPECT_EQ(*at(VA_K), 1);
	map(MAIN_CR3, VA_K, b, P_ | W_);
	flush_page(VA_K);
	EXPECT_EQ(*at(VA_K), 9);
	map(MAIN_CR3, VA_K, 0, 0);
	flush_all();
	EXPECT_EQ(access_as(m_read, VA_K, 0, false), 0);
}

TEST("F7 I9 each kind of flush drops what changed")
{
	guest_passes(flush_drops_changed);
}

#define MANY 200

static void unchanged_survive(void)
{
	for (u64 i = 0; i < MANY; i++)
		map(MAIN_CR3, VA + i * PAGE, AREA + i * PAGE, P_ | W_ | U_);
	for (u64 i = 0; i < MANY; i++)
		*at(VA + i * PAGE) = i;
	HCALL(NOTIFY, 1);
	for (int n = 0; n < 10; n++) {
		flush_all();
		HCALL(FLUSH_TLB, LGUEST_FLUSH_USER);
		HCALL(LOAD_CR3, MAIN_CR3);
		for (u64 i = 0; i < MANY; i++)
			EXPECT_EQ(*at(VA + i * PAGE), i);
	}
	HCALL(NOTIFY, 2);
}

TEST("F7 unchanged entries survive all flushes: no new fills")
{
	struct guest *g = make_guest(unchanged_survive);
	u64 before, faults;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	before = stat_of(g, "shadow_fills");
	faults = stat_of(g, "exit_vector_14");
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	if (stat_of(g, "shadow_fills") > before + 20 ||
	    stat_of(g, "exit_vector_14") > faults + 20)
		fail("%llu fills and %llu faults more",
		     (unsigned long long)(stat_of(g, "shadow_fills") - before),
		     (unsigned long long)(stat_of(g, "exit_vector_14") - faults));
	passes(g);
}

static void non_leaf(void)
{
	u64 a = guest_page(), b = guest_page(), t1 = guest_page();
	volatile u64 *l2;

	*at((u64)AT(a)) = 1;
	*at((u64)AT(b)) = 2;
	map(MAIN_CR3, VA, a, P_ | W_ | U_);
	map(MAIN_CR3, VA + PAGE, a, P_ | W_ | U_);
	EXPECT_EQ(user_reads(VA), OK);
	EXPECT_EQ(user_reads(VA + PAGE), OK);
	/* Another L1 table, one flush of one page in its range. */
	((volatile u64 *)AT(t1))[0] = b | P_ | W_ | U_;
	l2 = entry_of(MAIN_CR3, VA, 2);
	*l2 = t1 | P_ | W_ | U_;
	flush_page(VA);
	EXPECT_EQ(user_reads(VA), OK);
	EXPECT_EQ(value, 2);
	EXPECT_EQ(user_reads(VA + PAGE), PF_USER);
	/* Rights taken away at each level count for all below. */
	for (int level = 2; level <= 4; level++) {
		volatile u64 *e = entry_of(MAIN_CR3, VA, level);
		u64 old = *e;

		EXPECT_EQ(user_writes(VA, 2), OK);
		*e = old & ~W_;
		flush_page(VA);
		EXPECT_EQ(user_writes(VA, 2), PF_PROT | PF_WRITE | PF_USER);
		*e = old & ~U_;
		flush_page(VA);
		EXPECT_EQ(user_reads(VA), PF_PROT | PF_USER);
		*e = old | NX_;
		flush_page(VA);
		EXPECT_EQ(user_reads(VA), OK);
		EXPECT_EQ(access_as(m_fetch, VA, 0, true),
			  PF_PROT | PF_FETCH | PF_USER);
		*e = old & ~P_;
		flush_page(VA);
		EXPECT_EQ(user_reads(VA), PF_USER);
		*e = old;
		flush_page(VA);
	}
}

TEST("F7 a changed table drops its whole subtree; rights of each level count")
{
	guest_passes(non_leaf);
}

static void large_pages(void)
{
	volatile u64 *l2 = entry_of(MAIN_CR3, VA, 2);
	volatile u64 *l3 = entry_of(MAIN_CR3, VA + (1UL << 30), 3);

	for (u64 i = 0; i < 512; i++)
		*(u64 *)AT(AREA + i * PAGE) = i;
	*l2 = AREA | P_ | W_ | U_ | PS_;
	for (u64 i = 0; i < 512; i += 37) {
		EXPECT_EQ(user_reads(VA + i * PAGE), OK);
		EXPECT_EQ(value, i);
	}
	EXPECT_EQ(*l2 & (A_ | D_), A_);
	EXPECT_EQ(user_writes(VA + 5 * PAGE, 55), OK);
	EXPECT_EQ(*(u64 *)AT(AREA + 5 * PAGE), 55);
	EXPECT_EQ(*l2 & D_, D_);
	/* The large page becomes a table, and the other way round. */
	*l2 = 0;
	flush_page(VA);
	EXPECT_EQ(user_reads(VA), PF_USER);
	map(MAIN_CR3, VA, AREA + 7 * PAGE, P_ | W_ | U_);
	EXPECT_EQ(user_reads(VA), OK);
	EXPECT_EQ(value, 7);
	EXPECT_EQ(user_reads(VA + PAGE), PF_USER);
	*l2 = AREA | P_ | U_ | PS_;
	flush_page(VA);
	EXPECT_EQ(user_reads(VA + PAGE), OK);
	EXPECT_EQ(value, 1);
	EXPECT_EQ(user_writes(VA, 1), PF_PROT | PF_WRITE | PF_USER);
	/* 1 GiB: beyond this guest's RAM it is no page table entry at all. */
	(void)l3;
}

TEST("F2 2 MiB pages: contents, A/D, to a table and back")
{
	guest_passes(large_pages);
}

static u64 bad_entry;
static int bad_level;

static void uses_bad_entry(void)
{
	entry_of(MAIN_CR3, VA, 1);
	*entry_of(MAIN_CR3, VA, bad_level) = bad_entry;
	(void)*at(VA);
}

TEST("F3 AT-34 frames beyond RAM and devices end the guest")
{
	static const u64 frames[] = { GUEST_SIZE + DEVICE_SIZE, 1UL << 32,
		1UL << 43, (1UL << 31) << 12 & PTE_FRAME, 1UL << 30 };

	for (size_t i = 0; i < sizeof(frames) / 8; i++) {
		bad_entry = frames[i] | P_ | W_ | U_;
		for (bad_level = 1; bad_level <= 4; bad_level++) {
			struct guest *g = make_guest(uses_bad_entry);

			CHECK_EQ(go(g), 0);
			if (!strstr(g->reason, "bad page table entry") &&
			    !strstr(g->reason, "is not in memory") &&
			    !strstr(g->reason, "unexpected event"))
				fail("%s", g->reason);
			end_guest(g);
		}
	}
	/* Large pages: half in RAM. */
	bad_level = 3;
	bad_entry = PS_ | P_ | W_ | U_;
	guest_dies(uses_bad_entry, "bad page table entry");
}

TEST("F3 AT-26 large pages that begin in RAM and end beyond the devices")
{
	bad_level = 2;
	bad_entry = (GUEST_SIZE + DEVICE_SIZE) | PS_ | P_ | W_ | U_;
	guest_dies(uses_bad_entry, "bad page table entry");
}

static void reserved_bits(void)
{
	static const struct { int level; u64 bits; } cases[] = {
		{ 4, PS_ }, { 4, 1UL << 51 }, { 3, 1UL << 51 }, { 2, 1UL << 51 },
		{ 1, 1UL << 51 }, { 2, PS_ | 0x2000 }, { 2, PS_ | 0x100000 },
		{ 3, PS_ | 0x200000 }, { 3, PS_ | 0x2000 },
	};

	for (u64 i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		u64 va = VA + (i << 39);
		volatile u64 *e;

		map(MAIN_CR3, va, AREA, P_ | W_ | U_);
		e = entry_of(MAIN_CR3, va, cases[i].level);
		*e |= cases[i].bits;
		EXPECT_EQ(user_reads(va), PF_PROT | PF_RSVD | PF_USER);
		*e = 0;
	}
}

TEST("F3 AT-26 reserved bits at each level give the guest its fault")
{
	guest_passes(reserved_bits);
}

static void harmless_bits(void)
{
	/* G, PAT, PWT, PCD, software bits, protection key 0. */
	static const u64 bits[] = { 0x100, 0x80, 0x8, 0x10, 0x200, 0x400, 0x800,
		1UL << 52, 1UL << 58, 0xf98 };

	for (u64 i = 0; i < sizeof(bits) / 8; i++) {
		map(MAIN_CR3, VA + i * PAGE, AREA, P_ | W_ | U_ | bits[i]);
		EXPECT_EQ(user_writes(VA + i * PAGE, i), OK);
		EXPECT_EQ(*(u64 *)AT(AREA), i);
	}
}

TEST("F3 AT-31 bits that a stock kernel uses are legal")
{
	guest_passes(harmless_bits);
}

/* ---- Views ---- */

static void views(void)
{
	static const u64 host[] = { 0xffff800000000000, 0xffff800000001000,
		0xffff800000002000, 0xffff800000003000, 0xffff800000004000,
		0xfffffe0000000000, 0xfffffe0000001000, 0xfffffe0000003000,
		0xfffffe7fffffffff & ~0xfffUL };
	u64 page = guest_page();

	/* User: nothing of the kernel half. */
	EXPECT_EQ(user_reads(KERNEL_VA), PF_PROT | PF_USER);
	EXPECT_EQ(user_writes(KERNEL_VA, 1), PF_PROT | PF_WRITE | PF_USER);
	for (u64 slot = 256; slot < 512; slot++) {
		u64 va = 0xffff000000000000 | slot << 39;
		u64 err = user_reads(va);

		EXPECT(err == PF_USER || err == (PF_USER | PF_PROT));
		err = access_as(m_fetch, va, 0, true);
		EXPECT((err & ~PF_PROT) == (PF_USER | PF_FETCH));
	}
	for (u64 i = 0; i < sizeof(host) / 8; i++)
		for (int user = 0; user < 2; user++) {
			u64 u = user ? PF_USER : 0;

			/* Even if the guest maps something there (J10). */
			map(MAIN_CR3, host[i], page, P_ | W_ | U_);
			EXPECT_EQ(access_as(m_read, host[i], 0, user), u);
			EXPECT_EQ(access_as(m_write, host[i], 0, user), u | PF_WRITE);
			EXPECT_EQ(access_as(m_fetch, host[i], 0, user), u | PF_FETCH);
		}
}

TEST("AT-39 AT-40 A4 J10 slots 256 and 508, and the kernel half from user")
{
	guest_passes(views);
}

static void user_page_in_kernel_half(void)
{
	/* All entries of the path say user; but there is no such view. */
	map(MAIN_CR3, VA_K, guest_page(), P_ | W_ | U_);
	for (int level = 2; level <= 4; level++)
		EXPECT(*entry_of(MAIN_CR3, VA_K, level) & U_);
	*at(VA_K) = 1;			/* the kernel may */
	EXPECT(user_reads(VA_K) & PF_USER);
}

TEST("AT-40 user access to a user page in the kernel half is a fault, no loop")
{
	guest_passes(user_page_in_kernel_half);
}

/*
 * With 48 bits these addresses are not canonical.  A 5-level host must not make
 * them aliases: Linux from 6.4 on takes any positive address for the user's,
 * and counts on the fault.
 */
#define LOW_OF_KERNEL (KERNEL_VA & 0xffffffffffff)
#define HIGH_OF_USER ((USER_VA + AREA) | 0xffff000000000000)

static void user_alias(void)
{
	*at(USER_VA + AREA) = 1;
	*at(KERNEL_VA) = 1;
	EXPECT_EQ(user_reads(USER_VA + AREA), OK);
	EXPECT_EQ(user_reads(LOW_OF_KERNEL), 13 << 16);
	EXPECT_EQ(user_reads(HIGH_OF_USER), 13 << 16);
}

TEST("AT-40 guest user has no aliases at addresses that 48 bits do not have")
{
	guest_passes(user_alias);
}

static void kernel_alias(void)
{
	*at(USER_VA + AREA) = 1;
	*at(KERNEL_VA) = 1;
	EXPECT_EQ(access_as(m_read, LOW_OF_KERNEL, 0, false), 13 << 16);
	EXPECT_EQ(access_as(m_write, LOW_OF_KERNEL, 0, false), 13 << 16);
	EXPECT_EQ(access_as(m_read, HIGH_OF_USER, 0, false), 13 << 16);
}

TEST("AT-40 guest kernel has no aliases at addresses that 48 bits do not have")
{
	struct guest *g = make_guest(kernel_alias);

	CHECK_EQ(go_reflecting(g), 0);
	if (!strstr(g->reason, "POWEROFF: ok"))
		fail("%s", g->reason);
}

static void supervisor_below(void)
{
	u64 page = guest_page();

	*at((u64)AT(page)) = 77;
	map(MAIN_CR3, VA, page, P_ | W_);
	map(MAIN_CR3, VA + PAGE, page, P_ | W_ | U_);
	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(*at(VA), 77);
		EXPECT_EQ(user_reads(VA), PF_PROT | PF_USER);
		EXPECT_EQ(*at(VA), 77);
		EXPECT_EQ(user_reads(VA + PAGE), OK);
		EXPECT_EQ(access_as(m_write, VA, 77, false), OK);
		EXPECT_EQ(user_writes(VA, 1), PF_PROT | PF_WRITE | PF_USER);
		EXPECT_EQ(access_as(m_fetch, VA + PAGE, 0, false),
			  PF_PROT | PF_FETCH);	/* SMEP */
	}
}

TEST("AT-40 supervisor pages in the lower half are never the user's")
{
	guest_passes(supervisor_below);
}

/* ---- Address spaces ---- */

#define SPACES 150

static void many_spaces(void)
{
	for (u64 i = 0; i < SPACES; i++) {
		u64 cr3 = new_space(), page = guest_page();

		*at((u64)AT(page)) = i;
		*(u64 *)AT(0x50000 + 8 * i) = cr3;
		map(cr3, VA, page, P_ | W_ | U_);
	}
	for (u64 n = 0; n < 4; n++)
		for (u64 i = 0; i < SPACES; i++) {
			u64 k = n & 1 ? i * 77 % SPACES : i;
			u64 cr3 = *(u64 *)AT(0x50000 + 8 * k);

			HCALL(LOAD_CR3, cr3 | (n & 2 ? LGUEST_CR3_NOFLUSH : 0));
			EXPECT_EQ(user_reads(VA), OK);
			EXPECT_EQ(value, k);
			if (n == 1 && k % 3 == 0) {
				HCALL(LOAD_CR3, MAIN_CR3);
				HCALL(DROP_SPACE, cr3);
			}
		}
}

TEST("F5 more address spaces than the Host keeps")
{
	guest_passes(many_spaces);
}

static void noflush(void)
{
	u64 other = new_space();

	for (u64 i = 0; i < MANY; i++)
		map(MAIN_CR3, VA + i * PAGE, AREA + i * PAGE, P_ | W_ | U_ | A_ | D_);
	for (u64 i = 0; i < MANY; i++)
		*at(VA + i * PAGE) = i;
	HCALL(LOAD_CR3, other);
	HCALL(LOAD_CR3, MAIN_CR3);
	HCALL(NOTIFY, 1);
	for (int n = 0; n < 100; n++) {
		HCALL(LOAD_CR3, other | LGUEST_CR3_NOFLUSH);
		HCALL(LOAD_CR3, MAIN_CR3 | LGUEST_CR3_NOFLUSH);
		EXPECT_EQ(*at(VA + (u64)n * PAGE), (u64)n);
	}
	HCALL(NOTIFY, 1);
	/* Changes in a space that is not loaded: with flush they show. */
	HCALL(LOAD_CR3, other | LGUEST_CR3_NOFLUSH);
	map(MAIN_CR3, VA, AREA + 3 * PAGE, P_ | W_ | U_);
	HCALL(LOAD_CR3, MAIN_CR3);
	EXPECT_EQ(*at(VA), 3);
	/* And after a flush of everything even with no-flush. */
	HCALL(LOAD_CR3, other | LGUEST_CR3_NOFLUSH);
	map(MAIN_CR3, VA, AREA + 4 * PAGE, P_ | W_ | U_);
	flush_all();
	HCALL(LOAD_CR3, MAIN_CR3 | LGUEST_CR3_NOFLUSH);
	EXPECT_EQ(*at(VA), 4);
}

TEST("I9 F5 LOAD_CR3 with no-flush keeps the shadow entries")
{
	struct guest *g = make_guest(noflush);
	u64 before;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	before = stat_of(g, "shadow_fills");
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK(stat_of(g, "shadow_fills") <= before + 8);
	passes(g);
}

/* Processes come and go, and their tables lie in the same frames. */
static void first_loads(void)
{
	u64 cr3 = new_space(), page[2] = { guest_page(), guest_page() };

	*at((u64)AT(page[0])) = 0;
	*at((u64)AT(page[1])) = 1;
	HCALL(LOAD_CR3, MAIN_CR3);
	for (u64 n = 0; n < 100; n++) {
		map(cr3, VA, page[n % 2], P_ | W_ | U_);
		HCALL(NEW_SPACE, cr3);
		HCALL(LOAD_CR3, cr3 | LGUEST_CR3_NOFLUSH);
		EXPECT_EQ(*at(VA), n % 2);
		HCALL(LOAD_CR3, MAIN_CR3 | LGUEST_CR3_NOFLUSH);
		if (n % 3)
			HCALL(DROP_SPACE, cr3);
	}
}

TEST("F5 I9 NEW_SPACE: the first load is direct, and finds nothing of old")
{
	struct guest *g = make_guest(first_loads);
	u64 before = stat_of(g, "hypercall_LOAD_CR3");

	passes(g);
	CHECK(stat_of(g, "hypercall_LOAD_CR3") <= before + 3);
	CHECK_EQ(stat_of(g, "direct_cr3_loads"), 200);
}

/* What mprotect does, to and fro, with a use after each. */
static void changed_rights(void)
{
	u64 page = guest_page();

	map(MAIN_CR3, VA, page, P_ | W_ | U_);
	*at(VA) = 7;
	HCALL(NOTIFY, 1);
	for (u64 n = 0; n < 100; n++) {
		map(MAIN_CR3, VA, page, P_ | U_ | A_ | D_);
		flush_page(VA);
		EXPECT_EQ(*at(VA), n ? n - 1 : 7);
		map(MAIN_CR3, VA, page, P_ | W_ | U_ | A_ | D_);
		flush_page(VA);
		*at(VA) = n;
	}
	HCALL(NOTIFY, 1);
	/* Rights that are not there are not given. */
	map(MAIN_CR3, VA, page, P_ | U_ | A_ | D_);
	flush_page(VA);
	EXPECT_EQ(user_writes(VA, 1), PF_PROT | PF_WRITE | PF_USER);
	map(MAIN_CR3, VA, page, P_ | W_ | A_ | D_);
	flush_page(VA);
	EXPECT_EQ(user_reads(VA), PF_PROT | PF_USER);
	map(MAIN_CR3, VA, page, P_ | W_ | U_);
	flush_page(VA);
	EXPECT_EQ(*entry_of(MAIN_CR3, VA, 1) & (A_ | D_), 0);
	*at(VA) = 1;
	EXPECT_EQ(*entry_of(MAIN_CR3, VA, 1) & (A_ | D_), A_ | D_);
}

TEST("F7 a page whose rights change needs no fault after its flush")
{
	struct guest *g = make_guest(changed_rights);
	u64 before;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	before = stat_of(g, "exit_vector_14");
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(stat_of(g, "exit_vector_14"), before);
	passes(g);
}

static void kernel_half_shared(void)
{
	u64 other = new_space(), page = guest_page();

	map(MAIN_CR3, VA_K, page, P_ | W_);	/* same lower tables ... */
	*entry_of(other, VA_K, 4) = *entry_of(MAIN_CR3, VA_K, 4);
	*at(VA_K) = 5;
	HCALL(LOAD_CR3, other);
	EXPECT_EQ(*at(VA_K), 5);
	map(other, VA_K, AREA, P_ | W_);
	*(u64 *)AT(AREA) = 6;
	flush_page(VA_K);
	EXPECT_EQ(*at(VA_K), 6);
	HCALL(LOAD_CR3, MAIN_CR3 | LGUEST_CR3_NOFLUSH);
	EXPECT_EQ(*at(VA_K), 6);
}

TEST("F6 the kernel half is one for all spaces, its flushes too")
{
	guest_passes(kernel_half_shared);
}

/* ---- Strange graphs ---- */

static void recursive(void)
{
	volatile u64 *l4 = AT(MAIN_CR3);
	u64 slot = 300, base = 0xffff000000000000 | slot << 39;
	u64 self = base | slot << 30 | slot << 21 | slot << 12;
	u64 page = guest_page();

	l4[slot] = MAIN_CR3 | P_ | W_;
	/* The top level, read and written through itself. */
	EXPECT_EQ(at(self)[slot] & ~(A_ | D_), MAIN_CR3 | P_ | W_);
	map(MAIN_CR3, VA, page, P_ | W_ | U_);
	EXPECT_EQ(user_reads(VA), OK);
	at(self)[VA >> 39] = 0;
	flush_all();
	EXPECT_EQ(user_reads(VA), PF_USER);
	/* In the lower half, for the user: it may then change its own tables. */
	l4[10] = MAIN_CR3 | P_ | W_ | U_;
	self = 10UL << 39 | 10UL << 30 | 10UL << 21 | 10UL << 12;
	EXPECT_EQ(user_reads(self + 8 * slot), OK);
	EXPECT_EQ(value & ~(A_ | D_), MAIN_CR3 | P_ | W_);
	EXPECT_EQ(user_writes(self + 8 * 11, AREA | P_), OK);
	EXPECT_EQ(l4[11], AREA | P_);
	/* Walks through it of every depth. */
	EXPECT_EQ(user_reads(10UL << 39 | 10UL << 30 | 10UL << 21), OK);
	EXPECT(user_reads(10UL << 39 | 10UL << 30) != 1);
}

TEST("AT-27 tables that contain themselves")
{
	guest_passes(recursive);
}

static void shared_l1(void)
{
	u64 l1 = guest_page(), page = guest_page();
	volatile u64 *a, *b, *c;

	((volatile u64 *)AT(l1))[0] = page | P_ | W_ | U_;
	a = entry_of(MAIN_CR3, VA, 2);
	b = entry_of(MAIN_CR3, VA + (2UL << 20), 2);
	c = entry_of(MAIN_CR3, VA + (4UL << 20), 2);
	*a = l1 | P_ | W_ | U_;
	*b = l1 | P_ | U_;
	*c = l1 | P_ | W_ | U_ | NX_;
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(user_writes(VA, 0x0b0f), OK);
		EXPECT_EQ(user_writes(VA + (2UL << 20), 1),
			  PF_PROT | PF_WRITE | PF_USER);
		EXPECT_EQ(user_reads(VA + (2UL << 20)), OK);
		EXPECT_EQ(value, 0x0b0f);
		EXPECT_EQ(access_as(m_fetch, VA, 0, true), OK);
		EXPECT_EQ(access_as(m_fetch, VA + (4UL << 20), 0, true),
			  PF_PROT | PF_FETCH | PF_USER);
	}
	/* The same frame as a table and as a page. */
	map(MAIN_CR3, VA + (6UL << 20), l1, P_ | W_ | U_);
	EXPECT_EQ(user_writes(VA + (6UL << 20), 0), OK);	/* removes it */
	flush_all();
	EXPECT_EQ(user_reads(VA), PF_USER);
	EXPECT_EQ(user_reads(VA + (2UL << 20)), PF_USER);
}

TEST("AT-32 one L1 under L2 entries of different rights, and as a page")
{
	guest_passes(shared_l1);
}

static void change_unlinked(void)
{
	u64 l1 = guest_page(), a = guest_page(), b = guest_page();
	volatile u64 *l2 = entry_of(MAIN_CR3, VA, 2), *table = AT(l1);

	*at((u64)AT(a)) = 1;
	*at((u64)AT(b)) = 2;
	table[0] = a | P_ | W_ | U_;
	*l2 = l1 | P_ | W_ | U_;
	EXPECT_EQ(user_reads(VA), OK);
	*l2 = 0;
	flush_page(VA);
	table[0] = b | P_ | W_ | U_;
	*l2 = l1 | P_ | W_ | U_;
	EXPECT_EQ(user_reads(VA), OK);
	EXPECT_EQ(value, 2);
}

TEST("AT-33 a table changed while it was not linked")
{
	guest_passes(change_unlinked);
}

static u64 seed;

static void random_graphs(void)
{
	u64 s = seed;

	/* Tables full of junk: frames of RAM, with any bits; then touch. */
	for (u64 round = 0; round < 30; round++) {
		volatile u64 *l4 = AT(MAIN_CR3);

		for (u64 t = 0; t < 8; t++)
			for (u64 i = 0; i < 512; i++) {
				s = s * 6364136223846793005 + 1442695040888963407;
				((volatile u64 *)AT(AREA + t * PAGE))[i] =
					(AREA + (s >> 40 & 15) * PAGE) |
					(s >> 20 & 0x7f) | (s >> 30 & 1) << 63 |
					(s & 0x3f0000 ? 0 : PS_);
			}
		for (u64 i = 20; i < 28; i++)
			l4[i] = (AREA + (i - 20) * PAGE) | P_ | U_ | (i & 1 ? W_ : 0);
		flush_all();
		for (u64 i = 0; i < 60; i++) {
			s = s * 6364136223846793005 + 1442695040888963407;
			access_as(i & 1 ? m_read : m_fetch,
				  (20UL << 39) + (s >> 22 & 0x3ffffff8000),
				  0, s >> 8 & 1);
		}
	}
}

TEST("AT-26 AT-32 random tables, linked at random: the host is unharmed")
{
	for (int i = 0; i < 8; i++) {
		struct guest *g;
		int kind;

		seed = 1 + i * 7919;
		g = make_guest(random_graphs);
		kind = go(g);
		CHECK(kind == 0 || kind == LGUEST_EXIT_TRAP ||
		      kind == LGUEST_EXIT_MMIO);
		end_guest(g);
	}
}
