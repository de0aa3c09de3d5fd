// SPDX-License-Identifier: GPL-2.0
/*
 * Extended state (x87, SSE, AVX, AMX): a guest's own, its launcher's, and other
 * programs', also where the vCPU moves between CPUs.  Read next: state.c.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cpuid.h>
#include "micro.h"

/* ---- Extended state ---- */

/*
 * Fill all vector and x87 registers from a pattern, and look for it.  Both
 * halves use these, on the host as an ordinary program.
 */
static u64 pattern;
static volatile u64 checks, have_avx, have_avx512;
static u64 stored[8] __attribute__((aligned(64)));

#define FOR_16(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) \
	X(12) X(13) X(14) X(15)

#define FOR_32(X) FOR_16(X) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) \
	X(25) X(26) X(27) X(28) X(29) X(30) X(31)
#define FOR_MASKS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

/* AVX-512: 32 registers of 64 bytes, and masks. */
static void fill_wide(u64 p)
{
	u64 source[8] = { p, p + 1, p + 2, p + 3, p + 4, p + 5, p + 6, p + 7 };
	u32 mask = p >> 4;

#define FILL_Z(n) asm volatile("vmovdqu64 %0, %%zmm" #n : : "m" (source));
	FOR_32(FILL_Z)
#define FILL_K(n) asm volatile("kmovw %0, %%k" #n : : "r" (mask + n));
	FOR_MASKS(FILL_K)
}

static u64 wrong_wide(u64 p)
{
	u64 wrong = 0;
	u32 mask;

#define LOOK_Z(n) asm volatile("vmovdqu64 %%zmm" #n ", %0" : "=m" (stored)); \
	for (int i = 0; i < 8; i++) \
		wrong |= stored[i] ^ (p + i);
	FOR_32(LOOK_Z)
#define LOOK_K(n) asm volatile("kmovw %%k" #n ", %0" : "=r" (mask)); \
	wrong |= (mask ^ ((u32)(p >> 4) + n)) & 0xffff;
	FOR_MASKS(LOOK_K)
	return wrong;
}

static void fill_vectors(u64 p)
{
	u64 source[4] = { p, p + 1, p + 2, p + 3 };
	u64 number = p >> 8;
	u32 mxcsr = 0x1f80 | (p & 3) << 13;

	if (have_avx512) {
		fill_wide(p);
	} else if (have_avx) {
#define FILL_Y(n) asm volatile("vmovdqu %0, %%ymm" #n : : "m" (source));
		FOR_16(FILL_Y)
	} else {
#define FILL_X(n) asm volatile("movdqu %0, %%xmm" #n : : "m" (source));
		FOR_16(FILL_X)
	}
	asm volatile("fninit; fildll %0; fildll %0" : : "m" (number));
	asm volatile("ldmxcsr %0" : : "m" (mxcsr));
}

static u64 wrong_vectors(u64 p)
{
	u64 wrong = 0, number;
	u32 mxcsr;

	if (have_avx512) {
		wrong = wrong_wide(p);
	} else if (have_avx) {
#define LOOK_Y(n) asm volatile("vmovdqu %%ymm" #n ", %0" : "=m" (stored)); \
		wrong |= (stored[0] ^ p) | (stored[1] ^ (p + 1)) | \
			 (stored[2] ^ (p + 2)) | (stored[3] ^ (p + 3));
		FOR_16(LOOK_Y)
	} else {
#define LOOK_X(n) asm volatile("movdqu %%xmm" #n ", %0" : "=m" (stored)); \
		wrong |= (stored[0] ^ p) | (stored[1] ^ (p + 1));
		FOR_16(LOOK_X)
	}
	asm volatile("stmxcsr %0" : "=m" (mxcsr));
	wrong |= (mxcsr ^ (0x1f80 | (p & 3) << 13)) & ~0x3f;
	/* Pop one, look, push it again. */
	asm volatile("fistpll %0; fildll %0" : "=m" (number));
	return wrong | (number ^ p >> 8);
}

/* What the CPU has and its kernel has switched on. */
static void detect_vectors(void)
{
	u32 a, b, c, d, enabled = 0;

	__cpuid(1, a, b, c, d);
	have_avx = c >> 28 & 1 && c >> 27 & 1;
	if (have_avx)
		asm("xgetbv" : "=a" (enabled) : "c" (0) : "edx");
	__cpuid_count(7, 0, a, b, c, d);
	have_avx512 = b >> 16 & 1 && (enabled & 0xe0) == 0xe0;
}

static void keeps_vectors(void)
{
	fill_vectors(pattern);
	for (;;) {
		u64 wrong = wrong_vectors(pattern);

		if (wrong)
			guest_fail("extended state", wrong, 0);
		checks = checks + 1;
		if (checks % 64 == 0)
			HCALL(GET_TIME);
	}
}

