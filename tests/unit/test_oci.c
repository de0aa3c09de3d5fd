// SOURCES: launcher/oci/oci_config.c launcher/message.c launcher/terminal.c
// LIBS: -ljansson
// SPDX-License-Identifier: GPL-2.0
/* What a bundle's limits of CPUs come to: L14. */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "lguest.h"
#include "oci/oci.h"

/* The arrays that are made of a config live until the program's end. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static char bundle[] = "/tmp/lguest-bundle-XXXXXX";

static unsigned int vcpus_of(const char *cpu)
{
	struct oci_config config;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/config.json", bundle);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "{\"root\": {\"path\": \"/\"}, \"process\": {\"args\": [\"true\"], \"env\": [],"
		" \"cwd\": \"/\"}, \"linux\": {\"resources\": {\"cpu\": {%s}}}}", cpu);
	fclose(file);
	assert_true(oci_read_config(bundle, &config));
	unlink(path);
	return config.vcpus;
}

static void test_limits(void **state)
{
	static const struct {
		const char *cpu;
		unsigned int vcpus;
	} limits[] = {
		{ "", 0 },
		{ "\"shares\": 1024", 0 },
		{ "\"quota\": -1, \"period\": 100000", 0 },
		{ "\"quota\": 0", 0 },
		{ "\"quota\": 100000, \"period\": 100000", 1 },
		{ "\"quota\": 1000, \"period\": 100000", 1 },
		{ "\"quota\": 100001, \"period\": 100000", 2 },
		{ "\"quota\": 150000", 2 },
		{ "\"quota\": 150000, \"period\": 0", 2 },
		{ "\"quota\": 160000, \"period\": 10000", 16 },
		{ "\"quota\": 160001, \"period\": 10000", 16 },
		{ "\"quota\": 9223372036854775807, \"period\": 1", 16 },
		{ "\"cpus\": \"5\"", 1 },
		{ "\"cpus\": \"0-3,8\"", 5 },
		{ "\"cpus\": \"0-2147483646,1-2147483646\"", 16 },
		{ "\"cpus\": \"\"", 0 },
		{ "\"cpus\": \"all\"", 0 },
		{ "\"cpus\": \"3-1\"", 0 },
		{ "\"cpus\": \"0-\"", 0 },
		{ "\"cpus\": \"-1\"", 0 },
		{ "\"cpus\": \"0-99999999999999999999\"", 0 },
		{ "\"cpus\": 4", 0 },
		{ "\"cpus\": \"0-7\", \"quota\": 250000", 3 },
		{ "\"cpus\": \"0-1\", \"quota\": 250000", 2 },
		{ "\"cpus\": \"\", \"quota\": 250000", 3 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		print_message("%s\n", limits[i].cpu);
		assert_int_equal(vcpus_of(limits[i].cpu), limits[i].vcpus);
	}
}

static int make(void **state)
{
	(void)state;
	return mkdtemp(bundle) ? 0 : -1;
}

static int drop(void **state)
{
	(void)state;
	return rmdir(bundle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
