// SPDX-License-Identifier: GPL-2.0
/*
 * Several vCPUs: making them, how they start and end, and what they tell each other.
 * Read next: storms_smp.c.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"

#define NMI	2
#define FIRST	LGUEST_IPI_VECTOR

static volatile u64 beats[LGUEST_VCPUS];
static volatile u64 seen[256];		/* events, by vector */
static volatile u64 seen_by[LGUEST_VCPUS];
static volatile bool go_on, ready;

/* ---- guest half: small things */

static void note_event(struct frame *f)
{
	__atomic_add_fetch(&seen[f->vector], 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&seen_by[own()->vcpu], 1, __ATOMIC_SEQ_CST);
}

static void wait_until(volatile bool *what)
{
	while (!*what)
		asm volatile("pause");
}

static void wait_ns(u64 ns)
{
	u64 until = HCALL(GET_TIME) + ns;

	while (HCALL(GET_TIME) < until)
		;
}

static void beats_forever(void)
{
	for (;;)
		beats[own()->vcpu]++;
}

static void ready_and_wait(void)
{
	ready = true;
	wait_until(&go_on);
}

/* ---- making them */

TEST("L1 H22 AT-87 VCPU makes them in order, each once, 16 in all, as many as are allowed")
{
	struct guest *g = raw_guest(GUEST_SIZE);
	u64 more[8] = { LHREQ_VCPU };

	CHECK_ERRNO(make_vcpu(g, 1), EINVAL);	/* no guest yet */
	CHECK_EQ(initialize(g, 0x1000), 0);
	allow_vcpus(1);
	CHECK_ERRNO(make_vcpu(g, 1), ENOSPC);
	CHECK_ERRNO(make_vcpu(g, 0), EEXIST);
	allow_vcpus(3);
	CHECK_ERRNO(make_vcpu(g, 2), EINVAL);
	CHECK_EQ(make_vcpu(g, 1), 8);
	CHECK_ERRNO(make_vcpu(g, 1), EEXIST);
	CHECK_EQ(pwrite(g->fd, more, sizeof(more), 2), 8);
	CHECK_ERRNO(make_vcpu(g, 3), ENOSPC);
	allow_vcpus(100);
	for (u64 n = 3; n < LGUEST_VCPUS; n++)
		CHECK_EQ(make_vcpu(g, n), 8);
	CHECK_ERRNO(make_vcpu(g, LGUEST_VCPUS), EINVAL);
	CHECK_ERRNO(make_vcpu(g, 1ULL << 32), EINVAL);
	CHECK_ERRNO(make_vcpu(g, -1ULL), EINVAL);
	CHECK_ERRNO(request_at(g, LGUEST_VCPUS, LHREQ_IRQ, 1, 0), EINVAL);
	end_guest(g);
}

TEST("L1 H9 AT-87 VCPU by another process, or for a guest that is dead")
{
	struct guest *g = make_guest(guest_done);
	int status;

	allow_vcpus(LGUEST_VCPUS);
	if (fork() == 0) {
		CHECK_ERRNO(make_vcpu(g, 1), EPERM);
		_exit(0);
	}
	wait(&status);
	CHECK_EQ(status, 0);
	passes(g);
	CHECK_ERRNO(make_vcpu(g, 1), ENOENT);
	end_guest(g);
}

static u64 getreg_at(struct guest *g, u64 n, u64 offset)
{
	u64 value;

	CHECK_EQ(request_at(g, n, LHREQ_GETREG, offset, 0), 16);
	CHECK_EQ(pread(g->fd, &value, 8, n), 8);
	return value;
}

TEST("L1 H21 a further vCPU starts as vCPU 0 does, with its number in rdi")
{
	struct guest *g = make_guest(guest_done);

	allow_vcpus(LGUEST_VCPUS);
	CHECK_EQ(make_vcpu(g, 1), 8);
	CHECK_EQ(make_vcpu(g, 2), 8);
	for (u64 reg = 0; reg < sizeof(struct user_regs_struct); reg += 8)
		if (reg != REG(orig_rax) && reg != REG(rdi)) {
			CHECK_EQ(getreg_at(g, 1, reg), getreg(g, reg));
			CHECK_EQ(getreg_at(g, 2, reg), getreg(g, reg));
		}
	for (u64 n = 0; n < 3; n++) {
		CHECK_EQ(getreg_at(g, n, REG(rdi)), n);
		CHECK_EQ(getreg_at(g, n, LHREG_CR3), ~0ULL);
	}
	passes(g);
	end_guest(g);
}

