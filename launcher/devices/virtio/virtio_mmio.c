// SPDX-License-Identifier: GPL-2.0
/*
 * The registers of a virtio device: the memory-mapped transport of the virtio
 * standard (version 1.2, section 4.2, register layout 2).  A vCPU's thread
 * comes here by mmio.c for each access.
 *
 * The standard tells the driver what it must and must not do.  Who breaks such
 * a rule has a bug that would show elsewhere, and later: the device stops, and
 * says which rule it was.
 * Read next: devices/disk/virtio_blk.c.
 */
#include <linux/virtio_mmio.h>
#include <string.h>

#include "hardware/host.h"
#include "lguest.h"
#include "virtio.h"

#define MAGIC	0x74726976	/* "virt" */
#define VERSION	2

#define ACKNOWLEDGE	VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER		VIRTIO_CONFIG_S_DRIVER
#define DRIVER_OK	VIRTIO_CONFIG_S_DRIVER_OK
#define FEATURES_OK	VIRTIO_CONFIG_S_FEATURES_OK
#define NEEDS_RESET	VIRTIO_CONFIG_S_NEEDS_RESET
#define FAILED		VIRTIO_CONFIG_S_FAILED

static struct virtio_device *device_of(const struct device_memory *memory)
{
	return (struct virtio_device *)((char *)memory -
			offsetof(struct virtio_device, registers));
}

/* The queue that is selected, or NULL: there are not so many. */
static struct virtio_queue *selected(struct virtio_device *d)
{
	if (d->queue_select >= d->kind->queues)
		return NULL;
	return &d->queues[d->queue_select];
}

static uint32_t read_features(const struct virtio_device *d)
{
	return d->offered_select < 2 ? d->offered >> (32 * d->offered_select) : 0;
}

static uint32_t read_register(struct virtio_device *d, uint64_t offset)
{
	struct virtio_queue *q = selected(d);

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return d->kind->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VIRTIO_MMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return read_features(d);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return q ? VIRTQUEUE_MOST : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return q && !virtio_failed(d) ? q->ring.running : 0;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		/* By an instruction that the Host does not know: be generous. */
		return VIRTIO_MMIO_INT_VRING;
	case VIRTIO_MMIO_STATUS:
		return atomic_load(&d->status);
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return d->generation;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return ~0u;	/* there is no such region */
	default:
		return 0;
	}
}

static uint64_t read_config(struct virtio_device *d, uint64_t offset,
			    unsigned int width)
{
	uint64_t value = 0;

	if (offset < d->config_size && width <= d->config_size - offset)
		memcpy(&value, d->config + offset, width);
	return value;
}

uint64_t virtio_mmio_read(const struct device_memory *memory, uint64_t offset,
			  unsigned int width)
{
	struct virtio_device *d = device_of(memory);
	uint64_t value = 0;

	pthread_mutex_lock(&d->lock);
	if (offset >= VIRTIO_MMIO_CONFIG)
		value = read_config(d, offset - VIRTIO_MMIO_CONFIG, width);
	else if (width == 4 && offset % 4 == 0)
		value = read_register(d, offset);
	else
		virtio_fail(d, "a register is read in parts");
	pthread_mutex_unlock(&d->lock);
	return value;
}

/*D:140
 * The status climbs a ladder:
 *
 *	ACKNOWLEDGE -> DRIVER -> FEATURES_OK -> DRIVER_OK	(or FAILED)
 *
 * Each write keeps the bits that are set and adds the next; zero is a reset.
 * Features that we cannot accept are refused by not setting FEATURES_OK, which
 * the driver must read back.
 :*/
static const char *status_rule(uint32_t old, uint32_t new)
{
	uint32_t add = new & ~old;

	if ((old & ~NEEDS_RESET) & ~new)
		return "the status loses a bit other than by a reset";
	if (new & ~(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK | NEEDS_RESET | FAILED))
		return "the status has a bit that does not exist";
	if (add & NEEDS_RESET)
		return "the status has a bit that is the device's";
	if ((add & DRIVER) && !(new & ACKNOWLEDGE))
		return "DRIVER is set before ACKNOWLEDGE";
	if ((add & FEATURES_OK) && !(new & DRIVER))
		return "FEATURES_OK is set before DRIVER";
	if ((add & DRIVER_OK) && !(old & FEATURES_OK))
		return "DRIVER_OK is set before FEATURES_OK";
	return NULL;
}

static bool features_fit(const struct virtio_device *d)
{
	return !(d->accepted & ~d->offered) &&
	       (d->accepted & VIRTIO_BIT(VIRTIO_F_VERSION_1));
}

static const char *write_status(struct virtio_device *d, uint32_t new)
{
	uint32_t old = atomic_load(&d->status), add;
	const char *rule;

	if (!new) {
		virtio_reset(d);
		return NULL;
	}
	rule = status_rule(old, new);
	if (rule)
		return rule;
	add = new & ~old;
	if ((add & FEATURES_OK) && !features_fit(d)) {
		note("%s: the driver wants features %#llx, of which it is not offered all, or is too old",
		     d->name, (unsigned long long)d->accepted);
		add &= ~FEATURES_OK;
	}
	if (add & FAILED)
		problem("%s: the guest's driver gave up; its messages may tell why (-v)", d->name);
	atomic_fetch_or(&d->status, add);
	if (add & DRIVER_OK)
		virtio_start(d);
	return NULL;
}

