// SOURCES: launcher/options.c launcher/message.c launcher/terminal.c
// SPDX-License-Identifier: GPL-2.0
/* Options: every spelling, and a message for every mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lguest.h"
#include "options.h"

struct set {
	const char *text;
	uint64_t size;
	uint64_t time;
	uint64_t number;
	bool flag, other;
	struct text_list list;
};

static const struct option options[] = {
	{ 'k', "kernel", OPTION_TEXT, offsetof(struct set, text), "FILE", "a text" },
	{ 'm', "memory", OPTION_SIZE, offsetof(struct set, size), "SIZE", "a size" },
	{ 0, "time-limit", OPTION_SECONDS, offsetof(struct set, time), "S", "a time" },
	{ 'v', "verbose", OPTION_FLAG, offsetof(struct set, flag), NULL, "a flag" },
	{ 'o', "other", OPTION_FLAG, offsetof(struct set, other), NULL, "a flag" },
	{ 'n', "number", OPTION_NUMBER, offsetof(struct set, number), "N", "a number" },
	{ 0, "list", OPTION_LIST, offsetof(struct set, list), "WORD", "a list" },
	{ .name = NULL },
};

static const struct command command = {
	"test", "[ARGUMENT]", "For this test.", options, NULL,
};

static struct set set;
static bool dashes, asked = true;
static char *said;

#define PARSE(...) parse((char *[]){ "test", __VA_ARGS__, NULL })

static int parse(char **argv)
{
	size_t size;
	int argc = 0, result;

	while (argv[argc])
		argc++;
	memset(&set, 0, sizeof(set));
	free(said);
	said = NULL;
	message_stream = open_memstream(&said, &size);
	result = parse_options(&command, argc, argv, &set, asked ? &dashes : NULL);
	fclose(message_stream);
	message_stream = NULL;
	if (result == -1)	/* lguest: what: why; what to try */
		assert_true(!strncmp(said, "lguest: test: ", 14) && strstr(said, "; "));
	else
		assert_int_equal(strlen(said), 0);
	return result;
}

static void test_spellings(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-m", "512M"), 3);
	assert_int_equal(set.size, 512ULL << 20);
	assert_int_equal(PARSE("-m512M"), 2);
	assert_int_equal(set.size, 512ULL << 20);
	assert_int_equal(PARSE("--memory", "2G"), 3);
	assert_int_equal(set.size, 2ULL << 30);
	assert_int_equal(PARSE("--memory=64"), 2);
	assert_int_equal(set.size, 64ULL << 20);
	assert_int_equal(PARSE("-vok", "a b"), 3);
	assert_true(set.flag && set.other);
	assert_string_equal(set.text, "a b");
	assert_int_equal(PARSE("--kernel="), 2);
	assert_string_equal(set.text, "");
	assert_int_equal(PARSE("-k", "-v"), 3);
	assert_string_equal(set.text, "-v");
	assert_int_equal(PARSE("--time-limit=1.5"), 2);
	assert_int_equal(set.time, 1500000000);
}

static void test_ends(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-v", "--", "-x"), 3);
	assert_true(dashes);
	assert_int_equal(PARSE("word", "-x"), 1);
	assert_false(dashes);
	assert_int_equal(PARSE("-", "-x"), 1);
	assert_int_equal(parse((char *[]){ "test", NULL }), 1);
}

/* A command that has arguments of its own finds them at the end, in their order. */
static void test_options_behind_arguments(void **state)
{
	char *all[] = { "test", "a", "-v", "b", "-k", "x", "-", "--memory=1M", NULL };
	char *ended[] = { "test", "a", "-v", "--", "-o", "b", NULL };
	static const char *const order[] = { "a", "b", "-" };
	int i;

	(void)state;
	asked = false;
	assert_int_equal(parse(all), 5);
	for (i = 0; i < 3; i++)
		assert_string_equal(all[5 + i], order[i]);
	assert_true(set.flag && set.size == 1 << 20);
	assert_string_equal(set.text, "x");
	assert_int_equal(parse(ended), 3);
	assert_string_equal(ended[3], "a");
	assert_string_equal(ended[4], "-o");
	assert_string_equal(ended[5], "b");
	assert_true(set.flag && !set.other);
	assert_int_equal(PARSE("a", "-x"), -1);
	assert_int_equal(PARSE("a"), 1);
	asked = true;
}

