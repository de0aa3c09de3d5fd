// SOURCES: launcher/check/deep.c launcher/check/judges.c launcher/check/facts.c launcher/jail/landlock.c launcher/distribution.c
// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest check --deep` on made-up machines: a folder of files, as /proc and
 * /sys have them.  On a good one each row is ok; then one thing after the other
 * is spoilt, and its row must say so.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "check/deep.h"
#include "host_rules.h"

#define GOOD_FLAGS \
	"fpu tsc nx smep smap umip fsgsbase xsave pcid ibpb constant_tsc nonstop_tsc"
#define CPUS(flags_0, flags_1) \
	"processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Made Up\n" \
	"microcode\t: 0x1\nflags\t\t: " flags_0 "\nbugs\t\t: fred lass\n\n" \
	"processor\t: 1\nvendor_id\t: GenuineIntel\nmodel name\t: Made Up\n" \
	"microcode\t: 0x1\nflags\t\t: " flags_1 "\n\n"
#define CPU(flags)	CPUS(flags, flags)
#define GOOD_AND(flags)	CPU(GOOD_FLAGS " " flags)

/* What goes to a file in place of its text. */
static const char GONE[] = "gone", UNREADABLE[] = "unreadable";

struct content {
	enum machine_file file;
	const char *text;
};

static const struct content good_machine[] = {
	{ FILE_RELEASE, "6.1.0-57-amd64\n" },
	{ FILE_CPUINFO, CPU(GOOD_FLAGS) },
	{ FILE_CMDLINE, "BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 quiet\n" },
	{ FILE_VERSION, "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-3\n" },
	{ FILE_MODULES, "ext4 983040 1 - Live 0x0\ncrc16 16384 1 ext4, Live 0x0\n" },
	{ FILE_NO_MODULES, "0\n" },
	{ FILE_SIGNED_ONLY, "N\n" },
	{ FILE_LOCKDOWN, "[none] integrity confidentiality\n" },
	{ FILE_LSM, "lockdown,capability,landlock" },
	{ FILE_HEADERS, "" },
	{ FILE_CLOCKSOURCE, "tsc\n" },
	{ FILE_CLOCKSOURCES, "tsc hpet acpi_pm \n" },
	{ FILE_SLEEP, "[s2idle] deep\n" },
	{ FILE_TRACER, "nop\n" },
	{ FILE_TRACED, "" },
	{ FILE_PROBES, "" },
	{ FILE_TICKLESS, "  (null)\n" },
	{ FILE_ISOLATED, "\n" },
	{ FILE_PANIC, "10\n" },
	{ FILE_KDUMP, "1\n" },
	{ FILE_HUGE_PAGES, "always [madvise] never\n" },
	{ FILE_USERNS_MOST, "31000\n" },
	{ FILE_LOG, "6,1,0,-;Linux version 6.1\n SUBSYSTEM=x\n" },
};

static char root[] = "/tmp/check_deep.XXXXXX";

