// SOURCES: launcher/supervisor/supervisor.c launcher/supervisor/birth.c launcher/supervisor/hear.c launcher/supervisor/ending.c launcher/console/input.c launcher/console/escape.c launcher/console/output.c launcher/control/wire.c launcher/control/link.c launcher/machine/machine.c launcher/machine/line.c launcher/machine/stats.c launcher/machine/threads.c launcher/machine/vcpu.c launcher/hardware/guest.c launcher/hardware/vcpus.c launcher/hardware/hold.c launcher/hardware/console.c launcher/hardware/emulate.c launcher/hardware/decode.c launcher/hardware/mmio.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c launcher/io.c
// SPDX-License-Identifier: GPL-2.0
/*
 * Whole sessions: a supervisor, and machines whose Host is ours.  Each test is a script of
 * what read() gives, and looks at what came out and how it ended.  Then machines that a
 * guest has broken into, which say what they like.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "hardware/guest.h"
#include "lguest.h"
#include "two_processes.h"

#define RAM (16ULL << 20)
#define PAGE_OF(port) (0x5000ULL + (port) * 0x1000)
#define SLEEP 9999		/* a guest that only a signal ends */
#define LISTEN 9998		/* ... that waits for input: so many bytes as its value says */
#define FLOOD 9997		/* ... that prints for ever */

struct step {
	int error;
	struct lguest_exit exit;
	const char *print;	/* into port ... before a NOTIFY */
	unsigned int port;
};

/* What all processes of a test know. */
static struct shared {
	uint64_t rip, rax;
	int traps, irqs, sleeps, machines;
	pid_t machine;
	uint8_t heard[64];
	size_t heard_size;
} *shared;

static struct machine machine;
static const struct step *script, *scripts[51];
static const char *reason;

static struct lguest_console *page(unsigned int port)
{
	return memory_at(&machine.guest.memory, GPA(PAGE_OF(port)), 4096);
}

static void print(unsigned int port, const char *text)
{
	for (; text && *text; text++)
		page(port)->out[page(port)->out_head++ % LGUEST_CONSOLE_OUT] = *text;
}

static int rest(void)
{
	shared->sleeps++;
	return nanosleep(&(struct timespec){ .tv_sec = 60 }, NULL) ? -EINTR : -EIO;
}

static void listen_to(unsigned int port, size_t size)
{
	unsigned int i;

	for (i = 0; i < 60000 && page(port)->in_head < size; i++)
		usleep(1000);
	shared->heard_size = page(port)->in_head;
	memcpy(shared->heard, page(port)->in, sizeof(shared->heard));
}

int host_run(int fd, struct lguest_exit *exit)
{
	const struct step *step = script;

	if (fd != 7)
		return -EBADF;
	if (step->error == SLEEP)
		return rest();
	if (step->error != FLOOD)
		script++;
	if (step->error == LISTEN) {
		listen_to(step->port, step->exit.value);
		return -EINTR;
	}
	print(step->port, step->print);
	*exit = step->exit;
	return step->error == FLOOD ? 0 : -step->error;
}

void host_reason(int fd, char *text, size_t size)
{
	(void)fd;
	snprintf(text, size, "%s", reason);
}

int host_irq(int fd, unsigned int line)
{
	(void)fd;
	shared->irqs += line == LGUEST_IRQ_CONSOLE;
	return 0;
}

int host_trap(int fd, unsigned int number, uint64_t error)
{
	(void)fd;
	(void)error;
	shared->traps += number == 13;
	return 0;
}

static uint64_t *reg(size_t offset)
{
	return offset == offsetof(struct user_regs_struct, rip) ? &shared->rip : &shared->rax;
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
	if (offset != offsetof(struct user_regs_struct, rsi))
		*reg(offset) = value;
	return 0;
}

static void build(const struct birth *birth)
{
	const struct machine_wires wires = { birth->talk, birth->output };
	struct guest *guest = &machine.guest;
	unsigned int i;

	machine_begin(&machine, &wires);
	guest->fd = 7;
	if (!memory_create(&guest->memory, RAM))
		_exit(99);
	console_init(&guest->console, &guest->memory);
	vcpus_init(&guest->vcpus, 1);
	for (i = 0; i < LGUEST_CONSOLE_PORTS; i++) {
		page(i)->magic = LGUEST_CONSOLE_MAGIC;
		page(i)->port = i;
	}
}