static void test_mistakes(void **state)
{
	static const char *const sizes[] = {
		"", "12Q", "M", "-5M", "+5M", "0", "0G", "5MM", "0x10M", "1.5G",
		"18446744073709551616", "99999999999999G", " 5M", "5 M",
	};
	static const char *const times[] = {
		"", "0", "0.0", "-1", "1s", "1.", ".5", "1.5.5", "1e3", "inf",
		"9999999999", "400000000",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(PARSE("-m", (char *)sizes[i]), -1);
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		assert_int_equal(PARSE("--time-limit", (char *)times[i]), -1);
	assert_int_equal(PARSE("-x"), -1);
	assert_int_equal(PARSE("-vx"), -1);
	assert_int_equal(PARSE("--kern", "a"), -1);
	assert_int_equal(PARSE("--kernels", "a"), -1);
	assert_int_equal(PARSE("--=a"), -1);
	assert_int_equal(PARSE("-k"), -1);
	assert_int_equal(PARSE("-vk"), -1);
	assert_int_equal(PARSE("--kernel"), -1);
	assert_int_equal(PARSE("--verbose=yes"), -1);
	assert_non_null(strstr(said, "--verbose"));
}

static void test_help_lists_all(void **state)
{
	char *text;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	print_command_help(&command, out);
	fclose(out);
	for (i = 0; options[i].name; i++) {
		char name[32];

		snprintf(name, sizeof(name), "--%s", options[i].name);
		assert_non_null(strstr(text, name));
		assert_non_null(strstr(text, options[i].help));
	}
	free(text);
}

/* What is printed of settings is, to a shell and to the parser, the same settings. */
static void test_printed_again(void **state)
{
	static const char wanted[] =
		" --kernel 'it'\\''s a \"$(b)\"' --memory 1536K --time-limit 1.500000000 --verbose"
		" --number 7 --list '' --list '-x'";
	char *text, *words[16] = { "test" };
	size_t size;
	FILE *out, *shell;
	int count = 1;

	(void)state;
	assert_int_equal(PARSE("-k", "it's a \"$(b)\"", "-m", "1536K", "--time-limit", "1.5", "-v",
			       "-n", "7", "--list", "", "--list", "-x"), 14);
	out = open_memstream(&text, &size);
	print_options(&command, &set, out);
	fclose(out);
	assert_string_equal(text, wanted);
	setenv("WORDS", text, 1);
	shell = popen("eval \"printf '%s\\n'$WORDS\"", "r");
	assert_non_null(shell);
	for (size = 0; count < 15 && getline(&words[count], &size, shell) > 0; size = 0)
		words[count][strcspn(words[count], "\n")] = 0, count++;
	assert_int_equal(pclose(shell), 0);
	assert_int_equal(count, 14);
	free(words[14]);	/* the line that was none */
	words[14] = NULL;
	memset(&set, 0, sizeof(set));
	assert_int_equal(parse_options(&command, count, words, &set, NULL), count);
	free(text);
	out = open_memstream(&text, &size);
	print_options(&command, &set, out);
	fclose(out);
	assert_string_equal(text, wanted);
	free(text);
	while (--count)
		free(words[count]);
	PARSE("-o");
	out = open_memstream(&text, &size);
	print_options(&command, &set, out);
	fclose(out);
	assert_string_equal(text, " --other");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_options_behind_arguments),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_help_lists_all),
		cmocka_unit_test(test_printed_again),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(said);
	return failed;
}
