// SPDX-License-Identifier: GPL-2.0
/*
 * `lguest console`: a terminal, or a pipe, for the console of a guest that runs
 * elsewhere.  Keys and output travel as they are; only the terminal's size is
 * told apart, by a connection of its own.
 * Read next: cmd_life.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "clock.h"
#include "console/input.h"
#include "control/place.h"
#include "io.h"
#include "lguest.h"
#include "options.h"
#include "terminal.h"

static const struct option no_options[] = { { .name = NULL } };

const struct command console_command = {
	"console", "NAME",
	"Be the console of a guest that has a name; it begins with its last lines.\n"
	"On a terminal, Ctrl-A x (or three ^C within a second) leaves it again, and\n"
	"the guest goes on.  From a file or pipe: after its end, output goes on.",
	no_options, cmd_console,
};

struct session {
	const char *name;
	int guest, signals;
	bool raw, input;
	int lost;		/* errno: output could not be written */
	struct escape escape;
};

static json_t *with_size(const char *command)
{
	unsigned int rows, columns;

	if (!terminal_size(STDOUT_FILENO, &rows, &columns))
		return json_pack("{s:s}", "command", command);
	return json_pack("{s:s,s:i,s:i}", "command", command, "rows", rows, "columns", columns);
}

static void report_size(const char *name)
{
	int fd = place_connect("console", name, true, CLIENT_PATIENCE);

	if (fd < 0)
		return;
	if (client_say(fd, with_size("size")))
		json_decref(client_hear(fd));
	close(fd);
}

/* False: the person leaves, or the guest is gone. */
static bool take_keys(struct session *s)
{
	uint8_t keys[256], wanted[256];
	ssize_t size = read(STDIN_FILENO, keys, sizeof(keys));
	bool leave = false;
	size_t use = size;

	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (size <= 0) {
		s->input = false;
		return !s->raw;
	}
	if (s->raw)
		use = escape_filter(&s->escape, keys, size, now_ns(), wanted, &leave);
	return !write_all(s->guest, s->raw ? wanted : keys, use, NULL, NULL) && !leave;
}

/* False: the guest ended. */
static bool show_output(struct session *s)
{
	uint8_t bytes[4096];
	ssize_t size = recv(s->guest, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (size <= 0)
		return false;
	s->lost = write_all(STDOUT_FILENO, bytes, size, NULL, NULL);
	return !s->lost;
}

static void take_signal(struct session *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH)
		report_size(s->name);
	else
		terminal_raw_again();
}

static int output_lost(const struct session *s)
{
	if (s->lost == EPIPE)	/* as any program whose reader went away */
		return 128 + SIGPIPE;
	problem("console: the output of '%s' is lost: %s; the guest goes on", s->name,
		strerror(s->lost));
	return STATUS_FAILED;
}

static int talk(struct session *s)
{
	struct pollfd fds[4] = {
		{ .fd = s->guest, .events = POLLIN },
		{ .fd = s->signals, .events = POLLIN },
		{ .events = POLLIN },
		{ .fd = STDOUT_FILENO },	/* is its reader still there? */
	};

	for (;;) {
		fds[2].fd = s->input ? STDIN_FILENO : -1;
		if (poll(fds, 4, -1) < 0)
			continue;
		if (fds[1].revents)
			take_signal(s);
		if (fds[3].revents & POLLERR)
			s->lost = EPIPE;
		if (s->lost || (fds[0].revents && !show_output(s))) {
			terminal_restore();
			return s->lost ? output_lost(s) : STATUS_DONE;
		}
		if (fds[2].revents && !take_keys(s))
			break;
	}
	terminal_restore();
	if (s->raw) {
		putchar('\n');
		fflush(stdout);
		problem("left the console of '%s'; the guest goes on", s->name);
	}
	return STATUS_DONE;
}

/* At once, even while a write waits for a guest that is paused, or a slow reader. */
static void leave(int number)
{
	terminal_restore();
	_exit(128 + number);
}

static int watch_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = leave }, before;
	sigset_t set;
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!sigaction(ends[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(ends[i], &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int cmd_console(int argc, char **argv)
{
	struct session s = { .input = true };
	int status;

	s.name = client_name(&console_command, argc, argv, NULL, &status);
	if (!s.name)
		return status;
	s.guest = place_connect("console", s.name, false, CLIENT_PATIENCE);
	if (s.guest < 0 || !client_ask("console", s.name, s.guest, with_size("console")))
		return STATUS_FAILED;
	client_be_patient(s.guest, 0);
	s.raw = terminal_is_ours(STDIN_FILENO) && isatty(STDOUT_FILENO);
	s.input = s.raw || !isatty(STDIN_FILENO);
	s.signals = watch_signals();
	if (s.raw && !terminal_raw())
		return STATUS_FAILED;
	return talk(&s);
}
