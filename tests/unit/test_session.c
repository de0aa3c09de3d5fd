// SOURCES: launcher/machine/vcpu.c launcher/hardware/guest.c launcher/hardware/hold.c launcher/console/output.c launcher/io.c launcher/hardware/console.c launcher/console/watch.c launcher/console/escape.c launcher/hardware/emulate.c launcher/hardware/decode.c launcher/hardware/mmio.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c
// SPDX-License-Identifier: GPL-2.0
/*
 * Whole sessions against a Host of our own: each test is a script of what
 * read() gives, and looks at what came out and how it ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/user.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "hardware/guest.h"
#include "hardware/host.h"
#include "lguest.h"
#include "no_gdb.h"
#include "console/output.h"
#include "console/watch.h"
#include "devices/virtio/virtio.h"
#include "machine/vcpu.h"

/* No device is there. */
const char *virtio_waits_for(void)
{
	return NULL;
}

#define RAM (16ULL << 20)
#define PAGE_OF(port) (0x5000ULL + (port) * 0x1000)
#define SLEEP 9999		/* a guest that only a signal ends */
#define LISTEN 9998		/* ... that waits for 12 bytes of input */

struct step {
	int error;
	struct lguest_exit exit;
	const char *print;	/* into port ... before a NOTIFY */
	unsigned int port;
};

static struct guest guest;
static const struct step *script;
static const char *reason;
static uint64_t rip, rax;
static int traps, irqs, sleeps;
static char *said;
static size_t said_size;
static int out_pipe[2], err_pipe[2], saved_out, saved_err;

static struct lguest_console *page(unsigned int port)
{
	return memory_at(&guest.memory, GPA(PAGE_OF(port)), 4096);
}

int host_run(int fd, struct lguest_exit *exit)
{
	const struct step *step = script;
	const char *text = step->print;
	int i;

	assert_int_equal(fd, 7);
	if (step->error == SLEEP) {
		sleeps++;
		return nanosleep(&(struct timespec){ .tv_sec = 60 }, NULL) ? -EINTR : -EIO;
	}
	script++;
	if (step->error == LISTEN) {
		for (i = 0; i < 60000 && page(0)->in_head < 12; i++)
			usleep(1000);
		return -EINTR;
	}
	for (; text && *text; text++)
		page(step->port)->out[page(step->port)->out_head++ % LGUEST_CONSOLE_OUT] = *text;
	*exit = step->exit;
	return -step->error;
}

void host_reason(int fd, char *text, size_t size)
{
	(void)fd;
	snprintf(text, size, "%s", reason);
}

int host_irq(int fd, unsigned int line)
{
	(void)fd;
	assert_int_equal(line, LGUEST_IRQ_CONSOLE);
	irqs++;
	return 0;
}

int host_trap(int fd, unsigned int number, uint64_t error)
{
	(void)fd;
	(void)error;
	assert_int_equal(number, 13);
	traps++;
	return 0;
}

static uint64_t *reg(size_t offset)
{
	return offset == offsetof(struct user_regs_struct, rip) ? &rip : &rax;
}

int host_get_register(int fd, size_t offset, uint64_t *value)
{
	(void)fd;
	*value = *reg(offset);
	return 0;
}

int host_set_register(int fd, size_t offset, uint64_t value)
{
	(void)fd;
	*reg(offset) = value;
	return 0;
}

static int setup(void **state)
{
	unsigned int i;

	(void)state;
	memset(&guest, 0, sizeof(guest));
	guest.fd = 7;
	if (!memory_create(&guest.memory, RAM))
		return -1;
	console_init(&guest.console, &guest.memory);
	guest.console.output = guest_output;
	guest.console.owner = &guest;
	for (i = 0; i < LGUEST_CONSOLE_PORTS; i++) {
		page(i)->magic = LGUEST_CONSOLE_MAGIC;
		page(i)->port = i;
	}
	traps = irqs = sleeps = 0;
	verbose = false;
	message_stream = open_memstream(&said, &said_size);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memory_destroy(&guest.memory);
	fclose(message_stream);
	message_stream = NULL;
	free(said);
	return 0;
}

/* Run a script with stdout and stderr caught. */
static char out[65536], err[65536];

static void drain_pipe(int *pipe, int saved, int fd, char *to)
{
	ssize_t size;

	dup2(saved, fd);
	close(saved);
	close(pipe[1]);
	size = read(pipe[0], to, 65535);
	to[size > 0 ? size : 0] = 0;
	close(pipe[0]);
}

static int play(const struct step *steps)
{
	int status;

	script = steps;
	fflush(NULL);
	assert_int_equal(pipe(out_pipe) | pipe(err_pipe), 0);
	saved_out = dup(1);
	saved_err = dup(2);
	dup2(out_pipe[1], 1);
	dup2(err_pipe[1], 2);
	status = run_guest(&guest);
	fflush(NULL);
	drain_pipe(out_pipe, saved_out, 1, out);
	drain_pipe(err_pipe, saved_err, 2, err);
	fflush(message_stream);
	return status;
}

