// SPDX-License-Identifier: GPL-2.0
/*
 * The working side of virtio devices.  Each queue has a thread, made when the
 * driver first says that it is ready; it sleeps on an eventfd that the driver's
 * notifications signal.  The registers are virtio_mmio.c; what is done with a
 * request is the device's own file.
 * Read next: limits.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <limits.h>
#include <linux/virtio_mmio.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "hardware/host.h"
#include "lguest.h"
#include "thread.h"
#include "virtio.h"

#define COMPLAINTS_MOST	8
#define TELL_EVERY	16	/* requests done before the driver hears of it */

static int new_eventfd(const char *name)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		problem("cannot make the device %s: %s; check `ulimit -n`",
			name, strerror(errno));
	return fd;
}

bool virtio_init(struct virtio_device *device, const struct virtio_kind *kind,
		 const char *name, void *state)
{
	unsigned int i;

	device->kind = kind;
	device->name = name;
	device->state = state;
	device->offered |= VIRTIO_COMMON_FEATURES;
	device->registers.size = VIRTIO_MMIO_SIZE;
	device->registers.read = virtio_mmio_read;
	device->registers.write = virtio_mmio_write;
	pthread_mutex_init(&device->lock, NULL);
	sem_init(&device->left, 0, 0);
	for (i = 0; i < kind->queues; i++) {
		struct virtio_queue *q = &device->queues[i];

		q->device = device;
		q->number = i;
		q->source = -1;
		q->server = kind->one_thread ? &device->queues[0] : q;
		pthread_mutex_init(&q->lock, NULL);
		q->kick = q->server == q ? new_eventfd(name) : q->server->kick;
		if (q->kick < 0)
			return false;
	}
	device->interrupt = new_eventfd(name);
	return device->interrupt >= 0;
}

/*D:125
 * The two registers for interrupts, status and acknowledge, are the Host's, so
 * that a driver's every interrupt needs no visit here: signalling the eventfd
 * says that a buffer was used.  For the rare other reason the whole word is
 * set; a reason too many does no harm.
 :*/
void virtio_set_interrupt(struct virtio_device *device, unsigned int why)
{
	host_irq_status(device->host, device->line,
			GPA(device->registers.start.v + VIRTIO_MMIO_INTERRUPT_STATUS), why);
}

