// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/lguest as a launcher sees it: each request, each errno, each moment at
 * which it may be closed.  Names begin with the row of ACCEPTANCE.md.  Read next:
 * abi_registers.c, for GETREG, SETREG and TRAP; abi_events.c, for eventfds both
 * ways.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <asm/ldt.h>
#include <time.h>
#include <unistd.h>
#include "micro.h"
#include "abi.h"

void *volatile bad_pointer = (void *)0x10;

/* ---- Guests of use to many tests ---- */

void spins(void)
{
	for (;;)
		asm volatile("pause");
}

static u64 beats;

static void beats_on(void)
{
	for (;;)
		*(volatile u64 *)&beats += 1;
}

static void halts(void)
{
	HCALL(HALT);
}

void notifies(void)
{
	for (u64 i = 1; i <= 3; i++)
		HCALL(NOTIFY, i * 0x1111);
}

void dies_badly(void)
{
	HCALL(SHUTDOWN, gpa_of("the last words"), LGUEST_SHUTDOWN_CRASH);
}

/* ---- Helpers ---- */

static int open_device(void)
{
	int fd = open("/dev/lguest", O_RDWR);

	if (fd < 0)
		fail("/dev/lguest: %s", strerror(errno));
	return fd;
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* An alarm that interrupts system calls, once or each @every_us. */
void set_alarm(long us, long every_us)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerspec t = {
		{ 0, every_us * 1000 }, { us / 1000000, us % 1000000 * 1000 }
	};
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGALRM };
	static timer_t timer;
	static bool made;

	sigaction(SIGALRM, &sa, NULL);
	if (!made && timer_create(CLOCK_MONOTONIC, &ev, &timer))
		fail("timer_create: %s", strerror(errno));
	made = true;
	timer_settime(timer, 0, &t, NULL);
}

/* Run until a signal comes, a little later. */
void run_a_while(struct guest *g)
{
	/* Again and again: the first may come before read() does. */
	set_alarm(20000, 20000);
	CHECK_EQ(go(g), -EINTR);
	set_alarm(0, 0);
}

static void *in_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;
	void *result;

	if (pthread_create(&thread, NULL, fn, arg))
		fail("no thread");
	pthread_join(thread, &result);
	return result;
}

/* ---- Tests ---- */

TEST("H1 device: no mmap, no ioctl")
{
	int fd = open_device();

	CHECK_ERRNO(ioctl(fd, 1, 0), ENOTTY);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK_EQ(errno, ENODEV);
}

TEST("H2 unreadable request is EFAULT")
{
	struct guest *g = make_guest(spins);

	CHECK_ERRNO(write(g->fd, BAD, 40), EFAULT);
	CHECK_ERRNO(write(open_device(), BAD, 40), EFAULT);
}

TEST("H2 unknown request is EINVAL")
{
	static const u64 numbers[] = { 1, 15, 16, 63, 64, 255, 1 << 16, 1ULL << 31,
		1ULL << 32, 1ULL << 63, ~0ULL };
	struct guest *g = make_guest(spins);

	for (size_t i = 0; i < sizeof(numbers) / 8; i++)
		CHECK_ERRNO(request(g, numbers[i], 0, 0), EINVAL);
	for (u64 n = 15; n < 1000; n++)
		CHECK_ERRNO(request(g, n, 0, 0), EINVAL);
}

TEST("H3 anything before INITIALIZE is EINVAL")
{
	int fd = open_device();
	u64 words[5] = { 0 };

	for (words[0] = 1; words[0] < 32; words[0]++)
		CHECK_ERRNO(write(fd, words, sizeof(words)), EINVAL);
	CHECK_ERRNO(read(fd, words, sizeof(words)), EINVAL);
	CHECK_EQ(close(fd), 0);
}

