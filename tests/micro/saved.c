// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU's state: saved, the guest destroyed, restored in another file and other memory, and
 * it goes on; and what a launcher may not restore.  Names begin with the row of ACCEPTANCE.md.
 * Read next: hypercalls.c.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include "micro.h"
#include "abi.h"

/* The state, with room for any extended state. */
union saved {
	struct lguest_vcpu vcpu;
	struct {
		u8 bytes[sizeof(struct lguest_vcpu)];
		u8 legacy[512];			/* MXCSR is at 24 */
		u64 xfeatures, xcomp, reserved[6];
	};
	u8 all[32768];
};
static union saved state __attribute__((aligned(64)));

#define CANONICAL_NOT 0x800000000000

static long save(struct guest *g)
{
	memset(&state, 0x5a, sizeof(state));
	return request(g, LHREQ_SAVE, (u64)&state, sizeof(state));
}

static long restore(struct guest *g, const union saved *from)
{
	return request(g, LHREQ_RESTORE, (u64)from, state.vcpu.size);
}

/* In other memory, as another guest: nothing of the old one is left. */
static struct guest *move(struct guest *g)
{
	struct guest *to = raw_guest(g->size);

	memcpy(to->mem, g->mem, g->size);
	end_guest(g);
	CHECK_EQ(initialize(to, 0), 0);
	return to;
}

static struct guest *saved_and_restored(struct guest *g)
{
	CHECK_EQ(save(g), 24);
	g = move(g);
	CHECK_EQ(restore(g, &state), 24);
	return g;
}

/* ---- It goes on ---- */

#define ROUNDS 12

static u64 next_value(u64 x, u64 i)
{
	return x * 6364136223846793005 + i;
}

SNIPPET(s_calls, "mov $0x1234, %r12; wrfsbase %r12; syscall\n");

static void lives_on(void)
{
	u64 x = 1, wide, base;

	asm volatile("movq %0, %%xmm7; wrfsbase %0" : : "r" (0x770770770770));
	for (u64 i = 0; i < ROUNDS; i++) {
		struct frame f = user_at((void (*)(void))s_calls);

		x = next_value(x, i);
		HCALL(NOTIFY, x);
		asm volatile("movq %%xmm7, %0; rdfsbase %1" : "=r" (wide), "=r" (base));
		EXPECT_EQ(wide, 0x770770770770);
		EXPECT_EQ(base, i ? 0x1234 : 0x770770770770);
		run(&f);
		EXPECT_EQ(f.vector, 256);
		EXPECT_EQ(f.r12, 0x1234);
	}
}

TEST_S(60, "L4 a guest is saved, destroyed, restored elsewhere, and goes on, twelve times")
{
	struct guest *g = make_guest(lives_on);
	u64 x = 1;

	for (u64 i = 0; i < ROUNDS; i++) {
		x = next_value(x, i);
		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		CHECK_EQ(g->exit.value, x);
		g = saved_and_restored(g);
	}
	passes(g);
}

/* What was restored, saved again, is the same to the last bit. */
static void same_again(struct guest *g)
{
	static union saved first;

	CHECK_EQ(save(g), 24);
	memcpy(&first, &state, sizeof(first));
	g = move(g);
	CHECK_EQ(restore(g, &first), 24);
	CHECK_EQ(save(g), 24);
	CHECK(state.vcpu.timer <= first.vcpu.timer && !state.vcpu.timer == !first.vcpu.timer);
	state.vcpu.timer = first.vcpu.timer;
	for (size_t i = 0; i < state.vcpu.size; i++)
		if (state.all[i] != first.all[i])
			fail("byte %zu is %#x, and was %#x", i, state.all[i], first.all[i]);
	end_guest(g);
}

static void sets_all(void)
{
	SHARED->irq_enabled = 0;
	HCALL(SET_CLOCKEVENT, 1ULL << 50);
	HCALL(LOAD_TLS, 0x00cff3000000ffff, 0, 0x00cffb000000ffff);
	HCALL(SEND_IPI, 1, LGUEST_IPI_VECTOR + 9);
	HCALL(KICK, 0);
	HCALL(NOTIFY, 1);
}

