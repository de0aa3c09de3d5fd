// SPDX-License-Identifier: GPL-2.0
/*
 * A small program for each thing a kernel does with memory, processes, time
 * slices and registers.  It prints checksums that depend on nothing but
 * correct behaviour, so host and guest must print the same bytes.
 *
 * workload [SCALE]: repeats, default 1.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE	4096UL

static unsigned int scale = 1;
static uint64_t seed = 88172645463325252ULL;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t mix(uint64_t sum, const void *bytes, size_t size)
{
	const unsigned char *p = bytes;

	while (size--)
		sum = (sum ^ *p++) * 0x100000001b3ULL;
	return sum;
}

static void must(int ok, const char *what)
{
	if (ok)
		return;
	printf("FAILED: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static void result(const char *name, uint64_t sum)
{
	printf("%-24s %016llx\n", name, (unsigned long long)sum);
	fflush(stdout);
}

/* Children exit with what they found; order is that of the forks. */
static void test_fork(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < 60 * scale; i++) {
		int status;
		pid_t pid = fork();

		must(pid >= 0, "fork");
		if (!pid)
			_exit((i * 7 + (getppid() > 0)) & 0x7f);
		must(waitpid(pid, &status, 0) == pid, "waitpid");
		must(WIFEXITED(status), "child's exit");
		sum = sum * 31 + WEXITSTATUS(status);
	}
	result("fork", sum);
}

static void test_exec(const char *self)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < 15 * scale; i++) {
		char number[16];
		int status;
		pid_t pid;

		snprintf(number, sizeof(number), "%u", i);
		pid = fork();
		must(pid >= 0, "fork");
		if (!pid) {
			execl(self, self, "--child", number, (char *)NULL);
			_exit(99);
		}
		must(waitpid(pid, &status, 0) == pid, "waitpid");
		sum = sum * 31 + status;
	}
	result("exec", sum);
}

/* After fork both write the same pages: neither may see the other's bytes. */
static void test_cow(void)
{
	enum { PAGES = 200 };
	unsigned char *area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t sum = 0;
	unsigned int round;

	must(area != MAP_FAILED, "mmap");
	for (round = 0; round < 6 * scale; round++) {
		uint64_t theirs;
		int ends[2], status;
		pid_t pid;
		size_t i;

		for (i = 0; i < PAGES * PAGE; i += 61)
			area[i] = i * (round + 1);
		must(!pipe(ends), "pipe");
		pid = fork();
		must(pid >= 0, "fork");
		if (!pid) {
			for (i = 0; i < PAGES; i += 2)
				memset(area + i * PAGE, 0xc0 + round, 100);
			theirs = mix(1, area, PAGES * PAGE);
			must(write(ends[1], &theirs, sizeof(theirs)) == sizeof(theirs), "write");
			_exit(0);
		}
		for (i = 1; i < PAGES; i += 3)
			memset(area + i * PAGE + 2000, 0x55, 300);
		must(read(ends[0], &theirs, sizeof(theirs)) == sizeof(theirs), "read");
		must(waitpid(pid, &status, 0) == pid && !status, "child");
		sum = mix(sum ^ theirs, area, PAGES * PAGE);
		close(ends[0]);
		close(ends[1]);
	}
	munmap(area, PAGES * PAGE);
	result("copy on write", sum);
}

