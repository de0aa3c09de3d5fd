// SPDX-License-Identifier: GPL-2.0
/*
 * Options, read from a command's table: -m 512M, -m512M, --memory 512M and
 * --memory=512M are the same, flags may share a dash, "--" ends them.  A
 * mistake is one line that names the option, the bad value and a good one.
 * Read next: command/build_guest.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lguest.h"
#include "options.h"

/*L:030
 * Sizes are written as people say them: 512M, 2G.  A bare number counts MiB,
 * because nobody means 256 bytes.
 :*/
bool parse_size(const char *text, uint64_t *bytes)
{
	unsigned int shift = 20;
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return false;
	switch (*end) {
	case 'k': case 'K':
		shift = 10;
		end++;
		break;
	case 'm': case 'M':
		end++;
		break;
	case 'g': case 'G':
		shift = 30;
		end++;
		break;
	}
	if (*end || value == 0 || value > UINT64_MAX >> shift)
		return false;
	*bytes = (uint64_t)value << shift;
	return true;
}

/* Digits, and perhaps a fraction.  Ten years ought to be enough. */
bool parse_seconds(const char *text, uint64_t *ns)
{
	const char *digits = "0123456789";
	size_t whole = strspn(text, digits);
	double value;

	if (whole == 0 || whole > 9)
		return false;
	if (text[whole] == '.') {
		size_t fraction = strspn(text + whole + 1, digits);

		if (!fraction || text[whole + 1 + fraction])
			return false;
	} else if (text[whole]) {
		return false;
	}
	value = strtod(text, NULL);
	if (value <= 0 || value > 315360000)
		return false;
	*ns = (uint64_t)(value * 1e9);
	return *ns > 0;
}

bool parse_number(const char *text, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return !errno && !*end && *number > 0;
}

static const struct option *find_letter(const struct option *o, char letter)
{
	for (; o->name; o++)
		if (o->letter && o->letter == letter)
			return o;
	return NULL;
}

static const struct option *find_name(const struct option *o, const char *name,
				      size_t length)
{
	for (; o->name; o++)
		if (strlen(o->name) == length && !strncmp(o->name, name, length))
			return o;
	return NULL;
}

static bool add_to_list(const struct command *command, const struct option *o,
			const char *text, struct text_list *list)
{
	if (list->count == TEXT_LIST_MOST) {
		problem("%s: --%s: it can be given %u times at most; leave out '%s'",
			command->name, o->name, TEXT_LIST_MOST, text);
		return false;
	}
	list->items[list->count++] = text;
	return true;
}

static bool set_value(const struct command *command, const struct option *o,
		      const char *text, void *settings)
{
	void *field = (char *)settings + o->offset;

	switch (o->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return true;
	case OPTION_TEXT:
		*(const char **)field = text;
		return true;
	case OPTION_LIST:
		return add_to_list(command, o, text, field);
	case OPTION_SIZE:
		if (parse_size(text, field))
			return true;
		problem("%s: --%s: '%s' is not a size; give a number with K, M or G, as in 512M",
			command->name, o->name, text);
		return false;
	case OPTION_SECONDS:
		if (parse_seconds(text, field))
			return true;
		problem("%s: --%s: '%s' is not a time; give seconds, as in 30 or 0.5",
			command->name, o->name, text);
		return false;
	case OPTION_NUMBER:
		if (parse_number(text, field))
			return true;
		problem("%s: --%s: '%s' is not a number; give 1 or more",
			command->name, o->name, text);
		return false;
	}
	return false;
}

static bool unknown(const struct command *command, const char *what)
{
	problem("%s: there is no option %s; `lguest %s --help` lists them",
		command->name, what, command->name);
	return false;
}

static bool missing(const struct command *command, const struct option *o)
{
	problem("%s: --%s: its %s is missing; `lguest %s --help` tells more",
		command->name, o->name, o->argument, command->name);
	return false;
}

/* One "--name", "--name=value" or "--name value"; *i moves over the value. */
static bool long_option(const struct command *command, int argc, char **argv,
			int *i, void *settings)
{
	const char *name = argv[*i] + 2;
	size_t length = strcspn(name, "=");
	const struct option *o = find_name(command->options, name, length);
	const char *value = name[length] ? name + length + 1 : NULL;

	if (!o)
		return unknown(command, argv[*i]);
	if (o->kind == OPTION_FLAG && value) {
		problem("%s: --%s takes no value; leave out '=%s'",
			command->name, o->name, value);
		return false;
	}
	if (o->kind != OPTION_FLAG && !value) {
		if (*i + 1 >= argc)
			return missing(command, o);
		value = argv[++*i];
	}
	return set_value(command, o, value, settings);
}

