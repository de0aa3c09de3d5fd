// SOURCES: host/memory.c
// CFLAGS: -Itests/unit/shim
// SPDX-License-Identifier: GPL-2.0
/* The Host's checks of addresses, at every edge. */
#include <setjmp.h>
#include <stdarg.h>
#include "shim/shim.h"
#include "lg.h"
#include <cmocka.h>

#define PAGES	4
#define LIMIT	(PAGES * PAGE_SIZE)
#define MISSING	2	/* this page of the launcher is not there */

static u8 *ram;
static struct lguest *lg;
static bool killed;
static char reason[256];

void kill_guest(struct lg_cpu *cpu, const char *fmt, ...)
{
	va_list args;

	(void)cpu;
	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	killed = true;
}

static unsigned long largest;	/* copy so far, in bytes */

/* Like the real one: the bytes that could not be copied. */
unsigned long copy_from_user(void *to, const void *from, unsigned long n)
{
	u64 first = (const u8 *)from - ram, hole = MISSING * PAGE_SIZE;

	assert_true(first <= LIMIT && n <= LIMIT - first);
	largest = n > largest ? n : largest;
	if (n && first < hole + PAGE_SIZE && first + n > hole)
		return n;
	memcpy(to, from, n);
	return 0;
}

/* One page of the launcher is there to be read, but lookups that do not sleep refuse it:
 * for ever if it was never written, else so many times. A signal comes at all others. */
static unsigned long refused;
static bool writable;
static int refusals;
static int failure;	/* of what may sleep, once */

int get_user_pages_fast(unsigned long address, int n, unsigned int flags,
			struct page **pages)
{
	static struct page page = { .pfn = 5 };

	assert_int_equal(n, 1);
	assert_int_equal(address % PAGE_SIZE, 0);
	if (address != refused)
		return -ERESTARTSYS;
	if (failure) {
		int err = failure;

		failure = 0;
		return err;
	}
	if (flags & FOLL_WRITE && !writable)
		return -EFAULT;
	if (flags & FOLL_WRITE)
		refusals = 0;
	*pages = &page;
	return 1;
}

int get_user_pages_fast_only(unsigned long address, int n, unsigned int flags,
			     struct page **pages)
{
	assert_int_equal(address, refused);
	if (refusals && refusals--)
		return 0;
	return get_user_pages_fast(address, n, flags, pages);
}

static int setup(void **state)
{
	unsigned long i;

	(void)state;
	ram = aligned_alloc(PAGE_SIZE, LIMIT);
	lg = calloc(1, sizeof(*lg));
	for (i = 0; i < LIMIT; i++)
		ram[i] = i * 7 + (i >> 8);
	lg->base = (unsigned long)ram;
	lg->pfn_limit = PAGES;
	lg->cpus[0] = calloc(1, sizeof(*lg->cpus[0]));
	lg->cpus[0]->lg = lg;
	killed = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(ram);
	free(lg->cpus[0]);
	free(lg);
	return 0;
}

static bool ok(u64 at, u64 len)
{
	return guest_range_ok(lg, GPA(at), len);
}

static void test_range(void **state)
{
	unsigned int i;

	(void)state;
	assert_true(ok(0, 0));
	assert_true(ok(0, 1));
	assert_true(ok(0, LIMIT));
	assert_true(ok(LIMIT - 1, 1));
	assert_true(ok(LIMIT, 0));
	assert_false(ok(0, LIMIT + 1));
	assert_false(ok(1, LIMIT));
	assert_false(ok(LIMIT - 1, 2));
	assert_false(ok(LIMIT, 1));
	assert_false(ok(LIMIT + 1, 0));
	for (i = 0; i < 64; i++) {
		u64 power = 1ULL << i;

		assert_int_equal(ok(power, 8), power + 8 <= LIMIT);
		assert_int_equal(ok(8, power), power + 8 <= LIMIT);
		/* The sum is 0, or small: it wraps. */
		assert_false(ok(-power, power));
		assert_false(ok(-power, power + 8));
		assert_false(ok(UINT64_MAX - i, i));
		assert_false(ok(i + 1, UINT64_MAX - i));
		assert_false(ok(UINT64_MAX, UINT64_MAX - i));
	}
	lg->pfn_limit = 1ULL << 40;		/* the largest there may be */
	assert_true(ok(0, 1ULL << 52));
	assert_true(ok((1ULL << 52) - 1, 1));
	assert_false(ok(1ULL << 52, 1));
	assert_false(ok(-PAGE_SIZE, PAGE_SIZE));
}

