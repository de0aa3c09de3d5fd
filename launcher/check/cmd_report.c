// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest report`: what others want to know of a machine where lguest works,
 * or does not.  All of it is on a list here: nothing is told that is not named,
 * so that no name, address, serial number or path of the machine is among it.
 * Read next: measure.c, and deep.c, whose rows are part of it.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/initramfs.h"
#include "check.h"
#include "deep.h"
#include "lguest.h"
#include "measure.h"
#include "options.h"
#include "report.h"

#define REPORT_VERSION	1

struct report_settings {
	const char *kernel;
};

static const struct option report_options[] = {
	{ 'k', "kernel", OPTION_TEXT, offsetof(struct report_settings, kernel), "VMLINUZ",
	  "kernel of the guest that is measured (as with `lguest run`)" },
	{ .name = NULL },
};

const struct command report_command = {
	"report", "",
	"Print what a report about this machine should have, as JSON.\n"
	"It takes half a minute: CPU, microcode, kernel, mitigations, the rows of\n"
	"`lguest check --deep`, the module and its self-test, some measurements, and a\n"
	"guest's counters.\n"
	"It has no names of hosts or users, no addresses, serial numbers or paths.",
	report_options, cmd_report,
};

static void put(json_t *object, const char *key, const char *text)
{
	json_t *value = text ? json_string(text) : json_null();

	/* What is no UTF-8 is not told. */
	json_object_set_new(object, key, value ? value : json_null());
}

static json_t *report_cpu(const struct machine *m)
{
	static const char *const keys[][2] = {
		{ "vendor", "vendor_id" }, { "family", "cpu family" }, { "model", "model" },
		{ "name", "model name" }, { "stepping", "stepping" },
		{ "microcode", "microcode" }, { "flags", "flags" }, { "bugs", "bugs" },
	};
	json_t *cpu = json_object();
	char value[8192];
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put(cpu, keys[i][0],
		    machine_cpu(m, keys[i][1], value, sizeof(value)) ? value : NULL);
	put(cpu, "hypervisor", machine_flag(m, "hypervisor") ? m->cpuid.hypervisor : NULL);
	json_object_set_new(cpu, "count", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
	return cpu;
}

/*L:075
 * Words of the kernel's command line that change how lguest runs: others may
 * name disks, hosts and keys.
 :*/
static bool word_matters(const char *word, size_t length)
{
	static const char *const words[] = {
		"cet", "clearcpuid", "clocksource", "crashkernel", "fred",
		"gather_data_sampling", "idle", "indirect_target_selection",
		"intel_idle.max_cstate", "isolcpus", "kvm-intel.nested", "l1tf", "lockdown",
		"lsm", "maxcpus", "mce", "mds", "mitigations", "mmio_stale_data",
		"module.sig_enforce", "nmi_watchdog", "no-kvmapf", "no-kvmclock", "no5lvl",
		"noexec", "nofsgsbase", "nohz", "nohz_full", "nokaslr", "nomodule",
		"nopcid", "nopti", "nosmap", "nosmep", "nosmt", "nospectre_v1",
		"nospectre_v2", "nousershstk", "noxsave", "nr_cpus", "panic", "preempt",
		"processor.max_cstate", "pti", "rcu_nocbs", "reg_file_data_sampling",
		"retbleed", "spec_rstack_overflow", "spec_store_bypass_disable",
		"spectre_v2", "spectre_v2_user", "split_lock_detect", "srbds",
		"threadirqs", "transparent_hugepage", "tsa", "tsc", "tsx",
		"tsx_async_abort", "vmscape",
	};
	size_t name = 0, i;

	while (name < length && word[name] != '=')
		name++;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == name && !strncmp(word, words[i], name))
			return true;
	return false;
}

json_t *report_cmdline(const char *line)
{
	json_t *all = json_array();

	while (line && *line) {
		size_t length = strcspn(line, " \t\n");

		if (length && word_matters(line, length))
			json_array_append_new(all, json_stringn(line, length));
		line += length;
		line += strspn(line, " \t\n");
	}
	return all;
}

static json_t *report_kernel(const struct machine *m)
{
	json_t *kernel = json_object();
	const char *release = m->text[FILE_RELEASE], *version = m->text[FILE_VERSION];

	json_object_set_new(kernel, "release", release ?
			    json_stringn(release, strcspn(release, "\n")) : json_null());
	json_object_set_new(kernel, "version", version ?
			    json_stringn(version, strcspn(version, "\n")) : json_null());
	json_object_set_new(kernel, "parameters", report_cmdline(m->text[FILE_CMDLINE]));
	return kernel;
}