/* One "-abc", "-mVALUE" or "-m VALUE". */
static bool letters(const struct command *command, int argc, char **argv,
		    int *i, void *settings)
{
	const char *at;

	for (at = argv[*i] + 1; *at; at++) {
		const struct option *o = find_letter(command->options, *at);
		const char *value = NULL;

		if (!o)
			return unknown(command, (char[]){ '-', *at, 0 });
		if (o->kind != OPTION_FLAG) {
			value = at[1] ? at + 1 : NULL;
			if (!value && *i + 1 >= argc)
				return missing(command, o);
			if (!value)
				value = argv[++*i];
		}
		if (!set_value(command, o, value, settings))
			return false;
		if (value)
			break;
	}
	return true;
}

/* The words that are no options, at argv[1] by now, go before the rest at @end. */
static int words_last(char **argv, int words, int end)
{
	memmove(argv + end - words, argv + 1, words * sizeof(*argv));
	return end - words;
}

int parse_options(const struct command *command, int argc, char **argv,
		  void *settings, bool *dashes)
{
	int i, words = 0;
	bool ok;

	if (dashes)
		*dashes = false;
	for (i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (word[0] != '-' || !word[1]) {
			if (dashes)	/* it, or what follows, is for somebody else */
				break;
			argv[1 + words++] = argv[i];
			continue;
		}
		if (!strcmp(word, "--")) {
			if (dashes)
				*dashes = true;
			return words_last(argv, words, i + 1);
		}
		if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
			print_command_help(command, stdout);
			return OPTIONS_HELP;
		}
		if (word[1] == '-')
			ok = long_option(command, argc, argv, &i, settings);
		else
			ok = letters(command, argc, argv, &i, settings);
		if (!ok)
			return -1;
	}
	return words_last(argv, words, i);
}

/* As a shell reads it again. */
static void print_quoted(const char *text, FILE *out)
{
	fputc('\'', out);
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", out);
		else
			fputc(*text, out);
	fputc('\'', out);
}

static void print_text(const struct option *o, const char *text, FILE *out)
{
	if (!text)
		return;
	fprintf(out, " --%s ", o->name);
	print_quoted(text, out);
}

static void print_set(const struct option *o, const void *field, FILE *out)
{
	const struct text_list *list = field;
	unsigned long long number;
	unsigned int i;

	switch (o->kind) {
	case OPTION_FLAG:
		if (*(const bool *)field)
			fprintf(out, " --%s", o->name);
		return;
	case OPTION_TEXT:
		print_text(o, *(const char *const *)field, out);
		return;
	case OPTION_LIST:
		for (i = 0; i < list->count; i++)
			print_text(o, list->items[i], out);
		return;
	default:
		number = *(const uint64_t *)field;
	}
	if (number && o->kind == OPTION_SIZE)
		fprintf(out, " --%s %lluK", o->name, number >> 10);
	else if (number && o->kind == OPTION_SECONDS)
		fprintf(out, " --%s %llu.%09llu", o->name, number / 1000000000, number % 1000000000);
	else if (number)
		fprintf(out, " --%s %llu", o->name, number);
}

void print_options(const struct command *command, const void *settings, FILE *out)
{
	const struct option *o;

	for (o = command->options; o->name; o++)
		print_set(o, (const char *)settings + o->offset, out);
}

static void print_option(char letter, const char *name, const char *argument,
			 const char *help, FILE *out)
{
	char left[64], dash[8] = "   ";

	if (letter)
		snprintf(dash, sizeof(dash), "-%c,", letter);
	snprintf(left, sizeof(left), "%s --%s%s%s", dash, name,
		 argument ? " " : "", argument ? argument : "");
	fprintf(out, "  %-28s %s\n", left, help);
}

void print_command_help(const struct command *command, FILE *out)
{
	const struct option *o;

	fprintf(out, "Usage: lguest %s [options]%s%s\n\n%s\n\nOptions:\n",
		command->name, *command->arguments ? " " : "",
		command->arguments, command->summary);
	for (o = command->options; o->name; o++)
		print_option(o->letter, o->name, o->argument, o->help, out);
	print_option('h', "help", NULL, "this text", out);
}
