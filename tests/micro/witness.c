// SPDX-License-Identifier: GPL-2.0
/*
 * The host's CPUs before, while and after guests run: witness.ko sees what no
 * program can (../witness/witness.c).  Read next: storms.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "micro.h"
#include "fuzz.h"

/* ---- Asking the witness ---- */

static void needs_kprobes(void)
{
	if (!host_has_kprobes())
		skip("this host has no kprobes");
}

int witness(void)
{
	int ko = open("/proc/self/exe", O_PATH), fd;
	char path[300];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 20);

	close(ko);
	CHECK(len > 0);
	path[len] = 0;
	strcpy(strrchr(path, '/') + 1, "witness.ko");
	ko = open(path, O_RDONLY);
	if (ko < 0)
		fail("%s: %s", path, strerror(errno));
	if (syscall(SYS_finit_module, ko, "", 0) && errno != EEXIST)
		fail("%s: %s", path, strerror(errno));
	close(ko);
	for (int i = 0; i < 100; i++) {
		fd = open("/dev/witness", O_RDWR);
		if (fd >= 0)
			return fd;
		usleep(10000);
	}
	fail("/dev/witness: %s", strerror(errno));
}

#define TEXT_SIZE (1 << 18)

/* A guest that was killed may have left its MSRs on a CPU that saw no user space since. */
static void visit_all_cpus(void)
{
	cpu_set_t mine;

	CHECK(!sched_getaffinity(0, sizeof(mine), &mine));
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		on_cpu(cpu);
	CHECK(!sched_setaffinity(0, sizeof(mine), &mine));
}

static char *look(int fd)
{
	char *text = calloc(1, TEXT_SIZE);

	visit_all_cpus();
	CHECK(read(fd, text, TEXT_SIZE - 1) > 1000);
	return text;
}

/* The line that begins with @word: the number behind it. */
static u64 number(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	if (!at)
		fail("the witness does not say %s", word);
	return strtoull(at + strlen(word), NULL, 0);
}

/* The part about the CPUs must be the same, to the last bit. */
static void same_cpus(const char *before, const char *after)
{
	const char *b = strstr(before, "cpu 0"), *a = strstr(after, "cpu 0");

	CHECK(a && b);
	if (getenv("SIDE_BY_SIDE"))
		return;		/* other guests' MSRs are there */
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return;
	while (a[-1] != '\n')
		a--;
	while (b[-1] != '\n')
		b--;
	fail("was: %.*s, is: %.*s", (int)strcspn(b, "\n"), b,
	     (int)strcspn(a, "\n"), a);
}

/* ---- AT-56: MSRs ---- */

SNIPPET(reads_msr, "rdmsr\n");
SNIPPET(writes_msr, "wrmsr\n");

static void try_msr(bool user, bool write, u64 msr)
{
	void (*code)(void) = (void (*)(void))(write ? writes_msr : reads_msr);
	struct frame f = user ? user_at(code) : kernel_at(code);

	f.rcx = msr;
	f.rax = f.rdx = 0x5a5a5a5a;
	run(&f);
	EXPECT_EQ(f.vector, 13);
	EXPECT_EQ(f.rax, 0x5a5a5a5a);
	EXPECT_EQ(f.rdx, 0x5a5a5a5a);
}

static bool well_known(u64 msr)
{
	static const u32 numbers[] = { 0x10, 0x1b, 0x48, 0x49, 0x79, 0x8b, 0x174,
		0x175, 0x176, 0x1d9, 0x1a0, 0x277, 0x2ff, 0x38f, 0x570, 0x600,
		0x6a0, 0x6a2, 0x6e0, 0x830, 0xda0, 0xc0000080, 0xc0000081,
		0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101,
		0xc0000102, 0xc0000103, 0xc0010015, 0xc001001f, 0xc0010114,
		0xc0010117, 0xc0011029 };

	for (unsigned int i = 0; i < sizeof(numbers) / 4; i++)
		if (numbers[i] == msr)
			return true;
	return false;
}

