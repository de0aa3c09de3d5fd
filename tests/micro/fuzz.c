// SPDX-License-Identifier: GPL-2.0
/*
 * Random guests and random launchers: whatever they do, the host goes on, and
 * all that ends is they.  One kind of each test is bounded by time:
 *
 *	SEED=n		the same random numbers again (threads still race)
 *	FUZZ_SECONDS=n	of each kind; 3 if not set
 *	FUZZ_VERBOSE=1	tell what each guest died of
 *
 * Guests are made anew when they die, by whatever sentence, or are stuck; only
 * a failed EXPECT() of their own is a failure.  Complaints of the host kernel
 * are the runner's business, as in every test.
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

/* ---- Random numbers, for both halves ---- */

static u64 random_state;		/* the main thread's, or the guest's */

static u64 next_random(u64 *state)	/* xorshift64* */
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1d;
}

static u64 below(u64 n)
{
	return (next_random(&random_state) >> 11) % n;
}

/*
 * For the next guest, which gets a copy of the state.  Merely a step further
 * would give it the same numbers as the last one, but for the first.
 */
static void other_numbers(void)
{
	u64 x = random_state + 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	random_state = (x ^ x >> 31) | 1;
}

/* Any word, but often one at a boundary. */
static u64 any_from(u64 *state)
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

static u64 any(void)
{
	return any_from(&random_state);
}

/* ---- Running random guests ---- */

static volatile u64 cases;		/* the guest's count */
static u64 all_cases, guests, seed, until;

/* The runner's patience grows with FUZZ_SECONDS. */
extern struct test __start_tests[], __stop_tests[];

static u64 fuzz_seconds(void)
{
	const char *given = getenv("FUZZ_SECONDS");

	return given ? strtoull(given, NULL, 10) : 3;
}

__attribute__((constructor)) static void more_patience(void)
{
	for (struct test *t = __start_tests; t < __stop_tests; t++)
		if (!strcmp(t->file, __FILE__) && fuzz_seconds() > 3)
			t->seconds += fuzz_seconds() - 3;
}

static void nothing(int signal)
{
	(void)signal;
}

static void begin(void)
{
	const char *given = getenv("SEED");
	struct sigaction act = { .sa_handler = nothing };

	seed = given ? strtoull(given, NULL, 0) : now_ns() ^ (u64)getpid() << 48;
	random_state = seed;
	other_numbers();
	sigaction(SIGALRM, &act, NULL);
	sigaction(SIGUSR1, &act, NULL);
	until = now_ns() + fuzz_seconds() * 1000000000;
}

static void tick(unsigned int ms)
{
	struct itimerval t = { { 0, ms * 1000 }, { 0, ms * 1000 } };

	setitimer(ITIMER_REAL, &t, NULL);
}

static void report(const char *what)
{
	tick(0);
	dprintf(1, "# fuzz: %s: %llu cases, %llu guests, SEED=%#llx\n", what,
		(unsigned long long)all_cases, (unsigned long long)guests,
		(unsigned long long)seed);
}

static void judge(struct guest *g)
{
	if (getenv("FUZZ_VERBOSE"))
		dprintf(1, "# guest %llu: %s\n", (unsigned long long)guests, g->reason);
	if (strstr(g->reason, "fuzz.c:"))
		fail("SEED=%#llx guest %llu: %s", (unsigned long long)seed,
		     (unsigned long long)guests, g->reason);
}