static void run_pattern_guest(u64 p, int rounds)
{
	struct guest *g;

	pattern = p;
	g = make_guest(keeps_vectors);
	for (int i = 0; i < rounds; i++) {
		u64 wrong;

		/* The launcher's own survive the guest, and the other way round. */
		fill_vectors(~p);
		if (go_for(g, 30) != -EINTR)
			fail("%s", g->reason);
		wrong = wrong_vectors(~p);
		(void)wrong;	/* the C library may use vectors in between */
	}
	if (!IN_GUEST(g, checks))
		fail("the guest did not run");
}

TEST_S(30, "C10 AT-62 patterns in x87, SSE, AVX: two guests and a program, one CPU")
{
	int status, failed = 0;

	detect_vectors();
	dprintf(1, "# %s\n", have_avx512 ? "AVX-512" : have_avx ? "AVX" : "SSE");
	on_cpu(0);
	for (int i = 0; i < 2; i++)
		if (fork() == 0) {
			run_pattern_guest(0x1111111111111100 * (i + 1), 30 * times);
			_exit(0);
		}
	if (fork() == 0) {
		fill_vectors(0x7777777777777700);
		for (u64 until = now_ns() + times * 1500000000ULL; now_ns() < until; ) {
			fill_vectors(0x7777777777777700);
			for (int i = 0; i < 1000; i++)
				if (wrong_vectors(0x7777777777777700))
					fail("the program sees other state");
		}
		_exit(0);
	}
	while (wait(&status) > 0)
		failed += status != 0;
	if (failed)
		_exit(9);
}

/* read() itself, so that no C code runs between the two looks. */
static long raw_read(int fd, void *buf, u64 size)
{
	long result;

	asm volatile("syscall" : "=a" (result)
		     : "0" (0), "D" (fd), "S" (buf), "d" (size)
		     : "rcx", "r11", "memory");
	return result;
}

static void fills_and_notifies(void)
{
	for (u64 i = 0; ; i++) {
		fill_vectors(0x4444444444444400 + i);
		HCALL(NOTIFY, 1);
		if (wrong_vectors(0x4444444444444400 + i))
			guest_fail("extended state", i, 0);
	}
}

TEST("C10 AT-62 the launcher's extended state survives read(), exactly")
{
	struct guest *g;

	detect_vectors();
	g = make_guest(fills_and_notifies);
	for (u64 i = 0; i < 300; i++) {
		long got;
		u64 wrong;

		fill_vectors(0x9999999999999900 + i);
		got = raw_read(g->fd, &g->exit, sizeof(g->exit));
		wrong = wrong_vectors(0x9999999999999900 + i);
		CHECK_EQ(got, sizeof(g->exit));
		CHECK_EQ(wrong, 0);
	}
}

static void starts_clean(void)
{
	u64 sum = 0;
	u32 mxcsr;

#define SUM_X(n) asm volatile("movdqu %%xmm" #n ", %0" : "=m" (stored)); \
	sum |= stored[0] | stored[1];
	FOR_16(SUM_X)
	asm volatile("stmxcsr %0" : "=m" (mxcsr));
	EXPECT_EQ(sum, 0);
	EXPECT_EQ(mxcsr, 0x1f80);
}

TEST("AT-62 a new guest starts with empty extended state")
{
	detect_vectors();
	fill_vectors(0x6666666666666600);
	guest_passes(starts_clean);
}

/* ---- AMX ---- */

SNIPPET(loads_tiles, "ldtilecfg (%rdi)\n");
SNIPPET(stores_tiles, "tilezero %tmm0\n");

static u8 tile_config[64] __attribute__((aligned(64)));
static u8 tile[16][64] __attribute__((aligned(64)));

static void wants_tiles(void)
{
	for (u64 i = 0; i < 2000; i++) {
		void (*code)(void) = (void (*)(void))(i & 1 ? loads_tiles : stores_tiles);
		struct frame f = i & 2 ? kernel_at(code) : user_at(code);

		f.rdi = i & 2 ? (u64)tile_config : TO_USER(tile_config);
		run(&f);
		EXPECT_EQ(f.vector, 6);
	}
}

/* One tile of 16 rows, on the CPU that the guest runs on. */
static void keeps_a_tile(void)
{
	u8 out[16][64] __attribute__((aligned(64)));

	memset(tile, 0x5a, sizeof(tile));
	asm volatile("ldtilecfg %0" : : "m" (tile_config));
	asm volatile("tileloadd (%0,%1,1), %%tmm0" : : "r" (tile), "r" (64UL) : "memory");
	for (;;) {
		memset(out, 0, sizeof(out));
		asm volatile("tilestored %%tmm0, (%0,%1,1)" : : "r" (out), "r" (64UL)
			     : "memory");
		if (memcmp(out, tile, sizeof(out)))
			fail("the program's tile has changed");
	}
}

