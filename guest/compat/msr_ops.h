/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The operations on MSRs.  Writers got the value in two halves, by 7.2 in one; the
 * careful reader returned it, and gave the error by pointer, by 7.2 the other way
 * round.  What pv_ops wants says which: the types, not the version.
 */
#ifndef _GUEST_COMPAT_MSR_OPS_H
#define _GUEST_COMPAT_MSR_OPS_H

#include <asm/paravirt.h>

static bool read_known_msr(unsigned int msr, u64 *value);
static bool write_known_msr(unsigned int msr, u64 value);

static u64 lguest_read_msr(u32 msr)
{
	u64 value;

	read_known_msr(msr, &value);
	return value;
}

static int lguest_read_msr_safe(u32 msr, u64 *value)
{
	return read_known_msr(msr, value) ? 0 : -EIO;
}

static u64 lguest_read_msr_error(u32 msr, int *error)
{
	u64 value;

	*error = lguest_read_msr_safe(msr, &value);
	return value;
}

static void lguest_write_msr(u32 msr, u64 value)
{
	write_known_msr(msr, value);
}

static void lguest_write_msr_halves(u32 msr, u32 low, u32 high)
{
	write_known_msr(msr, low | (u64)high << 32);
}

static int lguest_write_msr_safe(u32 msr, u64 value)
{
	return write_known_msr(msr, value) ? 0 : -EIO;
}

static int lguest_write_msr_safe_halves(u32 msr, u32 low, u32 high)
{
	return lguest_write_msr_safe(msr, low | (u64)high << 32);
}

/* The one of the two functions that the operation's type is of. */
#define SET_OP(op, now, then)						\
	((op) = __builtin_choose_expr(					\
		__builtin_types_compatible_p(typeof(op), typeof(&(now))), \
		(now), (then)))

static inline void setup_msr_ops(void)
{
	pv_ops.cpu.read_msr = lguest_read_msr;
	SET_OP(pv_ops.cpu.read_msr_safe,
	       lguest_read_msr_safe, lguest_read_msr_error);
	SET_OP(pv_ops.cpu.write_msr,
	       lguest_write_msr, lguest_write_msr_halves);
	SET_OP(pv_ops.cpu.write_msr_safe,
	       lguest_write_msr_safe, lguest_write_msr_safe_halves);
}

#endif /* _GUEST_COMPAT_MSR_OPS_H */
