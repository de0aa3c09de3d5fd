// SPDX-License-Identifier: GPL-2.0
/*
 * Each function here is asked one question of a machine's files, and says yes,
 * no, or that it cannot tell.  A file that is not there is an answer; one that
 * may not be read is none.
 * Read next: facts.c.
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judges.h"
#include "linker/versions.h"

#define JUDGE(name)							\
	enum answer name(const struct machine *m,			\
			 __attribute__((unused)) const char *word,	\
			 __attribute__((unused)) struct detail *detail)

static void __attribute__((format(printf, 2, 3)))
say(struct detail *detail, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(detail->text, sizeof(detail->text), format, args);
	va_end(args);
}

static void say_line(struct detail *detail, const char *text)
{
	say(detail, "%.*s", (int)strcspn(text, "\n"), text);
}

static bool absent(const struct machine *m, enum machine_file file)
{
	return m->error[file] == ENOENT || m->error[file] == ENOTDIR;
}

static bool hidden(const struct machine *m, enum machine_file file)
{
	return m->error[file] && !absent(m, file);
}

static bool begins(const struct machine *m, enum machine_file file, const char *with)
{
	return m->text[file] && !strncmp(m->text[file], with, strlen(with));
}

/* For a file that always has something to say: absent is no answer, either. */
static enum answer holds(const struct machine *m, enum machine_file file, const char *what)
{
	if (!m->text[file])
		return UNKNOWN;
	return strstr(m->text[file], what) ? YES : NO;
}

/* For one that is there only where there is something to fear. */
static enum answer exists(const struct machine *m, enum machine_file file)
{
	if (hidden(m, file))
		return UNKNOWN;
	return absent(m, file) ? NO : YES;
}

static bool on_cmdline(const struct machine *m, const char *word)
{
	return m->text[FILE_CMDLINE] && has_word(m->text[FILE_CMDLINE], word);
}

static bool under_hypervisor(const struct machine *m)
{
	return machine_flag(m, "hypervisor");
}

/* ---- the CPU */

/*L:060
 * Linux lists what it uses, which is what matters: not what the CPU has.
 :*/
JUDGE(has_flag)
{
	char any[2];

	if (!machine_cpu(m, "flags", any, sizeof(any)))
		return UNKNOWN;
	return machine_flag(m, word) ? YES : NO;
}

JUDGE(lacks_flag)
{
	enum answer has = has_flag(m, word, detail);

	return has == UNKNOWN ? UNKNOWN : has == YES ? NO : YES;
}

/* Is some line that begins with key unlike the first such line? */
static bool lines_differ(const char *text, const char *key)
{
	const char *first = NULL, *line = text;
	size_t length = 0;

	for (; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		if (strncmp(line, key, strlen(key)))
			continue;
		if (!first) {
			first = line;
			length = strcspn(line, "\n") + 1;
		} else if (strncmp(first, line, length)) {
			return true;
		}
	}
	return false;
}

JUDGE(cpus_differ)
{
	static const char *const keys[] = { "flags", "microcode", "model name" };
	enum answer answer = NO;
	size_t i;

	if (!m->text[FILE_CPUINFO])
		return UNKNOWN;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!lines_differ(m->text[FILE_CPUINFO], keys[i]))
			continue;
		say(detail, "their %s differ", keys[i]);
		answer = YES;
	}
	return answer;
}

JUDGE(split_locks)
{
	if (!m->text[FILE_CPUINFO] || !m->text[FILE_CMDLINE])
		return UNKNOWN;
	if (on_cmdline(m, "split_lock_detect=off"))
		return NO;
	return machine_flag(m, "split_lock_detect") ||
	       machine_flag(m, "bus_lock_detect") ? YES : NO;
}

/* ---- the kernel */

/* As a number, and as the detail; 0 if it cannot be known. */
static unsigned int release_of(const struct machine *m, struct detail *detail)
{
	const char *release = m->text[FILE_RELEASE];
	unsigned int number = release ? version_number(release) : 0;

	if (number)
		say(detail, "%u.%u", number / 1000, number % 1000);
	return number;
}