/* Random mappings against a plain array that says what must be there. */
static void test_mmap(void)
{
	enum { SLOTS = 64, MOST = 16 };
	static struct { unsigned char *at; size_t pages; uint64_t fill; } slot[SLOTS];
	uint64_t sum = 0;
	unsigned int i;
	size_t p;

	for (i = 0; i < 1500 * scale; i++) {
		unsigned int n = next_random() % SLOTS;

		if (!slot[n].at) {
			slot[n].pages = 1 + next_random() % MOST;
			slot[n].fill = next_random();
			slot[n].at = mmap(NULL, slot[n].pages * PAGE,
					  PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			must(slot[n].at != MAP_FAILED, "mmap");
			for (p = 0; p < slot[n].pages; p++) {
				uint64_t *word = (uint64_t *)(slot[n].at + p * PAGE);

				must(!word[0] && !word[511], "a fresh page is zero");
				word[n] = slot[n].fill + p;
			}
			continue;
		}
		for (p = 0; p < slot[n].pages; p++) {
			uint64_t word = ((uint64_t *)(slot[n].at + p * PAGE))[n];

			must(word == slot[n].fill + p, "a page keeps its word");
			sum = mix(sum, &word, sizeof(word));
		}
		if (next_random() & 1) {
			void *moved = mremap(slot[n].at, slot[n].pages * PAGE,
					     (slot[n].pages + 1) * PAGE, MREMAP_MAYMOVE);

			must(moved != MAP_FAILED, "mremap");
			slot[n].at = moved;
			((uint64_t *)(slot[n].at + slot[n].pages * PAGE))[n] =
				slot[n].fill + slot[n].pages;
			slot[n].pages++;
		} else {
			must(!munmap(slot[n].at, slot[n].pages * PAGE), "munmap");
			slot[n].at = NULL;
		}
	}
	result("mmap, mremap, munmap", sum);
}

static void test_madvise(void)
{
	enum { SIZE = 4 << 20 };
	unsigned char *area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t sum = 0;
	unsigned int round;
	size_t i;

	must(area != MAP_FAILED, "mmap");
	for (round = 0; round < 4 * scale; round++) {
		for (i = 0; i < SIZE; i += PAGE)
			area[i] = 1 + round;
		madvise(area + SIZE / 4, SIZE / 2, MADV_DONTNEED);
		for (i = 0; i < SIZE; i += PAGE)
			sum = sum * 31 + area[i];
	}
	munmap(area, SIZE);
	result("madvise", sum);
}

static sigjmp_buf escape;
static uint64_t fault_sum;
static unsigned char *fault_base;

static void on_fault(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint64_t facts[4] = {
		number, info->si_code, (unsigned char *)info->si_addr - fault_base,
		uc->uc_mcontext.gregs[REG_ERR] & 0x17,
	};

	fault_sum = mix(fault_sum, facts, sizeof(facts));
	siglongjmp(escape, 1);
}

static void try_page(unsigned char *page, int protection)
{
	volatile unsigned char *at = page + 123;

	must(!mprotect(page, PAGE, protection), "mprotect");
	if (!sigsetjmp(escape, 1))
		fault_sum += *at;
	if (!sigsetjmp(escape, 1))
		*at = 3;
	if (!sigsetjmp(escape, 1))
		((void (*)(void))(page + 200))();
}

/* Every protection, and what a read, a write and a jump then do. */
static void test_mprotect(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	unsigned char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	must(page != MAP_FAILED, "mmap");
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	fault_base = page;
	page[200] = 0xc3;		/* ret */
	for (i = 0; i < 20 * scale; i++) {
		try_page(page, PROT_NONE);
		try_page(page, PROT_READ);
		try_page(page, PROT_READ | PROT_WRITE);
		try_page(page, PROT_READ | PROT_EXEC);
		try_page(page, PROT_READ | PROT_WRITE | PROT_EXEC);
	}
	munmap(page, PAGE);
	if (!sigsetjmp(escape, 1))	/* gone */
		fault_sum += page[5];
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	result("mprotect and faults", fault_sum);
}

static volatile sig_atomic_t handled;

static void on_trap(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint64_t facts[3] = {
		number, info->si_code, uc->uc_mcontext.gregs[REG_TRAPNO],
	};

	fault_sum = mix(fault_sum, facts, sizeof(facts));
	siglongjmp(escape, 1);
}

/* D9: the right signal for each exception a program can raise. */
static void test_exceptions(void)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	static const int signals[] = { SIGFPE, SIGILL, SIGTRAP, SIGSEGV, SIGBUS };
	volatile int zero = 0, one = 1;
	unsigned int i;

	fault_sum = 1;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	if (!sigsetjmp(escape, 1))
		one = one / zero;
	result("#DE", fault_sum);
	if (!sigsetjmp(escape, 1))
		asm volatile("ud2");
	result("#UD", fault_sum);
	if (!sigsetjmp(escape, 1))
		asm volatile("int3");
	result("#BP", fault_sum);
	if (!sigsetjmp(escape, 1))
		asm volatile("pushf; orl $0x100, (%%rsp); popf; nop" ::: "cc", "memory");
	result("#DB single step", fault_sum);
	if (!sigsetjmp(escape, 1))
		asm volatile("cli");
	result("#GP by cli", fault_sum);
	if (!sigsetjmp(escape, 1))
		asm volatile("hlt");
	result("#GP by hlt", fault_sum);
	if (!sigsetjmp(escape, 1))
		asm volatile("outb %%al, $0x80" :: "a"(0));
	result("#GP by out", fault_sum);
	if (!sigsetjmp(escape, 1))
		asm volatile("int $0x1f");
	result("#GP by int 0x1f", fault_sum);
	if (!sigsetjmp(escape, 1))
		(void)*(volatile char *)0x8000000000000000UL;
	result("#GP by address", fault_sum);
	if (!sigsetjmp(escape, 1))	/* where the Switcher is */
		(void)*(volatile char *)0xffff800000000000UL;
	result("#PF in slot 256", fault_sum);
	if (!sigsetjmp(escape, 1))	/* where the host's CPU entry area is */
		(void)*(volatile char *)0xfffffe0000000000UL;
	result("#PF in slot 508", fault_sum);
	if (!sigsetjmp(escape, 1)) {
		unsigned short control = 0x0300;	/* all unmasked */
		volatile double a = 1, b = 0;

		asm volatile("fldcw %0; fldl %1; fdivl %2; fwait"
			     :: "m"(control), "m"(a), "m"(b));
	}
	asm volatile("fninit");
	result("#MF", fault_sum);
	if (!sigsetjmp(escape, 1)) {
		unsigned int control = 0x0000;
		volatile float a = 1, b = 0;

		asm volatile("ldmxcsr %0; movss %1, %%xmm0; divss %2, %%xmm0"
			     :: "m"(control), "m"(a), "m"(b) : "xmm0");
	}
	{
		unsigned int control = 0x1f80;

		asm volatile("ldmxcsr %0" :: "m"(control));
	}
	result("#XM", fault_sum);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
}

