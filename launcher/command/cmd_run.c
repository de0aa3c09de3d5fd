// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest run`: a guest that build_guest() has made runs, on a thread of its own,
 * and its end becomes an exit status.  The steps are those of run().
 * Read next: run_options.c.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif
#include <sys/syscall.h>
#include <sys/user.h>

#include "boot/load.h"
#include "console/output.h"
#include "console/watch.h"
#include "control/control.h"
#include "control/detach.h"
#include "control/restart.h"
#include "debugger/gdb.h"
#include "devices/devices.h"
#include "hardware/guest.h"
#include "hardware/host.h"
#include "hardware/mmio.h"
#include "hardware/resident.h"
#include "jail/confine.h"
#include "lguest.h"
#include "machine/vcpu.h"
#include "run.h"
#include "terminal.h"

static bool initialize(struct guest *guest, gpa_t entry)
{
	uint64_t limit = mmio_limit(guest->memory.size);
	int error = host_initialize(guest->fd, &guest->memory, entry, limit);

	if (!error)
		error = host_set_register(guest->fd,
					  offsetof(struct user_regs_struct, rsi),
					  BOOT_PARAMS_AT.v);
	if (error)
		problem("cannot make a guest: %s: %s; `lguest check` and the Host's log (dmesg) may tell why",
			HOST_DEVICE, strerror(-error));
	return !error;
}

static bool confine_watch(void)
{
	return confine_thread(THREAD_WATCH);
}

/*L:300
 * Who gets our input: a person on a terminal talks to the console, or to the
 * COMMAND; bytes from a file or pipe are a script for the guest's shell, which
 * gets them when it is ready and ends with them, or the input of the COMMAND,
 * byte for byte.
 :*/
static bool start_watching(struct guest *guest, const struct run_settings *set)
{
	struct watch_settings watch = {
		.input = run_may_read_stdin(set),
		.framed = set->command && !set->terminal,
		.raw = set->terminal && !set->detach,
		.wait_ready = !set->terminal && !set->initrd,
		.send_eof = !set->initrd,
		.port = set->command ? LGUEST_PORT_STDOUT : LGUEST_PORT_CONSOLE,
		.confine = confine_watch,
	};

	if (set->time_limit)
		watch.deadline = restart_deadline(set->time_limit);
	return watch_start(guest, &watch);
}

/* End as the signal would have ended us, for the sake of whoever waits. */
static int end_by_signal(int number)
{
	sigset_t set;

	fflush(NULL);
	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return 128 + number;
}

static int ended(const struct guest *guest)
{
	switch (guest->end) {
	case END_TIME:
		show_log(&guest->console);
		problem("the guest was ended: its time limit was reached; --time-limit sets it");
		return STATUS_TIME;
	case END_CONFINE:
		return STATUS_HOST;
	case END_STOP:
		problem("the guest was ended by `lguest stop`: it did not shut down in time");
		return STATUS_STOPPED;
	case END_DEBUGGER:
		problem("the guest was ended by its debugger");
		return STATUS_STOPPED;
	case END_ESCAPE:
		problem("the guest was ended from the keyboard");
		return STATUS_ESCAPE;
	default:
		note("the guest was ended by signal %d", guest->end - END_SIGNAL);
		return 128 + guest->end - END_SIGNAL;
	}
}

struct vcpu {
	struct guest guest;
	const struct run_settings *set;
	gpa_t entry;
	sigset_t signals;	/* that were blocked at first */
	int status;
};

/*
 * For a task with a "restartable sequence", as the C library makes one, the kernel has
 * work after each sleep that must end in user space: each HALT would cost the way there
 * and back.  We need none.
 */