TEST("L4 what SAVE gives: all that was set, and after RESTORE the same")
{
	struct guest *g = make_guest(sets_all);
	struct lguest_vcpu *v = &state.vcpu;

	CHECK_EQ(save(g), 24);
	CHECK_EQ(v->cr3, ~0ULL);
	CHECK_EQ(v->flags, 0);
	same_again(g);
	g = make_guest(sets_all);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(request(g, LHREQ_IRQ, 5), 16);
	CHECK_EQ(save(g), 24);
	CHECK_EQ(v->version, LGUEST_VCPU_VERSION);
	CHECK(v->size >= sizeof(*v) + 576);
	CHECK_EQ(v->flags, LGUEST_VCPU_INITED | LGUEST_VCPU_KICKED);
	CHECK_EQ(v->cr3, MAIN_CR3);
	CHECK_EQ(v->shared, SHARED_GPA);
	CHECK_EQ(v->lines, 1 << 5);
	CHECK_EQ(v->ipis, 1 << 9);
	CHECK(v->timer && v->timer <= 1ULL << 50);
	CHECK_EQ(v->tls[0], 0x00cff3000000ffff);
	CHECK_EQ(v->tls[2], 0x00cffb000000ffff);
	CHECK_EQ(v->regs[REG(gs_base) / 8], KERNEL_VA + SHARED_GPA);
	same_again(g);
}

/* ---- In each state ---- */

static u64 events[256];

static void counts_event(struct frame *f)
{
	events[f->vector & 255]++;
}

static void waits(void)
{
	on_event = counts_event;
	HCALL(SET_CLOCKEVENT, 30000000);
	HCALL(NOTIFY, 1);
	while (!*(volatile u64 *)&events[LGUEST_IRQ_VECTOR])
		HCALL(HALT);
	EXPECT_EQ(events[LGUEST_IRQ_VECTOR], 1);
	while (!*(volatile u64 *)&events[LGUEST_IRQ_VECTOR + 5])
		HCALL(HALT);
}

TEST("L4 a timer, a line and a HALT are restored, too")
{
	struct guest *g = make_guest(waits);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	g = saved_and_restored(g);
	CHECK_EQ(go_for(g, 400), -EINTR);
	CHECK_EQ(save(g), 24);
	CHECK_EQ(state.vcpu.flags, LGUEST_VCPU_INITED | LGUEST_VCPU_HALTED);
	CHECK_EQ(request(g, LHREQ_IRQ, 5), 16);
	g = saved_and_restored(g);
	passes(g);
}

SNIPPET(s_counts, "1: incq (%rdi); cmpq $0, 8(%rdi); je 1b; syscall\n");
static volatile u64 counted[2];

static void user_counts(void)
{
	struct frame f = user_at((void (*)(void))s_counts);

	f.rdi = TO_USER(counted);
	run(&f);
	EXPECT_EQ(f.vector, 256);
}

/* A signal may come where the Host has not done yet with a fault: then again. */
static void stop_anywhere(struct guest *g)
{
	do {
		CHECK_EQ(go_for(g, 20), -EINTR);
		errno = 0;
	} while (save(g) < 0 && errno == EBUSY);
	CHECK_EQ(errno, 0);
}

TEST("L4 a guest user in the middle of its loop goes on")
{
	struct guest *g = make_guest(user_counts);

	for (int i = 0; i < 5; i++) {
		u64 before;

		do
			stop_anywhere(g);
		while (!(state.vcpu.flags & LGUEST_VCPU_USER));
		before = IN_GUEST(g, counted[0]);
		CHECK(before);
		g = move(g);
		CHECK_EQ(restore(g, &state), 24);
		/* However slow the host is: the runner's limit ends it. */
		do
			stop_anywhere(g);
		while (IN_GUEST(g, counted[0]) <= before);
	}
	IN_GUEST(g, counted[1]) = 1;
	passes(g);
}

