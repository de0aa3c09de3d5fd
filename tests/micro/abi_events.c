// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/lguest and eventfds: those that the guest signals, by NOTIFY or by a store
 * to a device, and those that raise its interrupt lines.  Read next: saved.c.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "micro.h"

static void spins(void)
{
	for (;;)
		asm volatile("pause");
}

static void halts(void)
{
	HCALL(HALT);
}

/* ---- Eventfds for NOTIFY ---- */

TEST("H15 EVENTFD: every errno")
{
	struct guest *g = make_guest(spins);
	int e = eventfd(0, 0);

	CHECK_ERRNO(request(g, LHREQ_EVENTFD, 0, e), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_EVENTFD, 1, 999), EBADF);
	CHECK_ERRNO(request(g, LHREQ_EVENTFD, 1, 0), EINVAL);	/* no eventfd */
	CHECK_ERRNO(request(g, LHREQ_EVENTFD, 1, (u64)-2), EBADF);
	CHECK_ERRNO(request(g, LHREQ_EVENTFD, 1, (u64)-1), ENOENT);
	CHECK_EQ(request(g, LHREQ_EVENTFD, 1, e), 24);
	CHECK_ERRNO(request(g, LHREQ_EVENTFD, 1, e), EEXIST);
	for (u64 i = 2; i <= 64; i++)
		CHECK_EQ(request(g, LHREQ_EVENTFD, i, e), 24);
	CHECK_ERRNO(request(g, LHREQ_EVENTFD, 65, e), ENOSPC);
	close(e);
	CHECK_EQ(request(g, LHREQ_EVENTFD, 1, (u64)-1), 24);
	CHECK_ERRNO(request(g, LHREQ_EVENTFD, 1, (u64)-1), ENOENT);
	CHECK_EQ(request(g, LHREQ_EVENTFD, ~0ULL, eventfd(0, 0)), 24);
}

static void kicks(void)
{
	for (int i = 0; i < 1000; i++)
		HCALL(NOTIFY, 0x77);
	HCALL(NOTIFY, 0x78);
	HCALL(NOTIFY, 0x77);
	HCALL(NOTIFY, 0x77);
}

TEST("H16 I7 NOTIFY with an eventfd adds up there, and read() stays")
{
	struct guest *g = make_guest(kicks);
	int e = eventfd(0, 0);
	u64 count;

	CHECK_EQ(request(g, LHREQ_EVENTFD, 0x77, e), 24);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 0x78);
	CHECK_EQ(read(e, &count, 8), 8);
	CHECK_EQ(count, 1000);
	CHECK_EQ(stat_of(g, "launcher_visits"), 1);
	CHECK_EQ(request(g, LHREQ_EVENTFD, 0x77, (u64)-1), 24);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);	/* detached: by read() again */
	CHECK_EQ(g->exit.value, 0x77);
}

/* ---- Device memory without user space ---- */

static long request4(struct guest *g, u64 a, u64 b, u64 c, u64 d)
{
	u64 words[] = { a, b, c, d };

	return write(g->fd, words, sizeof(words));
}

#define DEVICE_GPA GUEST_SIZE
#define DEVICE_END (GUEST_SIZE + DEVICE_SIZE)

TEST("H15 DEVICE_EVENTFD: every errno")
{
	struct guest *g = make_guest(spins);
	u64 e = eventfd(0, 0), none = -1ULL;
	static const u64 bad[] = { 0, DEVICE_GPA - 4, DEVICE_GPA + 1,
		DEVICE_GPA + 2, DEVICE_END, DEVICE_END - 3, -4ULL, 1ULL << 62 };

	for (size_t i = 0; i < sizeof(bad) / 8; i++)
		CHECK_ERRNO(request4(g, LHREQ_DEVICE_EVENTFD, bad[i], 0, e), EINVAL);
	CHECK_ERRNO(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA, 1ULL << 32, e),
		    EINVAL);
	CHECK_ERRNO(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA, 0, 999), EBADF);
	CHECK_ERRNO(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA, 0, 0), EINVAL);
	CHECK_ERRNO(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA, 0, none), ENOENT);
	CHECK_EQ(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA, 0, e), 32);
	CHECK_ERRNO(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA, 0, e), EEXIST);
	CHECK_EQ(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA, 1, e), 32);
	CHECK_EQ(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_END - 4, ~0U, e), 32);
	/* The 64 are those of both. */
	for (u64 i = 4; i <= 64; i++)
		CHECK_EQ(request(g, LHREQ_EVENTFD, i, e), 24);
	CHECK_ERRNO(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA, 2, e), ENOSPC);
	CHECK_EQ(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA, 0, none), 32);
	CHECK_ERRNO(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA, 0, none), ENOENT);
}

