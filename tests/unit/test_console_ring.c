// SOURCES: launcher/hardware/console.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c launcher/console/escape.c
// SPDX-License-Identifier: GPL-2.0
/* The console's rings, friendly and hostile, and the escape keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hardware/console.h"
#include "lguest.h"
#include "console/input.h"

#define RAM (16ULL << 20)

static struct memory memory;
static struct console console;
static uint8_t got[1 << 20];
static size_t got_size;
static unsigned int got_port;

static void collect(struct console *c, unsigned int port, const uint8_t *bytes,
		    size_t size)
{
	assert_ptr_equal(c, &console);
	assert_true(size <= LGUEST_CONSOLE_OUT);
	memcpy(got + got_size, bytes, size);
	got_size += size;
	got_port = port;
}

static struct lguest_console *page_at(uint64_t gpa, uint32_t port)
{
	struct lguest_console *page = memory_at(&memory, GPA(gpa), 4096);

	memset(page, 0, 4096);
	page->magic = LGUEST_CONSOLE_MAGIC;
	page->port = port;
	return page;
}

static int setup(void **state)
{
	(void)state;
	message_stream = fopen("/dev/null", "w");
	if (!memory_create(&memory, RAM))
		return -1;
	console_init(&console, &memory);
	console.output = collect;
	got_size = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fclose(message_stream);
	message_stream = NULL;
	memory_destroy(&memory);
	return 0;
}

static void guest_prints(struct lguest_console *page, const char *text)
{
	for (; *text; text++)
		page->out[page->out_head++ % LGUEST_CONSOLE_OUT] = *text;
}

static void test_output(void **state)
{
	struct lguest_console *page = page_at(0x5000, 2);
	int i;

	(void)state;
	page->out_head = page->out_tail = 0xffffffffu - 3000;
	assert_true(console_notify(&console, 0x5000));
	assert_int_equal(got_size, 0);
	for (i = 0; i < 1000; i++) {
		guest_prints(page, "hello, ring\n");
		if (i % 7 == 0)
			assert_true(console_notify(&console, 0x5000));
	}
	assert_true(console_notify(&console, 0x5000));
	assert_int_equal(got_size, 12000);
	assert_int_equal(got_port, 2);
	assert_int_equal(page->out_tail, page->out_head);
	for (i = 0; i < 1000; i++)
		assert_memory_equal(got + 12 * i, "hello, ring\n", 12);
	guest_prints(page, "end");
	console_drain(&console);
	assert_int_equal(got_size, 12003);
}

static void test_not_a_page(void **state)
{
	struct lguest_console *page = page_at(RAM - 4096, 0);

	(void)state;
	assert_true(console_notify(&console, RAM - 4096));
	assert_false(console_notify(&console, RAM));
	assert_false(console_notify(&console, RAM - 4095));
	assert_false(console_notify(&console, 0));
	assert_false(console_notify(&console, UINT64_MAX & ~4095ULL));
	page->magic++;
	assert_false(console_notify(&console, RAM - 4096));
}

static void test_bad_port(void **state)
{
	struct lguest_console *page = page_at(0x5000, 4);

	(void)state;
	page->out_head = 10;
	assert_true(console_notify(&console, 0x5000));
	page->port = UINT32_MAX;
	assert_true(console_notify(&console, 0x5000));
	assert_int_equal(got_size, 0);
}

static void test_hostile_counters(void **state)
{
	struct lguest_console *page = page_at(0x5000, 0);
	int i;

	(void)state;
	assert_true(console_notify(&console, 0x5000));
	page->out_head = LGUEST_CONSOLE_OUT + 1;	/* too much */
	assert_true(console_notify(&console, 0x5000));
	assert_int_equal(got_size, 0);
	page->out_tail = 12345;				/* ours is our own */
	page->out_head += 3;
	assert_true(console_notify(&console, 0x5000));
	assert_int_equal(got_size, 3);
	srandom(2);
	for (i = 0; i < 100000; i++) {
		uint8_t byte = i;

		page->out_head = random() << (random() % 2);
		page->out_tail = random();
		page->in_tail = random() << (random() % 2);
		page->in_head = random();
		got_size = 0;
		assert_true(console_notify(&console, 0x5000));
		assert_true(console_input(&console, 0, &byte, 1) <= 1);
	}
}