static void give_up_rseq(void)
{
#ifdef RSEQ_SIG
	char *at = (char *)__builtin_thread_pointer() + __rseq_offset;
	unsigned int size = (__rseq_size + 31) & ~31;

	if (__rseq_size)	/* if it fails, we are slower */
		syscall(SYS_rseq, at, size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
#endif
}

/* With --no-reboot a COMMAND has no status: it is as if the guest had powered off. */
static int rebooted(const struct run_settings *set)
{
	if (!set->no_reboot)
		return RUN_RESTART;
	if (!set->command)
		return STATUS_DONE;
	problem("the guest rebooted before the command ended: no status came; without --no-reboot it starts again");
	return STATUS_NO_STATUS;
}

/* Posted when a detached guest is ready, and when any guest has ended. */
static sem_t news;
static atomic_bool was_ready;

static void tell_ready(void)
{
	was_ready = true;
	sem_post(&news);
}

/* Our own /init says when it is ready; of others, a start is all that we know. */
static void promise_ready(struct guest *guest, const struct run_settings *set)
{
	if (set->initrd || set->gdb)
		tell_ready();
	else
		guest->ready = tell_ready;
}

/* The Host runs a vCPU only for the task that made it. */
static void live(struct vcpu *vcpu)
{
	if (!initialize(&vcpu->guest, vcpu->entry) || !devices_connect() ||
	    !start_watching(&vcpu->guest, vcpu->set))
		return;
	guest_to_hold(&vcpu->guest);
	if (control_start(&vcpu->guest) && confine_thread(THREAD_VCPU)) {
		resident_give_back();
		promise_ready(&vcpu->guest, vcpu->set);
		vcpu->status = run_guest(&vcpu->guest);
		if (vcpu->status == RUN_RESTART)
			vcpu->status = rebooted(vcpu->set);
		gdb_ended(vcpu->status);
	}
	guest_to_hold(NULL);
	control_stop();
	devices_stop();
	watch_stop();
}

static void *vcpu_thread(void *argument)
{
	struct vcpu *vcpu = argument;

	pthread_sigmask(SIG_SETMASK, &vcpu->signals, NULL);
	give_up_rseq();
	vcpu->status = STATUS_HOST;
	live(vcpu);
	sem_post(&news);
	return NULL;
}

/* On the first thread, which may open files. */
static void let_caller_go(const struct vcpu *vcpu)
{
	if (!detach_awaited())
		return;
	while (sem_wait(&news))
		;
	/* One that was ready and has ended has its status for `lguest wait`. */
	if (was_ready || vcpu->status == RUN_RESTART)
		detach_done();
}

/*L:305
 * The first thread sleeps while the guest runs (once it has let the caller of a
 * detached guest go): it keeps the right to execute
 * the launcher anew, which those that meet the guest give up (confine.c).  All
 * signals are theirs.
 :*/
static int run_vcpu(struct vcpu *vcpu)
{
	pthread_t thread;
	sigset_t all;
	int error;

	sem_init(&news, 0, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &vcpu->signals);
	error = pthread_create(&thread, NULL, vcpu_thread, vcpu);
	if (!error) {
		let_caller_go(vcpu);
		error = pthread_join(thread, NULL);
	}
	if (!error)
		return vcpu->status;
	problem("cannot start a thread for the guest: %s; check `ulimit -u`",
		strerror(error));
	return STATUS_HOST;
}

static bool take_name(const struct run_settings *set)
{
	struct control_settings control = {
		.name = set->name,
		.port = set->command && set->terminal ? LGUEST_PORT_STDOUT :
							LGUEST_PORT_CONSOLE,
		.exec = run_agent_socket(set),
		.keep = set->detach,
	};

	return !set->name || control_open(&control);
}

static void print_resident(const struct guest *guest)
{
	FILE *file = resident_open();
	struct resident resident;

	if (resident_read(file, &guest->memory, &resident))
		note("the guest touched %llu MiB of memory; the launcher has %llu KiB besides",
		     (unsigned long long)resident.guest >> 20,
		     (unsigned long long)resident.launcher >> 10);
	if (file)
		fclose(file);
}

static int run(const struct run_settings *set)
{
	static struct vcpu vcpu;
	struct guest *guest = &vcpu.guest;
	bool by_signal;
	int status;

	vcpu.set = set;
	if (!take_name(set))
		return STATUS_HOST;
	if (!build_guest(guest, set, &vcpu.entry) || (set->gdb && !gdb_open(set->gdb))) {
		control_close(-1);
		return STATUS_HOST;
	}
	confine_process();
	status = run_vcpu(&vcpu);
	if (verbose) {
		print_stats();
		devices_report();
		print_resident(guest);
	}
	if (verbose && restart_count())
		note("restarted %u times", restart_count());
	if (status == RUN_RESTART && !control_stopping()) {
		note("the guest restarts");
		control_hand_down();
		gdb_hand_down();
		confine_lift_limits();
		restart_now();
		status = STATUS_HOST;
	}
	gdb_close();
	by_signal = status == RUN_ENDED && guest->end > END_SIGNAL;
	if (status == RUN_ENDED)
		status = ended(guest);
	else
		status = with_output(guest, status == RUN_RESTART ? STATUS_DONE : status);
	control_close(status);
	return by_signal ? end_by_signal(status - 128) : status;
}

/*
 * A thread's 8 MiB would be backed with huge pages as soon as it is touched; and a
 * heap of its own is of no use to it.
 */
static void want_small_threads(void)
{
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 256 << 10);
	pthread_setattr_default_np(&attributes);
	pthread_attr_destroy(&attributes);
	mallopt(M_ARENA_MAX, 1);	/* they allocate little, and then once */
}

int cmd_run(int argc, char **argv)
{
	static struct run_settings set;
	int status = run_read_settings(argc, argv, &set);

	if (status >= 0)
		return status;
	verbose = set.verbose;
	confine_files();
	if (!restart_count())
		confine_warn();
	if (set.detach && !detach(&status))
		return status;
	want_small_threads();
	/* Whoever comes to a detached guest's console is a person. */
	set.terminal = set.detach ||
		(terminal_is_ours(STDIN_FILENO) && isatty(STDOUT_FILENO));
	return run(&set);
}
