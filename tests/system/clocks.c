// SPDX-License-Identifier: GPL-2.0
/*
 * A thread on each CPU: they look at the clocks by turns, and no clock may be behind what
 * it was on the CPU before.  Read next: smp.sh.
 */
#define _GNU_SOURCE 1
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST 16
#define ROUNDS 500

/* By the page that the kernel maps, and by the kernel itself. */
static const struct look {
	clockid_t clock;
	int by_kernel;
} looks[] = { { CLOCK_MONOTONIC, 0 }, { CLOCK_MONOTONIC, 1 }, { CLOCK_REALTIME, 0 } };
#define LOOKS (sizeof(looks) / sizeof(looks[0]))

static sem_t turn[MOST];
static long last[LOOKS], backwards, taken, cpus;

static long now(const struct look *look)
{
	struct timespec t;

	if (look->by_kernel)
		syscall(SYS_clock_gettime, look->clock, &t);
	else
		clock_gettime(look->clock, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void take_a_turn(int cpu)
{
	for (unsigned int i = 0; i < LOOKS; i++) {
		long t = now(&looks[i]);

		backwards += t < last[i];
		last[i] = t;
	}
	taken += sched_getcpu() == cpu;
}

static void *looks_at_clocks(void *number)
{
	int cpu = (int)(long)number;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	for (int i = 0; i < ROUNDS; i++) {
		sem_wait(&turn[cpu]);
		take_a_turn(cpu);
		sem_post(&turn[(cpu + 1) % cpus]);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[MOST];

	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (cpus > MOST)
		return 1;
	for (long i = 0; i < cpus; i++)
		sem_init(&turn[i], 0, i == 0);
	for (long i = 0; i < cpus; i++)
		pthread_create(&threads[i], NULL, looks_at_clocks, (void *)i);
	for (long i = 0; i < cpus; i++)
		pthread_join(threads[i], NULL);
	printf("clocks %ld times backwards, %ld turns on %ld CPUs\n", backwards, taken, cpus);
	return 0;
}