static void kicks_device(void)
{
	volatile u32 *device = (void *)(KERNEL_VA + DEVICE_GPA);

	for (int i = 0; i < 500; i++) {
		device[4] = 7;
		asm volatile("movl $8, %0" : "=m" (device[4]));
	}
	/* Attached to nothing: two bytes of code. */
	asm volatile("mov %%eax, (%%rdi)" : : "a" (9), "D" (device + 4) : "memory");
	HCALL(NOTIFY, 1);
	asm volatile("xchg %%eax, %0" : "+m" (device[4]) : "a" (7) : "memory");
	HCALL(NOTIFY, 2);
}

TEST("H16 a store to device memory signals its eventfd, and read() stays")
{
	struct guest *g = make_guest(kicks_device);
	int seven = eventfd(0, 0), eight = eventfd(0, 0);
	u64 count, rip;

	CHECK_EQ(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA + 16, 7, seven), 32);
	CHECK_EQ(request4(g, LHREQ_DEVICE_EVENTFD, DEVICE_GPA + 16, 8, eight), 32);
	CHECK_EQ(go(g), LGUEST_EXIT_MMIO);	/* the 9, by read() */
	CHECK_EQ(g->exit.value, DEVICE_GPA + 16);
	CHECK_EQ(read(seven, &count, 8), 8);
	CHECK_EQ(count, 500);
	CHECK_EQ(read(eight, &count, 8), 8);
	CHECK_EQ(count, 500);
	CHECK_EQ(stat_of(g, "launcher_visits"), 1);
	CHECK(!memcmp(g->exit.insn, "\x89\x07", 2));
	rip = getreg(g, REG(rip));
	CHECK_EQ(request(g, LHREQ_SETREG, REG(rip), rip + 2), 24);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(g->exit.value, 1);
	CHECK_EQ(go(g), LGUEST_EXIT_MMIO);	/* no plain MOV */
}

TEST("E1 IRQFD: every errno")
{
	struct guest *g = make_guest(spins);
	u64 e = eventfd(0, 0), f = eventfd(0, 0), none = -1ULL;

	CHECK_ERRNO(request(g, LHREQ_IRQFD, 64, e), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_IRQFD, ~0ULL, e), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_IRQFD, 1ULL << 32, e), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_IRQFD, 5, 999), EBADF);
	CHECK_ERRNO(request(g, LHREQ_IRQFD, 5, 0), EINVAL);
	CHECK_ERRNO(request(g, LHREQ_IRQFD, 5, none), ENOENT);
	CHECK_EQ(request(g, LHREQ_IRQFD, 5, e), 24);
	CHECK_ERRNO(request(g, LHREQ_IRQFD, 5, e), EEXIST);
	CHECK_ERRNO(request(g, LHREQ_IRQFD, 5, f), EEXIST);
	CHECK_EQ(request(g, LHREQ_IRQFD, 5, none), 24);
	CHECK_ERRNO(request(g, LHREQ_IRQFD, 5, none), ENOENT);
	CHECK_EQ(request(g, LHREQ_IRQFD, 5, f), 24);
	close(f);			/* the line becomes free, soon */
	for (int i = 0; i < 200 && request(g, LHREQ_IRQFD, 5, e) < 0; i++)
		usleep(10000);
	CHECK_ERRNO(request(g, LHREQ_IRQFD, 5, e), EEXIST);
}

static volatile u64 irqs;

static void counts_irq(struct frame *f)
{
	if (f->vector != LGUEST_IRQ_VECTOR + 5)
		guest_fail("vector", f->vector, LGUEST_IRQ_VECTOR + 5);
	irqs = irqs + 1;
}

static void waits_for_irqfd(void)
{
	on_event = counts_irq;
	for (u64 i = 1; i <= 20; i++) {
		HCALL(NOTIFY, i);
		SHARED->irq_enabled = 0;
		while (irqs < i) {
			HCALL(HALT);
			SHARED->irq_enabled = 0;
		}
		EXPECT_EQ(irqs, i);
	}
}