TEST("H4 INITIALIZE: every bad value is EINVAL, and a good one works after")
{
	struct guest *g = raw_guest(1 << 20);
	u64 base = (u64)g->mem, bad[][4] = {
		{ base + 1, 256, 0x1000, 512 },
		{ base + 0x800, 256, 0x1000, 512 },
		{ base, 0, 0x1000, 512 },
		{ base, 256, 0x1000, 255 },
		{ base, 256, 0x1000, 0 },
		{ base, 256, 0x1000, (1ULL << 40) + 1 },
		{ base, (1ULL << 40) + 1, 0x1000, (1ULL << 40) + 1 },
		{ base, ~0ULL, 0x1000, ~0ULL },
		{ base, 1ULL << 52, 0x1000, 1ULL << 52 },
		{ 0xf0000000000000, 1ULL << 40, 0, 1ULL << 40 },	/* beyond user */
		{ base, 256, 0x800000000000, 512 },
		{ base, 256, 0xdead000000000000, 512 },
		{ 0xffff888000000000, 256, 0x1000, 512 },
		{ 0xfffffffffffff000, 1, 0x1000, 512 },
	};
	u64 words[5] = { LHREQ_INITIALIZE };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		memcpy(words + 1, bad[i], sizeof(bad[i]));
		errno = 0;
		if (write(g->fd, words, sizeof(words)) != -1 || errno != EINVAL)
			fail("bad values %zu: errno %d", i, errno);
	}
	CHECK_EQ(initialize(g, 0x1000), 0);
}

TEST("H4 the guest starts at the given address, in linear mode")
{
	static const u8 code[] = { 0xbf, 0x34, 0x12, 0, 0,	/* mov $0x1234,%edi */
				   0x0f, 0x0b };		/* ud2 */
	struct guest *g = raw_guest(1 << 20);

	memcpy(g->mem + 0x5678, code, sizeof(code));
	CHECK_EQ(initialize(g, 0x5678), 0);
	dies(g, "unhandled trap 6 at 0x567d");
}

TEST("H5 second INITIALIZE is EBUSY, dead or alive")
{
	struct guest *g = make_guest(dies_badly);

	CHECK_EQ(initialize(g, 0), -EBUSY);
	dies(g, "the last words");
	CHECK_EQ(initialize(g, 0), -EBUSY);
}

static pthread_barrier_t barrier;

static void *race_init(void *arg)
{
	pthread_barrier_wait(&barrier);
	return (void *)(long)initialize(arg, 0x1000);
}

TEST("H5 two INITIALIZEs race: exactly one wins")
{
	pthread_barrier_init(&barrier, NULL, 2);
	for (int round = 0; round < 50; round++) {
		struct guest *g = raw_guest(1 << 20);
		pthread_t other;
		void *theirs;
		long ours;

		pthread_create(&other, NULL, race_init, g);
		ours = (long)race_init(g);
		pthread_join(other, &theirs);
		if ((ours != 0) + ((long)theirs != 0) != 1 ||
		    ours + (long)theirs != -EBUSY)
			fail("%ld and %ld", ours, (long)theirs);
		end_guest(g);
	}
}

TEST("A3 second guest in one process is ENOMEM, and works after the first")
{
	struct guest *g = make_guest(spins), *h = raw_guest(1 << 20);

	CHECK_EQ(initialize(h, 0x1000), -ENOMEM);
	run_a_while(g);
	CHECK_EQ(initialize(h, 0x1000), -ENOMEM);
	end_guest(g);
	CHECK_EQ(initialize(h, 0x1000), 0);
}

/* INITIALIZE takes the slot only if it is empty. */
TEST("A3 a child of a launcher has its slot empty")
{
	struct guest *g = make_guest(spins);
	int status;

	run_a_while(g);
	if (fork() == 0)
		_exit(initialize(raw_guest(1 << 20), 0x1000) != 0);
	CHECK(wait(&status) > 0);
	CHECK_EQ(status, 0);
	run_a_while(g);
}

TEST("A3 slot 256 is not readable by the launcher itself")
{
	struct guest *g = make_guest(spins);
	struct { void *base; size_t len; } part = { (void *)0xffff800000000000, 8 };
	int pipes[2];

	run_a_while(g);
	CHECK_EQ(pipe(pipes), 0);
	CHECK_ERRNO(write(pipes[1], part.base, part.len), EFAULT);
	CHECK_ERRNO(write(pipes[1], (void *)0xff00000000000000, 8), EFAULT);
}