TEST("AT-62 AMX is #UD for a guest, and a program beside it keeps its tiles")
{
	int status;
	pid_t pid;
	u32 a, b, c, d;

	__cpuid_count(7, 0, a, b, c, d);
	/* ARCH_REQ_XCOMP_PERM */
	if (!(d >> 24 & 1) || syscall(SYS_arch_prctl, 0x1023, 18))
		skip("this CPU, or its kernel, has no AMX");
	tile_config[0] = 1;	/* palette */
	tile_config[16] = 64;	/* bytes of a row of tile 0 ... */
	tile_config[48] = 16;	/* ... and its rows */
	on_cpu(0);
	pid = fork();
	if (pid == 0)
		keeps_a_tile();
	usleep(100000);
	for (int i = 0; i < 20; i++)
		guest_passes(wants_tiles);
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
}

/* ---- A vCPU that moves ---- */

static volatile bool stop;

static void *moves(void *arg)
{
	pid_t tid = *(pid_t *)arg;
	cpu_set_t set;

	for (int i = 0; !stop; i++) {
		CPU_ZERO(&set);
		CPU_SET(i & 1, &set);
		sched_setaffinity(tid, sizeof(set), &set);
		usleep(500);
	}
	return NULL;
}

TEST("C13 C14 a vCPU that is moved between CPUs all the time")
{
	struct guest *g;
	pthread_t thread;
	pid_t tid = getpid();
	sigset_t set;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("needs two CPUs (lab --smp 2)");
	detect_vectors();
	pattern = 0x5555555555555500;
	g = make_guest(keeps_vectors);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_create(&thread, NULL, moves, &tid);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (int i = 0; i < 20; i++)
		if (go_for(g, 50) != -EINTR)
			fail("%s", g->reason);
	stop = true;
	pthread_join(thread, NULL);
	CHECK(IN_GUEST(g, checks) > 0);
}

/* Its launcher's memory changes meanwhile: mappings come and go, and all is copied. */
static void *changes_memory(void *arg)
{
	u64 *rounds = arg;

	for (u64 n = 1; !stop; n++) {
		volatile u64 *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		int status;
		pid_t pid;

		CHECK(p != MAP_FAILED);
		for (int i = 0; i < 64; i++)
			p[i * 512] = n + i;
		pid = fork();
		for (int i = 0; i < 64; i++)
			if (p[i * 512] != n + i)
				_exit(1);
		if (!pid)
			_exit(0);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
		CHECK_EQ(mprotect((void *)p, 32 * PAGE, PROT_READ), 0);
		CHECK_EQ(munmap((void *)p, 64 * PAGE), 0);
		*rounds = n;
	}
	return NULL;
}

#define CHECKED_PAGES	100

/* Each copy of the launcher takes its pages away once more. */
static void keeps_vectors_and_pages(void)
{
	u64 first = guest_page();

	for (int i = 1; i < CHECKED_PAGES; i++)
		guest_page();
	fill_vectors(pattern);
	for (u64 round = 0; ; round++) {
		for (u64 i = 0; i < CHECKED_PAGES; i++) {
			volatile u64 *p = AT(first + i * PAGE);

			EXPECT_EQ(*p, round ? round + i - 1 : 0);
			*p = round + i;
		}
		EXPECT_EQ(wrong_vectors(pattern), 0);
		checks = checks + 1;
		HCALL(GET_TIME);
	}
}

TEST_S(30, "C14 a vCPU that is moved while its launcher's memory changes and is copied")
{
	pthread_t mover, changer;
	pid_t tid = getpid();
	struct guest *g;
	u64 rounds = 0, ran;
	sigset_t set;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("needs two CPUs (lab --smp 2)");
	detect_vectors();
	pattern = 0x3333333333333300;
	g = make_guest(keeps_vectors_and_pages);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_create(&mover, NULL, moves, &tid);
	pthread_create(&changer, NULL, changes_memory, &rounds);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (u64 i = 0; i < 20 * times || (i < 200 && *(volatile u64 *)&rounds < 10); i++)
		if (go_for(g, 50) != -EINTR)
			fail("%s", g->reason);
	stop = true;
	pthread_join(mover, NULL);
	ran = IN_GUEST(g, checks);
	pthread_join(changer, NULL);
	CHECK(rounds >= 10 && ran >= 10);
}
