// SPDX-License-Identifier: GPL-2.0
/*
 * Plays a person at a terminal:  pty STEP... -- COMMAND...
 *
 *	expect:TEXT	wait until the command has written TEXT (two minutes
 *			at most, LAB_SLOW times as long on a slow host)
 *	send:TEXT	type it; \r \n \t \e \\ and ^C, ^A, ... as usual
 *	sleep:SECONDS
 *	raw: cooked:	the terminal's settings must be so now
 *	kill:N		send the command signal N
 *	size:ROWS COLUMNS	the terminal gets another size
 *
 * All the command writes goes to stdout; at the end a line "pty: status N", or
 * "pty: signal N", and "pty: restored" if the terminal's settings are as they
 * were. Its own status is 1 if a step failed.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static int master, slave;
static pid_t child;
static char seen[1 << 20];
static size_t seen_size, searched;
static bool over;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *step)
{
	printf("\npty: failed: %s\n", step);
	fflush(stdout);
	kill(-child, SIGKILL);
	kill(child, SIGKILL);
	exit(1);
}

static void gather(int ms)
{
	struct pollfd fd = { .fd = master, .events = POLLIN };
	ssize_t got;

	if (poll(&fd, 1, ms) != 1)
		return;
	got = read(master, seen + seen_size, sizeof(seen) - 1 - seen_size);
	if (got <= 0) {
		over = true;
		usleep(ms * 1000);
		return;
	}
	fwrite(seen + seen_size, 1, got, stdout);
	fflush(stdout);
	seen_size += got;
}

static void expect(const char *step, const char *text)
{
	const char *slow = getenv("LAB_SLOW");
	double end = now() + 120 * (slow ? atof(slow) : 1);

	while (now() < end) {
		char *at = memmem(seen + searched, seen_size - searched, text, strlen(text));

		if (at) {
			searched = at - seen + strlen(text);
			return;
		}
		if (over)
			break;
		gather(100);
	}
	fail(step);
}

static void type(const char *text)
{
	for (; *text; text++) {
		char c = *text;

		if (c == '^' && text[1]) {
			c = *++text & 0x1f;
		} else if (c == '\\' && text[1]) {
			c = *++text;
			c = c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' :
			    c == 'e' ? 27 : c;
		}
		if (write(master, &c, 1) != 1)
			return;
	}
}

static void run_for(double seconds)
{
	double end = now() + seconds;

	while (now() < end)
		gather(20);
}

static void resize(const char *text)
{
	struct winsize size = { 0 };

	if (sscanf(text, "%hu %hu", &size.ws_row, &size.ws_col) == 2)
		ioctl(master, TIOCSWINSZ, &size);
}

static bool is_raw(void)
{
	struct termios t;

	tcgetattr(slave, &t);
	return !(t.c_lflag & (ICANON | ECHO | ISIG));
}

int main(int argc, char **argv)
{
	struct termios before, after;
	struct winsize size = { .ws_row = 31, .ws_col = 97 };
	int steps = 1, status, i;
	double end;

	while (steps < argc && strcmp(argv[steps], "--"))
		steps++;
	master = posix_openpt(O_RDWR | O_NOCTTY);
	grantpt(master);
	unlockpt(master);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	ioctl(master, TIOCSWINSZ, &size);
	memset(&before, 0, sizeof(before));	/* the padding, too */
	memset(&after, 0, sizeof(after));
	tcgetattr(slave, &before);
	child = fork();
	if (!child) {
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		dup2(slave, 0);
		dup2(slave, 1);
		dup2(slave, 2);
		close(slave);
		close(master);
		execvp(argv[steps + 1], argv + steps + 1);
		_exit(127);
	}
	for (i = 1; i < steps; i++) {
		char *value = strchr(argv[i], ':');

		if (!value)
			fail(argv[i]);
		value++;
		if (!strncmp(argv[i], "expect:", 7))
			expect(argv[i], value);
		else if (!strncmp(argv[i], "send:", 5))
			type(value);
		else if (!strncmp(argv[i], "size:", 5))
			resize(argv[i] + 5);
		else if (!strncmp(argv[i], "sleep:", 6))
			run_for(atof(value));
		else if (!strcmp(argv[i], "raw:") ? !is_raw() :
			 !strcmp(argv[i], "cooked:") ? is_raw() : false)
			fail(argv[i]);
		else if (!strncmp(argv[i], "kill:", 5))
			kill(child, atoi(value));
	}
	for (end = now() + 30; waitpid(child, &status, WNOHANG) != child; gather(50))
		if (now() > end)
			fail("the command ends");
	run_for(0.2);
	if (WIFEXITED(status))
		printf("\npty: status %d\n", WEXITSTATUS(status));
	else
		printf("\npty: signal %d\n", WTERMSIG(status));
	tcgetattr(slave, &after);
	puts(memcmp(&before, &after, sizeof(before)) ? "pty: changed" : "pty: restored");
	return 0;
}
