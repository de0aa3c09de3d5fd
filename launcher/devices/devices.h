/* SPDX-License-Identifier: GPL-2.0 */
/* The virtio devices of a guest: what the options ask for, and where they lie. */
#ifndef LGUEST_DEVICES_H
#define LGUEST_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "memory.h"

struct virtio_device;

/* One per kind of device, from its option's text; NULL after a message. */
struct virtio_device *disk_create(const char *option);
struct virtio_device *net_create(const char *option);
struct virtio_device *rng_create(void);

/* Put a device behind RAM, and give it an interrupt line.  False after a message. */
bool devices_add(struct virtio_device *device, const struct memory *memory, int host);
/* Connect their interrupts, when the guest exists.  False after a message. */
bool devices_connect(void);
/* The kernel parameters that tell the guest layer of all of them. */
const char *devices_params(void);
/* Module names of the drivers they need, NULL-ended. */
const char *const *devices_drivers(void);

#endif /* LGUEST_DEVICES_H */