static void *reads_vcpu_1(void *arg)
{
	struct guest *g = arg;
	struct lguest_exit exit;

	CHECK_EQ(go_at(g, 1, &exit), -EPERM);
	CHECK_ERRNO(request_at(g, 1, LHREQ_SETREG, REG(rax), 1), EPERM);
	CHECK_EQ(request_at(g, 1, LHREQ_IRQ, 3, 0), 16);
	return NULL;
}

static void no_sleep(int sig)
{
	(void)sig;
}

TEST("L1 H9 its own task runs it, no other; it sleeps until it is kicked")
{
	struct guest *g = make_guest(guest_done);
	struct sigaction sa = { .sa_handler = no_sleep };
	struct lguest_exit exit;
	pthread_t thread;

	allow_vcpus(LGUEST_VCPUS);
	CHECK_EQ(make_vcpu(g, 1), 8);
	pthread_create(&thread, NULL, reads_vcpu_1, g);
	pthread_join(thread, NULL);
	sigaction(SIGALRM, &sa, NULL);
	alarm(1);
	CHECK_EQ(go_at(g, 1, &exit), -EINTR);
	CHECK_EQ(stat_of(g, "world_switches"), 0);	/* the last one's */
	/* A step does not start it either. */
	CHECK_EQ(request_at(g, 1, LHREQ_STEP, 1, 0), 16);
	alarm(1);
	CHECK_EQ(go_at(g, 1, &exit), -EINTR);
	passes(g);
	end_guest(g);
}

/* ---- two that run */

static void counts_two(void)
{
	HCALL(KICK, 1);
	for (u64 first = 0; first < 10000 || beats[1] < 10000; first++)
		beats[0] = first;
	guest_done();
}

TEST("L1 two vCPUs that count")
{
	struct guest *g = make_guest_with(2, counts_two, beats_forever);

	passes(g);
	join_siblings(g);
	CHECK(IN_GUEST(g, beats)[0] >= 9999 && IN_GUEST(g, beats)[1] >= 10000);
	CHECK(stat_of(g, "world_switches") > 0);
	end_guest(g);
}

static void sixteen(void)
{
	for (u64 n = 1; n < LGUEST_VCPUS; n++)
		HCALL(KICK, n);
	for (u64 n = 1; n < LGUEST_VCPUS; n++)
		while (beats[n] < 100)
			;
	guest_done();
}

TEST_S(60, "L1 sixteen of them")
{
	guest_with_passes(LGUEST_VCPUS, sixteen, beats_forever);
}

static void ends_it(void)
{
	while (beats[0] < 1000)
		;
	HCALL(SHUTDOWN, gpa_of("of the second"), LGUEST_SHUTDOWN_CRASH);
}

static void kicks_and_beats(void)
{
	HCALL(KICK, 1);
	beats_forever();
}

TEST("B5 L1 a guest whose second vCPU ends it: the first runs no more")
{
	struct guest *g = make_guest_with(2, kicks_and_beats, ends_it);
	u64 then;

	dies(g, "CRASH: of the second");
	join_siblings(g);
	then = IN_GUEST(g, beats)[0];
	usleep(50000);
	CHECK_EQ(IN_GUEST(g, beats)[0], then);
	end_guest(g);
}

static void restarts(void)
{
	HCALL(SHUTDOWN, 0, LGUEST_SHUTDOWN_RESTART);
}

TEST("L1 a restart that the second asks for ends both")
{
	struct guest *g = make_guest_with(2, kicks_and_beats, restarts);

	CHECK_EQ(go(g), -ERESTART);
	join_siblings(g);
	CHECK_EQ(g->ended[1], -ERESTART);
	end_guest(g);
}

static void init_of_another(void)
{
	HCALL(KICK, 1);
	HCALL(NOTIFY, 1);
	guest_done();
}

/* Two addresses of the guest's memory, and one page of ours. */
static void make_one_page(struct guest *g, u64 one, u64 other)
{
	int fd = memfd_create("page", 0);

	CHECK_EQ(ftruncate(fd, PAGE), 0);
	CHECK(mmap(g->mem + one, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		   fd, 0) != MAP_FAILED);
	CHECK(mmap(g->mem + other, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		   fd, 0) != MAP_FAILED);
}

TEST("I2 L1 INIT with the page of another vCPU ends the guest")
{
	struct guest *g = raw_guest(GUEST_SIZE);
	struct lguest_exit exit;

	make_one_page(g, SHARED_GPA, SIBLINGS_GPA + SIBLING_SIZE);
	load_image(g, init_of_another);
	CHECK_EQ(initialize(g, IMAGE_GPA + (guest_boot - __executable_start)), 0);
	allow_vcpus(LGUEST_VCPUS);
	CHECK_EQ(make_vcpu(g, 1), 8);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(go_at(g, 1, &exit), -ENOENT);
	dies(g, "is another vCPU's lguest_shared");
	end_guest(g);
}

