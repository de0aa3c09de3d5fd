/* SPDX-License-Identifier: GPL-2.0 */
/* The small system that a guest without -i boots into. */
#ifndef LGUEST_INITRAMFS_H
#define LGUEST_INITRAMFS_H

#include <stdbool.h>

#include "cpio.h"

/* How the guest's /init shall behave; see there. */
struct session {
	char **command;		/* NULL-ended, or NULL: a shell */
	char **variables;	/* for it, "K=V", NULL-ended; or NULL */
	const struct become *become; /* whom it runs as; or NULL: root */
	const char *start_in;	/* the folder that it starts in; or NULL */
	bool terminal;		/* a person is there, on a raw terminal */
	bool input;		/* the command gets our stdin, framed */
	bool split_stderr;	/* stderr goes another way than stdout */
	unsigned int rows, columns;	/* of the terminal, 0: unknown */
	const char *term;	/* its TERM, or NULL */
	const char *shares;	/* tags to mount, with spaces between, or NULL */
	const struct share_place *places; /* folders to mount in the root; or NULL */
	bool agent;		/* `lguest exec` may come */
	const char *dhcp;	/* cards that get an address so, with spaces, or NULL */
	const char *rootfs;	/* the command runs in the share ROOT_TAG, or NULL */
	const char *folder;	/* ... there, if it exists; or NULL */
	unsigned int report_order; /* of free pages given back, 0: the kernel's choice */
	const char *release;	/* of the guest's kernel, NULL: unknown */
	const char *const *drivers;	/* modules it needs, NULL-ended, or NULL */
};

/* Path of a static x86-64 busybox of this machine, or NULL. */
const char *find_busybox(void);
bool is_static_program(const char *path);
/* Build it; false after a message. */
bool build_initramfs(const struct session *session, struct archive *archive);
/* The same from a given busybox, without looking for one. */
bool pack_initramfs(const struct session *session, const void *busybox,
		    size_t size, struct archive *archive);

/* The guest's /init, and what its power button runs (init.c). */
extern const char guest_init[], guest_poweroff[];
/* What it enters another root with, and what does as DHCP says. */
extern const char guest_enter[], guest_lease[];
/* The program that runs commands there. */
extern const char guest_agent[], guest_agent_end[];

#endif /* LGUEST_INITRAMFS_H */
