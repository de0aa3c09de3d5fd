// SPDX-License-Identifier: GPL-2.0
/*
 * The launcher's second thread.  The first one sleeps in read() of
 * /dev/lguest; this one waits for everything else: input on stdin, signals
 * that ask the launcher to end, and the time limit.  To end the guest it notes
 * why, then kicks the first thread with a signal until that has noticed; a
 * kick that comes just before the read() is lost, the next one is not.
 * Read next: terminal.c.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"
#include "devices/virtio/virtio.h"
#include "debugger/gdb.h"
#include "hardware/host.h"
#include "lguest.h"
#include "terminal.h"
#include "watch.h"

#define KICK_EVERY	50		/* ms */
#define KICKS		100		/* then the Host does not let go */
#define RETRY_INPUT	100		/* ms, should the guest forget to ask */
#define RETRY_READY	50		/* ms, while it boots */
#define RETRY_CALL	10		/* ms, should a kick come too early */
#define MILLISECOND	1000000ULL
#define KEYS_MOST	256		/* bytes read at once, from a terminal ... */
#define INPUT_MOST	65536		/* ... and from elsewhere */
#define HEADER_MOST	8		/* "65536\n" */
#define CTRL_D		0x04

static struct watch {
	struct guest *guest;
	struct watch_settings settings;
	pthread_t thread;
	int signals;			/* signalfd */
	int stop;			/* eventfd */
	bool started;

	struct escape escape;
	bool at_eof;
	bool resized;			/* the terminal; the guest shall know */
	uint8_t last;			/* byte that went to the guest */
	size_t waiting_at, waiting_size;
	/* For the guest, with room for a header, or for ^D ^D.  The last field. */
	uint8_t waiting[INPUT_MOST + HEADER_MOST];
} watch;

static void kicked(int number)
{
	(void)number;
}

/* Hand over what waits, and wake the guest for it. */
static void push_input(struct watch *w)
{
	struct console *console = &w->guest->console;
	size_t done;

	if (!w->waiting_size)
		return;
	done = console_input(console, w->settings.port,
			     w->waiting + w->waiting_at, w->waiting_size);
	if (!done)
		return;
	w->waiting_at += done;
	w->waiting_size -= done;
	host_irq(w->guest->fd, LGUEST_IRQ_CONSOLE);
}

/* On the vCPU's thread. */
static void input_taken(struct console *console)
{
	tell_watch(console->owner);
}

static void see_news(struct watch *w)
{
	uint64_t count;

	if (read(w->guest->news, &count, sizeof(count)) < 0)
		return;
}

/* More bytes for the guest, behind those that wait. */
static void add_waiting(struct watch *w, const void *bytes, size_t size)
{
	if (w->waiting_at)
		memmove(w->waiting, w->waiting + w->waiting_at, w->waiting_size);
	w->waiting_at = 0;
	memcpy(w->waiting + w->waiting_size, bytes, size);
	w->waiting_size += size;
}

/*
 * End of input.  A terminal's way to say so is ^D: after an unfinished line
 * it only sends that line off, so it takes a second one.
 */
static void end_of_input(struct watch *w)
{
	static const uint8_t two[] = { CTRL_D, CTRL_D };

	w->at_eof = true;
	if (w->settings.framed)
		add_waiting(w, "0\n", 2);
	else if (w->settings.send_eof)
		add_waiting(w, two, w->last == '\n' ? 1 : 2);
}

/*
 * A guest that takes no input must still hear the escape keys: from a terminal
 * we always read, and what finds no room is lost, as on any terminal.
 */
static void take_keys(struct watch *w, const uint8_t *keys, size_t size)
{
	uint8_t wanted[KEYS_MOST];
	size_t room = INPUT_MOST - w->waiting_size;
	bool end = false;

	size = escape_filter(&w->escape, keys, size, now_ns(), wanted, &end);
	if (size > room)
		size = room;
	add_waiting(w, wanted, size);
	if (end)
		request_end(w->guest, END_ESCAPE);
}

static void read_input(struct watch *w)
{
	static uint8_t keys[INPUT_MOST];
	char header[HEADER_MOST + 1];
	ssize_t size = read(STDIN_FILENO, keys,
			    w->settings.framed ? INPUT_MOST : KEYS_MOST);

	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (size <= 0) {
		end_of_input(w);
		return;
	}
	w->last = keys[size - 1];
	if (w->settings.raw) {
		take_keys(w, keys, size);
		return;
	}
	if (w->settings.framed)
		add_waiting(w, header, sprintf(header, "%u\n", (unsigned int)size));
	add_waiting(w, keys, size);
}

static void pass_size_on(struct watch *w)
{
	unsigned int rows, columns;

	w->resized = false;
	if (terminal_size(STDOUT_FILENO, &rows, &columns))
		guest_tell_size(w->guest, rows, columns);
}