static void put_in_ring(u64 n)
{
	SHARED->hcalls[n].number = LHCALL_FLUSH_TLB;
	SHARED->hcalls[n].arg[0] = LGUEST_FLUSH_ALL;
	SHARED->hcall_status[n] = 0;
}

static void uses_ring(void)
{
	u64 n = 0;

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 13; i++)
			put_in_ring((n + i) % LGUEST_RING_SIZE);
		HCALL(NOTIFY, 1);
		for (int i = 0; i < 13; i++, n++)
			EXPECT_EQ(SHARED->hcall_status[n % LGUEST_RING_SIZE], 0xff);
	}
}

TEST("L4 the ring of calls goes on where it was")
{
	struct guest *g = make_guest(uses_ring);

	for (int i = 1; i <= 10; i++) {
		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		g = saved_and_restored(g);
		CHECK_EQ(state.vcpu.next_hcall, 13 * i % LGUEST_RING_SIZE);
	}
	passes(g);
}

static void inits_again(void)
{
	HCALL(INIT, SHARED_GPA, guest_event_entry, guest_syscall_entry, guest_entry_end);
	HCALL(NOTIFY, 1);
	HCALL(INIT, SHARED_GPA, guest_event_entry, guest_syscall_entry, guest_entry_end);
}

TEST("L4 a third INIT is one too many after a RESTORE as well")
{
	struct guest *g = make_guest(inits_again);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	g = saved_and_restored(g);
	CHECK_EQ(state.vcpu.flags, LGUEST_VCPU_INITED | LGUEST_VCPU_MOVED);
	dies(g, "already have lguest_shared");
}

/* ---- Errors ---- */

static void *from_other(void *arg)
{
	CHECK_ERRNO(save(arg), EPERM);
	CHECK_ERRNO(restore(arg, &state), EPERM);
	return NULL;
}

TEST("L4 SAVE and RESTORE: EPERM, ENOSPC, EFAULT, EPROTO, EBUSY")
{
	struct guest *g = make_guest(notifies);
	static union saved good;
	pthread_t thread;
	u64 size;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	pthread_create(&thread, NULL, from_other, g);
	pthread_join(thread, NULL);
	CHECK_EQ(save(g), 24);
	memcpy(&good, &state, sizeof(good));
	size = good.vcpu.size;
	CHECK_ERRNO(request(g, LHREQ_SAVE, (u64)&state, size - 1), ENOSPC);
	CHECK_ERRNO(request(g, LHREQ_SAVE, (u64)&state, 0), ENOSPC);
	CHECK_EQ(request(g, LHREQ_SAVE, (u64)&state, size), 24);
	CHECK_ERRNO(request(g, LHREQ_SAVE, (u64)BAD, size), EFAULT);
	CHECK_ERRNO(request(g, LHREQ_SAVE, 0xffff888000000000, size), EFAULT);
	CHECK_ERRNO(restore(g, &good), EBUSY);		/* it has run */
	CHECK_EQ(request(g, LHREQ_GETREG, REG(rax)), 16);
	CHECK_ERRNO(save(g), EBUSY);
	CHECK_EQ(read(g->fd, &size, 8), 8);
	CHECK_EQ(request(g, LHREQ_STEP, 1), 16);
	CHECK_ERRNO(save(g), EBUSY);
	CHECK_EQ(request(g, LHREQ_STEP, 0), 16);
	CHECK_EQ(request(g, LHREQ_TRAP, 3, 0), 24);
	CHECK_ERRNO(save(g), EBUSY);
	size = good.vcpu.size;
	g = move(g);
	CHECK_ERRNO(request(g, LHREQ_RESTORE, (u64)&good, size - 1), EPROTO);
	CHECK_ERRNO(request(g, LHREQ_RESTORE, (u64)&good, size + 8), EPROTO);
	CHECK_ERRNO(request(g, LHREQ_RESTORE, (u64)BAD, size), EFAULT);
	CHECK_EQ(request(g, LHREQ_RESTORE, (u64)&good, size), 24);
	CHECK_ERRNO(request(g, LHREQ_RESTORE, (u64)&good, size), EBUSY);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 0x2222);
}

