// SPDX-License-Identifier: GPL-2.0
/*
 * The conditions of a machine that matter for loading lg.ko: one table.  Each
 * row has a question for judges.c, and what to say and do for either answer.
 * Read next: judges.c, then facts.c.
 */
#include <stdio.h>
#include <string.h>

#include "deep.h"
#include "distribution.h"
#include "judges.h"
#include "linker/versions.h"

#define CPUINFO		"flags in /proc/cpuinfo"
/* For these each distribution has words of its own: fill_in(). */
#define HEADERS		"{headers}"
#define KDUMP		"{kdump}"
#define KEY		"{key}"
#define NOTHING		"nothing mends this: another machine is needed"

/*L:065
 * REFUSE: the module does not load there (host/host_rules.h), or cannot be built.  WARN: it has not
 * been tried on such a machine, or something is lost.  With neither, the
 * condition is only told: it has mattered once, or is good to know.
 :*/
const struct condition conditions[] = {
	{ "cpu-nx", CPUINFO, lacks_flag, "nx", VERDICT_REFUSE,
	  "the CPU has NX",
	  "the CPU has no NX, or it is off",
	  "switch on 'execute disable' in the firmware, drop noexec=off" },
	{ "cpu-fsgsbase", CPUINFO, lacks_flag, "fsgsbase", VERDICT_REFUSE,
	  "the CPU has FSGSBASE",
	  "the CPU has no FSGSBASE, or it is off",
	  "drop nofsgsbase from the kernel's parameters; else " NOTHING },
	{ "cpu-xsave", CPUINFO, lacks_flag, "xsave", VERDICT_REFUSE,
	  "the CPU has XSAVE",
	  "the CPU has no XSAVE, or it is off",
	  "drop noxsave from the kernel's parameters; else " NOTHING },
	{ "cpu-tsc", CPUINFO, lacks_flag, "tsc", VERDICT_REFUSE,
	  "the CPU has a TSC",
	  "the CPU has no TSC, or it is off",
	  "drop notsc and clearcpuid=tsc from the kernel's parameters" },
	{ "cpu-fred", CPUINFO, has_flag, "fred", VERDICT_REFUSE,
	  "the kernel does not use FRED",
	  "the kernel uses FRED, with which lguest cannot run yet",
	  "boot with the kernel parameter fred=off" },
	{ "cpu-lass", CPUINFO, has_flag, "lass", VERDICT_WARN,
	  "the kernel does not use LASS",
	  "the kernel uses LASS, with which lguest has been tried in an emulator only",
	  "begin with `modprobe lg selftest=1`; or boot with vsyscall=emulate, which turns LASS off" },
	{ "cpu-smap", CPUINFO, lacks_flag, "smap", VERDICT_WARN,
	  "the CPU has SMAP",
	  "without SMAP one line of defence against guests and launchers is missing",
	  "drop nosmap and clearcpuid=smap from the kernel's parameters; else run trusted guests" },
	{ "cpu-smep", CPUINFO, lacks_flag, "smep", VERDICT_WARN,
	  "the CPU has SMEP",
	  "without SMEP one line of defence against guests and launchers is missing",
	  "drop nosmep and clearcpuid=smep from the kernel's parameters; else run trusted guests" },
	{ "cpu-umip", CPUINFO, lacks_flag, "umip", VERDICT_WARN,
	  "the CPU has UMIP",
	  "without UMIP a guest can read where this machine's descriptor tables are",
	  "drop clearcpuid=umip from the kernel's parameters; else run trusted guests" },
	{ "cpu-la57", CPUINFO, has_flag, "la57", VERDICT_OK,
	  "page tables have four levels",
	  "page tables have five levels, which lguest knows", NULL },
	{ "cpu-pcid", CPUINFO, lacks_flag, "pcid", VERDICT_OK,
	  "the CPU has PCIDs",
	  "the CPU has no PCIDs: each world switch empties the TLB", NULL },
	{ "cpu-amx", CPUINFO, has_flag, "amx_tile", VERDICT_WARN,
	  "the CPU has no AMX",
	  "the CPU has AMX, with whose registers lguest has not been tried on hardware",
	  "end programs that use AMX, or boot with clearcpuid=amx_tile" },
	{ "cpu-ibpb", CPUINFO, lacks_flag, "ibpb", VERDICT_WARN,
	  "the CPU can forget its predictions of branches (IBPB)",
	  "without IBPB guests and their launchers can steer each other's predictions",
	  "update the microcode; else run trusted guests" },
	{ "cpus-alike", "/proc/cpuinfo", cpus_differ, NULL, VERDICT_WARN,
	  "all CPUs are alike",
	  "the CPUs are not alike, and the module may refuse them",
	  "update the microcode in the firmware or early in the boot" },
	{ "split-locks", CPUINFO ", kernel parameters", split_locks, NULL, VERDICT_WARN,
	  "split locks are not watched",
	  "the kernel watches for split locks: a guest's may be slowed down, or end it",
	  "if a guest needs them: boot with split_lock_detect=off" },

	{ "kernel-old", "/proc/sys/kernel/osrelease", old_kernel, NULL, VERDICT_REFUSE,
	  "the kernel is not older than " FIRST_KNOWN,
	  "the kernel is older than " FIRST_KNOWN ", for which the module is not made",
	  "boot one of " FIRST_KNOWN " to " LAST_KNOWN },
	{ "kernel-new", "/proc/sys/kernel/osrelease", new_kernel, NULL, VERDICT_REFUSE,
	  "the kernel is not newer than " LAST_KNOWN,
	  "the kernel is newer than " LAST_KNOWN ", and the module does not know it",
	  "boot one of " FIRST_KNOWN " to " LAST_KNOWN
	  "; else build the module with TRY_ANYWAY=1, and begin with `modprobe lg selftest=1`" },
	{ "kernel-tried", "/proc/sys/kernel/osrelease", untried_kernel, NULL, VERDICT_WARN,
	  "lguest is tested with kernels of this version",
	  "lguest is tested with kernels of other versions only: " TESTED,
	  "boot Debian's kernel of one of these; else begin with `modprobe lg selftest=1`" },
	{ "kernel-rt", "/proc/sys/kernel/version, /sys/kernel/realtime", is_realtime, NULL,
	  VERDICT_REFUSE,
	  "the kernel is not PREEMPT_RT",
	  "the kernel is PREEMPT_RT, where the module's locks would sleep",
	  "boot a kernel without -rt" },
	{ "kernel-xen-pv", "/sys/hypervisor/guest_type", on_xen_pv, NULL, VERDICT_REFUSE,
	  "this is no Xen PV machine",
	  "this is a Xen PV machine, whose kernel runs at ring 3",
	  "nothing mends this: use a Xen PVH or HVM machine" },
	{ "kernel-modules", "/proc/modules, modules_disabled, kernel parameters",
	  takes_no_modules, NULL, VERDICT_REFUSE,
	  "the kernel takes modules",
	  "the kernel takes no modules",
	  "boot a kernel with CONFIG_MODULES, without nomodule and kernel.modules_disabled" },
	{ "kernel-signatures", "/sys/module/module/parameters/sig_enforce, kernel parameters",
	  wants_signatures, NULL, VERDICT_WARN,
	  "modules need no signature",
	  "only modules with a signature are taken",
	  "dkms signs lg.ko: mokutil --import " KEY ", and reboot (docs/INSTALL.md)" },
	{ "kernel-lockdown", "/sys/kernel/security/lockdown", is_locked_down, NULL, VERDICT_WARN,
	  "the kernel is not locked down",
	  "the kernel is locked down: only modules with a signature are taken",
	  "mokutil --import " KEY ", and reboot (docs/INSTALL.md), or switch off Secure Boot" },
	{ "secure-boot", "/sys/firmware/efi/efivars", boots_securely, NULL, VERDICT_WARN,
	  "the machine was not booted by Secure Boot",
	  "the machine was booted by Secure Boot: the kernel may want modules with a signature",
	  "dkms signs lg.ko: mokutil --import " KEY ", and reboot (docs/INSTALL.md)" },
	{ "kernel-headers", "/lib/modules/RELEASE/build", lacks_headers, NULL, VERDICT_WARN,
	  "the kernel's headers are installed",
	  "the kernel's headers are not installed: the module cannot be built here",
	  HEADERS },
	{ "guest-layer", "/var/lib/lguest/layers, /usr/lib/lguest/layers, /boot, /usr/lib/modules",
	  lacks_layer, NULL, VERDICT_WARN,
	  "there is a kernel that has a guest layer",
	  "no kernel that is installed has a guest layer",
	  "as root: lguest link --all; or point LGUEST_LAYERS to build/layers of lguest's source" },

	{ "hypervisor", CPUINFO ", CPUID", has_hypervisor, NULL, VERDICT_OK,
	  "there is no hypervisor below",
	  "there is a hypervisor below", NULL },
	{ "async-faults", "CPUID 0x40000001, kernel parameters", has_async_faults, NULL,
	  VERDICT_WARN,
	  "no page faults come from a hypervisor",
	  "KVM, below, may send page faults of its own (async page faults), tried by a model only;"
	  " from Linux 7.2 on each that strikes a guest costs the kernel 100 bytes for ever",
	  "boot this machine with the kernel parameter no-kvmapf" },
	{ "guest-sev-es", "CPUID 0x8000001f, /dev/sev-guest, kernel's log", state_is_encrypted,
	  NULL, VERDICT_REFUSE,
	  "this is no machine under SEV-ES or SEV-SNP",
	  "this is a machine under SEV-ES or SEV-SNP, where CPUID is an exception",
	  "use a machine whose state is not encrypted" },
	{ "guest-tdx", CPUINFO, has_flag, "tdx_guest", VERDICT_REFUSE,
	  "this is no machine under TDX",
	  "this is a machine under TDX, where CPUID is an exception",
	  "use a machine whose state is not encrypted" },
	{ "kvm-intel", "/sys/module/kvm_intel", is_loaded, "kvm_intel", VERDICT_WARN,
	  "kvm_intel is not loaded",
	  "kvm_intel is loaded: no CPU of Intel's has shown yet that lguest and KVM go together",
	  "end KVM's machines, then modprobe -r kvm_intel" },
	{ "kvm-amd", "/sys/module/kvm_amd", is_loaded, "kvm_amd", VERDICT_OK,
	  "kvm_amd is not loaded",
	  "kvm_amd is loaded: the two have been tried beside each other, in an emulator", NULL },
	{ "kvm-used", "/proc/modules, /sys/kernel/debug/kvm", kvm_is_used, NULL, VERDICT_WARN,
	  "no machine of KVM's runs",
	  "machines of KVM's run: they would go down with this one",
	  "end them for the first tries" },
	{ "other-hypervisor", "/proc/modules", other_hypervisor, NULL, VERDICT_WARN,
	  "no other hypervisor's module is loaded",
	  "another hypervisor's module is loaded, with which lguest has not been tried",
	  "unload it for the first tries" },
	{ "container", "/.dockerenv, /run/.containerenv", in_container, NULL, VERDICT_WARN,
	  "this is no container",
	  "this is a container: the module is that of the machine outside",
	  "load the module there, and give this container /dev/lguest" },

	{ "tsc-constant", CPUINFO, lacks_flag, "constant_tsc", VERDICT_WARN,
	  "the TSC has one rate",
	  "the TSC's rate may change, and the guests' clocks with it",
	  NOTHING ", if guests need the time" },
	{ "tsc-nonstop", CPUINFO, lacks_flag, "nonstop_tsc", VERDICT_WARN,
	  "the TSC does not stop when a CPU sleeps",
	  "the TSC may stop when a CPU sleeps, and the guests' clocks with it",
	  "boot with processor.max_cstate=1; or do without the time in guests" },
	{ "tsc-stable", "available_clocksource in /sys/devices/system/clocksource",
	  tsc_unstable, NULL, VERDICT_WARN,
	  "the kernel trusts the TSC",
	  "the kernel does not trust the TSC: the guests' clocks may jump",
	  "look for TSC in dmesg; a newer firmware may help" },
	{ "clocksource", "current_clocksource in /sys/devices/system/clocksource",
	  other_clock, NULL, VERDICT_OK,
	  "the kernel's clock is the TSC",
	  "the kernel's clock is another than the TSC", NULL },
	{ "suspend", "/sys/power/mem_sleep", stops_the_tsc, NULL, VERDICT_WARN,
	  "suspending this machine leaves the CPU's clock on",
	  "suspending this machine switches its CPU off (S3), not yet tried on hardware",
	  "end guests before, or echo s2idle >/sys/power/mem_sleep" },

	{ "tracer", "/sys/kernel/tracing/current_tracer", is_traced, NULL, VERDICT_WARN,
	  "no tracer is on",
	  "a tracer is on, and would run in the middle of the module",
	  "echo nop >/sys/kernel/tracing/current_tracer" },
	{ "probes", "/sys/kernel/debug/kprobes/list, /sys/kernel/tracing/enabled_functions",
	  is_probed, NULL, VERDICT_WARN,
	  "no function of the kernel is probed",
	  "functions of the kernel are probed",
	  "end perf, bpftrace, and whatever else looks into the kernel" },
	{ "return-stuffing", "/sys/devices/system/cpu/vulnerabilities, kernel parameters",
	  stuffs_returns, NULL, VERDICT_WARN,
	  "returns are not counted (retbleed=stuff)",
	  "the kernel counts calls and returns (retbleed=stuff), not yet tried on hardware",
	  "boot with retbleed=auto, without indirect_target_selection=stuff" },
	{ "vulnerabilities", "/sys/devices/system/cpu/vulnerabilities", is_vulnerable, NULL,
	  VERDICT_WARN,
	  "the kernel calls the CPU vulnerable to nothing",
	  "the CPU is vulnerable, to guests as to any program",
	  "update kernel and microcode, drop mitigations=off; else run trusted guests" },
	{ "isolated-cpus", "nohz_full and isolated in /sys/devices/system/cpu",
	  keeps_cpus_apart, NULL, VERDICT_WARN,
	  "no CPUs are kept apart",
	  "CPUs are kept apart, but the end of guests may interrupt each of them",
	  "do not mix guests and work that no interrupt may disturb" },

	{ "panic-reboots", "/proc/sys/kernel/panic", stays_dead, NULL, VERDICT_WARN,
	  "after a panic the machine boots anew",
	  "after a panic the machine stands still",
	  "sysctl kernel.panic=10" },
	{ "panic-record", "/sys/kernel/kexec_crash_loaded, /sys/module/pstore/parameters/backend",
	  keeps_no_record, NULL, VERDICT_WARN,
	  "a panic leaves a record",
	  "a panic leaves no record: neither kdump nor pstore is ready",
	  KDUMP ", or `modprobe efi_pstore`" },

	{ "huge-pages", "/sys/kernel/mm/transparent_hugepage/enabled", no_huge_pages, NULL,
	  VERDICT_WARN,
	  "guests can have huge pages",
	  "guests cannot have huge pages, and are slower",
	  "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled" },
	{ "user-namespaces", "max_user_namespaces, unprivileged_userns_clone, "
	  "apparmor_restrict_unprivileged_userns in /proc/sys", no_user_namespaces, NULL,
	  VERDICT_WARN,
	  "users may make namespaces",
	  "users may not make namespaces, which passt needs for `lguest run -n user`",
	  "allow them by sysctl, or start such guests as root" },
	{ "landlock", "landlock_create_ruleset()", old_landlock, "1", VERDICT_WARN,
	  "the kernel has Landlock",
	  "the kernel has no Landlock, which would keep the launcher from files",
	  "put landlock into the kernel parameter lsm=" },
	{ "landlock-shares", "landlock_create_ruleset()", old_landlock, "2", VERDICT_WARN,
	  "Landlock is new enough for `lguest run --share`",
	  "Landlock is too old for `lguest run --share`",
	  "boot a kernel of 5.19 or newer, with landlock in lsm=" },
	{ "device", "/dev/lguest", device_closed, NULL, VERDICT_WARN,
	  "/dev/lguest is not closed to you",
	  "you may not use /dev/lguest",
	  "sudo usermod -aG lguest $USER" },
};

