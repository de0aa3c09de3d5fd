// SPDX-License-Identifier: GPL-2.0
/*
 * Images that are not raw: QEMU's own program, qemu-storage-daemon, serves them.  It
 * opens the files that the user named, and, by Landlock, no others: the names in an
 * image are not followed.  A small process waits for the launcher's end, also by the
 * exec of a restart, and ends it.
 * Read next: qcow2.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/fs.h>
#include <linux/virtio_blk.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/devices.h"
#include "devices/vhost/vhost.h"
#include "disk_file.h"
#include "distribution.h"
#include "io.h"
#include "jail/beside.h"
#include "jail/landlock.h"
#include "lguest.h"

#define PROGRAM		"qemu-storage-daemon"
#define CONFIG_SIZE	60		/* of struct virtio_blk_config: to write zeroes */
#define TRIES		3		/* the last guest's may need a moment to go */
#define TRY_EVERY	500000		/* us */
#define FEATURES	(VIRTIO_BIT(VIRTIO_BLK_F_SIZE_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | \
			 VIRTIO_BIT(VIRTIO_BLK_F_RO) | VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) | \
			 VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | \
			 VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES))

static uint32_t refuse(struct virtio_queue *q, struct chain *chain)
{
	void *status;

	if (!chain_take_end(chain, &status)) {
		q->ring.broken = "a disk request has no room for its status";
		return VIRTIO_BAD;
	}
	*(uint8_t *)status = VIRTIO_BLK_S_IOERR;
	return 1;
}

static const struct virtio_kind kind = {
	.id = VIRTIO_ID_BLOCK,
	.driver = "virtio_blk",
	.queues = 1,
	.refuse = refuse,
	VHOST_KIND,
};

/* By its name, as the user gave it: what a guest wrote to a raw image decides nothing. */
static bool is_qcow2(const char *path)
{
	size_t length = strlen(path);

	return length > 6 && !strcmp(path + length - 6, ".qcow2");
}

bool vhost_blk_serves(const struct disk_option *option)
{
	return option->overlay || is_qcow2(option->path);
}

bool disk_has_server(const char *text)
{
	struct disk_option option;
	bool has = !disk_option_read(&option, text) && vhost_blk_serves(&option);

	free(option.path);
	return has;
}

const char *vhost_blk_wrong(const struct disk_option *o)
{
	const char *why = is_qcow2(o->path) ? qcow2_wrong(o->path) : NULL;

	if (!why && (limits_any(&o->limits) || o->full_fails))
		why = "limits and full= are for raw images without an overlay; leave them out";
	if (!why && o->overlay && !*o->overlay)
		why = "the overlay's name is missing; say overlay=FILE";
	if (!why && o->overlay && is_qcow2(o->path))
		return "an overlay lies over a raw image; `qemu-img convert` it";
	if (!why && o->overlay && o->read_only)
		why = "the image below an overlay is not written to; leave ,ro out";
	if (!why && o->overlay && !access(o->overlay, F_OK))
		why = qcow2_wrong(o->overlay);
	return why;
}

static uint64_t size_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t size = 0;
	struct stat status;

	if (fd >= 0 && !fstat(fd, &status) && (!S_ISBLK(status.st_mode) ||
					       ioctl(fd, BLKGETSIZE64, &size)))
		size = status.st_size;
	if (fd >= 0)
		close(fd);
	return size;
}

static const char *make_overlay(const struct disk_option *o)
{
	int error;

	if (!o->overlay || !access(o->overlay, F_OK))
		return NULL;
	error = qcow2_make(o->overlay, size_of(o->path) & ~(SECTOR - 1));
	if (!error)
		note("%s: an empty overlay of %s is made", o->overlay, o->path);
	return error ? strerror(error) : NULL;
}

static bool is_device(const char *path)
{
	struct stat status;

	return !stat(path, &status) && S_ISBLK(status.st_mode);
}

/* A node of the program's graph, as the words after --blockdev. */
static char *file_node(const char *name, const char *path, bool read_only)
{
	json_t *node = json_pack("{ss ss ss sb}", "driver", is_device(path) ? "host_device" : "file",
				 "node-name", name, "filename", path, "read-only", read_only);

	return node ? json_dumps(node, JSON_COMPACT) : NULL;
}