static void be_machine(const void *with, const struct birth *birth)
{
	(void)with;
	script = scripts[shared->machines < 50 ? shared->machines : 50];
	shared->machines++;
	shared->machine = getpid();
	build(birth);
	machine_live(&machine);
}

static struct supervisor_settings settings;

static int setup(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	settings = (struct supervisor_settings){ .machine = be_machine };
	reason = "POWEROFF: bye";
	return shared == MAP_FAILED;
}

static int teardown(void **state)
{
	(void)state;
	munmap(shared, sizeof(*shared));
	return 0;
}

/* ---- the supervisor, and what it leaves behind */

static char out[200000], err[200000];
static int out_fd, err_fd, inherited;
static pid_t child;

static void be_supervisor(int in, int stdout_fd)
{
	int by_signal, status;

	alarm(60);		/* who waits for ever has failed */
	dup2(in >= 0 ? in : open("/dev/null", O_RDONLY), 0);
	dup2(stdout_fd >= 0 ? stdout_fd : out_fd, 1);
	dup2(err_fd, 2);
	status = supervise(&settings, NULL, &by_signal);
	_exit(by_signal ? 200 + by_signal : status);
}

static int files_of(pid_t pid)
{
	char path[64], name[32];
	int fd, count = 0;

	for (fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		count += readlink(path, name, sizeof(name)) > 0;
	}
	return count;
}

/* Input, or -1; stdout, or -1 for what is read at its end. */
static void start(int in, int stdout_fd)
{
	out_fd = memfd_create("out", 0);
	err_fd = memfd_create("err", 0);
	fflush(NULL);
	inherited = files_of(getpid()) - 3;
	child = fork();
	assert_true(child >= 0);
	if (!child)
		be_supervisor(in, stdout_fd);
}

static void take(int fd, char *to)
{
	ssize_t size = pread(fd, to, sizeof(out) - 1, 0);

	to[size > 0 ? size : 0] = '\0';
	close(fd);
}

static int finish(void)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	take(out_fd, out);
	take(err_fd, err);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int play(const struct step *steps)
{
	scripts[0] = steps;
	start(-1, -1);
	return finish();
}

static void wait_until(volatile int *number, int wanted)
{
	int i;

	for (i = 0; i < 60000 && *number < wanted; i++)
		usleep(1000);
	assert_true(*number >= wanted);
}

static bool is_gone(pid_t pid)
{
	int i;

	for (i = 0; i < 10000 && !kill(pid, 0); i++)
		usleep(1000);
	return kill(pid, 0);
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
	assert_int_equal(play(steps), STATUS_DONE);
	assert_string_equal(out, "hello\na\nb\rc");
	assert_string_equal(err, "");
	assert_true(is_gone(shared->machine));
}

static void test_command(void **state)
{
	const struct step steps[] = {
		NOTIFY(0, "[0.0] Linux\r\n"), NOTIFY(3, "ready\n"),
		NOTIFY(1, "out\r\n\xff"), NOTIFY(2, "err\n"), NOTIFY(3, "exit 7\n"),
		ERROR(ENOENT),
	};

	(void)state;
	settings.command = true;
	assert_int_equal(play(steps), 7);
	assert_string_equal(out, "out\r\n\xff");
	assert_string_equal(err, "err\n");
}

/* Of a long log only the end is shown, and how to see the rest; of a short one all. */
static void test_long_log(void **state)
{
	static struct step steps[1002];
	static char lines[1000][40];
	unsigned int i, count = 0;
	const char *at;

	(void)state;
	settings.command = true;
	reason = "CRASH: no good";
	for (i = 0; i < 1000; i++) {
		snprintf(lines[i], sizeof(lines[i]), "[0.0] line %u\r\n", i);
		steps[i] = (struct step)NOTIFY(0, lines[i]);
	}
	steps[1000] = (struct step)NOTIFY(0, "[9.9] the last line\r\n");
	steps[1001] = (struct step)ERROR(ENOENT);
	assert_int_equal(play(steps), STATUS_PANIC);
	for (at = err; *at; at++)
		count += *at == '\n';
	assert_int_equal(count, 62);
	assert_ptr_equal(strstr(err, "lguest: the last messages of the guest's kernel; -v shows all:\n"
				     "[0.0] line 941\n"), err);
	assert_non_null(strstr(err, "[0.0] line 999\n[9.9] the last line\n"));
	assert_non_null(strstr(err, "panicked: no good; its last messages tell more\n"));
}

