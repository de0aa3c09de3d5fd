// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that a guest makes the host spend, its shadow tables: bounded by
 * what is really there, counted, and given back when the host wants it.  Read next:
 * tlb.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"
#include "memory.h"

#define L1_SIZE	(2UL << 20)	/* what one table of the lowest level spans */

/*
 * The same page, by a table of the lowest level in each of many 2 MiB: three pages of
 * tables, and the host needs a shadow table for each of 512 times 512 ways.
 */
static void alias_tables(void)
{
	u64 page = guest_page(), l1 = guest_page(), l2 = guest_page();
	volatile u64 *l3;

	for (int i = 0; i < 512; i++)
		((volatile u64 *)AT(l1))[i] = page | P_ | W_ | U_;
	for (int i = 0; i < 512; i++)
		((volatile u64 *)AT(l2))[i] = l1 | P_ | W_ | U_;
	entry_of(MAIN_CR3, VA, 2);
	l3 = AT(*entry_of(MAIN_CR3, VA, 4) & PTE_FRAME);
	for (int i = 0; i < 512; i++)
		l3[i] = l2 | P_ | W_ | U_;
}

static void builds_tables(void)
{
	alias_tables();
	for (u64 i = 0; i < 12 * 512; i++)
		*at(VA + i * L1_SIZE) = i;
	HCALL(NOTIFY, 1);
	EXPECT_EQ(*at(VA), 12 * 512 - 1);
}

/* KiB of all shadow tables of the host, as it counts them. */
static long counted_kib(void)
{
	char line[200];
	long kib = -1;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "SecPageTables: %ld", &kib);
	if (!f || kib < 0)
		fail("no SecPageTables in /proc/meminfo");
	fclose(f);
	return kib;
}

/* What each CPU has not yet added to the host's sum. */
#define NOT_ADDED	2048
#define TABLE_KIB	8

static void builds_within_limit(struct guest *g)
{
	long before = counted_kib(), limit = 2048 + 16 * 1024 / 4 / 128 + 16, more;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	more = counted_kib() - before;
	CHECK(stat_of(g, "shadow_tables_made") > 6000);
	if (stat_of(g, "shadow_tables") > (u64)limit)
		fail("%llu shadow tables, %ld are allowed",
		     (unsigned long long)stat_of(g, "shadow_tables"), limit);
	if (more < 1000 * TABLE_KIB || more > limit * TABLE_KIB + NOT_ADDED)
		fail("SecPageTables has %ld KiB more", more);
	passes(g);
	end_guest(g);
	if (counted_kib() > before + NOT_ADDED)
		fail("SecPageTables has %ld KiB more after the end",
		     counted_kib() - before);
}

TEST("AT-48 shadow tables are bounded, and counted")
{
	builds_within_limit(make_guest(builds_tables));
}

TEST("AT-48 16 TiB are promised, 8 MiB are there: no more shadow tables than for those")
{
	struct guest *g = raw_guest(GUEST_SIZE);
	u64 claimed = 16UL << 40, words[5];

	munmap(g->mem, g->size);
	g->mem = mmap((void *)(1UL << 40), g->size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(g->mem == (u8 *)(1UL << 40));
	load_image(g, builds_tables);
	words[0] = LHREQ_INITIALIZE;
	words[1] = (u64)g->mem;
	words[2] = claimed / PAGE;
	words[3] = IMAGE_GPA + (guest_boot - __executable_start);
	words[4] = (claimed + DEVICE_SIZE) / PAGE;
	CHECK_EQ(write(g->fd, words, sizeof(words)), sizeof(words));
	builds_within_limit(g);
}

/* ---- The host wants it back ---- */

#define WAYS	1000

static void builds_then_uses(void)
{
	alias_tables();
	for (u64 i = 0; i < WAYS; i++)
		(void)*at(VA + i * L1_SIZE);
	*at(VA) = 0x1234;
	HCALL(NOTIFY, 1);
	for (u64 i = 0; i < WAYS; i++)
		EXPECT_EQ(*at(VA + i * L1_SIZE), 0x1234);
	EXPECT_EQ(user_reads(VA), OK);
	HCALL(NOTIFY, 2);
}

/* Whatever has a shrinker; the 4 says not to write that to the log. */
static void host_takes_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	if (fd < 0 || pwrite(fd, "4", 1, 0) != 1 || pwrite(fd, "2", 1, 0) != 1)
		fail("drop_caches: %s", strerror(errno));
	close(fd);
}

