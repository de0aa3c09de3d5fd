// SPDX-License-Identifier: GPL-2.0
/* What a guest gets to know of DR6, by the layout in SDM vol. 3, "Debug Status Register". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "debug_status.h"

#define QUIET 0xffff0ff0ULL	/* no cause at all */

static void test_bus_lock_alone(void **state)
{
	(void)state;
	assert_true(is_bus_lock(QUIET & ~0x800ULL));
	/* `int1` has no cause either. */
	assert_false(is_bus_lock(QUIET));
	assert_true(has_bus_lock(QUIET & ~0x800ULL));
	assert_false(has_bus_lock(QUIET));
}

/* A step over such an access is the guest's, without the other cause. */
static void test_each_cause_beside(void **state)
{
	static const unsigned long long causes[] = { 1, 2, 4, 8, 1 << 13, 1 << 14, 1 << 15 };

	(void)state;
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		unsigned long long dr6 = (QUIET & ~0x800ULL) | causes[i];

		assert_false(is_bus_lock(dr6));
		assert_true(has_bus_lock(dr6));
		assert_false(has_bus_lock(QUIET | causes[i]));
		assert_false(is_bus_lock(QUIET | causes[i]));
		assert_true(dr6_for_guest(dr6) == (QUIET | causes[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bus_lock_alone),
		cmocka_unit_test(test_each_cause_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