static void sweeps_msrs(void)
{
	static const u32 bases[] = { 0, 0xc0000000, 0xc0010000, 0x40000000,
				     0x4b564d00 };

	for (int b = 0; b < 5; b++)
		for (u64 n = 0; n < (b < 3 ? 0x2000 : 0x100); n++) {
			u64 msr = bases[b] + n;

			/* Guest kernel: each costs a visit to the launcher. */
			for (int write = 0; write < 2; write++) {
				if (n % 4 == 0 || well_known(msr))
					try_msr(true, write, msr);
				if (n % 32 == 0 || well_known(msr))
					try_msr(false, write, msr);
			}
		}
}

TEST_S(60, "AT-56 A10 every MSR is #GP to read and write; the host's stay as they are")
{
	int fd = witness();
	char *before = look(fd);
	struct guest *g = make_guest(sweeps_msrs);

	CHECK_EQ(go_reflecting(g), 0);
	CHECK_EQ(strncmp(g->reason, "POWEROFF: ok", 12), 0);
	end_guest(g);
	same_cpus(before, look(fd));
}

/* ---- A10, A15, C9, C15: all that a world switch may not change ---- */

static void run_for(void (*fn)(void), u64 ms)
{
	until = now_ns() + ms * 1000000;
	while (now_ns() < until) {
		struct guest *g = make_guest(fn);

		drive(g);
		end_guest(g);
		other_numbers();
	}
}

static bool enough(const char *before, const char *now)
{
	return number(now, "entries ") > number(before, "entries ") + 1000 &&
	       number(now, "roots ") > number(before, "roots ") + 3 &&
	       number(now, "leaves ") > number(before, "leaves ") + 100;
}

TEST_S(60, "A10 A15 C9 C15 F8 AT-37 AT-38 tables, control registers, stack, kept registers over all kinds of exits")
{
	static void (*const fns[])(void) = { random_calls, user_events,
					     random_tables, busy };
	int fd = witness();
	char *before = look(fd), *after;

	needs_kprobes();
	begin();
	CHECK_EQ(write(fd, "probe", 5), 5);
	/* All kinds twice, and more if the machine is busy. */
	for (int i = 0; i < 8 || (i < 40 && !enough(before, look(fd))); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			run_for(fns[i % 4], 400);
			_exit(0);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		if (status)
			exit(9);	/* it has said why */
	}
	after = look(fd);
	CHECK_EQ(number(after, "missed "), 0);
	if (number(after, "differences "))
		fail("%.*s", (int)strcspn(strstr(after, "differences"), "\n"),
		     strstr(after, "differences"));
	if (!enough(before, after))
		fail("too little seen: %llu entries, %llu roots, %llu leaves",
		     (unsigned long long)number(after, "entries "),
		     (unsigned long long)number(after, "roots "),
		     (unsigned long long)number(after, "leaves "));
	same_cpus(before, after);
	dprintf(1, "# %llu world switches looked at\n",
		(unsigned long long)(number(after, "entries ") -
				     number(before, "entries ")));
}

/* ---- G1: the launcher's own thread-local descriptors ---- */

#define TLS_SELECTOR (12 << 3 | 3)

static void has_other_tls(void)
{
	/* Flat data, but with a limit of a page less than 1 MiB. */
	HCALL(LOAD_TLS, 0x004ff3000000efff, 0, 0);
	for (;;)
		HCALL(NOTIFY, 1);
}

/* It has none: 0. */
static u64 tls_limit(void)
{
	u64 limit = 0;

	asm volatile("lsl %1, %0" : "+r" (limit) : "r" ((u64)TLS_SELECTOR));
	return limit;
}

TEST("G1 AT-22 the launcher's own thread-local descriptors, after every read()")
{
	struct guest *g = make_guest(has_other_tls);

	for (int i = 0; i < 200; i++) {
		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		CHECK_EQ(tls_limit(), 0);
	}
	end_guest(g);
}

