// SPDX-License-Identifier: GPL-2.0
/*
 * Return frames and registers: odd frames hurt the guest only; what is in the
 * registers is there again after every kind of exit; flags and single step do no
 * harm on the way in or out.
 */
#include <string.h>
#include "micro.h"
#include "fuzz.h"
#include "traps.h"

SNIPPET(x_ud, "ud2\n");
SNIPPET(x_bp, "int3\n");
SNIPPET(x_db, "nop\nnop\n");		/* with TF set */
SNIPPET(x_icebp, ".byte 0xf1\n");
SNIPPET(x_int, "int $0x80\n");
SNIPPET(does_syscall, "syscall\n");

/* ---- Return frames ---- */

static u64 numbers = 88172645463325252ULL;

static u64 random_u64(void)
{
	return next_random(&numbers);
}

static void odd_selectors(void)
{
	/* Every selector as cs with ss right, and the other way round. */
	for (u64 sel = 0; sel < 0x10000; sel += sel < 0x400 ? 1 : 0x3f) {
		struct frame f = state(x_ud, true);

		f.cs = sel;
		run(&f);
		if (sel == USER_CS) {
			EXPECT_EQ(f.vector, 6);
		} else if (sel == USER32_CS) {
			EXPECT(f.vector == 14 || f.vector == 6);
		} else if ((sel & 3) == 3) {
			EXPECT_EQ(f.vector, 13);
			EXPECT_EQ(f.error, sel & 0xfffc);
		} else {		/* means guest kernel; fetch is SMEP's */
			EXPECT_EQ(f.vector, 14);
			EXPECT_EQ(f.cs & 3, 0);
		}
		f = state(x_ud, true);
		f.ss = sel;
		run(&f);
		EXPECT_EQ(f.vector, sel == USER_SS ? 6 : 13);
	}
}

TEST_S(30, "AT-07 G4 IRET with every kind of cs and ss")
{
	guest_passes(odd_selectors);
}

static void odd_flags(void)
{
	for (int i = 0; i < 500; i++) {
		struct frame f = state(x_ud, i & 1);
		u64 flags = i < 128 ? 1ULL << (i / 2) : random_u64();

		f.rflags = flags;
		run(&f);
		if (flags & TF)
			continue;
		EXPECT_EQ(f.vector, 6);
		EXPECT_EQ(f.rflags & 0x3000, 0);		/* IOPL */
		EXPECT_EQ(f.rflags & (NT | 0x1a0000), 0);	/* VM VIF VIP */
		EXPECT_EQ(f.rflags & IF, flags & IF);		/* the virtual one */
		EXPECT_EQ(f.rflags & 0x8d5, flags & 0x8d5);
		EXPECT_EQ(f.rflags & DF, flags & DF);
		EXPECT_EQ(f.rflags >> 22, 0);
		if (!(i & 1))
			EXPECT_EQ(f.rflags & AC, 0);
	}
}

TEST("AT-08 IRET with all kinds of flags: IOPL, NT, VM never, IF is virtual")
{
	guest_passes(odd_flags);
}

static void odd_addresses(void)
{
	static const u64 odd[] = { 0, 1, 0x7ffffffff000, 0x7fffffffffff,
		NONCANONICAL, 0xdead000000000000, 0xffff7fffffffffff,
		0xffff800000000000, 0xffff800000001000, 0xffff800000003000,
		0xfffffe0000000000, 0xfffffe0000003000, ~0ULL, 1ULL << 63,
		0xff00000000000000, 0xff11000000000000, 0xffffffff81000000,
		KERNEL_VA + GUEST_SIZE + DEVICE_SIZE, KERNEL_VA };

	for (u64 i = 0; i < 4 * sizeof(odd) / 8; i++) {
		struct frame f = state(x_ud, i & 1);
		u64 a = odd[i / 4];
		bool canonical = (u64)((int64_t)(a << 16) >> 16) == a;

		if (!(i & 2)) {			/* as rip */
			if (!(i & 1) && a == KERNEL_VA)
				continue;	/* is executable: zeros */
			f.rip = a;
			run(&f);
			EXPECT_EQ(f.vector, canonical ? 14 : 13);
			EXPECT_EQ(f.rip, a);
			if (canonical)
				EXPECT_EQ(SHARED->cr2, a);
		} else {			/* as rsp, not used */
			f.rsp = a;
			run(&f);
			EXPECT_EQ(f.vector, 6);
			EXPECT_EQ(f.rsp, a);
		}
		EXPECT_EQ(f.cs & 3, i & 1 ? 3 : 0);
	}
}

