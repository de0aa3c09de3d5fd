// SOURCES: launcher/command/run_as.c launcher/boot/become.c launcher/message.c launcher/terminal.c
// SPDX-License-Identifier: GPL-2.0
/* Whom a command runs as, and its variables: K1. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "command/run_as.h"
#include "lguest.h"
#include "options.h"

/* The launcher keeps what it has read until its end. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static char root[] = "/tmp/lguest-root-XXXXXX";
static char *said;
static size_t said_size;

static void put(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(root) || chdir(root) || mkdir("etc", 0755) || mkdir("usr", 0755))
		return -1;
	put("usr/passwd", "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:100:Bob:/home/bob:/bin/sh\n"
	    "77:x:1001:1001::/:/bin/sh\nnohome:x:1002:5::/none:\n");
	put("etc/group", "root:x:0:\nusers:x:100:\nwheel:x:10:root,bob\nlp:x:7:bob\n88:x:9:bobby\n");
	return symlink("/usr/passwd", "etc/passwd");	/* of the guest's root */
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return chdir("/") || system(command);
}

static void is(const char *where, const char *text, uint32_t uid, uint32_t gid, uint32_t others,
	       const char *home)
{
	struct run_as as;

	assert_true(run_as_read(where, text, &as));
	assert_int_equal(as.who.uid, uid);
	assert_int_equal(as.who.gid, gid);
	assert_int_equal(as.who.count, others);
	if (home)
		assert_string_equal(as.home, home);
	else
		assert_null(as.home);
}

static void bad(const char *where, const char *text, const char *sentence)
{
	struct run_as as;

	message_stream = open_memstream(&said, &said_size);
	assert_false(run_as_read(where, text, &as));
	fclose(message_stream);
	message_stream = NULL;
	assert_non_null(strstr(said, sentence));
	free(said);
}

static void test_users(void **state)
{
	(void)state;
	is(root, "bob", 1000, 100, 3, "/home/bob");
	is(root, "1000", 1000, 100, 3, "/home/bob");
	is(root, "bob:lp", 1000, 7, 0, "/home/bob");
	is(root, "bob:55", 1000, 55, 0, "/home/bob");
	is(root, "root", 0, 0, 2, "/root");
	is(root, "77", 1001, 1001, 1, "/");
	is(root, "4000", 4000, 4000, 1, NULL);
	is(root, "4000:wheel", 4000, 10, 0, NULL);
	is(NULL, "root", 0, 0, 1, "/root");
	is(NULL, "1000:5", 1000, 5, 0, NULL);
	bad(root, "alice", "no user 'alice'");
	bad(root, "", "no user ''");
	bad(root, "bob:none", "no group 'none'");
	bad(root, "bob:", "no group ''");
	bad(root, "4294967295", "no user");
	bad(root, "99999999999999999999", "no user");
	bad(root, "-1", "no user");
	bad(NULL, "bob", "no user 'bob'");
}

static void test_variables(void **state)
{
	struct text_list list = { { "A=1", "LG_TEST", "NOT_HERE", "B=", "C=x=y\n", "HOME=/h" }, 6 };
	static const char *const want[] = {
		"HOME=/home/bob", "USER=bob", "LOGNAME=bob", "A=1", "LG_TEST=it's", "B=", "C=x=y\n",
		"HOME=/h",
	};
	struct run_as as;
	char **env;
	size_t i;

	(void)state;
	setenv("LG_TEST", "it's", 1);
	unsetenv("NOT_HERE");
	assert_true(run_env_check(&list) && run_as_read(root, "bob", &as));
	env = run_env(&list, &as);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_string_equal(env[i], want[i]);
	assert_null(env[i]);
	assert_string_equal(run_env(&list, NULL)[0], "A=1");
	message_stream = open_memstream(&said, &said_size);
	list.items[2] = "=x";
	assert_false(run_env_check(&list));
	list.items[2] = "";
	assert_false(run_env_check(&list));
	fclose(message_stream);
	message_stream = NULL;
	free(said);
}

/* The program of eighty instructions does what it is for. */
static void test_become(void **state)
{
	const struct become who = { .uid = 1000, .gid = 5, .count = 2, .groups = { 7, 9 } };
	unsigned char bytes[BECOME_MOST];
	size_t size = become_program(&who, bytes);
	char line[128], got[256] = "";
	FILE *pipe;
	int fd;

	(void)state;
	assert_in_range(size, 200, sizeof(bytes));
	if (geteuid()) {
		print_message("# not root: nobody else can become another\n");
		return;
	}
	assert_int_equal(chmod(root, 0755), 0);
	fd = open("become", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	snprintf(line, sizeof(line), "X='a b' ./become /bin/sh -c '"
		 "echo $(id -u) $(id -g) $(id -G) \"$X\" \"$1\"' - 'c d'; ./become /none; echo $?");
	pipe = popen(line, "r");
	fread(got, 1, sizeof(got) - 1, pipe);
	assert_int_equal(pclose(pipe), 0);
	assert_string_equal(got, "1000 5 5 7 9 a b c d\n126\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users), cmocka_unit_test(test_variables),
		cmocka_unit_test(test_become),
	};

	return cmocka_run_group_tests_name("run_as", tests, setup, teardown);
}
