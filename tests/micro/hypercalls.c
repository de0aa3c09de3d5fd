// SPDX-License-Identifier: GPL-2.0
/*
 * Hypercalls: what each does, in which order, and that a senseless one ends
 * the guest with its sentence.  Names begin with the row of ACCEPTANCE.md.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
#include <time.h>
#include "micro.h"

/* ---- Before and at INIT ---- */

/*
 * A guest that starts in linear mode with one call: `what` holds rax, rdi, rsi,
 * rdx, r10 for it, then for a second one, and a third.
 */
static u64 calls[3][5];

SNIPPET(makes_calls,
	"lea calls(%rip), %rbx\n"
	"1: mov (%rbx), %rax; mov 8(%rbx), %rdi; mov 16(%rbx), %rsi\n"
	"mov 24(%rbx), %rdx; mov 32(%rbx), %r10\n"
	"syscall\n"
	"add $40, %rbx\n"
	"jmp 1b\n");

#define CALL(n, ...) \
	memcpy(calls[n], (u64[5]){ __VA_ARGS__ }, sizeof(calls[n]))

static void calls_die(const char *reason)
{
	struct guest *g = raw_guest(GUEST_SIZE);

	load_image(g, NULL);
	CHECK_EQ(initialize(g, IMAGE_GPA + (makes_calls - __executable_start)), 0);
	dies(g, reason);
	end_guest(g);
}

#define UP 0xffffffff80100000

TEST("I2 any call before INIT ends the guest, but LOAD_CR3")
{
	char want[64] = "hypercall XX before INIT";

	for (u64 nr = 0; nr < 40; nr++) {
		if (nr == LHCALL_INIT || nr == LHCALL_LOAD_CR3)
			continue;
		CALL(0, nr);
		want[10] = nr < 10 ? '0' + nr : '0' + nr / 10;
		strcpy(want + 11, nr < 10 ? " before INIT" : "X before INIT");
		if (nr >= 10)
			want[11] = '0' + nr % 10;
		calls_die(want);
	}
	CALL(0, ~0ULL);
	calls_die("hypercall 18446744073709551615 before INIT");
}

TEST("I2 AT-53 third INIT ends the guest, and a second one with a bad page")
{
	CALL(0, LHCALL_INIT, SHARED_GPA, UP, UP, UP);
	CALL(1, LHCALL_INIT, SHARED_GPA + PAGE, UP, UP, UP);
	CALL(2, LHCALL_INIT, SHARED_GPA, UP, UP, UP);
	calls_die("already have lguest_shared");
	CALL(1, LHCALL_INIT, SHARED_GPA, UP, UP, UP);
	calls_die("already have lguest_shared");
	CALL(1, LHCALL_INIT, GUEST_SIZE, UP, UP, UP);
	calls_die("bad guest page 0x800000 for lguest_shared");
}

static u64 written;

static void calls_and_writes(void)
{
	written = 1;
	hcall(LHCALL_INIT, SHARED_GPA, 0, UP, UP);
	written = 2;
}

TEST("C7 what stands behind a call that ends the guest is never done")
{
	struct guest *g = make_guest(calls_and_writes);
	char text[200];

	dies(g, "bad entry address");
	CHECK_EQ(IN_GUEST(g, written), 1);
	for (int i = 0; i < 20; i++)
		CHECK(read(g->fd, text, sizeof(text)) > 0 || errno == ENOENT);
	CHECK_EQ(IN_GUEST(g, written), 1);
}

TEST("I2 AT-53 INIT with a bad shared page")
{
	static const u64 bad[] = { 1, 0x1001, 0x1800, GUEST_SIZE,
		GUEST_SIZE - 1, GUEST_SIZE + PAGE, 1ULL << 40, 1ULL << 52,
		0x800000000000, KERNEL_VA + SHARED_GPA, -PAGE, ~0ULL };

	for (size_t i = 0; i < sizeof(bad) / 8; i++) {
		CALL(0, LHCALL_INIT, bad[i], UP, UP, UP);
		calls_die("for lguest_shared");
	}
}