static void config_interrupt(struct virtio_device *device)
{
	virtio_set_interrupt(device, VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
}

/* False if it was so before. */
static bool break_device(struct virtio_device *device)
{
	unsigned int old = atomic_fetch_or(&device->status,
					   VIRTIO_CONFIG_S_NEEDS_RESET);

	if (!(old & VIRTIO_CONFIG_S_NEEDS_RESET) && (old & VIRTIO_CONFIG_S_DRIVER_OK))
		config_interrupt(device);
	return !(old & VIRTIO_CONFIG_S_NEEDS_RESET);
}

void virtio_break(struct virtio_device *device)
{
	break_device(device);
}

void virtio_fail(struct virtio_device *device, const char *rule)
{
	if (break_device(device) &&
	    __atomic_fetch_add(&device->complaints, 1, __ATOMIC_RELAXED) < COMPLAINTS_MOST)
		problem("%s: bad driver: %s; the device stops until the guest resets it",
			device->name, rule);
}

void virtio_kick(struct virtio_queue *q)
{
	eventfd_write(q->kick, 1);
}

void virtio_tell(struct virtio_queue *q)
{
	if (!q->untold)
		return;
	q->untold = 0;
	if (!virtqueue_wants_interrupt(&q->ring))
		return;
	q->counts.interrupts++;
	eventfd_write(q->device->interrupt, 1);
}

void virtio_began(struct virtio_queue *q)
{
	q->counts.requests++;
	if (++q->on_way > q->counts.most)
		q->counts.most = q->on_way;
}

void virtio_done(struct virtio_queue *q, uint16_t head, uint32_t written)
{
	q->on_way--;
	virtqueue_push(&q->ring, head, written);
	if (++q->untold >= TELL_EVERY)
		virtio_tell(q);
}

bool virtio_must_wait(struct virtio_queue *q)
{
	uint64_t now, wait;

	if (!q->limits)
		return false;
	now = now_ns();
	wait = limits_wait(q->limits, now);
	if (wait && (!q->wake || now + wait < q->wake))
		q->wake = now + wait;
	return wait;
}

void virtio_count(struct virtio_queue *q, uint64_t bytes)
{
	if (q->limits)
		limits_count(q->limits, now_ns(), bytes);
}

/*D:130
 * Serving: notifications are switched off while there is work, and on before
 * the last look; what comes in between is seen by that look.  A reset that
 * waits for the lock gets it after the present request; the notification that
 * is sent along brings the thread back, should the queue still run.
 :*/
static int serve_waiting(struct virtio_queue *q,
			 uint32_t (*handle)(struct virtio_queue *, struct chain *))
{
	struct chain chain;
	int got = 0;

	while (!virtio_must_wait(q) && (got = virtqueue_pop(&q->ring, &chain)) > 0) {
		uint16_t head = chain.head;
		uint32_t written;

		virtio_began(q);
		virtio_count(q, chain.out_size + chain.in_size);
		written = handle(q, &chain);
		if (written == VIRTIO_BAD)
			return -1;
		virtio_done(q, head, written);
		if (virtio_hurry(q))
			return 0;
	}
	return got;
}

void virtio_each(struct virtio_queue *q,
		 uint32_t (*handle)(struct virtio_queue *queue, struct chain *chain))
{
	int got;

	q->wake = 0;
	do {
		virtqueue_notify_me(&q->ring, false);
		got = serve_waiting(q, handle);
		virtio_tell(q);
	} while (!got && !q->wake && !virtio_hurry(q) && virtqueue_notify_me(&q->ring, true));
	if (got < 0)
		virtio_fail(q->device, q->ring.broken);
}

bool virtio_is_ready(struct virtio_device *device)
{
	return (atomic_load(&device->status) & VIRTIO_CONFIG_S_DRIVER_OK) &&
	       !virtio_failed(device);
}

/*D:132
 * The guest notifies, and a thread that sleeps is due: it would take the CPU
 * from the guest, do one request and sleep again.  A thread of SCHED_BATCH runs
 * at once where a CPU is idle, but takes none away: the guest goes on, puts
 * more into the queue, and all of it costs one notification, one visit here
 * and one interrupt.
 :*/
static void be_patient(const struct virtio_device *device)
{
	static const struct sched_param none;

	if (device->kind->patient && sched_setscheduler(0, SCHED_BATCH, &none))
		note("%s: its thread hurries: %s", device->name, strerror(errno));
}

static bool confine(struct virtio_device *device)
{
	return device->kind->confine ? device->kind->confine(device) :
				       confine_thread(device->kind->thread);
}

/* For poll(): ms, rounded up. */
static int patience(const struct virtio_queue *q)
{
	uint64_t now, left;

	if (!q->wake)
		return -1;
	now = now_ns();
	left = q->wake > now ? (q->wake - now + 999999) / 1000000 : 0;
	return left < INT_MAX ? (int)left : INT_MAX;
}

static void *queue_thread(void *argument)
{
	struct virtio_queue *q = argument;
	struct pollfd fds[2] = {
		{ .fd = q->kick, .events = POLLIN },
		{ .events = POLLIN },
	};
	uint64_t count;

	be_patient(q->device);
	if (!confine(q->device)) {
		virtio_fail(q->device, "the launcher could not confine its thread");
		return NULL;
	}
	for (;;) {
		fds[1].fd = q->source;
		if (poll(fds, 2, patience(q)) < 0 && errno != EINTR)
			return NULL;
		count = 0;
		if (fds[0].revents && read(q->kick, &count, sizeof(count)) < 0 &&
		    errno != EAGAIN)
			return NULL;
		if (atomic_exchange(&q->device->leaving, false)) {
			q->device->kind->leave(q->device);
			sem_post(&q->device->left);
		}
		pthread_mutex_lock(&q->lock);
		q->counts.notifications += count;
		if ((q->ring.running || q->device->kind->one_thread) &&
		    virtio_is_ready(q->device)) {
			q->device->kind->serve(q);
		} else {
			q->source = -1;
			q->wake = 0;
		}
		pthread_mutex_unlock(&q->lock);
	}
}

/* If the Host cannot, notifications come by virtio_mmio_write(). */
static void bind_kick(struct virtio_queue *q)
{
	if (!q->bound)
		host_device_eventfd(q->device->host, GPA(q->device->registers.start.v +
				    VIRTIO_MMIO_QUEUE_NOTIFY), q->number, q->kick);
	q->bound = true;
}

static bool start_thread(struct virtio_queue *q)
{
	pthread_attr_t attributes;
	int error;

	if (q->started)
		return true;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	error = start_quiet_thread(&attributes, queue_thread, q);
	pthread_attr_destroy(&attributes);
	q->started = !error;
	if (error)
		problem("%s: cannot start a thread for it: %s; check `ulimit -u`",
			q->device->name, strerror(error));
	return q->started;
}

bool virtio_start_threads(struct virtio_device *device)
{
	unsigned int i;

	if (device->kind->watch)
		return device->kind->watch(device);
	for (i = 0; i < device->kind->queues; i++)
		if (!start_thread(device->queues[i].server))
			return false;
	return true;
}

void virtio_leave(struct virtio_device *device)
{
	struct virtio_queue *q = device->queues[0].server;
	struct timespec end;

	if (!device->kind->leave)
		return;
	if (!q->started)	/* nor confined */
		return device->kind->leave(device);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec++;
	atomic_store(&device->leaving, true);
	eventfd_write(q->kick, 1);
	while (sem_timedwait(&device->left, &end))
		if (errno != EINTR) {
			problem("%s: its thread is too busy to leave; what others find of it is left over",
				device->name);
			return;
		}
}

static _Atomic(const char *) waits_for;

const char *virtio_waits_for(void)
{
	return atomic_load(&waits_for);
}

/* Until stop_queue() has been. */
static void lock_queue(struct virtio_queue *q)
{
	atomic_store(&waits_for, q->device->name);
	atomic_store(&q->server->hurry, true);
	pthread_mutex_lock(&q->server->lock);
	atomic_store(&q->server->hurry, false);
}

void virtio_start(struct virtio_device *device)
{
	unsigned int i;

	if (device->kind->start)
		device->kind->start(device);
	for (i = 0; i < device->kind->queues; i++) {
		struct virtio_queue *q = &device->queues[i];

		if (!q->ring.running)
			continue;
		bind_kick(q);
		/* What the driver made available before needs no notification. */
		virtio_kick(q);
	}
}

static void stop_queue(struct virtio_queue *q)
{
	if (q->device->kind->drain)
		q->device->kind->drain(q);
	atomic_store(&waits_for, NULL);
	virtqueue_stop(&q->ring);
	q->on_way = 0;
	q->untold = 0;
	atomic_store(&waits_for, NULL);
}

void virtio_stop_queue(struct virtio_queue *q)
{
	lock_queue(q);
	stop_queue(q);
	pthread_mutex_unlock(&q->server->lock);
}

void virtio_reset(struct virtio_device *device)
{
	unsigned int i;

	atomic_fetch_and(&device->status, ~VIRTIO_CONFIG_S_DRIVER_OK);
	for (i = 0; i < device->kind->queues; i++) {
		struct virtio_queue *q = &device->queues[i];

		lock_queue(q);
		stop_queue(q);
		virtqueue_reset(&q->ring, device->memory);
		if (!i && device->kind->reset)
			device->kind->reset(device);
		pthread_mutex_unlock(&q->server->lock);
	}
	device->accepted = 0;
	device->offered_select = 0;
	device->accepted_select = 0;
	device->queue_select = 0;
	virtio_set_interrupt(device, 0);
	atomic_store(&device->status, 0);
}

void virtio_change_config(struct virtio_device *device,
			  void (*change)(struct virtio_device *device, void *with),
			  void *with)
{
	bool ready;

	pthread_mutex_lock(&device->lock);
	change(device, with);
	device->generation++;
	ready = atomic_load(&device->status) & VIRTIO_CONFIG_S_DRIVER_OK;
	pthread_mutex_unlock(&device->lock);
	if (ready)
		config_interrupt(device);
}
