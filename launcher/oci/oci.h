/* SPDX-License-Identifier: GPL-2.0 */
/*
 * `lguest oci`: containers of podman and others as guests.  The runtime's commands are in
 * cmd_oci.c, what a bundle asks for in oci_config.c, what is known of a container in
 * oci_state.c, its process in oci_process.c, its guest in oci_guest.c.
 */
#ifndef LGUEST_OCI_H
#define LGUEST_OCI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OCI_VERSION	"1.0.2"
#define OCI_ROOT	"/mnt/root"	/* the container's, in the guest */

struct oci_process {
	char **words, **variables;	/* NULL-ended */
	const char *folder;
	char user[256];			/* as in struct agent_start */
	bool terminal;
	unsigned int rows, columns;
};

/* What of a bundle's config.json counts; the texts live as long as the object. */
struct oci_config {
	json_t *object;
	const char *hostname;
	char *root;			/* of the host, absolute */
	bool read_only;
	bool network;
	uint64_t memory;		/* bytes, 0: not said */
	unsigned int vcpus;		/* 0: not said */
	struct oci_process process;
};

/* False after a message. */
bool oci_read_config(const char *bundle, struct oci_config *config);
bool oci_read_process(const json_t *object, struct oci_process *process);

struct oci_container {
	char folder[128];		/* ROOT/ID */
	char id[80];
	char guest[49];			/* its name */
	char *bundle;
	pid_t pid;			/* 0: none yet */
	uint64_t born;			/* of that: when it started */
	json_t *annotations;		/* or NULL */
};

/* A new one, which nobody has; false after a message. */
bool oci_make(struct oci_container *container, const char *root, const char *id,
	      const char *bundle);
/* One that is there; false after a message, unless quiet. */
bool oci_find(struct oci_container *container, const char *root, const char *id, bool quiet);
bool oci_keep(const struct oci_container *container);
/* When a process started; 0: it is gone. */
uint64_t oci_birth(pid_t pid);
/* "creating", "created", "running", "stopped". */
const char *oci_status(const struct oci_container *container);
/* Where containers are kept, if nobody says: beside the guests; NULL after a message. */
const char *oci_default_root(void);
void oci_forget(const struct oci_container *container);
/* The file by which its process is told to begin. */
void oci_fifo(const struct oci_container *container, char *path, size_t size);

/* Start the guest, with all that the config wants in it; false after a message. */
bool oci_start_guest(const struct oci_container *container, const struct oci_config *config);
/* If it runs. */
void oci_stop_guest(const struct oci_container *container);
/* Run `lguest WORDS...` and wait; its status. */
int oci_lguest(char **words);

struct oci_launch {
	const struct oci_container *container;
	const struct oci_process *process;
	const char *console;		/* a socket that gets the terminal, or NULL */
	const char *pid_file;		/* or NULL */
	bool first;			/* the container's own: waits, and ends the guest */
};

/* A process of the host that is the one in the guest; its PID, or -1 after a message. */
pid_t oci_launch(const struct oci_launch *launch);

#endif /* LGUEST_OCI_H */