TEST("AT-48 shadow tables of a guest that sleeps are given back")
{
	struct guest *g = make_guest(builds_then_uses);
	long before = counted_kib();

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK(stat_of(g, "shadow_tables") > WAYS);
	CHECK(counted_kib() > before + WAYS * TABLE_KIB - NOT_ADDED);
	for (int i = 0; i < 20 && stat_of(g, "shadow_tables"); i++)
		host_takes_caches();
	CHECK_EQ(stat_of(g, "shadow_tables"), 0);
	CHECK(counted_kib() < before + NOT_ADDED);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK(stat_of(g, "shadow_tables") > WAYS);
	passes(g);
}

static volatile u64 turns;

/* Each page in a table of its own; what is written is there at the next turn. */
static void writes_and_looks(void)
{
	u64 page[32];

	for (u64 i = 0; i < 32; i++) {
		page[i] = guest_page();
		map(MAIN_CR3, VA + i * L1_SIZE, page[i], P_ | W_ | U_);
	}
	for (turns = 1; ; turns++)
		for (u64 i = 0; i < 32; i++) {
			EXPECT_EQ(*at(VA + i * L1_SIZE), turns == 1 ? 0 : turns - 1 + i);
			*at(VA + i * L1_SIZE) = turns + i;
			EXPECT_EQ(*(volatile u64 *)AT(page[i]), turns + i);
		}
}

static volatile bool stop;

static void *takes_caches(void *arg)
{
	(void)arg;
	while (!stop)
		host_takes_caches();
	return NULL;
}

TEST("AT-48 AT-30 shadow tables are taken away while the guest runs")
{
	struct guest *g = make_guest(writes_and_looks);
	pthread_t thread;
	u64 made, ran;

	CHECK_EQ(go_for(g, 20), -EINTR);
	made = stat_of(g, "shadow_tables_made");
	ran = IN_GUEST(g, turns);
	pthread_create(&thread, NULL, takes_caches, NULL);
	for (int i = 0; i < 100; i++) {
		int kind = go_for(g, 30);

		if (kind != -EINTR)
			fail("the guest ends with %d: %s", kind, g->reason);
		if (stat_of(g, "shadow_tables_made") > made + 300 &&
		    IN_GUEST(g, turns) > ran + 3)
			break;
	}
	stop = true;
	pthread_join(thread, NULL);
	CHECK(stat_of(g, "shadow_tables_made") > made + 300);
	CHECK(IN_GUEST(g, turns) > ran + 3);
}

/*
 * Each guest may have tables for some 18 MiB, all together more than a small host has
 * memory.  They live from what the others give back.
 */
#define CROWD	30
#define SMALL_HOST_KIB	(512 * 1024)

static void builds_among_many(void)
{
	alias_tables();
	for (u64 round = 0; round < 4; round++)
		for (u64 i = 0; i < 2200; i++) {
			*at(VA + i * L1_SIZE) = i;
			EXPECT_EQ(*at(VA + i / 2 * L1_SIZE), i);
		}
}

TEST_S(400, "AT-48 many guests whose tables exceed a small host's memory: none is killed")
{
	int status, ended = 0;

	if (sysconf(_SC_PHYS_PAGES) * 4 > SMALL_HOST_KIB)
		skip("needs a host of 512 MiB (tests/long/crowd.sh)");
	for (int i = 0; i < CROWD; i++)
		if (fork() == 0) {
			guest_passes(builds_among_many);
			_exit(0);
		}
	for (; wait(&status) > 0; ended++)
		if (WIFSIGNALED(status))
			fail("a launcher was killed by signal %d", WTERMSIG(status));
		else if (status)
			_exit(WEXITSTATUS(status));	/* it has said why */
	CHECK_EQ(ended, CROWD);
}
