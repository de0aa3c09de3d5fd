/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can be read of this machine without loading anything: files, and what
 * CPUID says of a hypervisor.  deep.c decides from it, and so do its tests,
 * which read a folder of made-up files in place of "/".
 */
#ifndef LGUEST_MACHINE_H
#define LGUEST_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "distribution.h"

/* %s is the kernel's release. */
#define MACHINE_FILES(F)						\
	F(RELEASE,	TEXT,	"/proc/sys/kernel/osrelease")		\
	F(CPUINFO,	TEXT,	"/proc/cpuinfo")			\
	F(CMDLINE,	TEXT,	"/proc/cmdline")			\
	F(VERSION,	TEXT,	"/proc/sys/kernel/version")		\
	F(REALTIME,	TEXT,	"/sys/kernel/realtime")			\
	F(MODULES,	TEXT,	"/proc/modules")			\
	F(NO_MODULES,	TEXT,	"/proc/sys/kernel/modules_disabled")	\
	F(SIGNED_ONLY,	TEXT,	"/sys/module/module/parameters/sig_enforce") \
	F(LOCKDOWN,	TEXT,	"/sys/kernel/security/lockdown")	\
	F(LSM,		TEXT,	"/sys/kernel/security/lsm")		\
	F(SECURE_BOOT,	TEXT,	"/sys/firmware/efi/efivars/"		\
	  "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")		\
	F(HEADERS,	EXISTS,	"/lib/modules/%s/build/Makefile")	\
	F(LAYERS,	NAMES,	"/usr/lib/lguest/layers")		\
	F(BUILT_LAYERS,	NAMES,	"/var/lib/lguest/layers")		\
	F(KERNELS,	NAMES,	"/boot")				\
	F(MORE_KERNELS,	PATHS,	KERNELS_WITH_MODULES)			\
	F(XEN_TYPE,	TEXT,	"/sys/hypervisor/guest_type")		\
	F(SEV_GUEST,	EXISTS,	"/dev/sev-guest")			\
	F(KVM_INTEL,	EXISTS,	"/sys/module/kvm_intel")		\
	F(KVM_AMD,	EXISTS,	"/sys/module/kvm_amd")			\
	F(KVM_GUESTS,	NAMES,	"/sys/kernel/debug/kvm")		\
	F(CLOCKSOURCE,	TEXT,						\
	  "/sys/devices/system/clocksource/clocksource0/current_clocksource") \
	F(CLOCKSOURCES,	TEXT,						\
	  "/sys/devices/system/clocksource/clocksource0/available_clocksource") \
	F(SLEEP,	TEXT,	"/sys/power/mem_sleep")			\
	F(TRACER,	TEXT,	"/sys/kernel/tracing/current_tracer")	\
	F(TRACED,	TEXT,	"/sys/kernel/tracing/enabled_functions") \
	F(PROBES,	TEXT,	"/sys/kernel/debug/kprobes/list")	\
	F(VULNERABILITIES, TEXTS, "/sys/devices/system/cpu/vulnerabilities") \
	F(TICKLESS,	TEXT,	"/sys/devices/system/cpu/nohz_full")	\
	F(ISOLATED,	TEXT,	"/sys/devices/system/cpu/isolated")	\
	F(PANIC,	TEXT,	"/proc/sys/kernel/panic")		\
	F(KDUMP,	TEXT,	"/sys/kernel/kexec_crash_loaded")	\
	F(PSTORE,	TEXT,	"/sys/module/pstore/parameters/backend") \
	F(HUGE_PAGES,	TEXT,	"/sys/kernel/mm/transparent_hugepage/enabled") \
	F(USERNS_MOST,	TEXT,	"/proc/sys/user/max_user_namespaces")	\
	F(USERNS_CLONE,	TEXT,	"/proc/sys/kernel/unprivileged_userns_clone") \
	F(USERNS_APPARMOR, TEXT,					\
	  "/proc/sys/kernel/apparmor_restrict_unprivileged_userns")	\
	F(DOCKER,	EXISTS,	"/.dockerenv")				\
	F(CONTAINER,	EXISTS,	"/run/.containerenv")			\
	F(LOADED,	EXISTS,	"/sys/module/lg")			\
	F(SOURCE,	TEXT,	"/sys/module/lg/srcversion")		\
	F(DEVICE,	USABLE,	"/dev/lguest")				\
	F(LOG,		LOG,	"/dev/kmsg")

enum machine_file {
#define NAME(name, how, path) FILE_##name,
	MACHINE_FILES(NAME)
#undef NAME
	MACHINE_FILE_COUNT
};

struct machine {
	/* NULL if it could not be read, and then errno of that. */
	char *text[MACHINE_FILE_COUNT];
	size_t size[MACHINE_FILE_COUNT];
	int error[MACHINE_FILE_COUNT];
	struct {
		bool known;
		char hypervisor[13];	/* its signature; KVM's, if it has several */
		uint32_t kvm_features;
		uint32_t encryption;	/* leaf 0x8000001f, eax */
	} cpuid;
	int landlock;		/* version, 0: none */
};

/* All the files below root ("" is this machine). */
void machine_read(struct machine *m, const char *root);
/* What is no file: CPUID and the version of Landlock. */
void machine_ask(struct machine *m);
void machine_free(struct machine *m);

const char *machine_path(enum machine_file file);

/* One value of /proc/cpuinfo's first CPU ("model name"), or false. */
bool machine_cpu(const struct machine *m, const char *key, char *value, size_t size);
/* Does the first CPU have this flag? */
bool machine_flag(const struct machine *m, const char *flag);

/* Is word one of the space-separated words of line? */
bool has_word(const char *line, const char *word);

#endif /* LGUEST_MACHINE_H */
