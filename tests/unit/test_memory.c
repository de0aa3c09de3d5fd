// SOURCES: launcher/hardware/memory.c launcher/message.c launcher/terminal.c
// SPDX-License-Identifier: GPL-2.0
/* Guest RAM: the accessor at every edge, and guards on both sides. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lguest.h"
#include "hardware/memory.h"

#define SIZE (17ULL << 20)

static void test_edges(void **state)
{
	struct memory m;
	uint64_t i;

	(void)state;
	assert_true(memory_create(&m, SIZE + 5));
	assert_int_equal(m.size, SIZE);
	assert_false(m.huge);
	assert_int_equal((uintptr_t)m.base % MEMORY_LARGE, 0);
	assert_ptr_equal(memory_at(&m, GPA(0), SIZE), m.base);
	assert_ptr_equal(memory_at(&m, GPA(SIZE), 0), m.base + SIZE);
	assert_ptr_equal(memory_at(&m, GPA(SIZE - 1), 1), m.base + SIZE - 1);
	assert_null(memory_at(&m, GPA(0), SIZE + 1));
	assert_null(memory_at(&m, GPA(SIZE - 1), 2));
	assert_null(memory_at(&m, GPA(SIZE), 1));
	assert_null(memory_at(&m, GPA(SIZE + 1), 0));
	for (i = 0; i < 64; i++) {
		assert_null(memory_at(&m, GPA(UINT64_MAX - i), i + 1));
		assert_null(memory_at(&m, GPA(i + 1), UINT64_MAX - i));
		if (1ULL << i > SIZE)
			assert_null(memory_at(&m, GPA(1ULL << i), 8));
	}
	memory_destroy(&m);
	assert_null(memory_at(&m, GPA(0), 1));
}

/* Against a model that cannot overflow. */
static void test_random(void **state)
{
	struct memory m = { .base = (uint8_t *)4096, .size = SIZE };
	int i;

	(void)state;
	srandom(1);
	for (i = 0; i < 1000000; i++) {
		uint64_t at = (uint64_t)random() << (random() % 34);
		uint64_t size = (uint64_t)random() << (random() % 34);
		bool fits;

		at >>= random() % 40;
		size >>= random() % 40;
		if (random() % 8 == 0)
			at = SIZE - size;
		fits = (unsigned __int128)at + size <= SIZE;
		assert_int_equal(memory_at(&m, GPA(at), size) != NULL, fits);
	}
}

static void test_copies(void **state)
{
	struct memory m;
	uint64_t value = 0x1122334455667788, back = 0;

	(void)state;
	assert_true(memory_create(&m, SIZE));
	assert_true(memory_write(&m, GPA(SIZE - 8), &value, 8));
	assert_true(memory_read(&m, GPA(SIZE - 8), &back, 8));
	assert_int_equal(back, value);
	back = 5;
	assert_false(memory_write(&m, GPA(SIZE - 7), &value, 8));
	assert_false(memory_read(&m, GPA(SIZE - 7), &back, 8));
	assert_int_equal(back, 5);
	memory_destroy(&m);
	memory_destroy(&m);
}

/* Does touching p kill a child? */
static bool deadly(volatile uint8_t *p)
{
	int status;
	pid_t child = fork();

	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		*p = 1;
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status);
}

static void test_guards(void **state)
{
	struct memory m;

	(void)state;
	assert_true(memory_create(&m, SIZE));
	assert_true(deadly(m.base));	/* a child has nothing of it */
	assert_int_equal(madvise(m.base, SIZE, MADV_DOFORK), 0);
	assert_false(deadly(m.base));
	assert_false(deadly(m.base + SIZE - 1));
	assert_true(deadly(m.base - 1));
	assert_true(deadly(m.base - MEMORY_LARGE));
	assert_true(deadly(m.base + SIZE));
	assert_true(deadly(m.base + SIZE + MEMORY_LARGE - 1));
	memory_destroy(&m);
}

/* Another process may map the file, and not make it shorter. */
static void test_shared(void **state)
{
	struct memory m;
	uint8_t *other;

	(void)state;
	assert_true(memory_create_shared(&m, SIZE));
	other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m.file, 0);
	assert_true(other != MAP_FAILED);
	m.base[SIZE - 1] = 7;
	m.base[8192] = 8;
	assert_int_equal(other[SIZE - 1], 7);
	memory_discard(&m, GPA(8192), 4096);
	assert_int_equal(other[8192], 0);
	assert_int_equal(ftruncate(m.file, 4096), -1);
	assert_int_equal(ftruncate(m.file, 2 * SIZE), -1);
	munmap(other, SIZE);
	memory_destroy(&m);
}

static void test_bad_sizes(void **state)
{
	struct memory m;
	char *said;
	size_t size;

	(void)state;
	message_stream = open_memstream(&said, &size);
	assert_false(memory_create(&m, 0));
	assert_false(memory_create(&m, MEMORY_LEAST - 1));
	assert_false(memory_create(&m, MEMORY_MOST + 1));
	assert_false(memory_create(&m, UINT64_MAX));
	fclose(message_stream);
	message_stream = NULL;
	assert_non_null(strstr(said, "; try -m 256M"));
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_guards), cmocka_unit_test(test_shared),
		cmocka_unit_test(test_bad_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
