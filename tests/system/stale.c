// SPDX-License-Identifier: GPL-2.0
/*
 * stale SECONDS: does a thread on another CPU ever see a page that is not there any more?
 * One changes what is at an address, by turns between two pages, or takes the right to
 * write; the others look what they find, all the time: for SECONDS, and on a machine where
 * some had no turn yet, until they have.  Prints "looks N, stale N".
 * Read next: smp.sh.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>

#define PAGE		4096UL
#define MAX_READERS	15

static char *place;
static int file;
static volatile unsigned long turn;	/* odd: the page is being changed */
static volatile int over;

struct reader {
	pthread_t thread;
	int cpu;
	volatile unsigned long looks;
	unsigned long stale;
};

static void stay_on(int cpu)
{
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	sched_setaffinity(0, sizeof(only), &only);
}

static void *read_it(void *arg)
{
	struct reader *r = arg;

	stay_on(r->cpu);
	while (!over) {
		unsigned long before = turn, seen = *(volatile unsigned long *)place;

		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (before % 2 || before != turn)
			continue;
		r->looks++;
		r->stale += seen != before / 2 % 2;
	}
	return NULL;
}

static void change(void)
{
	int i;

	turn++;
	if (mmap(place, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
		 (turn / 2 + 1) % 2 * PAGE) != place)
		exit(1);
	turn++;
	for (i = 0; i < 20000; i++)	/* for the others to look */
		__asm__ volatile("");
	/* A flush of another kind, and a table that is freed. */
	if (turn % 64 == 0) {
		char *far = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		far[2 << 20] = 1;
		mprotect(far, 4 << 20, PROT_READ);
		munmap(far, 4 << 20);
	}
}

static bool enough(const struct reader *readers, int n)
{
	unsigned long looks = 0;

	while (n--)
		looks += readers[n].looks;
	return turn > 20 && looks > 1000;
}

int main(int argc, char **argv)
{
	static struct reader readers[MAX_READERS];
	int n = sysconf(_SC_NPROCESSORS_ONLN) - 1, i;
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 2);
	unsigned long page[2][PAGE / sizeof(long)] = { { 0 }, { 1 } }, looks = 0, stale = 0;

	file = memfd_create("pages", 0);
	if (file < 0 || write(file, page, sizeof(page)) != sizeof(page))
		return 1;
	place = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	stay_on(0);
	for (i = 0; i < n && i < MAX_READERS; i++) {
		readers[i].cpu = i + 1;
		pthread_create(&readers[i].thread, NULL, read_it, &readers[i]);
	}
	while (time(NULL) < end || (i && !enough(readers, i)))
		change();
	over = 1;
	while (i--) {
		pthread_join(readers[i].thread, NULL);
		looks += readers[i].looks;
		stale += readers[i].stale;
	}
	printf("looks %lu, changes %lu, stale %lu\n", looks, turn / 2, stale);
	return 0;
}
