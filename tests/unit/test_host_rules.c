// SPDX-License-Identifier: GPL-2.0
/*
 * What lg.ko refuses: machines and CPUs that are made up, right but for one thing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host_rules.h"

static const struct host_facts good_host = {
	.fsgsbase = 1, .nx = 1, .xsave = 1, .tsc = 1,
};

static const struct cpu_facts good_cpu = {
	.cr4 = 0x3506a0 | CR4_IS_FSGSBASE, .xcr0 = 7, .idt = RO_IDT_WANTED,
	.gdt = 0xfffffe0000001000, .gdt_wanted = 0xfffffe0000001000,
	.lstar = 0xffffffff81c00000, .tr = TSS_SELECTOR,
};

/* The sentence has this word, and says what to do or what is needed. */
static void refused(const char *trouble, const char *word)
{
	assert_non_null(trouble);
	assert_non_null(strstr(trouble, word));
}

static void test_hosts(void **state)
{
	struct host_facts f = good_host;

	(void)state;
	assert_null(host_trouble(&f));
#define SPOILED(field, value, word) \
	f = good_host; \
	f.field = value; \
	refused(host_trouble(&f), word)
	SPOILED(xen_pv, 1, "afraid of being a guest");
	SPOILED(realtime, 1, "boot a kernel without -rt");
	SPOILED(encrypted, 1, "SEV-ES");
	SPOILED(tdx, 1, "TDX");
	SPOILED(fsgsbase, 0, "FSGSBASE");
	SPOILED(nx, 0, "NX");
	SPOILED(xsave, 0, "XSAVE");
	SPOILED(tsc, 0, "TSC");
#undef SPOILED
}

static void test_cpus(void **state)
{
	struct cpu_facts f = good_cpu;

	(void)state;
	assert_null(cpu_trouble(&f, &good_cpu));
#define SPOILED(field, value, word) \
	f = good_cpu; \
	f.field = value; \
	refused(cpu_trouble(&f, &good_cpu), word)
	SPOILED(cr4, good_cpu.cr4 & ~CR4_IS_FSGSBASE, "FSGSBASE");
	SPOILED(cr4, good_cpu.cr4 | CR4_IS_FRED, "fred=off");
	SPOILED(idt, 0xffffffff82000000, "interrupt table");
	SPOILED(gdt, 0xffff888000001000, "GDT");
	SPOILED(tr, 0x48, "task register");
	SPOILED(lstar, 0xffff800000000000, "system calls");
	SPOILED(lstar, 0xffffffffc0001000, "system calls");
	SPOILED(cr4, good_cpu.cr4 ^ 0x800, "CR4");
	SPOILED(xcr0, 0xe7, "XCR0");
#undef SPOILED
}

/* Linux sets these by the way; tasks and KVM change them; LASS is off in a guest. */
static void test_what_may_differ(void **state)
{
	struct cpu_facts f = good_cpu;

	(void)state;
	f.cr4 ^= 1 << 2 | 1 << 4 | 1 << 8 | 1 << 13;	/* TSD, PSE, PCE, VMXE */
	assert_null(cpu_trouble(&f, &good_cpu));
	f.cr4 ^= CR4_IS_LASS;
	assert_null(cpu_trouble(&f, &good_cpu));
	f.vmx = 1;
	f.lstar = 0xfffff80000001000;	/* of KVM's guest */
	assert_null(cpu_trouble(&f, &good_cpu));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_what_may_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
