/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What virtio devices have in common: a page of registers (virtio_mmio.c),
 * queues, each with a thread that serves it (virtio.c), and an interrupt line.
 * A kind of device adds its id, its features, its configuration, and what it
 * does with a request.
 */
#ifndef LGUEST_VIRTIO_H
#define LGUEST_VIRTIO_H

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "hardware/memory.h"
#include "hardware/mmio.h"
#include "jail/confine.h"
#include "limits.h"
#include "virtqueue.h"

#define VIRTIO_QUEUES_MOST	4
#define VIRTIO_CONFIG_MOST	64
#define VIRTIO_BIT(n)		(1ULL << (n))

/* Features of the rings and the transport, which every device has. */
#define VIRTIO_COMMON_FEATURES	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | \
				 VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
				 VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX))

struct virtio_device;

/*
 * r  registers: under device->lock
 * q  under lock, which the thread holds while it serves
 * t  the thread's own
 */
struct virtio_queue {
	struct virtio_device *device;
	unsigned int number;
	/* The queue whose thread, lock and kick serve this one: mostly itself. */
	struct virtio_queue *server;
	pthread_mutex_t lock;
	struct virtqueue ring;		/* r set up; q while it runs */
	int kick;			/* eventfd: the driver notifies */
	bool bound;			/* r the Host knows the kick */
	bool started;			/* r has a thread */
	int source;			/* t descriptor with work, or -1 */
	uint64_t wake;			/* t serve it at this moment, too; 0: no need */
	struct limits *limits;		/* of what is taken off it, or NULL */
	unsigned int untold;		/* q pushed, interrupt not yet considered */
	unsigned int on_way;		/* q begun and not done */
	struct queue_counts {
		unsigned long long requests, notifications, interrupts;
		unsigned int most;	/* on their way at once */
	} counts;			/* q */
	atomic_bool hurry;		/* someone waits for the lock */
};

struct virtio_kind {
	uint32_t id;
	const char *driver;		/* module of a stock kernel, or NULL */
	unsigned int queues;
	/* One thread for all queues, the first one's; it serves that one. */
	bool one_thread;
	/* Its threads let the guest go on rather than begin at once. */
	bool patient;
	/*
	 * The queue was notified, or its source is readable: called with the
	 * queue's lock, on its thread.
	 */
	void (*serve)(struct virtio_queue *queue);
	/* These may be NULL. */
	/*
	 * Wait for the requests that are on their way, and forget them, if
	 * serve() leaves any.  With the lock, on any thread.
	 */
	void (*drain)(struct virtio_queue *queue);
	/*
	 * What waits for the host is to be tried again; and if that is in vain, it fails.
	 * From any thread, and does not wait.
	 */
	void (*retry)(struct virtio_device *device, bool last);
	/* Another program serves the queues: instead of their threads, this one is started. */
	bool (*watch)(struct virtio_device *device);
	/* ... and when it is gone, each request ends as this says: with an error; as handle(). */
	uint32_t (*refuse)(struct virtio_queue *queue, struct chain *chain);
	/* The driver is ready, with device->accepted. */
	void (*start)(struct virtio_device *device);
	/* The driver is gone; with the first queue's lock. */
	void (*reset)(struct virtio_device *device);
	/* The driver writes to the configuration: NULL, or the rule it broke. */
	const char *(*configure)(struct virtio_device *device, uint64_t offset,
				 unsigned int width, uint64_t value);
	/* The guest has ended, and nobody shall find the device: on the first queue's thread. */
	void (*leave)(struct virtio_device *device);
	/* What its threads may do.  They start before the guest does. */
	enum thread_kind thread;
	/* Instead, if it is not the same for all such devices; or NULL. */
	bool (*confine)(struct virtio_device *device);
};

struct virtio_device {
	struct device_memory registers;
	const struct virtio_kind *kind;
	const char *name;		/* for messages */
	const struct memory *memory;
	int host;			/* /dev/lguest */
	unsigned int line;
	void *state;			/* of the kind */
	uint64_t offered;		/* features */

