// SPDX-License-Identifier: GPL-2.0
/*
 * The launcher's memory, which is the guest's: unmapped, discarded, made read-only
 * or huge, copied by fork(), while the guest has it in its shadow tables.  The
 * tables follow it wherever it goes.  Read next: spent.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"
#include "memory.h"

/* ---- It changes between two runs ---- */

static void asks_after_touch(void)
{
	u64 page = AREA;

	map(MAIN_CR3, VA, page, P_ | W_ | U_);
	*at(VA) = 0x1111;
	EXPECT_EQ(user_reads(VA), OK);
	HCALL(NOTIFY, 1);
	EXPECT_EQ(user_reads(VA), OK);
	HCALL(NOTIFY, value);
	*at(VA) = 0x2222;
	EXPECT_EQ(user_reads(VA), OK);
	HCALL(NOTIFY, value);
}

TEST("F10 madvise, new mappings and mprotect under a guest")
{
	struct guest *g = make_guest(asks_after_touch);
	u8 *page = g->mem + AREA;

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(*(u64 *)page, 0x1111);
	CHECK_EQ(madvise(page, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 0);
	CHECK(mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE |
		   MAP_ANONYMOUS, -1, 0) == page);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 0x2222);
	CHECK_EQ(*(u64 *)page, 0x2222);
	passes(g);
}

TEST("F10 AT-45 munmap of guest memory: the guest's end")
{
	struct guest *g = make_guest(asks_after_touch);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	munmap(g->mem + AREA, PAGE);
	dies(g, "is not there");
}

/* How long it takes to die; a signal comes after @us, if that is not 0. */
static u64 dies_in(unsigned int us)
{
	struct itimerval t = { { 0, 0 }, { 0, us } };
	struct guest *g = make_guest(asks_after_touch);
	u64 began, took;
	ssize_t got;
	char buf[200];

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	munmap(g->mem + AREA, PAGE);
	began = now_ns();
	setitimer(ITIMER_REAL, &t, NULL);
	do {
		got = read(g->fd, buf, sizeof(buf));
	} while (got < 0 && errno == EINTR);
	took = now_ns() - began;
	CHECK_EQ(got, -1);
	CHECK_EQ(errno, ENOENT);
	CHECK(read(g->fd, buf, sizeof(buf)) > 0 || errno == EINTR);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	end_guest(g);
	return took / 1000;
}

static void comes(int number)
{
	(void)number;
}

TEST("H11 a guest that dies as a signal comes: read() tells that first, then why")
{
	struct sigaction sa = { .sa_handler = comes };
	u64 us = -1;

	for (int i = 0; i < 5; i++) {
		u64 took = dies_in(0);

		us = took < us ? took : us;
	}
	sigaction(SIGALRM, &sa, NULL);
	for (u64 i = 1; i <= 60; i++)
		dies_in(i * us / 40 + 1);
}

TEST("AT-45 guest memory that is read-only to the launcher")
{
	struct guest *g = make_guest(asks_after_touch);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(mprotect(g->mem + AREA, PAGE, PROT_READ), 0);
	dies(g, "is not there");
}

TEST("AT-45 guest memory gone altogether, shared page and tables too")
{
	struct guest *g = make_guest(asks_after_touch);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	munmap(g->mem, g->size);
	CHECK(go(g) <= 0);
}

TEST("AT-45 guest memory in a file that is truncated")
{
	struct guest *g = raw_guest(GUEST_SIZE);
	int fd = memfd_create("guest", 0);

	CHECK_EQ(ftruncate(fd, GUEST_SIZE), 0);
	CHECK(mmap(g->mem, GUEST_SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, fd, 0) == g->mem);
	load_image(g, asks_after_touch);
	CHECK_EQ(initialize(g, IMAGE_GPA + (guest_boot - __executable_start)), 0);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(ftruncate(fd, AREA), 0);
	dies(g, "is not there");
}

/* The host writes to the shared page for ever: not behind a file system's back. */
static struct guest *guest_in_file(const char *type)
{
	struct guest *g = raw_guest(GUEST_SIZE);
	int fd;

