// CFLAGS: -Itests/unit/shim
// SPDX-License-Identifier: GPL-2.0
/*
 * The initcall of Linux's that must not run: its entry in the table becomes one of a
 * function that does nothing, and if there is none the guest's log says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include "shim/shim.h"
#include <cmocka.h>

#undef LINUX_VERSION_CODE
#define LINUX_VERSION_CODE	KERNEL_VERSION(6, 16, 0)
#define CONFIG_CPU_SUP_AMD	1

typedef int (*initcall_t)(void);
typedef int initcall_entry_t;	/* the distance from itself */

static initcall_t initcall_from_entry(initcall_entry_t *entry)
{
	return (initcall_t)((long)entry + *entry);
}

static long __static_call_return0(void)
{
	return 0;
}

static char said[200];
#define pr_err(...)	snprintf(said, sizeof(said), __VA_ARGS__)

/* The kernel's linker gives the table's ends by two names. */
#define CALLS	4
static initcall_entry_t table[CALLS + 1];
#define __initcall0_start	start_of_table
#define __initcall_end		end_of_table
asm(".globl start_of_table, end_of_table\n"
    "start_of_table = table\n"
    "end_of_table = table + 16");

#include "guest/compat/reset_reason.h"

static unsigned int resets, others;

int print_s5_reset_status_mmio(void)
{
	resets++;
	return -1;
}

static int another(void)
{
	return (int)++others;
}

static void put(unsigned int i, initcall_t call)
{
	table[i] = (int)((long)call - (long)&table[i]);
}

static int setup(void **state)
{
	unsigned int i;

	resets = 0;
	others = 0;
	said[0] = '\0';
	for (i = 0; i <= CALLS; i++)
		put(i, another);
	return 0;
}

static void run_initcalls(void)
{
	unsigned int i;

	for (i = 0; i < CALLS; i++)
		initcall_from_entry(&table[i])();
}

static void test_forgotten(void **state)
{
	unsigned int i;

	for (i = 0; i < CALLS; i++) {
		setup(NULL);
		put(i, print_s5_reset_status_mmio);
		no_reset_reason();
		run_initcalls();
		assert_int_equal(resets, 0);
		assert_int_equal(others, CALLS - 1);
		assert_string_equal(said, "");
	}
}

/* What stands behind the table is not of it. */
static void test_not_there(void **state)
{
	put(CALLS, print_s5_reset_status_mmio);
	no_reset_reason();
	run_initcalls();
	assert_int_equal(others, CALLS);
	assert_true(initcall_from_entry(&table[CALLS]) == print_s5_reset_status_mmio);
	assert_non_null(strstr(said, "print_s5_reset_status_mmio is not in"));
	assert_int_equal(said[strlen(said) - 1], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_forgotten, setup),
		cmocka_unit_test_setup(test_not_there, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
