// SPDX-License-Identifier: GPL-2.0
/*
 * --hide and --show: what is wrong with them, and what becomes of them.  Both are
 * paths of the host, as --rootfs and --rw are.
 * Read next: devices/vsock/virtio_vsock.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "devices/devices.h"
#include "hidden.h"
#include "lguest.h"
#include "options.h"

/* For all folders of the guest; and for --rootfs and --rw, what is secret besides. */
static struct hidden *asked, *with_secrets;

/* What is wrong with hiding it; NULL if nothing is. */
static const char *wrong_hide(const char *root, const char *path)
{
	struct stat status;
	char *settled;
	const char *why = NULL;

	if (lstat(path, &status))
		return errno == ENOENT ? "No such file or directory; say what is to be hidden as the host calls it" :
					 strerror(errno);
	settled = path_place(path);
	if (!settled)
		return "out of memory; free some";
	if (!path_below(settled, root))
		why = "it does not lie below --rootfs, so the guest does not see it; leave it out";
	free(settled);
	return why;
}

static const char *wrong_show(const char *path)
{
	if (secrets_shows(path))
		return NULL;
	return "nothing there is hidden by itself; docs/SECURITY.md lists what is";
}

bool hiding_check(const char *rootfs, const struct text_list *hide, const struct text_list *show)
{
	char *root = rootfs ? path_settle(rootfs) : NULL;
	const char *why = NULL, *path = NULL;
	unsigned int i;

	for (i = 0; !why && i < hide->count; i++) {
		path = hide->items[i];
		why = root ? wrong_hide(root, path) : "there is no --rootfs; add it";
	}
	if (why)
		problem("cannot hide %s: %s", path, why);
	for (i = 0; !why && i < show->count; i++) {
		path = show->items[i];
		why = root ? wrong_show(path) : "there is no --rootfs; add it";
		if (why)
			problem("cannot show %s: %s", path, why);
	}
	free(root);
	return !why;
}

static bool add_secret(void *root, const char *path)
{
	hidden_add(with_secrets, root, path, strpbrk(strrchr(path, '/'), "*?["));
	return true;
}

static bool hide_all(char *root, const struct text_list *hide, const struct text_list *show)
{
	unsigned int i;

	asked = hidden_create();
	with_secrets = hidden_create();
	if (!root || !asked || !with_secrets)
		return false;
	for (i = 0; i < hide->count; i++) {
		hidden_add(asked, root, hide->items[i], false);
		hidden_add(with_secrets, root, hide->items[i], false);
	}
	secrets_each(show, add_secret, root);
	return hidden_complete(asked) && hidden_complete(with_secrets);
}

bool hiding_begin(const char *rootfs, const struct text_list *hide, const struct text_list *show)
{
	char *root = rootfs ? path_settle(rootfs) : NULL;
	bool ok = !rootfs || hide_all(root, hide, show);

	if (!ok)
		problem("cannot hide what the guest shall not see: out of memory; free some");
	free(root);
	return ok;
}

const struct hidden *hiding_of(bool secrets)
{
	return secrets ? with_secrets : asked;
}
