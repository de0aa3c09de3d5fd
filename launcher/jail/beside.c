// SPDX-License-Identifier: GPL-2.0
/*
 * A filter for a program that is not ours: which calls it needs is for its next version to
 * say, so that this one names what it does not need to serve a device.  They fail, as
 * they do where they are not allowed; files are Landlock's affair.
 * Read next: fixed.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <unistd.h>

#include "beside.h"

#define CALL(name)	SCMP_SYS(name)

/*L:335
 * It has the sockets that it was given.  io_uring would do what is refused here; QEMU's
 * programs go on without.
 :*/
static const int refused[] = {
	CALL(socket), CALL(connect), CALL(bind), CALL(io_uring_setup),
	/* other processes */
	CALL(fork), CALL(vfork), CALL(kill), CALL(tkill), CALL(rt_sigqueueinfo), CALL(ptrace),
	CALL(process_vm_readv), CALL(process_vm_writev), CALL(kcmp),
	CALL(pidfd_open), CALL(pidfd_getfd), CALL(pidfd_send_signal), CALL(perf_event_open),
	/* other namespaces, mounts, owners */
	CALL(unshare), CALL(setns), CALL(mount), CALL(umount2), CALL(pivot_root), CALL(chroot),
	CALL(fsopen), CALL(fsmount), CALL(move_mount), CALL(open_tree), CALL(mount_setattr),
	CALL(mknod), CALL(mknodat), CALL(open_by_handle_at), CALL(fanotify_init),
	CALL(chown), CALL(fchown), CALL(lchown), CALL(fchownat),
	CALL(setuid), CALL(setgid), CALL(setresuid), CALL(setresgid), CALL(capset),
	/* the machine */
	CALL(bpf), CALL(userfaultfd), CALL(keyctl), CALL(add_key), CALL(request_key),
	CALL(init_module), CALL(finit_module), CALL(delete_module), CALL(kexec_load),
	CALL(kexec_file_load), CALL(reboot), CALL(swapon), CALL(swapoff), CALL(acct),
	CALL(iopl), CALL(ioperm), CALL(modify_ldt), CALL(settimeofday), CALL(clock_settime),
	CALL(sethostname), CALL(setdomainname), CALL(syslog), CALL(quotactl),
};

/* Threads, but no processes; signals to itself only. */
static int refuse_some(scmp_filter_ctx filter)
{
	int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0);

	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), CALL(clone), 1,
					 SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), CALL(tgkill), 1,
					 SCMP_A0(SCMP_CMP_NE, getpid()));
	return error;
}

int confine_beside(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int error = filter ? refuse_some(filter) : -ENOMEM;
	size_t i;

	for (i = 0; !error && i < sizeof(refused) / sizeof(refused[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	if (!error)
		error = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	return error;
}
