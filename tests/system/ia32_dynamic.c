// SPDX-License-Identifier: GPL-2.0
/*
 * A 32-bit program with its C library, for ia32.sh: threads with variables of their own,
 * signals on a stack of their own, a library that is loaded later, clocks by the page
 * that the kernel maps, processes.  What it prints must be the same in a guest and on the
 * host.  Read next: ia32.sh.
 */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS 2000

/* ---- threads: %gs is each one's own */

static __thread unsigned int own;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int all;

static void *adds(void *number)
{
	unsigned int n = (unsigned int)(unsigned long)number;

	for (int i = 0; i < ROUNDS; i++) {
		own += n;
		pthread_mutex_lock(&lock);
		all++;
		pthread_mutex_unlock(&lock);
		if (i % 100 == 0)
			usleep(1);
	}
	return (void *)(unsigned long)own;
}

static void threads(void)
{
	pthread_t thread[THREADS];
	unsigned int sum = 0;
	void *result;

	for (unsigned long i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, adds, (void *)i);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &result);
		sum += (unsigned int)(unsigned long)result;
	}
	printf("threads: %u %u %u\n", sum, all, own);
}

/* ---- signals */

static sigjmp_buf back;
static char signal_stack[32768];

static void on_fault(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	char here;

	printf("signal %d, code %d, address %p, error %d, trap %d, on its stack %d\n", number,
	       info->si_code, info->si_addr, (int)u->uc_mcontext.gregs[REG_ERR],
	       (int)u->uc_mcontext.gregs[REG_TRAPNO],
	       &here > signal_stack && &here < signal_stack + sizeof(signal_stack));
	siglongjmp(back, number);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
	alarms += number == SIGALRM;
}

static void signals(void)
{
	stack_t stack = { .ss_sp = signal_stack, .ss_size = sizeof(signal_stack) };
	struct sigaction fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction tick = { .sa_handler = on_alarm };
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = { 0 };
	int zero = 0;

	sigaltstack(&stack, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGFPE, &fault, NULL);
	sigaction(SIGALRM, &tick, NULL);
	if (!sigsetjmp(back, 1))
		*(volatile int *)0x10 = 1;
	if (!sigsetjmp(back, 1))
		asm volatile("xor %%edx, %%edx; idivl %0" : : "m" (zero) : "eax", "edx");
	setitimer(ITIMER_REAL, &often, NULL);
	while (alarms < 20)
		pause();
	setitimer(ITIMER_REAL, &never, NULL);
	printf("signals: done\n");
}

/* ---- what the kernel maps, and libraries */

static void kernel_page(void)
{
	struct timespec last = { 0 }, now;
	int backwards = 0;

	for (int i = 0; i < ROUNDS; i++) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		backwards += now.tv_sec < last.tv_sec ||
			     (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec);
		last = now;
	}
	printf("clock: %d times backwards, entry %d, page %d\n", backwards,
	       getauxval(AT_SYSINFO) != 0, getauxval(AT_SYSINFO_EHDR) != 0);
}

static void library(void)
{
	void *m = dlopen("libm.so.6", RTLD_NOW);
	double (*function)(double) = (double (*)(double))(m ? dlsym(m, "cbrt") : NULL);

	printf("library: %.15g\n", function ? function(2.0) : 0.0);
}

/* ---- memory and processes */

static void processes(void)
{
	unsigned char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long long sum = 0;
	int status;

	for (int i = 0; i < 20; i++)
		if (!fork()) {
			memset(p + i * 4096, i + 1, 4096);
			_exit(i);
		}
	while (wait(&status) > 0)
		sum += WEXITSTATUS(status);
	p = mremap(p, 1 << 20, 1 << 21, MREMAP_MAYMOVE);
	for (int i = 0; i < 20 * 4096; i++)
		sum = sum * 31 % 1000000007ULL + p[i];
	printf("processes: %llu, a word has %zu bytes\n", sum, sizeof(long));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	threads();
	signals();
	kernel_page();
	library();
	processes();
	return 0;
}