TEST("H7 registers before the first run are zero but for the documented")
{
	struct guest *g = raw_guest(1 << 20);

	CHECK_EQ(initialize(g, 0x4000), 0);
	for (u64 off = 0; off < sizeof(struct user_regs_struct); off += 8) {
		u64 want = off == REG(rip) ? 0x4000 : off == REG(cs) ? USER_CS :
			   off == REG(ss) ? USER_SS : off == REG(eflags) ? 0x202 :
			   0, got;

		if (off == REG(orig_rax))
			continue;
		got = getreg(g, off);
		if (got != want)
			fail("register %llu is %#llx", (unsigned long long)off,
			     (unsigned long long)got);
	}
	CHECK_EQ(getreg(g, LHREG_CR2), 0);
}

static void *read_other(void *arg)
{
	struct guest *g = arg;

	CHECK_EQ(go(g), -EPERM);
	return NULL;
}

static void *requests_other(void *arg)
{
	struct guest *g = arg;

	CHECK_EQ(request(g, LHREQ_IRQ, 5), 16);
	CHECK_EQ(request(g, LHREQ_EVENTFD, 1, eventfd(0, 0)), 24);
	CHECK_EQ(request(g, LHREQ_BREAK, 0), 16);
	CHECK_EQ(request(g, LHREQ_GETREG, REG(rip)), 16);
	return NULL;
}

TEST("H9 read() from another thread is EPERM, requests are not")
{
	struct guest *g = make_guest(spins);
	u64 rip;

	in_thread(read_other, g);
	in_thread(requests_other, g);
	CHECK_EQ(read(g->fd, &rip, 8), 8);	/* armed by the other */
	run_a_while(g);
}

TEST("H9 the file in a forked child: EPERM to read, requests work")
{
	struct guest *g = make_guest(spins);
	int status;

	run_a_while(g);
	if (fork() == 0) {
		read_other(g);
		CHECK_EQ(request(g, LHREQ_IRQ, 5), 16);
		CHECK_EQ(initialize(g, 0), -EBUSY);
		_exit(0);
	}
	wait(&status);
	CHECK_EQ(status, 0);
	run_a_while(g);
}

TEST("H8 file outlives its launcher: clean errors in the child")
{
	struct guest *g = make_guest(spins);
	int ready[2], done[2];
	char c;

	CHECK(!pipe(ready) && !pipe(done));
	if (fork() == 0) {		/* the launcher has a guest of its own */
		end_guest(g);
		g = make_guest(spins);
		run_a_while(g);
		if (fork() == 0) {
			CHECK_EQ(read(ready[0], &c, 1), 1);
			usleep(100000);
			CHECK_EQ(go(g), -EPERM);
			CHECK_EQ(request(g, LHREQ_IRQ, 1), 16);
			CHECK_EQ(request(g, LHREQ_GETREG, REG(rip)), 16);
			CHECK_ERRNO(request(g, LHREQ_SETREG, REG(rax), 1), EPERM);
			CHECK_EQ(close(g->fd), 0);
			CHECK_EQ(write(done[1], "x", 1), 1);
			_exit(0);
		}
		kill(getpid(), SIGKILL);
	}
	wait(NULL);
	CHECK_EQ(write(ready[1], "x", 1), 1);
	close(done[1]);
	CHECK_EQ(read(done[0], &c, 1), 1);
}

TEST("AT-60 after exec the same task may not run the guest any more")
{
	struct guest *g;
	int status;

	if (fork() == 0) {
		g = make_guest(spins);
		run_a_while(g);
		dup2(g->fd, 5);		/* without close-on-exec */
		execl("/bin/sh", "sh", "-c",
		      "exec dd bs=40 count=1 <&5 >/dev/null 2>&1", NULL);
		_exit(0);
	}
	wait(&status);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 1);
}