	pthread_mutex_t lock;
	uint64_t accepted;
	uint32_t offered_select, accepted_select, queue_select;
	uint32_t generation;
	uint8_t config[VIRTIO_CONFIG_MOST];
	unsigned int config_size;
	unsigned int complaints;

	atomic_bool leaving;		/* virtio_leave() waits for it ... */
	sem_t left;			/* ... here */
	atomic_uint status;		/* VIRTIO_CONFIG_S_* */
	int interrupt;			/* eventfd: raises the line */
	struct virtio_queue queues[VIRTIO_QUEUES_MOST];
};

/* Prepare one; the features common to all are added. */
bool virtio_init(struct virtio_device *device, const struct virtio_kind *kind,
		 const char *name, void *state);

/* virtio_mmio.c: its registers. */
#define VIRTIO_MMIO_SIZE	0x1000
#define VIRTIO_MMIO_VENDOR	0x7473676c	/* "lgst" */
uint64_t virtio_mmio_read(const struct device_memory *memory, uint64_t offset,
			  unsigned int width);
void virtio_mmio_write(const struct device_memory *memory, uint64_t offset,
		       unsigned int width, uint64_t value);

/*
 * The driver broke a rule: the device stops until it is reset, and the user is
 * told.  From any thread; without or with locks.
 */
void virtio_fail(struct virtio_device *device, const char *rule);
/* The same without a word: it is not the driver's fault. */
void virtio_break(struct virtio_device *device);
static inline bool virtio_failed(struct virtio_device *device)
{
	return atomic_load(&device->status) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* Before the driver says that it is, and after it broke a rule, nothing is touched. */
bool virtio_is_ready(struct virtio_device *device);
/* The Host keeps the interrupt status: it becomes why, and is raised unless 0. */
void virtio_set_interrupt(struct virtio_device *device, unsigned int why);
/* Before the guest starts: they confine themselves. */
bool virtio_start_threads(struct virtio_device *device);
/* The guest has ended: have the kind's leave() done, by who may; for a second at most. */
void virtio_leave(struct virtio_device *device);
/* Begin and end of work on all queues; with device->lock. */
void virtio_start(struct virtio_device *device);
void virtio_stop_queue(struct virtio_queue *queue);
void virtio_reset(struct virtio_device *device);
void virtio_kick(struct virtio_queue *queue);
/* The device whose requests on their way somebody waits for now, or NULL.  From any thread. */
const char *virtio_waits_for(void);

/* The configuration changed; called after change() did it under the lock. */
void virtio_change_config(struct virtio_device *device,
			  void (*change)(struct virtio_device *device, void *with),
			  void *with);

/* For kinds, while they serve: */
#define VIRTIO_BAD	UINT32_MAX	/* what handle() gives for a bad request */
/*
 * Let handle() do each waiting request.  It gives the number of bytes written
 * to the guest, or VIRTIO_BAD after queue->ring.broken was set.
 */
void virtio_each(struct virtio_queue *queue,
		 uint32_t (*handle)(struct virtio_queue *queue, struct chain *chain));
/* The same in parts: a request was taken off the ring; it is done. */
void virtio_began(struct virtio_queue *queue);
void virtio_done(struct virtio_queue *queue, uint16_t head, uint32_t written);
/* The queue's limits do not allow more now: its thread comes back when they do. */
bool virtio_must_wait(struct virtio_queue *queue);
/* A request was taken, with so many bytes. */
void virtio_count(struct virtio_queue *queue, uint64_t bytes);
/* Raise the interrupt, if the driver wants one for what was pushed. */
void virtio_tell(struct virtio_queue *queue);
/* Someone waits for the lock: return soon. */
static inline bool virtio_hurry(struct virtio_queue *queue)
{
	return atomic_load(&queue->server->hurry);
}

#endif /* LGUEST_VIRTIO_H */
