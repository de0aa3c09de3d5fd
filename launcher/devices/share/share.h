/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A folder of the host that a guest sees: what the FUSE protocol asks for
 * (<linux/fuse.h>), done beneath one folder and nowhere else, by a process of its own.
 *
 *	vhost_fs.c	(in the machine) or the link to somebody else's server
 *	share_link.c	(in the machine) the link to that process
 *	share_process.c	the process begins
 *	share_server.c	it gets a request, and gives its answer
 *	share.c		the folder, and what its server may do
 *	share_root.c	nothing else has a name
 *	share_request.c	from a request's bytes to an operation, and its answer
 *	share_folders.c	operations on what is in a folder
 *	share_names.c	operations on names
 *	share_files.c	operations on what a name stands for
 *	share_attributes.c modes, owners and times
 *	share_nodes.c	what the guest knows: nodes and open files, both counted
 *	share_body.c	a request's names and structures, one after the other
 *	hiding.c	what the user hides and shows of --rootfs
 *	secrets.c	what is hidden if he says nothing
 *	hidden.c	is a name, or a file, hidden?
 *
 * Each calls only those that come after it.
 *
 * The guest is hostile, and so may be what others do to the folder meanwhile.
 * The rule that keeps it inside: a name is one component, looked up from the
 * descriptor of the folder it is in, and no link is ever followed.
 */
#ifndef LGUEST_SHARE_H
#define LGUEST_SHARE_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "devices/virtio/virtqueue.h"
#include "hidden.h"
#include "share_link.h"

#define SHARE_TAG_MOST	36	/* bytes, not ended by NUL if all are used */
#define SHARE_NODES_MOST (1U << 18)
#define SHARE_OPEN_MOST	4096
#define SHARE_CHAINS	4096
#define SHARE_MODE_MOST	01777	/* no set-user-ID, no set-group-ID */

struct statx;

/* Something the guest looked up and has not forgotten. */
struct node {
	int fd;			/* O_PATH: it cannot be read or written by this */
	uint32_t next;		/* node with the same hash, or next free one; 0: none */
	uint64_t device, number, mount;	/* which it is, for the host */
	uint64_t lookups;	/* that the guest still holds; 0: a free node */
	mode_t type;		/* S_IFMT */
	bool hollow;		/* a file system of the kernel: shown as an empty folder */
	uint16_t way;		/* to what is hidden: hidden.h */
};

/* Something the guest has opened. */
struct open_file {
	int fd;
	uint32_t node;		/* 0: free */
	bool folder;
	bool append;
	struct folder_window *window;	/* what was read of a folder; or NULL */
};

struct share {
	bool read_only;
	bool steady;		/* a root: the guest may believe its cache for long */
	const struct hidden *hidden; /* what the guest does not see; or NULL */
	uint16_t way;		/* of the folder itself */
	bool give_away;		/* we are root: new files belong to the guest's user */
	int root;		/* O_PATH */
	int proc;		/* /proc/self/fd, where nodes are opened anew; -1: not yet */
	struct node *nodes;	/* by number; the root is FUSE_ROOT_ID, 0 is none */
	uint32_t nodes_used, nodes_free;
	uint32_t chains[SHARE_CHAINS];
	struct open_file open[SHARE_OPEN_MOST];
};

/*
 * share.c: NULL, or why not.  In a process of its own: open the folder, and give up
 * the rest.
 */
const char *share_begin(struct share *share, const struct share_settings *settings);
/* Its first part: open, with no bounds. */
const char *share_open(struct share *share, const char *folder);
/* Does this kernel have what keeps the server's opens in the folder? */
bool share_has_landlock(void);

/*
 * vhost_fs.c: a folder by a server that listens at a socket.  What is wrong with the
 * socket, or NULL; the device, or NULL after a message.
 */
struct virtio_device;
const char *vhost_fs_wrong(const char *socket);
struct virtio_device *vhost_fs_create(const char *folder, const char *socket);

/*
 * share_root.c: make the present folder the root folder.  Gives /proc/self/fd, or -1:
 * all is as it was.
 */
int share_enter(void);

/* share_server.c: do one request, whose sizes were checked. */
void share_answer(struct share *share, struct share_window *window,
		  const struct share_ask *ask, struct share_answer *answer);
/* ... and one after the other, until the machine ends. */
void share_serve(struct share *share, struct share_window *window, int socket);