TEST("D12 INIT with a bad entry address")
{
	static const u64 bad[] = { 0, 0x1000, 0x7ffffffff000, 0x800000000000,
		0xdead000000000000, 1ULL << 63, 0xffff7ffffffff000 };

	for (size_t i = 0; i < sizeof(bad) / 8; i++) {
		CALL(0, LHCALL_INIT, SHARED_GPA, bad[i], UP, UP);
		calls_die("bad entry address");
		CALL(0, LHCALL_INIT, SHARED_GPA, UP, bad[i], UP);
		calls_die("bad entry address");
	}
}

TEST("D12 AT-39 INIT with its entry in slots 256 or 508: triple fault at most")
{
	static const u64 bad[] = { 0xffff800000000000, 0xffff800000001000,
		0xfffffe0000000000, 0xffffffffffffe000 };

	for (size_t i = 0; i < sizeof(bad) / 8; i++) {
		CALL(0, LHCALL_INIT, SHARED_GPA, bad[i], bad[i], ~0ULL);
		CALL(1, LHCALL_LOAD_CR3, MAIN_CR3);
		calls_die("");
	}
}

static void fills_last_page(void)
{
}

TEST("B2 shared page and last words in the last page of RAM")
{
	struct guest *g = raw_guest(GUEST_SIZE);

	load_image(g, fills_last_page);
	strcpy((char *)g->mem + GUEST_SIZE - 10, "at the end");	/* no NUL */
	CALL(0, LHCALL_INIT, GUEST_SIZE - PAGE, UP, UP, UP);
	CALL(1, LHCALL_SHUTDOWN, GUEST_SIZE - 10, LGUEST_SHUTDOWN_CRASH);
	load_image(g, fills_last_page);
	memcpy(g->mem + GUEST_SIZE - 10, "at the end", 10);
	CHECK_EQ(initialize(g, IMAGE_GPA + (makes_calls - __executable_start)), 0);
	dies(g, "CRASH: at the end");
	CHECK_EQ(strlen(g->reason), 17);
}

/* ---- SHUTDOWN ---- */

static u64 text_at, text_reason;

static void shuts_down(void)
{
	HCALL(SHUTDOWN, text_at, text_reason);
}

TEST("I3 B3 SHUTDOWN text out of RAM")
{
	static const u64 bad[] = { GUEST_SIZE, GUEST_SIZE + 1, 1ULL << 47,
				   1ULL << 63, -1ULL, -256ULL, -255ULL };

	for (size_t i = 0; i < sizeof(bad) / 8; i++) {
		text_at = bad[i];
		text_reason = LGUEST_SHUTDOWN_CRASH;
		guest_dies(shuts_down, "bad read address");
	}
}

TEST("I3 SHUTDOWN: POWEROFF, CRASH and any other reason")
{
	static const struct { u64 reason; const char *want; } cases[] = {
		{ LGUEST_SHUTDOWN_POWEROFF, "POWEROFF: " },
		{ LGUEST_SHUTDOWN_CRASH, "CRASH: " },
		{ 0, "CRASH: " }, { 4, "CRASH: " }, { ~0ULL, "CRASH: " },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		text_at = 0x50000;
		text_reason = cases[i].reason;
		guest_dies(shuts_down, cases[i].want);
	}
}

TEST("I3 SHUTDOWN with 256 bytes of text, percent signs and no NUL")
{
	struct guest *g;

	text_at = 0x50000;
	text_reason = LGUEST_SHUTDOWN_CRASH;
	g = make_guest(shuts_down);
	for (int i = 0; i < 600; i += 2)
		memcpy(g->mem + text_at + i, "%s", 2);
	dies(g, "CRASH: %s%s");
	CHECK_EQ(strlen(g->reason), 7 + 256);
	CHECK_EQ(g->reason[7 + 255], 's');
}

