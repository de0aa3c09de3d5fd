// SPDX-License-Identifier: GPL-2.0
/*
 * Random requests on /dev/lguest, by threads, children and strangers, while its
 * guest runs and its memory changes.  Read next: fuzz_smp.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "micro.h"
#include "fuzz.h"

/* ---- AT-49: /dev/lguest ---- */

#define FD 200			/* the guest of the moment, always */
#define BUSY 4

void busy(void)
{
	on_event = take;
	for (;; cases++) {
		struct frame f = user_at((void (*)(void))some_code());

		f.rdi = any();
		SHARED->irq_enabled = below(2) * LGUEST_IF;
		if (!below(16))
			HCALL(SET_CLOCKEVENT, 1 + below(100000));
		if (!below(32))
			HCALL(NOTIFY, 1 + below(4));
		if (!below(8))
			*(volatile u64 *)AT(DATA + below(1024) * PAGE) = cases;
		if (!below(16))
			*(volatile u32 *)AT(GUEST_SIZE + 4 * below(16)) = below(4);
		if (!below(16))
			HCALL(FLUSH_TLB, below(3), any());
		run(&f);
	}
}

static u8 *fuzz_mem;
static volatile u64 requests;
static volatile bool stop;

static bool never_own;		/* make no guest that would be our own */

static void some_request(u64 *state)
{
	u64 r = next_random(state), words[8];
	u64 size = (r >> 8 & 15) ? sizeof(words) : r >> 12 & 127;
	off_t at = (r >> 20 & 31) ? 0 : (off_t)any_from(state);
	void *buf = words;

	for (int i = 0; i < 8; i++)
		words[i] = any_from(state);
	words[0] = (r >> 25 & 31) ? (r >> 30) % 15 : any_from(state);
	if (words[0] == LHREQ_BREAK)
		words[1] = (r >> 40 & 7) == 0;
	if (r >> 41 & 1)
		words[1] &= words[0] == LHREQ_STEP ? 1 : 63;
	if (words[0] >= LHREQ_DEVICE_EVENTFD && words[0] != LHREQ_STEP && r >> 42 & 1)
		words[1 + (words[0] == LHREQ_IRQ_STATUS)] =
			GUEST_SIZE + 4 * (r >> 43 & 15);
	if (r >> 47 & 1)
		words[2] = words[3] = 210 + (r >> 48 & 7);	/* eventfds */
	if (words[0] == LHREQ_INITIALIZE && r >> 51 & 3)
		words[1] &= -PAGE;
	if (!(r >> 53 & 63))
		buf = (void *)any_from(state);
	if (size > sizeof(words) && buf == words)
		size = sizeof(words);
	if (words[0] == LHREQ_INITIALIZE && never_own)
		return;
	if (pwrite(FD, buf, size, at) < 0)
		errno = 0;
	requests++;
}

static void some_memory(u64 *state)
{
	u64 r = next_random(state);
	u8 *at = fuzz_mem + DATA + ((r >> 8) % 1024) * PAGE;
	u64 size = (1 + (r >> 20) % 16) * PAGE;

	if (at + size > fuzz_mem + GUEST_SIZE)
		size = PAGE;
	switch (r & 15) {
	case 0:
		munmap(at, size);
		__attribute__((fallthrough));	/* it comes back */
	case 1: case 2:
		mmap(at, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 3:
		mprotect(at, size, PROT_READ);
		mprotect(at, size, PROT_READ | PROT_WRITE);
		break;
	default:
		madvise(at, size, MADV_DONTNEED);
	}
}

/* Whoever is not its vCPU's task: requests work, running it never does. */
static void be_a_stranger(u64 *state)
{
	u64 words[16];

	for (int i = 0; i < 30; i++)
		if (read(FD, words, sizeof(words)) > 0)
			_exit(1);
	signal(SIGALRM, SIG_DFL);
	alarm(1);
	for (int i = 0; i < 100; i++)
		some_request(state);
	alarm(0);
}

/* A child with the file: as it is, in another pid namespace, after exec. */
static void start_child(u64 *state, int kind)
{
	int status;

	if (fork())
		return;
	if (kind == 1 && unshare(CLONE_NEWPID) == 0) {
		pid_t pid = fork();

		if (pid) {
			waitpid(pid, &status, 0);
			_exit(WIFEXITED(status) && WEXITSTATUS(status));
		}
	}
	if (kind == 2) {
		execl("/proc/self/exe", "run", "-l", "no such test", NULL);
		_exit(2);
	}
	be_a_stranger(state);
	_exit(0);
}

/* ---- A process that gets the file by a socket, again and again ---- */

static int to_stranger[2];

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static void send_file(void)
{
	char byte = 0;
	struct iovec part = { &byte, 1 };
	union control control;
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	*(int *)CMSG_DATA(&control.header) = FD;
	if (sendmsg(to_stranger[0], &m, MSG_DONTWAIT) < 0)
		errno = 0;	/* it has enough of them */
}

static void get_files(void)
{
	u64 state = seed * 7 | 1;

	never_own = true;
	for (;;) {
		char byte;
		struct iovec part = { &byte, 1 };
		union control control;
		struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1,
				    .msg_control = &control,
				    .msg_controllen = sizeof(control) };
		int fd;

		if (recvmsg(to_stranger[1], &m, 0) <= 0)
			_exit(0);
		if (!CMSG_FIRSTHDR(&m))
			continue;
		fd = *(int *)CMSG_DATA(&control.header);
		dup2(fd, FD);
		close(fd);
		be_a_stranger(&state);
		if (next_random(&state) & 1)
			close(FD);	/* else it may be its last holder */
	}
}

