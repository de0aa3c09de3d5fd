// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to the Host, as <lguest/device.h> has them: arrays of 64-bit words
 * written to /dev/lguest; reading runs the guest.
 * Read next: guest.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

/* The file offset names the vCPU. */
static _Thread_local unsigned int own;

void host_be_vcpu(unsigned int number)
{
	own = number;
}

unsigned int host_vcpu(void)
{
	return own;
}

static int request(int fd, unsigned int vcpu, const uint64_t *words, size_t count)
{
	ssize_t done;

	do {
		done = pwrite(fd, words, count * sizeof(*words), vcpu);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : 0;
}

#define REQUEST_OF(vcpu, fd, ...) \
	request(fd, vcpu, (uint64_t[]){ __VA_ARGS__ }, \
		sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))
#define REQUEST(fd, ...)	REQUEST_OF(own, fd, __VA_ARGS__)
/* Devices interrupt vCPU 0: the line of a queue is its, whichever vCPU has notified it. */
#define REQUEST_LINE(fd, ...)	REQUEST_OF(0, fd, __VA_ARGS__)

int host_open(void)
{
	int fd = open(HOST_DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The group is that of the device's node, so that it is the one that helps. */
const char *host_access_advice(void)
{
	static char text[160];
	struct passwd *user = getpwuid(getuid());
	struct group *group = NULL;
	struct stat status;

	if (!stat(HOST_DEVICE, &status) && status.st_gid && (status.st_mode & S_IRGRP))
		group = getgrgid(status.st_gid);
	if (!group)
		return "sudo lguest ...   (no group may use the device: lguest's udev rule is not installed)";
	snprintf(text, sizeof(text), "sudo usermod -aG %s %s   (joins the group %s, from the next login on)",
		 group->gr_name, user ? user->pw_name : "$USER", group->gr_name);
	return text;
}

void host_close(int fd)
{
	close(fd);
}

int host_initialize(int fd, const struct memory *memory, gpa_t start,
		    uint64_t device_limit)
{
	return REQUEST(fd, LHREQ_INITIALIZE, (uintptr_t)memory->base,
		       memory->size / MEMORY_PAGE, start.v,
		       device_limit / MEMORY_PAGE);
}

int host_make_vcpu(int fd)
{
	return REQUEST(fd, LHREQ_VCPU);
}

int host_run(int fd, struct lguest_exit *exit)
{
	ssize_t got = pread(fd, exit, sizeof(*exit), own);

	if (got < 0)
		return -errno;
	return got == sizeof(*exit) ? 0 : -EPROTO;
}

void host_reason(int fd, char *text, size_t size)
{
	ssize_t got;

	do {
		got = pread(fd, text, size - 1, own);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		snprintf(text, size, "it did not say why (%s)", strerror(errno));
	else
		text[got] = '\0';
}

int host_irq(int fd, unsigned int line)
{
	return REQUEST_LINE(fd, LHREQ_IRQ, line);
}

int host_device_eventfd(int fd, gpa_t address, uint32_t data, int eventfd)
{
	return REQUEST_LINE(fd, LHREQ_DEVICE_EVENTFD, address.v, data, eventfd);
}

int host_irqfd(int fd, unsigned int line, int eventfd)
{
	return REQUEST_LINE(fd, LHREQ_IRQFD, line, eventfd);
}

int host_irq_status(int fd, unsigned int line, gpa_t address, uint32_t value)
{
	return REQUEST_LINE(fd, LHREQ_IRQ_STATUS, line, address.v, value);
}

int host_trap(int fd, unsigned int number, uint64_t error)
{
	return REQUEST(fd, LHREQ_TRAP, number, error);
}

int host_step(int fd, bool on)
{
	return REQUEST(fd, LHREQ_STEP, on);
}

/*L:420
 * GETREG arms a register, and the next read() gives its value instead of
 * running the guest.
 :*/
int host_get_register(int fd, size_t offset, uint64_t *value)
{
	int error = REQUEST(fd, LHREQ_GETREG, offset);
	ssize_t got;

	if (error)
		return error;
	do {
		got = pread(fd, value, sizeof(*value), own);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return got == sizeof(*value) ? 0 : -EPROTO;
}

int host_set_register(int fd, size_t offset, uint64_t value)
{
	return REQUEST(fd, LHREQ_SETREG, offset, value);
}
