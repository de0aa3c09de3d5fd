// SPDX-License-Identifier: GPL-2.0
/*
 * State of the CPU that guests, launchers and other programs must never see of
 * each other; and when an interrupt arrives.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cpuid.h>
#include "micro.h"

/* ---- Segments ---- */

SNIPPET(s_load, "mov %edi, %ds\n mov %edi, %es\n mov %edi, %fs\n mov %edi, %gs\n"
	"mov %ds, %eax\n");
SNIPPET(s_ss, "mov %edi, %ss\n");
SNIPPET(s_spin, "mov %edi, %ds\n mov %edi, %es\n1: pause; jmp 1b\n");

static u64 loaded;

static void all_selectors(void)
{
	for (u64 sel = 0; sel < 0x10000; sel += sel < 0x200 ? 1 : 13) {
		struct frame f = user_at((void (*)(void))s_load);

		f.rdi = sel;
		run(&f);
		EXPECT(f.vector == 6 || f.vector == 13 || f.vector == 11);
		if (f.vector == 6) {
			/* Null, the user's, TLS and CPU number: nothing of ring 0. */
			EXPECT((sel & ~3UL) == 0 || (sel & ~7UL) == 0x20 ||
			       (sel & ~7UL) == 0x28 || (sel & ~7UL) == 0x30 ||
			       (sel & ~7UL) == 0x78);
			loaded++;
		} else {
			EXPECT_EQ(f.error, sel & 0xfffc);
		}
		f = user_at((void (*)(void))s_ss);
		f.rdi = sel;
		run(&f);
		EXPECT(f.vector == 6 || f.vector == 13 || f.vector == 11 ||
		       f.vector == 12);
		if (f.vector == 6)
			EXPECT_EQ(sel, USER_SS);
	}
	EXPECT(loaded > 4);
}

TEST_S(30, "AT-19 selectors of all kinds into ds, es, fs, gs, ss")
{
	guest_passes(all_selectors);
}

static u64 spin_selector;

static void spins_with_selector(void)
{
	struct frame f = user_at((void (*)(void))s_spin);

	f.rdi = spin_selector;
	run(&f);
}

TEST("AT-19 AT-23 odd selectors while host interrupts come: the host's survive")
{
	static const u16 sels[] = { 0, 1, 3, 0x23, 0x28, 0x2a, 0x2b, 0x33, 0x7b };

	for (size_t i = 0; i < sizeof(sels) / 2; i++) {
		struct guest *g;
		u16 before[4], after[4];
		u64 fs, fs_after;

		spin_selector = sels[i];
		g = make_guest(spins_with_selector);
#define SELECTORS(to) \
		asm volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3" \
			     : "=r" (to[0]), "=r" (to[1]), "=r" (to[2]), "=r" (to[3]))
		SELECTORS(before);
		asm volatile("rdfsbase %0" : "=r" (fs));
		CHECK_EQ(go_for(g, 40), -EINTR);
		SELECTORS(after);
		asm volatile("rdfsbase %0" : "=r" (fs_after));
		CHECK(!memcmp(before, after, sizeof(before)));
		CHECK_EQ(fs, fs_after);
		end_guest(g);
	}
}

SNIPPET(b_fs, "wrfsbase %rdi\n wrgsbase %rsi\n syscall\n");
SNIPPET(b_read, "rdfsbase %rdi\n rdgsbase %rsi\n ud2\n");

