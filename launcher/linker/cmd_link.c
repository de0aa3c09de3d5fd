// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest link`: link a kernel beforehand, which `lguest run` would otherwise
 * do at its first start, or look at its symbols, also with gdb.  The path of the
 * linked file goes to stdout, for scripts.
 */
#include <stdlib.h>

#include "../lguest.h"
#include "../options.h"
#include "linker.h"

struct link_settings {
	const char *out;
	const char *layer;
	const char *debug_file;
	bool symbols;
	bool verbose;
};

#define AT(field) offsetof(struct link_settings, field)

static const struct option link_options[] = {
	{ 'o', "output", OPTION_TEXT, AT(out), "FILE",
	  "write here, not into the cache" },
	{ 'l', "layer", OPTION_TEXT, AT(layer), "DIR",
	  "take the guest layer from here, not from $LGUEST_LAYERS or /usr/lib/lguest/layers" },
	{ 0, "symbols", OPTION_FLAG, AT(symbols), NULL,
	  "only print the kernel's symbols, as nm does" },
	{ 0, "debug-file", OPTION_TEXT, AT(debug_file), "FILE",
	  "only write the kernel's symbols to FILE, for gdb" },
	{ 'v', "verbose", OPTION_FLAG, AT(verbose), NULL,
	  "tell what is being done" },
	{ .name = NULL },
};

const struct command link_command = {
	"link", "VMLINUZ", "Make a guest of a distribution's kernel.",
	link_options, cmd_link,
};

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
	if (argc - first != 1) {
		problem("link: it takes one VMLINUZ, not %d; try: lguest link /boot/vmlinuz-$(uname -r)",
			argc - first);
		return STATUS_USAGE;
	}

	options = (struct lguest_link_options) {
		.layer_dir = set.layer,
		.out = set.out,
		.verbose = set.verbose ? stderr : NULL,
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
