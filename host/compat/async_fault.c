// SPDX-License-Identifier: GPL-2.0
/*
 * Where KVM says that a page fault is one of its own: in a word of the kernel's, whose
 * address it was told by an MSR.  Each CPU has one, always at the same address.
 */
#include <linux/mm.h>
#include <linux/percpu.h>
#include "async_fault.h"
#include "cpu.h"

static DEFINE_PER_CPU(struct kvm_vcpu_pv_apf_data *, async_data);

/* On the CPU itself, when it comes.  Only KVM has such an MSR. */
void find_async_flags(void)
{
	struct kvm_vcpu_pv_apf_data *data = NULL;
	u64 where;

	if (kvm_para_available() && !rdmsrq_safe(MSR_KVM_ASYNC_PF_EN, &where) &&
	    where & KVM_ASYNC_PF_ENABLED)
		data = __va(where & ~63ULL);
	this_cpu_write(async_data, data);
}

/* With interrupts off. */
u32 take_async_flags(void)
{
	struct kvm_vcpu_pv_apf_data *data = this_cpu_read(async_data);

	return data && data->flags ? xchg(&data->flags, 0) : 0;
}