#define NOTIFY(number, text) { \
	.exit = { .kind = LGUEST_EXIT_NOTIFY, .value = PAGE_OF(number) }, \
	.print = (text), .port = (number) }
#define ERROR(number) { .error = (number) }

static void test_shell(void **state)
{
	const struct step steps[] = {
		NOTIFY(0, "hello\r\n"), NOTIFY(0, "a\r"), NOTIFY(0, "\nb\rc"),
		ERROR(EINTR), ERROR(EAGAIN),
		{ .exit = { .kind = LGUEST_EXIT_NOTIFY, .value = 0x1234 } },
		ERROR(ENOENT),
	};

	(void)state;
	reason = "POWEROFF: bye";
	assert_int_equal(play(steps), STATUS_DONE);
	assert_string_equal(out, "hello\na\nb\rc");
	assert_string_equal(err, "");
	assert_string_equal(said ? said : "", "");
}

static void test_command(void **state)
{
	const struct step steps[] = {
		NOTIFY(0, "[0.0] Linux\r\n"), NOTIFY(3, "ready\n"),
		NOTIFY(1, "out\r\n\xff"), NOTIFY(2, "err\n"), NOTIFY(3, "exit 7\n"),
		ERROR(ENOENT),
	};

	(void)state;
	guest.command = true;
	reason = "POWEROFF: ";
	assert_int_equal(play(steps), 7);
	assert_string_equal(out, "out\r\n\xff");
	assert_string_equal(err, "err\n");
	assert_true(guest.console.ready);
}

/* Of a long log only the end is shown, and how to see the rest; of a short one all. */
static void test_long_log(void **state)
{
	const struct step steps[] = { NOTIFY(0, "[9.9] the last line\r\n"), ERROR(ENOENT) };
	unsigned int i, lines = 0;
	const char *at;
	char line[40];

	(void)state;
	guest.command = true;
	reason = "CRASH: no good";
	for (i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "[0.0] line %u\r\n", i);
		console_keep(&guest.console, (uint8_t *)line, strlen(line));
	}
	assert_int_equal(play(steps), STATUS_PANIC);
	for (at = err; *at; at++)
		lines += *at == '\n';
	assert_int_equal(lines, 60);
	assert_true(!strncmp(err, "[0.0] line 941\n", 15));
	assert_non_null(strstr(err, "[0.0] line 999\n[9.9] the last line\n"));
	assert_non_null(strstr(said, "the last messages of the guest's kernel; -v shows all:\n"));
	assert_non_null(strstr(said, "panicked: no good; its last messages tell more\n"));
}

static void test_no_status(void **state)
{
	const struct step steps[] = { NOTIFY(0, "[0.0] oh no\r\n"), ERROR(ENOENT) };

	(void)state;
	guest.command = true;
	reason = "POWEROFF: ";
	assert_int_equal(play(steps), STATUS_NO_STATUS);
	assert_string_equal(err, "[0.0] oh no\n");
	assert_string_equal(out, "");
}

static void test_panic(void **state)
{
	const struct step steps[] = { NOTIFY(0, "[0.0] panic\r\n"), ERROR(ENOENT) };

	(void)state;
	guest.command = true;
	reason = "CRASH: Attempted to kill init!\033[31m\n";
	assert_int_equal(play(steps), STATUS_PANIC);
	assert_non_null(strstr(said, "panicked: Attempted to kill init! [31m; "));
	assert_string_equal(err, "[0.0] panic\n");
}

static void test_killed(void **state)
{
	const struct step steps[] = { ERROR(ENOENT) };

	(void)state;
	reason = "bad hypercall 99";
	assert_int_equal(play(steps), STATUS_KILLED);
	assert_non_null(strstr(said, "killed: bad hypercall 99; "));
}

static void test_restart(void **state)
{
	const struct step steps[] = { NOTIFY(0, "a"), ERROR(ERESTART) };

	(void)state;
	assert_int_equal(play(steps), RUN_RESTART);
	assert_string_equal(out, "a");
}

static void test_host_errors(void **state)
{
	const struct step permission[] = { ERROR(EPERM) };
	const struct step strange[] = { { .exit = { .kind = 77 } } };

	(void)state;
	assert_int_equal(play(permission), STATUS_HOST);
	assert_int_equal(play(strange), STATUS_HOST);
	assert_non_null(strstr(said, "/dev/lguest"));
}

