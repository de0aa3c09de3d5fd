// SOURCES: launcher/devices/share/hiding.c launcher/devices/share/secrets.c launcher/devices/share/hidden.c launcher/message.c launcher/terminal.c
// SPDX-License-Identifier: GPL-2.0
/* What --hide, --show and the list of secrets come to: L10. */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/devices.h"
#include "devices/share/hidden.h"
#include "lguest.h"
#include "options.h"

/* Nothing frees what lives as long as the launcher. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static char place[] = "/tmp/lguest-secrets-XXXXXX";
static const struct text_list none;
static char *said;
static size_t said_size;

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(place) || chdir(place) || mkdir("home", 0755) || mkdir("elsewhere", 0755) ||
	    mkdir("home/.ssh", 0700) || mkdir("home/.config", 0755) ||
	    symlink("home", "also-home") || symlink("../elsewhere", "home/.gnupg"))
		return -1;
	fclose(fopen("home/.ssh/id", "w"));
	fclose(fopen("home/work", "w"));
	return 0;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", place);
	return chdir("/") || system(command);
}

static const char *at(const char *name)
{
	static char path[64][96];
	static unsigned int n;

	snprintf(path[n = (n + 1) % 64], sizeof(path[0]), "%s/%s", place, name);
	return path[n];
}

static bool hidden_by(const struct hidden *hidden, const char *name)
{
	return hidden_way_of(hidden, at(name)) == WAY_HIDDEN;
}

static bool is_secret(const char *name)
{
	return hidden_by(hiding_of(true), name);
}

static struct text_list list_of(const char *path)
{
	return (struct text_list){ { path }, 1 };
}

static void test_paths(void **state)
{
	static const char *const pairs[][2] = {
		{ "also-home/work", "home/work" }, { "also-home/../home//work/", "home/work" },
		{ "also-home/none/of/it", "home/none/of/it" }, { "also-home", "home" },
		{ "home/.gnupg", "elsewhere" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_string_equal(path_settle(at(pairs[i][0])), at(pairs[i][1]));
		assert_string_equal(path_settle(pairs[i][0]), at(pairs[i][1]));
	}
	assert_string_equal(path_settle("/"), "/");
	assert_string_equal(path_settle("/none-such/x"), "/none-such/x");
	assert_string_equal(path_place("also-home"), at("also-home"));
	assert_string_equal(path_place("also-home/.gnupg/"), at("home/.gnupg"));
	assert_string_equal(path_place("home/."), at("home"));
	assert_string_equal(path_place("/"), "/");
	assert_true(path_below("/a", "/") && path_below("/a/b", "/a"));
	assert_false(path_below("/", "/") || path_below("/a", "/a") || path_below("/ab", "/a"));
}

static void test_secrets(void **state)
{
	const struct text_list ssh = list_of(at("home/.ssh")), all = list_of("/");
	const struct text_list shadow = list_of("/etc/shadow");

	(void)state;
	setenv("HOME", at("also-home"), 1);
	assert_true(hiding_begin("/", &none, &none));
	assert_true(is_secret("home/.ssh") && is_secret("home/.config/gcloud"));
	assert_true(is_secret("home/.cargo/credentials.toml") && is_secret("home/.gnupg"));
	assert_true(is_secret("elsewhere"));	/* where .gnupg leads to */
	assert_false(is_secret("home/work") || is_secret("home/.config") || is_secret("home/.config/x"));
	assert_int_equal(hidden_way_of(hiding_of(true), "/etc/shadow-"), WAY_HIDDEN);
	assert_int_equal(hidden_way_of(hiding_of(true), "/etc/ssh/ssh_host_rsa_key"), WAY_HIDDEN);
	assert_int_not_equal(hidden_way_of(hiding_of(true), "/etc/ssh/ssh_host_rsa_key.pub"), WAY_HIDDEN);
	assert_int_equal(hidden_way_of(hiding_of(true), "/root/.ssh"), WAY_HIDDEN);
	assert_int_not_equal(hidden_way_of(hiding_of(false), "/etc/shadow"), WAY_HIDDEN);

	assert_true(hiding_check("/", &none, &ssh));
	assert_true(hiding_begin("/", &none, &ssh));
	assert_false(is_secret("home/.ssh"));
	assert_true(is_secret("home/.gnupg"));
	assert_true(hiding_begin("/", &none, &shadow));
	assert_int_not_equal(hidden_way_of(hiding_of(true), "/etc/shadow"), WAY_HIDDEN);
	assert_true(hiding_check("/", &none, &all) && hiding_begin("/", &none, &all));
	assert_false(is_secret("home/.gnupg") || is_secret("home/.ssh"));

	/* A root that has none of the host's is as it is. */
	assert_true(hiding_begin("elsewhere", &none, &none));
	assert_int_not_equal(hidden_way_of(hiding_of(true), at("elsewhere/etc/shadow")), WAY_HIDDEN);
}

static void test_asked(void **state)
{
	const struct text_list link = list_of("also-home"), work = list_of("also-home/work");

	(void)state;
	assert_true(hiding_begin("/", &work, &none));
	assert_true(hidden_by(hiding_of(false), "home/work") && is_secret("home/work"));
	assert_true(hiding_begin("/", &link, &none));	/* the link, and what it leads to */
	assert_true(is_secret("also-home") && is_secret("home"));
}

static void bad(const char *root, const char *hide, const char *show, const char *sentence)
{
	const struct text_list h = list_of(hide), s = list_of(show);

	message_stream = open_memstream(&said, &said_size);
	assert_false(hiding_check(root, hide ? &h : &none, show ? &s : &none));
	fclose(message_stream);
	message_stream = NULL;
	if (!strstr(said, sentence))
		fail_msg("%s", said);
	free(said);
}

static void test_mistakes(void **state)
{
	(void)state;
	bad(NULL, "home", NULL, "cannot hide home: there is no --rootfs; add it");
	bad(NULL, NULL, "/", "cannot show /: there is no --rootfs; add it");
	bad("/", "none", NULL, "cannot hide none: No such file");
	bad("/", "", NULL, "cannot hide : No such file");
	bad("home", "elsewhere", NULL, "cannot hide elsewhere: it does not lie below --rootfs");
	bad("home", "home", NULL, "cannot hide home: it does not lie below --rootfs");
	bad("/", "/", NULL, "cannot hide /: it does not lie below --rootfs");
	bad("/", NULL, at("home/work"), "nothing there is hidden by itself");
	bad("/", NULL, at("home/.ssh/id"), "nothing there is hidden by itself");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths), cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_asked), cmocka_unit_test(test_mistakes),
	};

	return cmocka_run_group_tests_name("secrets", tests, setup, teardown);
}
