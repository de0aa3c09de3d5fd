/* SPDX-License-Identifier: GPL-2.0 */
/*
 * `lguest run`, in three parts: run_options.c knows what the user asks for and
 * says what is wrong with it before anything happens; build_guest.c makes a guest
 * of it; cmd_run.c runs that to its end.
 */
#ifndef LGUEST_RUN_H
#define LGUEST_RUN_H

#include "devices/kinds.h"
#include "hardware/guest.h"
#include "options.h"

struct run_settings {
	const char *kernel;
	const char *initrd;
	uint64_t memory;
	uint64_t cpus;
	struct text_list devices[DEVICE_OPTIONS];
	struct text_list hide, show;	/* of the root */
	struct text_list env;
	const char *user, *cwd;
	struct text_list params;
	const char *gdb;
	const char *name;
	bool detach;
	uint64_t time_limit;	/* ns, 0: none */
	bool no_reboot;
	bool try_anyway;
	bool verbose;
	/* Not options: */
	char **command;		/* NULL-ended, or NULL */
	bool terminal;		/* a person is there */
	bool input;		/* stdin is the guest's */
};

/* The folder that the guest has as its root, or NULL. */
static inline const char *run_rootfs(const struct run_settings *set)
{
	return set->devices[DEVICE_rootfs].items[0];
}

/* A status, or -1: it is good, and to be run. */
int run_read_settings(int argc, char **argv, struct run_settings *set);

/*
 * In the background, reading from the terminal would stop us.  For the process that the
 * user called: the machine has no terminal.
 */
bool run_may_read_stdin(const struct run_settings *set);

/*
 * Where `lguest exec` finds the agent of a guest with a name: its vsock.  NULL: the
 * guest has no agent; "": after a message.
 */
const char *run_agent_socket(const struct run_settings *set);

/* Everything before the Host is asked for a guest.  False after a message. */
bool build_guest(struct guest *guest, const struct run_settings *set, gpa_t *entry);

#endif /* LGUEST_RUN_H */
