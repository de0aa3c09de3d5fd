// SPDX-License-Identifier: GPL-2.0
/*
 * The run loop of a vCPU.  One read() of /dev/lguest runs it until it needs us:
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

/*
 * `hlt`, raw: a kernel that panics or restarts stops its other CPUs so, for good.  One
 * that is alone has no reason to.
 */
#define HLT	0xf4

static bool halts(struct guest *guest, const struct lguest_exit *exit)
{
	if (guest->vcpus.count == 1 || exit->insn_len < 1 || exit->insn[0] != HLT)
		return false;
	atomic_fetch_or(&guest->vcpus.halted, 1U << host_vcpu());
	return true;
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
		if (gdb_trapped(guest->gdb) || halts(guest, exit))
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

static bool shall_end(const struct guest *guest)
{
	return guest->end || guest->vcpus.over;
}

/*L:405
 * Devices go on, and the guest's clocks too: for the guest it is as if its CPU
 * had been busy elsewhere.  A kick ends the sleep.
 :*/
static bool must_stand(const struct guest *guest)
{
	const struct vcpus *v = &guest->vcpus;

	return !v->dead && (guest->paused || guest_held() ||
			    ((v->still | v->halted) & 1U << host_vcpu()));
}

/* vCPU 0's thread is the one that talks to a debugger. */
static bool stays(const struct guest *guest)
{
	return must_stand(guest) && !shall_end(guest) && (host_vcpu() || !gdb_calling(guest->gdb));
}

static void stand(struct guest *guest)
{
	bool held = !host_vcpu() && guest_held();

	if (held)
		guest->stands(true);
	vcpu_stand(guest, stays);
	if (held)
		guest->stands(false);
}

/* One stay in the Host, and what comes of it; an error ends this vCPU's life. */
static int run_once(struct guest *guest)
{
	struct lguest_exit exit;
	int error = host_run(guest->fd, &exit);

	if (!error)
		error = handle(guest, &exit);
	if (!error)
		gdb_handled(guest->gdb);
	if (error == -EAGAIN)
		wait_a_little();
	return error == -EINTR || error == -EAGAIN ? 0 : error;
}

/*L:400
 * The life of a vCPU, as its machine sees it: let the Host run it until that
 * wants something of us, do it, and again.  The Host's half of this loop is its own
 * run_guest(), in host/core.c.
 *
 * EINTR means that a signal came: line.c kicks us that way when the guest
 * shall end, and guest->end then says why.
 :*/
static int run(struct guest *guest)
{
	int error = 0;

	while (!error && !shall_end(guest)) {
		gdb_attend(guest->gdb);
		if (must_stand(guest))
			stand(guest);
		else
			error = run_once(guest);
	}
	return error;
}

static void cannot_run(int error)
{
	problem("cannot run the guest: %s: %s; does lg.ko fit this lguest (%s)?",
		HOST_DEVICE, strerror(-error), LGUEST_VERSION);
}

/* Of the guest's end vCPU 0 hears, too, even if it stands. */
void run_vcpu(struct guest *guest)
{
	int error = run(guest);

	if (error == -ENOENT || error == -ERESTART) {
		atomic_store(&guest->vcpus.dead, true);
	} else if (error) {
		cannot_run(error);
		request_end(guest, END_CONFINE);
	}
	kick_vcpus(guest);
}

/* All of the guest's output comes before its end. */
void run_guest(struct guest *guest, struct run_end *end)
{
	int error;

	memset(end, 0, sizeof(*end));
	gdb_start(guest->gdb, guest);
	error = run(guest);
	vcpus_gather(guest);
	if (!error || error == -ENOENT || error == -ERESTART)
		console_drain(&guest->console);
	if (!error) {
		end->how = WIRE_END_WISH;
		end->number = guest->end;
	} else if (error == -ENOENT) {
		/* Also a request that found the guest dead. */
		dead(guest, end);
	} else if (error == -ERESTART) {
		end->how = WIRE_END_RESTART;
	} else {
		cannot_run(error);
		end->how = WIRE_END_HOST;
	}
}