static void bases(void)
{
	static const u64 good[] = { 0, 1, 0x1234567890, 0x7fffffffffff,
		0xffff800000000000, 0xffff888000000000, ~0ULL, KERNEL_VA };
	static const u64 bad[] = { 0x800000000000, 0xffff7fffffffffff, 1ULL << 63,
		0x8000000000000 };

	for (u64 i = 0; i < 8; i++) {
		struct frame f = user_at((void (*)(void))b_fs);

		f.rdi = good[i];
		f.rsi = good[7 - i];
		run(&f);
		EXPECT_EQ(f.vector, 256);
		EXPECT_EQ(SHARED->user_gs_base, good[7 - i]);
		f = user_at((void (*)(void))b_read);
		run(&f);
		EXPECT_EQ(f.rdi, good[i]);
		EXPECT_EQ(f.rsi, good[7 - i]);
	}
	/* By the shared page: what is not canonical is not loaded. */
	for (u64 i = 0; i < 4; i++) {
		struct frame f = user_at((void (*)(void))b_read);

		SHARED->user_gs_base = bad[i];
		run(&f);
		EXPECT_EQ(f.vector, 6);
		EXPECT_EQ(f.rsi, 0);
	}
}

TEST("AT-23 FS and GS bases of guest user, at every boundary")
{
	guest_passes(bases);
}

static u64 bad_kernel_base;

static void kernel_base(void)
{
	struct frame f = user_at((void (*)(void))b_fs);

	SHARED->kernel_gs_base = bad_kernel_base;
	run(&f);
}

TEST("AT-23 a kernel GS base that is no address: the guest's end only")
{
	static const u64 bad[] = { 0x800000000000, 1ULL << 63, 0xffff7fffffffffff,
		0xffff800000003000, 0xfffffe0000000000, 0 };

	for (size_t i = 0; i < sizeof(bad) / 8; i++) {
		struct guest *g;

		bad_kernel_base = bad[i];
		g = make_guest(kernel_base);
		CHECK_EQ(go(g), 0);
		CHECK(strstr(g->reason, "triple fault") ||
		      strstr(g->reason, "record is in use"));
		end_guest(g);
	}
}

/* A descriptor: base, limit, type bits 8-15, flags 20-23. */
#define DESC(base, limit, access, flags) \
	(((u64)(base) & 0xffffff) << 16 | ((u64)(base) >> 24) << 56 | \
	 ((u64)(limit) & 0xffff) | ((u64)(limit) >> 16) << 48 | \
	 (u64)(access) << 40 | (u64)(flags) << 52)
#define DATA	0xf2
#define FLAT32	0xc

static u64 descriptor;

static void loads_tls(void)
{
	HCALL(LOAD_TLS, 0, descriptor, 0);
}

TEST_S(60, "G2 AT-20 LOAD_TLS: every kind of bad descriptor")
{
	/* All types, all privilege levels, present or not, long or not. */
	for (u64 access = 0; access < 256; access++)
		for (u64 l = 0; l < 2; l++) {
			u64 type = access & 15, dpl = access >> 5 & 3;
			bool s = access & 0x10, p = access & 0x80;
			bool good = p && s && dpl == 3 && !l &&
				    (type & 12) != 12;
			struct guest *g;

			/* Few of each sort will do. */
			if (!good && access % 3 && access > 0x20)
				continue;
			descriptor = DESC(0, 0xfffff, access, l ? 0xa : FLAT32);
			g = make_guest(loads_tls);
			CHECK_EQ(go(g), 0);
			if (!strstr(g->reason, good ? "POWEROFF: ok" : "descriptor"))
				fail("descriptor %#llx: %s",
				     (unsigned long long)descriptor, g->reason);
			end_guest(g);
		}
}

SNIPPET(t_read, "mov $0x63, %eax; mov %eax, %fs; mov %fs:0, %rdi\n"
	"mov %fs, %ecx\n");
SNIPPET(t_spin, "mov $0x63, %eax; mov %eax, %fs; mov %eax, %ds\n"
	"1: mov %fs, %eax; cmp $0x63, %ax; jne 2f; mov %fs:0, %rdx\n"
	"cmp %rdi, %rdx; jne 2f; jmp 1b\n 2: ud2\n");

