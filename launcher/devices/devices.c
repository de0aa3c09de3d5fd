// SPDX-License-Identifier: GPL-2.0
/*
 * The list of virtio devices.  Each gets a page of guest-physical addresses
 * right above RAM and an interrupt line of its own, and the guest layer learns
 * of both by the kernel's command line: see LGUEST_VIRTIO_PARAM in
 * <lguest/guest.h>.
 * Read next: virtio_rng.c.
 */
#include <lguest/guest.h>
#include <stdio.h>
#include <string.h>

#include "devices.h"
#include "devices/virtio/virtio.h"
#include "hardware/host.h"
#include "lguest.h"

#define MOST	(DEVICES_ASKED_MOST + 3)

static struct virtio_device *devices[MOST];
static unsigned int count;

bool devices_add(struct virtio_device *device, const struct memory *memory, int host)
{
	if (count == MOST) {
		problem("cannot add the device %s: a guest has %u at most; leave one out",
			device->name, MOST);
		return false;
	}
	device->memory = memory;
	device->host = host;
	device->line = LGUEST_IRQ_DEVICES + count;
	device->registers.start = GPA(memory->size + count * VIRTIO_MMIO_SIZE);
	mmio_add(&device->registers);
	devices[count++] = device;
	return true;
}

bool devices_connect(void)
{
	unsigned int i;
	int error;

	for (i = 0; i < count; i++) {
		virtio_reset(devices[i]);
		error = host_irqfd(devices[i]->host, devices[i]->line,
				   devices[i]->interrupt);
		if (error) {
			problem("%s: cannot connect its interrupt: %s; does lg.ko fit this lguest (%s)?",
				devices[i]->name, strerror(-error), LGUEST_VERSION);
			return false;
		}
		if (!virtio_start_threads(devices[i]))
			return false;
	}
	return true;
}

void devices_stop(void)
{
	unsigned int i, j;

	for (i = 0; i < count; i++)
		for (j = 0; j < devices[i]->kind->queues && devices[i]->kind->drain; j++)
			virtio_stop_queue(&devices[i]->queues[j]);
	for (i = 0; i < count; i++)
		virtio_leave(devices[i]);
}

void devices_retry(bool last)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (devices[i]->kind->retry)
			devices[i]->kind->retry(devices[i], last);
}

void devices_report(void)
{
	unsigned int i, j;

	for (i = 0; i < count; i++)
		for (j = 0; j < devices[i]->kind->queues; j++) {
			const struct queue_counts *c = &devices[i]->queues[j].counts;

			if (!c->requests)
				continue;
			note("%s, queue %u: %llu requests, at most %u at once; %llu notifications, %llu interrupts",
			     devices[i]->name, j, c->requests, c->most,
			     c->notifications, c->interrupts);
		}
}

const char *devices_params(void)
{
	static char text[MOST * 48];
	size_t used = 0;
	unsigned int i;

	text[0] = '\0';
	for (i = 0; i < count; i++)
		used += snprintf(text + used, sizeof(text) - used, "%s%s0x%x@0x%llx:%u",
				 i ? " " : "", LGUEST_VIRTIO_PARAM, VIRTIO_MMIO_SIZE,
				 (unsigned long long)devices[i]->registers.start.v,
				 devices[i]->line);
	return text;
}

const char *const *devices_drivers(const char *more)
{
	static const char *names[MOST + 5];
	unsigned int i, j, n = 0;
	bool disk = false;

	for (i = 0; i < count; i++) {
		const char *name = devices[i]->kind->driver;

		disk |= devices[i]->kind->id == VIRTIO_ID_BLOCK;
		for (j = 0; j < n && name; j++)
			if (!strcmp(names[j], name))
				name = NULL;
		if (name)
			names[n++] = name;
	}
	if (more)
		names[n++] = more;
	if (disk) {
		names[n++] = "crc32c_generic";	/* which ext4 asks for by name */
		names[n++] = "ext4";
	}
	/* The transport comes last: every device then has its driver at hand. */
	if (count)
		names[n++] = "virtio_mmio";
	names[n] = NULL;
	return names;
}
