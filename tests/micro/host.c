// SPDX-License-Identifier: GPL-2.0
/*
 * The host half: making guests, running them, asking about them.
 * Read next: any topic file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "micro.h"

extern u64 guest_fn, guest_free;

struct guest *raw_guest(u64 size)
{
	struct guest *g = calloc(1, sizeof(*g));
	u64 align = 2UL << 20;
	u8 *mem;

	g->size = size;
	mem = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		fail("no memory for a guest");
	g->mem = (u8 *)(((u64)mem + align - 1) & -align);
	g->fd = open("/dev/lguest", O_RDWR | O_CLOEXEC);
	if (g->fd < 0)
		fail("/dev/lguest: %s", strerror(errno));
	return g;
}

int initialize(struct guest *g, u64 start)
{
	u64 words[] = { LHREQ_INITIALIZE, (u64)g->mem, g->size / PAGE, start,
			(g->size + DEVICE_SIZE) / PAGE };

	return write(g->fd, words, sizeof(words)) == sizeof(words) ? 0 : -errno;
}

static u64 *table(struct guest *g, u64 gpa)
{
	return (u64 *)(g->mem + gpa);
}

/* 2 MiB pages of everything, at slot @l4, entry @l3 of the next level. */
static void map_all(struct guest *g, u64 cr3, u64 at, int l4, int l3, u64 end,
		    u64 bits)
{
	table(g, cr3)[l4] = at | P_ | W_ | U_;
	table(g, at)[l3] = (at + PAGE) | P_ | W_ | U_;
	for (u64 gpa = 0; gpa < end; gpa += 2UL << 20)
		table(g, at + PAGE)[gpa >> 21] = gpa | P_ | W_ | PS_ | bits;
}

void load_image(struct guest *g, void (*fn)(void))
{
	size_t size = _end - __executable_start;
	u64 all = g->size + DEVICE_SIZE;

	guest_fn = (char *)fn - __executable_start;
	guest_free = (IMAGE_GPA + size + PAGE - 1) & -PAGE;
	memcpy(g->mem + IMAGE_GPA, __executable_start, size);
	map_all(g, BOOT_CR3, BOOT_CR3 + PAGE, 0, 0, g->size, 0);
	map_all(g, BOOT_CR3, MAIN_CR3 + PAGE, 511, 510, all, 0);
	map_all(g, MAIN_CR3, MAIN_CR3 + PAGE, 511, 510, all, 0);
	map_all(g, MAIN_CR3, MAIN_CR3 + 3 * PAGE, 0, USER_VA >> 30, g->size, U_);
}

struct guest *make_guest(void (*fn)(void))
{
	struct guest *g = raw_guest(GUEST_SIZE);
	int err;

	load_image(g, fn);
	err = initialize(g, IMAGE_GPA + (guest_boot - __executable_start));
	if (err)
		fail("INITIALIZE: %s", strerror(-err));
	return g;
}

/* AT-51: what a record does not use is zero. */
static void check_unused(const struct lguest_exit *e)
{
	bool used = e->kind == LGUEST_EXIT_TRAP || e->kind == LGUEST_EXIT_MMIO;

	if (!used && e->kind != LGUEST_EXIT_NOTIFY && e->kind != LGUEST_EXIT_STEP)
		fail("a record of kind %u", e->kind);
	CHECK_EQ(e->reserved, 0);
	CHECK(used ? e->insn_len <= sizeof(e->insn) : !e->insn_len);
	for (size_t i = e->insn_len; i < sizeof(e->insn); i++)
		CHECK_EQ(e->insn[i], 0);
	if (e->kind != LGUEST_EXIT_MMIO)
		CHECK_EQ(e->access, 0);
	if (e->kind == LGUEST_EXIT_TRAP || e->kind == LGUEST_EXIT_STEP)
		CHECK_EQ(e->value, 0);
}

int go(struct guest *g)
{
	union {
		struct lguest_exit exit;
		char reason[sizeof(g->reason)];
	} buf;
	ssize_t got;

	memset(&buf, 0x5a, sizeof(buf));
	got = read(g->fd, &buf, sizeof(buf));
	if (got < 0 && errno == ENOENT) {
		memset(g->reason, 0, sizeof(g->reason));
		got = read(g->fd, g->reason, sizeof(g->reason));
		if (got <= 0)
			fail("no reason of death: %zd, %s", got, strerror(errno));
		return 0;
	}
	if (got < 0)
		return -errno;
	if (got != sizeof(buf.exit))
		fail("read() gives %zd bytes", got);
	check_unused(&buf.exit);
	g->exit = buf.exit;
	return g->exit.kind;
}

/* The same, but a #GP(0) in guest kernel is given back to the guest. */
int go_reflecting(struct guest *g)
{
	int kind;

	while ((kind = go(g)) == LGUEST_EXIT_TRAP)
		if (request(g, LHREQ_TRAP, 13, 0) < 0)
			fail("TRAP: %s", strerror(errno));
	return kind;
}

static void nothing(int sig)
{
	(void)sig;
}

int go_for(struct guest *g, int ms)
{
	struct itimerval t = { .it_value = { ms / 1000, ms % 1000 * 1000 },
			       .it_interval = { 0, 20000 } };
	struct sigaction sa = { .sa_handler = nothing };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	ms = go(g);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	return ms;
}

/* ---- several vCPUs */