static void on_signal(int number)
{
	(void)number;
	handled++;
}

static void test_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval fast = { { 0, 2000 }, { 0, 2000 } }, off = { { 0, 0 }, { 0, 0 } };
	uint64_t sum = 0, i;

	sigaction(SIGUSR1, &action, NULL);
	for (i = 0; i < 2000 * scale; i++)
		raise(SIGUSR1);
	result("signals handled", handled);
	/* Registers and the stack must survive a timer that comes anywhere. */
	sigaction(SIGALRM, &action, NULL);
	handled = 0;
	setitimer(ITIMER_REAL, &fast, NULL);
	for (i = 0; i < 3000000 * scale; i++)
		sum = sum * 6364136223846793005ULL + i;
	while (handled < 5)
		;
	setitimer(ITIMER_REAL, &off, NULL);
	result("under a signal storm", sum);
}

static void test_pipe(void)
{
	enum { SIZE = 1 << 20 };
	unsigned char buffer[3000];
	uint64_t sum = 0, total = 0;
	int ends[2], status;
	ssize_t got;
	pid_t pid;

	must(!pipe(ends), "pipe");
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		uint64_t left = SIZE * scale;

		close(ends[0]);
		while (left) {
			size_t n = 1 + next_random() % sizeof(buffer), i;

			if (n > left)
				n = left;
			for (i = 0; i < n; i++)
				buffer[i] = next_random();
			must(write(ends[1], buffer, n) == (ssize_t)n, "write");
			left -= n;
		}
		_exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], buffer, sizeof(buffer))) > 0) {
		sum = mix(sum, buffer, got);
		total += got;
	}
	close(ends[0]);
	must(waitpid(pid, &status, 0) == pid && !status, "writer");
	result("pipe", sum + total);
}

/* Two processes that can only go on in turn: a storm of context switches. */
static void test_ping_pong(void)
{
	int there[2], back[2], status;
	uint64_t token = 1;
	unsigned int i;
	pid_t pid;

	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, there) && !pipe(back), "socketpair");
	pid = fork();
	must(pid >= 0, "fork");
	for (i = 0; i < 800 * scale; i++) {
		int in = pid ? back[0] : there[1], out = pid ? there[0] : back[1];

		if (pid)
			must(write(out, &token, sizeof(token)) == sizeof(token), "write");
		must(read(in, &token, sizeof(token)) == sizeof(token), "read");
		token = token * 31 + 7;
		if (!pid)
			must(write(out, &token, sizeof(token)) == sizeof(token), "write");
	}
	if (!pid)
		_exit(0);
	must(waitpid(pid, &status, 0) == pid && !status, "partner");
	close(there[0]); close(there[1]); close(back[0]); close(back[1]);
	result("ping pong", token);
}