TEST("I4 SHUTDOWN with RESTART is ERESTART, for ever")
{
	struct guest *g;

	text_reason = LGUEST_SHUTDOWN_RESTART;
	text_at = ~0ULL;
	g = make_guest(shuts_down);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(go(g), -85);
	CHECK_ERRNO(request(g, LHREQ_IRQ, 1), ENOENT);
}

/* ---- Bad calls and the ring ---- */

static u64 number;

static void calls_number(void)
{
	hcall(number, 0, 0, 0, 0);
}

static void put_in_ring(int n, u64 nr, u64 a, u64 b)
{
	SHARED->hcalls[n].number = nr;
	SHARED->hcalls[n].arg[0] = a;
	SHARED->hcalls[n].arg[1] = b;
	SHARED->hcall_status[n] = 0;
}

static void rings_number(void)
{
	put_in_ring(0, number, 0, 0);
	HCALL(FLUSH_ASYNC);
}

static bool is_call(u64 nr)
{
	static const u64 known[] = { 0, 1, 2, 4, 5, 9, 10, 16, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27 };

	for (size_t i = 0; i < sizeof(known) / 8; i++)
		if (known[i] == nr)
			return true;
	return false;
}

TEST("I13 each unused number, by register")
{
	static const u64 more[] = { 256, 1ULL << 31, (1ULL << 31) + 1, 1ULL << 32,
				    1ULL << 63, ~0ULL };

	for (number = 0; number < 64; number++)
		if (!is_call(number))
			guest_dies(calls_number, "Bad hypercall ");
	for (size_t i = 0; i < sizeof(more) / 8; i++) {
		number = more[i];
		guest_dies(calls_number, "Bad hypercall ");
	}
}

TEST("I13 AT-06 unused numbers and those that may not wait, by the ring")
{
	static const u64 bad[] = { 1, 2, 3, 6, 8, 10, 17, 19, 20, 21, 24, 31, 32,
				   63, 1ULL << 32, ~0ULL };

	for (size_t i = 0; i < sizeof(bad) / 8; i++) {
		number = bad[i];
		guest_dies(rings_number, "in the ring");
	}
}

static void rings_in_order(void)
{
	int n = 0;

	/* Many rounds, of every length up to a full ring. */
	for (int round = 0; round < 200; round++) {
		int many = round % 65;

		for (int i = 0; i < many; i++) {
			put_in_ring(n, i & 1 ? LHCALL_FLUSH_TLB :
				    LHCALL_SET_CLOCKEVENT, 0, 0);
			n = (n + 1) % LGUEST_RING_SIZE;
		}
		HCALL(FLUSH_ASYNC);
		for (int i = 0; i < LGUEST_RING_SIZE; i++)
			EXPECT_EQ(SHARED->hcall_status[i], 0xff);
	}
}

TEST("I12 the ring: any number at a time, all taken, none twice")
{
	struct guest *g = make_guest(rings_in_order);
	u64 want_flush = 0, want_clock = 0;

	for (int round = 0; round < 200; round++) {
		want_flush += round % 65 / 2;
		want_clock += (round % 65 + 1) / 2;
	}
	passes(g);
	CHECK_EQ(stat_of(g, "hypercall_FLUSH_TLB"), want_flush);
	CHECK_EQ(stat_of(g, "hypercall_SET_CLOCKEVENT"), want_clock);
}

static void rings_cr3(void)
{
	u64 other = new_space(), va = 0x10000000000, mine = guest_page(),
	    theirs = guest_page();

	*(u64 *)AT(mine) = 1;
	*(u64 *)AT(theirs) = 2;
	map(MAIN_CR3, va, mine, P_ | W_ | U_);
	map(other, va, theirs, P_ | W_ | U_);
	EXPECT_EQ(*(volatile u64 *)va, 1);
	/* The last one wins: order. */
	put_in_ring(0, LHCALL_LOAD_CR3, MAIN_CR3, 0);
	put_in_ring(1, LHCALL_LOAD_CR3, other, 0);
	put_in_ring(2, LHCALL_LOAD_CR3, MAIN_CR3, 0);
	put_in_ring(3, LHCALL_LOAD_CR3, other, 0);
	HCALL(FLUSH_ASYNC);
	EXPECT_EQ(*(volatile u64 *)va, 2);
	/* The ring comes before the call itself. */
	put_in_ring(4, LHCALL_LOAD_CR3, other, 0);
	HCALL(LOAD_CR3, MAIN_CR3);
	EXPECT_EQ(*(volatile u64 *)va, 1);
}

