// SPDX-License-Identifier: GPL-2.0
// SOURCES: launcher/linker/versions.c launcher/linker/util.c
/* Which kernels are refused by their number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "linker/versions.h"

static struct lguest_error err;

static void known(const char *release)
{
	if (version_check(release, "vmlinuz", &err) < 0)
		fail_msg("%s", err.text);
}

static void unknown(const char *release)
{
	err.text[0] = '\0';
	assert_int_equal(version_check(release, "vmlinuz", &err), -1);
	assert_non_null(strstr(err.text, release));
	assert_non_null(strstr(err.text, FIRST_KNOWN " to " LAST_KNOWN));
	assert_non_null(strstr(err.text, "; "));
	assert_non_null(strstr(err.text, "--try-anyway"));
}

static void test_known(void **state)
{
	(void)state;
	known("6.1.0-57-cloud-amd64");
	known("6.1");
	known("6.12.117+deb12-rt-amd64");
	known("7.0.0-generic");
	known("7.3.4+deb13-amd64");
	known("7.3~rc7-cloud-amd64");
}

static void test_unknown(void **state)
{
	(void)state;
	unknown("5.10.0-30-amd64");
	unknown("6.0.12");
	unknown("7.4");
	unknown("7.4.0-rc1");
	unknown("7.10.3");
	unknown("7.30");
	unknown("10.1.1");
	unknown("700.1");
	unknown("6");
	unknown("6-amd64");
	unknown("6.");
	unknown("x6.12");
	unknown("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
