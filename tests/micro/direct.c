// SPDX-License-Identifier: GPL-2.0
/*
 * Direct switches are the same as the slow way.
 *
 * The Switcher does system calls, page faults and returns of a guest without
 * visiting the host; C code can do all of them too, and does as soon as guest
 * user has set protection keys.  So each random state goes both ways, and what
 * the guest kernel gets must be the same to the last bit; and the counters must
 * show that there were two ways.
 */
#include <cpuid.h>
#include "micro.h"

#define ROUNDS		400
#define KEYS		0xc0000000	/* of key 15, which no page has */

SNIPPET(direct_syscall, "syscall\n");
SNIPPET(direct_ud, "ud2\n");
SNIPPET(sets_keys, "wrpkru\nud2\n");
SNIPPET(direct_load, "mov (%rbx), %rax\n");

static u64 seed = 88172645463325252;

static u64 random_word(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static struct frame random_state(char *code)
{
	struct frame f = user_at((void (*)(void))code);
	u64 *word = (u64 *)&f;
	int i;

	for (i = 0; i < 15; i++)
		word[i] = random_word();
	/* Arithmetic, DF, AC, ID; no TF, which single-steps. */
	f.rflags = 2 | IF | (random_word() & 0x240cd5);
	f.rsp = random_word();
	if (random_word() & 1) {	/* as after a system call: by sysret */
		f.rcx = f.rip;
		f.r11 = f.rflags;
	}
	return f;
}

#define HOLE 0x500000000		/* nothing is there */

/*
 * run() for guest user.  With direct_faults the guest sees faults that only
 * mean a missing shadow entry, and asks for it.
 */
static void run_user(struct frame *f)
{
	struct frame start = *f;

	for (;;) {
		run(f);
		if (f->vector != 14 || SHARED->cr2 >= HOLE)
			return;
		*f = start;
		SHARED->fill_address = SHARED->cr2;
		SHARED->fill_error = PF_USER | LGUEST_FILL_STRICT;
	}
}

static void set_keys(u64 keys)
{
	struct frame f = user_at((void (*)(void))sets_keys);

	f.rax = keys;
	f.rcx = f.rdx = 0;
	run_user(&f);
	EXPECT_EQ(f.vector, 6);
}

static void same(const struct frame *a, const struct frame *b)
{
	const u64 *x = (const u64 *)a, *y = (const u64 *)b;
	unsigned int i;

	for (i = 0; i < sizeof(*a) / 8; i++)
		EXPECT_EQ(x[i], y[i]);
}

/* One state both ways; gs is the user's GS base. */
static struct frame both_ways(struct frame f, u64 gs)
{
	struct frame direct = f, slow = f;

	set_keys(0);
	SHARED->user_gs_base = gs;
	run_user(&direct);
	EXPECT_EQ(SHARED->user_gs_base, gs);
	EXPECT_EQ(SHARED->irq_enabled, 0);

	set_keys(KEYS);
	SHARED->user_gs_base = gs;
	run_user(&slow);
	EXPECT_EQ(SHARED->user_gs_base, gs);
	EXPECT_EQ(SHARED->irq_enabled, 0);
	same(&direct, &slow);
	return direct;
}

static u64 random_base(void)
{
	return (u64)((int64_t)(random_word() << 16) >> 16);
}

static void system_calls(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct frame f = random_state(direct_syscall), g;

		g = both_ways(f, random_base());
		EXPECT_EQ(g.vector, LGUEST_VECTOR_SYSCALL);
		EXPECT_EQ(g.rsp, f.rsp);
		EXPECT_EQ(g.rflags, f.rflags);
		EXPECT_EQ(g.cs, USER_CS);
		EXPECT_EQ(g.ss, USER_SS);
	}
}

/* The counters tell of one direct and one slow switch for each round. */
static void needs_keys(void)
{
	unsigned int a, b, c = 0, d;

	__get_cpuid_count(7, 0, &a, &b, &c, &d);
	if (!(c & 1 << 4))		/* OSPKE */
		skip("this CPU has no protection keys, which force the slow way");
}

TEST("D11 system calls and returns: the direct way is the slow way")
{
	struct guest *g;

	needs_keys();
	g = make_guest(system_calls);
	passes(g);
	CHECK_EQ(stat_of(g, "direct_syscalls"), ROUNDS);
	CHECK(stat_of(g, "direct_irets") >= ROUNDS);
	CHECK(stat_of(g, "hypercall_IRET") >= ROUNDS);
}

static void page_faults(void)
{
	SHARED->direct_faults = 1;
	for (int i = 0; i < ROUNDS; i++) {
		struct frame f = random_state(direct_load), g;

		f.rbx = HOLE + random_word() % (64 * PAGE);
		if (f.rflags & AC)	/* which comes first is the CPU's own matter */
			f.rbx &= ~7ULL;
		if (random_word() & 1) {	/* as after another fault */
			f.rflags |= RF;
			f.r11 |= RF;
		}
		g = both_ways(f, random_base());
		EXPECT_EQ(g.vector, 14);
		EXPECT_EQ(g.error, PF_USER);
		EXPECT_EQ(SHARED->cr2, f.rbx);
	}
}

TEST("D11 D6 page faults of guest user: the direct way is the slow way")
{
	struct guest *g;

	needs_keys();
	g = make_guest(page_faults);
	passes(g);
	CHECK(stat_of(g, "direct_faults") >= ROUNDS);
	CHECK(stat_of(g, "guest_page_faults") >= ROUNDS);
}

static void resumed_returns(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct frame f = user_at((void (*)(void))direct_ud);

		f.rflags |= RF;
		run(&f);
		EXPECT_EQ(f.vector, 6);
		EXPECT_EQ(f.rip, TO_USER(direct_ud));
	}
}