TEST("I12 the ring keeps order, and comes before the call")
{
	guest_passes(rings_cr3);
}

static void odd_statuses(void)
{
	for (int i = 0; i < LGUEST_RING_SIZE; i++) {
		put_in_ring(i, LHCALL_FLUSH_ASYNC, 0, 0);
		SHARED->hcall_status[i] = i * 3;	/* all but 0xff mean ready */
	}
	HCALL(FLUSH_ASYNC);
	for (int i = 0; i < LGUEST_RING_SIZE; i++)
		EXPECT_EQ(SHARED->hcall_status[i], 0xff);
}

TEST("I12 hostile status bytes: one round, no loop")
{
	guest_passes(odd_statuses);
}

static void flips_status(void)
{
	HCALL(NOTIFY, 1);
	for (int i = 0; i < 300; i++) {
		put_in_ring(i & 63, LHCALL_FLUSH_TLB, LGUEST_FLUSH_ALL, 0);
		HCALL(FLUSH_ASYNC);
	}
}

static volatile bool stop;

static void *rewrites_ring(void *arg)
{
	struct guest *g = arg;
	volatile struct lguest_shared *s = (void *)(g->mem + SHARED_GPA);
	unsigned int n = 0;

	while (!stop) {
		for (int i = 0; i < LGUEST_RING_SIZE; i++) {
			s->hcalls[i].number = (n += 7) % 5 ? LHCALL_FLUSH_TLB : 9;
			s->hcalls[i].arg[0] = n % 3;
			s->hcall_status[i] = 0;
		}
	}
	return NULL;
}

TEST("I12 AT-57 another thread rewrites the ring meanwhile")
{
	struct guest *g = make_guest(flips_status);
	pthread_t thread;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	pthread_create(&thread, NULL, rewrites_ring, g);
	go(g);
	stop = true;
	pthread_join(thread, NULL);
	CHECK(strstr(g->reason, "POWEROFF") || strstr(g->reason, "Bad hypercall"));
}

/* ---- Interrupts, HALT and the clock ---- */

static volatile u64 taken, last_vector, order[64];

static void takes(struct frame *f)
{
	last_vector = f->vector;
	order[taken % 64] = f->vector;
	taken = taken + 1;
}

/* Until an interrupt has been taken since @before; none can slip through. */
static void wait_beyond(u64 before)
{
	for (;;) {
		SHARED->irq_enabled = 0;
		if (taken != before)
			break;
		HCALL(HALT);
	}
}

static void clock_once(u64 ns)
{
	u64 before = taken;

	SHARED->irq_enabled = 0;
	HCALL(SET_CLOCKEVENT, ns);
	wait_beyond(before);
}

static void halts_with_pending(void)
{
	on_event = takes;
	HCALL(NOTIFY, 1);		/* the launcher raises line 5 */
	EXPECT_EQ(taken, 0);
	HCALL(HALT);
	EXPECT_EQ(taken, 1);
	EXPECT_EQ(last_vector, LGUEST_IRQ_VECTOR + 5);
}

TEST("I5 HALT with a pending interrupt does not sleep")
{
	struct guest *g = make_guest(halts_with_pending);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(request(g, LHREQ_IRQ, 5), 16);
	passes(g);
	CHECK_EQ(stat_of(g, "halt_sleeps"), 0);
}

static void clock_1ns(void)
{
	u64 began;

	on_event = takes;
	for (u64 i = 1; i <= 20; i++) {
		clock_once(1);
		EXPECT_EQ(taken, i);
		EXPECT_EQ(last_vector, LGUEST_IRQ_VECTOR);
	}
	began = HCALL(GET_TIME);
	clock_once(20000000);
	EXPECT(HCALL(GET_TIME) - began >= 20000000);
	EXPECT(HCALL(GET_TIME) - began < 2000000000);
}