/* ---- AT-98: hostile states ---- */

static struct guest *victim;
static union saved good;

static void refused(const char *what, u64 value, int want)
{
	errno = 0;
	if (request(victim, LHREQ_RESTORE, (u64)&state, good.vcpu.size) != -1 || errno != want)
		fail("%s %#llx: errno %d, want %d", what, (unsigned long long)value, errno, want);
	memcpy(&state, &good, sizeof(state));
}

#define REFUSED(field, value) do { \
	state.field = (value); \
	refused(#field, state.field, EINVAL); \
} while (0)
#define R(name) vcpu.regs[REG(name) / 8]

#define POSSIBLE_FLAGS 0x254fd7ULL	/* ID, AC, RF, NT, OF ... CF; not IOPL, VM, VIF, VIP */

static void bad_flags(void)
{
	for (int bit = 7; bit < 64; bit++)
		REFUSED(vcpu.flags, good.vcpu.flags | 1ULL << bit);
	for (int bit = 0; bit < 64; bit++)
		if (!(POSSIBLE_FLAGS & 1ULL << bit))
			REFUSED(R(eflags), 0x202 | 1ULL << bit);
	REFUSED(R(eflags), 0x2);
	REFUSED(R(eflags), 0x200);
}

static void bad_addresses(void)
{
	static const u64 odd[] = { CANONICAL_NOT, 1ULL << 63, 0xffff7fffffffffff,
		0xff00000000003000 };
	static const u64 lower[] = { 0, 0x400000, CANONICAL_NOT, 1ULL << 63, 0x7fffffffffff };

	for (size_t i = 0; i < sizeof(odd) / 8; i++) {
		REFUSED(R(rip), odd[i]);
		REFUSED(R(fs_base), odd[i]);
		REFUSED(R(gs_base), odd[i]);
	}
	for (size_t i = 0; i < sizeof(lower) / 8; i++) {
		REFUSED(vcpu.event_entry, lower[i]);
		REFUSED(vcpu.syscall_entry, lower[i]);
	}
}

static void bad_segments(void)
{
	static const u64 sels[] = { 0, 1, 3, 0x08, 0x10, 0x13, 0x18, 0x1b, 0x23, 0x28, 0x2b, 0x30,
		0x32, 0x37, 0x40, 0x43, 0x63, 0x6b, 0x73, 0x7b, 0x10033, 1ULL << 32 | 0x33 };
	static const u64 tls[] = { 1, 0x00cf92000000ffff, 0x00008b0000000067, 0x0000ec0000080000,
		0x00affb000000ffff, 0x00cfff000000ffff };

	for (size_t i = 0; i < sizeof(sels) / 8; i++) {
		REFUSED(R(cs), sels[i]);
		if (sels[i] != 0x2b)
			REFUSED(R(ss), sels[i]);
	}
	REFUSED(R(ds), 0x10000);
	REFUSED(R(es), ~0ULL);
	REFUSED(R(fs), 1ULL << 32);
	REFUSED(R(gs), 1ULL << 63);
	for (size_t i = 0; i < sizeof(tls) / 8; i++)
		REFUSED(vcpu.tls[i % 3], tls[i]);
}

static void bad_pages(void)
{
	static const u64 pages[] = { 1, 0x1001, GUEST_SIZE, GUEST_SIZE + PAGE, 1ULL << 40,
		1ULL << 51, 1ULL << 52, 1ULL << 63, ~0ULL - 0xfff, ~0ULL - 1 };

	for (size_t i = 0; i < sizeof(pages) / 8; i++) {
		REFUSED(vcpu.cr3, pages[i]);
		REFUSED(vcpu.shared, pages[i]);
	}
	REFUSED(vcpu.shared, ~0ULL);
}

