// SPDX-License-Identifier: GPL-2.0
/*
 * One command in a guest: the other end of boot/agent/session.c.  Nobody waits for one
 * stream while another could go on: each has a window, so that what comes can always be
 * read; and nothing is written to a file that has no room.
 * Read next: cmd_exec.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "lguest.h"
#include "session.h"
#include "terminal.h"

#define SECOND	1000000000ULL

/* ---- the request */

static char *add_text(char *at, const char *end, const char *text)
{
	size_t size = strlen(text ? text : "") + 1;

	if (!at || size > (size_t)(end - at))
		return NULL;
	memcpy(at, text ? text : "", size);
	return at + size;
}

static char *add_texts(char *at, const char *end, char **texts, uint32_t *count)
{
	for (*count = 0; texts && texts[*count]; ++*count) {
		if (*count == SESSION_WORDS_MOST)
			return NULL;
		at = add_text(at, end, texts[*count]);
	}
	return at;
}

static bool send_all(int fd, const void *bytes, size_t size)
{
	while (size) {
		ssize_t done = send(fd, bytes, size, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes = (const char *)bytes + done;
		size -= done;
	}
	return true;
}

bool session_begin(struct session *s, int fd, const struct session_request *request)
{
	struct {
		struct agent_frame frame;
		struct agent_start start;
		char texts[AGENT_REQUEST];
	} *message = calloc(1, sizeof(*message));
	const char *end = message ? message->texts + AGENT_REQUEST : NULL;
	struct agent_start *start = &message->start;
	bool ok = message;
	char *at;

	memset(s, 0, sizeof(*s));
	s->fd = fd;
	if (!ok)
		return false;
	start->flags = request->flags;
	start->size = (struct agent_size){ request->rows, request->columns };
	at = add_text(message->texts, end, request->user);
	at = add_text(at, end, request->root);
	at = add_text(at, end, request->folder);
	at = add_texts(at, end, request->words, &start->words);
	at = add_texts(at, end, request->variables, &start->variables);
	message->frame.kind = AGENT_START;
	if (at) {
		message->frame.size = at - (char *)start;
		ok = send_all(fd, message, at - (char *)message);
	}
	free(message);
	if (!at)
		problem("%s: the command and its variables are too long: 128 KiB and %d words at most",
			request->command, SESSION_WORDS_MOST);
	else if (!ok)
		problem("%s: the guest '%s' hung up; `lguest list` shows whether it runs",
			request->command, request->name);
	return at && ok;
}

/* ---- what the guest says */

static bool take_end(struct session *s, const uint8_t *body)
{
	memcpy(&s->end, body, sizeof(s->end));
	s->ended = true;
	switch (s->end.how) {
	case AGENT_EXITED:
		return s->end.value < 256;
	case AGENT_KILLED:
		return s->end.value && s->end.value < 65;
	default:
		return s->end.how < AGENT_HOWS && s->end.value < 4096;
	}
}

static bool take_frame(struct session *s, const struct agent_frame *frame, const uint8_t *body)
{
	switch (frame->kind) {
	case AGENT_DATA:
		return frame->stream != AGENT_IN &&
		       agent_take(&s->sinks[frame->stream], body, frame->size);
	case AGENT_TAKEN:
		return frame->stream == AGENT_IN && agent_told(&s->in, body);
	case AGENT_EXIT:
		return take_end(s, body);
	default:
		return false;
	}
}

bool session_take(struct session *s)
{
	struct agent_frame frame;
	int next = 0;

	while (!s->ended && (next = agent_next(&s->wire, &frame)) > 0) {
		if (!take_frame(s, &frame, agent_body(&s->wire)))
			return false;
		agent_forget(&s->wire, &frame);
	}
	return next >= 0;
}

/* SESSION_ENDED: nothing is wrong. */
static enum session_result hear_guest(struct session *s)
{
	ssize_t got = recv(s->fd, s->wire.in + s->wire.in_size,
			   sizeof(s->wire.in) - s->wire.in_size, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return SESSION_ENDED;
	if (got <= 0) {		/* what came before is still written */
		s->gone = true;
		return SESSION_ENDED;
	}
	s->wire.in_size += got;
	return session_take(s) ? SESSION_ENDED : SESSION_NONSENSE;
}

/* ---- to and fro */

/* What a pipe has room for when it says that it has some. */
static bool write_some(struct agent_sink *sink)
{
	uint32_t size = agent_first(sink);
	ssize_t done = size;

	if (sink->fd >= 0)
		done = write(sink->fd, sink->bytes + sink->first,
			     size < PIPE_BUF ? size : PIPE_BUF);
	if (done < 0)
		return errno == EAGAIN || errno == EINTR;
	agent_went(sink, done);
	return true;
}

static void read_input(struct session *s)
{
	uint32_t most = agent_may_send(&s->wire, &s->in);
	ssize_t got;

	if (!most)
		return;
	got = read(s->in.fd, agent_place(&s->wire), most);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		got = 0;
		s->in.fd = -1;
	}
	agent_add(&s->wire, AGENT_DATA, AGENT_IN, got);
	s->in.flying += got;
}

/* False: who sends them wants to go. */
static bool take_signal(struct session *s, int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo == SIGWINCH) {
		s->resized = true;
		return true;
	}
	if (info.ssi_signo == SIGCONT) {
		terminal_raw_again();
		return true;
	}
	s->waiting_signal = info.ssi_signo;
	s->asked[2] = s->asked[1];
	s->asked[1] = s->asked[0];
	s->asked[0] = now_ns();
	return !s->asked[2] || s->asked[0] - s->asked[2] > SECOND;
}

