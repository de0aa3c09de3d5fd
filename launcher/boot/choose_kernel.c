// SPDX-License-Identifier: GPL-2.0
/*
 * Which kernel a guest boots: the one the user names (a distribution's vmlinuz,
 * the vmlinux inside it, or a file that is linked already), or else the newest
 * installed one that can be used.  Where that is an older one than there is, its user may
 * take it for the new one: so that is said, always.  Linking happens at the first use
 * of a kernel; linker/linker.h tells how.
 * Read next: hardware/memory.c.
 */
#define _GNU_SOURCE 1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "choose_kernel.h"
#include "distribution.h"
#include "lguest.h"
#include "linker/linker.h"
#include "load.h"

static char *link_kernel(const char *vmlinuz, bool try_anyway,
			 struct lguest_error *error)
{
	struct lguest_link_options options = {
		.verbose = verbose ? stderr : NULL,
		.try_anyway = try_anyway,
	};
	char *linked = NULL;

	if (lguest_link(vmlinuz, &options, &linked, error) < 0)
		return NULL;
	return linked;
}

/* The newest one's trouble is what to repair, if there is any. */
static char *try_kernels(char **kernels, bool try_anyway, char **vmlinuz, char **why)
{
	for (; *kernels; kernels++) {
		struct lguest_error error;
		char *linked = link_kernel(*kernels, try_anyway, &error);

		if (linked) {
			*vmlinuz = strdup(*kernels);
			return linked;
		}
		if (!*why)
			*why = strdup(error.text);
		note("%s", error.text);
	}
	return NULL;
}

char *newest_kernel(bool try_anyway, char **vmlinuz, char **why)
{
	char **kernels = installed_kernels("");
	char *linked = NULL;

	*vmlinuz = *why = NULL;
	if (kernels)
		linked = try_kernels(kernels, try_anyway, vmlinuz, why);
	free_kernels(kernels);
	if (!linked && !*why &&
	    asprintf(why, "no kernel to boot: there is no " KERNELS_IN_BOOT
		     " and no " KERNELS_WITH_MODULES "; name one with -k, or %s",
		     how_to_install(PACKAGE_KERNEL, NULL).text) < 0)
		*why = NULL;
	return linked;
}

/* An ELF file that is no Linux is a guest of its own kind, a test for instance. */
static bool own_kind(const char *path)
{
	struct lguest_link_note link_note;
	struct lguest_error error;
	char *release;

	if (!is_elf(path) || lguest_linked(path, &link_note, &error) != 0)
		return false;
	if (lguest_release(path, &release, &error) < 0)
		return true;
	free(release);
	return false;
}

static char *named_kernel(const char *wanted, bool try_anyway)
{
	struct lguest_error error;
	char *linked;

	if (own_kind(wanted))
		return strdup(wanted);
	linked = link_kernel(wanted, try_anyway, &error);
	if (!linked)
		problem("%s", error.text);
	return linked;
}

char *choose_kernel(const char *wanted, bool try_anyway)
{
	char *linked, *vmlinuz, *why;

	if (wanted)
		return named_kernel(wanted, try_anyway);
	linked = newest_kernel(try_anyway, &vmlinuz, &why);
	if (!linked)
		problem("%s", why ? why : "out of memory");
	else if (why)
		problem("booting %s, and no newer kernel: %s", vmlinuz, why);
	else if (verbose || isatty(STDERR_FILENO))
		problem("booting %s", vmlinuz);
	free(vmlinuz);
	free(why);
	return linked;
}
