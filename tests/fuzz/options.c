// SPDX-License-Identifier: GPL-2.0
/* A command line: words that end with a NUL or a newline, and every kind of option. */
#include "fuzz.h"
#include "options.h"

#define WORDS_MOST 40

struct set {
	const char *text;
	uint64_t size, time, number;
	struct text_list list;
	bool flag, other;
};

static const struct option options[] = {
	{ 'k', "kernel", OPTION_TEXT, offsetof(struct set, text), "FILE", "a text" },
	{ 'm', "memory", OPTION_SIZE, offsetof(struct set, size), "SIZE", "a size" },
	{ 'c', "cpus", OPTION_NUMBER, offsetof(struct set, number), "N", "a number" },
	{ 'd', "disk", OPTION_LIST, offsetof(struct set, list), "DISK", "a list" },
	{ 0, "time-limit", OPTION_SECONDS, offsetof(struct set, time), "S", "a time" },
	{ 'v', "verbose", OPTION_FLAG, offsetof(struct set, flag), NULL, "a flag" },
	{ 'o', "other", OPTION_FLAG, offsetof(struct set, other), NULL, "a flag" },
	{ .name = NULL },
};
static const struct command command = { "test", "[ARGUMENT]", "For this test.", options, NULL };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1), *words[WORDS_MOST + 2] = { "test" };
	struct set set = { 0 };
	bool dashes;
	int n = 1, got;
	size_t i;

	be_silent();
	memcpy(text, bytes, size);
	text[size] = '\0';
	for (i = 0; i < size && n <= WORDS_MOST; i += strlen(text + i) + 1) {
		text[i + strcspn(text + i, "\n")] = '\0';
		words[n++] = text + i;
	}
	got = parse_options(&command, n, words, &set, &dashes);
	must(got <= n && set.list.count <= TEXT_LIST_MOST);
	for (i = 0; i < set.list.count; i++)
		must(set.list.items[i] >= text && set.list.items[i] <= text + size);
	free(text);
	return 0;
}
