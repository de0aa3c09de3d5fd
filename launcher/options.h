/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Options of a command: one table says how each is spelled, what it takes,
 * where its value goes and what it means.  The parser, --help and whatever
 * else speaks of options (man page, completion) all read that table.
 *
 * One more option takes a field of the command's settings and a row of its table; one
 * more kind of value a line below, its parser, and a case of set_value() and print_set()
 * in options.c.
 */
#ifndef LGUEST_OPTIONS_H
#define LGUEST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
	OPTION_FLAG,		/* bool */
	OPTION_TEXT,		/* const char * */
	OPTION_SIZE,		/* uint64_t, bytes; K M G, none means M */
	OPTION_SECONDS,		/* uint64_t, nanoseconds */
	OPTION_NUMBER,		/* uint64_t, 1 or more */
	OPTION_LIST,		/* struct text_list; may be given again */
};

#define TEXT_LIST_MOST	256
struct text_list {
	const char *items[TEXT_LIST_MOST];
	unsigned int count;
};

struct option {
	char letter;		/* 0: none */
	const char *name;	/* NULL ends the table */
	enum option_kind kind;
	size_t offset;		/* of the value in the command's settings */
	const char *argument;	/* its name in the help text */
	const char *help;
};

struct command {
	const char *name;
	const char *arguments;	/* what may follow the options */
	const char *summary;	/* lines; the first is a sentence, for `lguest help` */
	const struct option *options;
	int (*run)(int argc, char **argv);
};

/* What parse_options() gives when --help was asked for and printed. */
#define OPTIONS_HELP	(-2)

/*
 * Parse argv[1..] into *settings.  Gives the index of the first argument that
 * is no option, OPTIONS_HELP, or -1 after a message.  Arguments may stand before
 * options, and are at the end of argv afterwards; unless dashes is not NULL: then what
 * follows the first argument, or a "--", is not ours, and *dashes says which it was.
 */
int parse_options(const struct command *command, int argc, char **argv,
		  void *settings, bool *dashes);
void print_command_help(const struct command *command, FILE *out);
/* What parse_options() reads again as *settings, for a shell; a space before each. */
void print_options(const struct command *command, const void *settings, FILE *out);

/* "512M" -> bytes, "1.5" -> nanoseconds; false if the text is no such thing. */
bool parse_size(const char *text, uint64_t *bytes);
bool parse_seconds(const char *text, uint64_t *ns);
bool parse_number(const char *text, uint64_t *number);

/* Each command's own description, for the table in main.c. */
extern const struct command run_command, link_command, check_command, stat_command;
extern const struct command list_command, stop_command, console_command;
extern const struct command balloon_command, logs_command, wait_command, exec_command, cp_command;
extern const struct command oci_command;
extern const struct command pause_command, resume_command, report_command;
/* That table, NULL-ended. */
extern const struct command *const commands[];

/* manual.c: the page lguest(1), and bash's completion, made of these tables. */
void print_manual(FILE *out);
void print_completion(FILE *out);

#endif /* LGUEST_OPTIONS_H */
