// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest knows of a share: nodes, which are files by whatever name, and
 * files that it has opened.  It names both by numbers, of which any may be
 * nonsense; there is a most of each, so that it cannot use up our descriptors.
 * Read next: share_files.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "jail/fixed.h"
#include "share.h"

#define WANTED	(STATX_BASIC_STATS | STATX_MNT_ID)

static unsigned int descriptors;	/* that are left */

void nodes_descriptors(unsigned int most)
{
	descriptors = most;
}

static bool take_descriptor(void)
{
	if (!descriptors)
		return false;
	descriptors--;
	return true;
}

static void give_descriptor(int fd)
{
	close(fd);
	descriptors++;
}

int node_status(const struct node *node, struct statx *status)
{
	return statx(node->fd, fixed_empty, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, WANTED,
		     status) ? -errno : 0;
}

uint32_t node_number(const struct share *share, const struct node *node)
{
	return node - share->nodes;
}

struct node *node_get(struct share *share, uint64_t number)
{
	if (!number || number >= share->nodes_used || !share->nodes[number].lookups)
		return NULL;
	return &share->nodes[number];
}

/*
 * Those that let a reader look into other programs, or a writer command the
 * kernel.  Their numbers are in <linux/magic.h>, but for the last few.
 */
bool is_kernel_interface(int fd)
{
	static const unsigned int kinds[] = {
		PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,
		SECURITYFS_MAGIC, SELINUX_MAGIC, SMACK_MAGIC, CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC, BPF_FS_MAGIC, NSFS_MAGIC,
		PSTOREFS_MAGIC, EFIVARFS_MAGIC, BINFMTFS_MAGIC, RDTGROUP_SUPER_MAGIC,
		BINDERFS_SUPER_MAGIC, 0x62656570 /* configfs */,
		0x65735543 /* fusectl */, 0x19800202 /* mqueue */,
	};
	struct statfs status;
	size_t i;

	if (fstatfs(fd, &status))
		return true;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if ((unsigned int)status.f_type == kinds[i])
			return true;
	return false;
}

static uint64_t device_of(const struct statx *status)
{
	return (uint64_t)status->stx_dev_major << 32 | status->stx_dev_minor;
}

static uint32_t *chain_of(struct share *share, uint64_t number)
{
	return &share->chains[number % SHARE_CHAINS];
}

static struct node *find(struct share *share, const struct statx *status)
{
	uint32_t at = *chain_of(share, status->stx_ino);

	for (; at; at = share->nodes[at].next) {
		struct node *node = &share->nodes[at];

		if (node->number == status->stx_ino && node->mount == status->stx_mnt_id &&
		    node->device == device_of(status))
			return node;
	}
	return NULL;
}

static struct node *new_node(struct share *share)
{
	uint32_t at = share->nodes_free;

	if ((!at && share->nodes_used == SHARE_NODES_MOST) || !take_descriptor())
		return NULL;
	if (at)
		share->nodes_free = share->nodes[at].next;
	else
		at = share->nodes_used++;
	return &share->nodes[at];
}

static struct node *add(struct share *share, int fd, const struct statx *status)
{
	uint32_t *chain = chain_of(share, status->stx_ino);
	struct node *node = new_node(share);

	if (!node)
		return NULL;
	*node = (struct node){
		.fd = fd,
		.next = *chain,
		.device = device_of(status),
		.number = status->stx_ino,
		.mount = status->stx_mnt_id,
		.type = status->stx_mode & S_IFMT,
	};
	*chain = node_number(share, node);
	return node;
}

uint16_t node_way(const struct share *share, const struct node *folder, const char *name)
{
	return hidden_way(share->hidden, folder->way, name);
}

/* 0 or -errno; a file that is hidden is so by each of its names. */
static int look_at(const struct share *share, int fd, struct statx *status)
{
	const struct node opened = { .fd = fd };
	int error = node_status(&opened, status);

	if (!error && hidden_file(share->hidden, device_of(status), status->stx_ino))
		error = -ENOENT;
	return error;
}

int node_enter(struct share *share, const struct node *parent, const char *name, int fd,
	       struct statx *status, struct node **found)
{
	int error = look_at(share, fd, status);
	struct node *node = error ? NULL : find(share, status);

