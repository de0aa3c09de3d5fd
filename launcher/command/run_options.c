// SPDX-License-Identifier: GPL-2.0
/*
 * The options of `lguest run`, and what is wrong with them.  Every value is looked
 * at before anything happens: nothing is linked, made or taken for a run whose last
 * option is a mistake.
 * Read next: run_as.c.
 */
#define _GNU_SOURCE
#include <unistd.h>

#include "control/place.h"
#include "debugger/gdb_listen.h"
#include "devices/devices.h"
#include "lguest.h"
#include "linker/versions.h"
#include "run.h"
#include "run_as.h"
#include "terminal.h"

/*
 * One more option takes a field in run.h, a row below, and whoever acts on it; help, man
 * page, completion and what -v tells are made of the table.
 */
#define DEFAULT_MEMORY	(256ULL << 20)

#define AT(field) offsetof(struct run_settings, field)
static const struct option run_options[] = {
	{ 'k', "kernel", OPTION_TEXT, AT(kernel), "VMLINUZ",
	  "kernel to boot (default: the newest installed one that can be used)" },
	{ 0, "try-anyway", OPTION_FLAG, AT(try_anyway), NULL,
	  "boot also a kernel that this lguest does not know (" FIRST_KNOWN " to " LAST_KNOWN ")" },
	{ 'i', "initrd", OPTION_TEXT, AT(initrd), "FILE",
	  "its initrd (default: a small system made of busybox)" },
	{ 'm', "memory", OPTION_SIZE, AT(memory), "SIZE",
	  "memory of the guest, with K, M or G (default 256M)" },
	{ 'c', "cpus", OPTION_NUMBER, AT(cpus), "N",
	  "vCPUs of the guest, 1 to 16; root may allow fewer: lguest(4) (default 1)" },
#define K(kind, letter, name, most, value, help) \
	{ letter, name, OPTION_LIST, AT(devices[DEVICE_##kind]), value, help },
	DEVICE_KINDS(K)
#undef K
	{ 0, "hide", OPTION_LIST, AT(hide), "PATH",
	  "file or folder below --rootfs that the guest does not see" },
	{ 0, "show", OPTION_LIST, AT(show), "PATH",
	  "what is hidden of --rootfs by itself (keys, passwords, tokens) at PATH or below" },
	{ 'e', "env", OPTION_LIST, AT(env), "NAME[=VALUE]",
	  "a variable for COMMAND; without a value that which it has here" },
	{ 'u', "user", OPTION_TEXT, AT(user), "USER[:GROUP]",
	  "whom COMMAND runs as: names of the guest's root, or numbers (default root)" },
	{ 'w', "cwd", OPTION_TEXT, AT(cwd), "DIR",
	  "folder of the guest that COMMAND starts in" },
	{ 'p', "params", OPTION_LIST, AT(params), "PARAMS",
	  "more parameters for the guest's kernel, separated by spaces" },
	{ 0, "gdb", OPTION_TEXT, AT(gdb), "PATH",
	  "stand before the first instruction, until a debugger comes to the socket PATH" },
	{ 0, "name", OPTION_TEXT, AT(name), "NAME",
	  "the guest's name, for `lguest list`, `console` and `stop`" },
	{ 0, "detach", OPTION_FLAG, AT(detach), NULL,
	  "return when the guest is ready; `lguest console NAME` reaches it" },
	{ 0, "time-limit", OPTION_SECONDS, AT(time_limit), "S",
	  "end the guest after S seconds" },
	{ 0, "no-reboot", OPTION_FLAG, AT(no_reboot), NULL,
	  "a guest that reboots has ended; without it, it and COMMAND start again" },
	{ 'v', "verbose", OPTION_FLAG, AT(verbose), NULL,
	  "say what is done, show kernel messages, print counters at the end" },
	{ .name = NULL },
};

const struct command run_command = {
	"run", "[-- COMMAND...]",
	"Boot a guest, to a shell or to run COMMAND.\n"
	"COMMAND's output and exit status become those of lguest.\n"
	"On a terminal, Ctrl-A x (or three ^C within a second) ends the guest at once.",
	run_options, cmd_run,
};

bool run_may_read_stdin(const struct run_settings *set)
{
	if (set->detach)
		return false;
	return !isatty(STDIN_FILENO) || terminal_is_ours(STDIN_FILENO);
}

/*
 * Values that are texts: what can be known without taking anything.  What is there,
 * but cannot be had now, is a matter for later, and no bad usage.
 */
static bool check_values(const struct run_settings *set)
{
	static const struct {
		const char *option;
		unsigned int most;
		bool (*check)(const char *option);
	} kinds[] = {
#define K(kind, letter, name, most, value, help) { name, most, kind##_check },
		DEVICE_KINDS(K)
#undef K
	};
	struct run_as as;
	unsigned int i, j, all = 0;

	for (i = 0; i < DEVICE_OPTIONS; i++) {
		const struct text_list *asked = &set->devices[i];

		all += asked->count;

		if (asked->count > kinds[i].most) {
			problem("run: --%s is there %u times: a guest has %u at most; leave the others out",
				kinds[i].option, asked->count, kinds[i].most);
			return false;
		}
		for (j = 0; j < asked->count; j++)
			if (!kinds[i].check(asked->items[j]))
				return false;
	}
	if (all > DEVICES_ASKED_MOST) {
		problem("run: %u disks, cards and folders: a guest has %u at most; leave some out",
			all, DEVICES_ASKED_MOST);
		return false;
	}
	if (set->user && !run_as_read(run_rootfs(set), set->user, &as))
		return false;
	return hiding_check(run_rootfs(set), &set->hide, &set->show) &&
	       (!set->gdb || gdb_check(set->gdb));
}

/* A COMMAND needs our own initramfs: only its /init knows what to do with it. */
static bool fit_together(const struct run_settings *set)
{
	if (set->command && set->initrd) {
		problem("run: COMMAND needs the built-in initrd; leave out -i or COMMAND");
		return false;
	}
	if (!set->command && (set->user || set->cwd || set->env.count)) {
		problem("run: --user, --cwd and --env are for a COMMAND; add one, as in `lguest run ... -- sh`");
		return false;
	}
	if (set->cwd && *set->cwd != '/') {
		problem("run: --cwd: '%s' does not begin with /; give the whole name that the folder has in the guest",
			set->cwd);
		return false;
	}
	if (!run_env_check(&set->env))
		return false;
	if (run_rootfs(set) && set->initrd) {
		problem("run: --rootfs needs the built-in initrd; leave out -i or --rootfs");
		return false;
	}
	if (set->name && !name_is_good("run", set->name))
		return false;
	if (set->detach && !set->name) {
		problem("run: a guest that is detached needs a name; add --name NAME");
		return false;
	}
	if (set->cpus > LGUEST_VCPUS) {
		problem("run: --cpus: a guest has 1 to %u vCPUs; try -c 2", LGUEST_VCPUS);
		return false;
	}
	if (set->memory < MEMORY_LEAST || set->memory > MEMORY_MOST) {
		problem("run: --memory: a guest takes 16M to 1024G, a stock kernel 62M or more; try -m 256M");
		return false;
	}
	return true;
}

/*L:020
 * What the user asks for, or what is wrong with it.
 :*/
int run_read_settings(int argc, char **argv, struct run_settings *set)
{
	bool dashes;
	int first;

	set->memory = DEFAULT_MEMORY;
	set->cpus = 1;
	first = parse_options(&run_command, argc, argv, set, &dashes);
	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first < 0)
		return STATUS_USAGE;
	if (first < argc && !dashes) {
		problem("run: what is '%s'? a command for the guest comes after --; try `lguest run -- %s`",
			argv[first], argv[first]);
		return STATUS_USAGE;
	}
	if (first < argc)
		set->command = argv + first;
	if (!fit_together(set))
		return STATUS_USAGE;
	return check_values(set) ? -1 : STATUS_USAGE;
}

