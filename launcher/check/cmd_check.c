// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest check`: is this machine ready?  One line for each thing a guest
 * needs; where something is missing, the next line is the command that mends
 * it, or says that nothing does.  With --deep: what of it matters for loading
 * the module, see deep.c.
 * Read next: deep.c.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "boot/choose_kernel.h"
#include "boot/initramfs.h"
#include "check.h"
#include "deep.h"
#include "distribution.h"
#include "hardware/host.h"
#include "lguest.h"
#include "options.h"

struct check_settings {
	bool deep, json;
};

#define AT(field) offsetof(struct check_settings, field)
static const struct option check_options[] = {
	{ 0, "deep", OPTION_FLAG, AT(deep), NULL,
	  "say what of this machine matters for loading the module; nothing is loaded" },
	{ 0, "json", OPTION_FLAG, AT(json), NULL,
	  "the same as --deep, as JSON" },
	{ .name = NULL },
};

const struct command check_command = {
	"check", "",
	"Say whether this machine can run guests, and what to do if not.\n"
	"With --deep each line is ok, warn (it may go wrong, or has not been tried),\n"
	"refuse (the module does not load) or unknown (this user cannot find out).\n"
	"The exit status is 1 if anything is missing or refused, else 0.",
	check_options, cmd_check,
};

static bool all_good, have_kernel;

static void good(const char *what, const char *detail)
{
	printf("ok  %s%s%s\n", what, *detail ? ": " : "", detail);
}

static void bad(const char *what, const char *why, const char *fix)
{
	printf("no  %s: %s\n      %s\n", what, why, fix);
	all_good = false;
}

static void verdict(bool ok, const char *what, const char *why, const char *fix)
{
	if (ok)
		good(what, "");
	else
		bad(what, why, fix);
}

/* The first "flags" line of /proc/cpuinfo, to be freed. */
static char *cpu_flags(void)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		if (strncmp(line, "flags", 5))
			continue;
		fclose(file);
		return line;
	}
	if (file)
		fclose(file);
	free(line);
	return NULL;
}

/*L:040
 * Linux lists fred and lass only where it uses them, which is what matters.
 :*/
static void check_cpu(void)
{
	const char *nothing = "nothing mends this: another machine is needed";
	char *flags = cpu_flags();

	if (!flags) {
		bad("CPU", "/proc/cpuinfo does not tell its features",
		    "mount -t proc proc /proc");
		return;
	}
	verdict(has_word(flags, "lm"), "64-bit x86 CPU", "it is not one", nothing);
	verdict(has_word(flags, "nx"), "CPU has NX", "it has not, or it is off",
		"switch on 'execute disable' in the firmware, drop noexec=off");
	verdict(has_word(flags, "fsgsbase"), "CPU has FSGSBASE",
		"it has not, or it is off", "drop nofsgsbase from the kernel's parameters");
	verdict(!has_word(flags, "fred"), "CPU does not use FRED",
		"lguest cannot run with it yet",
		"boot with the kernel parameter fred=off");
	if (has_word(flags, "lass"))
		good("CPU uses LASS", "off while a guest runs");
	free(flags);
}

static bool on_xen_pv(void)
{
	FILE *file = fopen("/sys/hypervisor/guest_type", "re");
	char line[16] = "";
	bool pv;

	if (!file)
		return false;
	pv = fgets(line, sizeof(line), file) && !strncmp(line, "PV", 2) &&
	     line[2] != 'H';
	fclose(file);
	return pv;
}

/* A module that is not loaded yet may be one that will not be. */
static void check_signatures(void)
{
	static const char *const ids = "kernel-signatures kernel-lockdown secure-boot ";
	struct machine m;
	size_t i;

	machine_read(&m, "");
	for (i = 0; i < condition_count; i++) {
		struct finding f = find_out(&m, &conditions[i]);

		if (f.verdict == VERDICT_WARN && strstr(ids, f.condition->id))
			bad("a module without a signature is taken", finding_sentence(&f),
			    finding_remedy(&f));
	}
	machine_free(&m);
}

static void check_module(void)
{
	int fd = host_open();

	verdict(!on_xen_pv(), "not a Xen PV machine", "its kernel runs at ring 3",
		"nothing mends this: use a Xen PVH or HVM machine");
	if (fd >= 0) {
		good(HOST_DEVICE " can be used", "");
		host_close(fd);
	} else if (fd == -EACCES || fd == -EPERM) {
		bad(HOST_DEVICE " can be used", strerror(-fd),
		    host_access_advice());
	} else if (!access("/sys/module/lg", F_OK)) {
		bad(HOST_DEVICE " can be used", strerror(-fd),
		    "mount -t devtmpfs dev /dev   (the module is loaded)");
	} else {
		bad(HOST_DEVICE " can be used", "the module is not loaded",
		    "modprobe lg   (from a source tree: insmod host/lg.ko)");
		check_signatures();
	}
}