TEST("AT-01 AT-07 IRET to rip and rsp at every boundary, in both modes")
{
	guest_passes(odd_addresses);
}

static void syscall_at_the_end(void)
{
	u64 page = guest_page();
	struct frame f = user_at(NULL);

	/* The last instruction below the hole. */
	((u8 *)AT(page))[PAGE - 2] = 0x0f;
	((u8 *)AT(page))[PAGE - 1] = 0x05;
	map(MAIN_CR3, 0x7ffffffff000, page, P_ | W_ | U_);
	f.rip = 0x7ffffffffffe;
	run(&f);
	EXPECT_EQ(f.vector, LGUEST_VECTOR_SYSCALL);
	EXPECT_EQ(f.rip, NONCANONICAL);
	run(&f);		/* and return there */
	EXPECT_EQ(f.vector, 13);
	EXPECT_EQ(f.rip, NONCANONICAL);
	EXPECT_EQ(f.cs, USER_CS);
}

TEST("AT-01 syscall as the last instruction below the hole, and back")
{
	guest_passes(syscall_at_the_end);
}

static void random_frames(void)
{
	for (int i = 0; i < 3000; i++) {
		struct frame f = state(x_ud, i & 1);
		u64 what = random_u64();

		if (what & 1)
			f.rip = random_u64() >> (what >> 8 & 63);
		if (what & 2)
			f.rsp = random_u64() >> (what >> 16 & 63);
		if (what & 4)
			f.rflags = random_u64();
		if ((what & 24) == 24)
			f.cs = random_u64() >> (what >> 24 & 63);
		if ((what & 96) == 96)
			f.ss = random_u64() >> (what >> 32 & 63);
		SHARED->user_gs_base = what & 128 ? random_u64() : 0;
		/* Never run into mapped zeros or our own code. */
		if (what & 1 && f.rip < 1ULL << 40)
			f.rip |= 1ULL << 46;
		if ((f.rip >> 39) == 0x1ffffff)
			f.rip = NONCANONICAL;
		run(&f);
		EXPECT(f.vector < 0x81 || f.vector == 256);
	}
}

TEST("AT-07 thousands of random return frames")
{
	struct guest *g = make_guest(random_frames);
	int kind;

	while ((kind = go(g)) > 0)
		skip_to(g, x_ud);
	if (!strstr(g->reason, "POWEROFF: ok"))
		fail("%s", g->reason);
}

/* ---- Registers ---- */

static void round_trips(void)
{
	/* Exits of many kinds, from both modes; all registers must survive. */
	for (int i = 0; i < 2500; i++) {
		char *code = x_ud;
		struct frame f, before;
		bool user = i & 1;

		switch (i >> 1 & 3) {
		case 1: code = user ? does_syscall : x_ud; break;
		case 2: code = x_bp; break;
		case 3: code = x_int; break;
		}
		f = state(code, user);
		for (int r = 0; r < 15; r++)
			((volatile u64 *)&f)[r] = random_u64();
		f.rsp = random_u64();
		before = f;
		run(&f);
		for (int r = 0; r < 15; r++) {
			if (code == does_syscall && (r == 6 || r == 11))
				continue;	/* r11, rcx */
			EXPECT_EQ(((u64 *)&f)[r], ((u64 *)&before)[r]);
		}
		EXPECT_EQ(f.rsp, before.rsp);
	}
}

TEST_S(30, "A7 A15 random patterns in all registers over thousands of exits")
{
	guest_passes(round_trips);
}

static u64 seen_flags;

