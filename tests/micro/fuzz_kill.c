// SPDX-License-Identifier: GPL-2.0
/*
 * Launchers that are killed at random moments; guests that want all of the
 * machine: others keep their share.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"
#include "fuzz.h"

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
		if (now_ns() - began > 20000000000 * slow)
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
	const char *given = getenv("KILLS");
	int kills = given ? atoi(given) : 50;

	begin();
	for (int i = 0; i < kills || now_ns() < until; i++) {
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

static u64 table;		/* an L1 table with one page */

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

	*l2 = table | P_ | W_ | U_;
	(void)*(volatile u64 *)va;
}

static void make_tables(void)
{
	table = guest_page();
	((volatile u64 *)AT(table))[0] = DATA | P_ | W_ | U_;
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

/* How many flushes a launcher's guest has made. */
static u64 flushes_of(pid_t pid)
{
	char path[64], line[100];
	u64 n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/lguest/%d/stats", pid);
	f = fopen(path, "r");
	if (!f)
		fail("%s: no such file", path);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "hypercall_FLUSH_TLB %llu", (unsigned long long *)&n);
	fclose(f);
	return n;
}

static void fair(void (*fn)(void), const char *what)
{
	u64 took, longest = 0, dying, flushed;
	pid_t pid;

	begin();
	on_cpu(0);
	pid = start_launcher(fn, 0);
	usleep(500000);
	flushed = flushes_of(pid);
	took = now_ns();
	for (int i = 0; i < 100; i++) {
		u64 began = now_ns();

		usleep(5000);
		if (now_ns() - began > longest)
			longest = now_ns() - began;
	}
	took = now_ns() - took;
	flushed = flushes_of(pid) - flushed;
	dying = end_launcher(pid);
	dprintf(1, "# fair: %s: 100 x 5 ms took %llu ms, the longest %llu ms; dead after %llu ms\n",
		what, (unsigned long long)took / 1000000,
		(unsigned long long)longest / 1000000,
		(unsigned long long)dying / 1000000);
	/* 5 ms, a scheduler's slice, an emulator's slowness, few flushes each. */
	if (took > 5000000000 * slow + (flushed ? 400 * took / flushed : 0))
		fail("%s: 100 sleeps of 5 ms take %llu ms", what,
		     (unsigned long long)took / 1000000);
	if (dying > 1000000000UL * slow)
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
