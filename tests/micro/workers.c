// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's workers for io_uring have the launcher's memory and its files, and do
 * read() and write() for it, but they are no tasks that return to user space: none may
 * become a vCPU's.  Read next: smp.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "micro.h"

#define ENTRIES	4

struct ring {
	int fd;
	struct io_uring_params p;
	u8 *sq, *cq;
	struct io_uring_sqe *sqes;
};

#define SQ(r, what)	((volatile u32 *)((r)->sq + (r)->p.sq_off.what))
#define CQ(r, what)	((volatile u32 *)((r)->cq + (r)->p.cq_off.what))

static void *ring_part(struct ring *r, size_t size, u64 offset)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, offset);

	CHECK(p != MAP_FAILED);
	return p;
}

static void open_ring(struct ring *r, u32 flags)
{
	*r = (struct ring){ .p.flags = flags };
	r->fd = syscall(SYS_io_uring_setup, ENTRIES, &r->p);
	if (r->fd < 0)
		skip("the host has no io_uring");
	r->sq = ring_part(r, r->p.sq_off.array + r->p.sq_entries * sizeof(u32),
			  IORING_OFF_SQ_RING);
	r->cq = ring_part(r, r->p.cq_off.cqes +
			  r->p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	r->sqes = ring_part(r, r->p.sq_entries * sizeof(*r->sqes), IORING_OFF_SQES);
}

/* One request, waited for.  Return: what a system call would, or -errno. */
static int by_ring(struct ring *r, u8 op, u8 flags, int fd, void *buf, u32 len)
{
	u32 tail = *SQ(r, tail), head = *CQ(r, head);
	u32 how = IORING_ENTER_GETEVENTS |
		  (r->p.flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0);
	struct io_uring_cqe *cqes = (void *)(r->cq + r->p.cq_off.cqes);

	r->sqes[0] = (struct io_uring_sqe){ .opcode = op, .flags = flags, .fd = fd,
					    .addr = (u64)buf, .len = len };
	SQ(r, array)[tail & *SQ(r, ring_mask)] = 0;
	__atomic_store_n(SQ(r, tail), tail + 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(CQ(r, tail), __ATOMIC_SEQ_CST) == head)
		if (syscall(SYS_io_uring_enter, r->fd, 1, 1, how, NULL, 0) < 0)
			CHECK_EQ(errno, EINTR);
	*CQ(r, head) = head + 1;
	return cqes[head & *CQ(r, ring_mask)].res;
}

static void nothing(void)
{
	guest_done();
}

/* The worker may not, nor does its attempt spoil the file for the task itself. */
static void worker_tries(u32 ring_flags, u8 sqe_flags, int file_flags)
{
	struct guest *g = raw_guest(GUEST_SIZE);
	u64 start = IMAGE_GPA + (guest_boot - __executable_start);
	u64 words[] = { LHREQ_INITIALIZE, (u64)g->mem, g->size / PAGE, start,
			(g->size + DEVICE_SIZE) / PAGE };
	struct lguest_exit e;
	struct ring r;

	load_image(g, nothing);
	fcntl(g->fd, F_SETFL, file_flags);
	open_ring(&r, ring_flags);
	CHECK_EQ(by_ring(&r, IORING_OP_WRITE, sqe_flags, g->fd, words, sizeof(words)), -EPERM);
	CHECK_EQ(initialize(g, start), 0);
	CHECK_EQ(by_ring(&r, IORING_OP_READ, sqe_flags, g->fd, &e, sizeof(e)), -EPERM);
	passes(g);
}

TEST("H9 AT-95 a worker of io_uring cannot be a vCPU's task")
{
	worker_tries(0, IOSQE_ASYNC, 0);
}

TEST("H9 AT-95 nor can the thread that polls a ring")
{
	worker_tries(IORING_SETUP_SQPOLL, 0, O_NONBLOCK);
}