/*
 * share_request.c: one request.  Gives the number of bytes written to its in
 * parts, or VIRTIO_BAD with *rule.
 */
uint32_t share_request(struct share *share, struct chain *chain, enum share_rule *rule);

struct request {
	struct share *share;
	struct fuse_in_header in;
	struct node *node;	/* of in.nodeid; NULL if the operation has none */
	struct chain *chain;	/* what of it is unread and unwritten */
	const uint8_t *at;	/* the rest of the body, in our memory */
	size_t left;
};

/* share_body.c */
/* The next bytes of the body; NULL if there are not so many. */
const void *request_take(struct request *r, size_t size);
/* The next name: one component, not "." or ".."; NULL if it is no such thing. */
const char *request_name(struct request *r);
/* Any text without NUL. */
const char *request_text(struct request *r);
/* The answer's body; gives its size, or -EIO if the guest left no room. */
int request_reply(struct request *r, const void *bytes, size_t size);

/* share_nodes.c */
bool nodes_init(struct share *share);
/* How many descriptors the nodes and open files may have. */
void nodes_descriptors(unsigned int most);
/* Forget everything but the root. */
void nodes_reset(struct share *share);
struct node *node_get(struct share *share, uint64_t number);
uint32_t node_number(const struct share *share, const struct node *node);
/*
 * One more lookup of what fd (O_PATH) is, which parent calls so; fd is ours then.
 * 0 or -errno.
 */
int node_enter(struct share *share, const struct node *parent, const char *name, int fd,
	       struct statx *status, struct node **node);
/* Where a name in a folder leads to: one of hidden.h's. */
uint16_t node_way(const struct share *share, const struct node *folder, const char *name);
void node_forget(struct share *share, uint64_t number, uint64_t lookups);
int node_status(const struct node *node, struct statx *status);
/* Open it for reading or writing: regular files and folders only; or -errno. */
int node_open(const struct share *share, const struct node *node, int flags);
/* Kernel interfaces, as proc and sysfs, are no files to share. */
bool is_kernel_interface(int fd);
/* Keep an open file: its number, or -ENFILE, and fd is closed. */
int open_file_add(struct share *share, const struct node *node, int fd, bool folder,
		  bool append);
struct open_file *open_file_get(struct request *r, uint64_t number, bool folder);
void open_file_close(struct open_file *file);

/*
 * share_nodes.c: give a file the one descriptor that /proc/self/fd is asked about;
 * 0 or -errno.  And let it go.
 */
int hold(int fd);
void let_go(const struct share *share);

/* share_attributes.c: 0 or -errno; only what lies in the folder at that moment. */
enum change_kind { CHANGE_MODE, CHANGE_OWNER, CHANGE_GIVE, CHANGE_TIMES };
struct change {
	uint32_t what;
	uint32_t mode, uid, gid;
	struct timespec times[2];
};
int change_file(const struct share *share, int fd, const struct change *change);

/* The operations: bytes of the answer's body, or -errno. */
/* share_names.c */
int do_lookup(struct request *r);
int do_create(struct request *r);
int do_mknod(struct request *r);
int do_mkdir(struct request *r);
int do_symlink(struct request *r);
int do_link(struct request *r);
int do_unlink(struct request *r);
int do_rmdir(struct request *r);
int do_rename(struct request *r);
int do_rename2(struct request *r);
/* Look a name up for the guest, and fill the answer. */
int enter_name(struct share *share, const struct node *parent, const char *name,
	       struct fuse_entry_out *entry);

/* share_folders.c */
int do_readdir(struct request *r);
int do_readdirplus(struct request *r);

/* share_files.c */
int do_getattr(struct request *r);
int do_setattr(struct request *r);
int do_readlink(struct request *r);
int do_open(struct request *r);
int do_opendir(struct request *r);
int do_read(struct request *r);
int do_write(struct request *r);
int do_release(struct request *r);
int do_releasedir(struct request *r);
int do_fsync(struct request *r);
int do_fsyncdir(struct request *r);
int do_fallocate(struct request *r);
int do_lseek(struct request *r);
int do_statfs(struct request *r);
/* What of the guest's flags for open() is done here. */
int open_flags(uint32_t flags);
bool flags_write(uint32_t flags);
uint32_t share_open_hints(const struct share *share);
void fill_attributes(const struct statx *status, struct fuse_attr *to);
uint64_t share_cache_time(const struct share *share);

#endif /* LGUEST_SHARE_H */