static void *breaks_1(void *arg)
{
	CHECK_EQ(request_at(arg, 1, LHREQ_BREAK, 1, 0), 16);
	return NULL;
}

/* Run vCPU 0 until a vCPU's beats have changed. */
static void until_it_beats(struct guest *g, u64 n)
{
	u64 then = IN_GUEST(g, beats)[n];

	while (IN_GUEST(g, beats)[n] == then)
		CHECK_EQ(go_for(g, 20), -EINTR);
}

TEST("H14 L1 BREAK holds one vCPU, the other runs on")
{
	struct guest *g = make_guest_with(2, kicks_and_beats, beats_forever);
	pthread_t thread;
	u64 then;

	until_it_beats(g, 1);
	pthread_create(&thread, NULL, breaks_1, g);
	while (!g->broken[1])
		usleep(1000);
	then = IN_GUEST(g, beats)[1];
	until_it_beats(g, 0);
	CHECK_EQ(IN_GUEST(g, beats)[1], then);
	CHECK_EQ(request_at(g, 1, LHREQ_BREAK, 0, 0), 16);
	pthread_join(thread, NULL);
	until_it_beats(g, 1);
}

SNIPPET(calls_once, "syscall");

TEST("I9 L1 LOAD_CR3 that goes on at an address that is none")
{
	struct guest *g = make_guest(guest_done);

	CHECK(request(g, LHREQ_SETREG, REG(rax), LHCALL_LOAD_CR3) > 0);
	CHECK(request(g, LHREQ_SETREG, REG(rdi), BOOT_CR3) > 0);
	CHECK(request(g, LHREQ_SETREG, REG(rsi), 1ULL << 47) > 0);
	CHECK(request(g, LHREQ_SETREG, REG(rip),
		      IMAGE_GPA + (calls_once - __executable_start)) > 0);
	dies(g, "no address 0x800000000000");
	end_guest(g);
}

/* ---- KICK, HALT, WAIT */

static void flags_and_kicks(void)
{
	for (;;) {
		while (go_on)
			;
		wait_ns(10000000);
		go_on = true;
		HCALL(KICK, 0);
	}
}

static void expect_sleep(u64 call)
{
	go_on = false;
	hcall(call, 0, 0, 0, 0);
	EXPECT(go_on);
}

/* A timer that comes before the WAIT comes again. */
static void note_and_rearm(struct frame *f)
{
	note_event(f);
	HCALL(SET_CLOCKEVENT, 1000000);
}

static void waits(void)
{
	on_event = note_event;
	HCALL(KICK, 0);
	HCALL(KICK, 0);
	HCALL(WAIT);			/* one is remembered, ... */
	go_on = true;
	HCALL(KICK, 1);
	expect_sleep(LHCALL_WAIT);	/* ... not two */
	HCALL(KICK, 0);
	HCALL(HALT);
	EXPECT_EQ(SHARED->irq_enabled, IF);
	expect_sleep(LHCALL_HALT);
	/* With interrupts off one that is pending does not end it. */
	SHARED->irq_enabled = 0;
	HCALL(SEND_IPI, 1, FIRST);
	expect_sleep(LHCALL_WAIT);
	EXPECT_EQ(SHARED->irq_enabled, 0);
	EXPECT_EQ(seen[FIRST], 0);
	enable_interrupts();
	EXPECT_EQ(seen[FIRST], 1);
	on_event = note_and_rearm;
	HCALL(SET_CLOCKEVENT, 1000000);
	HCALL(WAIT);
	EXPECT(seen[0x30] || go_on);
	guest_done();
}

TEST("L1 C8 WAIT and HALT end by a KICK, and one is remembered")
{
	guest_with_passes(2, waits, flags_and_kicks);
}

static void kicks_nobody(void)
{
	HCALL(KICK, guest_arg);
}

TEST("L1 KICK of a vCPU that there is not ends the guest")
{
	static const u64 no[] = { 1, 2, 16, 1ULL << 32, ~0ULL };

	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++) {
		guest_arg = no[i];
		guest_dies(kicks_nobody, "no vCPU");
	}
}

/* ---- IPIs */

static void takes_all(void)
{
	enable_interrupts();
	ready_and_wait();
}

