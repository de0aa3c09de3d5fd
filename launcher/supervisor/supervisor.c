// SPDX-License-Identifier: GPL-2.0
/*
 * The supervisor's loop.  It waits for the user (keys, signals, a reader that is slow),
 * for clients (control/control.c), for a debugger that comes, and for its machine; and
 * for nobody alone: no call here waits but poll().
 * Read next: birth.c.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "hardware/guest.h"
#include "inside.h"
#include "lguest.h"
#include "terminal.h"

#define MILLISECOND	1000000ULL
#define SECOND		1000000000ULL
#define TO_BUILD	(5 * SECOND)	/* for a machine that is told to end while it is built, */
#define TO_END		(6 * SECOND)	/* ... which runs: after 5 it tells what holds it, */
#define TO_DIE		SECOND		/* ... which is killed; and for the last words */

static struct supervisor *this;

static void tell_user(const char *line, bool plain)
{
	output_message(&this->output, line, plain);
}

void kill_machine(struct supervisor *s)
{
	if (s->reaped || s->killed)
		return;
	kill(s->link.machine, SIGKILL);
	s->killed = true;
	s->patience = now_ns() + TO_DIE;
}

/* A machine that is built hears signals as all programs do; one that runs, the line. */
void wish_end(struct supervisor *s, int why)
{
	if (s->end)
		return;
	s->end = why;
	s->link.told_to_end = true;
	if (s->link.built)
		wire_say(s->link.talk, WIRE_END, 0, 0);
	else if (!s->reaped && s->link.machine > 0)
		kill(s->link.machine, SIGTERM);
	s->patience = now_ns() + (s->link.built ? TO_END : TO_BUILD);
}

static void end_by_control(int why)
{
	wish_end(this, why);
}

static void resize_by_control(unsigned int rows, unsigned int columns)
{
	this->rows = rows;
	this->columns = columns;
}

static void lose_patience(struct supervisor *s)
{
	if (s->killed) {
		s->given_up = true;
		return;
	}
	problem("the guest's machine does not end: it is killed; see dmesg");
	kill_machine(s);
}

static void look_at_clock(struct supervisor *s)
{
	uint64_t now = now_ns();

	if (s->deadline && now >= s->deadline)
		wish_end(s, END_TIME);
	if (s->patience && now >= s->patience && !s->reaped)
		lose_patience(s);
}

static void sooner(uint64_t *least, uint64_t time)
{
	if (time && time < *least)
		*least = time;
}

/* Milliseconds until there is something to do without being told. */
static int idle_time(const struct supervisor *s)
{
	uint64_t least = UINT64_MAX, now = now_ns(), left;

	if (!s->end)
		sooner(&least, s->deadline);
	sooner(&least, s->patience);
	sooner(&least, control_deadline(s->control));
	if (least == UINT64_MAX)
		return -1;
	left = least > now ? (least - now) / MILLISECOND + 1 : 0;
	return left > 1000000 ? 1000000 : (int)left;
}

static void reap(struct supervisor *s)
{
	if (s->link.machine > 0 && waitpid(s->link.machine, &s->status, WNOHANG) == s->link.machine)
		s->reaped = true;
}

/*L:318
 * Stopped from a terminal or by a shell: the guest stands, too, and goes on with us.
 :*/
static void stand_still(struct supervisor *s)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	kill(s->link.machine, SIGSTOP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL);	/* here */
	sigprocmask(SIG_BLOCK, &stop, NULL);
	kill(s->link.machine, SIGCONT);
}

static void read_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGCHLD:
		reap(s);
		break;
	case SIGWINCH:
		s->resized = s->settings->input.raw;
		break;
	case SIGTSTP:
		if (!s->reaped)
			stand_still(s);
		break;
	case SIGCONT:
		if (!s->reaped)
			kill(s->link.machine, SIGCONT);
		terminal_raw_again();
		break;
	default:
		wish_end(s, END_SIGNAL + info.ssi_signo);
	}
}

/* /init reads it once it has said that it is ready. */
static void pass_size_on(struct supervisor *s)
{
	if (!s->link.ready || (!s->resized && !s->rows))
		return;
	if (s->resized)
		terminal_size(STDOUT_FILENO, &s->rows, &s->columns);
	s->resized = false;
	if (s->rows && s->rows <= UINT16_MAX && s->columns <= UINT16_MAX)
		wire_say(s->link.talk, WIRE_SIZE, s->rows << 16 | s->columns, 0);
	s->rows = 0;
}

static void push_input(struct supervisor *s)
{
	struct keys *in = &s->input;

	input_gone(in, link_input(&s->link, in->settings.port, in->waiting + in->at, in->size));
}

/* A debugger has come: its connection is the machine's to talk by, ours to keep. */
static void welcome_debugger(struct supervisor *s)
{
	if (!gdb_accept(&s->gdb))
		return;
	s->link.debugger = wire_hand(s->link.talk, WIRE_DEBUGGER, 0, s->gdb.connection);
	if (!s->link.debugger)
		gdb_drop(&s->gdb);
}

enum { SIGNALS, TALK, OUTPUT, STDIN, STDOUT, STDERR, DEBUGGER, CLIENTS,
       FDS = CLIENTS + CONTROL_FDS };

