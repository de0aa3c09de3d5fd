// SPDX-License-Identifier: GPL-2.0
/*
 * Folders of the host in the guest (virtio standard 1.2, section 5.11): one
 * queue for what must not wait, one for all other requests, and a name by which
 * the guest mounts it.  What is in a request is its server's, a process of its own.
 * Read next: vhost_fs.c.
 */
#include <ctype.h>
#include <errno.h>
#include <linux/virtio_fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "devices/devices.h"
#include "devices/virtio/virtio.h"
#include "lguest.h"
#include "share.h"

#define DEFAULT_TAG	"share"
#define FORGET_AFTER	50000000	/* ns */
#define RW_TAG		"lguest-rw-"
#define VIA		",via="

static struct fs {
	struct share_link link;
	char tag[SHARE_TAG_MOST + 1];
	bool steady;
	const char *place;	/* in the guest's root, of a folder of --rw; or NULL */
} *shares[SHARES_MOST];
static unsigned int count;
static const char *root_folder;		/* of --rootfs; NULL if there is none */

static uint32_t handle(struct virtio_queue *q, struct chain *chain)
{
	struct fs *fs = q->device->state;

	return share_link_request(&fs->link, chain, &q->ring.broken);
}

/*
 * The first queue's requests are forgets: the next of the other's takes them along, or,
 * if none comes, they go when nothing more is forgotten.
 */
static void serve(struct virtio_queue *q)
{
	const unsigned long long before = q->counts.requests;
	struct fs *fs = q->device->state;

	virtio_each(q, handle);
	if (q->number)
		return;
	if (q->counts.requests == before)
		share_link_forget(&fs->link);
	else
		q->wake = now_ns() + FORGET_AFTER;
}

static const struct virtio_kind kind = {
	.id = VIRTIO_ID_FS,
	.driver = "virtiofs",
	.queues = 2,
	.thread = THREAD_FS,
	.serve = serve,
};

static void configure(struct virtio_device *device, const char *tag)
{
	struct virtio_fs_config config = { .num_request_queues = 1 };

	memcpy(config.tag, tag, strlen(tag));
	memcpy(device->config, &config, sizeof(config));
	device->config_size = sizeof(config);
}