static void sends_each(void)
{
	on_event = note_event;
	HCALL(KICK, 1);
	wait_until(&ready);
	for (u64 v = FIRST; v < 256; v++) {
		HCALL(SEND_IPI, 2, v);
		/* Not each: on a busy machine it is long until the other runs. */
		while (v % 8 == 7 && !seen[v])
			asm volatile("pause");
	}
	for (u64 v = FIRST; v < 256; v++)
		while (!seen[v])
			asm volatile("pause");
	EXPECT_EQ(seen_by[0], 0);
	enable_interrupts();
	for (u64 v = FIRST; v < 256; v++) {
		HCALL(SEND_IPI, 0, v);
		HCALL(SEND_IPI, 1, v);
		EXPECT_EQ(seen[v], 2);
	}
	for (u64 v = FIRST + 7; v < 256; v += 8) {
		HCALL(SEND_IPI, 3, v);
		while (seen[v] != 4)
			asm volatile("pause");
	}
	EXPECT_EQ(seen_by[0], 72);
	guest_done();
}

TEST_S(60, "L1 E2 SEND_IPI: each vector, to another, to nobody, to oneself, to both")
{
	guest_with_passes(2, sends_each, takes_all);
}

static u64 order[4], nr_events;

static void note_order(struct frame *f)
{
	order[nr_events++ & 3] = f->vector;
}

static void sends_itself(void)
{
	on_event = note_order;
	for (int i = 0; i < 5; i++) {
		HCALL(SEND_IPI, 1, 0xc3);
		HCALL(SEND_IPI, 1, 0xf3);
	}
	EXPECT_EQ(nr_events, 0);
	EXPECT_EQ(SHARED->irq_pending, IF);
	enable_interrupts();
	EXPECT_EQ(nr_events, 3);
	EXPECT_EQ(order[0], 0xf3);
	EXPECT_EQ(order[1], 0xc3);
	EXPECT_EQ(order[2], 0x35);
	EXPECT_EQ(SHARED->irq_pending, 0);
	guest_done();
}

TEST("L1 SEND_IPI: equal ones that wait are one, and the highest comes first")
{
	struct guest *g = make_guest(sends_itself);

	CHECK_EQ(request(g, LHREQ_IRQ, 5), 16);
	passes(g);
}

static void sends_bad(void)
{
	HCALL(SEND_IPI, guest_arg >> 32, (u32)guest_arg);
}

TEST("L1 SEND_IPI with another vector, or to a vCPU that there is not, ends the guest")
{
	static const u64 bad[] = { 1ULL << 32, 1ULL << 32 | 1, 1ULL << 32 | 3,
		1ULL << 32 | 0x30, 1ULL << 32 | 0xbf, 1ULL << 32 | 0x100,
		2ULL << 32 | 0xc0, 3ULL << 32 | 0xc0, 1ULL << 63 | 0xc0, 2ULL << 32 | NMI };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		guest_arg = bad[i];
		guest_dies(sends_bad, "no IPI");
	}
}

/* ---- FLUSH_MULTI */

#define PLACE	0x10000000000UL

static void flushes_any(void)
{
	static const u64 words[] = { 0, 1, PAGE, PLACE, PLACE + 1, PLACE + PAGE, 1UL << 47,
		(1UL << 47) - PAGE, 0xffff800000000000, KERNEL_VA, ~0UL - PAGE, ~0UL };
	static const u8 strides[] = { 0, 12, 21, 30 };
	static const u64 spaces[] = { 0, MAIN_CR3, MAIN_CR3 | 0xfff, MAIN_CR3 | LGUEST_CR3_NOFLUSH,
		GUEST_SIZE - PAGE, GUEST_SIZE, GUEST_SIZE + DEVICE_SIZE, 1UL << 51, ~0UL };
	u64 i = 0;

	map(MAIN_CR3, PLACE, SHARED_GPA, P_ | W_);
	for (u64 a = 0; a < sizeof(words) / 8; a++)
		for (u64 b = 0; b < sizeof(words) / 8; b++, i++) {
			(void)*(volatile u64 *)PLACE;
			HCALL(FLUSH_MULTI, (u64)strides[i % 4] << 32 | (i % 3 ? i % 8 : 0xffffffff),
			      spaces[i % 9], words[a], words[b]);
		}
	guest_done();
}

TEST_S(60, "L1 AT-49 FLUSH_MULTI of any pages, for any vCPUs, in any space: all go on")
{
	guest_with_passes(2, flushes_any, beats_forever);
}

static u64 pages[2];

