// SPDX-License-Identifier: GPL-2.0
/*
 * All that the launcher knows of distributions.  A sentence that tells to
 * install something asks here for the command, so that each names the package of
 * the machine that it is read on, and a distribution is added by a column.
 * Read next: check/cmd_report.c.
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "distribution.h"

enum { DEBIAN, UBUNTU, RHEL, FEDORA, ARCH, DISTRIBUTIONS };

static const struct distribution {
	const char *id;		/* in ID or ID_LIKE of os-release(5) */
	const char *install;
} distributions[DISTRIBUTIONS] = {
	[DEBIAN] = { "debian", "apt-get install" },
	[UBUNTU] = { "ubuntu", "apt-get install" },
	[RHEL] = { "rhel", "dnf install" },
	[FEDORA] = { "fedora", "dnf install" },
	[ARCH] = { "arch", "pacman -S" },
};

/* %s is the kernel's release.  NULL: it has none (RHEL's kernels cannot be guests). */
static const struct {
	const char *words;
	const char *names[DISTRIBUTIONS];
} packages[] = {
	[PACKAGE_BUSYBOX] = { "a static busybox",
		{ "busybox-static", "busybox-static", NULL, "busybox", "busybox" } },
	[PACKAGE_BINUTILS] = { "the binutils",
		{ "binutils", "binutils", "binutils", "binutils", "binutils" } },
	[PACKAGE_PASST] = { "passt",
		{ "passt", "passt", "passt", "passt", "passt" } },
	[PACKAGE_STORAGE] = { "qemu-storage-daemon",
		{ "qemu-system-common", "qemu-system-common", "qemu-img", "qemu-img", NULL } },
	[PACKAGE_KDUMP] = { "kdump",
		{ "kdump-tools", "linux-crashdump", "kexec-tools", "kdump-utils", NULL } },
	[PACKAGE_BZIP2] = { "the library libbz2",
		{ "libbz2-1.0", "libbz2-1.0", "bzip2-libs", "bzip2-libs", "bzip2" } },
	[PACKAGE_LZO] = { "the library liblzo2",
		{ "liblzo2-2", "liblzo2-2", "lzo", "lzo", "lzo" } },
	[PACKAGE_KERNEL] = { "a kernel that has CONFIG_XEN_PV",
		{ "linux-image-amd64", "linux-image-generic", NULL, "kernel-core", "linux" } },
	[PACKAGE_IMAGE] = { "the kernel %s with its modules",
		{ "linux-image-%s", "linux-image-%s", "kernel-core-%s", "kernel-core-%s",
		  "linux" } },
	[PACKAGE_HEADERS] = { "the headers of the kernel %s",
		{ "linux-headers-%s", "linux-headers-%s", "kernel-devel-%s",
		  "kernel-devel-%s", "linux-headers" } },
};

static int called(const char *id, size_t len)
{
	int i;

	for (i = 0; i < DISTRIBUTIONS; i++)
		if (strlen(distributions[i].id) == len &&
		    !strncmp(distributions[i].id, id, len))
			return i;
	return -1;
}

/* The first word in the value of KEY that is a distribution of ours, or -1. */
static int by_key(const char *text, const char *key)
{
	size_t len = strlen(key);
	int found = -1;

	for (; *text && found < 0; text += strcspn(text, "\n"), text += *text == '\n') {
		const char *at = text + len, *end = text + strcspn(text, "\n");

		if (strncmp(text, key, len) || *at != '=')
			continue;
		while (found < 0 && at < end) {
			size_t word;

			at += strspn(at, "= \"'");
			word = strcspn(at, " \"'\n");
			found = called(at, word);
			at += word;
		}
	}
	return found;
}

static int distribution_in(const char *os_release)
{
	int i = by_key(os_release, "ID");

	return i < 0 ? by_key(os_release, "ID_LIKE") : i;
}

struct hint hint_for(const char *os_release, enum package package, const char *release)
{
	int i = distribution_in(os_release);
	const char *name = i < 0 ? NULL : packages[package].names[i];
	const char *install = name ? distributions[i].install : "install";
	const char *quote = name ? "`" : "", *hole;
	struct hint hint;

