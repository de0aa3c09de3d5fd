// SPDX-License-Identifier: GPL-2.0
/*
 * Random guests and random launchers: whatever they do, the host goes on, and
 * all that ends is they.  One kind of each test is bounded by time:
 *
 *	SEED=n		the same random numbers again (threads still race)
 *	FUZZ_SECONDS=n	of each kind; LAB_SLOW if not set, 1 on a host that is not slow
 *	FUZZ_VERBOSE=1	tell what each guest died of
 *	KILLS=n		launchers to kill in the test of that; 50 if not set
 *
 * Guests are made anew when they die, by whatever sentence, or are stuck; only
 * a failed EXPECT() of their own is a failure.  Complaints of the host kernel
 * are the runner's business, as in every test.
 *
 * Here: hypercalls, the shared page, return records, debug exceptions.  Read
 * next: fuzz_tables.c, fuzz_device.c, fuzz_kill.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"
#include "fuzz.h"

/* ---- Random numbers, for both halves ---- */

u64 random_state;

u64 next_random(u64 *state)	/* xorshift64* */
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1d;
}

u64 below(u64 n)
{
	return (next_random(&random_state) >> 11) % n;
}

/*
 * For the next guest, which gets a copy of the state.  Merely a step further
 * would give it the same numbers as the last one, but for the first.
 */
void other_numbers(void)
{
	u64 x = random_state + 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	random_state = (x ^ x >> 31) | 1;
}

/* Any word, but often one at a boundary. */
u64 any_from(u64 *state)
{
	u64 r = next_random(state);
	u64 near = (r >> 8 & 15) - 8;

	switch (r & 15) {
	case 0: return r >> 60;
	case 1: return near;
	case 2: return 0x800000000000 + near;
	case 3: return 0xffff800000000000 + near;
	case 4: return 0x8000000000000000 + near;
	case 5: return GUEST_SIZE + near;
	case 6: return GUEST_SIZE + DEVICE_SIZE + near;
	case 7: return KERNEL_VA + (r >> 20 & (2 * GUEST_SIZE - 1));
	case 8: return USER_VA + (r >> 20 & (2 * GUEST_SIZE - 1));
	case 9: return r >> 20 & (GUEST_SIZE - 1);
	case 10: return r >> 20 & (GUEST_SIZE - PAGE);
	case 11: return 1UL << (r >> 20 & 63);
	case 12: return (1UL << (r >> 20 & 63)) - 1;
	case 13: return 0xfffffe0000000000 + (r >> 20 & 0xffff000);
	case 14: return r >> 44 & 0x3f;
	}
	return next_random(state);
}

u64 any(void)
{
	return any_from(&random_state);
}

/* ---- Running random guests ---- */

volatile u64 cases;
u64 all_cases, guests, seed, until;

/* The runner's patience grows with FUZZ_SECONDS. */
extern struct test __start_tests[], __stop_tests[];

static u64 fuzz_seconds(void)
{
	const char *given = getenv("FUZZ_SECONDS");

	return given ? strtoull(given, NULL, 10) : slow;
}

__attribute__((constructor)) static void more_patience(void)
{
	for (struct test *t = __start_tests; t < __stop_tests; t++)
		if (strstr(t->name, "fuzz:") && fuzz_seconds() > 3)
			t->seconds += 2 * fuzz_seconds();
}

static void nothing(int signal)
{
	(void)signal;
}

void begin(void)
{
	const char *given = getenv("SEED");
	struct sigaction act = { .sa_handler = nothing };

	seed = given ? strtoull(given, NULL, 0) : now_ns() ^ (u64)getpid() << 48;
	random_state = seed;
	other_numbers();
	sigaction(SIGALRM, &act, NULL);
	sigaction(SIGUSR1, &act, NULL);
	until = now_ns() + fuzz_seconds() * 1000000000;
	dprintf(1, "# SEED=%#llx\n", (unsigned long long)seed);
}