static void entry_flags(void)
{
	/* popf with everything, then each gate; the C handler looks. */
	static const u64 flags[] = { AC, DF, TF, NT, AC | DF | NT, 0x8d5 };

	for (u64 i = 0; i < 6; i++) {
		struct frame f = state(does_syscall, true);

		f.rflags |= flags[i];
		run(&f);
		asm volatile("pushf; pop %0" : "=r" (seen_flags));
		EXPECT_EQ(seen_flags & (AC | DF | TF | NT), 0);
		f = state(x_bp, true);
		f.rflags |= flags[i];
		run(&f);
		asm volatile("pushf; pop %0" : "=r" (seen_flags));
		EXPECT_EQ(seen_flags & (AC | DF | TF | NT), 0);
	}
}

TEST("AT-03 AC, DF, TF, NT are clear when an event arrives")
{
	guest_passes(entry_flags);
}

SNIPPET(sets_nt, "pushf; orq $0x4000, (%rsp); popf\n syscall\n");

static void nt_from_user(void)
{
	for (int i = 0; i < 20; i++) {
		struct frame f = state(sets_nt, true);

		run(&f);
		EXPECT_EQ(f.vector, 256);
		EXPECT_EQ(f.rflags & NT, NT);
		run(&f);
		EXPECT_EQ(f.vector, 6);
	}
}

TEST("AT-04 NT set by guest user does no harm")
{
	guest_passes(nt_from_user);
}

SNIPPET(steps_syscall, "pushf; orq $0x100, (%rsp); popf\n syscall\n nop\n nop\n");

static void steps_over_syscall(void)
{
	for (int user = 0; user < 2; user++) {
		struct frame f = state(steps_syscall, user);
		int n = 0;

		f.rax = LHCALL_GET_TIME;
		do {
			run(&f);
			EXPECT(f.vector == 1 || f.vector == 256 || f.vector == 6);
			EXPECT(n++ < 10);
		} while (f.vector != 6);
		EXPECT(n > 2);
	}
}

TEST("AT-13 single step over syscall, in both modes")
{
	guest_passes(steps_over_syscall);
}

SNIPPET(mov_ss, "mov %ss, %eax; mov %eax, %ss; syscall\n");
SNIPPET(mov_ss_bp, "mov %ss, %eax; mov %eax, %ss; int3\n");
SNIPPET(mov_ss_80, "mov %ss, %eax; mov %eax, %ss; int $0x80\n");
SNIPPET(mov_ss_ud, "mov %ss, %eax; mov %eax, %ss; ud2\n");

static void mov_ss_tricks(void)
{
	for (u64 i = 0; i < 16; i++) {
		/* No array: its pointers would be the host's. */
		struct frame f = state((i & 3) == 0 ? mov_ss :
				       (i & 3) == 1 ? mov_ss_bp :
				       (i & 3) == 2 ? mov_ss_80 : mov_ss_ud, true);
		int n = 0;

		f.rflags |= i & 4 ? TF : 0;
		do {
			run(&f);
			EXPECT(n++ < 12);
		} while (f.vector == 1);
	}
}

TEST("AT-02 mov ss, then syscall, int3, int 0x80, ud2; with single step")
{
	guest_passes(mov_ss_tricks);
}

static void no_return_to_host_flags(void)
{
	/* popf in guest kernel with AC and NT, then exits of each kind. */
	asm volatile("pushf; orq $0x44000, (%%rsp); popf" : : : "cc", "memory");
	for (int i = 0; i < 10; i++)
		HCALL(GET_TIME);
	asm volatile("pushf; andq $~0x44000, (%%rsp); popf" : : : "cc", "memory");
}

TEST("AT-08 AC and NT in the guest kernel's own flags")
{
	guest_passes(no_return_to_host_flags);
}

static void debug_storm(void)
{
	for (int i = 0; i < 2000; i++) {
		struct frame f = state(i & 2 ? x_icebp : x_db, i & 1);

		f.rflags |= i & 2 ? 0 : TF;
		run(&f);
		/* QEMU's TCG ignores icebp. */
		EXPECT(f.vector == 1 || (i & 2 && f.vector == 6));
	}
}

TEST("AT-13 a storm of debug exceptions")
{
	guest_passes(debug_storm);
}