/* Run a guest until it dies, is stuck, or the time is over. */
static void drive(struct guest *g)
{
	u64 before = ~0UL;
	int kind, idle = 0;

	guests++;
	tick(5);
	while (now_ns() < until) {
		kind = go(g);
		if (kind == 0) {
			judge(g);
			break;
		}
		if (kind == -EINTR) {
			idle = IN_GUEST(g, cases) == before ? idle + 1 : 0;
			if (idle == 4) {
				strcpy(g->reason, "stuck");
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

static void fuzz_guests(void (*fn)(void), const char *what)
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
static void take(struct frame *f)
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

static void random_calls(void)
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

static char *some_code(void)
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

static void user_events(void)
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

/* ---- AT-26, AT-27, AT-32: page tables ---- */

#define TABLES 10		/* spare tables; the first two are top levels */
#define DATA 0x400000UL		/* pages to map, up to the end of RAM */

static u64 tables[TABLES];

static u64 some_index(int level)
{
	static const u16 tops[] = { 1, 2, 255, 257, 300, 511 };

	if (level == 4)
		return tops[below(5)];
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

static u64 touch(u64 va, u64 value, bool write, bool user, u64 *got)
{
	char *code = write ? z_write : z_read;
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

static void random_tables(void)
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
		bool write = below(2), user = below(2), check = below(2);

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
		if (check)
			HCALL(FLUSH_TLB, LGUEST_FLUSH_ALL);
		else if (below(2))
			HCALL(FLUSH_TLB, below(3), va);
		want = reference(cr3, va, write, user);
		old = want == OK ? *(volatile u64 *)AT(found_at) : 0;
		/* Never a present entry, should it land in a table. */
		value = cases << 13;
		if (!check && want == OK && found_at < DATA)
			write = false;
		if (!check && write)
			continue;	/* by an old entry, into who knows what */
		result = touch(va, value, write, user, &got);
		if (!check || want == UNKNOWN)
			continue;
		EXPECT_EQ(result, want);
		if (want != OK)
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

/* ---- AT-49: /dev/lguest ---- */

#define FD 200			/* the guest of the moment, always */
#define BUSY 4

static void busy(void)
{
	on_event = take;
	for (;; cases++) {
		struct frame f = user_at((void (*)(void))some_code());

		f.rdi = any();
		SHARED->irq_enabled = below(2) * LGUEST_IF;
		if (!below(16))
			HCALL(SET_CLOCKEVENT, 1 + below(100000));
		if (!below(32))
			HCALL(NOTIFY, 1 + below(4));
		if (!below(8))
			*(volatile u64 *)AT(DATA + below(1024) * PAGE) = cases;
		if (!below(16))
			*(volatile u32 *)AT(GUEST_SIZE + 4 * below(16)) = below(4);
		if (!below(16))
			HCALL(FLUSH_TLB, below(3), any());
		run(&f);
	}
}

static u8 *fuzz_mem;
static volatile u64 requests;

static void some_request(u64 *state)
{
	u64 r = next_random(state), words[8];
	u64 size = (r >> 8 & 15) ? sizeof(words) : r >> 12 & 127;
	off_t at = (r >> 20 & 31) ? 0 : (off_t)any_from(state);
	void *buf = words;

	for (int i = 0; i < 8; i++)
		words[i] = any_from(state);
	words[0] = (r >> 25 & 31) ? (r >> 30) % 11 : any_from(state);
	if (words[0] == LHREQ_BREAK)
		words[1] = (r >> 40 & 7) == 0;
	if (r >> 41 & 1)
		words[1] &= 63;
	if (words[0] >= LHREQ_DEVICE_EVENTFD && r >> 42 & 1)
		words[1 + (words[0] == LHREQ_IRQ_STATUS)] =
			GUEST_SIZE + 4 * (r >> 43 & 15);
	if (r >> 47 & 1)
		words[2] = words[3] = 210 + (r >> 48 & 7);	/* eventfds */
	if (words[0] == LHREQ_INITIALIZE && r >> 51 & 3)
		words[1] &= -PAGE;
	if (!(r >> 53 & 63))
		buf = (void *)any_from(state);
	if (size > sizeof(words) && buf == words)
		size = sizeof(words);
	if (pwrite(FD, buf, size, at) < 0)
		errno = 0;
	requests++;
}

static void some_memory(u64 *state)
{
	u64 r = next_random(state);
	u8 *at = fuzz_mem + DATA + ((r >> 8) % 1024) * PAGE;
	u64 size = (1 + (r >> 20) % 16) * PAGE;

	if (at + size > fuzz_mem + GUEST_SIZE)
		size = PAGE;
	switch (r & 15) {
	case 0:
		munmap(at, size);
		__attribute__((fallthrough));	/* it comes back */
	case 1: case 2:
		mmap(at, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 3:
		mprotect(at, size, PROT_READ);
		mprotect(at, size, PROT_READ | PROT_WRITE);
		break;
	default:
		madvise(at, size, MADV_DONTNEED);
	}
}

static void *requests_on(void *arg)
{
	u64 state = (seed + (u64)arg) * 5 | 1, one = 1;

	while (!stop) {
		u64 r = next_random(&state);
		int fd;

		some_request(&state);
		if (!(r & 15))
			some_memory(&state);
		if (!(r >> 4 & 63) && write(210 + (r >> 10 & 7), &one, 8) != 8)
			errno = 0;
		if (!(r >> 13 & 255)) {		/* another file, a second guest */
			fd = open("/dev/lguest", O_RDWR);
			dup2(fd, 201);
			close(fd);
			u64 words[] = { 0, (u64)fuzz_mem, 1, 0, 1 };
			if (write(201, words, sizeof(words)) > 0 && read(201, words, 40))
				errno = 0;
			close(201);
		}
		if (!(r >> 21 & 255)) {		/* a copy of the eventfd: new ones */
			fd = eventfd(0, EFD_NONBLOCK);
			dup2(fd, 210 + (r >> 29 & 7));
			close(fd);
		}
		if (!(r >> 32 & 255))
			close(dup(FD));
		if (!(r >> 40 & 1023) && fork() == 0) {
			u64 words[16];

			for (int i = 0; i < 30; i++)
				if (read(FD, words, sizeof(words)) > 0)
					_exit(1);	/* not its guest */
			alarm(1);
			signal(SIGALRM, SIG_DFL);
			for (int i = 0; i < 100; i++)
				some_request(&state);
			_exit(0);
		}
	}
	return NULL;
}

static pthread_t fuzzers[BUSY];
static pthread_t main_thread;

static void *ticks_on(void *unused)
{
	(void)unused;
	while (!stop) {
		usleep(5000);
		for (int i = 0; i < BUSY; i++)
			pthread_kill(fuzzers[i], SIGUSR1);
		pthread_kill(main_thread, SIGUSR1);
	}
	/* Until all have seen it. */
	for (int k = 0; k < 200; k++) {
		usleep(1000);
		for (int i = 0; i < BUSY; i++)
			pthread_kill(fuzzers[i], SIGUSR1);
	}
	return NULL;
}

/* The file is open; the last one's guest may take a moment to go. */
static void initialize_soon(struct guest *g)
{
	int err = 0, status;

	for (int i = 0; i < 3000; i++) {
		err = initialize(g, IMAGE_GPA + (guest_boot - __executable_start));
		if (!err || err == -EBUSY)	/* a random request did it */
			return;
		while (waitpid(-1, &status, WNOHANG) > 0)
			continue;
		usleep(1000);
	}
	fail("INITIALIZE: %s for 3 s", strerror(-err));
}

static u64 pass_between(struct guest *g, u64 end)
{
	u8 buf[400];
	u64 done = 0, died = 0;

	while (now_ns() < end && died < 3) {
		ssize_t got = pread(FD, below(16) ? buf : (void *)any(),
				    below(16) ? sizeof(buf) : below(64),
				    below(64) ? 0 : any());

		done++;
		died += got < 0 && errno == ENOENT;
		if (got < 0 && errno == EAGAIN)
			request(g, LHREQ_BREAK, 0);
		else if (got == sizeof(struct lguest_exit) && below(2))
			request(g, LHREQ_TRAP, 13, 0);
	}
	return done;
}

TEST_S(25, "AT-49 AT-59 fuzz: random requests, threads, forks and mappings")
{
	struct guest *g = raw_guest(GUEST_SIZE);
	pthread_t ticker;
	int status, bad = 0;

	begin();
	main_thread = pthread_self();
	fuzz_mem = g->mem;
	dup2(g->fd, FD);
	close(g->fd);
	g->fd = FD;
	for (int i = 0; i < 8; i++) {
		int fd = eventfd(0, EFD_NONBLOCK);

		dup2(fd, 210 + i);
		close(fd);
	}
	for (long i = 0; i < BUSY; i++)
		pthread_create(&fuzzers[i], NULL, requests_on, (void *)i);
	pthread_create(&ticker, NULL, ticks_on, NULL);
	while (now_ns() < until) {
		u64 end = now_ns() + below(150) * 1000000;
		int fd;

		other_numbers();
		load_image(g, busy);
		initialize_soon(g);
		guests++;
		all_cases += pass_between(g, end);
		fd = open("/dev/lguest", O_RDWR);
		if (fd < 0)
			fail("/dev/lguest: %s", strerror(errno));
		dup2(fd, FD);		/* the old guest goes while it is in use */
		close(fd);
		while (waitpid(-1, &status, WNOHANG) > 0)
			bad += WIFEXITED(status) && WEXITSTATUS(status);
	}
	stop = true;
	for (int i = 0; i < BUSY; i++)
		pthread_join(fuzzers[i], NULL);
	pthread_join(ticker, NULL);
	all_cases += requests;
	report("requests and reads");
	if (bad)
		fail("%d children could run their parent's guest", bad);
}

/* ---- AT-59: SIGKILL ---- */

static struct guest *make_soon(void (*fn)(void))
{
	struct guest *g = raw_guest(GUEST_SIZE);

	load_image(g, fn);
	initialize_soon(g);
	return g;
}

static pid_t start_launcher(void (*fn)(void), int cpu)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct guest *g;

		if (cpu >= 0)
			on_cpu(cpu);
		g = make_guest(fn);
		while (now_ns() < until + 20000000000) {
			int kind = go(g);

			if (kind == 0) {
				judge(g);
				end_guest(g);
				other_numbers();
				g = make_soon(fn);	/* a child has the old one */
			} else if (kind == LGUEST_EXIT_TRAP ||
				   kind == LGUEST_EXIT_MMIO) {
				request(g, LHREQ_TRAP, 13, 0);
			}
			if (!below(50) && fork() == 0) {
				usleep(below(20000));
				_exit(0);
			}
		}
		_exit(0);
	}
	return pid;
}

/* Kill it; nanoseconds until it is gone. */
static u64 end_launcher(pid_t pid)
{
	u64 began = now_ns();
	int status;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (now_ns() - began > 5000000000)
			fail("a launcher does not end by SIGKILL");
		usleep(500);
	}
	if (!WIFSIGNALED(status))
		fail("the launcher ended by itself: %#x", status);
	return now_ns() - began;
}

TEST_S(40, "AT-59 fuzz: SIGKILL of a launcher at random moments")
{
	static void (*const fns[])(void) = { busy, random_calls, user_events,
					     random_tables };
	begin();
	for (int i = 0; i < 50 || now_ns() < until; i++) {
		pid_t pid = start_launcher(fns[i % 4], -1);

		usleep(below(i % 5 ? 30000 : 2000));
		end_launcher(pid);
		all_cases++;
		other_numbers();
	}
	guests = all_cases;
	report("kills");
	guest_passes(guest_done);
}

/* ---- AT-58, AT-48: fairness ---- */

#define VA 0x10000000000UL

static void spins(void)
{
	SHARED->irq_enabled = 0;
	for (;;)
		asm volatile("");
}

/* Page @n of many, each of which needs an L1 table of its own. */
static void touch_table(u64 n)
{
	u64 va = VA + (n << 21);
	volatile u64 *l2 = entry_of(MAIN_CR3, va, 2);

	*l2 = tables[0] | P_ | W_ | U_;
	(void)*(volatile u64 *)va;
}

static void make_tables(void)
{
	tables[0] = guest_page();
	((volatile u64 *)AT(tables[0]))[0] = DATA | P_ | W_ | U_;
}

static void flushes(void)
{
	make_tables();
	for (u64 i = 0; i < 1500; i++)
		touch_table(i);
	for (;;) {
		for (int i = 0; i < LGUEST_RING_SIZE; i++) {
			SHARED->hcalls[i].number = LHCALL_FLUSH_TLB;
			SHARED->hcalls[i].arg[0] = LGUEST_FLUSH_ALL;
			SHARED->hcall_status[i] = 0;
		}
		HCALL(FLUSH_TLB, LGUEST_FLUSH_ALL);
	}
}

static void builds(void)
{
	make_tables();
	for (u64 i = 0; ; i++)
		touch_table(i % 20000);
}

static void fair(void (*fn)(void), const char *what)
{
	u64 took, longest = 0, dying;
	pid_t pid;

	begin();
	on_cpu(0);
	pid = start_launcher(fn, 0);
	usleep(500000);
	took = now_ns();
	for (int i = 0; i < 100; i++) {
		u64 began = now_ns();

		usleep(5000);
		if (now_ns() - began > longest)
			longest = now_ns() - began;
	}
	took = now_ns() - took;
	dying = end_launcher(pid);
	dprintf(1, "# fair: %s: 100 x 5 ms took %llu ms, the longest %llu ms; dead after %llu ms\n",
		what, (unsigned long long)took / 1000000,
		(unsigned long long)longest / 1000000,
		(unsigned long long)dying / 1000000);
	/* 5 ms, a scheduler's slice, and an emulator's slowness. */
	if (took > 5000000000)
		fail("%s: 100 sleeps of 5 ms take %llu ms", what,
		     (unsigned long long)took / 1000000);
	if (dying > 1000000000)
		fail("%s: %llu ms until SIGKILL ends it", what,
		     (unsigned long long)dying / 1000000);
}

TEST_S(20, "AT-58 a guest that spins with interrupts off leaves others their share")
{
	fair(spins, "spins");
}

TEST_S(20, "AT-58 a guest that flushes everything, 65 times a visit, does too")
{
	fair(flushes, "flushes");
}

TEST_S(20, "AT-58 AT-48 a guest that builds thousands of page tables does too")
{
	fair(builds, "builds tables");
}

static void builds_and_tells(void)
{
	make_tables();
	for (u64 i = 0; ; i++) {
		touch_table(below(8192));
		if (!(i & 511))
			HCALL(LOAD_CR3, i & 512 ? MAIN_CR3 : new_space());
		if (!(i & 255))
			HCALL(NOTIFY, 1);
		cases++;
	}
}

TEST_S(15, "AT-48 fuzz: shadow tables stay bounded")
{
	struct guest *g;
	u64 most = 0;

	begin();
	g = make_guest(builds_and_tells);
	guests = 1;
	while (now_ns() < until) {
		if (go(g) != LGUEST_EXIT_NOTIFY)
			break;		/* it has used up its memory */
		u64 now = stat_of(g, "shadow_tables");

		most = now > most ? now : most;
	}
	all_cases = IN_GUEST(g, cases);
	report("tables touched");
	dprintf(1, "# shadow tables: %llu at the most\n", (unsigned long long)most);
	CHECK(most > 500);
	CHECK(most < 2048 + GUEST_SIZE / PAGE / 128 + 16);
}