void tick(unsigned int ms)
{
	struct itimerval t = { { 0, ms * 1000 }, { 0, ms * 1000 } };

	setitimer(ITIMER_REAL, &t, NULL);
}

void report(const char *what)
{
	tick(0);
	dprintf(1, "# fuzz: %s: %llu cases, %llu guests, SEED=%#llx\n", what,
		(unsigned long long)all_cases, (unsigned long long)guests,
		(unsigned long long)seed);
	CHECK(all_cases);
}

void judge(struct guest *g)
{
	if (getenv("FUZZ_VERBOSE"))
		dprintf(1, "# guest %llu: %s\n", (unsigned long long)guests, g->reason);
	if (strstr(g->reason, "fuzz"))
		fail("SEED=%#llx guest %llu: %s", (unsigned long long)seed,
		     (unsigned long long)guests, g->reason);
}

/* Run a guest until it dies, is stuck, or the time is over. */
void drive(struct guest *g)
{
	u64 before = ~0UL;
	int kind, idle = 0;

	guests++;
	tick(5 * slow);
	while (now_ns() < until) {
		kind = go(g);
		if (kind == 0) {
			judge(g);
			break;
		}
		if (kind == -EINTR) {
			idle = IN_GUEST(g, cases) == before ? idle + 1 : 0;
			if (idle == 4) {
				snprintf(g->reason, sizeof(g->reason), "stuck at %#llx",
					 (unsigned long long)getreg(g,
					 offsetof(struct user_regs_struct, rip)));
				judge(g);
				break;
			}
			before = IN_GUEST(g, cases);
			request(g, LHREQ_IRQ, before & 63);	/* it may be halted */
		} else if (kind == LGUEST_EXIT_TRAP || kind == LGUEST_EXIT_MMIO) {
			request(g, LHREQ_TRAP, 13, 0);
		} else if (kind < 0) {
			break;
		}
	}
	tick(0);
	all_cases += IN_GUEST(g, cases);
}

void fuzz_guests(void (*fn)(void), const char *what)
{
	begin();
	while (now_ns() < until) {
		struct guest *g = make_guest(fn);

		drive(g);
		end_guest(g);
		other_numbers();
	}
	report(what);
}

/* Interrupts are returned from, and whatever else comes ends the guest. */
void take(struct frame *f)
{
	if (f->vector < 0x20 || f->vector == 0x80)
		HCALL(SHUTDOWN, 0, LGUEST_SHUTDOWN_POWEROFF);
}

/* ---- AT-49: hypercalls ---- */

static u64 some_call(void)
{
	static const u8 good[] = { 0, 4, 5, 5, 5, 5, 9, 10, 16, 17, 19, 21, 22 };
	u64 r = below(4000);

	return r < 3996 ? good[below(sizeof(good))] : r < 3998 ? below(32) : any();
}

static u64 some_argument(u64 call, int n)
{
	u64 r = below(3000);

	if (!r)
		return any();
	if (call == LHCALL_LOAD_CR3)
		return MAIN_CR3 | (any() & LGUEST_CR3_NOFLUSH) | below(16);
	if (call == LHCALL_FLUSH_TLB && n == 0)
		return below(3);
	if (call == LHCALL_LOAD_TLS)
		return r > 2000 ? 0 : r > 6 ? 0x00cff3000000ffff :
				 0x00cff3000000ffff ^ (1UL << below(64));
	if (call == LHCALL_SET_CLOCKEVENT)
		return below(1000000);
	return any();
}

static void some_ring(void)
{
	for (u64 i = below(4); i; i--) {
		u64 n = below(LGUEST_RING_SIZE);
		u64 call = some_call();

		SHARED->hcalls[n].number = call;
		for (int k = 0; k < 4; k++)
			SHARED->hcalls[n].arg[k] = some_argument(call, k);
		SHARED->hcall_status[n] = below(8) ? 0 : below(256);
	}
}

