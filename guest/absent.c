// SPDX-License-Identifier: GPL-2.0
/*
 * What Linux would offer its programs, and this machine does not have.  Each is
 * refused with the error of a kernel that was built without it: a program asks, is
 * told, and does something else.  To take it, and do nothing, would be worse.
 * Read next: vdso.c.
 */
#include <linux/errno.h>
#include <linux/perf_event.h>
#include <linux/prctl.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <asm/processor.h>
#include "layer.h"

/*G:360
 * Ports, of which there are none; segments that programs make (three they can have,
 * by set_thread_area): the LDT would have to be the launcher's.
 */
extern char __x64_sys_ioperm[], __x64_sys_iopl[], __x64_sys_modify_ldt[];
extern char __ia32_sys_ioperm[], __ia32_sys_iopl[], __ia32_sys_modify_ldt[];

static char *const no_calls[] = {
	__x64_sys_ioperm, __x64_sys_iopl,
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	__x64_sys_modify_ldt,
#endif
#ifdef CONFIG_IA32_EMULATION
	__ia32_sys_ioperm, __ia32_sys_iopl,
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	__ia32_sys_modify_ldt,
#endif
#endif
};

static long no_call(void)
{
	return -ENOSYS;
}

/*
 * RDTSC is everybody's, as the kernel runs at ring 3, too.  (What Linux takes from
 * a program in seccomp's strict mode, it has nevertheless.)
 */
static int tsc_mode(unsigned int mode)
{
	return mode == PR_TSC_ENABLE ? 0 : -EINVAL;
}

/*
 * Another kernel would begin with all of the hardware's tables.  Here Linux takes a
 * kernel for kexec, and for kdump; that it is too late later would be no help.
 */
struct kimage;
extern char machine_kexec_prepare[];

static int __maybe_unused no_kexec(struct kimage *image)
{
	pr_err("lguest: a guest cannot go over to another kernel by kexec; `lguest run` one\n");
	return -ENOSYS;
}

/*
 * Breakpoints of the hardware, of ptrace and of perf: there are no
 * registers for any, as if others had them all.
 */
extern struct pmu perf_breakpoint;

static int __maybe_unused no_breakpoint(struct perf_event *event)
{
	return event->attr.type == PERF_TYPE_BREAKPOINT ? -ENOSPC : -ENOENT;
}

/**
 * setup_absent() - refuse what needs more than this machine has
 */
void setup_absent(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(no_calls); i++)
		patch_jump(no_calls[i], no_call);
	patch_jump((char *)set_tsc_mode, tsc_mode);
#ifdef CONFIG_KEXEC_CORE
	patch_jump(machine_kexec_prepare, no_kexec);
#endif
#ifdef CONFIG_HAVE_HW_BREAKPOINT
	perf_breakpoint.event_init = no_breakpoint;
#endif
}

/*G:365
 * Sleep: there is no firmware to wake up by, and nothing that would.  Linux always
 * has "freeze", and "disk" if not told otherwise, so they are taken from its list
 * once it has made that; this is called among the initcalls.
 */
extern const char *pm_states[PM_SUSPEND_MAX];
int nohibernate_setup(char *unused);

void no_sleep_states(void)
{
#ifdef CONFIG_SUSPEND
	memset(pm_states, 0, sizeof(pm_states));
#endif
#ifdef CONFIG_HIBERNATION
	nohibernate_setup(NULL);
#endif
}
