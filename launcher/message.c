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

static void say_to_log(const char *format, va_list args)
{
	char text[1024];
	int size = snprintf(text, sizeof(text), "<%d>lguest[%d]: ",
			    LOG_USER | LOG_NOTICE, getpid());

	size += vsnprintf(text + size, sizeof(text) - size, format, args);
	if (size >= (int)sizeof(text))
		size = sizeof(text) - 1;
	send(log_socket, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void say(const char *format, va_list args)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	FILE *out = message_stream ? message_stream : stderr;

	if (log_socket >= 0) {
		say_to_log(format, args);
		return;
	}
	pthread_mutex_lock(&lock);
	fputs("lguest: ", out);
	vfprintf(out, format, args);
	fputs(atomic_load(&message_raw) ? "\r\n" : "\n", out);
	fflush(out);
	pthread_mutex_unlock(&lock);
}

/* A signal's handler is the caller: no lock, no memory, no stdio. */
void message_at_end(const char *text)
{
	struct iovec parts[] = {
		{ "lguest: ", log_socket >= 0 ? 0 : 8 },
		{ (void *)text, strlen(text) },
		{ "\r\n", log_socket >= 0 ? 0 : 2 },
	};

	if (writev(log_socket >= 0 ? log_socket : STDERR_FILENO, parts, 3) < 0)
		return;		/* nobody hears it */
}

void problem(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void note(const char *format, ...)
{
	va_list args;

	if (!verbose)
		return;
	va_start(args, format);
	say(format, args);
	va_end(args);
}