extern u64 guest_sibling;

/* The host's root allows it, who we are here. */
void allow_vcpus(unsigned int nr)
{
	FILE *f = fopen("/sys/module/lg/parameters/vcpus", "w");

	if (!f || fprintf(f, "%u", nr) < 0 || fclose(f))
		fail("the parameter vcpus: %s", strerror(errno));
}

long make_vcpu(struct guest *g, u64 n)
{
	u64 word = LHREQ_VCPU;

	return pwrite(g->fd, &word, sizeof(word), n);
}

/* read() of this vCPU: a kind of exit, or -errno. */
int go_at(struct guest *g, u64 n, struct lguest_exit *exit)
{
	ssize_t got = pread(g->fd, exit, sizeof(*exit), n);

	return got == sizeof(*exit) ? (int)exit->kind : got < 0 ? -errno : -EIO;
}

struct sibling {
	struct guest *g;
	u64 n;
	sem_t made;
};
static struct sibling siblings[LGUEST_VCPUS];

static void *run_sibling(void *arg)
{
	struct sibling *s = arg;
	struct guest *g = s->g;
	struct lguest_exit exit;
	u64 n = s->n;
	int end;

	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);	/* for go_for() */
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	g->made[n] = make_vcpu(g, n) < 0 ? -errno : 0;
	sem_post(&s->made);
	if (g->made[n])
		return NULL;
	do {
		end = go_at(g, n, &exit);
		g->broken[n] += end == -EAGAIN;
	} while (end == -EINTR || end == -EAGAIN || end == LGUEST_EXIT_NOTIFY);
	g->ended[n] = end;
	return NULL;
}

struct guest *make_guest_with(unsigned int nr, void (*fn)(void), void (*sibling)(void))
{
	struct guest *g;

	allow_vcpus(LGUEST_VCPUS);
	guest_sibling = (char *)sibling - __executable_start;
	g = make_guest(fn);
	g->vcpus = nr;
	for (unsigned int n = 1; n < nr; n++) {
		struct sibling *s = &siblings[n];

		s->g = g;
		s->n = n;
		sem_init(&s->made, 0, 0);
		if (pthread_create(&g->threads[n], NULL, run_sibling, s))
			fail("no thread for vCPU %u", n);
		while (sem_wait(&s->made))
			;
		if (g->made[n])
			fail("vCPU %u: %s", n, strerror(-g->made[n]));
	}
	return g;
}

/* The guest is dead, or they would run on. */
void join_siblings(struct guest *g)
{
	for (unsigned int n = 1; n < g->vcpus; n++) {
		pthread_join(g->threads[n], NULL);
		if (g->ended[n] != -ENOENT && g->ended[n] != -ERESTART)
			fail("vCPU %u ends with %d", n, g->ended[n]);
	}
}

void guest_with_passes(unsigned int nr, void (*fn)(void), void (*sibling)(void))
{
	struct guest *g = make_guest_with(nr, fn, sibling);

	passes(g);
	join_siblings(g);
	end_guest(g);
}

void guest_with_dies(unsigned int nr, void (*fn)(void), void (*sibling)(void),
		     const char *reason)
{
	struct guest *g = make_guest_with(nr, fn, sibling);

	dies(g, reason);
	join_siblings(g);
	end_guest(g);
}

void end_guest(struct guest *g)
{
	close(g->fd);
	munmap(g->mem, g->size);
	free(g);
}

long request_at(struct guest *g, u64 cpu, u64 a, u64 b, u64 c)
{
	u64 words[] = { a, b, c };

	return pwrite(g->fd, words, sizeof(words), cpu);
}

u64 getreg(struct guest *g, u64 offset)
{
	u64 value;

	if (request(g, LHREQ_GETREG, offset) < 0)
		fail("GETREG %llu: %s", (unsigned long long)offset, strerror(errno));
	if (read(g->fd, &value, 8) != 8)
		fail("read() after GETREG: %s", strerror(errno));
	return value;
}

u64 stat_of_process(pid_t pid, const char *name)
{
	char path[64], line[100];
	u64 value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/lguest/%d/stats", pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) &&
		    line[strlen(name)] == ' ')
			value = strtoull(line + strlen(name), NULL, 10);
	fclose(f);
	return value;
}

u64 stat_of(struct guest *g, const char *name)
{
	(void)g;	/* one per process */
	if (access("/sys/kernel/debug/lguest", F_OK))
		fail("no statistics: %s", strerror(errno));
	return stat_of_process(getpid(), name);
}

void dies(struct guest *g, const char *reason)
{
	int kind = go(g);

	if (kind)
		fail("the guest gives %d instead of its reason \"%s\"", kind,
		     reason);
	if (!strstr(g->reason, reason))
		fail("the guest ends with \"%s\", not \"%s\"", g->reason, reason);
}

void passes(struct guest *g)
{
	dies(g, "POWEROFF: ok");
}

void guest_passes(void (*fn)(void))
{
	struct guest *g = make_guest(fn);

	passes(g);
	end_guest(g);
}

void guest_dies(void (*fn)(void), const char *reason)
{
	struct guest *g = make_guest(fn);

	dies(g, reason);
	end_guest(g);
}

void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* The debug host has none: no probes there, nor breakpoints on the kernel's code. */
int host_has_kprobes(void)
{
	return !access("/sys/kernel/debug/kprobes/list", F_OK);
}
