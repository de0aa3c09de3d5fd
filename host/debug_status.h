/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the CPU says in DR6 about a debug exception, without Linux: the unit test
 * looks at it too.
 */
#ifndef _LG_DEBUG_STATUS_H
#define _LG_DEBUG_STATUS_H

#define DR6_CAUSES	0xe00fULL	/* a breakpoint, DR7's guard, a step, a task switch */
#define DR6_NO_BUS_LOCK	(1ULL << 11)	/* the one bit that is clear when it happened */

/**
 * has_bus_lock - was one among the causes?
 * @dr6: as the CPU left it, all bits that are always 1 set before
 */
static inline int has_bus_lock(unsigned long long dr6)
{
	return !(dr6 & DR6_NO_BUS_LOCK);
}

/**
 * is_bus_lock - was the exception for nothing but a bus lock?
 * @dr6: as for has_bus_lock()
 *
 * With bus lock detection (SDM vol. 3, "Bus-Lock Detection"; "split_lock_detect=" of
 * Linux turns it on) a locked access of ring 3 that holds up all CPUs is told to the
 * host's kernel, after the instruction. That is between the host and its users: a guest
 * has not asked for it, and its kernel would not know what the exception is for.
 */
static inline int is_bus_lock(unsigned long long dr6)
{
	return has_bus_lock(dr6) && !(dr6 & DR6_CAUSES);
}

/**
 * dr6_for_guest - the same without what is not the guest's
 * @dr6: as for has_bus_lock()
 */
static inline unsigned long long dr6_for_guest(unsigned long long dr6)
{
	return dr6 | DR6_NO_BUS_LOCK;
}

#endif
