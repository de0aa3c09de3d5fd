/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: lguest:* under /sys/kernel/tracing/events.  `guest` is the
 * process id of the vCPU's task.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM lguest

#if !defined(_LG_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _LG_TRACE_H

#include <linux/tracepoint.h>

/* The guest came back to the host, and why (LG_TRAP_* or a vector). */
TRACE_EVENT(lguest_exit,
	TP_PROTO(int guest, u64 trap, u64 error, u64 rip, bool user),
	TP_ARGS(guest, trap, error, rip, user),
	TP_STRUCT__entry(
		__field(int, guest)
		__field(u64, trap)
		__field(u64, error)
		__field(u64, rip)
		__field(bool, user)
	),
	TP_fast_assign(
		__entry->guest = guest;
		__entry->trap = trap;
		__entry->error = error;
		__entry->rip = rip;
		__entry->user = user;
	),
	TP_printk("guest=%d trap=%llu error=%#llx rip=%#llx %s",
		  __entry->guest, __entry->trap, __entry->error, __entry->rip,
		  __entry->user ? "user" : "kernel")
);

/* A hypercall, with its first two arguments. */
TRACE_EVENT(lguest_hypercall,
	TP_PROTO(int guest, u64 number, u64 arg0, u64 arg1),
	TP_ARGS(guest, number, arg0, arg1),
	TP_STRUCT__entry(
		__field(int, guest)
		__field(u64, number)
		__field(u64, arg0)
		__field(u64, arg1)
	),
	TP_fast_assign(
		__entry->guest = guest;
		__entry->number = number;
		__entry->arg0 = arg0;
		__entry->arg1 = arg1;
	),
	TP_printk("guest=%d number=%llu arg0=%#llx arg1=%#llx",
		  __entry->guest, __entry->number, __entry->arg0,
		  __entry->arg1)
);

/* A trap or interrupt given to the guest kernel by the host. */
TRACE_EVENT(lguest_deliver,
	TP_PROTO(int guest, unsigned int vector, u64 error),
	TP_ARGS(guest, vector, error),
	TP_STRUCT__entry(
		__field(int, guest)
		__field(unsigned int, vector)
		__field(u64, error)
	),
	TP_fast_assign(
		__entry->guest = guest;
		__entry->vector = vector;
		__entry->error = error;
	),
	TP_printk("guest=%d vector=%u error=%#llx", __entry->guest,
		  __entry->vector, __entry->error)
);

/* A page fault that came to the host: to be filled, or the guest's own. */
TRACE_EVENT(lguest_page_fault,
	TP_PROTO(int guest, u64 address, u64 error),
	TP_ARGS(guest, address, error),
	TP_STRUCT__entry(
		__field(int, guest)
		__field(u64, address)
		__field(u64, error)
	),
	TP_fast_assign(
		__entry->guest = guest;
		__entry->address = address;
		__entry->error = error;
	),
	TP_printk("guest=%d address=%#llx error=%#llx", __entry->guest,
		  __entry->address, __entry->error)
);

#endif /* _LG_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