static void uses_tls(void)
{
	struct frame f = user_at((void (*)(void))t_read);
	u64 page = guest_page();

	map(MAIN_CR3, 0x10000, page, P_ | W_ | U_);
	*(u64 *)AT(page) = 0x7157157;
	HCALL(LOAD_TLS, DESC(0x10000, 0xfffff, DATA, FLAT32), 0, 0);
	run(&f);
	EXPECT_EQ(f.vector, 6);
	EXPECT_EQ(f.rdi, 0x7157157);
	EXPECT_EQ(f.rcx, 0x63);
	/* Taken away again: the selector is none. */
	HCALL(LOAD_TLS, 0, 0, 0);
	f = user_at((void (*)(void))t_read);
	run(&f);
	EXPECT_EQ(f.vector, 13);
	EXPECT_EQ(f.error, 0x60);
}

TEST("G1 I8 thread-local descriptors work, and go away")
{
	guest_passes(uses_tls);
}

static u64 tls_value;

static void spins_on_tls(void)
{
	struct frame f = user_at((void (*)(void))t_spin);
	u64 page = guest_page();

	map(MAIN_CR3, 0x10000, page, P_ | W_ | U_);
	*(u64 *)AT(page) = tls_value;
	HCALL(LOAD_TLS, DESC(0x10000, 0xfffff, DATA, FLAT32), 0, 0);
	f.rdi = tls_value;
	run(&f);
	guest_fail("left its loop", f.rdx, f.rdi);
}

TEST("G1 AT-22 thread-local entries of two guests and the host, one CPU")
{
	int status, failed = 0;

	on_cpu(0);
	for (int i = 0; i < 2; i++)
		if (fork() == 0) {
			struct guest *g;

			tls_value = 0x100 + i;
			g = make_guest(spins_on_tls);
			for (int n = 0; n < 15; n++) {
				u32 limit = 0;
				u8 ok;

				if (go_for(g, 30) != -EINTR)
					fail("%s", g->reason);
				/* None of it in the launcher's own GDT view. */
				asm volatile("lsl %2, %0; setz %1"
					     : "+r" (limit), "=q" (ok)
					     : "r" (0x63) : "cc");
				CHECK_EQ(ok, 0);
			}
			_exit(0);
		}
	while (wait(&status) > 0)
		failed += status != 0;
	if (failed)
		_exit(9);
}

/* ---- RDTSC ---- */

SNIPPET(reads_tsc, "rdtsc");

static void has_no_tsc(void)
{
	struct frame f = user_at((void (*)(void))reads_tsc);

	run(&f);
	EXPECT_EQ(f.vector, 13);
	EXPECT_EQ(f.error, 0);
	EXPECT_EQ(f.rip, TO_USER(reads_tsc));
}

static void has_tsc(void)
{
	struct frame f = user_at((void (*)(void))reads_tsc);

	run(&f);
	EXPECT_EQ(f.vector, 6);
}

/* A flag of the task, and in CR4 while that runs: so it is the guest's as well. */
TEST("D11 AT-66 a launcher without RDTSC: its guest's user has none, the next guest has it")
{
	CHECK_EQ(prctl(PR_SET_TSC, PR_TSC_SIGSEGV), 0);
	guest_passes(has_no_tsc);
	CHECK_EQ(prctl(PR_SET_TSC, PR_TSC_ENABLE), 0);
	guest_passes(has_tsc);
}

/* ---- Protection keys ---- */

SNIPPET(k_set, "xor %ecx, %ecx; xor %edx, %edx; mov %edi, %eax\n"
	".byte 0x0f, 0x01, 0xef\n syscall\n");
SNIPPET(k_get, "xor %ecx, %ecx; .byte 0x0f, 0x01, 0xee\n syscall\n");

static bool have_pku(void)
{
	u32 a, b, c, d;

	__cpuid_count(7, 0, a, b, c, d);
	return c >> 4 & 1;
}

