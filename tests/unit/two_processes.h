/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests of the supervisor with a machine whose Host is the test's: what is neither's
 * stays away, and so do the machine's bounds.
 */
#ifndef LGUEST_TWO_PROCESSES_H
#define LGUEST_TWO_PROCESSES_H

#include <errno.h>

#include "control/control.h"
#include "control/detach.h"
#include "debugger/gdb_listen.h"
#include "hardware/host.h"
#include "jail/confine.h"
#include "machine/machine.h"
#include "no_devices.h"
#include "no_gdb.h"
#include "supervisor/supervisor.h"

struct control *control_open(const struct control_settings *settings, struct link *link)
{
	(void)settings, (void)link;
	return NULL;
}

void control_poll(struct control *c, struct pollfd fds[CONTROL_FDS])
{
	unsigned int i;

	(void)c;
	for (i = 0; i < CONTROL_FDS; i++)
		fds[i].fd = -1;
}

void control_attend(struct control *c, const struct pollfd fds[CONTROL_FDS]) { (void)c, (void)fds; }
uint64_t control_deadline(struct control *c) { (void)c; return 0; }
void control_built(struct control *c) { (void)c; }
void control_overhear(struct control *c, unsigned int port, const uint8_t *bytes, size_t size)
{
	(void)c, (void)port, (void)bytes, (void)size;
}
void control_answer(struct control *c, const struct wire_message *message, size_t size)
{
	(void)c, (void)message, (void)size;
}
void control_counter(struct control *c, const struct wire_message *message, size_t size)
{
	(void)c, (void)message, (void)size;
}
void control_machine_gone(struct control *c, bool restarts) { (void)c, (void)restarts; }
bool control_stopping(const struct control *c) { (void)c; return false; }
void control_close(struct control *c, int status) { (void)c, (void)status; }

bool detach_awaited(void) { return false; }
void detach_done(void) { }

int gdb_awaited(const struct gdb_listener *gdb) { (void)gdb; return -1; }
bool gdb_accept(struct gdb_listener *gdb) { (void)gdb; return false; }
bool gdb_listen(struct gdb_listener *gdb, const char *path)
{
	(void)gdb, (void)path;
	return true;
}
void gdb_drop(struct gdb_listener *gdb) { (void)gdb; }
void gdb_close(struct gdb_listener *gdb) { (void)gdb; }

void confine_process(void) { }
void confine_close_inherited(void) { }
bool confine_thread(enum thread_kind kind) { (void)kind; return true; }

unsigned int host_vcpu(void) { return 0; }
void host_be_vcpu(unsigned int number) { (void)number; }
int host_make_vcpu(int fd) { (void)fd; return -EINVAL; }

int host_initialize(int fd, const struct memory *memory, gpa_t start, uint64_t limit)
{
	(void)fd, (void)memory, (void)start, (void)limit;
	return 0;
}

#endif /* LGUEST_TWO_PROCESSES_H */