static void prepare(struct supervisor *s, struct pollfd fds[FDS])
{
	bool keys = s->link.built && !s->end && input_wanted(&s->input, s->link.ready);
	bool more = !s->output_over && (output_done(&s->output) || s->end);
	int i;

	for (i = 0; i < FDS; i++)
		fds[i].events = POLLIN;
	fds[SIGNALS].fd = s->signals;
	fds[TALK].fd = s->talk_over ? -1 : s->link.talk;
	fds[OUTPUT].fd = more ? s->link.output : -1;
	fds[STDIN].fd = keys ? STDIN_FILENO : -1;
	output_waits(&s->output, &fds[STDOUT].fd, &fds[STDERR].fd);
	fds[STDOUT].events = fds[STDERR].events = POLLOUT;
	fds[DEBUGGER].fd = s->link.built ? gdb_awaited(&s->gdb) : -1;
	control_poll(s->control, fds + CLIENTS);
}

/* One look at everybody. */
static void attend(struct supervisor *s)
{
	struct pollfd fds[FDS];

	prepare(s, fds);
	if (poll(fds, FDS, s->reaped && !s->output.out.size && !s->output.err.size ?
		 0 : idle_time(s)) < 0)
		return;
	if (fds[SIGNALS].revents)
		read_signal(s);
	output_flush(&s->output);
	if (fds[TALK].revents || s->reaped)
		hear_talk(s);
	hear_output(s);
	if (s->output.reader_left)	/* as any program whose reader went away */
		wish_end(s, END_SIGNAL + SIGPIPE);
	if (fds[STDIN].fd >= 0 && fds[STDIN].revents && !input_read(&s->input))
		wish_end(s, END_ESCAPE);
	if (fds[DEBUGGER].fd >= 0 && fds[DEBUGGER].revents)
		welcome_debugger(s);
	control_attend(s->control, fds + CLIENTS);
	push_input(s);
	pass_size_on(s);
	look_at_clock(s);
}

/* All that it said is heard, and what it wrote is with its readers, if they shall have it. */
static bool is_over(const struct supervisor *s)
{
	if (s->given_up)
		return true;
	return s->reaped && s->talk_over && s->output_over &&
	       (output_done(&s->output) || s->end);
}

static void bury(struct supervisor *s, bool restarts)
{
	close(s->link.talk);
	close(s->link.output);
	s->link = (struct link){ .talk = -1, .output = -1 };
	control_machine_gone(s->control, restarts);
	terminal_restore();
}

/* Nothing of the old guest is left but output that somebody may ask for, and a debugger. */
static bool restart(struct supervisor *s)
{
	s->agreed = (s->last.number & WIRE_NO_ACK) | WIRE_AWAITS;
	s->restarts++;
	note("the guest restarts");
	bury(s, true);
	output_forget(&s->output);
	return start_machine(s);
}

static void live(struct supervisor *s)
{
	bool alive = start_machine(s);

	while (alive) {
		while (!is_over(s))
			attend(s);
		if (!shall_restart(s))
			return;
		alive = restart(s);
	}
	s->failed = STATUS_HOST;
}

/* The last words: whoever made us end shall not wait for a reader who does not read. */
static void say_last_words(struct supervisor *s)
{
	uint64_t until = now_ns() + TO_DIE;

	while (!output_done(&s->output) && (!s->end || now_ns() < until)) {
		struct pollfd fds[3] = { { .fd = s->signals, .events = POLLIN } };

		output_waits(&s->output, &fds[1].fd, &fds[2].fd);
		fds[1].events = fds[2].events = POLLOUT;
		poll(fds, 3, s->end ? 50 : -1);
		if (fds[0].revents)
			read_signal(s);
		output_flush(&s->output);
	}
	if (message_way)
		message_way = NULL;
}

/* nohup and the like asked for some to be ignored. */
static bool take_signals(struct supervisor *s)
{
	static const int ours[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCONT, SIGWINCH,
				    SIGTSTP, SIGCHLD };
	struct sigaction old;
	sigset_t set;
	size_t i;

	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (sigaction(ours[i], NULL, &old) || old.sa_handler != SIG_IGN)
			sigaddset(&set, ours[i]);
	sigprocmask(SIG_BLOCK, &set, &s->before);
	s->pipe_before = signal(SIGPIPE, SIG_IGN);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		problem("cannot watch for signals: %s; check `ulimit -n`", strerror(errno));
	return s->signals >= 0;
}

int supervise(const struct supervisor_settings *settings, const struct control_settings *control,
	      int *by_signal)
{
	static struct supervisor s = { .gdb = GDB_NO_LISTENER };
	struct control_settings of_control;
	int status;

	s.settings = settings;
	s.link = (struct link){ .talk = -1, .output = -1 };
	this = &s;
	*by_signal = NO_SIGNAL;
	if (control) {
		of_control = *control;
		of_control.end = end_by_control;
		of_control.resize = resize_by_control;
		s.control = control_open(&of_control, &s.link);
		if (!s.control)
			return STATUS_HOST;
	}
	if (!take_signals(&s))
		return STATUS_HOST;
	output_open(&s.output, settings->command);
	message_way = tell_user;
	live(&s);
	terminal_restore();
	if (verbose && s.restarts)
		note("restarted %u times", s.restarts);
	status = tell_end(&s, by_signal);
	bury(&s, false);
	gdb_close(&s.gdb);
	say_last_words(&s);
	control_close(s.control, status);
	sigprocmask(SIG_SETMASK, &s.before, NULL);
	return status;
}
