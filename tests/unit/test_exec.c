// SOURCES: launcher/command/session.c launcher/message.c launcher/terminal.c
// SPDX-License-Identifier: GPL-2.0
/* `lguest exec`'s side of a session, with an agent that does right and one that does not: L14. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "command/session.h"
#include "lguest.h"

static char *words[] = { "echo", "a b", "", NULL }, *variables[] = { "K=V", NULL };
static const struct session_request request = {
	.command = "exec", .name = "one", .words = words, .variables = variables,
	.user = "u", .flags = AGENT_INPUT, .rows = 24, .columns = 80,
};
static struct session session;
static int agent, in[2], out[2], err[2];

static int start(void **state)
{
	int ends[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	message_stream = fopen("/dev/null", "w");
	assert_false(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || pipe(in) || pipe(out) ||
		     pipe(err));
	agent = ends[1];
	assert_true(session_begin(&session, ends[0], &request));
	return 0;
}

static int stop(void **state)
{
	const int fds[] = { session.fd, agent, in[0], in[1], out[0], out[1], err[0], err[1] };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	fclose(message_stream);
	message_stream = NULL;
	return 0;
}

static void say(unsigned int kind, unsigned int stream, const void *bytes, uint32_t size)
{
	struct agent_frame frame = { kind, stream, size };

	assert_int_equal(write(agent, &frame, sizeof(frame)), sizeof(frame));
	assert_int_equal(write(agent, bytes, size), size);
}

static void say_end(uint32_t how, uint32_t value)
{
	struct agent_exit end = { how, value };

	say(AGENT_EXIT, 0, &end, sizeof(end));
}

static void hear(void *to, size_t size)
{
	assert_int_equal(recv(agent, to, size, MSG_WAITALL), size);
}

static void hear_start(void)
{
	struct agent_start begin;
	struct agent_frame frame;
	char texts[64];

	hear(&frame, sizeof(frame));
	hear(&begin, sizeof(begin));
	hear(texts, frame.size - sizeof(begin));
	assert_int_equal(frame.kind, AGENT_START);
	assert_int_equal(begin.words, 3);
	assert_int_equal(begin.variables, 1);
	assert_int_equal(begin.flags, AGENT_INPUT);
	assert_int_equal(frame.size - sizeof(begin), 18);
	assert_memory_equal(texts, "u\0\0\0echo\0a b\0\0K=V\0", 18);
}

static int result(enum session_result *how)
{
	const struct session_files files = { in[0], out[1], err[1], -1, false };

	*how = session_run(&session, &files);
	return session_status(&session, &request, *how);
}

/* Bytes of both streams and a status; input goes the other way. */
static void test_session(void **state)
{
	enum session_result how;
	struct agent_frame frame;
	char text[8] = "";

	(void)state;
	hear_start();
	assert_int_equal(write(in[1], "input", 5), 5);
	close(in[1]);
	in[1] = -1;
	say(AGENT_DATA, AGENT_OUT, "out", 3);
	say(AGENT_DATA, AGENT_ERR, "err", 3);
	say(AGENT_DATA, AGENT_OUT, "", 0);
	say_end(AGENT_EXITED, 7);
	assert_int_equal(result(&how), 7);
	assert_int_equal(how, SESSION_ENDED);
	assert_int_equal(read(out[0], text, 8), 3);
	assert_string_equal(text, "out");
	assert_int_equal(read(err[0], text, 8), 3);
	assert_string_equal(text, "err");
	hear(&frame, sizeof(frame));
	assert_int_equal(frame.kind, AGENT_DATA);
	assert_int_equal(frame.stream, AGENT_IN);
}

static void test_ends(void **state)
{
	static const struct { uint32_t how, value; int status; } ends[] = {
		{ AGENT_EXITED, 0, 0 }, { AGENT_EXITED, 255, 255 }, { AGENT_KILLED, 9, 137 },
		{ AGENT_NO_PROGRAM, ENOENT, 127 }, { AGENT_NO_PROGRAM, EACCES, 126 },
		{ AGENT_NO_USER, ENOENT, 126 }, { AGENT_NO_FOLDER, ENOENT, 126 },
		/* Of a guest that lies. */
		{ AGENT_EXITED, 256, STATUS_NO_STATUS }, { AGENT_KILLED, 0, STATUS_NO_STATUS },
		{ AGENT_KILLED, 65, STATUS_NO_STATUS }, { AGENT_HOWS, 0, STATUS_NO_STATUS },
		{ AGENT_NO_USER, 4096, STATUS_NO_STATUS }, { ~0U, ~0U, STATUS_NO_STATUS },
	};
	enum session_result how;
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (i)
			start(state);
		say_end(ends[i].how, ends[i].value);
		assert_int_equal(result(&how), ends[i].status);
		if (i + 1 < sizeof(ends) / sizeof(ends[0]))
			stop(state);
	}
}

