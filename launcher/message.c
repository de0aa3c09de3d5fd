// SPDX-License-Identifier: GPL-2.0
/*
 * How the launcher speaks: one line on stderr that begins with "lguest: ".
 * The words of a problem follow one pattern, "what failed: why; what to try".
 * While the terminal is raw a newline needs its carriage return.
 * Read next: control/place.c.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "lguest.h"

FILE *message_stream;
void (*message_way)(const char *line, bool plain);
atomic_bool message_raw;
bool verbose;

static int log_socket = -1;

/* Not syslog(3): it makes new sockets when it likes, which filter.c forbids. */
void message_to_log(void)
{
	struct sockaddr_un address = { AF_UNIX, "/dev/log" };

	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!connect(fd, (void *)&address, sizeof(address)))
		log_socket = fd;	/* other threads may be speaking */
	else if (fd >= 0)
		close(fd);
}

void make_printable(char *text)
{
	size_t length = strlen(text);

	while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
		text[--length] = '\0';
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

static void say_to_log(const char *line)
{
	char text[MESSAGE_MOST + 32];
	int size = snprintf(text, sizeof(text), "<%d>lguest[%d]: %s",
			    LOG_USER | LOG_NOTICE, getpid(), line);

	send(log_socket, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void say_to_stream(const char *line, bool plain)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	FILE *out = message_stream ? message_stream : stderr;

	pthread_mutex_lock(&lock);
	fprintf(out, "%s%s%s", plain ? "" : "lguest: ", line,
		atomic_load(&message_raw) ? "\r\n" : "\n");
	fflush(out);
	pthread_mutex_unlock(&lock);
}

static void say(bool plain, const char *format, va_list args)
{
	char line[MESSAGE_MOST];

	vsnprintf(line, sizeof(line), format, args);
	if (message_way)
		message_way(line, plain);
	else if (log_socket >= 0)
		say_to_log(line);
	else
		say_to_stream(line, plain);
}

/* A signal's handler is the caller: no lock, no memory, no stdio. */
void message_at_end(const char *text)
{
	struct iovec parts[] = {
		{ "lguest: ", log_socket >= 0 ? 0 : 8 },
		{ (void *)text, strlen(text) },
		{ "\r\n", log_socket >= 0 ? 0 : 2 },
	};

	if (message_way)
		message_way(text, false);
	else if (writev(log_socket >= 0 ? log_socket : STDERR_FILENO, parts, 3) < 0)
		return;		/* nobody hears it */
}

void problem(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(false, format, args);
	va_end(args);
}

void note(const char *format, ...)
{
	va_list args;

	if (!verbose)
		return;
	va_start(args, format);
	say(false, format, args);
	va_end(args);
}

void tell_plainly(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(true, format, args);
	va_end(args);
}