TEST("H10 requests to a dead guest are ENOENT")
{
	struct guest *g = make_guest(dies_badly);

	dies(g, "CRASH: the last words");
	CHECK_ERRNO(request(g, LHREQ_IRQ, 1), ENOENT);
	CHECK_ERRNO(request(g, LHREQ_BREAK, 1), ENOENT);
	CHECK_ERRNO(request(g, LHREQ_EVENTFD, 1, eventfd(0, 0)), ENOENT);
	CHECK_ERRNO(request(g, LHREQ_GETREG, 0), ENOENT);
	CHECK_ERRNO(request(g, LHREQ_SETREG, 0, 0), ENOENT);
	CHECK_ERRNO(request(g, LHREQ_TRAP, 6, 0), ENOENT);
}

TEST("H11 reason: buffers of 0, 1, exact and large size, twice each")
{
	static const char want[] = "CRASH: the last words";
	struct guest *g = make_guest(dies_badly);
	size_t sizes[] = { 0, 1, sizeof(want) - 1, sizeof(want), 200 };
	char buf[200];

	dies(g, "the last words");
	for (int i = 0; i < 10; i++) {
		size_t size = sizes[i / 2], expect = size < sizeof(want) ?
						      size : sizeof(want);

		memset(buf, '#', sizeof(buf));
		CHECK_EQ(read(g->fd, buf, size), expect);
		CHECK(!memcmp(buf, want, expect));
		CHECK(expect == sizeof(buf) || buf[expect] == '#');
	}
	CHECK_ERRNO(read(g->fd, BAD, 10), EFAULT);
}

TEST("H12 C2 a record that could not be given comes again")
{
	struct guest *g = make_guest(notifies);
	char small[39];

	CHECK_ERRNO(read(g->fd, BAD, 40), EFAULT);
	CHECK_ERRNO(read(g->fd, BAD, 40), EFAULT);
	CHECK_ERRNO(read(g->fd, small, sizeof(small)), EINVAL);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 0x1111);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 0x2222);
	CHECK_ERRNO(read(g->fd, BAD, 40), EFAULT);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 0x3333);
	passes(g);
}

TEST("H13 AT-51 records in order, all unused bytes zero")
{
	struct guest *g = make_guest(notifies);
	struct lguest_exit want = { .kind = LGUEST_EXIT_NOTIFY };

	for (u64 i = 1; i <= 3; i++) {
		memset(&g->exit, 0xff, sizeof(g->exit));
		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		want.value = i * 0x1111;
		CHECK(!memcmp(&want, &g->exit, sizeof(want)));
	}
	passes(g);
}

struct breaker {
	struct guest *g;
	volatile int stage;
};

static void *break_it(void *arg)
{
	struct breaker *b = arg;

	usleep(50000);
	b->stage = 1;
	CHECK_EQ(request(b->g, LHREQ_BREAK, 1), 16);
	b->stage = 2;
	return NULL;
}

static void test_break(void (*fn)(void))
{
	struct breaker b = { .g = make_guest(fn) };
	pthread_t thread;

	for (int round = 0; round < 3; round++) {
		b.stage = 0;
		pthread_create(&thread, NULL, break_it, &b);
		CHECK_EQ(go(b.g), -EAGAIN);
		for (int i = 0; i < 5; i++)
			CHECK_EQ(go(b.g), -EAGAIN);
		usleep(20000);
		CHECK_EQ(b.stage, 1);	/* its caller waits */
		CHECK_EQ(request(b.g, LHREQ_BREAK, 0), 16);
		pthread_join(thread, NULL);
		CHECK_EQ(b.stage, 2);
	}
	run_a_while(b.g);
}

TEST("C4 H14 BREAK of a spinning guest")
{
	test_break(spins);
}

TEST("C4 H14 C8 BREAK of a halted guest")
{
	test_break(halts);
}