static void test_canonical(void **state)
{
	(void)state;
	assert_true(canonical(0));
	assert_true(canonical(0x00007fffffffffff));
	assert_false(canonical(0x0000800000000000));
	assert_false(canonical(0x0000ffffffffffff));
	assert_false(canonical(0x8000000000000000));
	assert_false(canonical(0xffff7fffffffffff));
	assert_true(canonical(0xffff800000000000));
	assert_true(canonical(UINT64_MAX));
	assert_false(canonical(0xff00000000000000));	/* with 5 levels only */
}

static void test_limits(void **state)
{
	const u64 base = 0x7f0000000000, most = 1ULL << 40;

	(void)state;
	assert_true(limits_ok(base, 1, 0, 1));
	assert_true(limits_ok(base, 1, UINT64_MAX, 1));
	assert_true(limits_ok(base, 16, 0x1000, most));
	assert_true(limits_ok(0, 1, 0, 1));
	assert_true(limits_ok(TASK_SIZE_MAX - PAGE_SIZE, 1, 0, 1));
	assert_false(limits_ok(TASK_SIZE_MAX, 1, 0, 1));
	assert_false(limits_ok(TASK_SIZE_MAX - PAGE_SIZE, 2, 0, 2));
	assert_false(limits_ok(base + 1, 1, 0, 1));
	assert_false(limits_ok(base + 8, 1, 0, 1));
	assert_false(limits_ok(base, 0, 0, 1));
	assert_false(limits_ok(base, 0, 0, 0));
	assert_false(limits_ok(base, 2, 0, 1));
	assert_false(limits_ok(base, 1, 0, most + 1));
	assert_false(limits_ok(base, most + 1, 0, most + 1));
	assert_false(limits_ok(base, most, 0, most));	/* beyond user space */
	assert_false(limits_ok(base, 1, 0x800000000000, 1));
	/* Where pages << 12 would be small, or nothing. */
	assert_false(limits_ok(base, 1ULL << 52, 0, 1ULL << 52));
	assert_false(limits_ok(base, (1ULL << 52) + 1, 0, UINT64_MAX));
	assert_false(limits_ok(base, UINT64_MAX, 0, UINT64_MAX));
	assert_false(limits_ok(UINT64_MAX - 4095, 1, 0, 1));
	assert_false(limits_ok(UINT64_MAX - 4095, 2, 0, 2));
}

static bool zeros(const u8 *bytes, size_t n)
{
	while (n--)
		if (bytes[n])
			return false;
	return true;
}

static void test_read(void **state)
{
	struct lg_cpu *cpu = lg->cpus[0];
	u8 bytes[64];

	(void)state;
	lgread(cpu, bytes, GPA(LIMIT - 64), 64);
	assert_false(killed);
	assert_memory_equal(bytes, ram + LIMIT - 64, 64);
	lgread(cpu, bytes, GPA(LIMIT - 63), 64);
	assert_true(killed && zeros(bytes, 64));
	killed = false;
	memset(bytes, 0xff, 64);
	lgread(cpu, bytes, GPA(-32ULL), 64);
	assert_true(killed && zeros(bytes, 64));
	killed = false;
	memset(bytes, 0xff, 64);
	lgread(cpu, bytes, GPA(MISSING * PAGE_SIZE - 32), 64);
	assert_true(killed && zeros(bytes, 64));
}