static int lock;	/* 0 free, 1 taken, 2 taken and awaited */
static uint64_t guarded, turns[4];
static __thread uint64_t own;

static void futex(int op, int value)
{
	syscall(SYS_futex, &lock, op, value, NULL, NULL, 0);
}

static void take(void)
{
	int seen = 0;

	if (__atomic_compare_exchange_n(&lock, &seen, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(&lock, 2, __ATOMIC_ACQUIRE))
		futex(FUTEX_WAIT_PRIVATE, 2);
}

static void give(void)
{
	if (__atomic_exchange_n(&lock, 0, __ATOMIC_RELEASE) == 2)
		futex(FUTEX_WAKE_PRIVATE, 1);
}

static void *worker(void *number)
{
	uint64_t i, n = (uintptr_t)number;
	double x = n + 1;

	for (i = 0; i < 3000 * scale; i++) {
		take();
		guarded++;
		if (i % 100 == n)
			sched_yield();
		give();
		x = x * 1.0000001 + sin(i);
		own += n + i;
	}
	turns[n] = mix(own, &x, sizeof(x));
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[4];
	uintptr_t i;

	for (i = 0; i < 4; i++)
		must(!pthread_create(&threads[i], NULL, worker, (void *)i), "thread");
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	result("threads, futex", guarded);
	result("threads, own state", mix(1, turns, sizeof(turns)));
}

static void test_files(void)
{
	char name[64];
	unsigned char buffer[5000], *map;
	uint64_t sum = 0;
	struct stat status;
	unsigned int i, j;

	must(!mkdir("/tmp/workload-files", 0700) || errno == EEXIST, "mkdir");
	for (i = 0; i < 20 * scale; i++) {
		int fd;

		snprintf(name, sizeof(name), "/tmp/workload-files/%u", i);
		fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
		must(fd >= 0, "open");
		for (j = 0; j < 10; j++) {
			memset(buffer, next_random(), sizeof(buffer));
			must(pwrite(fd, buffer, sizeof(buffer), next_random() % 60000) ==
			     sizeof(buffer), "pwrite");
		}
		must(!fstat(fd, &status), "fstat");
		map = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		must(map != MAP_FAILED, "mmap");
		map[status.st_size / 2] = i;
		must(pread(fd, buffer, 1, status.st_size / 2) == 1 &&
		     buffer[0] == (unsigned char)i, "map and file agree");
		sum = mix(sum, map, status.st_size);
		munmap(map, status.st_size);
		close(fd);
		if (i & 1)
			unlink(name);
	}
	for (i = 0; i < 20 * scale; i++) {
		snprintf(name, sizeof(name), "/tmp/workload-files/%u", i);
		sum = sum * 31 + !unlink(name);
	}
	must(!rmdir("/tmp/workload-files"), "rmdir");
	result("files", sum);
}

/* x87, SSE and what rounding leaves, across many context switches. */
static void test_math(void)
{
	pid_t pid = fork();
	long double x87 = 1;
	double sse = 1;
	float narrow = 1;
	uint64_t sum;
	unsigned int i;
	int status = 0;

	for (i = 1; i < 60000 * scale; i++) {
		double weight = pid ? 1.000001 : 0.999999;

		x87 = x87 * weight + 1.0L / i;
		sse = sse * weight + sqrt(i) * sin(sse);
		narrow = narrow * (float)weight + 0.1f;
		if (i % 500 == 0)
			sched_yield();
	}
	sum = mix(mix(mix(1, &x87, 10), &sse, sizeof(sse)), &narrow, sizeof(narrow));
	if (!pid) {
		printf("%-24s %016llx\n", "math of the child", (unsigned long long)sum);
		fflush(stdout);
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid && !status, "child");
	result("math", sum);
}

/* All of AVX's registers keep what is in them while others use them, too. */
static void test_vectors(void)
{
	uint32_t in[16][8], out[16][8];
	uint64_t sum = 0;
	unsigned int i;
	pid_t pid;
	int status;

	if (!__builtin_cpu_supports("avx")) {
		result("avx", 0);
		return;
	}
	pid = fork();
	for (i = 0; i < 128; i++)
		in[i / 8][i % 8] = (pid ? 0x10000 : 0x777) * (i + 1);
	for (i = 0; i < 300 * scale; i++) {
		asm volatile(
#define LOAD(n) "vmovdqu 32*" #n "(%0), %%ymm" #n "\n"
#define SAVE(n) "vmovdqu %%ymm" #n ", 32*" #n "(%1)\n"
			LOAD(0) LOAD(1) LOAD(2) LOAD(3) LOAD(4) LOAD(5) LOAD(6) LOAD(7)
			LOAD(8) LOAD(9) LOAD(10) LOAD(11) LOAD(12) LOAD(13) LOAD(14) LOAD(15)
			"mov $24, %%eax\n"	/* sched_yield */
			"syscall\n"
			SAVE(0) SAVE(1) SAVE(2) SAVE(3) SAVE(4) SAVE(5) SAVE(6) SAVE(7)
			SAVE(8) SAVE(9) SAVE(10) SAVE(11) SAVE(12) SAVE(13) SAVE(14) SAVE(15)
			:: "r"(in), "r"(out)
			: "rax", "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3",
			  "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
			  "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
		must(!memcmp(in, out, sizeof(in)), "vector registers are kept");
		sum = mix(sum, out, sizeof(out));
	}
	if (!pid)
		_exit(0);
	must(waitpid(pid, &status, 0) == pid && !status, "child");
	result("avx", sum);
}

/* I1: hypercall numbers in the user view are the guest's system calls. */
static void test_syscall_numbers(void)
{
	uint64_t facts[40];
	unsigned int i;

	for (i = 0; i < 40; i++)	/* none of these exists */
		facts[i] = syscall(1000 + i, -1L, -1L, -1L, -1L) + errno;
	result("no such system call", mix(1, facts, sizeof(facts)));
	facts[0] = syscall(SYS_read, -1, NULL, 0);	/* 0 is FLUSH_ASYNC */
	facts[1] = errno;
	facts[2] = syscall(SYS_write, -1, NULL, 0);	/* 1 is INIT */
	facts[3] = errno;
	facts[4] = syscall(SYS_open, NULL, 0, 0);	/* 2 is SHUTDOWN */
	facts[5] = errno;
	facts[6] = syscall(SYS_close, -1);
	facts[7] = errno;
	facts[8] = syscall(SYS_lseek, -1, 0, 0);
	facts[9] = errno;
	facts[10] = syscall(SYS_poll, NULL, 1000000, 0);
	facts[11] = errno;
	result("low system calls", mix(1, facts, 12 * sizeof(facts[0])));
}

/* FS and GS bases are the thread's own. */
static void test_bases(void)
{
	uint64_t value = 0, sum = 0;
	unsigned int i;
	pid_t pid = fork();
	int status;

	for (i = 0; i < 200 * scale; i++) {
		uint64_t wanted = (pid ? 0x500000000000UL : 0x300000000000UL) + i * PAGE;

		must(!syscall(SYS_arch_prctl, 0x1001, wanted), "ARCH_SET_GS");
		sched_yield();
		must(!syscall(SYS_arch_prctl, 0x1004, &value), "ARCH_GET_GS");
		must(value == wanted, "the GS base is kept");
		sum = mix(sum, &value, sizeof(value));
	}
	if (!pid)
		_exit(0);
	must(waitpid(pid, &status, 0) == pid && !status, "child");
	result("gs base", sum);
}

static void test_time(void)
{
	struct timespec last, t, nap = { 0, 1000000 };
	uint64_t backwards = 0;
	unsigned int i;

	clock_gettime(CLOCK_MONOTONIC, &last);
	for (i = 0; i < 100000 * scale; i++) {
		clock_gettime(i & 1 ? CLOCK_MONOTONIC : CLOCK_MONOTONIC, &t);
		backwards += t.tv_sec < last.tv_sec ||
			     (t.tv_sec == last.tv_sec && t.tv_nsec < last.tv_nsec);
		last = t;
		if (i % 10000 == 0)
			nanosleep(&nap, NULL);
	}
	result("time went backwards", backwards);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--child"))
		return atoi(argv[2]) * 3 & 0x7f;
	if (argc == 2)
		scale = atoi(argv[1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_fork();
	test_exec("/proc/self/exe");
	test_cow();
	test_mmap();
	test_madvise();
	test_mprotect();
	test_exceptions();
	test_signals();
	test_pipe();
	test_ping_pong();
	test_threads();
	test_files();
	test_math();
	test_vectors();
	test_bases();
	test_syscall_numbers();
	test_time();
	puts("workload done");
	return 0;
}