static const char *write_features(struct virtio_device *d, uint32_t value)
{
	uint32_t status = atomic_load(&d->status);

	if (!(status & DRIVER) || (status & FEATURES_OK))
		return "features are set at the wrong time";
	if (d->accepted_select < 2) {
		unsigned int shift = 32 * d->accepted_select;

		d->accepted &= ~(0xffffffffULL << shift);
		d->accepted |= (uint64_t)value << shift;
	} else if (value) {
		return "a feature is set that does not exist";
	}
	return NULL;
}

static const char *make_ready(struct virtio_device *d, struct virtio_queue *q)
{
	const char *rule;

	if (atomic_load(&d->status) & DRIVER_OK)
		return "a queue is made ready after DRIVER_OK";
	if (q->ring.running)
		return "a queue is made ready twice";
	/* The thread may exist, from before a reset. */
	pthread_mutex_lock(&q->server->lock);
	q->ring.event_index = d->accepted & VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
	rule = virtqueue_start(&q->ring);
	pthread_mutex_unlock(&q->server->lock);
	return rule;
}

/*
 * The end of a queue is not bound to a state.  Linux resets a device first and
 * then writes 0 for each queue, when its driver lets go of it or the machine is
 * about to sleep; and for a queue that it found not to be there.
 */
static const char *end_queue(struct virtio_queue *q)
{
	if (q && q->ring.running)
		virtio_stop_queue(q);
	return NULL;
}

static void set_low(gpa_t *at, uint32_t value)
{
	at->v = (at->v & ~0xffffffffULL) | value;
}

static void set_high(gpa_t *at, uint32_t value)
{
	at->v = (at->v & 0xffffffffULL) | (uint64_t)value << 32;
}

static const char *write_queue(struct virtio_device *d, uint64_t offset,
			       uint32_t value)
{
	struct virtio_queue *q = selected(d);
	uint32_t status = atomic_load(&d->status);
	struct virtqueue *ring;

	if (offset == VIRTIO_MMIO_QUEUE_READY && value > 1)
		return "QueueReady is neither 0 nor 1";
	if (offset == VIRTIO_MMIO_QUEUE_READY && !value)
		return end_queue(q);
	if (!q)
		return "a queue is set up that does not exist";
	if (!(status & FEATURES_OK))
		return "a queue is set up before FEATURES_OK";
	ring = &q->ring;
	if (offset == VIRTIO_MMIO_QUEUE_READY)
		return make_ready(d, q);
	if (ring->running)
		return "a queue is changed while it is ready";
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		ring->size = value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&ring->descriptors, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&ring->descriptors, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&ring->driver, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&ring->driver, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&ring->device, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&ring->device, value);
		break;
	}
	return NULL;
}

static const char *write_notify(struct virtio_device *d, uint32_t value)
{
	/* Linux's balloon driver is too early; at DRIVER_OK we look anyway. */
	if (!(atomic_load(&d->status) & DRIVER_OK))
		return NULL;
	if (value >= d->kind->queues || !d->queues[value].ring.running)
		return "a queue is notified that is not there";
	virtio_kick(&d->queues[value]);
	return NULL;
}

/* The Host does the rest (see virtio_set_interrupt()), if it knows the move. */
static const char *write_acknowledge(uint32_t value)
{
	if (value & ~(VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG))
		return "an interrupt is acknowledged that does not exist";
	return NULL;
}

/* NULL, or the rule that this write breaks. */
static const char *write_register(struct virtio_device *d, uint64_t offset,
				  uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		d->offered_select = value;
		return NULL;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		d->accepted_select = value;
		return NULL;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		return write_features(d, value);
	case VIRTIO_MMIO_QUEUE_SEL:
		d->queue_select = value;
		return NULL;
	case VIRTIO_MMIO_QUEUE_NUM:
	case VIRTIO_MMIO_QUEUE_READY:
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		return write_queue(d, offset, value);
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		return write_notify(d, value);
	case VIRTIO_MMIO_INTERRUPT_ACK:
		return write_acknowledge(value);
	case VIRTIO_MMIO_SHM_SEL:
		return NULL;
	default:
		return "a register is written that does not exist or is read-only";
	}
}

static const char *write_config(struct virtio_device *d, uint64_t offset,
				unsigned int width, uint64_t value)
{
	if (!d->kind->configure)
		return "its configuration is written, which is read-only";
	return d->kind->configure(d, offset, width, value);
}

void virtio_mmio_write(const struct device_memory *memory, uint64_t offset,
		       unsigned int width, uint64_t value)
{
	struct virtio_device *d = device_of(memory);
	const char *rule;

	pthread_mutex_lock(&d->lock);
	if (offset >= VIRTIO_MMIO_CONFIG)
		rule = write_config(d, offset - VIRTIO_MMIO_CONFIG, width, value);
	else if (width != 4 || offset % 4)
		rule = "a register is written in parts";
	else if (offset == VIRTIO_MMIO_STATUS)
		rule = write_status(d, value);
	else if (virtio_failed(d) && offset != VIRTIO_MMIO_INTERRUPT_ACK)
		rule = NULL;	/* only a reset helps */
	else
		rule = write_register(d, offset, value);
	if (rule)
		virtio_fail(d, rule);
	pthread_mutex_unlock(&d->lock);
}
