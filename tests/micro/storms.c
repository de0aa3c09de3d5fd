// SPDX-License-Identifier: GPL-2.0
/*
 * Storms from the host's side, as its user or root may raise them: breakpoints
 * on the Switcher, single step and debug registers of the launcher, profiling,
 * freezing, unloading the module.  Read next: churn.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"
#include "fuzz.h"

static volatile u64 beats;

/* Every kind of world switch and direct switch, in the same order for ever. */
SNIPPET(calls, "syscall\n");
SNIPPET(divides, "xor %ecx, %ecx; div %ecx\n");
SNIPPET(touches, "mov (%rdi), %rax\n");

static void beats_on(void)
{
	on_event = take;
	for (;; beats++) {
		char *code = beats % 4 == 0 ? divides : beats % 4 == 1 ? touches : calls;
		struct frame f = user_at((void (*)(void))code);

		f.rdi = 0x20000000000 + (beats & 0xff) * PAGE;
		SHARED->direct_faults = beats & 1;
		run(&f);
		/* Its code is not in the shadow tables: ask for that, and again. */
		while (f.vector == 14 && SHARED->cr2 == f.rip) {
			SHARED->fill_address = f.rip;
			SHARED->fill_error = f.error | LGUEST_FILL_STRICT;
			run(&f);
		}
		EXPECT_EQ(f.vector, code == divides ? 0 : code == touches ? 14 : 256);
		if (code == touches)
			EXPECT_EQ(SHARED->cr2, f.rdi);
		HCALL(GET_TIME);
	}
}

static void run_for(struct guest *g, u64 ms)
{
	u64 end = now_ns() + ms * 1000000;

	tick(5);
	while (now_ns() < end) {
		int kind = go(g);

		if (kind != -EINTR)
			fail("the guest ends with %d: %s", kind, g->reason);
	}
	tick(0);
}

/* A launcher in a process of its own, which beats until it is killed. */
static volatile u64 *shared_beats;

static pid_t start_beating(void)
{
	pid_t pid;

	begin();
	shared_beats = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = fork();
	if (pid == 0) {
		struct guest *g = make_guest(beats_on);

		tick(5);
		for (;;) {
			int kind = go(g);

			if (kind != -EINTR)
				fail("the guest ends with %d: %s", kind, g->reason);
			*shared_beats = IN_GUEST(g, beats);
		}
	}
	return pid;
}

static void wait_for_beats(u64 more)
{
	u64 from = *shared_beats;

	for (int i = 0; *shared_beats < from + more; i++) {
		if (i == 5000)
			fail("the guest does not go on");
		usleep(1000);
	}
}

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		exit(WEXITSTATUS(status));	/* it has said why */
}

/* ---- AT-13: breakpoints ---- */

static int breakpoint(u64 address, int type)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = type,
		.bp_addr = address,
		.bp_len = type == HW_BREAKPOINT_X ? sizeof(long) : HW_BREAKPOINT_LEN_8,
		.sample_period = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

TEST_S(40, "AT-13 breakpoints of the host on the Switcher, its state and tables, and on guest addresses")
{
	static const u64 slots[] = { 0xffff800000000000, 0xff00000000000000 };
	struct guest *g = make_guest(beats_on);
	u64 count, seen = 0, wanted = host_has_kprobes() ? 30 : 10;
	int fd, set = 0;

	begin();
	run_for(g, 20);
	/* Text at the stubs and the entries; IDT; state page; shared page. */
	for (u64 at = 0; at < 0x5000; at += at < 0x2000 ? 0x88 : 0x400) {
		fd = breakpoint(slots[set & 1] + at,
				at < 0x2000 ? HW_BREAKPOINT_X : HW_BREAKPOINT_RW);
		set++;
		if (fd < 0)	/* the wrong slot, or no address of this CPU */
			fd = breakpoint(slots[set & 1] + at, at < 0x2000 ?
					HW_BREAKPOINT_X : HW_BREAKPOINT_RW);
		if (fd < 0)
			continue;
		seen++;
		run_for(g, 10);
		close(fd);
	}
	CHECK(seen > wanted);
	/* Of the launcher's user space: the guest has other things there. */
	fd = breakpoint(TO_USER(KERNEL_VA + IMAGE_GPA + (calls - __executable_start)),
			HW_BREAKPOINT_X);
	CHECK(fd >= 0);
	run_for(g, 100);
	CHECK_EQ(read(fd, &count, 8), 8);
	CHECK_EQ(count, 0);
	close(fd);
	end_guest(g);
}

