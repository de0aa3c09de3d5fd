/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest's vCPUs, as threads of its machine.  Each runs its own in the Host, and comes out
 * to stand for as long as somebody wants it to: who does says so (guest->paused, vcpus.still
 * ...) and kicks.  While it stands, work is done on its thread that no other may do.
 */
#ifndef LGUEST_VCPUS_H
#define LGUEST_VCPUS_H

#include <lguest/guest.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct guest;

struct vcpus {
	unsigned int count;		/* that the guest has */
	atomic_uint enlisted;		/* threads there are; those of the first so many vCPUs */
	pthread_t threads[LGUEST_VCPUS];	/* never joined, so that each can be kicked */
	/* Bit n is for vCPU n. */
	atomic_uint still;		/* a debugger wants it to stand */
	atomic_uint halted;		/* its kernel has stopped it for good */
	atomic_bool dead;		/* the Host said so: nobody shall stand */
	atomic_bool over;		/* vCPU 0's thread waits for the others to end */

	pthread_mutex_t lock;		/* of what follows; nothing is taken inside */
	pthread_cond_t changed;		/* that, or a reason to stand */
	unsigned int standing;		/* outside of the Host, until there is no reason */
	unsigned int gone;		/* its thread has ended */
	struct vcpu_work {
		int (*what)(struct guest *guest, void *with);	/* NULL: none */
		void *with;
		unsigned int vcpu;
		int result;
	} work;
};

void vcpus_init(struct vcpus *vcpus, unsigned int count);
/* The calling thread is that of a vCPU: host_be_vcpu() said which.  In their order. */
void vcpu_enlist(struct vcpus *vcpus);
/* It is no more; the last thing that it does. */
void vcpu_leave(struct vcpus *vcpus);
/* On vCPU 0's thread: let the others end, and wait until they have. */
void vcpus_gather(struct guest *guest);

/*
 * From any thread: take all vCPUs out of the Host, to look what is wanted of them.  One
 * that was about to enter it may not hear of it: who wants to be sure comes again.
 */
#define KICK		SIGUSR1
void kick_vcpus(struct guest *guest);

/* On a vCPU's thread: stand as long as there is a reason to. */
void vcpu_stand(struct guest *guest, bool (*reason)(const struct guest *guest));
/* It stands without that, as it waits for a debugger; or does no longer. */
void vcpu_stands(struct guest *guest, bool stands);
/* Do they all? */
bool vcpus_stand(struct guest *guest);
/* Wait until all of these do, or the guest shall end: false. */
bool vcpus_await(struct guest *guest, unsigned int which);

/*
 * Do something on the thread of a vCPU that stands; the caller's own is one.  What that
 * gives, or -EBUSY: it does not stand.  One asks at a time.
 */
int vcpu_do(struct guest *guest, unsigned int vcpu,
	    int (*what)(struct guest *guest, void *with), void *with);

#endif /* LGUEST_VCPUS_H */
