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

#include "debugger/gdb.h"
#include "hardware/emulate.h"
#include "hardware/host.h"
#include "lguest.h"
#include "vcpu.h"

/*L:410
 * A dead guest leaves a sentence.  Two kinds begin with a word of the ABI and
 * hold the guest's own text; any other is what the Host has against it.
 :*/
static void dead(struct guest *guest, struct run_end *end)
{
	char reason[512], *text = reason;

	console_drain(&guest->console);
	host_reason(guest->fd, reason, sizeof(reason));
	end->how = WIRE_END_KILLED;
	if (!strncmp(reason, "POWEROFF", 8)) {
		end->how = WIRE_END_POWEROFF;
		end->number = guest->console.status < 0 ? WIRE_NO_STATUS : guest->console.status;
	} else if (!strncmp(reason, "CRASH: ", 7)) {
		end->how = WIRE_END_CRASH;
		text += 7;
	}
	snprintf(end->said, sizeof(end->said), "%.*s", (int)sizeof(end->said) - 1, text);
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

static void stay_paused(struct guest *guest)
{
	bool held = guest_held();

	if (held)
		guest->stands(true);
	atomic_store(&guest->parked, true);
	while (must_stand(guest) && !guest->end && !gdb_calling())
		poll(NULL, 0, 1000);
	atomic_store(&guest->parked, false);
	if (held)
		guest->stands(false);
}

/* False: it is over, and *end says how. */
static bool go_on(struct guest *guest, int error, struct run_end *end)
{
	switch (-error) {
	case 0:
		gdb_handled();
		return true;
	case EINTR:
		return true;
	case EAGAIN:
		wait_a_little();
		return true;
	case ERESTART:
		console_drain(&guest->console);
		end->how = WIRE_END_RESTART;
		return false;
	case ENOENT:
		/* Also a request that found the guest dead. */
		dead(guest, end);
		return false;
	default:
		problem("cannot run the guest: %s: %s; does lg.ko fit this lguest (%s)?",
			HOST_DEVICE, strerror(-error), LGUEST_VERSION);
		end->how = WIRE_END_HOST;
		return false;
	}
}

/*L:400
 * The life of a guest, as its machine sees it: let the Host run it until that
 * wants something of us, do it, and again.  The Host's half of this loop is its own
 * run_guest(), in host/core.c.
 *
 * EINTR means that a signal came: line.c kicks us that way when the guest
 * shall end, and guest->end then says why.
 :*/
void run_guest(struct guest *guest, struct run_end *end)
{
	memset(end, 0, sizeof(*end));
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
		if (!go_on(guest, error, end))
			return;
	}
	console_drain(&guest->console);
	end->how = WIRE_END_WISH;
	end->number = guest->end;
}
