// SPDX-License-Identifier: GPL-2.0
/*
 * The user's terminal.  With a guest on it, every key belongs to the guest
 * (^C too), so it is put into raw mode; and whatever way the launcher ends,
 * the user gets it back as it was: atexit() for the ordinary ways, handlers
 * for the crashes, and supervisor/supervisor.c for the signals that ask us to end.
 * Read next: console/escape.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "lguest.h"
#include "terminal.h"

static struct termios saved, ours;

bool terminal_is_ours(int fd)
{
	return isatty(fd) && tcgetpgrp(fd) == getpgrp();
}

bool terminal_is_raw(void)
{
	return atomic_load(&message_raw);
}

void terminal_restore(void)
{
	int keep = errno;

	if (atomic_exchange(&message_raw, false))
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	errno = keep;
}

/*L:310
 * A crash of the launcher itself must not leave a terminal without echo.  The
 * handler puts it back and lets the signal do what it would have done.
 :*/
static void crash(int number)
{
	terminal_restore();
	signal(number, SIG_DFL);
	raise(number);
}

static void catch_crashes(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT,
				       SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ };
	struct sigaction action = { .sa_handler = crash,
				    .sa_flags = SA_RESETHAND | SA_NODEFER };
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
}

bool terminal_raw(void)
{
	static bool prepared;
	if (tcgetattr(STDIN_FILENO, &saved)) {
		problem("cannot read the terminal's settings: %s; try `lguest run </dev/null`",
			strerror(errno));
		return false;
	}
	if (!prepared) {
		atexit(terminal_restore);
		catch_crashes();
		prepared = true;
	}
	ours = saved;
	cfmakeraw(&ours);
	ours.c_cc[VMIN] = 1;
	ours.c_cc[VTIME] = 0;
	/* TCSADRAIN keeps what was typed ahead. */
	atomic_store(&message_raw, true);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &ours)) {
		atomic_store(&message_raw, false);
		problem("cannot make the terminal raw: %s; try `lguest run </dev/null`",
			strerror(errno));
		return false;
	}
	return true;
}

void terminal_raw_again(void)
{
	if (terminal_is_raw())
		tcsetattr(STDIN_FILENO, TCSADRAIN, &ours);
}

bool terminal_size(int fd, unsigned int *rows, unsigned int *columns)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col)
		return false;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return true;
}
