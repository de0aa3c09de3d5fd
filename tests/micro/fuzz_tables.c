// SPDX-License-Identifier: GPL-2.0
/*
 * Random page tables, against a reference walker, and rights.  Read next: fuzz_device.c.
 */
#include "micro.h"
#include "fuzz.h"

/* ---- AT-26, AT-27, AT-32: page tables ---- */

#define TABLES 10		/* spare tables; the first two are top levels */

static u64 tables[TABLES];

/* Entries of a top level that a guest can do without. */
static const u16 tops[] = { 1, 2, 255, 257, 300 };
#define NR_TOPS (sizeof(tops) / sizeof(*tops))

static u64 some_index(int level)
{
	if (level == 4)
		return tops[below(NR_TOPS)];
	return below(16) ? below(3) : 509 + below(3);
}

static u64 some_flags(void)
{
	u64 flags = P_ | W_ | U_ | A_;

	if (!below(3))
		flags ^= 1UL << below(8) & ~PS_;
	if (!below(6))
		flags |= NX_;
	if (!below(10))
		flags |= 1UL << (8 + below(4));
	if (!below(60))
		flags |= 1UL << 51;
	return flags;
}

static u64 some_entry(void)
{
	u64 r = below(200);

	if (r < 100)		/* a table, as a table or as a page */
		return tables[below(TABLES)] | some_flags();
	if (r < 160)
		return (DATA + below(16) * PAGE) | some_flags();
	if (r < 172)
		return (DATA + below(2) * (2UL << 20)) | some_flags() | PS_;
	if (r < 176)		/* badly aligned, or of the wrong level */
		return (DATA + below(512) * PAGE) | some_flags() | PS_;
	if (r < 184 && !below(4))	/* our memory, to look at; fatal as 1 GiB */
		return PS_ | (some_flags() & ~W_);
	if (r < 186 && !below(4))	/* devices; fatal as tables */
		return (GUEST_SIZE + below(4) * PAGE) | some_flags();
	if (r == 186 && !below(4))
		return any();	/* mostly out of range */
	return 0;
}

enum { DEVICE = 2000, UNKNOWN };

/* What a CPU would say to it: an error code, OK with the address, DEVICE. */
#define OK 1000
static u64 found_at;

static u64 reference(u64 cr3, u64 va, bool write, bool user)
{
	u64 rights = W_ | U_, base = cr3, who = user ? PF_USER : 0;
	u64 op = write ? PF_WRITE : 0;

	for (int level = 4; level; level--) {
		u64 size = 1UL << (12 + 9 * (level - 1));
		u64 e;

		if (base >= GUEST_SIZE)
			return UNKNOWN;		/* the guest is about to die */
		e = ((volatile u64 *)AT(base))[va / size & 511];
		if (!(e & P_))
			return op | who;
		if (e & 1UL << 51 || (level == 4 && e & PS_))
			return op | who | PF_PROT | PF_RSVD;
		if (level > 1 && e & PS_ && e & PTE_FRAME & (size - 1) & ~0x1000UL)
			return op | who | PF_PROT | PF_RSVD;
		rights &= e;
		base = e & PTE_FRAME;
		if (level > 1 && !(e & PS_))
			continue;
		found_at = (base & ~(size - 1)) + (va & (size - 1));
		break;
	}
	if (found_at >= GUEST_SIZE + DEVICE_SIZE)
		return UNKNOWN;
	if ((user && (!(rights & U_) || va >> 63)) || (write && !(rights & W_)))
		return op | who | PF_PROT;
	return found_at < GUEST_SIZE ? OK : DEVICE;
}

SNIPPET(t_read, "mov (%rdi), %rax\n");
SNIPPET(t_write, "mov %rsi, (%rdi)\n");

static u64 touch(u64 va, u64 value, bool write, bool user, u64 *got)
{
	char *code = write ? t_write : t_read;
	struct frame f = user ? user_at((void (*)(void))code) :
				kernel_at((void (*)(void))code);

	f.rdi = va;
	f.rsi = value;
	run(&f);
	*got = f.rax;
	if (f.vector == 6)
		return OK;
	if (f.vector == 14) {
		EXPECT_EQ(SHARED->cr2, va);
		return f.error;
	}
	EXPECT_EQ(f.vector, 13);
	return DEVICE;
}

/*
 * Does the guest itself need what is there: its code, stacks, and the tables that
 * map them?  A user may come to all of it, by an entry that leads to a top level
 * and then by that one's slot 0.
 */
static bool is_own(u64 gpa)
{
	int i = 0;

	while (i < TABLES && gpa / PAGE != tables[i] / PAGE)
		i++;
	if (i == TABLES)
		return gpa < DATA;
	for (u64 n = 0; n < NR_TOPS; n++)
		if (i > 1 || gpa / 8 % 512 == tops[n])
			return false;
	return true;
}

