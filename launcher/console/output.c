// SPDX-License-Identifier: GPL-2.0
/*
 * Where the guest's output goes: port 0 to stdout, or, when a COMMAND runs,
 * into a log that is shown only if something goes wrong; the command's output
 * and errors to stdout and stderr; the control port to the launcher itself.
 * Read next: io.c.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "lguest.h"
#include "output.h"
#include "terminal.h"

#define LOG_LINES	60

/* Once is enough: it goes on, and its end will tell. */
static void lose(struct guest *guest, int error)
{
	if (!guest->lost)
		problem("the guest's output is lost: %s; give it a place with room, or one that is open",
			strerror(error));
	guest->lost = error;
}

int with_output(const struct guest *guest, int status)
{
	return status == STATUS_DONE && guest->lost ? STATUS_FAILED : status;
}

static bool is_ending(void *guest)
{
	return ((struct guest *)guest)->end;
}

/* A reader that is slow or stopped must not keep the guest from being ended. */
static void show(struct guest *guest, int fd, const uint8_t *bytes, size_t size)
{
	int error = write_all(fd, bytes, size, is_ending, guest);

	if (error == EPIPE)	/* as any program whose reader went away */
		request_end(guest, END_SIGNAL + SIGPIPE);
	else if (error && error != EINTR)
		lose(guest, error);
}

/*L:520
 * A console ends its lines with "\r\n", for terminals.  Into a file or a pipe
 * go plain newlines.
 :*/
static void write_lines(struct guest *guest, int fd, const uint8_t *bytes, size_t size)
{
	static bool held;	/* a '\r' whose successor has not come */
	uint8_t plain[2 * LGUEST_CONSOLE_OUT + 1];
	size_t used = 0, i;

	for (i = 0; i < size && i < LGUEST_CONSOLE_OUT; i++) {
		if (held && bytes[i] != '\n' && bytes[i] != '\r')
			plain[used++] = '\r';
		held = bytes[i] == '\r';
		if (!held)
			plain[used++] = bytes[i];
	}
	show(guest, fd, plain, used);
}

static void show_console(struct guest *guest, int fd, const uint8_t *bytes, size_t size)
{
	if (isatty(fd))
		show(guest, fd, bytes, size);
	else
		write_lines(guest, fd, bytes, size);
}

/* Is it ready now, and was not before? */
static bool take_control(struct console *console, const uint8_t *bytes, size_t size)
{
	bool was = console->ready;

	console_control(console, bytes, size);
	return console->ready && !was;
}

void guest_output(struct console *console, unsigned int port,
		  const uint8_t *bytes, size_t size)
{
	struct guest *guest = console->owner;

	if (guest->overhear)
		guest->overhear(port, bytes, size);
	switch (port) {
	case LGUEST_PORT_CONSOLE:
		if (!guest->command) {
			show_console(guest, STDOUT_FILENO, bytes, size);
			break;
		}
		console_keep(console, bytes, size);
		if (verbose)
			show_console(guest, STDERR_FILENO, bytes, size);
		break;
	case LGUEST_PORT_STDOUT:
		if (guest->command)
			show(guest, STDOUT_FILENO, bytes, size);
		break;
	case LGUEST_PORT_STDERR:
		if (guest->command)
			show(guest, STDERR_FILENO, bytes, size);
		break;
	case LGUEST_PORT_CONTROL:
		if (take_control(console, bytes, size) && guest->ready)
			guest->ready();
		break;
	}
}

/* Where the last lines begin: enough for what a kernel says as it dies. */
static size_t last_lines(const uint8_t *log, size_t size)
{
	size_t at = size, lines = 0;

	while (at && (log[at - 1] != '\n' || at == size || ++lines < LOG_LINES))
		at--;
	return at;
}

void show_log(const struct console *console)
{
	static uint8_t log[CONSOLE_LOG];
	size_t size = console_log(console, log), i;

	if (!size || verbose)
		return;
	i = last_lines(log, size);
	problem("the last messages of the guest's kernel%s:", i ? "; -v shows all" : "");
	for (; i < size; i++)
		if (log[i] != '\r')
			fputc(log[i], stderr);
	if (log[size - 1] != '\n')
		fputc('\n', stderr);
	fflush(stderr);
}