/* What lies beneath is what we say, whatever the image says: nothing, or that node. */
static char *format_node(const char *name, const char *driver, const char *file,
			 const char *beneath, bool read_only)
{
	json_t *node = json_pack("{ss ss ss sb}", "driver", driver, "node-name", name,
				 "file", file, "read-only", read_only);

	if (node && !strcmp(driver, "qcow2"))
		json_object_set_new(node, "backing", beneath ? json_string(beneath) : json_null());
	return node ? json_dumps(node, JSON_COMPACT) : NULL;
}

#define WORDS	16
static bool make_words(const struct disk_option *o, int listener, char **words)
{
	const bool below_only_read = o->overlay || o->read_only;
	unsigned int n = 0, i;
	static char export[160];

	snprintf(export, sizeof(export), "type=vhost-user-blk,id=disk,node-name=%s,addr.type=fd,addr.str=%d,writable=%s",
		 o->overlay ? "over" : "image", listener, o->read_only ? "off" : "on");
	words[n++] = PROGRAM;
	words[n++] = "--blockdev";
	words[n++] = file_node("image-file", o->path, below_only_read);
	words[n++] = "--blockdev";
	words[n++] = format_node("image", is_qcow2(o->path) ? "qcow2" : "raw", "image-file", NULL,
				 below_only_read);
	if (o->overlay) {
		words[n++] = "--blockdev";
		words[n++] = file_node("over-file", o->overlay, false);
		words[n++] = "--blockdev";
		words[n++] = format_node("over", "qcow2", "over-file", "image", false);
	}
	words[n++] = "--export";
	words[n++] = export;
	words[n] = NULL;
	for (i = 0; i < n; i++)
		if (!words[i])
			return false;
	return true;
}

#define READS	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | \
		 LANDLOCK_ACCESS_FS_EXECUTE)
#define WRITES	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_TRUNCATE)

static void allow(struct landlock_path_beneath_attr *rules, unsigned int *n, const char *path,
		  uint64_t access)
{
	int fd = path ? open(path, O_PATH | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	rules[*n].allowed_access = access;
	rules[(*n)++].parent_fd = fd;
}

/* Its program, libraries, and these images. */
static int confine(const struct disk_option *o)
{
	static const char *const system[] = { "/usr", "/lib", "/lib64", "/bin" };
	struct landlock_path_beneath_attr rules[8];
	unsigned int n = 0, i;

	for (i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		allow(rules, &n, system[i], READS);
	allow(rules, &n, "/etc/ld.so.cache", LANDLOCK_ACCESS_FS_READ_FILE);
	allow(rules, &n, "/dev/null", WRITES);	/* it tries its locks there */
	allow(rules, &n, o->path, o->overlay || o->read_only ? LANDLOCK_ACCESS_FS_READ_FILE : WRITES);
	allow(rules, &n, o->overlay, WRITES);
	return landlock_version() < 1 ? 0 : landlock_restrict(rules, n);
}

/* What it is started with. */
struct birth {
	const struct disk_option *option;
	char **words;
	int listener;
	int said, alive, report;	/* ends of pipes: its stderr, ours, errno of its exec */
	int ours;			/* ... that it lives as long as: our end of alive */
};

static void become_daemon(const struct birth *birth)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;
	int error;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(birth->said, STDERR_FILENO);
	close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	fcntl(birth->listener, F_SETFD, 0);
	error = -confine(birth->option);
	if (!error)
		error = -confine_beside();
	if (!error) {
		execvp(PROGRAM, birth->words);
		error = errno;
	}
	if (write(birth->report, &error, sizeof(error)) < 0)
		_exit(2);
	_exit(1);
}

/* It sleeps until the launcher's end of their pipe is closed. */
static void keep(const struct birth *birth)
{
	pid_t daemon;
	sigset_t all;
	char byte;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "disk-keeper");
	daemon = fork();
	if (!daemon)
		become_daemon(birth);
	dup2(birth->alive, 0);
	close_range(1, ~0U, 0);
	while (read(0, &byte, 1) < 0 && errno == EINTR)
		;
	if (daemon > 0) {
		kill(daemon, SIGTERM);
		waitpid(daemon, NULL, 0);
	}
	_exit(0);
}