TEST("H14 BREAK: a signal ends the wait, bad values are EINVAL")
{
	struct guest *g = make_guest(spins);

	CHECK_ERRNO(request(g, LHREQ_BREAK, 2), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_BREAK, ~0ULL), EINVAL);
	set_alarm(20000, 20000);
	CHECK_ERRNO(request(g, LHREQ_BREAK, 1), EINTR);
	set_alarm(0, 0);
	CHECK_EQ(go(g), -EAGAIN);
	CHECK_EQ(request(g, LHREQ_BREAK, 0), 16);
	run_a_while(g);
}

static void *break_often(void *arg)
{
	struct breaker *b = arg;

	while (b->stage) {
		request(b->g, LHREQ_BREAK, 1);
		request(b->g, LHREQ_BREAK, 0);
	}
	return NULL;
}

static void *unbreak_often(void *arg)
{
	struct breaker *b = arg;

	while (b->stage)
		request(b->g, LHREQ_BREAK, 0);
	/* Who waits still has nobody else to wake him. */
	for (int i = 0; i < 100; i++) {
		request(b->g, LHREQ_BREAK, 0);
		usleep(1000);
	}
	return NULL;
}

TEST("H14 BREAK rounds with four threads")
{
	struct breaker b = { make_guest(beats_on), 1 };
	pthread_t threads[3];
	u64 until = now_ns() + 1000000000;
	int breaks = 0;

	for (int i = 0; i < 3; i++)
		pthread_create(threads + i, NULL, i ? break_often :
			       unbreak_often, &b);
	while (now_ns() < until) {
		int err = go(b.g);

		CHECK(err == -EAGAIN || err == -EINTR);
		breaks++;
	}
	b.stage = 0;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK(breaks > 10);
	request(b.g, LHREQ_BREAK, 0);
	run_a_while(b.g);
}

static void loops_shutdown(void)
{
	HCALL(NOTIFY, 1);
	HCALL(SHUTDOWN, gpa_of("gone"), LGUEST_SHUTDOWN_CRASH);
}

static void *break_once(void *arg)
{
	struct breaker *b = arg;

	pthread_barrier_wait(&barrier);
	request(b->g, LHREQ_BREAK, 1);
	b->stage = 2;
	return NULL;
}

TEST("H14 BREAK of a guest that dies meanwhile does not wait for ever")
{
	pthread_barrier_init(&barrier, NULL, 2);
	for (int round = 0; round < 40; round++) {
		struct breaker b = { make_guest(loops_shutdown), 0 };
		pthread_t thread;
		int err;

		CHECK_EQ(go(b.g), LGUEST_EXIT_NOTIFY);
		pthread_create(&thread, NULL, break_once, &b);
		pthread_barrier_wait(&barrier);
		while ((err = go(b.g)) == -EAGAIN)
			request(b.g, LHREQ_BREAK, 0);
		CHECK_EQ(err, 0);
		pthread_join(thread, NULL);
		end_guest(b.g);
	}
}

static void kicks_for_ever(void)
{
	for (;;) {
		HCALL(NOTIFY, 1);
		HCALL(NOTIFY, 2);
	}
}

static volatile bool seen_enough;

static void *attach_often(void *arg)
{
	struct breaker *b = arg;

	for (b->stage = 0; b->stage < 20 || !seen_enough; b->stage++) {
		int e = eventfd(0, 0);

		CHECK_EQ(request(b->g, LHREQ_EVENTFD, 2, e), 24);
		close(e);
		CHECK_EQ(request(b->g, LHREQ_EVENTFD, 2, (u64)-1), 24);
	}
	return NULL;
}

TEST("H17 attach and detach while the guest notifies")
{
	struct breaker b = { .g = make_guest(kicks_for_ever) };
	int e = eventfd(0, EFD_NONBLOCK);
	u64 count = 0, twos = 0;
	pthread_t thread;

	CHECK_EQ(request(b.g, LHREQ_EVENTFD, 1, e), 24);
	pthread_create(&thread, NULL, attach_often, &b);
	while (b.stage < 20 || twos < 20) {
		CHECK_EQ(go(b.g), LGUEST_EXIT_NOTIFY);
		CHECK_EQ(b.g->exit.value, 2);
		twos++;
	}
	seen_enough = true;
	pthread_join(thread, NULL);
	CHECK_EQ(read(e, &count, 8), 8);
	CHECK(count >= twos);
}