/* ---- D7: #NM ---- */

SNIPPET(uses_fpu, "fninit\n");
SNIPPET(uses_sse, "xorps %xmm0, %xmm0\n");

static void unavailable(void)
{
	for (u64 i = 0; i < 40; i++) {
		void (*code)(void) = (void (*)(void))(i & 2 ? uses_fpu : uses_sse);
		struct frame f = i & 1 ? kernel_at(code) : user_at(code);

		run(&f);
		EXPECT_EQ(f.vector, 6);
		EXPECT_EQ(f.rip, i & 1 ? (u64)code : TO_USER(code));
	}
}

TEST("D7 a forced #NM is #UD for the guest, and nothing for the host")
{
	int fd = witness();
	char *before = look(fd), *after;

	needs_kprobes();
	CHECK_EQ(write(fd, "probe", 5), 5);
	CHECK_EQ(write(fd, "ts", 2), 2);
	guest_passes(unavailable);
	CHECK_EQ(write(fd, "no ts", 5), 5);
	guest_passes(guest_done);
	after = look(fd);
	CHECK_EQ(number(after, "differences "), number(before, "differences "));
	same_cpus(before, after);
}

/* ---- A6: CPUs that go and come ---- */

static void put_online(const char *to)
{
	int fd = open("/sys/devices/system/cpu/cpu1/online", O_WRONLY);

	if (fd < 0 || write(fd, to, 1) != 1)
		fail("cpu1 does not go %s: %s", *to == '1' ? "online" : "offline",
		     strerror(errno));
	close(fd);
}

/* On CPU 1 only, or wherever the kernel puts it. */
static pid_t start_guest(int cpu, void (*fn)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		struct guest *g;

		if (cpu >= 0)
			on_cpu(cpu);
		g = make_guest(fn);
		for (;;) {
			int kind = go(g);

			if (kind != -EINTR)
				fail("the guest ends with %d: %s", kind, g->reason);
		}
	}
	return pid;
}

static void calls_only(void)
{
	for (;;)
		HCALL(GET_TIME);
}

TEST_S(60, "A6 AT-18 a CPU goes offline and online under running guests")
{
	int fd = witness(), status;
	char *before = look(fd);
	pid_t free, bound;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("needs two CPUs (lab --smp 2)");
	free = start_guest(-1, calls_only);
	for (int i = 0; i < 10; i++) {
		on_cpu(1);
		/* When it goes nobody else has used it: this guest was last. */
		bound = start_guest(1, calls_only);
		on_cpu(0);
		usleep(100000);
		put_online("0");
		usleep(30000);
		CHECK_EQ(waitpid(bound, &status, WNOHANG), 0);
		put_online("1");
		/* It may be anywhere now; back to where it was. */
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET(1, &set);
		CHECK_EQ(sched_setaffinity(bound, sizeof(set), &set), 0);
		CHECK_EQ(sched_setaffinity(free, sizeof(set), &set), 0);
		usleep(50000);
		CPU_SET(0, &set);
		CHECK_EQ(sched_setaffinity(free, sizeof(set), &set), 0);
		CHECK_EQ(waitpid(bound, &status, WNOHANG), 0);
		CHECK_EQ(waitpid(free, &status, WNOHANG), 0);
		kill(bound, SIGKILL);
		CHECK_EQ(waitpid(bound, &status, 0), bound);
	}
	kill(free, SIGKILL);
	CHECK_EQ(waitpid(free, &status, 0), free);
	guest_passes(guest_done);
	same_cpus(before, look(fd));
}

/* ---- C13: what a world switch need not do ---- */

#define TRACING		"/sys/kernel/tracing/"
#define MANY_CALLS	10000

static void calls_many_times(void)
{
	HCALL(NOTIFY, 1);
	for (int i = 0; i < MANY_CALLS; i++)
		HCALL(GET_TIME);
	HCALL(NOTIFY, 2);
}

static void tell_kernel(const char *path, const char *what)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(what, f) < 0 || fclose(f))
		fail("%s: %s", path, strerror(errno));
}