void random_tables(void)
{
	u64 cr3;
	const u64 AD = A_ | D_;

	on_event = take;
	for (int i = 0; i < TABLES; i++)
		tables[i] = i < 2 ? new_space() : guest_page();
	EXPECT(guest_page() < DATA);
	cr3 = tables[0];
	HCALL(LOAD_CR3, cr3);
	for (;; cases++) {
		u64 va = 0, old, got, want, value, result;
		bool write = below(2), user = below(2), check = below(2), own;

		for (u64 i = below(4); i; i--) {
			u64 t = below(TABLES);
			u64 index = t < 2 ? some_index(4) : some_index(1);

			((volatile u64 *)AT(tables[t]))[index] = some_entry();
		}
		for (int level = 4; level; level--)
			va |= some_index(level) << (12 + 9 * (level - 1));
		va |= below(512) * 8;
		va = (long)(va << 16) >> 16;
		if (!below(8)) {
			cr3 = tables[below(2)];
			HCALL(LOAD_CR3, cr3 | (any() & LGUEST_CR3_NOFLUSH));
		}
		if (!below(16))
			HCALL(DROP_SPACE, tables[below(2)]);
		if (!below(16))
			HCALL(NEW_SPACE, tables[below(2)]);
		if (check)
			HCALL(FLUSH_TLB, LGUEST_FLUSH_ALL);
		else if (below(2))
			HCALL(FLUSH_TLB, below(3), va);
		want = reference(cr3, va, write, user);
		old = want == OK ? *(volatile u64 *)AT(found_at) : 0;
		/* Never a present entry, should it land in a table. */
		value = cases << 13;
		own = want == OK && is_own(found_at);
		if (own || (!check && want == OK && found_at < DATA))
			write = false;
		if (!check && write)
			continue;	/* by an old entry, into who knows what */
		result = touch(va, value, write, user, &got);
		if (!check || want == UNKNOWN)
			continue;
		EXPECT_EQ(result, want);
		if (want != OK || own)
			continue;
		if (write)
			EXPECT_EQ(*(volatile u64 *)AT(found_at) & ~AD, value & ~AD);
		else
			EXPECT_EQ(got & ~AD, old & ~AD);
	}
}

TEST_S(15, "AT-26 AT-27 AT-32 fuzz: random page tables, against a reference walker")
{
	fuzz_guests(random_tables, "page tables");
}

/* ---- F2: what was filled for reading is not for writing ---- */

#define VA 0x10000000000UL

static void reads_then_writes(void)
{
	u64 got;

	on_event = take;
	for (u64 i = 0; i < 32; i++) {
		bool user = i & 1, by_table = i & 2;
		u64 va = VA + (i << 21);

		map(MAIN_CR3, va, DATA + i * PAGE, P_ | U_ | (by_table ? W_ : 0) |
		    (i & 4 ? D_ : 0) | (i & 8 ? A_ : 0));
		if (by_table)
			*entry_of(MAIN_CR3, va, 2) &= ~W_;
		for (int n = 0; n < 2; n++) {
			EXPECT_EQ(touch(va, 0, false, user, &got), OK);
			EXPECT_EQ(touch(va, 1, true, user, &got),
				  PF_PROT | PF_WRITE | (user ? PF_USER : 0));
		}
		EXPECT_EQ(*(volatile u64 *)AT(DATA + i * PAGE), 0);
	}
}

TEST("F2 AT-26 a page that was read is not writable for it")
{
	guest_passes(reads_then_writes);
}

/* ---- F3: a table in memory of the launcher that is not the guest's ---- */

static void uses_foreign_table(void)
{
	*entry_of(MAIN_CR3, VA, 2) = GUEST_SIZE | P_ | W_ | U_;
	(void)*(volatile u64 *)VA;
	guest_fail("walked through a table beyond RAM", 0, 1);
}

TEST("F3 AT-26 AT-34 a table beyond RAM, where the launcher has memory of its own")
{
	struct guest *g = raw_guest(GUEST_SIZE + PAGE);
	u64 *table = (u64 *)(g->mem + GUEST_SIZE);

	for (int i = 0; i < 512; i++)
		table[i] = DATA | P_ | W_ | U_ | A_ | D_;
	g->size = GUEST_SIZE;
	load_image(g, uses_foreign_table);
	CHECK_EQ(initialize(g, IMAGE_GPA + (guest_boot - __executable_start)), 0);
	dies(g, "is not in memory");
	CHECK_EQ(table[0], DATA | P_ | W_ | U_ | A_ | D_);
}
