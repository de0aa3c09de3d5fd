// SPDX-License-Identifier: GPL-2.0
/*
 * The first process of a guest: what is resident after a few pages of fresh
 * memory were written? With "ahead=off" in the environment nothing else may be.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PAGE 4096L
#define BLOCK 16		/* pages, aligned */
#define PAGES (4 * BLOCK)

static volatile int sum_of_reads;

static char *map(int flags)
{
	char *a = mmap(NULL, (PAGES + BLOCK) * PAGE, PROT_READ | PROT_WRITE,
		       flags | MAP_ANONYMOUS, -1, 0);

	a = (char *)(((unsigned long)a + BLOCK * PAGE - 1) & -(BLOCK * PAGE));
	madvise(a, PAGES * PAGE, MADV_NOHUGEPAGE);
	return a;
}

static void write_pages(char *a, int first, int end)
{
	for (; first < end; first++)
		a[first * PAGE] = first + 1;
}

static int resident(char *a)
{
	unsigned char in[PAGES];
	int i, sum = 0;

	mincore(a, PAGES * PAGE, in);
	for (i = 0; i < PAGES; i++)
		sum += in[i] & 1;
	return sum;
}

static void say(const char *what, int got)
{
	printf("ahead: %s: %d\n", what, got);
	fflush(stdout);
}

static void in_a_run(void)
{
	char *a = map(MAP_PRIVATE);
	int i, two, three, seventeen, wrong = 0;

	resident(a);			/* its own faults come before */
	write_pages(a, 0, 2);
	two = resident(a);
	write_pages(a, 2, 3);
	three = resident(a);
	write_pages(a, 3, 17);
	seventeen = resident(a);
	say("two pages", two);
	say("three pages", three);
	say("seventeen pages", seventeen);
	for (i = 0; i < 32; i++)
		wrong += a[i * PAGE] != (i < 17 ? i + 1 : 0);
	say("wrong bytes", wrong);
}

static void not_in_a_run(void)
{
	char *a = map(MAP_PRIVATE);
	int i;

	for (i = 0; i < PAGES; i += 2)
		a[i * PAGE] = 1;
	say("every other page", resident(a));
	a = map(MAP_PRIVATE);
	for (i = 0; i < PAGES / 2; i++)
		sum_of_reads += a[i * PAGE];
	say("32 pages read", resident(a));
	a = map(MAP_PRIVATE);
	madvise(a, PAGES * PAGE, MADV_RANDOM);
	write_pages(a, 0, 8);
	say("eight of MADV_RANDOM", resident(a));
	a = map(MAP_SHARED);
	write_pages(a, 0, 8);
	say("eight shared", resident(a));
}

/* Nothing beyond the mapping, though it is all one page table. */
static void at_an_end(void)
{
	char *a = map(MAP_PRIVATE);

	mprotect(a + 5 * PAGE, PAGE, PROT_NONE);
	write_pages(a, 0, 4);
	say("four of five", resident(a));
}

static void watched(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register all = { .mode = UFFDIO_REGISTER_MODE_WP };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	char *a = map(MAP_PRIVATE);

	api.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP;
	all.range.start = (unsigned long)a;
	all.range.len = PAGES * PAGE;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &all)) {
		say("eight watched", -1);
		return;
	}
	write_pages(a, 0, 8);
	say("eight watched", resident(a));
}

static void put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		say(file, -1);
	close(fd);
}

/* A group of processes that may have no more than it has. */
static void in_a_full_group(void)
{
	char *a = map(MAP_PRIVATE), *filler, text[32];
	int room, fd, n;

	mount("none", "/group", "cgroup2", 0, NULL);
	put("/group/cgroup.subtree_control", "+memory");
	mkdir("/group/small", 0755);
	put("/group/small/cgroup.procs", "0");
	filler = map(MAP_PRIVATE);
	write_pages(filler, 0, PAGES);
	write_pages(a, 0, 1);
	fd = open("/group/small/memory.current", O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	room = atoi(text) + 8 * PAGE;
	snprintf(text, sizeof(text), "%d", room);
	put("/group/small/memory.high", text);
	write_pages(a, 1, 6);
	say("six in a group that is nearly full", resident(a));
	put("/group/small/memory.high", "max");
	put("/group/cgroup.procs", "0");
}

int main(void)
{
	mkdir("/group", 0755);
	in_a_run();
	not_in_a_run();
	at_an_end();
	watched();
	in_a_full_group();
	printf("ahead: done\n");
	fflush(stdout);
	reboot(RB_POWER_OFF);
}
