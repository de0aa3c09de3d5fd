/* SPDX-License-Identifier: GPL-2.0 */
/* Device memory: where devices (the virtio ones) meet the guest's accesses. */
#ifndef LGUEST_MMIO_H
#define LGUEST_MMIO_H

#include "memory.h"

struct device_memory {
	gpa_t start;		/* above RAM */
	uint64_t size;
	/* Called on a vCPU's thread, also on two at once, with offset + width <= size. */
	uint64_t (*read)(const struct device_memory *device, uint64_t offset,
			 unsigned int width);
	void (*write)(const struct device_memory *device, uint64_t offset,
		      unsigned int width, uint64_t value);
	const struct device_memory *next;
};

/* Before the guest starts; the device must outlive it. */
void mmio_add(struct device_memory *device);
/* End of the guest-physical space: that of the highest device, or of RAM. */
uint64_t mmio_limit(uint64_t ram_size);

#endif /* LGUEST_MMIO_H */