static void read_signal(struct watch *w)
{
	struct signalfd_siginfo info;

	if (read(w->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH)
		w->resized = w->settings.raw;
	else if (info.ssi_signo == SIGCONT)
		terminal_raw_again();
	else
		request_end(w->guest, END_SIGNAL + info.ssi_signo);
}

static bool is_ready(const struct watch *w)
{
	return atomic_load(&w->guest->console.ready);
}

static bool ready(const struct watch *w)
{
	return !w->settings.wait_ready || is_ready(w);
}

static bool wants_input(const struct watch *w)
{
	if (!w->settings.input || w->at_eof)
		return false;
	return w->settings.raw || (!w->waiting_size && ready(w));
}

/* Milliseconds until there is something to do without being told. */
static int patience(const struct watch *w)
{
	int least = -1;

	if (w->waiting_size)
		least = RETRY_INPUT;
	else if (w->settings.input && !w->at_eof && !ready(w))
		least = RETRY_READY;
	else if (w->resized)
		least = RETRY_READY;
	if (gdb_calling())
		least = RETRY_CALL;
	if (w->settings.deadline) {
		uint64_t now = now_ns(), left = 0;

		if (w->settings.deadline > now)
			left = (w->settings.deadline - now) / MILLISECOND + 1;
		if (left > 1000000)
			left = 1000000;
		if (least < 0 || (int)left < least)
			least = left;
	}
	return least;
}

/* Who the first thread waits for. */
static void tell_what_holds(void)
{
	const char *device = virtio_waits_for();

	if (device)
		problem("%s: this host does not end what the guest had asked for: its disk is frozen or very slow; see dmesg, and `fsfreeze -u` thaws a file system",
			device);
	else
		problem("the Host does not stop the guest: its read() takes no signal; see dmesg");
}

/*L:320
 * The end was asked for.  If the first thread does not come back at all, the
 * Host or a disk is in trouble; the user still gets the terminal back, and a status.
 :*/
static void kick_until_stopped(struct watch *w)
{
	struct pollfd stop = { .fd = w->stop, .events = POLLIN };
	int end, i;

	for (i = 0; i < KICKS; i++) {
		kick_vcpu(w->guest);
		if (poll(&stop, 1, KICK_EVERY) == 1)
			return;
	}
	terminal_restore();
	tell_what_holds();
	end = w->guest->end;
	if (end == END_TIME)
		_exit(STATUS_TIME);
	if (end == END_STOP || end == END_DEBUGGER)
		_exit(STATUS_STOPPED);
	_exit(end >= END_SIGNAL ? 128 + end - END_SIGNAL : STATUS_ESCAPE);
}

static void *watch_thread(void *argument)
{
	struct watch *w = argument;
	struct pollfd fds[5] = {
		{ .fd = w->stop, .events = POLLIN },
		{ .fd = w->signals, .events = POLLIN },
		{ .fd = w->guest->news, .events = POLLIN },
		{ .events = POLLIN },
		{ .events = POLLIN },
	};

	if (w->settings.confine && !w->settings.confine())
		request_end(w->guest, END_CONFINE);
	while (!w->guest->end) {
		fds[3].fd = wants_input(w) ? STDIN_FILENO : -1;
		fds[4].fd = gdb_source();
		if (poll(fds, 5, patience(w)) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents)
			read_signal(w);
		if (fds[2].revents)
			see_news(w);
		if (fds[3].fd >= 0 && fds[3].revents)
			read_input(w);
		if ((fds[4].fd >= 0 && fds[4].revents) || gdb_calling())
			gdb_call();
		push_input(w);
		if (w->resized && is_ready(w))
			pass_size_on(w);
		if (w->settings.deadline && now_ns() >= w->settings.deadline)
			request_end(w->guest, END_TIME);
	}
	kick_until_stopped(w);
	return NULL;
}

/* Signals that end us are read by the thread; the kick must reach the vCPU. */
static bool take_signals(struct watch *w)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCONT,
				      SIGWINCH };
	struct sigaction kick = { .sa_handler = kicked }, old;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		/* nohup and the like asked for some to be ignored. */
		if (sigaction(ending[i], NULL, &old) || old.sa_handler != SIG_IGN)
			sigaddset(&set, ending[i]);
	}
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigaction(KICK, &kick, NULL);
	signal(SIGPIPE, SIG_IGN);
	w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return w->signals >= 0;
}

bool watch_start(struct guest *guest, const struct watch_settings *settings)
{
	struct watch *w = &watch;
	int error = 0;

	memset(w, 0, offsetof(struct watch, waiting));	/* untouched, it takes no memory */
	w->guest = guest;
	w->settings = *settings;
	w->last = '\n';
	guest->vcpu_thread = pthread_self();
	w->stop = eventfd(0, EFD_CLOEXEC);
	w->guest->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	guest->console.taken = input_taken;
	if (settings->raw && !terminal_raw())
		return false;
	if (w->stop < 0 || w->guest->news < 0 || !take_signals(w))
		error = errno;
	else
		error = pthread_create(&w->thread, NULL, watch_thread, w);
	if (error) {
		terminal_restore();
		problem("cannot start the launcher's second thread: %s; check `ulimit -u -n`",
			strerror(error));
		return false;
	}
	w->started = true;
	return true;
}

void watch_stop(void)
{
	struct watch *w = &watch;
	uint64_t one = 1;

	if (!w->started)
		return;
	if (write(w->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(w->thread, NULL);
	w->started = false;
	terminal_restore();
	w->guest->console.taken = NULL;
	close(w->guest->news);
	close(w->stop);
	close(w->signals);
}
