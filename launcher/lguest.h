/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every part of the launcher knows: how the program speaks to its user,
 * and with which status it ends.  Messages are implemented in message.c.
 */
#ifndef LGUEST_LAUNCHER_H
#define LGUEST_LAUNCHER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LGUEST_VERSION	"0.1"
#define MACHINE_NAME	"lguest-machine"	/* of the process that has a guest; its parent is `lguest` */

/*
 * Exit statuses.  This list is the only one: `lguest help` prints it.  A
 * COMMAND in the guest gives its own status, 0 to 255, instead of 0.  The lab,
 * timeout(1) and shells use 123 and up themselves.
 */
#define EXIT_STATUSES(S)						\
	S(0,   DONE,	"the guest powered off (or COMMAND succeeded)")	\
	S(1,   FAILED,	"`check` found something missing or refused; another command failed; output was lost") \
	S(2,   USAGE,	"bad usage: unknown option, bad value")		\
	S(116, STOPPED,	"ended by `lguest stop` or a debugger, not by itself")	\
	S(117, TIME,	"the time limit was reached")			\
	S(118, NO_STATUS, "the guest powered off (or rebooted, with --no-reboot) before COMMAND ended")	\
	S(119, ESCAPE,	"ended from the keyboard (Ctrl-A x, or three ^C)") \
	S(120, PANIC,	"the guest's kernel panicked")			\
	S(121, KILLED,	"the Host killed the guest")			\
	S(122, HOST,	"the guest could not be started or run: no /dev/lguest, kernel ...")

#define S(number, name, text) STATUS_##name = number,
enum status { EXIT_STATUSES(S) };
#undef S

/* problem("what failed: why; what to try"): one line on stderr. */
void problem(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same words, but only with -v. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The last words of a thread that a signal ends. */
void message_at_end(const char *text);
/* A line as it is, without "lguest: " before it. */
void tell_plainly(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Where they go; NULL is stderr.  The unit tests read it back. */
extern FILE *message_stream;
/*
 * Who takes each line, without its end, instead; or NULL.  From any thread, and from a
 * signal's handler.  The machine sends them to its supervisor; that one writes no more
 * than its reader takes.
 */
extern void (*message_way)(const char *line, bool plain);
#define MESSAGE_MOST	4096
/* Words of a guest, or of what it may have broken into: nothing in them but text. */
void make_printable(char *text);
/* The terminal is raw: a newline needs its carriage return. */
extern atomic_bool message_raw;
/* From now on to the system's log, for a launcher without a terminal. */
void message_to_log(void);
extern bool verbose;

/* The commands; each gets its own name as argv[0] and returns a status. */
int cmd_run(int argc, char **argv);
int cmd_link(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_balloon(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_cp(int argc, char **argv);
int cmd_oci(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif /* LGUEST_LAUNCHER_H */