/* The first page of each of two blocks, and what lies between is left out. */
static void flushes_by_stride(void)
{
	u64 size = 1UL << guest_arg;

	for (int i = 0; i < 2; i++) {
		pages[i] = guest_page();
		*(volatile u64 *)AT(pages[i]) = 5 + i;
	}
	for (int round = 0; round < 4; round++) {
		map(MAIN_CR3, PLACE, pages[round & 1], P_ | W_);
		map(MAIN_CR3, PLACE + size, pages[!(round & 1)], P_ | W_);
		HCALL(FLUSH_MULTI, 1 | guest_arg << 32, MAIN_CR3, PLACE, PLACE + size + 1);
		EXPECT_EQ(*(volatile u64 *)PLACE, 5 + (round & 1));
		EXPECT_EQ(*(volatile u64 *)(PLACE + size), 5 + !(round & 1));
	}
	guest_done();
}

TEST("L1 F7 FLUSH_MULTI by steps of each size")
{
	static const u64 sizes[] = { 12, 21, 30 };

	for (int i = 0; i < 3; i++) {
		guest_arg = sizes[i];
		guest_passes(flushes_by_stride);
	}
}

static void bad_stride(void)
{
	HCALL(FLUSH_MULTI, 1 | guest_arg << 32, MAIN_CR3, PLACE, PLACE + PAGE);
}

TEST("L1 AT-49 FLUSH_MULTI by a stride that is none ends the guest")
{
	static const u64 bad[] = { 1, 11, 13, 22, 31, 39, 63, 64, 76, 1UL << 31, 0xffffffff };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		guest_arg = bad[i];
		guest_dies(bad_stride, "no stride");
	}
}

static void multi_in_ring(void)
{
	SHARED->hcalls[0].number = LHCALL_FLUSH_MULTI;
	SHARED->hcall_status[0] = 0;
	HCALL(FLUSH_ASYNC);
}

TEST("L1 FLUSH_MULTI is no call for the ring")
{
	guest_dies(multi_in_ring, "in the ring");
}

/* ---- NMIs */

#define OF_1	((volatile struct lguest_shared *)AT(SIBLINGS_GPA + SIBLING_SIZE))

/* Without interrupts; then with a record in use; then in the entry code. */
static void takes_nmis(void)
{
	ready = true;
	while (!seen[NMI])
		asm volatile("pause");
	own()->busy = 1;
	ready = true;
	wait_until(&go_on);
	for (int i = 0; i < 10; i++)
		HCALL(GET_TIME);
	EXPECT_EQ(seen[NMI], 1);
	EXPECT_EQ(seen[8], 0);
	own()->busy = 0;
	HCALL(GET_TIME);
	EXPECT_EQ(seen[NMI], 2);
	EXPECT_EQ(own()->irq_enabled, 0);
	guest_spin_in_entry();
	HCALL(GET_TIME);
	EXPECT_EQ(seen[NMI], 3);
	guest_done();
}

static void sends_nmis(void)
{
	on_event = note_event;
	HCALL(KICK, 1);
	wait_until(&ready);
	ready = false;
	HCALL(SEND_IPI, 2, NMI);
	wait_until(&ready);
	HCALL(SEND_IPI, 2, NMI);
	go_on = true;
	while (OF_1->scratch[3] != 1)
		asm volatile("pause");
	HCALL(SEND_IPI, 2, NMI);
	wait_ns(20000000);
	EXPECT_EQ(seen[NMI], 2);
	OF_1->scratch[3] = 2;
	for (;;)
		;
}

TEST("L1 AT-88 an NMI needs no interrupts, but waits for a record in use and the entry code")
{
	guest_with_passes(2, sends_nmis, takes_nmis);
}

static void wakes_by_nmi(void)
{
	on_event = note_event;
	HCALL(KICK, 1);
	wait_until(&ready);
	HCALL(SEND_IPI, 2, NMI);
	for (;;)
		HCALL(WAIT);
}

static void waits_for_nmi(void)
{
	ready = true;
	HCALL(WAIT);
	EXPECT_EQ(seen[NMI], 1);
	guest_done();
}

TEST("L1 an NMI ends a WAIT without interrupts")
{
	guest_with_passes(2, wakes_by_nmi, waits_for_nmi);
}

/* ---- timers */

static void has_timer(void)
{
	enable_interrupts();
	HCALL(SET_CLOCKEVENT, 1000000);
	while (!seen_by[1])
		HCALL(HALT);
	guest_done();
}

static void has_none(void)
{
	on_event = note_event;
	enable_interrupts();
	HCALL(KICK, 1);
	for (;;)
		EXPECT_EQ(seen_by[0], 0);
}

TEST("L1 E8 the timer of a vCPU is its own")
{
	guest_with_passes(2, has_none, has_timer);
}
