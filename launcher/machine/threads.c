// SPDX-License-Identifier: GPL-2.0
/*
 * The threads of the vCPUs besides the first.  Each makes its vCPU, as the Host runs one
 * only for the task that made it, is confined like the first thread, and runs it.
 * How the guest ended is vCPU 0's thread to say.
 * Read next: vcpu.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hardware/host.h"
#include "jail/confine.h"
#include "lguest.h"
#include "machine.h"
#include "thread.h"
#include "vcpu.h"

struct newborn {
	struct guest *guest;
	unsigned int number;
	int error;		/* of the Host */
	bool confined;
	sem_t done;
};

void give_up_rseq(void)
{
#ifdef RSEQ_SIG
	char *at = (char *)__builtin_thread_pointer() + __rseq_offset;
	unsigned int size = (__rseq_size + 31) & ~31;

	if (__rseq_size)	/* if it fails, we are slower */
		syscall(SYS_rseq, at, size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
#endif
}

/* As `top -H` shows it. */
static void take_name(unsigned int number)
{
	char name[16];

	snprintf(name, sizeof(name), "vcpu %u", number);
	prctl(PR_SET_NAME, name);
}

static void hear_kicks(void)
{
	sigset_t kick;

	sigemptyset(&kick);
	sigaddset(&kick, KICK);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
}

/*L:402
 * Born, confined and then counted: whoever started us goes on only then, so that the
 * guest's first instruction finds all of its threads so.
 :*/
static void *vcpu_thread(void *argument)
{
	struct newborn *newborn = argument;
	struct guest *guest = newborn->guest;
	bool good;

	host_be_vcpu(newborn->number);
	take_name(newborn->number);
	give_up_rseq();
	hear_kicks();
	newborn->error = host_make_vcpu(guest->fd);
	newborn->confined = !newborn->error && confine_thread(THREAD_VCPU);
	good = newborn->confined;
	vcpu_enlist(&guest->vcpus);
	sem_post(&newborn->done);	/* it is no more */
	if (good)
		run_vcpu(guest);
	vcpu_leave(&guest->vcpus);
	return NULL;
}

static void refused(unsigned int number, int error)
{
	switch (-error) {
	case ENOSPC:
		problem("run: --cpus: this Host gives a guest %u vCPU%s; -c %u fits, or let root write more to /sys/module/lg/parameters/vcpus",
			number, number > 1 ? "s" : "", number);
		break;
	case EINVAL:
		problem("run: --cpus: the Host that is loaded knows guests with one vCPU only; load the lg.ko that came with this lguest (%s), or leave out -c",
			LGUEST_VERSION);
		break;
	default:
		problem("cannot make vCPU %u: %s: %s; see dmesg, or try a smaller -c",
			number, HOST_DEVICE, strerror(-error));
	}
}

static bool bear(struct guest *guest, unsigned int number)
{
	struct newborn newborn = { .guest = guest, .number = number };
	int error;

	sem_init(&newborn.done, 0, 0);
	error = start_quiet_thread(NULL, vcpu_thread, &newborn);
	if (error) {
		problem("cannot start the thread of vCPU %u: %s; check `ulimit -u`, or try a smaller -c",
			number, strerror(error));
		return false;
	}
	while (sem_wait(&newborn.done))
		continue;
	sem_destroy(&newborn.done);
	if (newborn.error)
		refused(number, newborn.error);
	return newborn.confined;
}

bool vcpus_start(struct machine *machine)
{
	unsigned int n;

	for (n = 1; n < machine->guest.vcpus.count; n++)
		if (!bear(&machine->guest, n))
			return false;
	return true;
}