JUDGE(old_kernel)
{
	unsigned int number = release_of(m, detail);

	if (!number)
		return UNKNOWN;
	return number < version_number(FIRST_KNOWN) ? YES : NO;
}

JUDGE(new_kernel)
{
	unsigned int number = release_of(m, detail);

	if (!number)
		return UNKNOWN;
	return number > version_number(LAST_KNOWN) ? YES : NO;
}

JUDGE(untried_kernel)
{
	unsigned int number = release_of(m, detail);
	const char *at = TESTED;

	if (!number)
		return UNKNOWN;
	while (at && version_number(at) != number) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at ? NO : YES;
}

JUDGE(is_realtime)
{
	if (begins(m, FILE_REALTIME, "1"))
		return YES;
	return holds(m, FILE_VERSION, "PREEMPT_RT");
}

JUDGE(on_xen_pv)
{
	enum answer has = exists(m, FILE_XEN_TYPE);

	return has == YES && !begins(m, FILE_XEN_TYPE, "PV\n") ? NO : has;
}

JUDGE(takes_no_modules)
{
	if (begins(m, FILE_NO_MODULES, "1") || on_cmdline(m, "nomodule") ||
	    absent(m, FILE_MODULES))
		return YES;
	return hidden(m, FILE_MODULES) || hidden(m, FILE_NO_MODULES) ? UNKNOWN : NO;
}

JUDGE(wants_signatures)
{
	if (begins(m, FILE_SIGNED_ONLY, "Y") || on_cmdline(m, "module.sig_enforce") ||
	    on_cmdline(m, "module.sig_enforce=1"))
		return YES;
	return hidden(m, FILE_SIGNED_ONLY) ? UNKNOWN : NO;
}

/* Without the file, lockdown is not there: if its file system is. */
JUDGE(is_locked_down)
{
	if (absent(m, FILE_LOCKDOWN) && m->text[FILE_LSM])
		return NO;
	if (!m->text[FILE_LOCKDOWN])
		return UNKNOWN;
	say_line(detail, m->text[FILE_LOCKDOWN]);
	return strstr(m->text[FILE_LOCKDOWN], "[none]") ? NO : YES;
}

/* Four bytes of attributes, then the value. */
JUDGE(boots_securely)
{
	enum answer has = exists(m, FILE_SECURE_BOOT);

	if (has != YES)
		return has;
	return m->size[FILE_SECURE_BOOT] == 5 && m->text[FILE_SECURE_BOOT][4] ? YES : NO;
}

JUDGE(lacks_headers)
{
	enum answer has = exists(m, FILE_HEADERS);

	return has == UNKNOWN ? UNKNOWN : has == YES ? NO : YES;
}

static bool has_kernel(const struct machine *m, const char *release, int len)
{
	const char *in_boot = m->text[FILE_KERNELS], *others = m->text[FILE_MORE_KERNELS];
	char name[256];

	snprintf(name, sizeof(name), "vmlinuz-%.*s\n", len, release);
	if (in_boot && strstr(in_boot, name))
		return true;
	snprintf(name, sizeof(name), "/%.*s/vmlinuz\n", len, release);
	return others && strstr(others, name);
}

/* Of the layers in this folder, is one for a kernel that is installed? */
static bool has_layer(const struct machine *m, enum machine_file folder, struct detail *detail)
{
	const char *name = m->text[folder];

	for (; name && *name; name += strcspn(name, "\n") + 1) {
		if (!has_kernel(m, name, strcspn(name, "\n")))
			continue;
		say_line(detail, name);
		return true;
	}
	return false;
}

JUDGE(lacks_layer)
{
	if (hidden(m, FILE_LAYERS) || hidden(m, FILE_BUILT_LAYERS) || hidden(m, FILE_KERNELS))
		return UNKNOWN;
	return has_layer(m, FILE_BUILT_LAYERS, detail) || has_layer(m, FILE_LAYERS, detail) ?
	       NO : YES;
}

/* ---- what is below, and beside */

JUDGE(has_hypervisor)
{
	if (!m->text[FILE_CPUINFO])
		return UNKNOWN;
	if (m->cpuid.known && under_hypervisor(m))
		say(detail, "%s", m->cpuid.hypervisor);
	return under_hypervisor(m) ? YES : NO;
}