const size_t condition_count = sizeof(conditions) / sizeof(conditions[0]);

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_OK] = "ok",
		[VERDICT_WARN] = "warn",
		[VERDICT_REFUSE] = "refuse",
		[VERDICT_UNKNOWN] = "unknown",
	};

	return names[verdict];
}

/* It may come from a hypervisor, or a file: no terminal shall obey it. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

struct finding find_out(const struct machine *m, const struct condition *condition)
{
	struct finding f = { .condition = condition };

	switch (condition->judge(m, condition->word, &f.detail)) {
	case NO:
		f.verdict = VERDICT_OK;
		break;
	case YES:
		f.verdict = condition->verdict;
		f.as_feared = true;
		break;
	case UNKNOWN:
		f.verdict = VERDICT_UNKNOWN;
		break;
	}
	make_printable(f.detail.text);
	return f;
}

const char *finding_sentence(const struct finding *f)
{
	if (f->verdict == VERDICT_UNKNOWN)
		return "this could not be found out";
	return f->as_feared ? f->condition->trouble : f->condition->fine;
}

static const char *fill_in(const char *remedy)
{
	struct hint headers = how_to_install(PACKAGE_HEADERS, "$(uname -r)");
	struct hint kdump = how_to_install(PACKAGE_KDUMP, NULL);
	const struct { const char *hole, *words; } words[] = {
		{ HEADERS, headers.text }, { KDUMP, kdump.text }, { KEY, dkms_key() },
	};
	static char text[256];
	size_t i;

	for (i = 0; remedy && i < sizeof(words) / sizeof(words[0]); i++) {
		const char *hole = strstr(remedy, words[i].hole);

		if (!hole)
			continue;
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(hole - remedy), remedy,
			 words[i].words, hole + strlen(words[i].hole));
		return text;
	}
	return remedy;
}

const char *finding_remedy(const struct finding *f)
{
	if (f->verdict == VERDICT_UNKNOWN)
		return "ask again as root, with proc, sysfs, debugfs, tracefs and securityfs mounted";
	return f->as_feared ? fill_in(f->condition->remedy) : NULL;
}