	mkdir("/tmp/files", 0700);
	CHECK_EQ(mount("none", "/tmp/files", type, 0, NULL), 0);
	fd = open("/tmp/files/memory", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, GUEST_SIZE), 0);
	CHECK(mmap(g->mem, GUEST_SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, fd, 0) == g->mem);
	close(fd);
	umount2("/tmp/files", MNT_DETACH);
	load_image(g, asks_after_touch);
	CHECK_EQ(initialize(g, IMAGE_GPA + (guest_boot - __executable_start)), 0);
	return g;
}

TEST("AT-45 the shared page in a file of a file system: refused; of shared memory: not")
{
	struct guest *g = guest_in_file("ramfs");

	dies(g, "bad guest page");
	end_guest(g);
	g = guest_in_file("tmpfs");
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
}

TEST("AT-35 guest memory in huge pages, then split")
{
	struct guest *g = raw_guest(GUEST_SIZE);

	madvise(g->mem, GUEST_SIZE, MADV_HUGEPAGE);
	load_image(g, asks_after_touch);
	CHECK_EQ(initialize(g, IMAGE_GPA + (guest_boot - __executable_start)), 0);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(madvise(g->mem + AREA, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 0);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	passes(g);
}

static void large_pat(void)
{
	/* 2 MiB with the PAT bit (12), which is no part of the frame. */
	*entry_of(MAIN_CR3, VA, 2) = AREA | P_ | W_ | U_ | PS_ | A_ | D_ | 0x1000;
	*at(VA) = 0x1111;
	*at(VA + PAGE) = 0x1111;
	HCALL(NOTIFY, 1);
	HCALL(NOTIFY, *at(VA));
	HCALL(NOTIFY, *at(VA + PAGE));
}

TEST("AT-30 AT-26 the first page under a 2 MiB entry with PAT is taken away")
{
	struct guest *g = raw_guest(GUEST_SIZE);

	madvise(g->mem, GUEST_SIZE, MADV_HUGEPAGE);
	load_image(g, large_pat);
	CHECK_EQ(initialize(g, IMAGE_GPA + (guest_boot - __executable_start)), 0);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(*(u64 *)(g->mem + AREA), 0x1111);
	CHECK_EQ(madvise(g->mem + AREA, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 0);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 0x1111);
}

/* ---- It changes while the guest runs ---- */

static volatile u64 counter_page[512] __attribute__((aligned(4096)));

static void counts_on(void)
{
	for (u64 i = 0; ; i++) {
		counter_page[0] = i;
		*(volatile u64 *)AT(AREA + (i & 127) * PAGE) = i;
	}
}

static volatile bool stop;

static void *discards(void *arg)
{
	struct guest *g = arg;
	unsigned int n = 0;

	while (!stop) {
		u8 *area = g->mem + AREA;

		madvise(area, 128 * PAGE, MADV_DONTNEED);
		if (n++ % 4 == 0) {
			mprotect(area, 64 * PAGE, PROT_READ);
			mprotect(area, 64 * PAGE, PROT_READ | PROT_WRITE);
		}
		if (n % 16 == 0)
			madvise(g->mem, g->size, n & 16 ? MADV_HUGEPAGE :
				MADV_NOHUGEPAGE);
		usleep(100);
	}
	return NULL;
}

static void runs_for(struct guest *g, int ms)
{
	int err = go_for(g, ms);

	if (err != -EINTR)
		fail("the guest ends its run with %d: %s", err, g->reason);
}

TEST("F10 L5 another thread discards memory while the guest writes it")
{
	struct guest *g = make_guest(counts_on);
	pthread_t thread;

	pthread_create(&thread, NULL, discards, g);
	/* mprotect() may make it read-only for a moment: then it may die. */
	for (int i = 0; i < 10; i++)
		if (go_for(g, 150) != -EINTR)
			break;
	stop = true;
	pthread_join(thread, NULL);
}

TEST("F10 fork of the launcher: the guest's writes stay the parent's")
{
	struct guest *g = make_guest(counts_on);
	u64 seen;
	int status;

	runs_for(g, 50);
	for (int i = 0; i < 5; i++) {
		seen = IN_GUEST(g, counter_page[0]);
		if (fork() == 0) {
			u64 before = IN_GUEST(g, counter_page[0]);

			usleep(100000);
			CHECK_EQ(IN_GUEST(g, counter_page[0]), before);
			_exit(0);
		}
		do
			runs_for(g, 150);
		while (IN_GUEST(g, counter_page[0]) == seen);
		wait(&status);
		CHECK_EQ(status, 0);
	}
}

static void *forks(void *arg)
{
	sigset_t alarm;

	(void)arg;
	/* Or fork() takes the signal that is to end the vCPU's read(). */
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	while (!stop) {
		if (fork() == 0)
			_exit(0);
		wait(NULL);
	}
	return NULL;
}

TEST("F10 forks of another thread while the guest runs: nothing is lost")
{
	struct guest *g = make_guest(counts_on);
	pthread_t thread;
	u64 last = 0;

	pthread_create(&thread, NULL, forks, NULL);
	for (int i = 0; i < 10; i++) {
		runs_for(g, 50);
		CHECK(IN_GUEST(g, counter_page[0]) >= last);
		last = IN_GUEST(g, counter_page[0]);
	}
	CHECK(last > 0);
	stop = true;
	pthread_join(thread, NULL);
}

/* ---- Memory of the launcher that is not the guest's ---- */

static volatile u64 fills;

/* A fill after each flush, and a page that is always in use. */
static void fills_on(void)
{
	u64 page[2] = { guest_page(), guest_page() };

	for (fills = 0; ; fills++) {
		map(MAIN_CR3, VA, page[fills & 1], P_ | W_ | U_);
		HCALL(FLUSH_TLB, LGUEST_FLUSH_ONE, VA);
		*at(VA) = fills;
		*(volatile u64 *)AT(AREA) = fills;
	}
}

static volatile u64 changes;

static void *maps_elsewhere(void *arg)
{
	size_t size = 64 * PAGE;

	(void)arg;
	for (; !stop; changes++) {
		u8 *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			fail("mmap: %s", strerror(errno));
		for (size_t i = 0; i < size; i += PAGE)
			p[i] = 1;
		mprotect(p, size, PROT_READ);
		munmap(p, size);
	}
	return NULL;
}

static void *discards_one(void *arg)
{
	struct guest *g = arg;

	for (; !stop; changes++) {
		madvise(g->mem + AREA, PAGE, MADV_DONTNEED);
		usleep(100);
	}
	return NULL;
}

/* Until both have done enough, and the Host has counted something of UNTIL. */
static void run_beside(struct guest *g, void *(*thread)(void *), const char *until)
{
	u64 from = IN_GUEST(g, fills);
	pthread_t t;

	stop = false;
	changes = 0;
	pthread_create(&t, NULL, thread, g);
	for (int i = 0; i < 400 && (changes < 100 || IN_GUEST(g, fills) < from + 100 ||
				    (until && !stat_of(g, until))); i++)
		runs_for(g, 50);
	stop = true;
	pthread_join(t, NULL);
	CHECK(changes >= 100 && IN_GUEST(g, fills) >= from + 100);
}

/*
 * Whether the host looks which node a page is used on, by changes of its own: the
 * value so far, or 0 where it has no such thing.
 */
static char numa_balancing(char to)
{
	int fd = open("/proc/sys/kernel/numa_balancing", O_RDWR);
	char was = '0';

	if (fd >= 0 && (read(fd, &was, 1) != 1 || pwrite(fd, &to, 1, 0) != 1))
		fail("numa_balancing: %s", strerror(errno));
	close(fd);
	return was;
}

TEST_S(60, "F10 L5 the launcher's other memory changes: the guest neither waits nor is interrupted")
{
	struct guest *g = make_guest(fills_on);
	char balancing = numa_balancing('0');

	madvise(g->mem, g->size, MADV_NOHUGEPAGE);
	runs_for(g, 50);
	run_beside(g, maps_elsewhere, NULL);
	CHECK_EQ(stat_of(g, "memory_waits"), 0);
	CHECK_EQ(stat_of(g, "tlb_interrupts"), 0);
	/* That the counter counts: this page is the guest's. */
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
		run_beside(g, discards_one, "tlb_interrupts");
		CHECK(stat_of(g, "tlb_interrupts") > 0);
	}
	numa_balancing(balancing);
}