TEST("H21 AT-52 file offset beyond the vCPUs is EINVAL")
{
	static const off_t bad[] = { 1, 31, 32, 255, 1L << 31, 1L << 32, 1L << 62 };
	struct guest *g = make_guest(spins);
	char buf[40];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CHECK_ERRNO(request_at(g, bad[i], LHREQ_IRQ, 1, 0), EINVAL);
		CHECK_ERRNO(request_at(g, bad[i], LHREQ_GETREG, 0, 0), EINVAL);
		CHECK_ERRNO(pread(g->fd, buf, sizeof(buf), bad[i]), EINVAL);
	}
}

TEST("E1 IRQ beyond the lines is EINVAL")
{
	struct guest *g = make_guest(spins);

	CHECK_ERRNO(request(g, LHREQ_IRQ, 64), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_IRQ, 1ULL << 32), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_IRQ, ~0ULL), EINVAL);
	CHECK_EQ(request(g, LHREQ_IRQ, 63), 16);
}

TEST("H25 a request at the end of a page, one word short, is EINVAL")
{
	static const u64 words[] = { 5, 0, 2, 2, 3, 2, 3, 3, 4, 3, 4 };	/* per request */
	struct guest *g = make_guest(spins);
	u8 *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 *end = (u64 *)(two + PAGE);

	munmap(end, PAGE);
	for (u64 n = 0; n < 11; n++) {
		for (u64 have = 1; have < words[n]; have++) {
			end[-(long)have] = n;
			CHECK_ERRNO(write(g->fd, end - have, have * 8), EINVAL);
			CHECK_ERRNO(write(g->fd, end - have, have * 8 + 7), EINVAL);
		}
	}
	for (size_t size = 0; size < 8; size++)
		CHECK_ERRNO(write(g->fd, end - 1, size), EINVAL);
}

TEST("H25 longer writes use only what is theirs")
{
	struct guest *g = make_guest(spins);
	u64 words[100] = { LHREQ_IRQ, 3 };

	CHECK_EQ(write(g->fd, words, sizeof(words)), 16);
	words[0] = LHREQ_SETREG;
	words[1] = REG(rax);
	CHECK_EQ(write(g->fd, words, sizeof(words)), 24);
}

TEST("H23 H24 close at every stage, many rounds")
{
	for (int round = 0; round < 30; round++) {
		struct guest *g = raw_guest(1 << 20);
		int e = eventfd(0, 0);

		end_guest(g);				/* open */
		g = raw_guest(GUEST_SIZE);
		CHECK_EQ(initialize(g, 0x1000), 0);
		end_guest(g);				/* initialised */
		g = make_guest(notifies);
		CHECK_EQ(request(g, LHREQ_EVENTFD, 1, e), 24);
		CHECK_EQ(request(g, LHREQ_IRQ, 3), 16);
		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		end_guest(g);				/* ran, eventfd, irq */
		guest_dies(dies_badly, "the last words");	/* dead */
		close(e);
	}
}

static void arms_timer(void)
{
	HCALL(SET_CLOCKEVENT, 30000000);
	HCALL(NOTIFY, 1);
	spins();
}

TEST("E8 H23 close with an armed timer")
{
	for (int round = 0; round < 10; round++) {
		struct guest *g = make_guest(arms_timer);

		CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
		end_guest(g);
	}
	usleep(60000);
}

TEST("H23 close and exit while another thread waits in BREAK")
{
	struct breaker b = { .g = make_guest(spins) };
	pthread_t thread;

	pthread_create(&thread, NULL, break_it, &b);
	CHECK_EQ(go(b.g), -EAGAIN);
	close(b.g->fd);		/* the thread's write() holds the file */
}