static void test_no_status(void **state)
{
	const struct step steps[] = { NOTIFY(0, "[0.0] oh no\r\n"), ERROR(ENOENT) };

	(void)state;
	settings.command = true;
	reason = "POWEROFF: ";
	assert_int_equal(play(steps), STATUS_NO_STATUS);
	assert_non_null(strstr(err, "kernel:\n[0.0] oh no\nlguest: the guest powered off before"));
	assert_string_equal(out, "");
}

static void test_panic(void **state)
{
	const struct step steps[] = { NOTIFY(0, "[0.0] panic\r\n"), ERROR(ENOENT) };

	(void)state;
	settings.command = true;
	reason = "CRASH: Attempted to kill init!\033[31m\n";
	assert_int_equal(play(steps), STATUS_PANIC);
	assert_non_null(strstr(err, "panicked: Attempted to kill init! [31m; "));
	assert_non_null(strstr(err, "[0.0] panic\n"));
}

static void test_killed(void **state)
{
	const struct step steps[] = { ERROR(ENOENT) };

	(void)state;
	reason = "bad hypercall 99";
	assert_int_equal(play(steps), STATUS_KILLED);
	assert_non_null(strstr(err, "killed: bad hypercall 99; "));
}

static void test_restart(void **state)
{
	const struct step first[] = { NOTIFY(0, "a"), ERROR(ERESTART) };
	const struct step second[] = { NOTIFY(0, "b"), ERROR(ENOENT) };

	(void)state;
	scripts[1] = first;
	scripts[2] = second;
	assert_int_equal(play(first), STATUS_DONE);
	assert_string_equal(out, "aab");
	assert_int_equal(shared->machines, 3);
	settings.no_reboot = true;
	shared->machines = 0;
	assert_int_equal(play(first), STATUS_DONE);
	settings.command = true;
	shared->machines = 0;
	assert_int_equal(play(first), STATUS_NO_STATUS);
	assert_int_equal(shared->machines, 1);
}