/* Of each width: the guest ends, with the address for a reason, and nobody has read. */
static void test_bad_reads(void **state)
{
	static const u64 lengths[] = { 1, 2, 4, 8, 64, 256, PAGE_SIZE };
	struct lg_cpu *cpu = lg->cpus[0];
	u8 bytes[PAGE_SIZE];
	char wanted[256];
	unsigned int i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		u64 len = lengths[i], bad[] = {
			LIMIT - len / 2, LIMIT - len + 1, LIMIT, LIMIT + 1,
			1ULL << 47, 1ULL << 63, -len, 1 - len,
			MISSING * PAGE_SIZE, MISSING * PAGE_SIZE + 1 - len,
		};

		for (k = 0; k < ARRAY_SIZE(bad); k++) {
			if (!bad[k])	/* 1 - 1 */
				continue;
			killed = false;
			memset(bytes, 0xff, sizeof(bytes));
			lgread(cpu, bytes, GPA(bad[k]), len);
			snprintf(wanted, sizeof(wanted), "bad read address %#llx len %llu",
				 (unsigned long long)bad[k], (unsigned long long)len);
			assert_true(killed && zeros(bytes, len));
			assert_string_equal(reason, wanted);
			assert_true(len == PAGE_SIZE || bytes[len] == 0xff);
		}
		killed = false;
		lgread(cpu, bytes, GPA(LIMIT - len), len);
		assert_memory_equal(bytes, ram + LIMIT - len, len);
		assert_false(killed);
	}
}

static void test_atomic(void **state)
{
	struct lg_cpu *cpu = lg->cpus[0];
	u64 old, value, words[16];

	(void)state;
	assert_true(lgread_atomic(cpu, &value, GPA(0x1008), 8));
	assert_memory_equal(&value, ram + 0x1008, 8);
	assert_int_equal(cpu->need.page, 0);
	assert_false(lgread_atomic(cpu, &value, GPA(MISSING * PAGE_SIZE + 8), 8));
	assert_int_equal(cpu->need.page, ram + MISSING * PAGE_SIZE);
	assert_false(cpu->need.write);

	/* Entries of tables: each in one piece, as another CPU may be storing it. */
	memset(&cpu->need, 0, sizeof(cpu->need));
	largest = 0;
	assert_true(lgread_words(cpu, words, GPA(0x1100), 16));
	assert_memory_equal(words, ram + 0x1100, sizeof(words));
	assert_int_equal(largest, 8);
	assert_int_equal(cpu->need.page, 0);
	assert_false(lgread_words(cpu, words, GPA(MISSING * PAGE_SIZE + 8), 16));
	assert_int_equal(cpu->need.page, ram + MISSING * PAGE_SIZE);
	assert_false(cpu->need.write);

	memset(&cpu->need, 0, sizeof(cpu->need));
	memcpy(&old, ram + 16, 8);
	assert_int_equal(lgcmpxchg_atomic(cpu, GPA(16), old + 1, 5), 0);
	assert_memory_equal(&old, ram + 16, 8);
	assert_int_equal(lgcmpxchg_atomic(cpu, GPA(16), old, 5), 1);
	memcpy(&value, ram + 16, 8);
	assert_int_equal(value, 5);
	assert_int_equal(cpu->need.page, 0);
	assert_int_equal(lgcmpxchg_atomic(cpu, GPA(MISSING * PAGE_SIZE), 0, 1),
			 -EFAULT);
	assert_int_equal(cpu->need.page, ram + MISSING * PAGE_SIZE);
	assert_true(cpu->need.write);
	/* A signal is no fault. */
	assert_int_equal(fault_in(lg->base + 5, true), -EINTR);
	/* The page of zeros is no use: it becomes one of the launcher's own. */
	refused = lg->base;
	refusals = 1000;
	writable = true;
	assert_int_equal(fault_in(lg->base + 5, false), 0);
	assert_int_equal(refusals, 0);
	/* What cannot be written is found a moment later, or never. */
	writable = false;
	refusals = 2;
	assert_int_equal(fault_in(lg->base + 5, false), 0);
	refusals = 1000;
	assert_int_equal(fault_in(lg->base + 5, false), -EFAULT);
	assert_int_equal(fault_in(lg->base + 5, true), -EFAULT);
}

/* No memory now is neither a signal nor memory that is not there. */
static void test_no_memory(void **state)
{
	(void)state;
	refused = lg->base;
	refusals = 0;
	writable = true;
	failure = -ENOMEM;
	assert_int_equal(fault_in(lg->base, true), -ENOMEM);
	assert_int_equal(fault_in(lg->base, true), 0);
	failure = -ENOMEM;
	assert_int_equal(fault_in(lg->base, false), -ENOMEM);
	assert_int_equal(fault_in(lg->base, false), 0);
	failure = -EHWPOISON;
	assert_int_equal(fault_in(lg->base, false), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_range, setup, teardown),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_limits),
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_atomic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