static void tell_signals(struct session *s)
{
	struct agent_size size;
	unsigned int rows, columns;

	if (s->waiting_signal && agent_put(&s->wire, AGENT_SIGNAL, 0, &s->waiting_signal,
					   sizeof(s->waiting_signal)))
		s->waiting_signal = 0;
	if (!s->resized || !terminal_size(STDOUT_FILENO, &rows, &columns))
		return;
	size = (struct agent_size){ rows, columns };
	s->resized = !agent_put(&s->wire, AGENT_SIZE, 0, &size, sizeof(size));
}

static void tell_guest(struct session *s)
{
	ssize_t done;

	tell_signals(s);
	agent_tell(&s->wire, &s->sinks[AGENT_OUT], AGENT_OUT);
	agent_tell(&s->wire, &s->sinks[AGENT_ERR], AGENT_ERR);
	if (!s->wire.out_size)
		return;
	done = send(s->fd, s->wire.out, s->wire.out_size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (done > 0)
		agent_sent(&s->wire, done);
	/* An end that does not hear has hung up: that is seen where it is read. */
}

static bool all_written(const struct session *s)
{
	return !s->sinks[AGENT_OUT].count && !s->sinks[AGENT_ERR].count;
}

enum { GUEST, SIGNALS, INPUT, OUT, ERR, FILES };

static void look(const struct session *s, const struct session_files *files,
		 struct pollfd fds[FILES])
{
	const struct agent_sink *out = &s->sinks[AGENT_OUT], *err = &s->sinks[AGENT_ERR];

	fds[GUEST] = (struct pollfd){ s->ended || s->gone ? -1 : s->fd,
				      POLLIN | (s->wire.out_size ? POLLOUT : 0), 0 };
	fds[SIGNALS] = (struct pollfd){ files->signals, POLLIN, 0 };
	fds[INPUT] = (struct pollfd){ agent_may_send(&s->wire, &s->in) && !s->ended ?
				      s->in.fd : -1, POLLIN, 0 };
	/* Without bytes for it: is its reader still there? */
	fds[OUT] = (struct pollfd){ out->fd, out->count ? POLLOUT : 0, 0 };
	fds[ERR] = (struct pollfd){ err->count ? err->fd : -1, POLLOUT, 0 };
	poll(fds, FILES, -1);
}

static bool write_streams(struct session *s, const struct pollfd fds[FILES])
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct agent_sink *sink = &s->sinks[AGENT_OUT + i];

		if (sink->count && (sink->fd < 0 || fds[OUT + i].revents) && !write_some(sink))
			return false;
	}
	errno = EPIPE;
	return !(fds[OUT].revents & POLLERR);
}

enum session_result session_run(struct session *s, const struct session_files *files)
{
	struct pollfd fds[FILES];
	enum session_result result;

	s->in.fd = files->in;
	s->sinks[AGENT_OUT].fd = files->out;
	s->sinks[AGENT_ERR].fd = files->err;
	while (!(s->ended || s->gone) || !all_written(s)) {
		look(s, files, fds);
		if (fds[SIGNALS].revents && !take_signal(s, files->signals) && !files->patient)
			return SESSION_LEFT;
		if (fds[GUEST].revents & ~POLLOUT) {
			result = hear_guest(s);
			if (result != SESSION_ENDED)
				return result;
		}
		if (fds[INPUT].revents)
			read_input(s);
		if (!write_streams(s, fds))
			return SESSION_LOST;
		tell_guest(s);
	}
	return s->ended ? SESSION_ENDED : SESSION_GONE;
}

/* ---- its end */

/* What is ignored, as below nohup, stays so. */
int session_signals(void)
{
	static const int passed[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	struct sigaction before;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGCONT);
	for (i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		if (!sigaction(passed[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaddset(&set, passed[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int not_started(const struct session *s, const struct session_request *request)
{
	static const char *const what[AGENT_HOWS] = {
		[AGENT_NO_USER] = "there is no such user",
		[AGENT_NO_ROOT] = "its root folder cannot be entered",
		[AGENT_NO_FOLDER] = "its folder cannot be entered",
		[AGENT_NO_TERMINAL] = "there is no terminal for it",
		[AGENT_NO_PROCESS] = "there can be no process for it",
		[AGENT_NO_PROGRAM] = "it cannot be started",
	};

	problem("%s: '%s' does not run in the guest '%s': %s: %s", request->command,
		request->words[0], request->name, what[s->end.how], strerror(s->end.value));
	return s->end.how == AGENT_NO_PROGRAM && s->end.value == ENOENT ? 127 : 126;
}

int session_status(struct session *s, const struct session_request *request,
		   enum session_result result)
{
	switch (result) {
	case SESSION_ENDED:
		break;
	case SESSION_GONE:
		problem("%s: the guest '%s' went away before the command ended", request->command,
			request->name);
		return STATUS_NO_STATUS;
	case SESSION_NONSENSE:
		problem("%s: the guest '%s' does not keep to the rules of its agent; it is not to be trusted",
			request->command, request->name);
		return STATUS_NO_STATUS;
	case SESSION_LOST:
		if (errno == EPIPE)	/* as any program whose reader went away */
			return 128 + SIGPIPE;
		problem("%s: the output of the command is lost: %s; it was hung up",
			request->command, strerror(errno));
		return STATUS_FAILED;
	case SESSION_LEFT:
		problem("%s: left the command in '%s', which was hung up", request->command,
			request->name);
		return STATUS_ESCAPE;
	}
	if (s->end.how == AGENT_EXITED)
		return s->end.value;
	if (s->end.how == AGENT_KILLED)
		return 128 + s->end.value;
	return not_started(s, request);
}