/* What is wrong with a tag; it becomes a folder's name in the guest. */
static const char *wrong_tag(const char *tag)
{
	const char *c;

	if (!*tag || strlen(tag) > SHARE_TAG_MOST)
		return "a tag has 1 to 36 letters; give one with --share DIR:TAG";
	for (c = tag; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-_", *c))
			return "a tag is made of letters, digits, - and _; give one with --share DIR:TAG";
	return NULL;
}

static bool is_folder(const char *path)
{
	struct stat status;

	return !stat(path, &status) && S_ISDIR(status.st_mode);
}

/* "DIR[:TAG][,ro|,via=SOCKET]", taken apart.  A folder's own name may have a colon. */
static const char *take_apart(char *option, struct share_settings *settings)
{
	char *colon, *via = strstr(option, VIA);

	settings->folder = option;
	if (via) {
		*via = '\0';
		settings->via = via + strlen(VIA);
	}
	settings->read_only = path_take_ro(option);
	colon = strrchr(option, ':');
	if (!colon)
		return DEFAULT_TAG;
	*colon = '\0';
	if (is_folder(option))
		return colon + 1;
	*colon = ':';
	if (is_folder(option))
		return DEFAULT_TAG;
	*colon = '\0';
	return colon + 1;
}

static const char *wrong_folder(const char *folder)
{
	struct stat status;

	if (!*folder)
		return "its name is missing; say --share DIR";
	if (stat(folder, &status))
		return errno == ENOENT ? "No such file or directory; make the folder with `mkdir`" :
					 strerror(errno);
	return S_ISDIR(status.st_mode) ? NULL :
	       "Not a directory; share the folder that it lies in";
}

static const char *wrong_share(const char *folder, const char *tag)
{
	static char tags[SHARES_MOST][SHARE_TAG_MOST + 1];
	static unsigned int used;
	const char *why = wrong_folder(folder);
	unsigned int i;

	if (!why)
		why = wrong_tag(tag);
	for (i = 0; i < used && !why; i++)
		if (!strcmp(tag, tags[i]))
			why = "another share has this tag; give each its own with --share DIR:TAG";
	if (!why && used == SHARES_MOST)
		why = "a guest has 8 shares at most; leave one out";
	if (!why)
		strcpy(tags[used++], tag);
	return why;
}

static bool say_why(const char *option, const char *why)
{
	if (why)
		problem("cannot share %s: %s", option, why);
	return !why;
}

/* Called for each in turn: their tags must differ. */
bool share_check(const char *option)
{
	struct share_settings settings = { .via = NULL };
	char *folder = strdup(option);
	const char *tag = folder ? take_apart(folder, &settings) : NULL;
	const char *why = folder ? wrong_share(folder, tag) : "out of memory";

	if (!why && settings.via)
		why = settings.read_only ? "with via= it is the server who keeps it as it is; leave ,ro out" :
					   vhost_fs_wrong(settings.via);
	if (!why && (!strcmp(tag, ROOT_TAG) || !strncmp(tag, RW_TAG, strlen(RW_TAG))))
		why = "this tag is --rootfs' or --rw's; give another with --share DIR:TAG";
	free(folder);
	return say_why(option, why);
}

bool share_has_server(const char *option)
{
	return strstr(option, VIA);
}

bool rootfs_check(const char *folder)
{
	root_folder = folder;
	return say_why(folder, wrong_share(folder, ROOT_TAG));
}

/* The folder's place in the root; NULL if it has none, or there is no memory. */
static char *place_in_root(const char *folder)
{
	char *root = path_settle(root_folder), *path = path_settle(folder), *place = NULL;

	if (root && path && path_below(path, root))
		place = strdup(path + (root[1] ? strlen(root) : 0));
	free(root);
	free(path);
	return place;
}

/* Called after rootfs_check(), for each in turn. */
bool rw_check(const char *folder)
{
	static unsigned int n;
	char tag[SHARE_TAG_MOST], *place;
	const char *why;

	snprintf(tag, sizeof(tag), RW_TAG "%u", n++);
	why = root_folder ? wrong_share(folder, tag) : "there is no --rootfs; add it, or say --share";
	if (!why) {
		place = place_in_root(folder);
		why = place ? NULL : "it does not lie below --rootfs; say --share";
		free(place);
	}
	return say_why(folder, why);
}

/* So much of it as the guest may see. */
static void hide(struct share_settings *settings, bool secrets)
{
	char *path = path_settle(settings->folder);

	settings->hidden = hiding_of(secrets);
	settings->way = hidden_way_of(settings->hidden, path ? path : settings->folder);
	/* Hidden by itself, or in a folder that is so, but asked for by name. */
	if (settings->way == WAY_HIDDEN)
		settings->way = WAY_NONE;
	free(path);
}

static void warn_of(const char *folder)
{
	if (!share_has_landlock())
		problem("%s: this kernel has no Landlock of Linux 5.19, which would keep a guest that breaks into its launcher in this folder; share nothing with guests you do not trust",
			folder);
}

/* With a server of our own. */
static struct virtio_device *create_own(struct fs *fs, const struct share_settings *settings)
{
	struct virtio_device *device = calloc(1, sizeof(*device));
	const char *why = device ? share_start(&fs->link, settings) : "out of memory; free some";

	if (why)
		problem("cannot share %s: %s", settings->folder, why);
	if (why || !virtio_init(device, &kind, settings->folder, fs)) {
		free(device);
		return NULL;
	}
	warn_of(settings->folder);
	return device;
}

static struct virtio_device *create(struct share_settings *settings, const char *tag,
				    char *place)
{
	struct virtio_device *device;
	struct fs *fs = calloc(1, sizeof(*fs));
	const char *why = wrong_tag(tag);

	if (!fs)
		why = "out of memory; free some";
	else if (count == SHARES_MOST)
		why = "a guest has 8 shares at most; leave one out";
	if (why) {
		problem("cannot share %s: %s", settings->folder, why);
		free(fs);
		return NULL;
	}
	hide(settings, settings->steady || place);
	device = settings->via ? vhost_fs_create(settings->folder, settings->via) :
				 create_own(fs, settings);
	if (!device)
		return NULL;
	strcpy(fs->tag, tag);
	fs->steady = settings->steady;
	fs->place = place;
	configure(device, tag);
	shares[count++] = fs;
	return device;
}

/* Its parts stay for as long as the launcher lives. */
struct virtio_device *share_create(const char *option)
{
	struct share_settings settings = { .via = NULL };
	char *folder = strdup(option);
	const char *tag;

	if (!folder)
		return NULL;
	tag = take_apart(folder, &settings);
	return create(&settings, tag, NULL);
}

struct virtio_device *rootfs_create(const char *folder)
{
	struct share_settings settings = { .folder = folder, .read_only = true, .steady = true };

	root_folder = folder;
	return create(&settings, ROOT_TAG, NULL);
}

struct virtio_device *rw_create(const char *folder)
{
	struct share_settings settings = { .folder = folder };
	static unsigned int n;
	char tag[SHARE_TAG_MOST], *place = place_in_root(folder);

	if (!place) {
		problem("cannot share %s: it has left --rootfs", folder);
		return NULL;
	}
	snprintf(tag, sizeof(tag), RW_TAG "%u", n++);
	return create(&settings, tag, place);
}

const struct share_place *share_places(void)
{
	static struct share_place places[SHARES_MOST + 1];
	unsigned int i, n = 0;

	for (i = 0; i < count; i++)
		if (shares[i]->place)
			places[n++] = (struct share_place){ shares[i]->tag, shares[i]->place };
	return places;
}

const char *share_tags(void)
{
	static char text[SHARES_MOST * (SHARE_TAG_MOST + 1) + 1];
	size_t used = 0;
	unsigned int i;

	text[0] = '\0';
	for (i = 0; i < count; i++)
		if (!shares[i]->steady && !shares[i]->place)
			used += snprintf(text + used, sizeof(text) - used, "%s%s",
					 used ? " " : "", shares[i]->tag);
	return text;
}
