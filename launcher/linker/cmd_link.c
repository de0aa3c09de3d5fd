// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest link`: link a kernel beforehand, which `lguest run` would otherwise
 * do at its first start, or look at its symbols, also with gdb.  The path of the
 * linked file goes to stdout, for scripts.  All kernels of this machine are the
 * matter of a script, packaging/link-all.
 * Read next: util.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "distribution.h"
#include "lguest.h"
#include "linker.h"
#include "options.h"
#include "versions.h"

struct link_settings {
	const char *out;
	const char *layer;
	const char *debug_file;
	bool symbols;
	bool verbose;
	bool all;
	bool try_anyway;
};

/* More than anybody has. */
#define KERNELS_MOST	1000

#define AT(field) offsetof(struct link_settings, field)

static const struct option link_options[] = {
	{ 'o', "output", OPTION_TEXT, AT(out), "FILE",
	  "write here, not into the cache" },
	{ 'l', "layer", OPTION_TEXT, AT(layer), "DIR",
	  "take the guest layer from here, not from $LGUEST_LAYERS or where packages put it" },
	{ 0, "all", OPTION_FLAG, AT(all), NULL,
	  "build the layer of each installed kernel whose headers are installed (as root), link it, and remove what is left of others" },
	{ 0, "symbols", OPTION_FLAG, AT(symbols), NULL,
	  "only print the kernel's symbols, as nm does" },
	{ 0, "debug-file", OPTION_TEXT, AT(debug_file), "FILE",
	  "only write the kernel's symbols to FILE, for gdb" },
	{ 0, "try-anyway", OPTION_FLAG, AT(try_anyway), NULL,
	  "link also a kernel that this lguest does not know (" FIRST_KNOWN " to " LAST_KNOWN ")" },
	{ 'v', "verbose", OPTION_FLAG, AT(verbose), NULL,
	  "tell what is being done" },
	{ .name = NULL },
};

const struct command link_command = {
	"link", "[VMLINUZ]", "Make a guest of a distribution's kernel.",
	link_options, cmd_link,
};

/* It is installed beside us: ../lib/lguest/link-all; we tell it of which kernels. */
static int link_all(void)
{
	char path[PATH_MAX], **kernels = installed_kernels("");
	char *words[KERNELS_MOST + 2] = { path };
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 32);
	char *slash;
	int i;

	path[length > 0 ? length : 0] = '\0';
	for (i = 0; i < 2; i++) {
		slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
	}
	strcat(path, "/lib/lguest/link-all");
	for (i = 0; kernels && kernels[i] && i < KERNELS_MOST; i++)
		words[i + 1] = kernels[i];
	execv(path, words);
	problem("link: cannot run %s: %s; `make install` in lguest's source puts it there",
		path, strerror(errno));
	return STATUS_FAILED;
}

int cmd_link(int argc, char **argv)
{
	struct link_settings set = { NULL };
	struct lguest_link_options options;
	struct lguest_error err;
	char *result = NULL;
	int first = parse_options(&link_command, argc, argv, &set, NULL);

	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first < 0)
		return STATUS_USAGE;
	if (set.all && argc == first)
		return link_all();
	if (argc - first != 1 || set.all) {
		problem("link: it takes one VMLINUZ, not %d; try: lguest link %s",
			argc - first, running_kernel());
		return STATUS_USAGE;
	}

	options = (struct lguest_link_options) {
		.layer_dir = set.layer,
		.out = set.out,
		.verbose = set.verbose ? stderr : NULL,
		.try_anyway = set.try_anyway,
		.look_inside = true,
	};
	if (set.debug_file) {
		if (lguest_debug_file(argv[first], set.debug_file, &err) == 0)
			return STATUS_DONE;
	} else if (set.symbols) {
		if (lguest_symbols(argv[first], stdout, &err) == 0)
			return STATUS_DONE;
	} else if (lguest_link(argv[first], &options, &result, &err) == 0) {
		puts(result);
		free(result);
		return STATUS_DONE;
	}
	problem("%s", err.text);
	return STATUS_FAILED;
}