static void pkru(void)
{
	struct frame f = user_at((void (*)(void))k_set);
	u64 value;

	f.rdi = 0xfffffffc;		/* all but key 0 denied */
	run(&f);
	EXPECT_EQ(f.vector, 256);
	/* The guest kernel is not bound by it. */
	asm volatile("xor %%ecx, %%ecx; .byte 0x0f, 0x01, 0xee"
		     : "=a" (value) : : "rcx", "rdx");
	EXPECT_EQ(value & 0xffffffff, 0);
	f = user_at((void (*)(void))k_get);
	run(&f);
	EXPECT_EQ(f.rax & 0xffffffff, 0xfffffffc);
	/* Everything denied: even its own code's page, for data. */
	f = user_at((void (*)(void))k_set);
	f.rdi = 0xffffffff;
	run(&f);
	EXPECT_EQ(f.vector, 256);
	HCALL(NOTIFY, 1);
	f = user_at((void (*)(void))k_get);
	run(&f);
	EXPECT_EQ(f.rax & 0xffffffff, 0xffffffff);
}

TEST("AT-42 PKRU of guest user binds neither its kernel nor the host")
{
	struct guest *g;
	u32 before, after;

	if (!have_pku())
		skip("this CPU has no protection keys");
	g = make_guest(pkru);
#define RDPKRU(to) asm volatile("xor %%ecx, %%ecx; .byte 0x0f, 0x01, 0xee" \
				: "=a" (to) : : "rcx", "rdx")
	RDPKRU(before);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	RDPKRU(after);
	CHECK_EQ(before, after);
	passes(g);
}

/* Guest user denies itself everything: its fault, once, and nothing of ours. */
SNIPPET(k_deny, "xor %ecx, %ecx; xor %edx, %edx; mov $-1, %eax\n"
	".byte 0x0f, 0x01, 0xef\n mov (%rdi), %rax\n");

static u64 key_page[512] __attribute__((aligned(4096)));

static u64 user_pkru(void)
{
	struct frame f = user_at((void (*)(void))k_get);

	run(&f);
	EXPECT_EQ(f.vector, 256);
	return f.rax & 0xffffffff;
}

static void denies_itself(void)
{
	u64 other = new_space();

	for (int i = 0; i < 50; i++) {
		struct frame f = user_at((void (*)(void))k_deny);

		f.rdi = TO_USER(key_page);
		run(&f);
		EXPECT_EQ(f.vector, 14);
		EXPECT_EQ(f.error, PF_PROT | PF_USER | PF_PKEY);
		EXPECT_EQ(SHARED->cr2, TO_USER(key_page));
		/* A handler of the signal, or the next process, may go on. */
		EXPECT_EQ(user_pkru(), 0);
		run(&f);
		EXPECT_EQ(f.vector, 6);
	}
	/* What one process leaves is not another's. */
	for (int i = 0; i < 2; i++) {
		struct frame f = user_at((void (*)(void))k_set);

		f.rdi = 0xfffffffc;
		run(&f);
		EXPECT_EQ(f.vector, 256);
		HCALL(LOAD_CR3, other | (i ? LGUEST_CR3_NOFLUSH : 0));
		EXPECT_EQ(user_pkru(), 0);
		HCALL(LOAD_CR3, MAIN_CR3 | (i ? LGUEST_CR3_NOFLUSH : 0));
	}
}

TEST("AT-42 guest user denies itself its own memory: a fault, and no more")
{
	struct guest *g;

	if (!have_pku())
		skip("this CPU has no protection keys");
	g = make_guest(denies_itself);
	passes(g);
	CHECK_EQ(stat_of(g, "spurious_faults"), 0);
	CHECK(stat_of(g, "exit_vector_14") < 300);
}

/* All keys are open again for its kernel when it comes back. */
static void kernel_denies_itself(void)
{
	for (int i = 0; i < 50; i++) {
		asm volatile("wrpkru" : : "a" (~0U), "c" (0), "d" (0) : "memory");
		*(volatile u64 *)key_page = i;
		EXPECT_EQ(*(volatile u64 *)key_page, i);
	}
}

