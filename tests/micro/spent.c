// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that a guest makes the host spend, its shadow tables: bounded by
 * what is really there, counted, and given back when the host wants it.  Read next:
 * tlb.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

/* ---- Memory ends ---- */

#define GROUP		"/tmp/memory/"
#define GROUP_KIB	(24 * 1024)

/*
 * A memory group that has no more for whoever asks: ENOMEM, and nobody is killed for it.
 * The older kind of group can say so.
 */
static void put(const char *path, unsigned long value)
{
	FILE *f = fopen(path, "w");

	if (!f || fprintf(f, "%lu", value) < 0 || fclose(f))
		fail("%s: %s", path, strerror(errno));
}

/* For the time that this takes. */
static void needs_two_cpus(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("needs two CPUs (lab --smp 2)");
}

static void make_group(const char *name)
{
	char path[100];

	mkdir(GROUP, 0755);
	if (mount("memory", GROUP, "cgroup", 0, "memory") && errno != EBUSY)
		skip("this kernel has no memory groups of the older kind");
	snprintf(path, sizeof(path), GROUP "%s", name);
	mkdir(path, 0755);
	CHECK_EQ(chdir(path), 0);
	put("memory.limit_in_bytes", GROUP_KIB * 1024UL);
	put("memory.oom_control", 1);
}

static unsigned long most_kib(void)
{
	unsigned long bytes = 0;
	FILE *f = fopen("memory.max_usage_in_bytes", "r");

	CHECK(f && fscanf(f, "%lu", &bytes) == 1);
	fclose(f);
	return bytes / 1024;
}

/*
 * Pages of the process's own are there before the group counts: for one more it would
 * wait until another goes.
 */
static struct guest *prepared(void (*fn)(void))
{
	u64 used = (IMAGE_GPA + (_end - __executable_start) + 17 * PAGE) & -PAGE;
	struct guest *g = raw_guest(GUEST_SIZE);

	CHECK_EQ(madvise(g->mem, g->size, MADV_NOHUGEPAGE), 0);
	load_image(g, fn);
	CHECK_EQ(munmap(g->mem + used, g->size - used), 0);
	CHECK_EQ(mlockall(MCL_CURRENT), 0);
	put("cgroup.procs", getpid());
	return g;
}

static u64 start_of_image(void)
{
	return IMAGE_GPA + (guest_boot - __executable_start);
}

static void take_bell(struct frame *f)
{
	EXPECT_EQ(f->vector, LGUEST_IRQ_VECTOR + 3);
}

static void answers(void)
{
	on_event = take_bell;
	for (u64 n = 1; ; n++) {
		HCALL(NOTIFY, n);
		SHARED->irq_enabled = 0;
		HCALL(HALT);
	}
}

enum { LIVES = 1, NO_ROOM, NO_TABLES };

/* Tells what has become of it, and then answers each byte with one of its guest's. */
static void be_one_of_many(int in, int out)
{
	struct guest *g = prepared(answers);
	int err = initialize(g, start_of_image());
	u8 state = err == -ENOMEM ? NO_ROOM : LIVES, byte;

	if (err && err != -ENOMEM)
		fail("INITIALIZE: %s", strerror(-err));
	for (u64 n = 1; state == LIVES; n++) {
		int kind = go(g);

		if (!kind && strstr(g->reason, "out of memory for shadow tables"))
			state = NO_TABLES;
		else if (kind != LGUEST_EXIT_NOTIFY || g->exit.value != n)
			fail("the guest ends with %d: %s", kind, g->reason);
		if (write(out, &state, 1) != 1 || read(in, &byte, 1) != 1)
			_exit(0);
		request(g, LHREQ_IRQ, 3);
	}
	if (state == NO_ROOM && write(out, &state, 1) != 1)
		_exit(0);
	pause();
}

#define MOST_GUESTS	1000

static struct { pid_t pid; int to, from; u8 state; } many[MOST_GUESTS];