TEST("I11 clock event: 1 ns fires at once, 20 ms not before")
{
	guest_passes(clock_1ns);
}

static void clock_off(void)
{
	u64 began;

	on_event = takes;
	SHARED->irq_enabled = IF;
	HCALL(SET_CLOCKEVENT, 5000000);
	HCALL(SET_CLOCKEVENT, 0);
	HCALL(SET_CLOCKEVENT, ~0ULL);		/* never; does not wrap */
	HCALL(SET_CLOCKEVENT, 1ULL << 63);
	HCALL(SET_CLOCKEVENT, (1ULL << 62) + 1);
	began = HCALL(GET_TIME);
	while (HCALL(GET_TIME) - began < 50000000)
		;
	EXPECT_EQ(taken, 0);
	HCALL(SET_CLOCKEVENT, 1000000000000);	/* re-arm replaces */
	clock_once(1000000);
	SHARED->irq_enabled = IF;
	began = HCALL(GET_TIME);
	while (HCALL(GET_TIME) - began < 50000000)
		;
	EXPECT_EQ(taken, 1);
}

TEST("I11 clock event: 0 cancels, huge ones never fire, re-arm replaces")
{
	guest_passes(clock_off);
}

static void clock_word(void)
{
	u64 began;

	on_event = takes;
	for (u64 i = 1; i <= 20; i++) {
		SHARED->irq_enabled = 0;
		began = HCALL(GET_TIME);
		SHARED->set_timer = 1000000;
		HCALL(HALT);			/* takes it along */
		EXPECT_EQ(SHARED->set_timer, 0);
		EXPECT_EQ(taken, i);
		EXPECT(HCALL(GET_TIME) - began >= 1000000);
	}
	SHARED->irq_enabled = IF;
	HCALL(SET_CLOCKEVENT, 5000000);
	SHARED->set_timer = ~0ULL;		/* never, and replaces */
	began = HCALL(GET_TIME);
	while (HCALL(GET_TIME) - began < 50000000)
		;
	EXPECT_EQ(taken, 20);
	SHARED->set_timer = 1000000000000;
	HCALL(SET_CLOCKEVENT, 1000000);		/* the word is the older one */
	while (taken == 20)
		;
}

TEST("I11 clock event: a word in the shared page, taken at the next visit")
{
	struct guest *g = make_guest(clock_word);

	passes(g);
	CHECK_EQ(stat_of(g, "hypercall_SET_CLOCKEVENT"), 2);
}

static void time_goes_on(void)
{
	u64 last = 0;

	for (int i = 0; i < 2000; i++) {
		u64 now = HCALL(GET_TIME);

		EXPECT(now >= last);
		last = now;
	}
}

TEST("I11 E9 GET_TIME is the host's monotonic clock and never steps back")
{
	u64 before = now_ns(), after;
	struct guest *g = make_guest(time_goes_on);

	passes(g);
	after = now_ns();
	CHECK(after > before);
}

static void reads_wall(void)
{
	EXPECT(SHARED->wall_sec > 1000000000);
	EXPECT(SHARED->wall_nsec < 1000000000);
	EXPECT(!(SHARED->time_seq & 1));
	EXPECT_EQ(SHARED->vcpu, 0);
	HCALL(NOTIFY, SHARED->wall_sec);
	on_event = takes;
	for (int i = 0; i < 100; i++)
		clock_once(1);
	EXPECT(SHARED->time_seq >= 200);
	EXPECT(SHARED->wall_nsec < 1000000000);
}

TEST("E11 the wall clock is written at INIT and at each interrupt")
{
	struct guest *g = make_guest(reads_wall);
	struct { long s, ns; } now;
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	clock_gettime(0, (void *)&now);
	CHECK((u64)now.s - g->exit.value <= 2);
	passes(g);
}