/* Counted for us alone, from then on. */
static void count_event(const char *name)
{
	char path[100], filter[60];

	snprintf(path, sizeof(path), TRACING "events/%s/trigger", name);
	snprintf(filter, sizeof(filter), "hist:keys=common_pid if common_pid==%d", getpid());
	tell_kernel(path, filter);
}

static u64 counted(const char *name)
{
	unsigned long long hits = ~0ULL;
	char path[100], line[300];
	FILE *f;

	snprintf(path, sizeof(path), TRACING "events/%s/hist", name);
	f = fopen(path, "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, " Hits: %llu", &hits);
	fclose(f);
	CHECK(hits != ~0ULL);
	return hits;
}

/*
 * The host's own timers and other tasks of it have some MSRs written meanwhile; a world
 * switch has none, takes nothing out of the TLB, and fills in nothing anew.
 */
TEST_S(60, "C13 a steady loop of world switches: no MSR written, no TLB flushed, no table filled")
{
	static const char *const same[] = { "shadow_fills", "shadow_drops", "tlb_interrupts",
					    "spurious_faults", "shadow_tables_made" };
	u64 before[sizeof(same) / sizeof(*same)], switches, msrs, flushes;
	struct guest *g = make_guest(calls_many_times);

	mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (access(TRACING "events/msr/write_msr/hist", F_OK))
		skip("this kernel does not trace MSRs");
	count_event("msr/write_msr");
	count_event("tlb/tlb_flush");
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	msrs = counted("msr/write_msr");
	/* Those that programs' system calls use have been changed for the guest's. */
	CHECK(msrs > 0);
	flushes = counted("tlb/tlb_flush");
	switches = stat_of(g, "world_switches");
	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
		before[i] = stat_of(g, same[i]);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	msrs = counted("msr/write_msr") - msrs;
	flushes = counted("tlb/tlb_flush") - flushes;
	switches = stat_of(g, "world_switches") - switches;
	dprintf(1, "# %llu world switches, %llu MSRs written, %llu flushes\n",
		(unsigned long long)switches, (unsigned long long)msrs,
		(unsigned long long)flushes);
	CHECK(switches >= MANY_CALLS && msrs < switches / 10 && flushes < switches / 10);
	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
		if (stat_of(g, same[i]) > before[i] + 2)
			fail("%s: %llu more", same[i],
			     (unsigned long long)(stat_of(g, same[i]) - before[i]));
	passes(g);
}

/* ---- A5: vectors ---- */

/*
 * Not by us: two that the kernel does not acknowledge to the local APIC, as they do not
 * come from it (the one between the old interrupt controllers, and spurious ones); the
 * host's int 0x80, which is a system call; that which stops its CPUs.
 */
static bool not_ours_to_raise(unsigned int vector)
{
	return vector == 0x32 || vector == 0xff || vector == 0x80 || vector == 0xf8;
}

static void spins_in_kernel(void)
{
	for (;;)
		asm volatile("pause");
}

SNIPPET(spins_for_ever, "1: pause; jmp 1b\n");

static void spins_in_user(void)
{
	struct frame f = user_at((void (*)(void))spins_for_ever);

	run(&f);
}

/* How often the host's own handler names it, as of those that nobody has. */
static int named_in_log(int log, unsigned int vector)
{
	char line[2048], wanted[40];
	int found = 0;

	snprintf(wanted, sizeof(wanted), ": 1.%u No irq handler for vector", vector);
	while (read(log, line, sizeof(line) - 1) > 0 || errno == EPIPE)
		found += strstr(line, wanted) != NULL;
	return found;
}

/* Once; again if the CPU just was in the host, as for a tick. */
static void raise_vector(int fd, pid_t pid, unsigned int vector)
{
	char word[8], count[24];
	u64 before;

	snprintf(count, sizeof(count), "exit_vector_%u", vector);
	before = stat_of_process(pid, count);
	snprintf(word, sizeof(word), "v %u", vector);
	for (int tries = 0; tries < 100; tries++) {
		CHECK_EQ(write(fd, word, strlen(word)), strlen(word));
		for (int i = 0; i < 20; i++) {
			if (stat_of_process(pid, count) > before)
				return;
			usleep(500);
		}
	}
	fail("vector %u has not come", vector);
}

/* Return: how many of them the log names, which does not say all of many. */
static int raise_vectors(int fd, int log, void (*fn)(void), unsigned int each)
{
	pid_t pid = start_guest(1, fn);
	int named = 0;

	while (!stat_of_process(pid, "world_switches"))
		usleep(1000);
	for (unsigned int vector = 0x21 + getpid() % each; vector < 256; vector += each) {
		if (not_ours_to_raise(vector))
			continue;
		raise_vector(fd, pid, vector);
		named += named_in_log(log, vector) > 0;
	}
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	return named;
}

TEST_S(60, "A5 each vector that another CPU raises is the one the host sees, from both views")
{
	int fd = witness(), log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK), named;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("needs two CPUs (lab --smp 2)");
	CHECK(log >= 0 && lseek(log, 0, SEEK_END) >= 0);
	on_cpu(0);
	/* All of them in the long run. */
	named = raise_vectors(fd, log, spins_in_user, times > 1 ? 1 : 6) +
		raise_vectors(fd, log, spins_in_kernel, times > 1 ? 1 : 7);
	dprintf(1, "# the host's log names %d of them\n", named);
	CHECK(named >= 5);
}

