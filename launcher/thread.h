/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LGUEST_THREAD_H
#define LGUEST_THREAD_H

#include <pthread.h>
#include <signal.h>

/*
 * Start a thread that takes no signal, unless it asks for one: they are the process's first
 * thread's.  It inherits the mask, so there is no moment at which it could get one.
 * Attributes may be NULL.  0 or errno.
 */
static inline int start_quiet_thread(const pthread_attr_t *attributes, void *(*life)(void *),
				     void *with)
{
	sigset_t all, old;
	pthread_t thread;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&thread, attributes, life, with);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}

#endif /* LGUEST_THREAD_H */