TEST("AT-42 guest kernel denies itself its own memory: no fault, and no flush")
{
	struct guest *g;

	if (!have_pku())
		skip("this CPU has no protection keys");
	g = make_guest(kernel_denies_itself);
	passes(g);
	CHECK_EQ(stat_of(g, "spurious_faults"), 0);
	CHECK(stat_of(g, "exit_vector_14") >= 50);
}

/* ---- Interrupts ---- */

static volatile u64 taken, lines[64], last_rip, last_flags;

static void takes(struct frame *f)
{
	taken = taken + 1;
	if (f->vector >= 0x30 && f->vector < 0x70)
		lines[f->vector - 0x30] = lines[f->vector - 0x30] + 1;
	last_rip = f->rip;
	last_flags = f->rflags;
}

static void masked(void)
{
	on_event = takes;
	SHARED->blocked_interrupts = 1 << 7;
	SHARED->irq_enabled = IF;
	HCALL(NOTIFY, 1);		/* the launcher raises 7 and 8 */
	HCALL(FLUSH_ASYNC);
	EXPECT_EQ(lines[8], 1);
	EXPECT_EQ(lines[7], 0);
	EXPECT_EQ(SHARED->irq_pending, 0);	/* a masked one is none */
	SHARED->blocked_interrupts = 0;
	HCALL(SEND_INTERRUPTS);
	EXPECT_EQ(lines[7], 1);
	EXPECT_EQ(lines[8], 1);
}

TEST("E3 a masked line waits, and comes after it is unmasked")
{
	struct guest *g = make_guest(masked);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(request(g, LHREQ_IRQ, 7), 16);
	CHECK_EQ(request(g, LHREQ_IRQ, 8), 16);
	passes(g);
}

static void all_lines(void)
{
	on_event = takes;
	HCALL(NOTIFY, 1);
	EXPECT_EQ(taken, 0);
	EXPECT(SHARED->irq_pending);
	SHARED->irq_enabled = IF;
	while (taken < 64)
		HCALL(SEND_INTERRUPTS);
	for (int i = 0; i < 64; i++)
		EXPECT_EQ(lines[i], 1);		/* each once, though raised twice */
	EXPECT_EQ(SHARED->irq_pending, 0);
	EXPECT_EQ(last_flags & IF, IF);
}

TEST("E2 E6 all 64 lines, raised twice while interrupts are off: each comes once")
{
	struct guest *g = make_guest(all_lines);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	for (int n = 0; n < 2; n++)
		for (u64 i = 0; i < 64; i++)
			CHECK_EQ(request(g, LHREQ_IRQ, i), 16);
	passes(g);
}

static void never_inside_entry(struct frame *f)
{
	taken = taken + 1;
	if (f->rip >= (u64)guest_event_entry && f->rip < (u64)guest_entry_end &&
	    !(f->cs & 3))
		guest_fail("interrupt in the entry code", f->rip, 0);
	if (!(f->rflags & IF))
		guest_fail("interrupt while they were off", f->rip, 0);
}

static void storm(void)
{
	on_event = never_inside_entry;
	for (;;) {
		SHARED->irq_enabled = IF;
		asm volatile("pause");
		HCALL(FLUSH_ASYNC);
		SHARED->irq_enabled = 0;
	}
}

static volatile bool stop;

static void *raises(void *arg)
{
	struct guest *g = arg;

	while (!stop)
		for (u64 i = 0; i < 64; i++)
			request(g, LHREQ_IRQ, i);
	return NULL;
}

TEST("E2 E5 a storm of interrupts from another thread")
{
	struct guest *g = make_guest(storm);
	pthread_t thread;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_create(&thread, NULL, raises, g);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (int i = 0; i < 20; i++)
		if (go_for(g, 50) != -EINTR)
			fail("%s", g->reason);
	stop = true;
	pthread_join(thread, NULL);
	CHECK(IN_GUEST(g, taken) > 100);
}