/* Everything behind the last "; " of a message is what to try. */
static void bad_message(const char *what, char *message)
{
	char *fix = NULL, *at = message;

	while ((at = strstr(at, "; ")))
		fix = at++;
	if (fix) {
		*fix = '\0';
		fix += 2;
	}
	bad(what, message, fix ? fix : "see above");
}

static void check_kernel(void)
{
	char *vmlinuz, *why;
	char *linked = newest_kernel(false, &vmlinuz, &why);

	if (linked) {
		good("a kernel for guests", vmlinuz);
		good("it is linked", linked);
		if (why)
			good("there is a newer one that cannot be a guest now", why);
		have_kernel = true;
	} else if (why) {
		bad_message("a kernel for guests", why);
	}
	free(linked);
	free(vmlinuz);
	free(why);
}

/* Only a first link needs it: without ld, what is linked still runs. */
static bool find_program(const char *name, char *path, size_t size)
{
	const char *directories = getenv("PATH");
	char *copy = strdup(directories ? directories : "/usr/bin:/bin"), *next = copy;
	const char *directory;
	bool found = false;

	while (copy && !found && (directory = strsep(&next, ":"))) {
		snprintf(path, size, "%s/%s", directory, name);
		found = !access(path, X_OK);
	}
	free(copy);
	return found;
}

static void check_programs(void)
{
	const char *busybox = find_busybox();
	char path[4096];

	if (busybox)
		good("a static busybox", busybox);
	else
		bad("a static busybox", "there is none in /bin or /usr/bin",
		    how_to_install(PACKAGE_BUSYBOX, NULL).text);
	if (find_program("ld", path, sizeof(path)))
		good("ld, to link kernels", path);
	else if (have_kernel)
		good("ld, to link kernels", "there is none, and no need for it now");
	else
		bad("ld, to link kernels", "it is not installed",
		    how_to_install(PACKAGE_BINUTILS, NULL).text);
}

static json_t *finding_json(const struct finding *f)
{
	json_t *row = json_pack("{s:s,s:s,s:s,s:s}", "id", f->condition->id,
				"verdict", verdict_name(f->verdict),
				"sentence", finding_sentence(f),
				"found_by", f->condition->found_by);

	if (f->detail.text[0])
		json_object_set_new(row, "detail", json_string(f->detail.text));
	if (finding_remedy(f))
		json_object_set_new(row, "remedy", json_string(finding_remedy(f)));
	return row;
}

json_t *check_deep(const struct machine *m, unsigned int *counts)
{
	json_t *rows = json_array();
	size_t i;

	for (i = 0; i < condition_count; i++) {
		struct finding f = find_out(m, &conditions[i]);

		counts[f.verdict]++;
		json_array_append_new(rows, finding_json(&f));
	}
	return rows;
}

static void print_finding(const struct finding *f)
{
	const char *remedy = finding_remedy(f);

	printf("%-8s%s: %s%s%s%s\n", verdict_name(f->verdict), f->condition->id,
	       finding_sentence(f), f->detail.text[0] ? " (" : "", f->detail.text,
	       f->detail.text[0] ? ")" : "");
	if (remedy)
		printf("          %s\n", remedy);
}

static void print_deep(const struct machine *m, unsigned int *counts)
{
	size_t i;

	for (i = 0; i < condition_count; i++) {
		struct finding f = find_out(m, &conditions[i]);

		counts[f.verdict]++;
		print_finding(&f);
	}
	printf("%u ok, %u warn, %u refuse, %u unknown.  docs/HARDWARE.md says how to go on.\n",
	       counts[VERDICT_OK], counts[VERDICT_WARN], counts[VERDICT_REFUSE],
	       counts[VERDICT_UNKNOWN]);
}

static int look_deep(bool json)
{
	unsigned int counts[VERDICT_COUNT] = { 0 };
	struct machine m;

	machine_read(&m, "");
	machine_ask(&m);
	if (json) {
		json_t *rows = check_deep(&m, counts);

		json_dumpf(rows, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(rows);
	} else {
		print_deep(&m, counts);
	}
	machine_free(&m);
	return counts[VERDICT_REFUSE] ? STATUS_FAILED : STATUS_DONE;
}

static int look(void)
{
	all_good = true;
	check_cpu();
	check_module();
	check_kernel();
	check_programs();
	puts(all_good ? "This machine is ready: try `lguest run`." :
			"This machine is not ready yet.");
	return all_good ? STATUS_DONE : STATUS_FAILED;
}

int cmd_check(int argc, char **argv)
{
	struct check_settings set = { .deep = false };
	int first = parse_options(&check_command, argc, argv, &set, NULL);

	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first != argc) {
		if (first >= 0)
			problem("check: it takes no argument; leave out '%s'",
				argv[first]);
		return STATUS_USAGE;
	}
	return set.deep || set.json ? look_deep(set.json) : look();
}