static void test_input(void **state)
{
	struct lguest_console *page = page_at(0x7000, 1);
	uint8_t bytes[3000];
	size_t i, sent = 0, seen = 0;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 7;
	assert_int_equal(console_input(&console, 1, bytes, 5), 0);
	page->in_head = page->in_tail = 0xfffffff0;
	assert_true(console_notify(&console, 0x7000));
	assert_int_equal(console_input(&console, 0, bytes, 5), 0);
	assert_int_equal(console_input(&console, 1, bytes, 3000), LGUEST_CONSOLE_IN);
	assert_int_equal(console_input(&console, 1, bytes, 1), 0);
	sent = LGUEST_CONSOLE_IN;
	while (seen < sizeof(bytes)) {
		for (i = 0; i < 100 && page->in_tail != page->in_head; i++, seen++)
			assert_int_equal(page->in[page->in_tail++ % LGUEST_CONSOLE_IN],
					 bytes[seen]);
		sent += console_input(&console, 1, bytes + sent, sizeof(bytes) - sent);
	}
	assert_int_equal(sent, seen);
}

static unsigned int taken;

static void count_taken(struct console *c)
{
	assert_ptr_equal(c, &console);
	taken++;
}

/* Who leaves something over is told when to come again, and only then. */
static void test_input_taken(void **state)
{
	struct lguest_console *page = page_at(0x7000, 1);
	uint8_t bytes[LGUEST_CONSOLE_IN + 1] = { 0 };

	(void)state;
	console.taken = count_taken;
	taken = 0;
	assert_true(console_notify(&console, 0x7000));
	assert_int_equal(console_input(&console, 1, bytes, 1), 1);
	assert_int_equal(page->in_more, 0);
	assert_true(console_notify(&console, 0x7000));
	assert_int_equal(taken, 0);
	page->in_more = 5;				/* ours, too */
	assert_int_equal(console_input(&console, 1, bytes, sizeof(bytes)),
			 LGUEST_CONSOLE_IN - 1);
	assert_int_equal(page->in_more, 1);
	page->in_tail = page->in_head;
	assert_true(console_notify(&console, 0x7000));
	assert_int_equal(taken, 1);
	assert_int_equal(console_input(&console, 1, bytes, 2), 2);
	assert_int_equal(page->in_more, 0);
	assert_true(console_notify(&console, 0x7000));
	assert_int_equal(taken, 1);
}

static void control(const char *text)
{
	console_control(&console, (const uint8_t *)text, strlen(text));
}

static void test_control(void **state)
{
	int i;

	(void)state;
	control("rea");
	assert_false(console.ready);
	control("dy\r\nexit ");
	assert_true(console.ready);
	assert_int_equal(console.status, -1);
	control("256\nexit \nexit -1\nexit 7x\n exit 7\n");
	assert_int_equal(console.status, -1);
	control("exit 99999999999999999999999\n");
	assert_int_equal(console.status, -1);
	for (i = 0; i < 1000; i++)
		control("long line ");
	control("\nexit 0\n");
	assert_int_equal(console.status, 0);
	control("exit 255\n");
	assert_int_equal(console.status, 255);
}

static struct escape escape;
static bool ended;

static const char *keys(const char *text, double seconds)
{
	static uint8_t out[64];
	size_t size = escape_filter(&escape, (const uint8_t *)text, strlen(text),
				    seconds * 1e9, out, &ended);

	out[size] = 0;
	return (char *)out;
}

static void test_escape(void **state)
{
	(void)state;
	memset(&escape, 0, sizeof(escape));
	ended = false;
	assert_string_equal(keys("ls\r", 1), "ls\r");
	assert_string_equal(keys("\1", 1), "");
	assert_string_equal(keys("\1a", 1), "\1a");
	assert_string_equal(keys("\1q\3", 2), "q\3");
	assert_string_equal(keys("\3", 2.5), "\3");
	assert_false(ended);
	assert_string_equal(keys("\3", 3.1), "\3");	/* the first was too early */
	assert_false(ended);
	assert_string_equal(keys("\3more", 3.4), "\3");
	assert_true(ended);
	ended = false;
	memset(&escape, 0, sizeof(escape));
	assert_string_equal(keys("\3\3", 10), "\3\3");
	assert_false(ended);
	assert_string_equal(keys("abc\1xyz", 11.5), "abc");
	assert_true(ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_counters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control, setup, teardown),
		cmocka_unit_test(test_escape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