/* ---- The host's own pages are not there (async page faults) ---- */

#define FRESH_PAGES 600

static void touches_pages(void)
{
	u64 va = USER_VA + (1UL << 32), gpa = guest_page(), i;

	for (i = 0; i < FRESH_PAGES; i++) {
		map(MAIN_CR3, va + i * PAGE, gpa, P_ | W_ | U_ | A_ | D_);
		*(volatile u64 *)(va + i * PAGE) += i + 1;
	}
	EXPECT_EQ(*(volatile u64 *)va, FRESH_PAGES * (FRESH_PAGES + 1) / 2);
	guest_done();
}

TEST_S(60, "AT-82 a guest waits while a page of its host's own is brought, and notices nothing")
{
	struct guest *g = make_guest(touches_pages);
	int fd = witness();
	char *after;
	u64 sent;

	needs_kprobes();
	CHECK_EQ(write(fd, "probe", 5), 5);
	CHECK_EQ(write(fd, "apf", 3), 3);
	while (go(g) > 0)
		;
	if (strcmp(g->reason, "POWEROFF: ok"))
		fail("the guest ends with \"%s\"", g->reason);
	after = look(fd);
	sent = number(after, "apf sent ");
	CHECK(sent >= 20);
	CHECK_EQ(number(after, "apf left "), 0);
	CHECK_EQ(stat_of(g, "host_page_waits"), sent);
	end_guest(g);
}

/* ---- Bus locks ---- */

#define BUS_LOCKS 50
SNIPPET(locks_bus, ".rept 50; nop; .endr; ud2\n");	/* with TF set */

static void many_bus_locks(void)
{
	struct frame f = user_at((void (*)(void))locks_bus);

	f.rflags |= TF;
	run(&f);
	EXPECT_EQ(f.vector, 6);
}

TEST_S(60, "AT-70 bus locks: the guest notices nothing, but each costs it some 10 ms")
{
	struct guest *g = make_guest(many_bus_locks);
	int fd = witness();
	struct timespec from, to;

	needs_kprobes();
	CHECK_EQ(write(fd, "probe", 5), 5);
	CHECK_EQ(write(fd, "bus", 3), 3);
	clock_gettime(CLOCK_MONOTONIC, &from);
	passes(g);
	clock_gettime(CLOCK_MONOTONIC, &to);
	CHECK((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 >=
	      BUS_LOCKS * 6);
	end_guest(g);
	close(fd);
}