/* Nothing of one guest is left for the next, nor with the supervisor. */
static void test_many_restarts(void **state)
{
	static const struct step again[] = { NOTIFY(0, "x"), ERROR(ERESTART) };
	static const struct step last[] = { NOTIFY(0, "."), ERROR(SLEEP) };
	int i;

	(void)state;
	for (i = 0; i < 50; i++)
		scripts[i] = again;
	scripts[50] = last;
	start(-1, -1);
	wait_until(&shared->sleeps, 1);
	assert_int_equal(shared->machines, 51);
	/* /dev/null twice, out, err, signals, and two to the machine */
	assert_int_equal(files_of(child), 7 + inherited);
	kill(child, SIGTERM);
	assert_int_equal(finish(), 200 + SIGTERM);
	assert_string_equal(out, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.");
}

static void test_host_errors(void **state)
{
	const struct step permission[] = { ERROR(EPERM) };
	const struct step strange[] = { { .exit = { .kind = 77 } } };

	(void)state;
	assert_int_equal(play(permission), STATUS_HOST);
	assert_non_null(strstr(err, "lguest: cannot run the guest: /dev/lguest"));
	shared->machines = 0;
	assert_int_equal(play(strange), STATUS_HOST);
	assert_non_null(strstr(err, "/dev/lguest"));
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
	shared->rip = 1000;
	assert_int_equal(play(steps), STATUS_DONE);
	assert_int_equal(shared->rip, 1004);
	assert_int_equal(shared->traps, 1);
	assert_int_equal(shared->rax, UINT64_MAX);
}

static void test_time_limit(void **state)
{
	const struct step steps[] = { NOTIFY(0, "a"), ERROR(SLEEP) };

	(void)state;
	settings.time_limit = 200000000;
	assert_int_equal(play(steps), STATUS_TIME);
	assert_string_equal(out, "a");
	assert_non_null(strstr(err, "its time limit was reached"));
}

/* It is that of the first start: a guest that restarts and restarts has one, too. */
static void test_time_limit_over_restarts(void **state)
{
	static const struct step again[] = { ERROR(ERESTART) };
	int i;

	(void)state;
	settings.time_limit = 300000000;
	for (i = 0; i <= 50; i++)
		scripts[i] = again;
	assert_int_equal(play(again), STATUS_TIME);
}

static void test_signal(void **state)
{
	const struct step steps[] = { ERROR(SLEEP) };

	(void)state;
	scripts[0] = steps;
	start(-1, -1);
	wait_until(&shared->sleeps, 1);
	kill(child, SIGTERM);
	assert_int_equal(finish(), 200 + SIGTERM);
	assert_true(is_gone(shared->machine));
}

/* Input waits for "ready", arrives whole, and ends with ^D. */
static void test_input(void **state)
{
	const struct step steps[] = {
		NOTIFY(0, ""), NOTIFY(3, "ready\n"),
		{ .error = LISTEN, .exit = { .value = 12 } }, ERROR(ENOENT),
	};
	int keys[2];

	(void)state;
	settings.input = (struct input_settings){ .input = true, .wait_ready = true,
						  .send_eof = true };
	assert_int_equal(pipe(keys), 0);
	assert_int_equal(write(keys[1], "uname\nhalf", 10), 10);
	close(keys[1]);
	scripts[0] = steps;
	start(keys[0], -1);
	assert_int_equal(finish(), STATUS_DONE);
	close(keys[0]);
	assert_int_equal(shared->heard_size, 12);
	assert_memory_equal(shared->heard, "uname\nhalf\4\4", 12);
	assert_true(shared->irqs >= 1);
}

/* A guest that never says that it is ready gets none. */
static void test_input_waits(void **state)
{
	const struct step steps[] = {
		NOTIFY(0, ""), NOTIFY(1, ""), ERROR(SLEEP),
	};
	int keys[2];
	char left[11];

	(void)state;
	settings.input = (struct input_settings){ .input = true, .wait_ready = true };
	assert_int_equal(pipe(keys), 0);
	assert_int_equal(write(keys[1], "uname\nhalf", 10), 10);
	scripts[0] = steps;
	start(keys[0], -1);
	wait_until(&shared->sleeps, 1);
	usleep(20000);
	kill(child, SIGTERM);
	assert_int_equal(finish(), 200 + SIGTERM);
	assert_int_equal(read(keys[0], left, sizeof(left)), 10);
	close(keys[0]);
	close(keys[1]);
}

/* A COMMAND's: framed, and longer than a message. */
static void test_framed_input(void **state)
{
	const struct step steps[] = {
		NOTIFY(1, ""), { .error = LISTEN, .port = 1, .exit = { .value = 13 } },
		ERROR(ENOENT),
	};
	int keys[2];

	(void)state;
	settings.input = (struct input_settings){ .input = true, .framed = true, .port = 1 };
	assert_int_equal(pipe(keys), 0);
	assert_int_equal(write(keys[1], "012345678", 9), 9);
	close(keys[1]);
	scripts[0] = steps;
	start(keys[0], -1);
	assert_int_equal(finish(), STATUS_DONE);
	close(keys[0]);
	assert_memory_equal(shared->heard, "9\n0123456780\n", 13);
}

static void test_reader_went_away(void **state)
{
	const struct step steps[] = { NOTIFY(0, "a"), NOTIFY(0, "b"), ERROR(SLEEP) };
	int pair[2];

	(void)state;
	assert_int_equal(pipe(pair), 0);
	close(pair[0]);
	scripts[0] = steps;
	start(-1, pair[1]);
	close(pair[1]);
	assert_int_equal(finish(), 200 + SIGPIPE);
}

/* The vCPU waits for him, and nobody else; the user's pipe waits as it did before. */
static void test_slow_reader(void **state)
{
	const struct step steps[] = { NOTIFY(0, "some words of which there are many\n") };
	static struct step flood;
	static char bytes[1 << 20];
	size_t got = 0;
	int pair[2];

	(void)state;
	flood = steps[0];
	flood.error = FLOOD;
	scripts[0] = &flood;
	assert_int_equal(pipe(pair), 0);
	start(-1, pair[1]);
	usleep(300000);
	assert_int_equal(fcntl(pair[1], F_GETFL) & O_NONBLOCK, 0);
	close(pair[1]);
	while (got < sizeof(bytes)) {
		ssize_t size = read(pair[0], bytes + got, sizeof(bytes) - got);

		assert_true(size > 0);
		got += size;
	}
	for (got = 35; got < sizeof(bytes); got++)
		assert_int_equal(bytes[got], bytes[got - 35]);
	usleep(100000);
	kill(child, SIGTERM);
	assert_int_equal(finish(), 200 + SIGTERM);
	close(pair[0]);
}

/* It goes on, is told once, and its success becomes a failure. */
static void test_output_lost(void **state)
{
	const struct step steps[] = {
		NOTIFY(1, "out"), NOTIFY(1, "more"), NOTIFY(3, "exit 0\n"), ERROR(ENOENT),
	};
	const struct step other[] = { NOTIFY(1, "out"), NOTIFY(3, "exit 7\n"), ERROR(ENOENT) };
	int full = open("/dev/full", O_WRONLY);

	(void)state;
	settings.command = true;
	scripts[0] = steps;
	start(-1, full);
	assert_int_equal(finish(), STATUS_FAILED);
	assert_string_equal(err, "lguest: the guest's output is lost: No space left on device; "
			    "give it a place with room, or one that is open\n");
	scripts[1] = other;
	start(-1, full);
	assert_int_equal(finish(), 7);
	close(full);
}

/* ---- either ends before the other */

static void test_supervisor_killed(void **state)
{
	const struct step steps[] = { ERROR(SLEEP) };

	(void)state;
	scripts[0] = steps;
	start(-1, -1);
	wait_until(&shared->sleeps, 1);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(is_gone(shared->machine));
	take(out_fd, out);
	take(err_fd, err);
}

static void test_machine_killed(void **state)
{
	const struct step steps[] = { ERROR(SLEEP) };

	(void)state;
	scripts[0] = steps;
	start(-1, -1);
	wait_until(&shared->sleeps, 1);
	kill(shared->machine, SIGKILL);
	assert_int_equal(finish(), 200 + SIGKILL);
	assert_non_null(strstr(err, "lguest: the guest's machine was ended by signal 9 (Killed); "));
}

/* ---- machines that say what they like */

static const struct wire_message *words;
static size_t words_size;
static int words_fd;		/* 0: to talk, 1: output */
static unsigned int built;

static void be_hostile(const void *with, const struct birth *birth)
{
	int fd = words_fd ? birth->output : birth->talk;

	(void)with;
	shared->machine = getpid();
	signal(SIGTERM, SIG_IGN);
	if (built)
		wire_say(birth->talk, WIRE_BUILT, 0, 0);
	if (words)
		send(fd, words, words_size, MSG_NOSIGNAL);
	else
		return;
	for (shared->sleeps++;;)
		pause();
}

static int listen_to_hostile(int fd, const struct wire_message *message, size_t size)
{
	settings.machine = be_hostile;
	words = message;
	words_size = size;
	words_fd = fd;
	start(-1, -1);
	return finish();
}

static void no_sense(int fd, const struct wire_message *message, size_t size)
{
	assert_int_equal(listen_to_hostile(fd, message, size), STATUS_HOST);
	assert_string_equal(err, "lguest: the guest's machine was ended: what it told its supervisor makes no sense: "
			    "lguest has a fault, or its guest broke in; report it with this line\n");
}

static void test_no_sense(void **state)
{
	static struct {
		struct wire_message message;
		uint8_t more[16];
	} m;

	(void)state;
	m.message.kind = WIRE_KINDS_COUNT;
	no_sense(0, &m.message, WIRE_HEADER);
	m.message.kind = UINT32_MAX;
	no_sense(1, &m.message, WIRE_HEADER);
	m.message.kind = WIRE_LINE;
	no_sense(0, &m.message, 3);
	no_sense(0, &m.message, sizeof(m.message) + 1);
	no_sense(1, &m.message, WIRE_HEADER);
	m.message.value = 2;
	no_sense(0, &m.message, WIRE_HEADER);
	m.message = (struct wire_message){ .kind = WIRE_INPUT };
	no_sense(0, &m.message, WIRE_HEADER + 1);
	m.message = (struct wire_message){ .kind = WIRE_OUTPUT, .value = 4 };
	no_sense(1, &m.message, WIRE_HEADER + 1);
	m.message.value = 1;
	no_sense(0, &m.message, WIRE_HEADER + 1);
	m.message = (struct wire_message){ .kind = WIRE_TAKEN };
	no_sense(0, &m.message, WIRE_HEADER);
	m.message.kind = WIRE_HELD;
	no_sense(0, &m.message, WIRE_HEADER);
	m.message.kind = WIRE_ASK_STATUS;
	no_sense(0, &m.message, WIRE_HEADER);
	m.message.kind = WIRE_READY;
	no_sense(0, &m.message, WIRE_HEADER);
	m.message.kind = WIRE_BUILT;
	built = 1;
	no_sense(0, &m.message, WIRE_HEADER);
	built = 0;
}

/* Its lines are text, and nothing else. */
static void test_no_escapes(void **state)
{
	struct wire_message m = { .kind = WIRE_LINE };

	(void)state;
	settings.time_limit = 200000000;
	built = 1;
	memcpy(m.bytes, "\033[2Jhello\nlguest: lies\177", 23);
	assert_int_equal(listen_to_hostile(0, &m, WIRE_HEADER + 23), STATUS_TIME);
	built = 0;
	assert_non_null(strstr(err, "lguest:  [2Jhello lguest: lies \n"));
}

/* One that hears nothing dies with its supervisor, too. */
static void test_hostile_dies(void **state)
{
	struct wire_message m = { .kind = WIRE_LINE };

	(void)state;
	settings.machine = be_hostile;
	words = &m;
	words_size = WIRE_HEADER;
	words_fd = 0;
	start(-1, -1);
	wait_until(&shared->sleeps, 1);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(is_gone(shared->machine));
	take(out_fd, out);
	take(err_fd, err);
}

static void test_no_word(void **state)
{
	(void)state;
	assert_int_equal(listen_to_hostile(0, NULL, 0), STATUS_HOST);
	assert_non_null(strstr(err, "lguest: the guest's machine ended without a word"));
}

/* It is told to end, and does not. */
static void test_deaf(void **state)
{
	struct wire_message m = { .kind = WIRE_LINE };

	(void)state;
	settings.time_limit = 100000000;
	built = 1;
	assert_int_equal(listen_to_hostile(0, &m, WIRE_HEADER), STATUS_TIME);
	built = 0;
	assert_non_null(strstr(err, "lguest: the guest's machine does not end: it is killed"));
}

static bool heard_end(int fd)
{
	struct wire_message m;

	while (recv(fd, &m, sizeof(m), 0) > 0)
		if (m.kind == WIRE_END)
			return true;
	return false;
}

/* It cannot end, and says why: its disk's requests do not. */
static const char *held_by;

static void be_held(const void *with, const struct birth *birth)
{
	struct wire_message m = { .kind = WIRE_HELD };

	(void)with;
	signal(SIGTERM, SIG_IGN);
	wire_say(birth->talk, WIRE_BUILT, 0, 0);
	memcpy(m.bytes, held_by, strlen(held_by));
	if (heard_end(birth->talk))
		send(birth->talk, &m, WIRE_HEADER + strlen(held_by), MSG_NOSIGNAL);
	for (;;)
		pause();
}

static int held(const char *device)
{
	held_by = device;
	settings.machine = be_held;
	settings.time_limit = 100000000;
	start(-1, -1);
	return finish();
}

static void test_held(void **state)
{
	(void)state;
	assert_int_equal(held("a.img"), STATUS_TIME);
	assert_non_null(strstr(err, "lguest: a.img: this host does not end what the guest had asked for: "
			       "its disk is frozen or very slow; see dmesg, and `fsfreeze -u`"));
	assert_null(strstr(err, "read()"));
	assert_null(strstr(err, "it is killed"));
	assert_int_equal(held(""), STATUS_TIME);
	assert_non_null(strstr(err, "lguest: the Host does not stop the guest: its read() takes no signal"));
	assert_null(strstr(err, "disk"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_shell), TEST(test_command), TEST(test_no_status), TEST(test_long_log),
		TEST(test_panic), TEST(test_killed), TEST(test_restart), TEST(test_many_restarts),
		TEST(test_host_errors), TEST(test_traps), TEST(test_time_limit),
		TEST(test_time_limit_over_restarts),
		TEST(test_signal), TEST(test_input), TEST(test_input_waits),
		TEST(test_framed_input), TEST(test_reader_went_away), TEST(test_slow_reader),
		TEST(test_output_lost), TEST(test_supervisor_killed), TEST(test_machine_killed),
		TEST(test_no_sense), TEST(test_no_escapes), TEST(test_hostile_dies),
		TEST(test_no_word), TEST(test_deaf), TEST(test_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
