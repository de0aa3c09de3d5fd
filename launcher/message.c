// SPDX-License-Identifier: GPL-2.0
/*
 * How the launcher speaks: one line on stderr that begins with "lguest: ".
 * The words of a problem follow one pattern, "what failed: why; what to try".
 * While the terminal is raw a newline needs its carriage return.
 */
#include <pthread.h>
#include <stdarg.h>

#include "lguest.h"
#include "terminal.h"

FILE *message_stream;
bool verbose;

static void say(const char *format, va_list args)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	FILE *out = message_stream ? message_stream : stderr;

	pthread_mutex_lock(&lock);
	fputs("lguest: ", out);
	vfprintf(out, format, args);
	fputs(terminal_is_raw() ? "\r\n" : "\n", out);
	fflush(out);
	pthread_mutex_unlock(&lock);
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
