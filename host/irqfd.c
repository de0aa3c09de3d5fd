// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts from eventfds: whoever signals the eventfd (a device thread, or
 * another process that was handed it) raises an interrupt line, without knowing
 * anything of lguest.  We sit in the eventfd's wait queue and are called by the
 * one who signals, in its context.
 * Read next: device_access.c.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include "lg.h"

/*
 * One line's eventfd.  Our reference keeps its wait queue, in which wait is,
 * even when all its files are closed.
 */
struct lg_irqfd {
	struct lg_cpu *cpu;
	unsigned int irq;
	struct eventfd_ctx *ctx;
	wait_queue_entry_t wait;
	poll_table table;
	bool gone;		/* its last file was closed */
};

/* Called with the wait queue's lock, interrupts off. */
static int signalled(wait_queue_entry_t *wait, unsigned int mode, int sync,
		     void *key)
{
	struct lg_irqfd *irqfd = container_of(wait, struct lg_irqfd, wait);
	__poll_t events = key_to_poll(key);
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->ctx, &count);
		mark_irq_status(irqfd->cpu->lg, irqfd->irq);
		set_interrupt(irqfd->cpu, irqfd->irq);
	}
	if (events & EPOLLHUP)
		WRITE_ONCE(irqfd->gone, true);
	return 0;
}

static void enter_queue(struct file *file, wait_queue_head_t *queue,
			poll_table *table)
{
	struct lg_irqfd *irqfd = container_of(table, struct lg_irqfd, table);

	add_wait_queue(queue, &irqfd->wait);
}

static void detach(struct lguest *lg, unsigned int irq)
{
	struct lg_irqfd *irqfd = lg->irqfds[irq];
	u64 count;

	if (!irqfd)
		return;
	lg->irqfds[irq] = NULL;
	/* Takes the queue's lock: nobody is in signalled() afterwards. */
	eventfd_ctx_remove_wait_queue(irqfd->ctx, &irqfd->wait, &count);
	eventfd_ctx_put(irqfd->ctx);
	kfree(irqfd);
}

static struct lg_irqfd *new_irqfd(struct lg_cpu *cpu, unsigned int irq, struct file *file)
{
	struct lg_irqfd *irqfd;
	struct eventfd_ctx *ctx;

	ctx = eventfd_ctx_fileget(file);
	if (IS_ERR(ctx))
		return ERR_CAST(ctx);
	irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	if (!irqfd) {
		eventfd_ctx_put(ctx);
		return ERR_PTR(-ENOMEM);
	}
	irqfd->cpu = cpu;
	irqfd->irq = irq;
	irqfd->ctx = ctx;
	init_waitqueue_func_entry(&irqfd->wait, signalled);
	init_poll_funcptr(&irqfd->table, enter_queue);
	return irqfd;
}

/**
 * attach_irqfd() - IRQFD
 * @cpu: the vCPU to interrupt
 * @irq: line, below LGUEST_IRQS
 * @fd: an eventfd, or -1 to detach
 *
 * Under lg->requests.  Return: 0 or the errors of the request.
 */
int attach_irqfd(struct lg_cpu *cpu, unsigned int irq, int fd)
{
	struct lguest *lg = cpu->lg;
	struct lg_irqfd *old = lg->irqfds[irq], *irqfd;
	struct file *file;

	if (fd == -1) {
		if (!old)
			return -ENOENT;
		detach(lg, irq);
		return 0;
	}
	if (old && !READ_ONCE(old->gone))
		return -EEXIST;
	file = eventfd_fget(fd);
	if (IS_ERR(file))
		return PTR_ERR(file);
	irqfd = new_irqfd(cpu, irq, file);
	if (!IS_ERR(irqfd)) {
		detach(lg, irq);
		lg->irqfds[irq] = irqfd;
		/* What was signalled before we were in the queue counts. */
		if (vfs_poll(file, &irqfd->table) & EPOLLIN) {
			mark_irq_status(lg, irq);
			set_interrupt(cpu, irq);
		}
	}
	fput(file);
	return PTR_ERR_OR_ZERO(irqfd);
}

/* At close: nobody else is left but those who signal. */
void free_irqfds(struct lguest *lg)
{
	unsigned int i;

	for (i = 0; i < LGUEST_IRQS; i++)
		detach(lg, i);
}