static pid_t start_stranger(void)
{
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, to_stranger))
		fail("socketpair: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(to_stranger[0]);
		close(FD);
		/* Its own SIGALRM in be_a_stranger() ends it, if it hangs. */
		get_files();
	}
	close(to_stranger[1]);
	return pid;
}

static void *requests_on(void *arg)
{
	u64 state = (seed + (u64)arg) * 5 | 1, one = 1;

	while (!stop) {
		u64 r = next_random(&state);
		int fd;

		some_request(&state);
		if (!(r & 15))
			some_memory(&state);
		if (!(r >> 4 & 63) && write(210 + (r >> 10 & 7), &one, 8) != 8)
			errno = 0;
		if (!(r >> 13 & 255)) {		/* another file, a second guest */
			fd = open("/dev/lguest", O_RDWR);
			dup2(fd, 201);
			close(fd);
			u64 words[] = { 0, (u64)fuzz_mem, 1, 0, 1 };
			if (write(201, words, sizeof(words)) > 0 && read(201, words, 40))
				errno = 0;
			close(201);
		}
		if (!(r >> 21 & 255)) {		/* a copy of the eventfd: new ones */
			fd = eventfd(0, EFD_NONBLOCK);
			dup2(fd, 210 + (r >> 29 & 7));
			close(fd);
		}
		if (!(r >> 32 & 255))
			close(dup(FD));
		if (!(r >> 40 & 1023))
			start_child(&state, r >> 50 & 3);
		if (!(r >> 52 & 255))
			send_file();
	}
	return NULL;
}

static pthread_t fuzzers[BUSY];
static pthread_t main_thread;

static void *ticks_on(void *unused)
{
	(void)unused;
	while (!stop) {
		usleep(5000);
		for (int i = 0; i < BUSY; i++)
			pthread_kill(fuzzers[i], SIGUSR1);
		pthread_kill(main_thread, SIGUSR1);
	}
	/* Until all have seen it. */
	for (int k = 0; k < 200; k++) {
		usleep(1000);
		for (int i = 0; i < BUSY; i++)
			pthread_kill(fuzzers[i], SIGUSR1);
	}
	return NULL;
}

/* Children that could run a guest which is not theirs. */
static int bad_children;

static void reap(void)
{
	int status;

	while (waitpid(-1, &status, WNOHANG) > 0)
		bad_children += WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

/* The file is open; the last one's guest may take a moment to go. */
void initialize_soon(struct guest *g)
{
	int err = 0;

	for (int i = 0; i < 10000; i++) {
		err = initialize(g, IMAGE_GPA + (guest_boot - __executable_start));
		if (!err || err == -EBUSY)	/* a random request did it */
			return;
		reap();
		usleep(1000);
	}
	fail("INITIALIZE: %s for 10 s", strerror(-err));
}

static u64 pass_between(struct guest *g, u64 end)
{
	u8 buf[400];
	u64 done = 0, died = 0;

	while (now_ns() < end && died < 3) {
		ssize_t got = pread(FD, below(16) ? buf : (void *)any(),
				    below(16) ? sizeof(buf) : below(64),
				    below(64) ? 0 : any());

		done++;
		died += got < 0 && errno == ENOENT;
		if (got < 0 && errno == EAGAIN)
			request(g, LHREQ_BREAK, 0);
		else if (got == sizeof(struct lguest_exit) && below(2))
			request(g, LHREQ_TRAP, 13, 0);
	}
	return done;
}

TEST_S(25, "AT-49 AT-59 fuzz: random requests: threads, forks, exec, other processes; mappings")
{
	struct guest *g = raw_guest(GUEST_SIZE);
	pthread_t ticker;
	pid_t stranger;

	begin();
	main_thread = pthread_self();
	fuzz_mem = g->mem;
	dup2(g->fd, FD);
	close(g->fd);
	g->fd = FD;
	for (int i = 0; i < 8; i++) {
		int fd = eventfd(0, EFD_NONBLOCK);

		dup2(fd, 210 + i);
		close(fd);
	}
	stranger = start_stranger();
	for (long i = 0; i < BUSY; i++)
		pthread_create(&fuzzers[i], NULL, requests_on, (void *)i);
	pthread_create(&ticker, NULL, ticks_on, NULL);
	while (now_ns() < until) {
		u64 end = now_ns() + below(150) * 1000000;
		int fd;

		other_numbers();
		load_image(g, busy);
		initialize_soon(g);
		guests++;
		all_cases += pass_between(g, end);
		fd = open("/dev/lguest", O_RDWR);
		if (fd < 0)
			fail("/dev/lguest: %s", strerror(errno));
		dup2(fd, FD);		/* the old guest goes while it is in use */
		close(fd);
		reap();
	}
	stop = true;
	for (int i = 0; i < BUSY; i++)
		pthread_join(fuzzers[i], NULL);
	pthread_join(ticker, NULL);
	kill(stranger, SIGKILL);
	all_cases += requests;
	report("requests and reads");
	if (bad_children)
		fail("%d children could run their parent's guest", bad_children);
}