	if (node) {
		close(fd);
	} else {
		node = error ? NULL : add(share, fd, status);
		if (!node) {
			close(fd);
			return error ? error : -ENFILE;
		}
		if (parent->mount != node->mount)
			node->hollow = is_kernel_interface(fd);
	}
	if (!node->way)
		node->way = node_way(share, parent, name);
	node->lookups++;
	*found = node;
	return 0;
}

static void drop(struct share *share, struct node *node)
{
	uint32_t number = node_number(share, node);
	uint32_t *at = chain_of(share, node->number);

	while (*at != number)
		at = &share->nodes[*at].next;
	*at = node->next;
	give_descriptor(node->fd);
	node->lookups = 0;
	node->next = share->nodes_free;
	share->nodes_free = number;
}

/* The root stays, whatever the guest says; and it may say too much. */
void node_forget(struct share *share, uint64_t number, uint64_t lookups)
{
	struct node *node = node_get(share, number);

	if (!node || number == FUSE_ROOT_ID)
		return;
	if (lookups < node->lookups)
		node->lookups -= lookups;
	else
		drop(share, node);
}

bool nodes_init(struct share *share)
{
	struct statx status;
	struct node *root;

	share->nodes = mmap(NULL, SHARE_NODES_MOST * sizeof(*share->nodes),
			    PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (share->nodes == MAP_FAILED)
		return false;
	share->nodes_used = FUSE_ROOT_ID;
	root = &share->nodes[FUSE_ROOT_ID];
	root->fd = share->root;
	if (node_status(root, &status) || !add(share, share->root, &status))
		return false;
	root->lookups = 1;
	root->way = share->way;
	return true;
}

void nodes_reset(struct share *share)
{
	uint32_t i;

	for (i = 0; i < SHARE_OPEN_MOST; i++)
		if (share->open[i].node)
			open_file_close(&share->open[i]);
	for (i = FUSE_ROOT_ID + 1; i < share->nodes_used; i++)
		if (share->nodes[i].lookups)
			drop(share, &share->nodes[i]);
}

/*
 * The kernel's link to a descriptor, in /proc/self/fd, has its number for a name, and
 * one such name is all that the filter knows.  What is held longer than needed would
 * keep its place on the disk when it is removed.
 */
int hold(int fd)
{
	return dup2(fd, FIXED_HELD) < 0 ? -errno : 0;
}

void let_go(const struct share *share)
{
	dup2(share->root, FIXED_HELD);
}

/*D:530
 * A node's own descriptor cannot read or write.  The kernel's link to it in
 * /proc/self/fd opens the very same file anew, whatever has become of its name.
 * Devices, pipes and sockets are for the guest's kernel alone: opening one here
 * would do something, or wait.
 :*/
int node_open(const struct share *share, const struct node *node, int flags)
{
	int fd;

	if (!S_ISREG(node->type) && !S_ISDIR(node->type))
		return S_ISLNK(node->type) ? -ELOOP : -ENXIO;
	fd = hold(node->fd);
	if (!fd) {
		fd = openat(share->proc, fixed_held, flags | O_CLOEXEC | O_NOCTTY);
		fd = fd < 0 ? -errno : fd;
	}
	let_go(share);
	return fd;
}

int open_file_add(struct share *share, const struct node *node, int fd, bool folder,
		  bool append)
{
	uint32_t i;

	for (i = 0; i < SHARE_OPEN_MOST; i++) {
		if (share->open[i].node)
			continue;
		if (!take_descriptor())
			break;
		share->open[i] = (struct open_file){
			.fd = fd,
			.node = node_number(share, node),
			.folder = folder,
			.append = append,
		};
		return i;
	}
	close(fd);
	return -ENFILE;
}

struct open_file *open_file_get(struct request *r, uint64_t number, bool folder)
{
	struct open_file *file;

	if (number >= SHARE_OPEN_MOST)
		return NULL;
	file = &r->share->open[number];
	return file->node == r->in.nodeid && file->folder == folder ? file : NULL;
}

void open_file_close(struct open_file *file)
{
	give_descriptor(file->fd);
	free(file->window);
	file->window = NULL;
	file->node = 0;
}
