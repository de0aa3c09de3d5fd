// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark's program: small operations, one function each. The very same
 * static binary runs natively and, as /init, in every kind of guest.
 *
 *	micro [NAME...]			how long operations take
 *	micro --count [NAME[:N]...]	do exactly N of each, three times, with
 *					lines around them that count.c waits for
 *	micro --list			the names
 *	micro --tsc-khz			how fast the TSC is
 *
 * As the first process of a guest it takes the words from the environment
 * (the kernel's parameter bench=WORD,WORD...), and powers off at the end.
 *
 * Read next: count.c (world switches per operation), run (the comparison).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE		4096UL
#define TOUCH_PAGES	4096UL		/* 16 MiB */
#define TOUCH_LEAST	1024
#define COW_PAGES	512UL		/* 2 MiB */
#define LOADS		(8UL << 20)	/* 4-byte words: 32 MiB */

static volatile unsigned long sink;

static void die(const char *what)
{
	printf("micro: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static void must(bool ok, const char *what)
{
	if (!ok)
		die(what);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static char *map(unsigned long size)
{
	char *a = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(a != MAP_FAILED, "mmap");
	madvise(a, size, MADV_NOHUGEPAGE);	/* not there in every kernel */
	return a;
}

/* ---- system calls */

static int zero, null;

static void open_files(void)
{
	zero = open("/dev/zero", O_RDONLY);
	null = open("/dev/null", O_WRONLY);
	must(zero >= 0 && null >= 0, "open /dev/zero, /dev/null");
}

static void null_syscall(long n)
{
	while (n--)
		syscall(SYS_getppid);
}

static void read_1(long n)
{
	char c;

	while (n--)
		must(read(zero, &c, 1) == 1, "read");
}

static void write_1(long n)
{
	char c = 0;

	while (n--)
		must(write(null, &c, 1) == 1, "write");
}

static void stat_file(long n)
{
	struct stat s;

	while (n--)
		must(!stat("/dev/zero", &s), "stat");
}

static void open_close(long n)
{
	while (n--)
		close(open("/dev/zero", O_RDONLY));
}

static void count_signal(int signal)
{
	sink += signal;
}

static void catch_signal(void)
{
	signal(SIGUSR1, count_signal);
}

static void signal_self(long n)
{
	pid_t self = getpid();

	while (n--)
		kill(self, SIGUSR1);
}

static void clock_gettime_1(long n)
{
	struct timespec t;

	while (n--)
		clock_gettime(CLOCK_MONOTONIC, &t);
}

/* ---- processes */

static int there[2], back[2];
static pid_t partner;

static double next_number(double x)
{
	return x / 2 + 1;
}

/* Gives back what it gets; for a number, the next one. */
static void start_partner(void)
{
	double x;
	ssize_t got;

	must(!pipe(there) && !pipe(back), "pipe");
	partner = fork();
	must(partner >= 0, "fork");
	if (partner)
		return;
	close(there[1]);
	while ((got = read(there[0], &x, sizeof(x))) > 0) {
		if (got == sizeof(x))
			x = next_number(x);
		if (write(back[1], &x, got) != got)
			break;
	}
	_exit(0);
}

static void end_partner(void)
{
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	waitpid(partner, NULL, 0);
}

/* There and back again: two changes of process. */
static void pipe_pingpong(long n)
{
	char c = 0;

	while (n--) {
		must(write(there[1], &c, 1) == 1, "write to the pipe");
		must(read(back[0], &c, 1) == 1, "read from the pipe");
	}
}

/* The same, while both compute. */
static void fpu_pingpong(long n)
{
	double x = n, y;

	while (n--) {
		must(write(there[1], &x, sizeof(x)) == sizeof(x), "write to the pipe");
		must(read(back[0], &y, sizeof(y)) == sizeof(y), "read from the pipe");
		must(y == next_number(x), "the partner's number");
		x = y * 3;
	}
}

static void wait_for(pid_t child)
{
	int status;

	must(child >= 0, "fork");
	must(waitpid(child, &status, 0) == child && !status, "the child");
}

static void fork_exit(long n)
{
	while (n--) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		wait_for(child);
	}
}

static void fork_exec(long n)
{
	while (n--) {
		pid_t child = fork();

		if (!child) {
			execl("/proc/self/exe", "micro", "--nothing", NULL);
			_exit(1);
		}
		wait_for(child);
	}
}

/* ---- memory */

static char *area;
static unsigned short order[TOUCH_PAGES];

static void shuffle(void)
{
	unsigned long i, j, x = 88172645463325252;

	for (i = 0; i < TOUCH_PAGES; i++)
		order[i] = i;
	for (i = TOUCH_PAGES - 1; i; i--) {
		unsigned short old = order[i];

		x = x * 6364136223846793005 + 1442695040888963407;
		j = (x >> 33) % (i + 1);
		order[i] = order[j];
		order[j] = old;
	}
}

/* One operation is one page; the mapping is made and removed per 16 MiB. */
static void touch(long n, bool random)
{
	while (n > 0) {
		long i, pages = n < (long)TOUCH_PAGES ? n : (long)TOUCH_PAGES;
		char *a = map(TOUCH_PAGES * PAGE);

		for (i = 0; i < pages; i++)
			a[(random ? order[i] : i) * PAGE] = 1;
		munmap(a, TOUCH_PAGES * PAGE);
		n -= pages;
	}
}

static void touch_random(long n)
{
	touch(n, true);
}

static void touch_sequential(long n)
{
	touch(n, false);
}

static void mmap_touch_munmap(long n)
{
	while (n--) {
		char *a = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		a[0] = 1;
		munmap(a, 16 * PAGE);
	}
}

static void map_page(void)
{
	area = map(PAGE);
	area[0] = 1;
}

static void unmap_page(void)
{
	munmap(area, PAGE);
}

/* By turns read-only and writable; the page is written when it can be. */
static void mprotect_page(long n)
{
	while (n--) {
		must(!mprotect(area, PAGE, n & 1 ? PROT_READ : PROT_READ | PROT_WRITE),
		     "mprotect");
		if (!(n & 1))
			area[0] = 1;
	}
}

static void map_cow(void)
{
	area = map(COW_PAGES * PAGE);
	memset(area, 1, COW_PAGES * PAGE);
}

static void unmap_cow(void)
{
	munmap(area, COW_PAGES * PAGE);
}

/* One operation is one page written by a child; 512 pages per fork. */
static void cow_page(long n)
{
	while (n > 0) {
		long i, pages = n < (long)COW_PAGES ? n : (long)COW_PAGES;
		pid_t child = fork();

		if (!child) {
			for (i = 0; i < pages; i++)
				area[i * PAGE] = 2;
			_exit(0);
		}
		wait_for(child);
		n -= pages;
	}
}

/* ---- the processor */

static void rdtsc(long n)
{
	while (n--) {
		unsigned int low, high;

		__asm__ volatile("rdtsc" : "=a" (low), "=d" (high));
		sink += low;
	}
}

static void integer(long n)
{
	unsigned long x = 88172645463325252, sum = 0;

	while (n--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum += x;
	}
	sink = sum;
}

static void floating(long n)
{
	double a = 1;

	while (n--)
		a = a * 1.0000001 + 0.0000001;
	sink = a;
}

static char *from, *to;

static void map_copies(void)
{
	from = map(1 << 20);
	to = map(1 << 20);
	memset(from, 1, 1 << 20);
	memset(to, 1, 1 << 20);
}

static void unmap_copies(void)
{
	munmap(from, 1 << 20);
	munmap(to, 1 << 20);
}

static void memcpy_1m(long n)
{
	while (n--) {
		memcpy(to, from, 1 << 20);
		sink += to[n & 1023];
	}
}

static unsigned int *table;

static void map_table(void)
{
	unsigned long i;

	table = (unsigned int *)map(LOADS * 4);
	for (i = 0; i < LOADS; i++)
		table[i] = (i * 1664525U + 1013904223U) & (LOADS - 1);
}

static void unmap_table(void)
{
	munmap(table, LOADS * 4);
}

static void random_load(long n)
{
	unsigned int i = sink & (LOADS - 1);

	while (n--)
		i = table[i];
	sink = i;
}

/* ---- several processors, for those that have them */

static pthread_t siblings[3];
static int nr_siblings;
static volatile bool siblings_end;
static volatile int siblings_there;

static void stay_on(int cpu)
{
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	must(!sched_setaffinity(0, sizeof(only), &only), "as many processors");
}

static void *spin(void *cpu)
{
	stay_on((long)cpu);
	__atomic_add_fetch(&siblings_there, 1, __ATOMIC_SEQ_CST);
	while (!siblings_end)
		;
	return NULL;
}

static void start_siblings(int n, void *(*work)(void *))
{
	siblings_end = false;
	siblings_there = 0;
	for (nr_siblings = 0; nr_siblings < n; nr_siblings++)
		must(!pthread_create(&siblings[nr_siblings], NULL, work,
				     (void *)(nr_siblings + 1L)), "a thread");
	while (siblings_there < n)
		sched_yield();
}

static void end_siblings(void)
{
	siblings_end = true;
	while (nr_siblings)
		pthread_join(siblings[--nr_siblings], NULL);
}

static void membarrier(int command)
{
	must(!syscall(SYS_membarrier, command, 0, 0), "membarrier");
}

static void spin_and_register(int n)
{
	start_siblings(n, spin);
	membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

static void spin_1(void)
{
	spin_and_register(1);
}

static void spin_3(void)
{
	spin_and_register(3);
}

/*
 * An interrupt for each sibling, and the answer of all.  After the answer a sibling is
 * still on its way back to user, where the next one would come too soon.
 */
static void ipi(long n)
{
	while (n--) {
		membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
		integer(20000);
	}
}

static bool used;

/* Two flushes: one that takes something away from the siblings, and one that does not. */
static void shootdown(long n)
{
	while (n--) {
		must(!mprotect(area, PAGE, PROT_READ), "mprotect");
		must(!mprotect(area, PAGE, PROT_READ | PROT_WRITE), "mprotect");
		if (used)
			area[0] = 1;
	}
}

static void shootdown_1(void)
{
	used = true;
	map_page();
	start_siblings(1, spin);
}

static void shootdown_3(void)
{
	used = true;
	map_page();
	start_siblings(3, spin);
}

/* A page that nobody has used: the kernel has filled it. */
static void shootdown_0(void)
{
	area = mmap(NULL, 512 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	must(area != MAP_FAILED, "mmap");
	area += 256 * PAGE;
	used = false;
	start_siblings(1, spin);
}

static void end_shootdown(void)
{
	end_siblings();
	unmap_page();
}

static int ball;

static void futex(int operation, int value)
{
	syscall(SYS_futex, &ball, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void wait_for_ball(int mine)
{
	int now;

	while ((now = __atomic_load_n(&ball, __ATOMIC_SEQ_CST)) != mine && now >= 0)
		futex(FUTEX_WAIT, now);
}

static void give_ball(int to)
{
	__atomic_store_n(&ball, to, __ATOMIC_SEQ_CST);
	futex(FUTEX_WAKE, 1);
}

static void *give_back(void *cpu)
{
	stay_on((long)cpu);
	__atomic_add_fetch(&siblings_there, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		wait_for_ball(1);
		if (ball < 0)
			return NULL;
		give_ball(0);
	}
}

static void start_players(void)
{
	ball = 0;
	start_siblings(1, give_back);
}

static void end_players(void)
{
	give_ball(-1);
	end_siblings();
}

/* Each sleeps while the other has it. */
static void wake_remote(long n)
{
	while (n--) {
		give_ball(1);
		wait_for_ball(0);
	}
}

/* ---- only counted, not compared */

/* N milliseconds of work: what does time itself cost? */
static void busy_ms(long n)
{
	double end = now() + n * 1e6;

	while (now() < end)
		integer(1000);
}

static void sleep_ms(long n)
{
	struct timespec t = { .tv_nsec = 1000000 };

	while (n--)
		nanosleep(&t, NULL);
}

/* Pages that no process of this guest had before: they are never given back. */
static void touch_fresh(long n)
{
	char *a = map(n * PAGE);
	long i;

	for (i = 0; i < n; i++)
		a[i * PAGE] = 1;
}

struct operation {
	const char *name, *unit;
	void (*run)(long n);
	void (*begin)(void), (*end)(void);
	long count;		/* operations in --count */
	long least;		/* in a window, so that none is mostly set-up */
};

static const struct operation operations[] = {
	{ "null_syscall", "call", null_syscall, NULL, NULL, 20000, 0 },
	{ "read_1", "call", read_1, open_files, NULL, 20000, 0 },
	{ "write_1", "call", write_1, open_files, NULL, 20000, 0 },
	{ "stat", "call", stat_file, NULL, NULL, 20000, 0 },
	{ "open_close", "pair", open_close, NULL, NULL, 5000, 0 },
	{ "signal_self", "signal", signal_self, catch_signal, NULL, 5000, 0 },
	{ "pipe_pingpong", "round trip", pipe_pingpong, start_partner, end_partner, 1000, 0 },
	{ "fork_exit", "process", fork_exit, NULL, NULL, 100, 0 },
	{ "fork_exec", "process", fork_exec, NULL, NULL, 40, 0 },
	{ "touch_random", "page", touch_random, shuffle, NULL, 4096, TOUCH_LEAST },
	{ "touch_sequential", "page", touch_sequential, NULL, NULL, 4096, TOUCH_LEAST },
	{ "mmap_touch_munmap", "mapping", mmap_touch_munmap, NULL, NULL, 1000, 0 },
	{ "mprotect_page", "call", mprotect_page, map_page, unmap_page, 2000, 0 },
	{ "cow_page", "page", cow_page, map_cow, unmap_cow, 4096, COW_PAGES },
	{ "clock_gettime", "call", clock_gettime_1, NULL, NULL, 200000, 0 },
	{ "rdtsc", "read", rdtsc, NULL, NULL, 200000, 0 },
	{ "integer", "iteration", integer, NULL, NULL, 200000, 0 },
	{ "floating", "iteration", floating, NULL, NULL, 200000, 0 },
	{ "memcpy_1m", "MiB", memcpy_1m, map_copies, unmap_copies, 50, 0 },
	{ "random_load", "load", random_load, map_table, unmap_table, 200000, 0 },
	/* What follows is only counted. */
	{ "fpu_pingpong", "round trip", fpu_pingpong, start_partner, end_partner, 1000, 0 },
	{ "touch_fresh", "page", touch_fresh, NULL, NULL, 2048, 0 },
	{ "sleep_ms", "sleep", sleep_ms, NULL, NULL, 100, 0 },
	{ "busy_ms", "ms", busy_ms, NULL, NULL, 1000, 0 },
	/* And only with several processors, if they are asked for. */
	{ "ipi_1", "call", ipi, spin_1, end_siblings, 2000, 0 },
	{ "ipi_3", "call", ipi, spin_3, end_siblings, 1000, 0 },
	{ "shootdown_0", "pair", shootdown, shootdown_0, end_siblings, 2000, 0 },
	{ "shootdown_1", "pair", shootdown, shootdown_1, end_shootdown, 2000, 0 },
	{ "shootdown_3", "pair", shootdown, shootdown_3, end_shootdown, 1000, 0 },
	{ "wake_remote", "round trip", wake_remote, start_players, end_players, 2000, 0 },
};
#define NR_NAMED	(sizeof(operations) / sizeof(operations[0]))
#define NR_OPERATIONS	(NR_NAMED - 6)
#define NR_TIMED	(NR_OPERATIONS - 4)

/* ---- time */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#define MAX_WINDOWS	400

/* Windows of at least 2 ms; half a second of them, but no fewer than three. */
static void measure(const struct operation *op)
{
	static double windows[MAX_WINDOWS];
	double begin, t;
	int count = 0;
	long n = op->least ? op->least : 1;

	if (op->begin)
		op->begin();
	op->run(n);
	for (;;) {
		t = now();
		op->run(n);
		t = now() - t;
		if (t > 2e6)
			break;
		n *= t < 2e5 ? 8 : 2;
	}
	begin = now();
	while (count < MAX_WINDOWS && (count < 3 || now() - begin < 5e8)) {
		t = now();
		op->run(n);
		windows[count++] = (now() - t) / n;
	}
	if (op->end)
		op->end();
	qsort(windows, count, sizeof(windows[0]), by_size);
	printf("{\"name\": \"%s\", \"unit\": \"%s\", \"ns_min\": %.1f, \"ns_median\": %.1f, \"ops\": %ld}\n",
	       op->name, op->unit, windows[0], windows[count / 2], n * count);
	fflush(stdout);
}

/* ---- exact counts */

static long page_faults(void)
{
	struct rusage self, children;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	return self.ru_minflt + children.ru_minflt;
}

/*
 * What is printed takes some world switches, and so does the rest here, whose
 * purpose is that the driver can read the counters while nothing happens.
 * So the same is done with no operation at all, for the driver to subtract.
 */
static void between_marks(const struct operation *op, long n)
{
	static const struct timespec quiet = { .tv_nsec = 40000000 };
	long faults;
	double t;

	printf("count begin %s %ld\n", op->name, n);
	fflush(stdout);
	nanosleep(&quiet, NULL);
	faults = page_faults();
	t = now();
	if (n)
		op->run(n);
	t = now() - t;
	faults = page_faults() - faults;
	printf("count end %s %ld %.0f %ld\n", op->name, n, t, faults);
	fflush(stdout);
	nanosleep(&quiet, NULL);
}

static void count(const struct operation *op, long n)
{
	int round;

	if (!n)
		n = op->count;
	if (op->begin)
		op->begin();
	if (op < operations + NR_TIMED || op >= operations + NR_OPERATIONS)
		op->run(n);		/* warm */
	between_marks(op, 0);
	for (round = 0; round < 3; round++) {
		between_marks(op, 0);
		between_marks(op, n);
	}
	if (op->end)
		op->end();
	printf("count done %s\n", op->name);
	fflush(stdout);
}

/* ---- what to do */

static bool counting;

static void do_one(const struct operation *op, long n)
{
	if (counting)
		count(op, n);
	else
		measure(op);
}

static int do_word(const char *word)
{
	const char *colon = strchr(word, ':');
	size_t i, length = colon ? (size_t)(colon - word) : strlen(word);

	for (i = 0; i < NR_NAMED; i++)
		if (strlen(operations[i].name) == length &&
		    !strncmp(operations[i].name, word, length)) {
			do_one(&operations[i], colon ? atol(colon + 1) : 0);
			return 0;
		}
	printf("micro: no operation is called %s\n", word);
	return 2;
}

static double now_with_tsc(unsigned long long *tsc)
{
	double before, after;

	do {
		before = now();
		*tsc = __builtin_ia32_rdtsc();
		after = now();
	} while (after - before > 2000);	/* nobody came between */
	return (before + after) / 2;
}

/* For a kernel that shall not measure it, since it does that badly on a busy machine. */
static int tsc_khz(void)
{
	static const struct timespec time = { .tv_nsec = 200000000 };
	unsigned long long first, last;
	double t = now_with_tsc(&first);

	nanosleep(&time, NULL);
	t = now_with_tsc(&last) - t;
	printf("%.0f\n", (last - first) * 1e6 / t);
	return 0;
}

static int do_words(char **words)
{
	int status = 0;
	size_t i;

	for (; *words && words[0][0] == '-'; words++) {
		if (!strcmp(*words, "--count"))
			counting = true;
		else if (!strcmp(*words, "--nothing"))
			return 0;
		else if (!strcmp(*words, "--tsc-khz"))
			return tsc_khz();
		else if (!strcmp(*words, "--list")) {
			for (i = 0; i < NR_OPERATIONS; i++)
				puts(operations[i].name);
			return 0;
		} else {
			printf("micro: %s?\n", *words);
			return 2;
		}
	}
	for (; *words; words++) {
		status |= do_word(*words);
		if (!words[1])
			return status;
	}
	for (i = 0; i < (counting ? NR_OPERATIONS : NR_TIMED); i++)
		do_one(&operations[i], 0);
	return 0;
}

static char *words[64];

static char **words_of(char *text)
{
	int n = 0;
	char *word;

	for (word = strtok(text, ","); word && n < 63; word = strtok(NULL, ","))
		words[n++] = word;
	return words;
}

/*
 * In a guest. "reached init" is what the boot times are about; bench=boot
 * ends there, bench=idle stays there.
 */
static void first_process(void)
{
	char *bench = getenv("bench");
	int console;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	console = open("/dev/console", O_RDWR);
	if (console >= 0) {
		dup2(console, 0);
		dup2(console, 1);
		dup2(console, 2);
	}
	printf("reached init %.0f\n", now());
	fflush(stdout);
	if (bench && !strcmp(bench, "idle"))
		for (;;)
			pause();
	if (!bench || strcmp(bench, "boot"))
		do_words(words_of(bench ? bench : (char []) { "" }));
	printf("the end\n");
	fflush(stdout);
	tcdrain(1);
	sync();
	reboot(RB_POWER_OFF);
	exit(0);			/* gVisor knows no reboot */
}

int main(int argc, char **argv)
{
	cpu_set_t first;

	(void)argc;
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof(first), &first);
	if (getpid() == 1)
		first_process();
	return do_words(argv + 1);
}