static void bad_init(void)
{
	state.vcpu.flags = 0;
	REFUSED(vcpu.shared, PAGE);
	state.vcpu.flags = 0;
	state.vcpu.shared = 0;
	REFUSED(vcpu.entry_end, 0);
	for (u64 flag = LGUEST_VCPU_MOVED; flag <= LGUEST_VCPU_DOUBLE; flag *= 2) {
		if (flag & (LGUEST_VCPU_HALTED | LGUEST_VCPU_KICKED | LGUEST_VCPU_NMI))
			continue;
		state.vcpu.shared = state.vcpu.event_entry = state.vcpu.syscall_entry = 0;
		state.vcpu.entry_end = 0;
		REFUSED(vcpu.flags, flag);
	}
}

static void bad_numbers(void)
{
	REFUSED(vcpu.pkru, 1ULL << 32);
	REFUSED(vcpu.next_hcall, LGUEST_RING_SIZE);
	REFUSED(vcpu.next_hcall, ~0ULL);
	for (int i = 0; i < 21; i++)
		REFUSED(vcpu.reserved[i], 1ULL << i);
	for (u32 version = 0; version < 4; version++) {
		state.vcpu.version = version;
		if (version != LGUEST_VCPU_VERSION)
			refused("version", version, EPROTO);
	}
	state.vcpu.size++;
	refused("size", 0, EPROTO);
	state.vcpu.size = 0;
	refused("size", 0, EPROTO);
	for (int bit = 0; bit < 64; bit++) {
		state.vcpu.features ^= 1ULL << bit;
		refused("features", bit, EPROTO);
	}
}

static void bad_extended_state(void)
{
	for (int bit = 0; bit < 64; bit++) {
		if (!(good.vcpu.features & 1ULL << bit))
			REFUSED(xfeatures, 1ULL << bit);
		REFUSED(xcomp, 1ULL << bit);
		for (int i = 0; i < 6; i++)
			REFUSED(reserved[i], 1ULL << bit);
	}
	for (int bit = 16; bit < 32; bit++) {
		u32 mxcsr = 0x1f80 | 1U << bit;

		memcpy(state.legacy + 24, &mxcsr, 4);
		refused("mxcsr", mxcsr, EINVAL);
	}
}

TEST_S(60, "AT-98 RESTORE of what no vCPU can have: each field, and the host lives")
{
	struct guest *g = make_guest(notifies);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(save(g), 24);
	memcpy(&good, &state, sizeof(good));
	victim = move(g);
	bad_flags();
	bad_addresses();
	bad_segments();
	bad_pages();
	bad_init();
	bad_numbers();
	bad_extended_state();
	CHECK_EQ(restore(victim, &good), 24);
	CHECK_EQ(go(victim), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(victim->exit.value, 0x2222);
}

/* What may be restored may be odd: the host has to live with it, as with any guest. */
static void one_odd_state(struct guest *g, u64 *random)
{
	u64 words = good.vcpu.size / 8, n, *at = (u64 *)&state;

	memcpy(&state, &good, sizeof(state));
	for (int i = 0; i < 3; i++) {
		*random = next_value(*random, 1);
		/* Most of what counts is in the first words. */
		n = *random >> 33;
		n = 1 + (n & 3 ? (n >> 2) % 44 : (n >> 2) % (words - 1));
		*random = next_value(*random, 1);
		at[n] = *random >> 62 & 1 ? *random >> 20 : at[n] ^ 1ULL << (*random >> 50 & 63);
	}
	if (restore(g, &state) < 0) {
		CHECK(errno == EINVAL || errno == EPROTO);
		return;
	}
	go_for(g, 2);
}

TEST_S(60, "AT-98 random states: refused, or a guest like any other")
{
	struct guest *g = make_guest(notifies);
	u64 random = 16, until = now_ns() + 2000000000, rounds = 0;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(save(g), 24);
	memcpy(&good, &state, sizeof(good));
	do {
		close(g->fd);
		g->fd = -1;
		g = move(g);
		one_odd_state(g, &random);
	} while (++rounds < 2000 * times && (rounds <= 10 || now_ns() < until));
}