static void *signals_later(void *arg)
{
	u64 one = 1;

	usleep(2000);
	CHECK_EQ(write(*(int *)arg, &one, 8), 8);
	return NULL;
}

TEST("E1 IRQFD: a signal from another thread raises the line, once")
{
	struct guest *g = make_guest(waits_for_irqfd);
	int e = eventfd(0, EFD_NONBLOCK);
	pthread_t thread;
	u64 count;

	CHECK_EQ(request(g, LHREQ_IRQFD, 5, e), 24);
	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	for (int i = 0; i < 20; i++) {
		int kind;

		pthread_create(&thread, NULL, signals_later, &e);
		kind = go(g);
		pthread_join(thread, NULL);
		if (i == 19 && kind == 0 && strstr(g->reason, "POWEROFF: ok"))
			break;
		CHECK_EQ(kind, LGUEST_EXIT_NOTIFY);
	}
	CHECK_ERRNO(read(e, &count, 8), EAGAIN);	/* taken back to 0 */
	end_guest(g);
	signals_later(&e);				/* nobody listens */
}

TEST("H23 close with IRQFDs attached, and signals on the way")
{
	for (int i = 0; i < 30; i++) {
		struct guest *g = make_guest(halts);
		int e = eventfd(0, 0);
		pthread_t thread;

		for (u64 line = 0; line < 64; line++)
			CHECK_EQ(request(g, LHREQ_IRQFD, line, e), 24);
		pthread_create(&thread, NULL, signals_later, &e);
		usleep(i * 200);
		end_guest(g);
		pthread_join(thread, NULL);
		close(e);
	}
}

TEST("AT-52 IRQ_STATUS: every errno")
{
	struct guest *g = make_guest(spins);

	CHECK_ERRNO(request4(g, LHREQ_IRQ_STATUS, 64, DEVICE_GPA, 0), EINVAL);
	CHECK_ERRNO(request4(g, LHREQ_IRQ_STATUS, ~0ULL, DEVICE_GPA, 0), EINVAL);
	CHECK_ERRNO(request4(g, LHREQ_IRQ_STATUS, 1, DEVICE_GPA + 2, 0), EINVAL);
	CHECK_ERRNO(request4(g, LHREQ_IRQ_STATUS, 1, DEVICE_GPA - 4, 0), EINVAL);
	CHECK_ERRNO(request4(g, LHREQ_IRQ_STATUS, 1, DEVICE_END, 0), EINVAL);
	CHECK_ERRNO(request4(g, LHREQ_IRQ_STATUS, 1, -4ULL, 0), EINVAL);
	CHECK_ERRNO(request4(g, LHREQ_IRQ_STATUS, 1, DEVICE_GPA, 1ULL << 32), EINVAL);
	CHECK_EQ(request4(g, LHREQ_IRQ_STATUS, 1, DEVICE_GPA, 0), 32);
	CHECK_EQ(request4(g, LHREQ_IRQ_STATUS, 1, DEVICE_GPA, 3), 32);
	CHECK_ERRNO(request4(g, LHREQ_IRQ_STATUS, 1, DEVICE_GPA + 8, 0), EINVAL);
	CHECK_ERRNO(request4(g, LHREQ_IRQ_STATUS, 2, DEVICE_GPA, 0), EINVAL);
}

static void uses_status(void)
{
	volatile u32 *word = (void *)(KERNEL_VA + DEVICE_GPA + 0x60);

	on_event = counts_irq;
	HCALL(NOTIFY, 1);		/* the launcher: status is 3, line 5 */
	SHARED->irq_enabled = IF;
	HCALL(SEND_INTERRUPTS);
	EXPECT_EQ(irqs, 1);
	EXPECT_EQ(word[0], 3);
	word[1] = 1;
	EXPECT_EQ(word[0], 2);
	word[1] = 0xff;
	EXPECT_EQ(word[0], 0);
	EXPECT_EQ(irqs, 1);
}

TEST("H16 IRQ_STATUS: read and cleared by the guest without user space")
{
	struct guest *g = make_guest(uses_status);

	CHECK_EQ(go(g), LGUEST_EXIT_NOTIFY);
	CHECK_EQ(request4(g, LHREQ_IRQ_STATUS, 5, DEVICE_GPA + 0x60, 3), 32);
	passes(g);
}
