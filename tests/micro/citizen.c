// SPDX-License-Identifier: GPL-2.0
/*
 * To its host a vCPU is a task as any other: what the kernel waits for, and what it
 * wants a task to do, does not wait until a guest happens to stop.  Read next: witness.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"

static volatile u64 beats;

static void computes(void)
{
	for (;;)
		beats = beats + 1;
}

static void take_tick(struct frame *f)
{
	EXPECT_EQ(f->vector, LGUEST_IRQ_VECTOR);
}

static void naps(void)
{
	on_event = take_tick;
	for (;;) {
		SHARED->irq_enabled = 0;	/* or the tick comes before HALT */
		HCALL(SET_CLOCKEVENT, 1000000);
		HCALL(HALT);
	}
}

/* In a process of its own, in the guest when we come back. */
static pid_t start_guest(int cpu, void (*fn)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		struct guest *g;

		if (cpu >= 0)
			on_cpu(cpu);
		g = make_guest(fn);
		go(g);
		fail("the guest ends: %s", g->reason);
	}
	while (!stat_of_process(pid, "world_switches"))
		usleep(1000);
	return pid;
}

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		exit(WEXITSTATUS(status));	/* it has said why */
}

/* ---- RCU ---- */

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		fail("%s cannot be written", path);
}

/* How often CPU 1 has looked for another task; the kernel counts it if told to. */
static unsigned int schedules(void)
{
	unsigned int count, found = 0;
	char line[300];
	FILE *f = fopen("/proc/schedstat", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		found += sscanf(line, "cpu1 %*u %*u %u", &count) == 1;
	fclose(f);
	CHECK_EQ(found, 1);
	return count;
}

/*
 * A CPU has passed a grace period when it was in user space, idle, or in the
 * scheduler.  The guest's is none of these, so it must have been told to RCU.
 */
TEST_S(90, "A16 RCU's grace periods end while a guest computes, and is not stopped for it")
{
	int passed = 0;
	pid_t pid;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("needs two CPUs (lab --smp 2)");
	write_file("/proc/sys/kernel/sched_schedstats", "1\n");
	on_cpu(0);
	pid = start_guest(1, computes);
	for (int i = 0; i < 60 && passed < 5; i++) {
		unsigned int before = schedules();

		/* MEMBARRIER_CMD_GLOBAL: a grace period, whole */
		CHECK_EQ(syscall(SYS_membarrier, 1, 0, 0), 0);
		passed += schedules() == before;
	}
	end(pid);
	CHECK_EQ(passed, 5);
}

/* ---- Work for the task ---- */

static bool key_exists(const char *name)
{
	char line[300];
	bool found = false;
	FILE *f = fopen("/proc/keys", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, name) != NULL;
	fclose(f);
	return found;
}

static long keyctl(long what, const char *name)
{
	return syscall(SYS_keyctl, what, name, 0, 0, 0);
}

#define JOIN_SESSION	1
#define TO_PARENT	18

/*
 * A process may give its session keyring to its parent, which takes it, and drops
 * its own, when the kernel's work for tasks that return to user space is done.
 */
static void takes_keyring(void (*fn)(void))
{
	pid_t pid, child;
	int status;

	if (keyctl(JOIN_SESSION, "a-try") < 0 && errno == ENOSYS)
		skip("this kernel has no keyrings");
	pid = fork();
	if (pid == 0) {
		/* Its file keeps the keyring of today. */
		struct guest *g = make_guest(fn);

		CHECK(keyctl(JOIN_SESSION, "the-launchers") > 0);
		child = fork();
		if (child == 0) {
			while (!stat_of_process(getppid(), "world_switches"))
				usleep(1000);
			CHECK(keyctl(JOIN_SESSION, "the-childs") > 0);
			CHECK(key_exists("the-launchers"));
			CHECK_EQ(keyctl(TO_PARENT, NULL), 0);
			while (key_exists("the-launchers"))
				usleep(1000);
			_exit(kill(getppid(), SIGKILL));
		}
		go(g);
		fail("the guest ends: %s", g->reason);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		exit(WEXITSTATUS(status));
}

TEST("A16 work for its task is done while a guest computes")
{
	takes_keyring(computes);
}

TEST("A16 work for its task is done while a guest sleeps and wakes")
{
	takes_keyring(naps);
}

/* ---- What comes from another CPU ---- */

/*
 * How late a visitor of CPU 1 is, no clock of a busy machine says, but what the guest
 * there has done since he was called.
 */
struct visits {
	struct guest *g;
	int bell;
	volatile u64 at;		/* the guest's beats when he came */
	volatile bool stop;
	u64 beats_per_ms, calls, late;
	long latest;
	struct sockaddr_in door;
};

static void needs_two_cpus(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("needs two CPUs (lab --smp 2)");
}

static u64 beats_of(struct visits *v)
{
	return IN_GUEST(v->g, beats);
}

/* On CPU 1, before the guest. */
static void be_first(void)
{
	struct sched_param first = { .sched_priority = 10 };

	on_cpu(1);
	CHECK_EQ(sched_setscheduler(0, SCHED_FIFO, &first), 0);
}

/* At its best, as it runs when nothing else does. */
static u64 beats_per_ms(struct visits *v)
{
	u64 most = 0;

	for (int i = 0; i < 20; i++) {
		u64 began = beats_of(v), until = now_ns() + 5000000;

		while (now_ns() < until)
			;
		if (beats_of(v) - began > most)
			most = beats_of(v) - began;
	}
	CHECK(most > 1000);
	return most / 5;
}

/* A quarter of a millisecond, of the four or so from one tick to the next. */
static void note(struct visits *v, u64 called_at)
{
	long late = v->at - called_at;

	v->calls++;
	v->late += late > (long)(v->beats_per_ms / 4);
	if (late > v->latest)
		v->latest = late;
}

static void *leave(struct visits *v)
{
	v->stop = true;
	request(v->g, LHREQ_BREAK, 1);
	return NULL;
}

/* @calls sees to it that @visitor comes, over and over, and then has the guest left. */
static void receive_visits(struct visits *v, void *(*calls)(void *), void *(*visitor)(void *))
{
	struct sched_param last = { 0 };
	pthread_t caller, comer;

	on_cpu(1);
	pthread_create(&comer, NULL, visitor, v);
	pthread_create(&caller, NULL, calls, v);
	/* Its turn is when nobody else wants to run, so that the kernel's own threads need
	 * not wait for theirs.
	 */
	CHECK_EQ(sched_setscheduler(0, SCHED_IDLE, &last), 0);
	CHECK_EQ(go(v->g), -EAGAIN);
	CHECK_EQ(request(v->g, LHREQ_BREAK, 0), 16);
	pthread_join(caller, NULL);
	dprintf(1, "# %llu visits, %llu late; the latest after %ld beats of %llu in a ms\n",
		(unsigned long long)v->calls, (unsigned long long)v->late, v->latest,
		(unsigned long long)v->beats_per_ms);
}

static volatile u64 begun, asked, came;		/* rounds */

static void enters_when_told(void)
{
	for (u64 round = 1; ; round++) {
		begun = round;
		while (asked < round)
			beats = beats + 1;
		HCALL(GET_TIME);
		while (came < round)
			beats = beats + 1;
	}
}

static void *comes_when_called(void *arg)
{
	struct visits *v = arg;
	u64 rung;

	be_first();
	while (!v->stop && read(v->bell, &rung, 8) == 8) {
		v->at = beats_of(v);
		IN_GUEST(v->g, came)++;
	}
	return NULL;
}

/* The guest goes out and in again, and about then the bell rings. */
static void *rings(void *arg)
{
	struct visits *v = arg;
	u64 called_at, one = 1;

	on_cpu(0);
	v->beats_per_ms = beats_per_ms(v);
	for (u64 round = 1; round <= 2000 * times; round++) {
		while (IN_GUEST(v->g, begun) < round)
			;
		IN_GUEST(v->g, asked) = round;
		for (volatile u64 pause = round * 37 % 1500; pause; pause--)
			;
		CHECK_EQ(write(v->bell, &one, 8), 8);
		called_at = beats_of(v);
		while (IN_GUEST(v->g, came) < round)
			;
		note(v, called_at);
	}
	return leave(v);
}

TEST_S(60, "A16 C9 who is woken while a guest is entered does not wait for a tick")
{
	struct visits v = { .bell = eventfd(0, 0) };

	needs_two_cpus();
	v.g = make_guest(enters_when_told);
	receive_visits(&v, rings, comes_when_called);
	CHECK_EQ(v.late, 0);
}

/* A number of CPU 1 in such a file: "   LOC:  12  34 ...". */
static u64 of_cpu1(const char *path, const char *name)
{
	unsigned long long value = ~0ULL;
	char line[1000], *at;
	FILE *f = fopen(path, "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if ((at = strstr(line, name)))
			CHECK_EQ(sscanf(at + strlen(name), " %*u %llu", &value), 1);
	fclose(f);
	CHECK(value != ~0ULL);
	return value;
}

/* Packets of the loopback device are CPU 1's to receive. */
static void packets_for_cpu1(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK_EQ(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	close(fd);
	write_file("/sys/class/net/lo/queues/rx-0/rps_cpus", "2\n");
}

static void *answers(void *arg)
{
	struct visits *v = arg;
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	u64 word;

	be_first();
	while (recvfrom(v->bell, &word, 8, 0, (void *)&from, &size) == 8) {
		v->at = beats_of(v);
		CHECK_EQ(sendto(v->bell, &word, 8, 0, (void *)&from, size), 8);
	}
	return NULL;
}

static void one_question(struct visits *v, int fd, u64 number)
{
	u64 answer, called_at;

	CHECK_EQ(sendto(fd, &number, 8, 0, (void *)&v->door, sizeof(v->door)), 8);
	called_at = beats_of(v);
	CHECK_EQ(recv(fd, &answer, 8, 0), 8);
	CHECK_EQ(answer, number);
	note(v, called_at);
}

static void *asks(void *arg)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct visits *v = arg;
	u64 until = now_ns() + times * 1000000000ULL;

	on_cpu(0);
	v->beats_per_ms = beats_per_ms(v);
	while (now_ns() < until || v->calls < 500)
		one_question(v, fd, v->calls);
	return leave(v);
}

/* Every 10 ms; how often somebody of CPU 1 was there to see it. */
static void *keeps_time(void *arg)
{
	struct itimerspec ten_ms = { { 0, 10000000 }, { 0, 10000000 } };
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	volatile u64 *seen = arg;
	u64 expired;

	be_first();
	CHECK_EQ(timerfd_settime(timer, 0, &ten_ms, NULL), 0);
	while (read(timer, &expired, 8) == 8)
		++*seen;
	return NULL;
}

TEST_S(30, "A16 packets, timers and ticks come where a guest spins with its interrupts off")
{
	struct visits v = { .bell = socket(AF_INET, SOCK_DGRAM, 0) };
	u64 received, ticks, began, at_least;
	volatile u64 timers = 0;
	pthread_t timekeeper;
	socklen_t size = sizeof(v.door);

	needs_two_cpus();
	packets_for_cpu1();
	v.door.sin_family = AF_INET;
	v.door.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK_EQ(bind(v.bell, (void *)&v.door, size), 0);
	CHECK_EQ(getsockname(v.bell, (void *)&v.door, &size), 0);
	v.g = make_guest(computes);
	received = of_cpu1("/proc/softirqs", "NET_RX:");
	ticks = of_cpu1("/proc/interrupts", "LOC:");
	began = now_ns();
	pthread_create(&timekeeper, NULL, keeps_time, (void *)&timers);
	receive_visits(&v, asks, answers);
	/* A CPU of the lab may have a tenth of one of a busy machine's. */
	at_least = (now_ns() - began) / 100000000;
	CHECK(timers >= at_least);
	CHECK(of_cpu1("/proc/interrupts", "LOC:") - ticks >= at_least);
	CHECK(of_cpu1("/proc/softirqs", "NET_RX:") - received >= v.calls);
	/* The caller's own CPU may leave sending to a task of its own. */
	CHECK(v.late <= v.calls / 20);
}