TEST("H8 AT-59 SIGKILL at any moment")
{
	unsigned int seed = getpid();

	for (int round = 0; round < 40; round++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct guest *g = make_guest(round & 1 ? spins : halts);

			for (;;)
				go(g);
		}
		usleep(rand_r(&seed) % 20000);
		kill(pid, SIGKILL);
		CHECK_EQ(waitpid(pid, NULL, 0), pid);
	}
}

TEST("C3 a signal ends read() at once, 10^3 times; the guest is unharmed")
{
	struct guest *g = make_guest(beats_on);
	u64 last = 0, began = now_ns();
	int moved = 0, rounds;

	/* On a busy machine the next signal may come before the guest has moved. */
	set_alarm(1000, 1000);
	for (rounds = 0; rounds < 1000 || (moved < 500 && rounds < 100000); rounds++) {
		u64 now;

		CHECK_EQ(go(g), -EINTR);
		now = IN_GUEST(g, beats);
		CHECK(now >= last);
		moved += now != last;
		last = now;
	}
	CHECK(moved >= 500);
	CHECK(now_ns() - began < rounds * 150000000ULL * slow);
}

TEST("C8 a halted guest sleeps: no host CPU time")
{
	struct guest *g = make_guest(halts);
	struct rusage before, after;

	run_a_while(g);
	getrusage(RUSAGE_SELF, &before);
	set_alarm(300000, 300000);
	CHECK_EQ(go(g), -EINTR);
	getrusage(RUSAGE_SELF, &after);
	CHECK(after.ru_stime.tv_sec * 1000000 + after.ru_stime.tv_usec -
	      before.ru_stime.tv_sec * 1000000 - before.ru_stime.tv_usec < 100000);
}

TEST("A8 AT-24 a launcher with port rights may not run a guest")
{
	struct guest *g = make_guest(spins);

	if (ioperm(0x80, 1, 1))
		skip("ioperm is not permitted");
	CHECK_EQ(go(g), -EPERM);
	CHECK_EQ(ioperm(0x80, 1, 0), 0);
	run_a_while(g);
}

TEST("AT-21 a launcher with an LDT may not run a guest")
{
	struct guest *g = make_guest(spins);
	struct user_desc d = { .limit = 0xfffff, .seg_32bit = 1,
			       .limit_in_pages = 1 };

	if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
		skip("the host has no modify_ldt");
	CHECK_EQ(go(g), -EPERM);
}

TEST("B6 guest memory is the launcher's, at its base")
{
	struct guest *g = make_guest(beats_on);

	/* A busy machine may not let it run in so short a while. */
	for (int i = 0; i < 100 && !IN_GUEST(g, beats); i++)
		run_a_while(g);
	CHECK(IN_GUEST(g, beats) > 0);
	/* Lost, if the guest was stopped between its load and its store. */
	for (int i = 0; i < 100 && IN_GUEST(g, beats) <= 1ULL << 40; i++) {
		IN_GUEST(g, beats) = 1ULL << 40;
		run_a_while(g);
	}
	CHECK(IN_GUEST(g, beats) > 1ULL << 40);
}

TEST("B7 twenty guests at once, one per process")
{
	int status, failed = 0;

	for (int i = 0; i < 20; i++)
		if (fork() == 0) {
			struct guest *g = make_guest(beats_on);

			for (int n = 0; n < 5 || (n < 100 && !IN_GUEST(g, beats)); n++)
				run_a_while(g);
			CHECK(IN_GUEST(g, beats) > 0);
			_exit(0);
		}
	while (wait(&status) > 0)
		failed += status != 0;
	CHECK_EQ(failed, 0);
}

TEST("H4 H6 INITIALIZE under a storm of signals: done, or EINTR and undone")
{
	int done = 0, broken = 0, period = 300 * slow;

	set_alarm(100 * slow, period);
	while (done < 50) {
		struct guest *g = raw_guest(1 << 20);
		int err;

		/* A host that cannot do it between two signals gets more time. */
		while ((err = initialize(g, 0x1000)) == -EINTR)
			if (++broken % 100 == 0) {
				period *= 2;
				set_alarm(period, period);
			}
		CHECK_EQ(err, 0);
		end_guest(g);
		done++;
	}
}