/* The guest hangs up; what it said before is written. */
static void test_gone(void **state)
{
	enum session_result how;
	char text[8] = "";

	(void)state;
	say(AGENT_DATA, AGENT_OUT, "last", 4);
	close(agent);
	agent = -1;
	assert_int_equal(result(&how), STATUS_NO_STATUS);
	assert_int_equal(how, SESSION_GONE);
	assert_int_equal(read(out[0], text, 8), 4);
	assert_string_equal(text, "last");
}

static void *guest(void *with)
{
	static const char bytes[AGENT_PIECE];
	unsigned int i;

	/* Its thread may be told that nobody listens any more. */
	for (i = 0; i < 5; i++) {
		struct agent_frame frame = { AGENT_DATA, AGENT_OUT, AGENT_PIECE };

		if (send(agent, &frame, sizeof(frame), MSG_NOSIGNAL) < 0 ||
		    send(agent, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0)
			break;
	}
	return with;
}

/* Nobody reads; a guest that says more than the window holds is not to be trusted. */
static void test_window(void **state)
{
	enum session_result how;
	pthread_t thread;
	char fill[4096] = "";

	(void)state;
	while (poll(&(struct pollfd){ out[1], POLLOUT, 0 }, 1, 0) == 1)
		assert_true(write(out[1], fill, sizeof(fill)) > 0);
	pthread_create(&thread, NULL, guest, NULL);
	assert_int_equal(result(&how), STATUS_NO_STATUS);
	assert_int_equal(how, SESSION_NONSENSE);
	assert_int_equal(session.sinks[AGENT_OUT].count, AGENT_WINDOW);
	shutdown(session.fd, SHUT_RDWR);
	pthread_join(thread, NULL);
}

static void test_nonsense(void **state)
{
	static const struct { uint32_t kind, stream, size; } frames[] = {
		{ 0, 0, 0 }, { AGENT_START, 0, 8 }, { AGENT_DATA, AGENT_IN, 4 },
		{ AGENT_DATA, AGENT_STREAMS, 4 }, { AGENT_DATA, AGENT_OUT, AGENT_PIECE + 1 },
		{ AGENT_TAKEN, AGENT_OUT, 4 }, { AGENT_TAKEN, AGENT_IN, 3 },
		{ AGENT_TAKEN, AGENT_IN, 4 },	/* more than was sent */
		{ AGENT_SIGNAL, 0, 4 }, { AGENT_SIZE, 0, 4 }, { AGENT_EXIT, 0, 4 },
		{ AGENT_KINDS, 0, 0 }, { 0xffff, 0xffff, ~0U },
	};
	static const char bytes[8] = "\1\1\1\1\1\1\1";
	enum session_result how;
	size_t i;

	for (i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct agent_frame frame = { frames[i].kind, frames[i].stream, frames[i].size };

		if (i)
			start(state);
		assert_int_equal(write(agent, &frame, sizeof(frame)), sizeof(frame));
		assert_int_equal(write(agent, bytes, sizeof(bytes)), sizeof(bytes));
		assert_int_equal(result(&how), STATUS_NO_STATUS);
		assert_int_equal(how, SESSION_NONSENSE);
		if (i + 1 < sizeof(frames) / sizeof(frames[0]))
			stop(state);
	}
}

/* A reader that went away; a request that is too long; too many signals. */
static void test_ours(void **state)
{
	char *long_words[] = { NULL, NULL };
	struct session_request too_long = { .command = "exec", .name = "one",
					    .words = long_words };
	struct session_files files = { -1, -1, -1, -1, false };
	enum session_result how;
	sigset_t set;
	int i;

	(void)state;
	close(out[0]);
	out[0] = -1;
	assert_int_equal(result(&how), 128 + SIGPIPE);
	long_words[0] = malloc(AGENT_REQUEST + 1);
	memset(long_words[0], 'x', AGENT_REQUEST);
	long_words[0][AGENT_REQUEST] = '\0';
	assert_false(session_begin(&session, session.fd, &too_long));
	free(long_words[0]);
	sigemptyset(&set);
	for (i = 0; i < 3; i++)
		sigaddset(&set, SIGRTMIN + i);
	sigprocmask(SIG_BLOCK, &set, NULL);
	files.signals = signalfd(-1, &set, SFD_NONBLOCK);
	for (i = 0; i < 3; i++)
		raise(SIGRTMIN + i);
	assert_int_equal(session_run(&session, &files), SESSION_LEFT);
	assert_int_equal(session_status(&session, &request, SESSION_LEFT), STATUS_ESCAPE);
	close(files.signals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_session, start, stop),
		cmocka_unit_test_setup_teardown(test_ends, start, stop),
		cmocka_unit_test_setup_teardown(test_gone, start, stop),
		cmocka_unit_test_setup_teardown(test_window, start, stop),
		cmocka_unit_test_setup_teardown(test_nonsense, start, stop),
		cmocka_unit_test_setup_teardown(test_ours, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