static void send_interrupts(void)
{
	on_event = takes;
	HCALL(NOTIFY, 1);		/* the launcher raises line 9 */
	EXPECT_EQ(taken, 0);
	EXPECT(SHARED->irq_pending != 0);
	SHARED->irq_enabled = IF;
	HCALL(SEND_INTERRUPTS);
	EXPECT_EQ(taken, 1);
	EXPECT_EQ(SHARED->irq_pending, 0);
	EXPECT_EQ(SHARED->irq_enabled, IF);
}

TEST("E6 SEND_INTERRUPTS delivers what waited, before the next instruction")
{
	struct guest *g = make_guest(send_interrupts);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(request(g, LHREQ_IRQ, 9), 16);
	passes(g);
}

/* ---- The others ---- */

static u64 bad_cr3;

/* NOTIFY, and the instruction behind it, where an interrupt must strike. */
SNIPPET(notifies_then, "mov $17, %eax; mov $1, %edi; syscall\n"
	"notifies_next: mov $0x77, %ebx\n");
extern char notifies_next[];

static void strikes_at_next(void)
{
	for (int i = 0; i < 20; i++) {
		struct frame f = kernel_at((void (*)(void))notifies_then);

		f.rflags |= IF;
		f.rbx = 0;
		run(&f);
		EXPECT_EQ(f.vector, LGUEST_IRQ_VECTOR + 9);
		EXPECT_EQ(f.rip, (u64)notifies_next);
		EXPECT_EQ(f.rbx, 0);
		EXPECT_EQ(SHARED->irq_enabled, 0);
	}
}

TEST("C5 an interrupt between two reads comes before the next instruction")
{
	struct guest *g = make_guest(strikes_at_next);

	for (int i = 0; i < 20; i++) {
		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		CHECK_EQ(request(g, LHREQ_IRQ, 9), 16);
	}
	passes(g);
}

static void loads_bad_cr3(void)
{
	HCALL(LOAD_CR3, bad_cr3);
}

static void makes_bad_space(void)
{
	HCALL(NEW_SPACE, bad_cr3);
}

TEST("AT-34 LOAD_CR3 and NEW_SPACE beyond RAM")
{
	static const u64 bad[] = { GUEST_SIZE, GUEST_SIZE + DEVICE_SIZE,
		1ULL << 32, 1ULL << 43, 1ULL << 44, (1ULL << 52) - PAGE,
		LGUEST_CR3_NOFLUSH | GUEST_SIZE };

	for (size_t i = 0; i < sizeof(bad) / 8; i++) {
		bad_cr3 = bad[i];
		guest_dies(loads_bad_cr3, "bad page directory");
		guest_dies(makes_bad_space, "bad page directory");
	}
}

static void loads_odd_cr3(void)
{
	/* PCID, no-flush and reserved bits are no part of the address. */
	HCALL(LOAD_CR3, MAIN_CR3 | 0xfff);
	HCALL(LOAD_CR3, MAIN_CR3 | LGUEST_CR3_NOFLUSH | 5);
	HCALL(LOAD_CR3, MAIN_CR3 | 0x7ff0000000000000);
	HCALL(DROP_SPACE, MAIN_CR3);		/* in use: stays */
	HCALL(DROP_SPACE, ~0ULL);
	HCALL(DROP_SPACE, 0);
	HCALL(DROP_SPACE, 1ULL << 44);
	HCALL(NEW_SPACE, MAIN_CR3 | 0x7ff0000000000fff);	/* in use, too */
	HCALL(NEW_SPACE, 0);
}

TEST("I9 LOAD_CR3, DROP_SPACE and NEW_SPACE with odd bits")
{
	guest_passes(loads_odd_cr3);
}

static void loads_junk_cr3(void)
{
	volatile u64 *junk = AT(0x60000);

	for (int i = 0; i < 512; i++)
		junk[i] = 0;
	HCALL(LOAD_CR3, 0x60000);	/* the kernel half is as if global ... */
	HCALL(FLUSH_TLB, LGUEST_FLUSH_ALL, 0);	/* ... until now */
}

