// SPDX-License-Identifier: GPL-2.0
/*
 * What a TLB keeps: entries of other guests, and global ones of the host.
 *
 * The host's kernel may have global TLB entries, which survive the load of the
 * guest's CR3.  A guest kernel with pages of its own at such addresses faults
 * there though nothing is wrong, and must get through; and guest user must not
 * learn from a fault what is the host's.  QEMU's TCG drops all entries with each
 * load of CR3.  Bochs (lab/lab --bochs) keeps the global ones, but walks the
 * tables again before it faults; a real CPU need not.
 */
#include <cpuid.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"

SNIPPET(g_read, "mov (%rdi), %rax\n");
SNIPPET(g_write, "mov %rsi, (%rdi)\n");
SNIPPET(g_fetch, "jmp *%rdi\n");

#define ROUNDS 100

/* Pages of the host that each visit uses. */
static const char *const names[] = {
	"schedule", "vfs_read", "_raw_spin_lock", "ktime_get", "entry_SYSCALL_64",
};
#define PAGES (sizeof(names) / sizeof(*names))
static u64 pages[PAGES];	/* 0: not found, or another one's page */

/* Of the pages at hand here, each once. */
static unsigned int find_pages(struct guest *g)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	unsigned int found = 0, i, k;
	char line[300], name[200];
	u64 address;

	CHECK(f);
	while (found < PAGES && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 " %*c %199s", &address, name) != 2)
			continue;
		for (i = 0; i < PAGES; i++)
			if (!strcmp(name, names[i]))
				break;
		address &= ~(PAGE - 1);
		/* Per-CPU variables have only an offset; the guest has RAM there. */
		if (i == PAGES || address < KERNEL_VA + g->size)
			continue;
		for (k = 0; k < PAGES; k++)
			if (IN_GUEST(g, pages[k]) == address)
				break;
		if (k < PAGES)
			continue;
		IN_GUEST(g, pages[i]) = address;
		found++;
	}
	fclose(f);
	return found;
}

static void own_pages(void)
{
	for (u64 i = 0; i < PAGES; i++)
		if (pages[i])
			map(MAIN_CR3, pages[i], guest_page(), P_ | W_);
	for (u64 round = 0; round < ROUNDS; round++)
		for (u64 i = 0; i < PAGES; i++) {
			volatile u64 *page = (void *)pages[i];

			if (!page)
				continue;
			if (round)
				EXPECT_EQ(page[i], (round - 1) << 8 | i);
			page[i] = round << 8 | i;
			HCALL(GET_TIME);
		}
}

TEST("AT-30 AT-40 guest kernel's pages where the host has global ones: each its own")
{
	struct guest *g = make_guest(own_pages);
	unsigned int found = find_pages(g);

	CHECK(found >= 4);
	passes(g);
	printf("# %u pages, %" PRIu64 " faults because of the host's entries\n", found,
	       stat_of(g, "spurious_faults"));
	fflush(stdout);
	/* At most one for each page and visit; a few come of other things. */
	CHECK(stat_of(g, "spurious_faults") <= found * ROUNDS + 20);
}

static void absent_pages(void)
{
	static const u64 errors[] = { 0, PF_WRITE, PF_FETCH };

	for (u64 i = 0; i < 6 * PAGES; i++) {
		char *code = i % 3 == 0 ? g_read : i % 3 == 1 ? g_write : g_fetch;
		struct frame f = user_at((void (*)(void))code);

		if (!pages[i / 6])
			continue;
		SHARED->direct_faults = i / 3 % 2;
		f.rdi = pages[i / 6];
		HCALL(GET_TIME);
		run(&f);
		EXPECT_EQ(f.vector, 14);
		EXPECT_EQ(SHARED->cr2, pages[i / 6]);
		EXPECT_EQ(f.error, PF_USER | errors[i % 3]);
	}
}

TEST("AT-22 AT-40 a fault of guest user does not tell which addresses the host uses")
{
	struct guest *g = make_guest(absent_pages);

	CHECK(find_pages(g) >= 4);
	passes(g);
}

#define VA 0x10000000000UL

static u64 number;

static void keeps_its_number(void)
{
	map(MAIN_CR3, VA, guest_page(), P_ | W_ | U_);
	*(volatile u64 *)VA = number;
	for (;;) {
		struct frame f = user_at((void (*)(void))g_read);

		EXPECT_EQ(*(volatile u64 *)VA, number);
		f.rdi = VA;
		run(&f);
		EXPECT_EQ(f.vector, 6);
		EXPECT_EQ(f.rax, number);
		HCALL(NOTIFY, 0);
	}
}

