// SPDX-License-Identifier: GPL-2.0
/*
 * The machine's life, on its first thread, which is vCPU 0's: when all is built it gives
 * up what a guest that breaks in could use, runs the guest, and says how it ended.  Its
 * end is that of the process.
 * Read next: line.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/user.h>
#include <unistd.h>

#include "boot/load.h"
#include "control/wire.h"
#include "debugger/gdb.h"
#include "devices/devices.h"
#include "hardware/counters.h"
#include "hardware/host.h"
#include "hardware/mmio.h"
#include "hardware/resident.h"
#include "jail/confine.h"
#include "lguest.h"
#include "machine.h"
#include "vcpu.h"

static struct machine *this;

/* Any thread's message, or a signal handler's: no lock, no memory. */
static void send_line(const char *line, bool plain)
{
	struct wire_message message;
	size_t size = strnlen(line, WIRE_BYTES);

	message.kind = WIRE_LINE;
	message.value = plain;
	message.number = 0;
	memcpy(message.bytes, line, size);
	/* The supervisor reads these always; who is in its way cannot be helped. */
	wire_send(this->wires.talk, &message, size, NULL, NULL);
}

static bool goes_on(void *guest)
{
	return !((struct guest *)guest)->end;
}

/* Is it ready now, and was not before? */
static bool take_control(struct console *console, const uint8_t *bytes, size_t size)
{
	bool was = console->ready;

	console_control(console, bytes, size);
	return console->ready && !was;
}

/*L:522
 * On a vCPU's thread, which waits for a reader that is slow: but not if the guest shall
 * end.  The kick for that comes again and again.
 :*/
static void guest_output(struct console *console, unsigned int port, const uint8_t *bytes,
			 size_t size)
{
	struct wire_message message;

	if (port == LGUEST_PORT_CONTROL) {
		if (take_control(console, bytes, size))
			wire_say(this->wires.talk, WIRE_READY, 0, 0);
		return;
	}
	message.kind = WIRE_OUTPUT;
	message.value = port;
	message.number = 0;
	memcpy(message.bytes, bytes, size);
	wire_send(this->wires.output, &message, size, goes_on, console->owner);
}

_Static_assert(LGUEST_CONSOLE_OUT <= WIRE_BYTES, "a ring fits into a message");

void machine_begin(struct machine *machine, const struct machine_wires *wires)
{
	machine->wires = *wires;
	this = machine;
	message_way = send_line;
}

static void say_end(const struct machine *machine, const struct run_end *end)
{
	struct wire_message message = {
		.kind = WIRE_ENDED, .value = end->how, .number = end->number,
	};
	size_t size = strlen(end->said);

	memcpy(message.bytes, end->said, size);
	wire_send(machine->wires.talk, &message, size, NULL, NULL);
}

void machine_fail(struct machine *machine)
{
	const struct run_end end = { .how = WIRE_END_HOST };

	devices_stop();
	say_end(machine, &end);
}

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

static void kicked(int number)
{
	(void)number;
}

/* The kick must reach the vCPU; a terminal it has none. */
static void leave_the_user(void)
{
	struct sigaction kick = { .sa_handler = kicked };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd;

	for (fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	close(null);
	sigaction(KICK, &kick, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* On a vCPU's thread. */
static void input_taken(struct console *console)
{
	tell_line(console->owner);
}

static void tell_stands(bool stands)
{
	wire_say(this->wires.talk, WIRE_STANDS, stands, 0);
}

static void debugger_gone(void)
{
	wire_say(this->wires.talk, WIRE_ALONE, 0, 0);
}

bool machine_expect_debugger(struct machine *machine, bool first_stop)
{
	machine->guest.gdb = gdb_expect(first_stop, debugger_gone);
	if (!machine->guest.gdb)
		problem("out of memory; free some");
	return machine->guest.gdb;
}

static void print_resident(const struct machine *machine)
{
	struct resident resident;

	if (resident_read(machine->smaps, &machine->guest.memory, &resident))
		note("the guest touched %llu MiB of memory; its machine has %llu KiB besides",
		     (unsigned long long)resident.guest >> 20,
		     (unsigned long long)resident.launcher >> 10);
}

/* As a debugger sees it. */
static int signal_of(const struct run_end *end)
{
	if (end->how == WIRE_END_WISH)
		return SIGKILL;
	return end->how == WIRE_END_CRASH || end->how == WIRE_END_KILLED ? SIGABRT : 0;
}

static void report(const struct machine *machine)
{
	if (!verbose)
		return;
	print_stats(machine->counters);
	devices_report();
	print_resident(machine);
}

/* Files of the kernel that are read later, when none can be opened. */
static void open_files(struct machine *machine)
{
	machine->smaps = resident_open();
	machine->counters = counters_open(getpid());
	if (!verbose || machine->counters)
		return;
	if (errno == EACCES)
		note("no counters: only root may read them");
	else
		note("no counters: %s: %s; try `mount -t debugfs debugfs /sys/kernel/debug` as root",
		     COUNTERS_PLACE, strerror(errno));
}

/* The Host runs a vCPU only for the task that made it. */
static bool start(struct machine *machine)
{
	struct guest *guest = &machine->guest;

	guest->console.output = guest_output;
	guest->console.owner = guest;
	guest->console.taken = input_taken;
	guest->stands = tell_stands;
	vcpu_enlist(&guest->vcpus);
	guest_to_hold(guest);
	leave_the_user();
	want_small_threads();
	give_up_rseq();
	confine_process();
	if (!initialize(guest, machine->entry) || !devices_connect())
		return false;
	open_files(machine);
	return vcpus_start(machine) && line_start(machine) && confine_thread(THREAD_VCPU);
}

void machine_live(struct machine *machine)
{
	struct run_end end = { .how = WIRE_END_HOST };

	if (start(machine)) {
		resident_give_back();
		wire_say(machine->wires.talk, WIRE_BUILT, 0, 0);
		run_guest(&machine->guest, &end);
		if (end.how == WIRE_END_RESTART)
			end.number = gdb_agreed(machine->guest.gdb);
		else
			gdb_ended(machine->guest.gdb, signal_of(&end));
	}
	vcpus_gather(&machine->guest);	/* those of a start that failed */
	guest_to_hold(NULL);
	devices_stop();
	line_let_go(machine);
	report(machine);
	say_end(machine, &end);
}