static void spins_for_irq(void)
{
	on_event = takes;
	SHARED->irq_enabled = IF;
	HCALL(NOTIFY, 1);
	while (!taken)
		asm volatile("pause");
}

static void *raises_one(void *arg)
{
	struct guest *g = arg;

	usleep(100000);
	CHECK_EQ(request(g, LHREQ_IRQ, 3), 16);
	return NULL;
}

TEST("E2 an interrupt reaches a guest that spins")
{
	struct guest *g = make_guest(spins_for_irq);
	pthread_t thread;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	pthread_create(&thread, NULL, raises_one, g);
	passes(g);
	pthread_join(thread, NULL);
}

static u64 halts;

static void halts_for_irq(void)
{
	on_event = takes;
	HCALL(NOTIFY, 1);
	for (u64 i = 1; i <= halts; i++) {
		SHARED->irq_enabled = 0;
		while (taken < i) {
			HCALL(HALT);
			SHARED->irq_enabled = 0;
		}
		*(volatile u64 *)AT(0x50000) = i;
	}
}

static void *raises_each(void *arg)
{
	struct guest *g = arg;
	volatile u64 *done = (void *)(g->mem + 0x50000);

	for (u64 i = 0; i < halts; i++) {
		request(g, LHREQ_IRQ, 3);
		while (*done < i + 1)
			sched_yield();
	}
	return NULL;
}

/* On hosts with one CPU the two take turns, so races are with the scheduler alone. */
TEST_S(60, "C8 AT-17 no wake-up is lost: halts against another thread")
{
	struct guest *g;
	pthread_t thread;

	halts = times * (sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 10000 : 1000);
	g = make_guest(halts_for_irq);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	pthread_create(&thread, NULL, raises_each, g);
	passes(g);
	pthread_join(thread, NULL);
}

static void not_while_busy(void)
{
	on_event = takes;
	SHARED->irq_enabled = IF;
	SHARED->busy = 1;
	HCALL(NOTIFY, 1);
	for (int i = 0; i < 10; i++)
		HCALL(FLUSH_ASYNC);
	EXPECT_EQ(taken, 0);
	EXPECT(SHARED->irq_pending);
	SHARED->busy = 0;
	HCALL(SEND_INTERRUPTS);
	EXPECT_EQ(taken, 1);
}

TEST("E5 no interrupt while an event record is in use")
{
	struct guest *g = make_guest(not_while_busy);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(request(g, LHREQ_IRQ, 3), 16);
	passes(g);
}

SNIPPET(u_spin, "1: pause; jmp 1b\n");

static void user_interrupted(void)
{
	struct frame f = user_at((void (*)(void))u_spin);

	f.rflags |= IF;
	HCALL(SET_CLOCKEVENT, 20000000);
	run(&f);
	EXPECT_EQ(f.vector, LGUEST_IRQ_VECTOR);
	EXPECT_EQ(f.cs, USER_CS);
	EXPECT(f.rip >= TO_USER(u_spin) && f.rip < TO_USER(u_spin_end));
	EXPECT_EQ(f.rflags & IF, IF);
	/* With virtual interrupts off it goes on, until they come on. */
	f = user_at((void (*)(void))u_spin);
	HCALL(SET_CLOCKEVENT, 1);
	f.rip = TO_USER(b_fs);
	run(&f);
	EXPECT_EQ(f.vector, 256);
	for (int i = 0; i < 100000 && !SHARED->irq_pending; i++)
		HCALL(GET_TIME);
	EXPECT(SHARED->irq_pending);
	f = user_at((void (*)(void))u_spin);
	f.rflags |= IF;
	run(&f);			/* IRET turns them on: at once */
	EXPECT_EQ(f.vector, LGUEST_IRQ_VECTOR);
	EXPECT_EQ(f.rip, TO_USER(u_spin));
}

