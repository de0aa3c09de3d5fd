/* SPDX-License-Identifier: GPL-2.0 */
/* What the machine's threads, and its small processes, may ask of the kernel once the guest is set up. */
#ifndef LGUEST_CONFINE_H
#define LGUEST_CONFINE_H

#include <stdbool.h>

enum thread_kind {
	THREAD_VCPU,
	THREAD_DISK,	/* and those that a disk starts */
	THREAD_NET,
	THREAD_VSOCK,
	THREAD_RNG,
	THREAD_BALLOON,
	THREAD_LINE,	/* to the supervisor: machine/line.c */
	THREAD_DOOR,	/* a process: vsock_door.c */
	THREAD_FS,	/* which asks the server of a share */
	THREAD_SHARE,	/* a process, that server: devices/share/share_process.c */
	THREAD_SHARE_RO, /* ... which cannot change any file */
	THREAD_VHOST,	/* which looks after a device's server */
	THREAD_KINDS
};

/* At first: no more descriptors than a guest without shares needs. */
void confine_files(void);
/* Say what this kernel lacks. */
void confine_warn(void);
/*
 * The whole process, when everything is open: no file of whoever started it, no
 * new privileges, no core, nobody may look into it, little more memory.
 */
void confine_process(void);
/* A part of that, for the supervisor: files that we were started with. */
void confine_close_inherited(void);
/*
 * Threads of that kind will list PATH, which must stay valid, and remove files
 * from it; false if there are too many such folders.
 */
bool confine_allow_folder(enum thread_kind kind, const char *path);
/* The vCPUs' threads will send descriptors, to the servers of devices. */
void confine_allow_sending(void);
/* The calling thread, and those it starts; false after a message. */
bool confine_thread(enum thread_kind kind);

#endif /* LGUEST_CONFINE_H */