void random_calls(void)
{
	on_event = take;
	for (;; cases++) {
		u64 call = some_call();

		if (!below(8))
			SHARED->irq_enabled = any() & LGUEST_IF;
		if (!below(64))
			some_ring();
		if (call == LHCALL_HALT && below(16))
			continue;	/* that is mostly waiting */
		if (call == LHCALL_HALT)
			HCALL(SET_CLOCKEVENT, 1 + below(100000));
		hcall(call, some_argument(call, 0), some_argument(call, 1),
		      some_argument(call, 2), some_argument(call, 3));
	}
}

TEST_S(15, "AT-49 fuzz: random hypercalls and ring entries")
{
	fuzz_guests(random_calls, "hypercalls");
}

/* ---- AT-57: the shared page ---- */

SNIPPET(z_call, "syscall\n");
SNIPPET(z_div, "xor %ecx, %ecx; div %ecx\n");
SNIPPET(z_int3, "int3\n");
SNIPPET(z_int80, "int $0x80\n");
SNIPPET(z_read, "mov (%rdi), %rax\n");
SNIPPET(z_write, "mov %rsi, (%rdi)\n");
SNIPPET(z_ss, "mov %rdi, %rax; mov %eax, %ss; syscall\n");
SNIPPET(z_gs, "rdgsbase %rax; wrgsbase %rdi; wrfsbase %rdi; syscall\n");

char *some_code(void)
{
	switch (below(9)) {
	case 0: return z_div;
	case 1: return z_int3;
	case 2: return z_int80;
	case 3: return z_read;
	case 4: return z_write;
	case 5: return z_ss;
	case 6: return z_gs;
	}
	return z_call;
}

static struct frame some_user(void)
{
	struct frame f = user_at((void (*)(void))some_code());

	f.rdi = below(2) ? any() : 0x20000000000 + below(1 << 20);
	f.rsi = any();
	f.rflags = below(2) ? IF | 2 : any() & ~(u64)TF;
	return f;
}

void user_events(void)
{
	on_event = take;
	for (;; cases++) {
		struct frame f = some_user();

		SHARED->direct_faults = below(2);
		if (!below(4)) {
			SHARED->fill_address = any();
			SHARED->fill_error = any();
		}
		if (!below(16))
			HCALL(SET_CLOCKEVENT, 1 + below(50000));
		run(&f);
	}
}

static volatile u64 *scribble_at;
static volatile bool stop;
static volatile u64 scribbles;

static void *scribbles_on(void *unused)
{
	u64 state = seed * 3 | 1;

	(void)unused;
	while (!stop) {
		volatile u64 *page = scribble_at;
		u64 r = next_random(&state), n = r >> 32 & 511;

		/* What our small kernel itself needs, only now and then. */
		if (n < 64 && r >> 50 & 3)
			n = (r >> 41 & 1) ? 4 + (r >> 42) % 19 : 35 + (r >> 42) % 3;
		if (n >= LGS_SP0 / 8 && n < LGS_SCRATCH / 8 + 4 && r >> 52 & 31)
			continue;
		if (page) {
			page[n] = any_from(&state);
			scribbles++;
		}
		for (u64 i = r >> 58 << (r & 7); i; i--)
			asm volatile("pause");
	}
	return NULL;
}

TEST_S(15, "AT-57 fuzz: the shared page changes under the Host and the guest")
{
	pthread_t thread;

	begin();
	pthread_create(&thread, NULL, scribbles_on, NULL);
	while (now_ns() < until) {
		struct guest *g = make_guest(guests & 1 ? random_calls : user_events);

		scribble_at = (u64 *)(g->mem + SHARED_GPA);
		drive(g);
		scribble_at = NULL;
		usleep(1000);	/* the thread may be in the middle of it */
		close(g->fd);	/* and has the memory for longer */
		free(g);
		other_numbers();
	}
	stop = true;
	pthread_join(thread, NULL);
	all_cases += scribbles;
	report("shared page (events and words changed)");
}

/* ---- AT-07, AT-08: IRET ---- */

#define NEVER (0x3000UL | NT | 1 << 17 | 1 << 19 | 1 << 20)