	if (!name)
		name = packages[package].words;
	hole = strstr(name, "%s");
	if (hole)
		snprintf(hint.text, sizeof(hint.text), "%s%s %.*s%.64s%s%s", quote, install,
			 (int)(hole - name), name, release ? release : "RELEASE", hole + 2,
			 quote);
	else
		snprintf(hint.text, sizeof(hint.text), "%s%s %s%s", quote, install, name, quote);
	return hint;
}

/* Read once; without it there are only the words for any distribution. */
static const char *os_release(void)
{
	static char text[4096];
	static bool known;
	FILE *file;

	if (known)
		return text;
	known = true;
	file = fopen("/etc/os-release", "re");
	if (!file)
		file = fopen("/usr/lib/os-release", "re");
	if (!file)
		return text;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

struct hint how_to_install(enum package package, const char *release)
{
	return hint_for(os_release(), package, release);
}

const char *running_kernel(void)
{
	return distribution_in(os_release()) == ARCH ?
	       "/usr/lib/modules/$(uname -r)/vmlinuz" : "/boot/vmlinuz-$(uname -r)";
}

const char *dkms_key(void)
{
	return distribution_in(os_release()) == UBUNTU ?
	       "/var/lib/shim-signed/mok/MOK.der" : "/var/lib/dkms/mok.pub";
}

static const char *const places[] = { KERNELS_IN_BOOT, KERNELS_WITH_MODULES };

/* What stands for the star in a place: mostly the kernel's release. */
static void release_of(char *release, size_t room, const char *path)
{
	size_t i;

	*release = '\0';
	for (i = 0; i < sizeof(places) / sizeof(*places); i++) {
		size_t before = strcspn(places[i], "*");
		size_t behind = strlen(places[i]) - before - 1;
		char start[64];
		const char *at;

		snprintf(start, sizeof(start), "%.*s", (int)before, places[i]);
		at = strstr(path, start);
		if (!at)
			continue;
		at += before;
		snprintf(release, room, "%.*s", (int)(strlen(at) - behind), at);
		return;
	}
}

static int compare_kernels(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;
	char releases[2][256];
	int ret;

	release_of(releases[0], sizeof(releases[0]), *left);
	release_of(releases[1], sizeof(releases[1]), *right);
	/* Names that are no release (Arch's vmlinuz-linux) come last. */
	ret = !isdigit(*releases[0]) - !isdigit(*releases[1]);
	if (!ret)
		ret = strverscmp(releases[1], releases[0]);
	return ret ? ret : strcmp(*left, *right);
}

static bool same_release(const char *a, const char *b)
{
	char releases[2][256];

	release_of(releases[0], sizeof(releases[0]), a);
	release_of(releases[1], sizeof(releases[1]), b);
	return !strcmp(releases[0], releases[1]);
}

/*
 * Debian and Ubuntu have theirs in /boot, Arch and Debian's of 7.x with the modules,
 * Fedora in both places: there one is enough.
 */
char **installed_kernels(const char *root)
{
	glob_t found = { .gl_pathc = 0 };
	char pattern[4096], **kernels;
	size_t i, kept = 0;

	for (i = 0; i < sizeof(places) / sizeof(*places); i++) {
		snprintf(pattern, sizeof(pattern), "%s%s", root, places[i]);
		glob(pattern, GLOB_NOSORT | (i ? GLOB_APPEND : 0), NULL, &found);
	}
	kernels = calloc(found.gl_pathc + 1, sizeof(*kernels));
	if (found.gl_pathc)
		qsort(found.gl_pathv, found.gl_pathc, sizeof(*kernels), compare_kernels);
	for (i = 0; kernels && i < found.gl_pathc; i++)
		if (!kept || !same_release(kernels[kept - 1], found.gl_pathv[i]))
			kernels[kept++] = strdup(found.gl_pathv[i]);
	globfree(&found);
	return kernels;
}

void free_kernels(char **kernels)
{
	size_t i;

	for (i = 0; kernels && kernels[i]; i++)
		free(kernels[i]);
	free(kernels);
}
