// SOURCES: launcher/supervisor/supervisor.c launcher/supervisor/birth.c launcher/supervisor/hear.c launcher/supervisor/ending.c launcher/console/input.c launcher/console/escape.c launcher/console/output.c launcher/control/wire.c launcher/control/link.c launcher/machine/machine.c launcher/machine/line.c launcher/machine/stats.c launcher/machine/threads.c launcher/machine/vcpu.c launcher/hardware/guest.c launcher/hardware/vcpus.c launcher/hardware/hold.c launcher/hardware/console.c launcher/hardware/emulate.c launcher/hardware/decode.c launcher/hardware/mmio.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c launcher/io.c
// SPDX-License-Identifier: GPL-2.0
/*
 * The terminal is raw while a guest runs, and as it was after every way out.
 * Each test starts a supervisor of ours on a pseudo-terminal, with a guest that
 * never ends by itself, then types or kills.
 */
#include <errno.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "hardware/guest.h"
#include "lguest.h"
#include "terminal.h"
#include "two_processes.h"

static int crash_with;
static volatile int *crash_now;		/* shared with the child */

int host_run(int fd, struct lguest_exit *exit)
{
	(void)fd;
	(void)exit;
	if (crash_with) {
		while (!*crash_now)
			usleep(1000);
		signal(crash_with, SIG_DFL);	/* a sanitizer has its own idea */
		raise(crash_with);
	}
	return nanosleep(&(struct timespec){ .tv_sec = 60 }, NULL) ? -EINTR : -EIO;
}

void host_reason(int fd, char *text, size_t size)
{
	(void)fd;
	snprintf(text, size, "no reason");
}

int host_irq(int fd, unsigned int line)
{
	(void)fd;
	(void)line;
	return 0;
}

int host_trap(int fd, unsigned int number, uint64_t error)
{
	(void)fd;
	(void)number;
	(void)error;
	return 0;
}

int host_get_register(int fd, size_t offset, uint64_t *value)
{
	(void)fd;
	(void)offset;
	*value = 0;
	return 0;
}

int host_set_register(int fd, size_t offset, uint64_t value)
{
	(void)fd;
	(void)offset;
	(void)value;
	return 0;
}

static int master, slave;
static pid_t child;

static void be_machine(const void *with, const struct birth *birth)
{
	const struct machine_wires wires = { birth->talk, birth->output };
	static struct machine machine;

	(void)with;
	machine_begin(&machine, &wires);
	if (!memory_create(&machine.guest.memory, 16 << 20))
		_exit(99);
	console_init(&machine.guest.console, &machine.guest.memory);
	vcpus_init(&machine.guest.vcpus, 1);
	machine_live(&machine);
}

static void run_child(void)
{
	const struct supervisor_settings settings = {
		.input = { .input = true, .raw = true }, .machine = be_machine,
	};
	int by_signal, status;

	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	dup2(slave, 0);
	if (!terminal_is_ours(0))
		_exit(99);
	status = supervise(&settings, NULL, &by_signal);
	if (by_signal == NO_SIGNAL)
		_exit(status);
	signal(by_signal, SIG_DFL);
	raise(by_signal);
}

static bool is_raw(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(slave, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO | ISIG)) && !(now.c_oflag & OPOST);
}

static void start(int crash)
{
	int i;

	crash_with = crash;
	crash_now = mmap(NULL, sizeof(*crash_now), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(crash_now != MAP_FAILED);
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	fflush(NULL);
	child = fork();
	if (!child)
		run_child();
	for (i = 0; i < 6000 && !is_raw(); i++)
		usleep(10000);
	assert_true(is_raw());
	*crash_now = true;
}

static void type(const char *keys)
{
	int waiting, i;

	assert_int_equal(write(master, keys, strlen(keys)), strlen(keys));
	/* However busy the machine is: when they are read counts. */
	for (i = 0; i < 6000 && !ioctl(slave, FIONREAD, &waiting) && waiting; i++)
		usleep(10000);
	usleep(50000);
}

static int finish(void)
{
	struct termios now;
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(is_raw());
	assert_int_equal(tcgetattr(slave, &now), 0);
	assert_true((now.c_lflag & ICANON) && (now.c_lflag & ECHO) &&
		    (now.c_lflag & ISIG) && (now.c_oflag & OPOST));
	close(slave);
	close(master);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool has_ended(void)
{
	siginfo_t info = { .si_pid = 0 };

	return !waitid(P_PID, child, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
}

static void test_keys(void **state)
{
	int i;

	(void)state;
	start(0);
	type("\3\3");
	type("abc\1\1");
	usleep(1100000);
	type("\3\3");
	assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
	for (i = 0; i < 100 && !has_ended(); i++)	/* a second may have gone by */
		type("\3");
	assert_int_equal(finish(), STATUS_ESCAPE);
	start(0);
	type("\1x");
	assert_int_equal(finish(), STATUS_ESCAPE);
}

static void test_signals(void **state)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		start(0);
		kill(child, numbers[i]);
		assert_int_equal(finish(), -numbers[i]);
	}
}

/* The supervisor itself. */
static void test_own_crashes(void **state)
{
	static const int numbers[] = { SIGSEGV, SIGABRT };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		start(0);
		kill(child, numbers[i]);
		assert_int_equal(finish(), -numbers[i]);
	}
}

/* Its machine. */
static void test_crashes(void **state)
{
	static const int numbers[] = { SIGSEGV, SIGABRT, SIGBUS, SIGILL };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		start(numbers[i]);
		assert_int_equal(finish(), -numbers[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_crashes),
		cmocka_unit_test(test_own_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