/* 0, or the errno of its exec.  Nobody waits for the keeper: its parent ends at once. */
static int start_daemon(struct vhost *v, struct birth *birth)
{
	int report[2], alive[2], said[2], error = 0;
	pid_t child;

	if (pipe2(report, O_CLOEXEC) || pipe2(alive, O_CLOEXEC) || !words_open(said))
		return errno;
	v->words = said[0];
	birth->said = said[1];
	birth->alive = alive[0];
	birth->ours = alive[1];
	birth->report = report[1];
	child = fork();
	if (!child) {
		close(alive[1]);
		close(report[0]);
		if (!fork())
			keep(birth);
		_exit(0);
	}
	close(said[1]);
	close(alive[0]);	/* the other end closes with us */
	close(report[1]);
	if (child < 0)
		error = EAGAIN;
	else if (waitpid(child, NULL, 0) == child &&
		 read(report[0], &error, sizeof(error)) != sizeof(error))
		error = 0;
	close(report[0]);
	return error;
}

/* A socket that has a name only until we are connected; or NULL and *listener. */
static const char *listen_once(struct vhost *v, int *listener)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[] = "/tmp/lguest-disk-XXXXXX";
	const char *why;

	if (!mkdtemp(folder))
		return strerror(errno);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	*listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*listener < 0 || bind(*listener, (void *)&address, sizeof(address)) ||
	    listen(*listener, 1))
		why = strerror(errno);
	else
		why = vhost_connect(v, address.sun_path);
	unlink(address.sun_path);
	rmdir(folder);
	return why;
}

static const char *not_there(void)
{
	static char why[256];

	snprintf(why, sizeof(why), "the program " PROGRAM " is not installed; %s, or use a raw image",
		 how_to_install(PACKAGE_STORAGE, NULL).text);
	return why;
}

#define ENDED	"it ended"
/* With what it said about it. */
static const char *explain(const struct vhost *v, const char *why)
{
	static char text[256];
	char words[200];

	if (!why || strcmp(why, ENDED))
		return why;
	words_last(v->words, words, sizeof(words));
	snprintf(text, sizeof(text), ENDED "%s%s", *words ? ": " : "", words);
	return text;
}

static void close_end(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Its keeper ends it, if it has not ended.  Nothing of this try stays open. */
static void give_up(struct vhost *v, const struct birth *birth)
{
	close_end(v->socket);
	close_end(v->words);
	close_end(birth->ours);
}

static const char *begin(struct vhost *v, struct birth *birth)
{
	const char *why = listen_once(v, &birth->listener);
	int error;

	if (why)
		return why;
	if (!make_words(birth->option, birth->listener, birth->words))
		return "out of memory; free some";
	error = start_daemon(v, birth);
	if (error)
		return error == ENOENT ? not_there() : strerror(error);
	close_end(birth->listener);	/* or its end would never be heard */
	birth->listener = -1;
	v->device.offered = FEATURES;
	return explain(v, vhost_begin(v, &kind, birth->option->path, CONFIG_SIZE));
}

static const char *start(struct vhost *v, const struct disk_option *o)
{
	char *words[WORDS];
	struct birth birth = { .option = o, .words = words, .listener = -1, .ours = -1 };
	const char *why;

	*v = (struct vhost){ .server = PROGRAM, .socket = -1, .words = -1 };
	why = begin(v, &birth);
	close_end(birth.listener);
	if (why)
		give_up(v, &birth);
	return why;
}

/* It cannot have the image: that is what it ends for, should another still have it. */
static bool may_pass(const char *why)
{
	return why && !strncmp(why, ENDED, strlen(ENDED));
}

struct virtio_device *vhost_blk_create(const struct disk_option *o)
{
	struct vhost *v = calloc(1, sizeof(*v));
	const char *why = v ? make_overlay(o) : "out of memory; free some";
	unsigned int tries;

	if (!why)
		why = start(v, o);
	for (tries = 1; may_pass(why) && tries < TRIES; tries++) {
		usleep(TRY_EVERY);
		why = start(v, o);
	}
	if (!why)
		return &v->device;
	problem("cannot use the disk %s: %s", o->path, why);
	free(v);
	return NULL;
}
