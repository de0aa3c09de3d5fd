/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The launcher's end of /dev/lguest: the only file that knows how requests
 * travel.  Each function gives 0 or a negative errno.  The unit tests put a
 * Host of their own in its place.
 */
#ifndef LGUEST_HOST_H
#define LGUEST_HOST_H

#include <lguest/device.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory.h"

#define HOST_DEVICE "/dev/lguest"

/* Descriptor, or a negative errno. */
int host_open(void);
/* What to do about EACCES from it; a static text. */
const char *host_access_advice(void);
void host_close(int fd);
int host_initialize(int fd, const struct memory *memory, gpa_t start,
		    uint64_t device_limit);

/*
 * Which vCPU the calling thread speaks of, and runs: 0, unless it says so.  What is said
 * of lines and of device memory is about vCPU 0's, whoever says it.
 */
void host_be_vcpu(unsigned int number);
unsigned int host_vcpu(void);
/* Make that vCPU, which only this thread can run. */
int host_make_vcpu(int fd);

/* Run it until something happens. */
int host_run(int fd, struct lguest_exit *exit);
/* Why the guest is dead; always leaves a string. */
void host_reason(int fd, char *text, size_t size);

int host_irq(int fd, unsigned int line);
/* Signal an eventfd when the guest stores data to the device address. */
int host_device_eventfd(int fd, gpa_t address, uint32_t data, int eventfd);
/* Raise a line whenever an eventfd is signalled. */
int host_irqfd(int fd, unsigned int line, int eventfd);
/* Keep the line's status word at this device address; it becomes value. */
int host_irq_status(int fd, unsigned int line, gpa_t address, uint32_t value);
int host_trap(int fd, unsigned int number, uint64_t error);
/* The next host_run() is one instruction. */
int host_step(int fd, bool on);
/* Registers by their offset in struct user_regs_struct, or LHREG_*. */
int host_get_register(int fd, size_t offset, uint64_t *value);
int host_set_register(int fd, size_t offset, uint64_t value);

#endif /* LGUEST_HOST_H */