#define KVM_ASYNC_FAULTS	(1u << 14)	/* by an interrupt, as Linux wants them */

JUDGE(has_async_faults)
{
	if (!m->cpuid.known || !m->text[FILE_CMDLINE])
		return UNKNOWN;
	return !strcmp(m->cpuid.hypervisor, "KVMKVMKVM") &&
	       m->cpuid.kvm_features & KVM_ASYNC_FAULTS &&
	       !on_cmdline(m, "no-kvmapf") ? YES : NO;
}

#define SEV_ES		(1u << 3)
#define SEV_SNP		(1u << 4)

/*
 * A hypervisor may show CPUID bits of what it does not use, and the log may
 * have lost its first lines: then there is no telling.
 */
JUDGE(state_is_encrypted)
{
	const char *log = m->text[FILE_LOG];
	const char *line = log ? strstr(log, "Memory Encryption Features active:") : NULL;

	if (!m->text[FILE_CPUINFO] || !m->cpuid.known)
		return UNKNOWN;
	if (!under_hypervisor(m))
		return NO;
	if (exists(m, FILE_SEV_GUEST) == YES ||
	    (line && memmem(line, strcspn(line, "\n"), "SEV-", 4)))
		return YES;
	return m->cpuid.encryption & (SEV_ES | SEV_SNP) && !line ? UNKNOWN : NO;
}

JUDGE(is_loaded)
{
	return exists(m, !strcmp(word, "kvm_intel") ? FILE_KVM_INTEL : FILE_KVM_AMD);
}

/* Where name begins a line of the modules; NULL if it does not. */
static const char *module_line(const struct machine *m, const char *name)
{
	const char *line = m->text[FILE_MODULES];
	size_t length = strlen(name);

	for (; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (!strncmp(line, name, length) && line[length] == ' ')
			return line;
	return NULL;
}

/* How many use the module: one for each machine of KVM's, and some for each vCPU. */
static int module_users(const struct machine *m, const char *name)
{
	const char *line = module_line(m, name);
	int users = 0;

	if (line)
		sscanf(line, "%*s %*s %d", &users);
	return users;
}

/* As a module it counts its users; built in, it is known by its folders. */
JUDGE(kvm_is_used)
{
	const char *folders = m->text[FILE_KVM_GUESTS];

	if (is_loaded(m, "kvm_intel", detail) == NO && is_loaded(m, "kvm_amd", detail) == NO)
		return NO;
	if (module_users(m, "kvm_intel") || module_users(m, "kvm_amd"))
		return YES;
	if (module_line(m, "kvm_intel") || module_line(m, "kvm_amd"))
		return NO;
	for (; folders && *folders; folders += strcspn(folders, "\n") + 1)
		if (isdigit((unsigned char)*folders))
			return YES;
	return folders ? NO : UNKNOWN;
}

JUDGE(other_hypervisor)
{
	static const char *const names[] = { "vboxdrv", "vmmon" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!module_line(m, names[i]))
			continue;
		say(detail, "%s", names[i]);
		return YES;
	}
	return hidden(m, FILE_MODULES) ? UNKNOWN : NO;
}

JUDGE(in_container)
{
	enum answer docker = exists(m, FILE_DOCKER), other = exists(m, FILE_CONTAINER);

	if (docker == YES || other == YES)
		return YES;
	return docker == UNKNOWN || other == UNKNOWN ? UNKNOWN : NO;
}

/* ---- time */

/* Linux strikes a TSC that it found unstable off this list. */
JUDGE(tsc_unstable)
{
	if (!m->text[FILE_CLOCKSOURCES])
		return UNKNOWN;
	return has_word(m->text[FILE_CLOCKSOURCES], "tsc") ||
	       has_word(m->text[FILE_CLOCKSOURCES], "tsc-early") ? NO : YES;
}

JUDGE(other_clock)
{
	if (!m->text[FILE_CLOCKSOURCE])
		return UNKNOWN;
	say_line(detail, m->text[FILE_CLOCKSOURCE]);
	return begins(m, FILE_CLOCKSOURCE, "tsc\n") ? NO : YES;
}

