/* SPDX-License-Identifier: GPL-2.0 */
/* A machine without devices, of which nobody counts what it does. */
#ifndef LGUEST_NO_DEVICES_H
#define LGUEST_NO_DEVICES_H

#include <errno.h>
#include <string.h>
#include "devices/devices.h"
#include "devices/virtio/virtio.h"
#include "hardware/counters.h"
#include "hardware/resident.h"

const char *virtio_waits_for(void) { return NULL; }
bool devices_connect(void) { return true; }
void devices_stop(void) { }
void devices_report(void) { }
void devices_retry(bool last) { (void)last; }
bool devices_balloon(uint64_t bytes) { return bytes < 1000; }
bool devices_balloon_stats(struct balloon_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	return true;
}

FILE *counters_open(pid_t pid) { (void)pid; return NULL; }
int counters_again(FILE *file, struct counters *counters)
{
	(void)file, (void)counters;
	return -ENOENT;
}

FILE *resident_open(void) { return NULL; }
void resident_give_back(void) { }
bool resident_read(FILE *file, const struct memory *memory, struct resident *resident)
{
	(void)file, (void)memory;
	memset(resident, 0, sizeof(*resident));
	return false;
}

#endif /* LGUEST_NO_DEVICES_H */
