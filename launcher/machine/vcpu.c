// SPDX-License-Identifier: GPL-2.0
/*
 * The run loop.  One read() of /dev/lguest runs the guest until it needs us:
 * output to take, an instruction to emulate, a device to touch, or its end.
 * Next: hardware/console.c for the output, emulate.c for the instructions.
 * Read next: hardware/emulate.c.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "console/output.h"
#include "debugger/gdb.h"
#include "hardware/emulate.h"
#include "hardware/host.h"
#include "lguest.h"
#include "vcpu.h"

/* The guest's words go to a terminal: nothing in them but text. */
static void make_printable(char *text)
{
	size_t length = strlen(text);

	while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
		text[--length] = '\0';
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

static int powered_off(struct guest *guest)
{
	if (!guest->command)
		return STATUS_DONE;
	if (guest->console.status >= 0)
		return guest->console.status;
	show_log(&guest->console);
	problem("the guest powered off before the command ended: no status came; see its messages with -v");
	return STATUS_NO_STATUS;
}

/*L:410
 * A dead guest leaves a sentence.  Two kinds begin with a word of the ABI and
 * hold the guest's own text; any other is what the Host has against it.
 :*/
static int dead(struct guest *guest)
{
	char reason[512];

	console_drain(&guest->console);
	host_reason(guest->fd, reason, sizeof(reason));
	make_printable(reason);
	if (!strncmp(reason, "POWEROFF", 8)) {
		note("the guest powered off");
		return powered_off(guest);
	}
	show_log(&guest->console);
	if (!strncmp(reason, "CRASH: ", 7)) {
		problem("the guest's kernel panicked: %s; its last messages tell more",
			reason + 7);
		return STATUS_PANIC;
	}
	problem("the guest was killed: %s; the Host's log may tell more (dmesg)",
		reason);
	return STATUS_KILLED;
}

static int handle(struct guest *guest, const struct lguest_exit *exit)
{
	switch (exit->kind) {
	case LGUEST_EXIT_NOTIFY:
		if (!console_notify(&guest->console, exit->value))
			note("the guest notified %#llx, which is no device",
			     (unsigned long long)exit->value);
		return 0;
	case LGUEST_EXIT_TRAP:
		if (gdb_trapped())
			return 0;
		return emulate_trap(guest->fd, exit);
	case LGUEST_EXIT_MMIO:
		return emulate_mmio(guest->fd, exit);
	case LGUEST_EXIT_STEP:
		return 0;
	default:
		return -EPROTO;
	}
}

/* Somebody holds this vCPU by BREAK; no reason to burn a CPU. */
static void wait_a_little(void)
{
	usleep(1000);
}

/*L:405
 * Devices go on, and the guest's clocks too: for the guest it is as if its CPU
 * had been busy elsewhere.  A kick ends the sleep, so that it may be long.
 :*/
static bool must_stand(const struct guest *guest)
{
	return guest->paused || guest_held();
}

/* Who sits at its console would wonder. */
static void tell_held(const struct guest *guest)
{
	static const char text[] =
		"\r\n[lguest: this host has no room for what the guest writes; it stands until there is]\r\n";

	if (!guest_held() || !guest->overhear)
		return;
	guest->overhear(LGUEST_PORT_CONSOLE, (const uint8_t *)text, sizeof(text) - 1);
	guest->overhear(LGUEST_PORT_STDOUT, (const uint8_t *)text, sizeof(text) - 1);
}

static void stay_paused(struct guest *guest)
{
	tell_held(guest);
	atomic_store(&guest->parked, true);
	while (must_stand(guest) && !guest->end && !gdb_calling())
		poll(NULL, 0, 1000);
	atomic_store(&guest->parked, false);
}

/*L:400
 * The life of a guest, as its launcher sees it: let the Host run it until that
 * wants something of us, do it, and again.  The Host's half of this loop is its own
 * run_guest(), in host/core.c.
 *
 * EINTR means that a signal came: watch.c kicks us that way when the guest
 * shall end, and guest->end then says why.
 :*/
int run_guest(struct guest *guest)
{
	gdb_start(guest);
	while (!guest->end) {
		struct lguest_exit exit;
		int error;

		gdb_attend();
		if (must_stand(guest)) {
			stay_paused(guest);
			continue;
		}
		error = host_run(guest->fd, &exit);
		if (!error)
			error = handle(guest, &exit);
		switch (-error) {
		case 0:
			gdb_handled();
			break;
		case EINTR:
			break;
		case EAGAIN:
			wait_a_little();
			break;
		case ERESTART:
			console_drain(&guest->console);
			return RUN_RESTART;
		case ENOENT:
			/* Also a request that found the guest dead. */
			return dead(guest);
		default:
			problem("cannot run the guest: %s: %s; does lg.ko fit this lguest (%s)?",
				HOST_DEVICE, strerror(-error), LGUEST_VERSION);
			return STATUS_HOST;
		}
	}
	console_drain(&guest->console);
	return RUN_ENDED;
}
