// SOURCES: launcher/devices/virtio/limits.c launcher/options.c launcher/message.c launcher/terminal.c
// SPDX-License-Identifier: GPL-2.0
/* How much in a second, by a clock of our own: K7. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virtio/limits.h"

#define MS	1000000ULL
#define SECOND	(1000 * MS)

static struct limits of(const char *first, const char *second, const char *third)
{
	struct limits limits = { .burst = 0 };

	assert_int_equal(limits_read(&limits, first), LIMITS_TAKEN);
	if (second)
		assert_int_equal(limits_read(&limits, second), LIMITS_TAKEN);
	if (third)
		assert_int_equal(limits_read(&limits, third), LIMITS_TAKEN);
	return limits;
}

static void test_words(void **state)
{
	static const struct { const char *word; uint64_t bytes; } good[] = {
		{ "bps=1", 1 }, { "bps=1000000", 1000000 }, { "bps=64K", 65536 },
		{ "bps=10M", 10 << 20 }, { "bps=2g", 2ULL << 30 },
	};
	static const char *const wrong[] = {
		"bps=", "bps=0", "bps=-1", "bps=1MB", "bps= 1", "bps=1.5M", "bps=99999999999999999999",
		"bps=18446744073709551615G", "iops=x", "iops=0", "burst=", "burst=0", "burst=-1", "burst=x",
	};
	static const char *const other[] = { "ro", "bp=1", "IOPS=1", "", "iops" };
	struct limits limits;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(of(good[i].word, NULL, NULL).bytes.per_second, good[i].bytes);
	assert_int_equal(of("burst=0.5", NULL, NULL).burst, 500 * MS);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(limits_read(&limits, wrong[i]), LIMITS_WRONG);
	for (i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		assert_int_equal(limits_read(&limits, other[i]), LIMITS_OTHER);
}

/* A device that has always more to do, and sleeps as long as it is told. */
static uint64_t take_for(struct limits *limits, uint64_t *now, uint64_t time, uint64_t size)
{
	uint64_t end = *now + time, taken = 0, wait;

	while ((wait = limits_wait(limits, *now)) <= end - *now) {
		*now += wait;
		assert_int_equal(limits_wait(limits, *now), 0);
		limits_count(limits, *now, size);
		taken++;
	}
	*now = end;
	return taken;
}

static void test_requests(void **state)
{
	struct limits limits = of("iops=100", NULL, NULL);
	uint64_t now = 77 * SECOND;

	(void)state;
	/* The burst, one that may begin, and then one every 10 ms. */
	assert_int_equal(take_for(&limits, &now, 0, 4096), 11);
	assert_int_equal(take_for(&limits, &now, 10 * SECOND, 1 << 20), 1000);
	assert_int_equal(take_for(&limits, &now, SECOND, 0), 100);
	now += 3600 * SECOND;		/* a silence does not add up */
	assert_int_equal(take_for(&limits, &now, 0, 4096), 11);
	limits = of("iops=100", "burst=2", NULL);
	assert_int_equal(take_for(&limits, &now, 0, 4096), 201);
	assert_int_equal(take_for(&limits, &now, 10 * SECOND, 4096), 1000);
	limits = of("iops=1", NULL, NULL);
	assert_int_equal(take_for(&limits, &now, 0, 4096), 1);
	assert_int_equal(take_for(&limits, &now, 10 * SECOND, 4096), 10);
}

static void test_bytes(void **state)
{
	struct limits limits = of("bps=1000000", NULL, NULL);
	uint64_t now = SECOND, end, wait, bytes = 0;
	unsigned int seed = 5;

	(void)state;
	assert_int_equal(take_for(&limits, &now, 0, 1000), 101);
	assert_int_equal(take_for(&limits, &now, 60 * SECOND, 1000), 60000);
	limits = of("bps=1000000", NULL, NULL);
	for (end = now + 100 * SECOND; (wait = limits_wait(&limits, now)) <= end - now; ) {
		unsigned int size = rand_r(&seed) % 65536;

		now += wait;
		limits_count(&limits, now, size);
		bytes += size;
	}
	assert_in_range(bytes, 100000000, 100100000 + 65536);
	/* One that is larger than all is taken, and then paid for. */
	limits = of("bps=1000", NULL, NULL);
	limits_count(&limits, now, 5000);
	assert_int_equal(limits_wait(&limits, now), 4900 * MS);
}

/* Thirds of a nanosecond are none that is free. */
static void test_rest(void **state)
{
	struct limits limits = of("bps=3", NULL, NULL), most = of("bps=17179869183G", NULL, NULL);
	uint64_t i, now = SECOND;

	(void)state;
	for (i = 0; i < 3000; i++)
		limits_count(&limits, now, 1);
	assert_int_equal(limits.bytes.paid_until, now + 1000 * SECOND);
	for (i = 0; i < 1000; i++)
		limits_count(&most, now, ~0ULL >> 1);
	assert_in_range(most.bytes.paid_until, now + 499 * SECOND, now + 501 * SECOND);
}

static void test_both(void **state)
{
	struct limits limits = of("iops=1000", "bps=1M", "burst=0.001");
	uint64_t now = SECOND;

	(void)state;
	assert_in_range(take_for(&limits, &now, 10 * SECOND, 4096), 2560, 2562);
	assert_in_range(take_for(&limits, &now, 10 * SECOND, 16), 9999, 10002);
	assert_true(limits_any(&limits));
	assert_false(limits_any(&(struct limits){ .burst = 1 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words), cmocka_unit_test(test_requests),
		cmocka_unit_test(test_bytes), cmocka_unit_test(test_rest), cmocka_unit_test(test_both),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
