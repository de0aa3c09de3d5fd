// SPDX-License-Identifier: GPL-2.0
/*
 * The host's memory management at work on the memory of a running guest:
 * merging, moving, swapping, huge pages made and split.  The guest checks each
 * page that it touches, and writes it.  Read next: fuzz.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"
#include "fuzz.h"

#define PAGES 512UL
#define AREA_VA 0x30000000000UL
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* ---- The guest half ---- */

static volatile u8 wrote[PAGES];

/*
 * Few values, so that many pages are alike; read and written by kernel and
 * user, through large pages and small ones.
 */
static void checks_pages(void)
{
	on_event = take;
	for (u64 i = 0; i < PAGES; i++)
		map(MAIN_CR3, AREA_VA + i * PAGE, DATA + i * PAGE, P_ | W_ | U_);
	for (;; cases++) {
		u64 n = below(PAGES);
		u64 va = below(2) ? AREA_VA : KERNEL_VA + DATA;
		volatile u64 *page = (u64 *)(va + n * PAGE);

		EXPECT_EQ(page[0], wrote[n]);
		EXPECT_EQ(page[511], wrote[n]);
		if (below(guest_arg))
			continue;
		wrote[n] = below(4);
		page[0] = wrote[n];
		page[511] = wrote[n];
		if (!below(64))
			HCALL(FLUSH_TLB, below(3), va);
	}
}

/* ---- The host half ---- */

static struct guest *g;
static volatile bool stop;
static u64 did;			/* what was found to have happened */

static void put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("%s: %s", file, strerror(errno));
	close(fd);
}

static u64 get(const char *file, const char *word)
{
	char text[8192];
	int fd = open(file, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *at;

	if (len < 0)
		fail("%s: %s", file, strerror(errno));
	close(fd);
	text[len] = 0;
	at = strstr(text, word);
	return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static void merge(u64 round)
{
	if (!round) {
		CHECK_EQ(madvise(g->mem, g->size, MADV_MERGEABLE), 0);
		put("/sys/kernel/mm/ksm/sleep_millisecs", "2");
		put("/sys/kernel/mm/ksm/pages_to_scan", "2000");
		put("/sys/kernel/mm/ksm/run", "1");
	}
	did += get("/sys/kernel/mm/ksm/pages_sharing", "");
	usleep(5000);
}

/* Between the nodes of memory if there are two, and wherever the kernel likes. */
static void move(u64 round)
{
	static void *pages[PAGES];
	static int nodes[PAGES], status[PAGES];

	for (u64 i = 0; i < PAGES; i++) {
		pages[i] = g->mem + DATA + i * PAGE;
		nodes[i] = (round + i) & 1;
		status[i] = -1;
	}
	if (syscall(SYS_move_pages, 0, PAGES, pages, nodes, status, 2) >= 0)
		for (u64 i = 0; i < PAGES; i++)
			did += status[i] == nodes[i];
	if (round % 64 == 1)
		put("/proc/sys/vm/compact_memory", "1");
	usleep(2000);
}

static void swap(u64 round)
{
	CHECK_EQ(madvise(g->mem + (round % 2 ? DATA : 0),
			 round % 2 ? PAGES * PAGE : g->size, MADV_PAGEOUT), 0);
	did += get("/proc/self/status", "VmSwap:");
	usleep(1000);
}

static void join_and_split(u64 round)
{
	u8 *huge = g->mem + DATA;

	/* It may fail: the pages are in use. */
	madvise(g->mem, g->size, MADV_HUGEPAGE);
	madvise(huge, 2UL << 20, MADV_COLLAPSE);
	did += get("/proc/self/smaps_rollup", "AnonHugePages:");
	madvise(g->mem, g->size, MADV_NOHUGEPAGE);
	/* Rights of a part: the huge page is split, and nothing is lost. */
	mprotect(huge + (round % 512) * PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	mprotect(huge + (round % 512) * PAGE, PAGE, PROT_READ | PROT_WRITE);
	/* So that there is something to join again. */
	if (fork() == 0)
		_exit(0);
	while (waitpid(-1, NULL, 0) > 0)
		continue;
}

static void *churns(void *arg)
{
	void (*step)(u64 round) = arg;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (u64 round = 0; !stop; round++)
		step(round);
	return NULL;
}

static void run_for(u64 ms)
{
	u64 end = now_ns() + ms * 1000000;

	tick(5);
	while (now_ns() < end) {
		int kind = go(g);

		if (kind != -EINTR)
			fail("the guest ends with %d: %s", kind, g->reason);
	}
	tick(0);
}

/* The guest does not notice; and it did happen. */
static void survives(void (*step)(u64 round), const char *what)
{
	pthread_t thread;
	u64 first;

	begin();
	/* KSM leaves pages alone that change all the time. */
	guest_arg = step == merge ? 3000 : 3;
	g = make_guest(checks_pages);
	run_for(300);
	first = IN_GUEST(g, cases);
	pthread_create(&thread, NULL, churns, step);
	for (int i = 0; i < 4 || (i < 150 * (int)slow && !did); i++)
		run_for(300);
	stop = true;
	pthread_join(thread, NULL);
	CHECK(IN_GUEST(g, cases) > first);
	/* Beside many others the kernel may not get to it in time. */
	if (!did && !getenv("SIDE_BY_SIDE"))
		fail("no page was %s", what);
	run_for(200);
	dprintf(1, "# %s: the guest checked %llu pages\n", what,
		(unsigned long long)IN_GUEST(g, cases));
	end_guest(g);
}

TEST_S(80, "AT-30 F10 L5 pages of a running guest are merged (KSM)")
{
	survives(merge, "merged");
	put("/sys/kernel/mm/ksm/run", "2");
}

TEST_S(80, "AT-30 F10 L5 pages of a running guest are moved between nodes, and by compaction")
{
	if (access("/sys/devices/system/node/node1", F_OK))
		skip("needs two nodes of memory");
	survives(move, "moved");
}

TEST_S(80, "AT-30 F10 L5 pages of a running guest are swapped out and in")
{
	if (!get("/proc/meminfo", "SwapTotal:")) {
		if (access("/dev/ram0", F_OK))
			skip("needs a place to swap to (lab --modprobe brd)");
		if (system("mkswap /dev/ram0 >/dev/null && swapon /dev/ram0"))
			fail("no swap");
	}
	survives(swap, "swapped");
}

TEST_S(80, "AT-30 F10 L5 huge pages under a running guest are made and split")
{
	survives(join_and_split, "made huge");
}