static struct guest *guest_with(u64 n)
{
	struct guest *g = make_guest(keeps_its_number);

	IN_GUEST(g, number) = n;
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	return g;
}

/* A CPU has PCIDs for 127 vCPUs; then it gives them out again. */
TEST_S(60, "AT-41 each guest its own page at one address, while the PCIDs are given out again")
{
	unsigned int a, b, c = 0, d;
	struct guest *g;
	int status;

	__get_cpuid(1, &a, &b, &c, &d);
	if (!(c & 1 << 17))
		skip("this CPU has no PCIDs");
	on_cpu(0);
	g = guest_with(1000);
	for (int i = 0; i < 140; i++) {
		if (fork() == 0) {
			struct guest *other = guest_with(i);

			CHECK_EQ(go(other), LGUEST_EXIT_NOTIFY);
			_exit(0);
		}
		CHECK(wait(&status) > 0);
		CHECK_EQ(status, 0);
		/* Now and then: else it takes new ones in time. */
		if (i % 70 == 0)
			CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	}
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
}

/* ---- When a guest ends ---- */

/*
 * The scheduler of newer kernels interrupts CPUs all the time.  These can be asked what
 * for: each call is traced with the name of its function.  Others only count.
 */
#define TRACING "/sys/kernel/tracing/"

static bool trace_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return false;
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return true;
}

/* What it takes to note them in, for each CPU, is given back. */
static bool trace_calls(bool on)
{
	mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (!trace_to(TRACING "events/csd/csd_queue_cpu/enable", on ? "1" : "0"))
		return false;
	return trace_to(TRACING "buffer_size_kb", on ? "1000" : "1");
}

static u64 calls_of_ours(int cpu)
{
	FILE *f = fopen(TRACING "trace", "r");
	char line[1000], to[20];
	u64 n = 0;

	snprintf(to, sizeof(to), " cpu=%d ", cpu);
	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, to) && strstr(line, "[lg]");
	if (!f)
		fail("no " TRACING "trace");
	fclose(f);
	return n;
}

/* How often a CPU was interrupted to do something on behalf of another. */
static u64 calls_to(int cpu, bool traced)
{
	FILE *f;
	char line[1000], *at;
	u64 n = 0;

	if (traced)
		return calls_of_ours(cpu);
	f = fopen("/proc/interrupts", "r");
	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, "CAL:");
		if (!at)
			continue;
		for (at += 4; cpu >= 0; cpu--)
			n = strtoull(at, &at, 10);
		fclose(f);
		return n;
	}
	fail("no CAL in /proc/interrupts");
}

#define ENDS	100

TEST("AT-30 a guest ends: CPUs that have nothing of it are left alone")
{
	u64 before, more;
	bool traced;
	pid_t pid;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("needs two CPUs (lab --smp 2)");
	traced = trace_calls(true);
	pid = fork();
	if (pid == 0) {
		on_cpu(1);
		for (;;)
			continue;
	}
	on_cpu(0);
	usleep(50000);
	before = calls_to(1, traced);
	for (int i = 0; i < ENDS; i++)
		guest_passes(guest_done);
	more = calls_to(1, traced) - before;
	kill(pid, SIGKILL);
	if (traced)
		trace_calls(false);
	if (more >= ENDS / 2)
		fail("%llu interrupts for %d ends", (unsigned long long)more, ENDS);
}

/* The same addresses, other pages: what the first guest left must be gone. */
static void has_its_number(void)
{
	HCALL(NOTIFY, number);
}

TEST("AT-30 AT-59 guests one after the other in one process: each its own Switcher pages")
{
	struct guest *g = raw_guest(GUEST_SIZE);

	for (u64 i = 0; i < ENDS; i++) {
		load_image(g, has_its_number);
		CHECK_EQ(initialize(g, IMAGE_GPA + (guest_boot - __executable_start)), 0);
		IN_GUEST(g, number) = i;
		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		CHECK_EQ(g->exit.value, i);
		passes(g);
		close(g->fd);
		/* The pages that came free are somebody's; nothing else is flushed. */
		CHECK(mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			   MAP_ANONYMOUS | MAP_POPULATE, -1, 0) != MAP_FAILED);
		g->fd = open("/dev/lguest", O_RDWR | O_CLOEXEC);
		CHECK(g->fd >= 0);
	}
}