static void make_folders(char *path)
{
	char *at;

	for (at = strchr(path + strlen(root) + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		assert_true(!mkdir(path, 0755) || errno == EEXIST);
		*at = '/';
	}
}

/* Text of that length below root; "%s" in the path is the good machine's release. */
static void put_bytes(const char *path, const char *text, size_t size)
{
	char full[512], *hole;
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", root, path);
	hole = strstr(full, "%s");
	if (hole) {
		char rest[256];

		snprintf(rest, sizeof(rest), "6.1.0-57-amd64%s", hole + 2);
		snprintf(hole, sizeof(full) - (hole - full), "%s", rest);
	}
	make_folders(full);
	unlink(full);
	if (text == GONE)
		return;
	if (text == UNREADABLE) {	/* by root, too */
		assert_int_equal(symlink(full, full), 0);
		return;
	}
	file = fopen(full, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void put(enum machine_file file, const char *text)
{
	put_bytes(machine_path(file), text, strlen(text));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	return remove(path);
}

static int make_good(void **state)
{
	size_t i;

	(void)state;
	strcpy(root, "/tmp/check_deep.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	for (i = 0; i < sizeof(good_machine) / sizeof(good_machine[0]); i++)
		put(good_machine[i].file, good_machine[i].text);
	put_bytes("/sys/devices/system/cpu/vulnerabilities/retbleed", "Not affected\n", 13);
	put_bytes("/sys/devices/system/cpu/vulnerabilities/mds", "Mitigation: x\n", 14);
	put_bytes("/usr/lib/lguest/layers/6.1.0-57-amd64/layer.o", "", 0);
	put_bytes("/boot/vmlinuz-6.1.0-57-amd64", "", 0);
	return 0;
}

static int remove_all(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct machine machine;

static void look(void)
{
	machine_free(&machine);
	machine_read(&machine, root);
	machine.cpuid.known = true;
	machine.landlock = 3;
}

static struct finding row(const char *id)
{
	size_t i;

	for (i = 0; i < condition_count; i++)
		if (!strcmp(conditions[i].id, id))
			return find_out(&machine, &conditions[i]);
	fail_msg("there is no row %s", id);
	return (struct finding){ NULL };
}

static void expect(const char *id, enum verdict verdict)
{
	struct finding f = row(id);

	if (f.verdict != verdict)
		fail_msg("%s: %s, not %s (%s)", id, verdict_name(f.verdict),
			 verdict_name(verdict), f.detail.text);
	assert_true(strlen(finding_sentence(&f)) > 10);
	if (verdict != VERDICT_OK) {
		assert_non_null(finding_remedy(&f));
		assert_null(strpbrk(finding_remedy(&f), "{}"));
	}
}

static void all_is_well(void **state)
{
	size_t i;

	(void)state;
	look();
	for (i = 0; i < condition_count; i++) {
		expect(conditions[i].id, VERDICT_OK);
		assert_null(finding_remedy(&(struct finding){ .condition = &conditions[i] }));
	}
	assert_true(condition_count > 40);
}

static const struct spoilt {
	const char *id;
	enum verdict verdict;
	enum machine_file file;
	const char *text;
} spoilt[] = {
	{ "cpu-nx", VERDICT_REFUSE, FILE_CPUINFO, CPU("fpu fsgsbase xsave") },
	{ "cpu-nx", VERDICT_UNKNOWN, FILE_CPUINFO, GONE },
	{ "cpu-fsgsbase", VERDICT_REFUSE, FILE_CPUINFO, CPU("nx xsave") },
	{ "cpu-fsgsbase", VERDICT_REFUSE, FILE_CPUINFO, CPU("nx xsave nofsgsbase fsgsbase2") },
	{ "cpu-xsave", VERDICT_REFUSE, FILE_CPUINFO, CPU("nx fsgsbase xsaveopt") },
	{ "cpu-tsc", VERDICT_REFUSE, FILE_CPUINFO, CPU("nx rdtscp constant_tsc") },
	{ "cpu-fred", VERDICT_REFUSE, FILE_CPUINFO, GOOD_AND("fred") },
	{ "cpu-lass", VERDICT_WARN, FILE_CPUINFO, GOOD_AND("lass") },
	{ "cpu-smap", VERDICT_WARN, FILE_CPUINFO, CPU("nx smep") },
	{ "cpu-smep", VERDICT_WARN, FILE_CPUINFO, CPU("nx smap") },
	{ "cpu-umip", VERDICT_WARN, FILE_CPUINFO, CPU("nx smap") },
	{ "cpu-la57", VERDICT_OK, FILE_CPUINFO, GOOD_AND("la57") },
	{ "cpu-pcid", VERDICT_OK, FILE_CPUINFO, CPU("nx") },
	{ "cpu-amx", VERDICT_WARN, FILE_CPUINFO, GOOD_AND("amx_bf16 amx_tile amx_int8") },
	{ "cpu-amx", VERDICT_OK, FILE_CPUINFO, GOOD_AND("amx_bf16") },
	{ "cpu-ibpb", VERDICT_WARN, FILE_CPUINFO, CPU("nx smap") },
	{ "cpus-alike", VERDICT_WARN, FILE_CPUINFO, CPUS("nx smap", "nx smap smep") },
	{ "cpus-alike", VERDICT_WARN, FILE_CPUINFO, CPUS("nx smap", "nx") },
	{ "split-locks", VERDICT_WARN, FILE_CPUINFO, GOOD_AND("split_lock_detect") },
	{ "split-locks", VERDICT_WARN, FILE_CPUINFO, GOOD_AND("bus_lock_detect") },
	{ "kernel-old", VERDICT_REFUSE, FILE_RELEASE, "5.10.0-9-amd64\n" },
	{ "kernel-old", VERDICT_REFUSE, FILE_RELEASE, "6.0.12\n" },
	{ "kernel-old", VERDICT_OK, FILE_RELEASE, "7.0.1\n" },
	{ "kernel-old", VERDICT_UNKNOWN, FILE_RELEASE, "strange\n" },
	{ "kernel-new", VERDICT_REFUSE, FILE_RELEASE, "7.4.0-1020-azure\n" },
	{ "kernel-new", VERDICT_REFUSE, FILE_RELEASE, "8.0.1\n" },
	{ "kernel-new", VERDICT_OK, FILE_RELEASE, "7.3.4+deb13-amd64\n" },
	{ "kernel-new", VERDICT_OK, FILE_RELEASE, "6.17.0-42-generic\n" },
	{ "kernel-tried", VERDICT_OK, FILE_RELEASE, "6.12.5-cloud-amd64\n" },
	{ "kernel-tried", VERDICT_WARN, FILE_RELEASE, "6.11.0-1018-azure\n" },
	{ "kernel-tried", VERDICT_WARN, FILE_RELEASE, "7.1.0\n" },
	{ "kernel-tried", VERDICT_OK, FILE_RELEASE, "6.1.0-57-amd64\n" },
	{ "kernel-tried", VERDICT_OK, FILE_RELEASE, "7.2.13+deb14-amd64\n" },
	{ "kernel-tried", VERDICT_OK, FILE_RELEASE, "7.3.4+deb13-amd64\n" },
	{ "kernel-tried", VERDICT_WARN, FILE_RELEASE, "6.13.1\n" },
	{ "kernel-tried", VERDICT_WARN, FILE_RELEASE, "7.4.0\n" },
	{ "kernel-rt", VERDICT_REFUSE, FILE_VERSION, "#1 SMP PREEMPT_RT Debian 6.1\n" },
	{ "kernel-rt", VERDICT_REFUSE, FILE_REALTIME, "1\n" },
	{ "kernel-rt", VERDICT_UNKNOWN, FILE_VERSION, GONE },
	{ "kernel-xen-pv", VERDICT_REFUSE, FILE_XEN_TYPE, "PV\n" },
	{ "kernel-xen-pv", VERDICT_OK, FILE_XEN_TYPE, "PVH\n" },
	{ "kernel-xen-pv", VERDICT_OK, FILE_XEN_TYPE, "HVM\n" },
	{ "kernel-modules", VERDICT_REFUSE, FILE_MODULES, GONE },
	{ "kernel-modules", VERDICT_REFUSE, FILE_NO_MODULES, "1\n" },
	{ "kernel-modules", VERDICT_REFUSE, FILE_CMDLINE, "quiet nomodule panic=1\n" },
	{ "kernel-modules", VERDICT_UNKNOWN, FILE_MODULES, UNREADABLE },
	{ "kernel-signatures", VERDICT_WARN, FILE_SIGNED_ONLY, "Y\n" },
	{ "kernel-signatures", VERDICT_WARN, FILE_CMDLINE, "module.sig_enforce\n" },
	{ "kernel-signatures", VERDICT_OK, FILE_SIGNED_ONLY, GONE },
	{ "kernel-lockdown", VERDICT_WARN, FILE_LOCKDOWN, "none [integrity] confidentiality\n" },
	{ "kernel-lockdown", VERDICT_OK, FILE_LOCKDOWN, GONE },
	{ "kernel-lockdown", VERDICT_UNKNOWN, FILE_LOCKDOWN, UNREADABLE },
	{ "secure-boot", VERDICT_OK, FILE_SECURE_BOOT, "tiny" },
	{ "secure-boot", VERDICT_UNKNOWN, FILE_SECURE_BOOT, UNREADABLE },
	{ "kernel-headers", VERDICT_WARN, FILE_HEADERS, GONE },
	{ "hypervisor", VERDICT_OK, FILE_CPUINFO, GOOD_AND("hypervisor") },
	{ "guest-sev-es", VERDICT_OK, FILE_SEV_GUEST, "" },	/* the host of such machines */
	{ "guest-tdx", VERDICT_REFUSE, FILE_CPUINFO, GOOD_AND("hypervisor tdx_guest") },
	{ "kvm-intel", VERDICT_WARN, FILE_KVM_INTEL, "" },
	{ "kvm-amd", VERDICT_OK, FILE_KVM_AMD, "" },
	{ "kvm-used", VERDICT_OK, FILE_MODULES, "kvm_intel 380928 4 - Live 0x0\n" },
	{ "other-hypervisor", VERDICT_WARN, FILE_MODULES, "vboxdrv 1 0 - Live 0x0\n" },
	{ "other-hypervisor", VERDICT_OK, FILE_MODULES, "x 1 1 vboxdrv, Live 0x0\n" },
	{ "container", VERDICT_WARN, FILE_DOCKER, "" },
	{ "container", VERDICT_WARN, FILE_CONTAINER, "" },
	{ "tsc-constant", VERDICT_WARN, FILE_CPUINFO, CPU("nx tsc") },
	{ "tsc-nonstop", VERDICT_WARN, FILE_CPUINFO, CPU("nx constant_tsc") },
	{ "tsc-stable", VERDICT_WARN, FILE_CLOCKSOURCES, "hpet acpi_pm \n" },
	{ "tsc-stable", VERDICT_OK, FILE_CLOCKSOURCES, "tsc-early hpet acpi_pm \n" },
	{ "tsc-stable", VERDICT_UNKNOWN, FILE_CLOCKSOURCES, GONE },
	{ "clocksource", VERDICT_OK, FILE_CLOCKSOURCE, "kvm-clock\n" },
	{ "suspend", VERDICT_WARN, FILE_SLEEP, "s2idle [deep]\n" },
	{ "suspend", VERDICT_OK, FILE_SLEEP, GONE },
	{ "tracer", VERDICT_WARN, FILE_TRACER, "function_graph\n" },
	{ "tracer", VERDICT_UNKNOWN, FILE_TRACER, UNREADABLE },
	{ "tracer", VERDICT_UNKNOWN, FILE_TRACER, GONE },
	{ "probes", VERDICT_WARN, FILE_PROBES, "ffffffff81 k do_exit+0x0 [FTRACE]\n" },
	{ "probes", VERDICT_WARN, FILE_TRACED, "do_exit (1) R\n" },
	{ "probes", VERDICT_UNKNOWN, FILE_PROBES, UNREADABLE },
	{ "probes", VERDICT_OK, FILE_PROBES, GONE },
	{ "return-stuffing", VERDICT_WARN, FILE_CMDLINE, "retbleed=stuff\n" },
	{ "return-stuffing", VERDICT_OK, FILE_CMDLINE, "retbleed=auto\n" },
	{ "isolated-cpus", VERDICT_WARN, FILE_TICKLESS, "2-3\n" },
	{ "isolated-cpus", VERDICT_WARN, FILE_ISOLATED, "1\n" },
	{ "panic-reboots", VERDICT_WARN, FILE_PANIC, "0\n" },
	{ "panic-reboots", VERDICT_OK, FILE_PANIC, "-1\n" },
	{ "panic-record", VERDICT_WARN, FILE_KDUMP, "0\n" },
	{ "panic-record", VERDICT_WARN, FILE_KDUMP, GONE },
	{ "huge-pages", VERDICT_WARN, FILE_HUGE_PAGES, "always madvise [never]\n" },
	{ "huge-pages", VERDICT_WARN, FILE_HUGE_PAGES, GONE },
	{ "user-namespaces", VERDICT_WARN, FILE_USERNS_MOST, "0\n" },
	{ "user-namespaces", VERDICT_WARN, FILE_USERNS_CLONE, "0\n" },
	{ "user-namespaces", VERDICT_WARN, FILE_USERNS_APPARMOR, "1\n" },
	{ "device", VERDICT_OK, FILE_DEVICE, "" },
	{ "device", VERDICT_WARN, FILE_DEVICE, UNREADABLE },
};

/* Rows with a test of their own below. */
static const char *const elsewhere[] = {
	"guest-layer", "async-faults", "vulnerabilities", "landlock", "landlock-shares",
};

static bool is_tried(const char *id)
{
	size_t i;

	for (i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++)
		if (!strcmp(spoilt[i].id, id))
			return true;
	for (i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		if (!strcmp(elsewhere[i], id))
			return true;
	return false;
}

static void one_thing_spoilt(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
		put(spoilt[i].file, spoilt[i].text);
		look();
		expect(spoilt[i].id, spoilt[i].verdict);
		assert_int_equal(remove_all(state), 0);
		assert_int_equal(make_good(state), 0);
	}
	for (i = 0; i < condition_count; i++)
		if (!is_tried(conditions[i].id))
			fail_msg("nothing tries %s", conditions[i].id);
}

static void split_locks_off(void **state)
{
	(void)state;
	put(FILE_CPUINFO, GOOD_AND("split_lock_detect"));
	put(FILE_CMDLINE, "split_lock_detect=off\n");
	look();
	expect("split-locks", VERDICT_OK);
}

static void secure_boot(void **state)
{
	(void)state;
	put_bytes(machine_path(FILE_SECURE_BOOT), "\6\0\0\0\1", 5);
	look();
	expect("secure-boot", VERDICT_WARN);
	put_bytes(machine_path(FILE_SECURE_BOOT), "\6\0\0\0\0", 5);
	look();
	expect("secure-boot", VERDICT_OK);
}

static void no_layer(void **state)
{
	(void)state;
	put_bytes("/boot/vmlinuz-6.1.0-57-amd64", GONE, 0);
	put_bytes("/boot/vmlinuz-6.1.0-57-amd64-other", "", 0);
	put_bytes("/usr/lib/modules/6.1.0-57-amd64-other/vmlinuz", "", 0);
	look();
	expect("guest-layer", VERDICT_WARN);
	put_bytes("/usr/lib/modules/6.1.0-57-amd64/vmlinuz", "", 0);
	look();
	expect("guest-layer", VERDICT_OK);
}

static void async_faults(void **state)
{
	(void)state;
	put(FILE_CPUINFO, GOOD_AND("hypervisor"));
	look();
	strcpy(machine.cpuid.hypervisor, "KVMKVMKVM");
	expect("async-faults", VERDICT_OK);
	machine.cpuid.kvm_features = 1u << 14;
	expect("async-faults", VERDICT_WARN);
	strcpy(machine.cpuid.hypervisor, "Microsoft Hv");
	expect("async-faults", VERDICT_OK);
	strcpy(machine.cpuid.hypervisor, "KVMKVMKVM");
	machine.cpuid.known = false;
	expect("async-faults", VERDICT_UNKNOWN);
	put(FILE_CMDLINE, "quiet no-kvmapf\n");
	look();
	strcpy(machine.cpuid.hypervisor, "KVMKVMKVM");
	machine.cpuid.kvm_features = 1u << 14;
	expect("async-faults", VERDICT_OK);
}

static void names_of_hypervisors(void **state)
{
	struct finding f;

	(void)state;
	put(FILE_CPUINFO, GOOD_AND("hypervisor"));
	look();
	strcpy(machine.cpuid.hypervisor, "a\33[2Jb\377");
	f = row("hypervisor");
	assert_string_equal(f.detail.text, "a?[2Jb?");
}

static void encrypted_state(void **state)
{
	(void)state;
	put(FILE_CPUINFO, GOOD_AND("hypervisor"));
	look();
	machine.cpuid.encryption = 1 << 1;	/* SEV, without -ES */
	expect("guest-sev-es", VERDICT_OK);
	machine.cpuid.encryption = 1 << 3;
	expect("guest-sev-es", VERDICT_UNKNOWN);
	put(FILE_LOG, "6,1,0,-;x\n6,2,0,-;Memory Encryption Features active: AMD SEV\n7,3,0,-;SEV-ES\n");
	look();
	machine.cpuid.encryption = 1 << 3;
	expect("guest-sev-es", VERDICT_OK);
	put(FILE_LOG, "6,2,0,-;Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP\n");
	look();
	expect("guest-sev-es", VERDICT_REFUSE);
	put(FILE_LOG, UNREADABLE);
	put(FILE_SEV_GUEST, "");
	look();
	expect("guest-sev-es", VERDICT_REFUSE);
}

static void kvm_in_use(void **state)
{
	(void)state;
	put(FILE_KVM_INTEL, "");
	look();
	expect("kvm-used", VERDICT_UNKNOWN);	/* built in, debugfs not mounted */
	put_bytes("/sys/kernel/debug/kvm/exits", "", 0);
	look();
	expect("kvm-used", VERDICT_OK);
	put_bytes("/sys/kernel/debug/kvm/1234-12/x", "", 0);
	look();
	expect("kvm-used", VERDICT_WARN);
	put(FILE_MODULES, "kvm_intel 380928 0 - Live 0x0\nkvm 1 1 kvm_intel, Live 0x0\n");
	look();
	expect("kvm-used", VERDICT_OK);
	put(FILE_MODULES, "kvm_amd 380928 4 - Live 0x0\nkvm 1 1 kvm_amd, Live 0x0\n");
	look();
	expect("kvm-used", VERDICT_WARN);
}

static void vulnerabilities(void **state)
{
	struct finding f;

	(void)state;
	put_bytes("/sys/devices/system/cpu/vulnerabilities/mds",
		  "Vulnerable: no microcode\n", 25);
	look();
	expect("vulnerabilities", VERDICT_WARN);
	f = row("vulnerabilities");
	assert_string_equal(f.detail.text, "mds");
	expect("return-stuffing", VERDICT_OK);
	put_bytes("/sys/devices/system/cpu/vulnerabilities/retbleed",
		  "Mitigation: Stuffing\n", 21);
	look();
	expect("return-stuffing", VERDICT_WARN);
}

static void landlock(void **state)
{
	(void)state;
	look();
	machine.landlock = 1;
	expect("landlock", VERDICT_OK);
	expect("landlock-shares", VERDICT_WARN);
	machine.landlock = 0;
	expect("landlock", VERDICT_WARN);
}

/* A pstore will do where there is no kdump. */
static void records(void **state)
{
	(void)state;
	put(FILE_KDUMP, "0\n");
	put(FILE_PSTORE, "(null)\n");
	look();
	expect("panic-record", VERDICT_WARN);
	put(FILE_PSTORE, "efi_pstore\n");
	look();
	expect("panic-record", VERDICT_OK);
}

static const struct condition *condition(const char *id)
{
	size_t i;

	for (i = 0; i < condition_count; i++)
		if (!strcmp(conditions[i].id, id))
			return &conditions[i];
	fail_msg("there is no row %s", id);
	return NULL;
}

/* What the module refuses has a row that says so; a new rule needs a line here. */
static void rules_of_the_module(void **state)
{
	const struct host_facts good = {
		.fsgsbase = true, .nx = true, .xsave = true, .tsc = true
	};
	static const char *const rows[] = {	/* in the order of struct host_facts */
		"kernel-xen-pv", "kernel-rt", "guest-sev-es", "guest-tdx",
		"cpu-fsgsbase", "cpu-nx", "cpu-xsave", "cpu-tsc",
	};
	size_t i;

	(void)state;
	assert_null(host_trouble(&good));
	assert_int_equal(sizeof(good), sizeof(rows) / sizeof(rows[0]));
	for (i = 0; i < sizeof(good); i++) {
		struct host_facts facts = good;

		((unsigned char *)&facts)[i] ^= 1;
		assert_non_null(host_trouble(&facts));
		assert_int_equal(condition(rows[i])->verdict, VERDICT_REFUSE);
	}
	assert_non_null(cpu_trouble(&(struct cpu_facts){ .cr4 = CR4_IS_FSGSBASE | CR4_IS_FRED },
				    &(struct cpu_facts){ .cr4 = 0 }));
	assert_int_equal(condition("cpu-fred")->verdict, VERDICT_REFUSE);
}

static void an_empty_root(void **state)
{
	size_t i, unknown = 0;

	assert_int_equal(remove_all(state), 0);
	look();
	for (i = 0; i < condition_count; i++)
		unknown += find_out(&machine, &conditions[i]).verdict == VERDICT_UNKNOWN;
	assert_true(unknown > 20);
	assert_int_equal(make_good(state), 0);
}

static int forget(void **state)
{
	machine_free(&machine);
	memset(&machine, 0, sizeof(machine));
	return remove_all(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_good, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_is_well), TEST(one_thing_spoilt), TEST(split_locks_off),
		TEST(secure_boot), TEST(no_layer), TEST(async_faults),
		TEST(names_of_hypervisors), TEST(encrypted_state), TEST(kvm_in_use),
		TEST(vulnerabilities), TEST(landlock), TEST(records), TEST(rules_of_the_module),
		TEST(an_empty_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
