// SPDX-License-Identifier: GPL-2.0
/*
 * Where the guest's output goes: port 0 to stdout, or, when a COMMAND runs,
 * into a log that is shown only if something goes wrong; the command's output
 * and errors to stdout and stderr.
 * Read next: io.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lguest/guest.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lguest.h"
#include "output.h"
#include "terminal.h"

#define LOG_LINES	60

/*L:523
 * A write that waits would make us deaf: to signals, the escape keys, `lguest stop`.  The
 * user's descriptor must not be told not to wait, as others have it, too; so a terminal
 * and a pipe are opened once more.  Where that is not allowed, we write no more at once
 * than a pipe promises to take.
 :*/
static void open_sink(struct sink *sink, int fd)
{
	struct stat status;
	int flags = fcntl(fd, F_GETFL), own = -1;
	char name[32];

	memset(sink, 0, offsetof(struct sink, bytes));
	sink->fd = fd;
	sink->terminal = isatty(fd);
	if (fstat(fd, &status) || flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return;
	sink->socket = S_ISSOCK(status.st_mode);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (sink->terminal || S_ISFIFO(status.st_mode))
		own = open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own >= 0)
		sink->fd = own;
}

void output_open(struct output *output, bool command)
{
	memset(output, 0, offsetof(struct output, out));
	output->command = command;
	open_sink(&output->out, STDOUT_FILENO);
	open_sink(&output->err, STDERR_FILENO);
}

static void close_sink(const struct sink *sink)
{
	if (sink->fd > STDERR_FILENO)
		close(sink->fd);
}

void output_close(const struct output *output)
{
	close_sink(&output->out);
	close_sink(&output->err);
}

static void keep(struct sink *sink, const void *bytes, size_t size)
{
	if (sink->at && sink->at + sink->size + size > OUTPUT_ROOM) {
		memmove(sink->bytes, sink->bytes + sink->at, sink->size);
		sink->at = 0;
	}
	if (sink->gone || size > OUTPUT_ROOM - sink->at - sink->size)
		return;
	memcpy(sink->bytes + sink->at + sink->size, bytes, size);
	sink->size += size;
}

/* Once is enough: it goes on, and its end will tell. */
static void lose(struct output *output, struct sink *sink, int error)
{
	bool first = !output->lost;

	sink->size = 0;
	if (!sink->of_guest) {
		sink->gone = error != EAGAIN;
		return;
	}
	if (error == EPIPE) {
		output->reader_left = true;
		return;
	}
	output->lost = error;
	if (first)
		problem("the guest's output is lost: %s; give it a place with room, or one that is open",
			strerror(error));
}

static bool has_room(const struct sink *sink)
{
	struct pollfd room = { .fd = sink->fd, .events = POLLOUT };

	return poll(&room, 1, 0) > 0;
}

static void flush(struct output *output, struct sink *sink)
{
	while (sink->size && has_room(sink)) {
		const uint8_t *from = sink->bytes + sink->at;
		size_t size = sink->size < PIPE_BUF ? sink->size : PIPE_BUF;
		ssize_t done = sink->socket ? send(sink->fd, from, size, MSG_DONTWAIT) :
					      write(sink->fd, from, size);

		if (done > 0) {
			sink->at += done;
			sink->size -= done;
		} else if (!done) {
			lose(output, sink, ENOSPC);
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			lose(output, sink, errno);
		}
	}
	if (!sink->size)
		sink->at = 0;
}

void output_flush(struct output *output)
{
	flush(output, &output->out);
	flush(output, &output->err);
}

bool output_done(const struct output *output)
{
	return !output->out.size && !output->err.size;
}

void output_waits(const struct output *output, int *out, int *err)
{
	*out = output->out.size ? output->out.fd : -1;
	*err = output->err.size ? output->err.fd : -1;
}

static void show(struct sink *sink, const uint8_t *bytes, size_t size)
{
	sink->of_guest = true;
	keep(sink, bytes, size);
}

/*L:520
 * A console ends its lines with "\r\n", for terminals.  Into a file or a pipe
 * go plain newlines.
 :*/
static void show_lines(struct output *output, struct sink *sink, const uint8_t *bytes,
		       size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (output->held && bytes[i] != '\n' && bytes[i] != '\r')
			show(sink, (const uint8_t *)"\r", 1);
		output->held = bytes[i] == '\r';
		if (!output->held)
			show(sink, &bytes[i], 1);
	}
}

static void show_console(struct output *output, struct sink *sink, const uint8_t *bytes,
			 size_t size)
{
	if (sink->terminal)
		show(sink, bytes, size);
	else
		show_lines(output, sink, bytes, size);
}

static void log_console(struct output *output, const uint8_t *bytes, size_t size)
{
	for (; size; size--, bytes++)
		output->log[output->logged++ % OUTPUT_LOG] = *bytes;
}

void output_take(struct output *output, unsigned int port, const uint8_t *bytes, size_t size)
{
	if (port == LGUEST_PORT_CONSOLE && !output->command) {
		show_console(output, &output->out, bytes, size);
	} else if (port == LGUEST_PORT_CONSOLE) {
		log_console(output, bytes, size);
		if (verbose)
			show_console(output, &output->err, bytes, size);
	} else if (port == LGUEST_PORT_STDOUT && output->command) {
		show(&output->out, bytes, size);
	} else if (port == LGUEST_PORT_STDERR && output->command) {
		show(&output->err, bytes, size);
	}
	output_flush(output);
}

void output_message(struct output *output, const char *line, bool plain)
{
	struct sink *sink = &output->err;

	if (!plain)
		keep(sink, "lguest: ", 8);
	keep(sink, line, strlen(line));
	keep(sink, terminal_is_raw() ? "\r\n" : "\n", terminal_is_raw() ? 2 : 1);
	flush(output, sink);
}

void output_forget(struct output *output)
{
	output->logged = 0;
}

/* Where the last lines begin: enough for what a kernel says as it dies. */
static uint64_t last_lines(const struct output *output, uint64_t first)
{
	uint64_t at = output->logged, lines = 0;

	while (at > first && (output->log[(at - 1) % OUTPUT_LOG] != '\n' ||
			      at == output->logged || ++lines < LOG_LINES))
		at--;
	return at;
}

void output_show_log(struct output *output)
{
	uint64_t end = output->logged, first = end > OUTPUT_LOG ? end - OUTPUT_LOG : 0;
	uint64_t at = last_lines(output, first);
	uint8_t byte = '\n';

	if (!end || verbose)
		return;
	problem("the last messages of the guest's kernel%s:", at > first ? "; -v shows all" : "");
	for (; at < end; at++) {
		byte = output->log[at % OUTPUT_LOG];
		if (byte != '\r')
			keep(&output->err, &byte, 1);
	}
	if (byte != '\n')
		keep(&output->err, "\n", 1);
	output_flush(output);
}

int output_status(const struct output *output, int status)
{
	return status == STATUS_DONE && output->lost ? STATUS_FAILED : status;
}