TEST("D11 a return with RF, as from a fault, is direct")
{
	struct guest *g = make_guest(resumed_returns);

	passes(g);
	CHECK(stat_of(g, "direct_irets") >= ROUNDS - 1);
}

/* What the direct way may not do: the slow way is taken, and does it right. */
static void odd_returns(void)
{
	static const u64 odd_flags[] = { TF, NT, 3 << 12, 1 << 17 };
	struct frame f;

	for (unsigned int i = 0; i < 4; i++) {
		f = user_at((void (*)(void))direct_ud);
		f.rflags |= odd_flags[i];
		run(&f);
		/* TF: one step, and the ud2 faults before it is over. */
		EXPECT_EQ(f.vector, 6);
		EXPECT_EQ(f.rflags & (NT | 3 << 12 | 1 << 17), 0);
	}
	f = user_at((void (*)(void))direct_ud);
	f.rip = 0x800000000000;
	run(&f);
	EXPECT_EQ(f.vector, 13);
	EXPECT_EQ(f.rip, 0x800000000000);
	f = user_at((void (*)(void))direct_ud);
	f.ss = KERNEL_SS;
	run(&f);
	EXPECT_EQ(f.vector, 13);
}

TEST("D11 AT-01 AT-08 odd returns are not direct")
{
	struct guest *g = make_guest(odd_returns);

	passes(g);
	CHECK(stat_of(g, "hypercall_IRET") >= 6);
}

static void waiting_interrupt(void)
{
	struct frame f = user_at((void (*)(void))direct_syscall);

	f.rflags |= IF;
	hcall(LHCALL_SET_CLOCKEVENT, 1, 0, 0, 0);
	while (!SHARED->irq_pending)
		;
	run(&f);
	EXPECT_EQ(f.vector, LGUEST_IRQ_VECTOR);
	EXPECT_EQ(f.cs, USER_CS);
	EXPECT_EQ(f.rip, TO_USER(direct_syscall));
}

TEST("D11 E6 a return with an interrupt waiting: it comes before the user")
{
	guest_passes(waiting_interrupt);
}

/* Loads of CR3 that flush nothing, among spaces that the Switcher knows. */
#define SPACES 4

static void loads(void)
{
	u64 cr3[SPACES], before;

	for (int i = 0; i < SPACES; i++) {
		cr3[i] = new_space();
		hcall(LHCALL_LOAD_CR3, cr3[i], 0, 0, 0);
		map(cr3[i], HOLE, guest_page(), P_ | W_ | U_);
		*(volatile u64 *)HOLE = i;
	}
	before = rdtsc();
	for (int i = 0; i < 1000; i++) {
		u64 n = random_word() % SPACES;

		hcall(LHCALL_LOAD_CR3, cr3[n] | LGUEST_CR3_NOFLUSH, 0, 0, 0);
		EXPECT_EQ(*(volatile u64 *)HOLE, n);
	}
	EXPECT(rdtsc() > before);
}

TEST("F5 I9 1000 loads of CR3 among four spaces: direct, and each its own")
{
	struct guest *g = make_guest(loads);

	passes(g);
	CHECK_EQ(stat_of(g, "direct_cr3_loads"), 1000);
}

/*
 * The second INIT: the shared page is another one.  The old one, in which everything is
 * as if nobody ever used it, is left alone: by the Switcher, too, on a CPU whose TLB
 * kept it.
 */
static void rings(volatile struct lguest_shared *shared, int n)
{
	shared->hcalls[n].number = LHCALL_FLUSH_ASYNC;
	shared->hcall_status[n] = 0;
	HCALL(FLUSH_ASYNC);
	EXPECT_EQ(shared->hcall_status[n], 0xff);
}

static void move_page(volatile struct lguest_shared *old,
		      volatile struct lguest_shared *new)
{
	volatile u64 *from = (u64 *)old, *to = (u64 *)new;

	for (u64 n = 0; n < PAGE / 8; n++) {
		to[n] = from[n];
		from[n] = 0;
	}
	for (int n = 0; n < LGUEST_RING_SIZE; n++)
		old->hcall_status[n] = 0xff;
	new->kernel_gs_base = (u64)new;
	asm volatile("wrgsbase %0" : : "r" (new) : "memory");
	HCALL(INIT, gpa_of(new), guest_event_entry, guest_syscall_entry,
	      guest_entry_end);
}

static void calls_of_user(void)
{
	for (int i = 0; i < 50; i++) {
		struct frame f = user_at((void (*)(void))direct_syscall);

		run(&f);
		EXPECT_EQ(f.vector, LGUEST_VECTOR_SYSCALL);
	}
}

static void page_moves(void)
{
	volatile struct lguest_shared *old = SHARED, *new = AT(guest_page());
	volatile u64 *from = (u64 *)old;

	calls_of_user();
	rings(old, 0);
	move_page(old, new);
	calls_of_user();
	rings(new, 1);		/* it goes on where it was */
	for (u64 n = 0; n < PAGE / 8; n++)
		EXPECT_EQ(from[n], n * 8 - LGS_HCALL_STATUS < LGUEST_RING_SIZE ? ~0ULL : 0);
}

TEST("I2 AT-53 the second INIT: the shared page has moved")
{
	struct guest *g = make_guest(page_moves);

	passes(g);
	CHECK_EQ(stat_of(g, "hypercall_INIT"), 2);
	CHECK_EQ(stat_of(g, "hypercall_FLUSH_ASYNC"), 4);
	CHECK(stat_of(g, "direct_syscalls") >= 98);
}