TEST_S(40, "AT-13 AT-02 the launcher is traced: debug registers, single step, stops")
{
	pid_t pid = start_beating();
	int status;

	wait_for_beats(10);
	CHECK_EQ(ptrace(PTRACE_SEIZE, pid, 0, 0), 0);
	for (int i = 0; i < 300; i++) {
		CHECK_EQ(ptrace(PTRACE_INTERRUPT, pid, 0, 0), 0);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK(WIFSTOPPED(status));
		/* On an instruction of the guest, and on a word of its memory. */
		ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[7]), 0);
		CHECK_EQ(ptrace(PTRACE_POKEUSER, pid,
				offsetof(struct user, u_debugreg[i & 3]),
				TO_USER(KERNEL_VA + IMAGE_GPA +
					(calls - __executable_start))), 0);
		CHECK_EQ(ptrace(PTRACE_POKEUSER, pid,
				offsetof(struct user, u_debugreg[7]),
				(1 << 2 * (i & 3)) | (i & 4 ? 0xd0000 << 4 * (i & 3) : 0)), 0);
		for (int k = 0; k < 3; k++) {
			if (ptrace(i & 8 ? PTRACE_SINGLESTEP : PTRACE_SYSCALL, pid, 0, 0))
				fail("ptrace: %s", strerror(errno));
			CHECK_EQ(waitpid(pid, &status, 0), pid);
			if (!WIFSTOPPED(status))
				fail("the launcher ended: %#x", status);
			if (WSTOPSIG(status) == SIGALRM)
				ptrace(PTRACE_CONT, pid, 0, SIGALRM);
			else
				continue;
			ptrace(PTRACE_INTERRUPT, pid, 0, 0);
			CHECK_EQ(waitpid(pid, &status, 0), pid);
		}
		CHECK_EQ(ptrace(PTRACE_CONT, pid, 0, 0), 0);
	}
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	waitpid(pid, &status, 0);
	CHECK_EQ(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
	wait_for_beats(10);
	end(pid);
}

/* ---- C12: host interrupts that take page faults ---- */