JUDGE(stops_the_tsc)
{
	enum answer has = exists(m, FILE_SLEEP);

	return has == YES && !strstr(m->text[FILE_SLEEP], "[deep]") ? NO : has;
}

/* ---- what looks into the kernel, and what is done against attacks */

JUDGE(is_traced)
{
	if (!m->text[FILE_TRACER])
		return UNKNOWN;
	say_line(detail, m->text[FILE_TRACER]);
	return begins(m, FILE_TRACER, "nop\n") ? NO : YES;
}

/* One list may be missing, as kernels without kprobes have it; without both: who knows. */
JUDGE(is_probed)
{
	static const enum machine_file lists[] = { FILE_PROBES, FILE_TRACED };
	unsigned int i, empty = 0;
	bool unread = false;

	for (i = 0; i < 2; i++) {
		const char *list = m->text[lists[i]];

		if (list && *list) {
			say_line(detail, list);
			return YES;
		}
		empty += list != NULL;
		unread |= hidden(m, lists[i]);
	}
	return empty && !unread ? NO : UNKNOWN;
}

JUDGE(stuffs_returns)
{
	if (on_cmdline(m, "retbleed=stuff") ||
	    on_cmdline(m, "indirect_target_selection=stuff"))
		return YES;
	if (!m->text[FILE_VULNERABILITIES])
		return UNKNOWN;
	return strcasestr(m->text[FILE_VULNERABILITIES], "stuffing") ? YES : NO;
}

JUDGE(is_vulnerable)
{
	const char *line = m->text[FILE_VULNERABILITIES];

	if (!line)
		return UNKNOWN;
	for (; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t name = strcspn(line, ":\n"), used = strlen(detail->text);

		if (!strncmp(line + name, ": Vulnerable", 12))
			snprintf(detail->text + used, sizeof(detail->text) - used, "%s%.*s",
				 used ? ", " : "", (int)name, line);
	}
	return detail->text[0] ? YES : NO;
}

static bool names_cpus(const struct machine *m, enum machine_file file)
{
	return m->text[file] && isdigit((unsigned char)m->text[file][0]);
}

JUDGE(keeps_cpus_apart)
{
	if (names_cpus(m, FILE_TICKLESS) || names_cpus(m, FILE_ISOLATED))
		return YES;
	return hidden(m, FILE_TICKLESS) || hidden(m, FILE_ISOLATED) ? UNKNOWN : NO;
}

/* ---- what helps when it does go wrong */

JUDGE(stays_dead)
{
	if (!m->text[FILE_PANIC])
		return UNKNOWN;
	return begins(m, FILE_PANIC, "0\n") ? YES : NO;
}

JUDGE(keeps_no_record)
{
	if (begins(m, FILE_KDUMP, "1"))
		return NO;
	if (m->text[FILE_PSTORE] && !begins(m, FILE_PSTORE, "(null)")) {
		say_line(detail, m->text[FILE_PSTORE]);
		return NO;
	}
	return hidden(m, FILE_KDUMP) || hidden(m, FILE_PSTORE) ? UNKNOWN : YES;
}

/* ---- the launcher's needs */

JUDGE(no_huge_pages)
{
	if (hidden(m, FILE_HUGE_PAGES))
		return UNKNOWN;
	return holds(m, FILE_HUGE_PAGES, "[never]") == NO ? NO : YES;
}

JUDGE(no_user_namespaces)
{
	if (begins(m, FILE_USERNS_MOST, "0\n") || absent(m, FILE_USERNS_MOST) ||
	    begins(m, FILE_USERNS_CLONE, "0") || begins(m, FILE_USERNS_APPARMOR, "1"))
		return YES;
	return m->text[FILE_USERNS_MOST] ? NO : UNKNOWN;
}

JUDGE(old_landlock)
{
	say(detail, "version %d", m->landlock);
	return m->landlock < atoi(word) ? YES : NO;
}

/* One that is not there yet is as it should be before anything is loaded. */
JUDGE(device_closed)
{
	if (absent(m, FILE_DEVICE))
		say(detail, "it is not there yet");
	return hidden(m, FILE_DEVICE) ? YES : NO;
}
