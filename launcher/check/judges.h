/* SPDX-License-Identifier: GPL-2.0 */
/* The looks that deep.c's table has: see struct condition in deep.h. */
#ifndef LGUEST_JUDGES_H
#define LGUEST_JUDGES_H

#include "deep.h"

#define JUDGES(J)							\
	J(has_flag) J(lacks_flag) J(cpus_differ) J(split_locks)		\
	J(old_kernel) J(new_kernel) J(untried_kernel) J(is_realtime)	\
	J(on_xen_pv)							\
	J(takes_no_modules) J(wants_signatures) J(is_locked_down)	\
	J(boots_securely) J(lacks_headers) J(lacks_layer)		\
	J(has_hypervisor) J(has_async_faults) J(state_is_encrypted)	\
	J(is_loaded) J(kvm_is_used) J(other_hypervisor) J(in_container)	\
	J(tsc_unstable) J(other_clock) J(stops_the_tsc)			\
	J(is_traced) J(is_probed) J(stuffs_returns) J(is_vulnerable)	\
	J(keeps_cpus_apart) J(stays_dead) J(keeps_no_record)		\
	J(no_huge_pages) J(no_user_namespaces) J(old_landlock)		\
	J(device_closed)

#define DECLARE(name)							\
	enum answer name(const struct machine *m, const char *word,	\
			 struct detail *detail);
JUDGES(DECLARE)
#undef DECLARE

#endif /* LGUEST_JUDGES_H */