static void test_traps(void **state)
{
	const struct step steps[] = {
		{ .exit = { .kind = LGUEST_EXIT_TRAP, .insn = { 0xed }, .insn_len = 1 } },
		{ .exit = { .kind = LGUEST_EXIT_TRAP, .insn = { 0xfa }, .insn_len = 1 } },
		{ .exit = { .kind = LGUEST_EXIT_MMIO, .value = RAM,
			    .insn = { 0x48, 0x8b, 0x03 }, .insn_len = 3 } },
		ERROR(ENOENT),
	};

	(void)state;
	reason = "POWEROFF: ";
	rip = 1000;
	assert_int_equal(play(steps), STATUS_DONE);
	assert_int_equal(rip, 1004);
	assert_int_equal(traps, 1);
	assert_int_equal(rax, UINT64_MAX);
}

static uint64_t in_a_moment(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec + 200000000;
}

static void test_time_limit(void **state)
{
	const struct step steps[] = { NOTIFY(0, "a"), ERROR(SLEEP) };
	struct watch_settings settings = { .deadline = in_a_moment() };

	(void)state;
	assert_true(watch_start(&guest, &settings));
	assert_int_equal(play(steps), RUN_ENDED);
	watch_stop();
	assert_int_equal(guest.end, END_TIME);
	assert_true(in_a_moment() - settings.deadline >= 200000000);
	assert_in_range(sleeps, 0, 1);	/* the limit may have passed before */
}

static void test_signal(void **state)
{
	const struct step steps[] = { ERROR(SLEEP) };
	struct watch_settings settings = { .deadline = 0 };

	(void)state;
	assert_true(watch_start(&guest, &settings));
	kill(getpid(), SIGTERM);
	assert_int_equal(play(steps), RUN_ENDED);
	watch_stop();
	assert_int_equal(guest.end, END_SIGNAL + SIGTERM);
}

/* Input waits for "ready", arrives whole, and ends with ^D. */
static void test_input(void **state)
{
	const struct step before[] = {
		NOTIFY(0, ""), NOTIFY(3, "ready\n"), ERROR(LISTEN), ERROR(ENOENT),
	};
	struct watch_settings settings = { .input = true, .wait_ready = true, .send_eof = true };
	int keys[2], saved = dup(0);

	(void)state;
	assert_int_equal(pipe(keys), 0);
	assert_int_equal(write(keys[1], "uname\nhalf", 10), 10);
	close(keys[1]);
	dup2(keys[0], 0);
	assert_true(watch_start(&guest, &settings));
	usleep(20000);
	assert_int_equal(page(0)->in_head, 0);
	reason = "POWEROFF: bye";
	assert_int_equal(play(before), STATUS_DONE);
	watch_stop();
	dup2(saved, 0);
	close(saved);
	close(keys[0]);
	assert_int_equal(page(0)->in_head, 12);
	assert_memory_equal(page(0)->in, "uname\nhalf\4\4", 12);
	assert_true(irqs >= 1);
}

static void test_reader_went_away(void **state)
{
	const struct step steps[] = { NOTIFY(0, "a"), NOTIFY(0, "b"), ERROR(SLEEP) };
	int pair[2], saved, status;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(pair), 0);
	close(pair[0]);
	fflush(NULL);
	saved = dup(1);
	dup2(pair[1], 1);
	script = steps;
	status = run_guest(&guest);
	dup2(saved, 1);
	close(saved);
	close(pair[1]);
	assert_int_equal(status, RUN_ENDED);
	assert_int_equal(guest.end, END_SIGNAL + SIGPIPE);
}

/* It goes on, is told once, and its success becomes a failure. */
static void test_output_lost(void **state)
{
	const struct step steps[] = {
		NOTIFY(1, "out"), NOTIFY(1, "more"), NOTIFY(3, "exit 0\n"), ERROR(ENOENT),
	};
	int saved = dup(1), full = open("/dev/full", O_WRONLY), status;

	(void)state;
	guest.command = true;
	reason = "POWEROFF: ";
	script = steps;
	dup2(full, 1);
	status = run_guest(&guest);
	dup2(saved, 1);
	close(saved);
	close(full);
	fflush(message_stream);
	assert_int_equal(status, STATUS_DONE);
	assert_int_equal(with_output(&guest, status), STATUS_FAILED);
	assert_int_equal(with_output(&guest, 7), 7);
	assert_string_equal(said, "lguest: the guest's output is lost: No space left on device; "
			    "give it a place with room, or one that is open\n");
	guest.lost = 0;
	assert_int_equal(with_output(&guest, status), STATUS_DONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_shell), TEST(test_command), TEST(test_no_status), TEST(test_long_log),
		TEST(test_panic), TEST(test_killed), TEST(test_restart),
		TEST(test_host_errors), TEST(test_traps), TEST(test_time_limit),
		TEST(test_signal), TEST(test_input), TEST(test_reader_went_away),
		TEST(test_output_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
