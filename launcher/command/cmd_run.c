// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest run`: a supervisor (supervisor/supervisor.c), which is this process, and the
 * machine that it starts, which is built here and then lives (machine/machine.c).
 * Read next: supervisor/supervisor.c.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "control/detach.h"
#include "jail/confine.h"
#include "lguest.h"
#include "machine/machine.h"
#include "run.h"
#include "supervisor/supervisor.h"
#include "terminal.h"

/* In the machine's process; it is over when this returns. */
static void be_machine(const void *with, const struct birth *birth)
{
	const struct run_settings *set = with;
	const struct machine_wires wires = { birth->talk, birth->output };
	static struct machine machine;

	machine_begin(&machine, &wires);
	if ((!set->gdb || machine_expect_debugger(&machine, birth->stands)) &&
	    build_guest(&machine.guest, set, &machine.entry))
		machine_live(&machine);
	else
		machine_fail(&machine);
}

/*L:300
 * Who gets our input: a person on a terminal talks to the console, or to the
 * COMMAND; bytes from a file or pipe are a script for the guest's shell, which
 * gets them when it is ready and ends with them, or the input of the COMMAND,
 * byte for byte.
 :*/
static struct input_settings input_of(const struct run_settings *set)
{
	return (struct input_settings){
		.input = set->input,
		.framed = set->command && !set->terminal,
		.raw = set->terminal && !set->detach,
		.wait_ready = !set->terminal && !set->initrd,
		.send_eof = !set->initrd,
		.port = set->command ? LGUEST_PORT_STDOUT : LGUEST_PORT_CONSOLE,
	};
}

/* End as the signal would have ended us, for the sake of whoever waits. */
static void end_by_signal(int number)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;

	fflush(NULL);
	setrlimit(RLIMIT_CORE, &none);	/* it is not ours that would be looked at */
	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int run(const struct run_settings *set)
{
	const struct supervisor_settings settings = {
		.command = set->command,
		.no_reboot = set->no_reboot,
		/* Our own /init says when it is ready; of others, a start is all that we know. */
		.ready_at_start = set->initrd || set->gdb,
		.gdb = set->gdb,
		.time_limit = set->time_limit,
		.input = input_of(set),
		.machine = be_machine,
		.with = set,
	};
	const struct control_settings control = {
		.name = set->name,
		.memory = set->memory & ~(MEMORY_PAGE - 1),
		.vcpus = set->cpus,
		.port = set->command && set->terminal ? LGUEST_PORT_STDOUT :
							LGUEST_PORT_CONSOLE,
		.exec = set->name ? run_agent_socket(set) : NULL,
		.keep = set->detach,
	};
	int by_signal, status = supervise(&settings, set->name ? &control : NULL, &by_signal);

	if (by_signal != NO_SIGNAL)
		end_by_signal(by_signal);
	return status;
}

int cmd_run(int argc, char **argv)
{
	static struct run_settings set;
	int status = run_read_settings(argc, argv, &set);

	if (status >= 0)
		return status;
	verbose = set.verbose;
	confine_files();
	confine_warn();
	if (set.detach && !detach(&status))
		return status;
	/* Whoever comes to a detached guest's console is a person. */
	set.terminal = set.detach ||
		(terminal_is_ours(STDIN_FILENO) && isatty(STDOUT_FILENO));
	set.input = run_may_read_stdin(&set);
	return run(&set);
}