static void random_returns(void)
{
	on_event = take;
	for (;; cases++) {
		struct frame f = some_user();
		bool known = below(2), kernel = !below(4);

		if (kernel)
			f = kernel_at((void (*)(void))z_div);
		if (!known)
			f.rip = any();
		if (below(2))
			f.cs = below(0x10000);
		if (below(2))
			f.ss = below(0x10000);
		f.rflags = any();
		if (below(2))
			f.rsp = any();
		f.rax = any();
		f.rcx = any();
		f.r11 = any();
		run(&f);
		EXPECT(f.cs == KERNEL_CS || f.cs == USER_CS || f.cs == USER32_CS);
		EXPECT(f.ss == KERNEL_SS || f.ss == USER_SS);
		if (known)
			EXPECT_EQ(f.rflags & NEVER, 0);
		EXPECT_EQ(SHARED->irq_enabled, 0);
	}
}

TEST_S(15, "AT-07 AT-08 fuzz: random return records")
{
	fuzz_guests(random_returns, "return records");
}

/* ---- AT-02, AT-13: debug exceptions where two worlds meet ---- */

#define MOV_SS "mov %ss, %edx; mov %edx, %ss; "
SNIPPET(z_ss_call, MOV_SS "syscall; nop\n");
SNIPPET(z_ss_int3, MOV_SS "int3; nop\n");
SNIPPET(z_ss_int80, MOV_SS "int $0x80; nop\n");
SNIPPET(z_ss_div, MOV_SS "div %cl; nop\n");
SNIPPET(z_ss_fault, MOV_SS "mov (%rdi), %rax; nop\n");
SNIPPET(z_ss_popf, "pushf; orl $0x100, (%rsp); " MOV_SS "popf; syscall; nop\n");
SNIPPET(z_ss_iret, "lea 1f(%rip), %rdx; mov %rdx, %gs:" STR(LGS_IRET_RIP) "\n"
	"orq $0x100, %gs:" STR(LGS_IRET_RFLAGS) "; mov $20, %eax\n"
	MOV_SS "syscall; 1: nop; nop\n");
SNIPPET(z_icebp, ".byte 0xf1; nop\n");

static char *some_trick(u64 n)
{
	switch (below(n)) {
	case 0: return z_ss_call;
	case 1: return z_ss_int3;
	case 2: return z_ss_int80;
	case 3: return z_ss_div;
	case 4: return z_ss_fault;
	case 5: return z_ss_popf;
	case 6: return z_ss_iret;
	case 7: return z_icebp;
	}
	return some_code();
}

/* From event to event, stepping or not, on the fast and the slow way. */
static void debug_tricks(void)
{
	on_event = take;
	for (;; cases++) {
		struct frame f = user_at((void (*)(void))some_trick(10));

		if (!below(3))	/* without some_code(), which may spoil its GS */
			f = kernel_at((void (*)(void))some_trick(8));
		f.rdi = any();
		f.rcx = 0;
		f.rax = LHCALL_GET_TIME;
		f.rflags |= (below(3) ? TF : 0) | (below(2) ? IF : 0) |
			    (below(4) ? 0 : RF) | (below(4) ? 0 : AC);
		/* Stepped, it would return to itself for ever. */
		if (f.rip == (u64)z_ss_iret)
			f.rflags &= ~(u64)TF;
		SHARED->direct_faults = below(2);
		if (!below(16))
			HCALL(SET_CLOCKEVENT, 1 + below(50000));
		for (int n = 0; n < 6; n++) {
			run(&f);
			if (f.vector == 1)
				EXPECT_EQ(SHARED->irq_enabled, 0);
			EXPECT(f.cs == KERNEL_CS || f.cs == USER_CS);
			if (f.vector != 1 && f.vector != 3)
				break;
			if (below(2))
				f.rflags ^= TF;
		}
	}
}

TEST_S(15, "AT-02 AT-13 fuzz: single step and mov ss over all ways in and out")
{
	fuzz_guests(debug_tricks, "debug tricks");
}