TEST("E4 E6 E7 a clock interrupt in guest user; IRET that enables delivers")
{
	guest_passes(user_interrupted);
}

static void toggles(void)
{
	HCALL(NOTIFY, 1);
	for (int i = 0; i < 100000; i++) {
		SHARED->irq_enabled = IF;
		SHARED->irq_enabled = 0;
	}
	HCALL(NOTIFY, 2);
}

TEST("E4 10^5 times interrupts on and off: no hypercall")
{
	struct guest *g = make_guest(toggles);
	u64 before;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	before = stat_of(g, "exit_syscall");
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK(stat_of(g, "exit_syscall") - before <= 1);
}

/* ---- Host and guests side by side ---- */

static volatile u64 beats;

static void beats_on(void)
{
	for (;;)
		beats = beats + 1;
}

TEST("C11 C3 a spinning guest beside a program that makes system calls, one CPU")
{
	struct guest *g = make_guest(beats_on);
	int status;
	pid_t pid;

	on_cpu(0);
	pid = fork();
	if (pid == 0) {
		pid_t mine = getpid();

		for (u64 until = now_ns() + 1000000000; now_ns() < until; )
			for (int i = 0; i < 1000; i++)
				CHECK_EQ(getppid() != mine, 1);
		_exit(0);
	}
	for (int i = 0; i < 20; i++)
		CHECK_EQ(go_for(g, 50), -EINTR);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK(beats == 0 && IN_GUEST(g, beats) > 0);
}

TEST("A16 host timers keep time beside a guest that spins")
{
	struct guest *g = make_guest(beats_on);
	int status;

	on_cpu(0);
	if (fork() == 0) {
		for (int i = 0; i < 20; i++) {
			u64 began = now_ns();

			usleep(10000);
			CHECK(now_ns() - began < 1000000000ULL * slow);
		}
		_exit(0);
	}
	while (waitpid(-1, &status, WNOHANG) == 0)
		CHECK_EQ(go_for(g, 50), -EINTR);
	CHECK_EQ(status, 0);
}

static void reads_all(void)
{
	volatile u8 *shared = (void *)SHARED;

	/* What the Host did not say it writes is zero. */
	for (size_t i = sizeof(struct lguest_shared); i < PAGE; i++)
		EXPECT_EQ(shared[i], 0);
	EXPECT_EQ(SHARED->sleeps, 0);
}

TEST("AT-51 nothing uninitialised in the shared page")
{
	guest_passes(reads_all);
}

SNIPPET(stores, "mov %rsi, (%rdi)\n");
SNIPPET(halts_really, "hlt\n");

static void makes_records(void)
{
	for (int i = 0; i < 3; i++) {
		struct frame f = kernel_at((void (*)(void))stores);

		f.rdi = KERNEL_VA + GUEST_SIZE + 0x123458;
		f.rsi = ~0UL;
		run(&f);
		EXPECT_EQ(f.vector, 13);	/* as the launcher has it */
		f = kernel_at((void (*)(void))halts_really);
		run(&f);
		EXPECT_EQ(f.vector, 13);
		HCALL(NOTIFY, 7);
	}
}

TEST("AT-51 a device record, a trap and a NOTIFY: nothing of one in the next")
{
	struct guest *g = make_guest(makes_records);

	/* go() itself looks at all bytes. */
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(go(g), LGUEST_EXIT_MMIO);
		CHECK_EQ(g->exit.access, LGUEST_ACCESS_WRITE);
		CHECK_EQ(request(g, LHREQ_TRAP, 13, 0), 24);
		CHECK_EQ(go(g), LGUEST_EXIT_TRAP);
		CHECK(g->exit.insn_len && g->exit.insn[0] == 0xf4);
		CHECK_EQ(request(g, LHREQ_TRAP, 13, 0), 24);
		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		CHECK_EQ(g->exit.value, 7);
	}
	passes(g);
}
