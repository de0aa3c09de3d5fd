// SPDX-License-Identifier: GPL-2.0
/*
 * To its host a vCPU is a task as any other: what the kernel waits for, and what it
 * wants a task to do, does not wait until a guest happens to stop.  Read next: witness.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/syscall.h>
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