TEST("AT-10 an empty top-level table: triple fault, no loop")
{
	guest_dies(loads_junk_cr3, "triple fault: trap 14");
}

static u64 flush_kind;

static void flushes_odd(void)
{
	static const u64 odd[] = { 0, ~0ULL, 0x800000000000, 0xffff800000000000,
		0xffff7fffffffffff, 0xfffffe0000000000, 1ULL << 63, 0xdeadbeef000 };

	for (size_t i = 0; i < sizeof(odd) / 8; i++)
		HCALL(FLUSH_TLB, LGUEST_FLUSH_ONE, odd[i]);
	HCALL(FLUSH_TLB, LGUEST_FLUSH_USER, ~0ULL);
	HCALL(FLUSH_TLB, LGUEST_FLUSH_ALL, ~0ULL);
}

static void flushes_bad(void)
{
	HCALL(FLUSH_TLB, flush_kind, 0);
}

TEST("AT-40 AT-28 FLUSH_TLB of any address is safe, of an unknown kind is not")
{
	guest_passes(flushes_odd);
	for (flush_kind = 3; flush_kind < 6; flush_kind++)
		guest_dies(flushes_bad, "no flush kind");
	flush_kind = ~0ULL;
	guest_dies(flushes_bad, "no flush kind");
	flush_kind = 1ULL << 32;
	guest_dies(flushes_bad, "no flush kind");
}

static void keeps_registers(void)
{
	static const u64 harmless[] = { LHCALL_FLUSH_ASYNC, LHCALL_GET_TIME,
		LHCALL_SEND_INTERRUPTS, LHCALL_FLUSH_TLB, LHCALL_SET_CLOCKEVENT };

	for (size_t i = 0; i < sizeof(harmless) / 8; i++) {
		u64 rax = harmless[i], rbx = 0xb, rsi = 0x51, rdi = 0, rdx = 0xd,
		    ok;

		asm volatile("push %%rbp; push %%r12; push %%r15\n"
			     "mov $0x8, %%r8; mov $0x9, %%r9; mov $0x10, %%r10\n"
			     "mov $0x12, %%r12; mov $0x15, %%r15; mov $0xbb, %%rbp\n"
			     "std; stc\n"
			     "syscall\n"
			     "setc %%cl; pushf; cld\n"
			     "xor $0x8, %%r8; xor $0x9, %%r9; xor $0x10, %%r10\n"
			     "xor $0x12, %%r12; xor $0x15, %%r15; xor $0xbb, %%rbp\n"
			     "or %%r8, %%r9; or %%r10, %%r12; or %%r15, %%rbp\n"
			     "or %%r9, %%r12; or %%r12, %%rbp\n"
			     "pop %%r8; and $0x400, %%r8; xor $0x400, %%r8\n"
			     "or %%r8, %%rbp; xor $1, %%cl; movzx %%cl, %%ecx\n"
			     "or %%rcx, %%rbp; mov %%rbp, %0\n"
			     "pop %%r15; pop %%r12; pop %%rbp"
			     : "=&a" (ok), "+b" (rbx), "+S" (rsi), "+D" (rdi),
			       "+d" (rdx)
			     : "0" (rax)
			     : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
		EXPECT_EQ(ok, 0);
		EXPECT_EQ(rbx, 0xb);
		EXPECT_EQ(rsi, 0x51);
		EXPECT_EQ(rdi, 0);
		EXPECT_EQ(rdx, 0xd);
	}
}

TEST("D8 a hypercall keeps all registers but rax, rcx, r11, and the flags")
{
	guest_passes(keeps_registers);
}

static void counts_calls(void)
{
	for (int i = 0; i < 1000; i++)
		HCALL(GET_TIME);
}

TEST("D8 C1 calls under a storm of interrupts from outside: none lost, none twice")
{
	struct guest *g = make_guest(counts_calls);

	passes(g);
	CHECK_EQ(stat_of(g, "hypercall_GET_TIME"), 1000);
}