static u8 start_one_more(int i)
{
	int to[2], from[2];

	CHECK_EQ(pipe(to) | pipe(from), 0);
	many[i].pid = fork();
	CHECK(many[i].pid >= 0);
	if (!many[i].pid) {
		close(to[1]);
		close(from[0]);
		be_one_of_many(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	many[i].to = to[1];
	many[i].from = from[0];
	if (read(many[i].from, &many[i].state, 1) != 1)
		fail("guest %d: its launcher is gone", i);
	return many[i].state;
}

TEST_S(300, "B7 guests until the memory of their group ends: the last is ENOMEM, the others run on")
{
	int n = 0, alive = 0, status;
	struct rlimit files = { 4096, 4096 };

	needs_two_cpus();
	make_group("many");
	setrlimit(RLIMIT_NOFILE, &files);
	while (n < MOST_GUESTS && start_one_more(n) != NO_ROOM)
		alive += many[n++].state == LIVES;
	dprintf(1, "# %d guests, %d of them run; then ENOMEM; %lu KiB\n", n, alive, most_kib());
	CHECK(n < MOST_GUESTS && alive >= 100);
	CHECK(most_kib() <= GROUP_KIB);
	for (int i = 0; i < n; i++) {
		u8 state;

		if (many[i].state != LIVES)
			continue;
		CHECK(write(many[i].to, "", 1) == 1 && read(many[i].from, &state, 1) == 1);
		CHECK_EQ(state, LIVES);
	}
	for (int i = 0; i <= n; i++)
		kill(many[i].pid, SIGKILL);
	while (wait(&status) > 0)
		;
}

/* ---- A user's limits ---- */

#define MOST_PROCESSES	8
#define A_USER		4711

/* All the tables that a guest can be given, 16 MiB and more; and it keeps them. */
static void take_all_it_can(int out)
{
	struct guest *g;
	u8 state;
	int err;

	g = prepared(builds_tables);
	err = initialize(g, start_of_image());
	CHECK(!err || err == -ENOMEM);
	if (err)
		state = NO_ROOM;
	else if (go(g))
		state = LIVES;
	else if (strstr(g->reason, "out of memory for shadow tables"))
		state = NO_TABLES;
	else
		fail("the guest ends with %s", g->reason);
	CHECK_EQ(write(out, &state, 1), 1);
	if (state == LIVES)
		pause();
	_exit(0);
}

static void become_user(void)
{
	struct rlimit processes = { MOST_PROCESSES, MOST_PROCESSES };
	struct rlimit locked = { RLIM_INFINITY, RLIM_INFINITY };
	struct stat device;

	CHECK_EQ(stat("/dev/lguest", &device), 0);
	CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &locked), 0);
	CHECK_EQ(setrlimit(RLIMIT_NPROC, &processes), 0);
	CHECK_EQ(setgroups(1, &device.st_gid) | setresgid(A_USER, A_USER, A_USER), 0);
	CHECK_EQ(setresuid(A_USER, A_USER, A_USER), 0);
}

/* In the device's group: as many guests as the kernel lets it have. */
static void be_hostile(int out)
{
	int n[4] = { 0 }, pipes[2];
	pid_t pid;

	become_user();
	CHECK_EQ(pipe(pipes), 0);
	for (int i = 0; i < 10 * MOST_PROCESSES; i++) {
		pid = fork();
		if (!pid)
			take_all_it_can(pipes[1]);
		CHECK(pid > 0 || errno == EAGAIN);
		if (pid < 0)
			break;
		n[0]++;
	}
	for (int i = 0; i < n[0]; i++) {
		u8 state = 0;

		CHECK_EQ(read(pipes[0], &state, 1), 1);
		n[state]++;
	}
	CHECK_EQ(write(out, n, sizeof(n)), sizeof(n));
	_exit(0);
}

TEST_S(120, "L9 a user's limits of processes and memory hold for hostile launchers")
{
	int from[2], n[4], status;
	pid_t pid;

	needs_two_cpus();
	make_group("hostile");
	/* The user may put itself in, and its children. */
	CHECK_EQ(chmod("cgroup.procs", 0666), 0);
	CHECK_EQ(pipe(from), 0);
	pid = fork();
	if (!pid)
		be_hostile(from[1]);
	close(from[1]);
	/* Others' guests run meanwhile. */
	while (waitpid(pid, &status, WNOHANG) == 0)
		guest_passes(guest_done);
	CHECK_EQ(status, 0);
	CHECK_EQ(read(from[0], n, sizeof(n)), sizeof(n));
	dprintf(1, "# %d launchers: %d guests had all they wanted, %d no memory, %d too little; %lu KiB\n",
		n[0], n[LIVES], n[NO_ROOM], n[NO_TABLES], most_kib());
	CHECK_EQ(n[0], MOST_PROCESSES - 1);
	CHECK(n[NO_TABLES] + n[NO_ROOM] > 0);
	CHECK(most_kib() <= GROUP_KIB);
}
