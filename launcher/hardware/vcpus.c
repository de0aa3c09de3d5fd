// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPUs' threads: how they are taken out of the Host, where they stand, and how one
 * works for another.  Which there are is for machine/threads.c to say.
 * Read next: hold.c.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "guest.h"
#include "host.h"

#define AGAIN	10000000	/* ns; a kick may have been lost */

#define BIT(n)	(1U << (n))

void vcpus_init(struct vcpus *vcpus, unsigned int count)
{
	vcpus->count = count;
	pthread_mutex_init(&vcpus->lock, NULL);
	pthread_cond_init(&vcpus->changed, NULL);
}

void vcpu_enlist(struct vcpus *vcpus)
{
	vcpus->threads[host_vcpu()] = pthread_self();
	atomic_store(&vcpus->enlisted, host_vcpu() + 1);
}

/* With the lock held. */
static void change(struct vcpus *vcpus, unsigned int *bits, bool set)
{
	if (set)
		*bits |= BIT(host_vcpu());
	else
		*bits &= ~BIT(host_vcpu());
	pthread_cond_broadcast(&vcpus->changed);
}

void vcpu_leave(struct vcpus *vcpus)
{
	pthread_mutex_lock(&vcpus->lock);
	change(vcpus, &vcpus->gone, true);
	pthread_mutex_unlock(&vcpus->lock);
}

/*L:326
 * Those that stand are woken by the condition, those in the Host by a signal.  It is
 * harmless to all others, and to a thread that has ended and was not joined.
 :*/
void kick_vcpus(struct guest *guest)
{
	struct vcpus *v = &guest->vcpus;
	unsigned int i, count = atomic_load(&v->enlisted);

	pthread_mutex_lock(&v->lock);
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->lock);
	for (i = 0; i < count; i++)
		if (!pthread_equal(v->threads[i], pthread_self()))
			pthread_kill(v->threads[i], KICK);
}

/* With the lock held: a moment, or until something has changed. */
static void wait_a_moment(struct vcpus *vcpus)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += AGAIN;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&vcpus->changed, &vcpus->lock, &until);
}

static bool have(struct vcpus *vcpus, const unsigned int *bits, unsigned int which)
{
	bool all;

	pthread_mutex_lock(&vcpus->lock);
	all = !(which & ~*bits & ~vcpus->gone);
	if (!all)
		wait_a_moment(vcpus);
	pthread_mutex_unlock(&vcpus->lock);
	return all;
}

static unsigned int all_of(const struct vcpus *vcpus)
{
	return BIT(vcpus->count) - 1;
}

void vcpus_gather(struct guest *guest)
{
	struct vcpus *v = &guest->vcpus;
	unsigned int others = (BIT(atomic_load(&v->enlisted)) - 1) & ~BIT(0);

	if (!others)
		return;
	atomic_store(&v->over, true);
	do
		kick_vcpus(guest);
	while (!have(v, &v->gone, others));
}

bool vcpus_await(struct guest *guest, unsigned int which)
{
	struct vcpus *v = &guest->vcpus;

	while (!guest->end && !v->dead) {
		if (have(v, &v->standing, which & all_of(v)))
			return true;
		kick_vcpus(guest);
	}
	return false;
}

bool vcpus_stand(struct guest *guest)
{
	struct vcpus *v = &guest->vcpus;
	bool all;

	pthread_mutex_lock(&v->lock);
	all = !(all_of(v) & ~v->standing & ~v->gone);
	pthread_mutex_unlock(&v->lock);
	return all;
}

void vcpu_stands(struct guest *guest, bool stands)
{
	struct vcpus *v = &guest->vcpus;

	pthread_mutex_lock(&v->lock);
	change(v, &v->standing, stands);
	pthread_mutex_unlock(&v->lock);
}

static bool is_for_us(const struct vcpu_work *work)
{
	return work->what && work->vcpu == host_vcpu();
}

/* With the lock held, but not while the work is done. */
static void do_work(struct guest *guest)
{
	struct vcpus *v = &guest->vcpus;
	struct vcpu_work work = v->work;

	pthread_mutex_unlock(&v->lock);
	work.result = work.what(guest, work.with);
	pthread_mutex_lock(&v->lock);
	v->work.result = work.result;
	v->work.what = NULL;
	pthread_cond_broadcast(&v->changed);
}

void vcpu_stand(struct guest *guest, bool (*reason)(const struct guest *guest))
{
	struct vcpus *v = &guest->vcpus;

	pthread_mutex_lock(&v->lock);
	change(v, &v->standing, true);
	while (reason(guest) || is_for_us(&v->work)) {
		if (is_for_us(&v->work))
			do_work(guest);
		else
			pthread_cond_wait(&v->changed, &v->lock);
	}
	change(v, &v->standing, false);
	pthread_mutex_unlock(&v->lock);
}

int vcpu_do(struct guest *guest, unsigned int vcpu,
	    int (*what)(struct guest *guest, void *with), void *with)
{
	struct vcpus *v = &guest->vcpus;
	int result = -EBUSY;

	if (vcpu == host_vcpu())
		return what(guest, with);
	pthread_mutex_lock(&v->lock);
	if (v->standing & BIT(vcpu)) {
		v->work = (struct vcpu_work){ what, with, vcpu, 0 };
		pthread_cond_broadcast(&v->changed);
		while (v->work.what)
			pthread_cond_wait(&v->changed, &v->lock);
		result = v->work.result;
	}
	pthread_mutex_unlock(&v->lock);
	return result;
}