static int profile(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 200000,
		.sample_type = PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_STACK_USER |
			       PERF_SAMPLE_REGS_USER,
		.sample_regs_user = 1,
		.sample_stack_user = 256,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

/* go() with a frame pointer that leads nowhere: the profiler follows it. */
static int read_lost(struct guest *g, void *buf)
{
	long ret = SYS_read;

	asm volatile("push %%rbp\n\tmov %[lost], %%rbp\n\tsyscall\n\tpop %%rbp"
		     : "+a" (ret) : "D" (g->fd), "S" (buf), "d" (300UL),
		       [lost] "r" (0x123456789000) : "rcx", "r11", "memory");
	return ret;
}

TEST_S(30, "C12 fault addresses are right while host interrupts take page faults")
{
	struct guest *g = make_guest(beats_on);
	struct perf_event_mmap_page *ring;
	u64 end = now_ns() + 2000000000, first;
	char buf[300] = "";
	int fd = profile();

	if (fd < 0)
		fail("perf: %s", strerror(errno));
	ring = mmap(NULL, 9 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(ring != MAP_FAILED);
	begin();
	first = IN_GUEST(g, beats);
	tick(5);
	while (now_ns() < end || (IN_GUEST(g, beats) < first + 200 &&
				  now_ns() < end + 20000000000)) {
		int kind = read_lost(g, buf);

		ring->data_tail = ring->data_head;
		if (kind == -ENOENT) {
			read_lost(g, buf);
			fail("%s", buf);
		}
		CHECK_EQ(kind, -EINTR);
	}
	tick(0);
	CHECK(IN_GUEST(g, beats) > first + 100);
	CHECK(ring->data_head > 10000);		/* there were samples */
}

/* ---- C6: freezing ---- */

static void put_text(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("%s: %s", file, strerror(errno));
	close(fd);
}

static bool is_frozen(void)
{
	char text[100] = "";
	int fd = open("/tmp/cgroup/frozen/cgroup.events", O_RDONLY);

	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strstr(text, "frozen 1");
}

TEST_S(30, "C6 AT-18 a launcher is frozen, stopped and continued at any moment")
{
	pid_t pid = start_beating();
	char number[20];

	mkdir("/tmp/cgroup", 0755);
	if (mount("cgroup", "/tmp/cgroup", "cgroup2", 0, NULL) && errno != EBUSY)
		fail("cgroup2: %s", strerror(errno));
	mkdir("/tmp/cgroup/frozen", 0755);
	snprintf(number, sizeof(number), "%d", pid);
	put_text("/tmp/cgroup/frozen/cgroup.procs", number);
	wait_for_beats(10);
	for (int i = 0; i < 30; i++) {
		u64 seen;

		put_text("/tmp/cgroup/frozen/cgroup.freeze", "1");
		for (int k = 0; !is_frozen(); k++) {
			CHECK(k < 1000);
			usleep(1000);
		}
		seen = *shared_beats;
		usleep(30000);
		CHECK_EQ(*shared_beats, seen);
		if (i & 1)
			kill(pid, SIGSTOP);
		put_text("/tmp/cgroup/frozen/cgroup.freeze", "0");
		if (i & 1)
			kill(pid, SIGCONT);
		wait_for_beats(2);
	}
	end(pid);
}

/* ---- A13, AT-59: unloading under fire ---- */

static bool load(void)
{
	int fd = open("/lib/modules/lg.ko", O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		fail("/lib/modules/lg.ko: %s", strerror(errno));
	err = syscall(SYS_finit_module, fd, "", 0);
	close(fd);
	return err == 0;
}

static bool unload(void)
{
	return syscall(SYS_delete_module, "lg", O_NONBLOCK) == 0;
}

/* Guests, and between them pauses; longer ones on a slow host, for room to unload. */
static void open_often(int *pipes)
{
	u64 ran = 0, took = 0;

	for (;;) {
		struct guest *g;
		u64 began;
		int fd;

		usleep(rdtsc() / 64 % (8000 + took / 4000));
		began = now_ns();
		fd = open("/dev/lguest", O_RDWR);
		if (fd < 0)
			continue;
		/* Held, so that make_guest() finds it. */
		g = make_guest(guest_done);
		close(fd);
		passes(g);
		end_guest(g);
		took = now_ns() - began;
		ran++;
		if (write(pipes[1], &ran, 8) != 8)
			_exit(0);
	}
}

TEST_S(40, "A13 AT-59 the module is unloaded and loaded while guests come and go")
{
	u64 end = now_ns() + 3000000000, gone = 0, busy = 0, ran = 0;
	pid_t pids[2];
	int pipes[2];

	CHECK_EQ(pipe2(pipes, O_NONBLOCK), 0);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			open_often(pipes);
	}
	while (now_ns() < end || gone < 3 || ran < 3) {
		u64 n;

		usleep(1000);
		if (unload()) {
			gone++;
			CHECK(load());
		} else {
			busy++;
		}
		while (read(pipes[0], &n, 8) == 8)
			ran++;
	}
	for (int i = 0; i < 2; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		continue;
	dprintf(1, "# unloaded %llu times, refused %llu times, %llu guests\n",
		(unsigned long long)gone, (unsigned long long)busy,
		(unsigned long long)ran);
	guest_passes(guest_done);
}

TEST("A1 a host with a CPU unlike the others is refused, whoever loads the module")
{
	int fd;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("needs two CPUs (lab --smp 2)");
	on_cpu(0);
	fd = witness();
	CHECK(unload());
	CHECK_EQ(write(fd, "odd", 3), 3);
	CHECK(!load());
	CHECK_EQ(errno, ENODEV);
	CHECK(access("/dev/lguest", F_OK));
	CHECK_EQ(write(fd, "even", 4), 4);
	CHECK(load());
	guest_passes(guest_done);
}

static void put_online(const char *to)
{
	put_text("/sys/devices/system/cpu/cpu1/online", to);
}

TEST_S(30, "A6 A13 unloading while a CPU is offline that ran a guest last")
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("needs two CPUs (lab --smp 2)");
	for (int i = 0; i < 5; i++) {
		cpu_set_t one;
		pid_t pid = fork();

		if (pid == 0) {
			on_cpu(1);
			struct guest *g = make_guest(beats_on);

			for (;;)
				go(g);
		}
		on_cpu(0);
		usleep(50000);
		put_online("0");
		end(pid);
		CHECK(unload());
		put_online("1");
		CHECK(load());
		CPU_ZERO(&one);
		CPU_SET(1, &one);
		CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
		guest_passes(guest_done);
	}
}