/* Lines "name: text". */
static json_t *report_mitigations(const char *line)
{
	json_t *all = json_object();

	for (; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t length = strcspn(line, ":\n");
		char name[64];

		if (line[length] != ':' || length >= sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)length, line);
		line += length + 1;
		line += *line == ' ';
		json_object_set_new(all, name, json_stringn(line, strcspn(line, "\n")));
	}
	return all;
}

/* Only lines of the module's self-test: others speak of devices and programs. */
json_t *report_selftest(const char *log)
{
	static const char mark[] = ";lg: selftest: ";
	json_t *lines = json_array();

	while (log && (log = strstr(log, mark))) {
		log += sizeof(mark) - 1;
		json_array_append_new(lines, json_stringn(log, strcspn(log, "\n")));
	}
	return lines;
}

static json_t *report_module(const struct machine *m)
{
	json_t *module = json_object(), *lines = report_selftest(m->text[FILE_LOG]);
	bool loaded = !m->error[FILE_LOADED];
	const char *source = m->text[FILE_SOURCE];

	json_object_set_new(module, "loaded", json_boolean(loaded));
	json_object_set_new(module, "srcversion", source ?
			    json_stringn(source, strcspn(source, "\n")) : json_null());
	put(module, "device", m->error[FILE_DEVICE] ?
	    strerror(m->error[FILE_DEVICE]) : "usable");
	json_object_set_new(module, "selftest", lines);
	if (!json_array_size(lines))
		put(module, "selftest_why", m->error[FILE_LOG] ?
		    "the kernel's log may not be read: try as root" :
		    "the kernel's log has none: load the module with selftest=1");
	return module;
}

static json_t *script_json(const struct script_result *r)
{
	json_t *all = json_pack("{s:i,s:f}", "status", r->status, "seconds", r->seconds);

	if (r->syscall_ns)
		json_object_set_new(all, "system_call_ns", json_real(r->syscall_ns));
	if (r->process_us)
		json_object_set_new(all, "process_us", json_real(r->process_us));
	return all;
}

static json_t *counters_json(const struct counters *c)
{
	json_t *all = json_object();
	unsigned int i;

	for (i = 0; i < c->count; i++)
		json_object_set_new(all, c->list[i].name, json_integer(c->list[i].value));
	return all;
}

/* What went wrong is told by a status: a message may have paths in it. */
static void report_guest(json_t *report, const struct machine *m, const char *kernel)
{
	struct script_result result;
	json_t *guest;

	if (m->error[FILE_DEVICE]) {
		json_object_set_new(report, "guest",
				    json_pack("{s:s}", "why", "/dev/lguest cannot be used"));
		return;
	}
	measure_guest(kernel, &result);
	guest = script_json(&result);
	if (result.status)
		put(guest, "why", "try `lguest run -- true`");
	if (result.counters.count)
		json_object_set_new(guest, "counters", counters_json(&result.counters));
	else
		put(guest, "counters_why", "only root may read them, in debugfs");
	json_object_set_new(report, "guest", guest);
}

static void report_measurements(json_t *report, const struct machine *m,
				const char *kernel)
{
	const char *busybox = find_busybox();
	json_t *here = measure_here();
	struct script_result result;

	if (busybox) {
		measure_script(busybox, &result);
		json_object_update_new(here, script_json(&result));
	}
	json_object_set_new(report, "here", here);
	report_guest(report, m, kernel);
}

static json_t *make_report(const char *kernel)
{
	unsigned int counts[VERDICT_COUNT] = { 0 };
	json_t *report = json_object();
	struct machine m;

	machine_read(&m, "");
	machine_ask(&m);
	json_object_set_new(report, "report", json_integer(REPORT_VERSION));
	put(report, "lguest", LGUEST_VERSION);
	json_object_set_new(report, "cpu", report_cpu(&m));
	json_object_set_new(report, "kernel", report_kernel(&m));
	json_object_set_new(report, "mitigations",
			    report_mitigations(m.text[FILE_VULNERABILITIES]));
	json_object_set_new(report, "check", check_deep(&m, counts));
	json_object_set_new(report, "module", report_module(&m));
	report_measurements(report, &m, kernel);
	machine_free(&m);
	return report;
}

int cmd_report(int argc, char **argv)
{
	struct report_settings set = { .kernel = NULL };
	int first = parse_options(&report_command, argc, argv, &set, NULL);
	json_t *report;

	if (first == OPTIONS_HELP)
		return STATUS_DONE;
	if (first != argc) {
		if (first >= 0)
			problem("report: it takes no argument; leave out '%s'", argv[first]);
		return STATUS_USAGE;
	}
	report = make_report(set.kernel);
	json_dumpf(report, stdout, JSON_INDENT(2));	/* main.c sees whether it arrives */
	putchar('\n');
	json_decref(report);
	return STATUS_DONE;
}
