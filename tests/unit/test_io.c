// SOURCES: launcher/io.c
// SPDX-License-Identifier: GPL-2.0
/* Messages with a descriptor, as others may send them: L8. */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "io.h"

static int ends[2];

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int teardown(void **state)
{
	(void)state;
	close(ends[0]);
	return close(ends[1]);
}

static int open_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

/* So many descriptors, all of our standard input. */
static void say(const char *text, size_t size, unsigned int many)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} room = { .header = {
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(many * sizeof(int)),
	} };
	struct iovec part = { (void *)text, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (many) {
		message.msg_control = &room;
		message.msg_controllen = CMSG_SPACE(many * sizeof(int));
	}
	assert_int_equal(sendmsg(ends[1], &message, 0), size);
}

static void test_receive(void **state)
{
	int files = open_files(), fd = 7;
	char text[8];

	(void)state;
	assert_int_equal(receive_carried(ends[0], text, sizeof(text), &fd), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fd, -1);
	say("hello", 5, 0);
	assert_int_equal(receive_carried(ends[0], text, sizeof(text), &fd), 5);
	assert_int_equal(fd, -1);
	assert_memory_equal(text, "hello", 5);
	say("hello", 5, 1);
	assert_int_equal(receive_carried(ends[0], text, sizeof(text), &fd), 5);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	assert_int_equal(open_files(), files);
}

/* What is one too many does not stay with us, and a message is not taken for a shorter one. */
static void test_too_much(void **state)
{
	int files = open_files(), fd;
	unsigned int many;
	char text[8];

	(void)state;
	for (many = 0; many <= 8; many++) {
		say("a long message", 14, many);
		assert_int_equal(receive_carried(ends[0], text, sizeof(text), NULL), 14);
		assert_int_equal(open_files(), files);
		say("a", 1, many);
		assert_int_equal(receive_carried(ends[0], text, sizeof(text), &fd), 1);
		assert_int_equal(fd >= 0, many > 0);
		if (fd >= 0)
			close(fd);
		assert_int_equal(open_files(), files);
	}
	close(ends[1]);
	assert_int_equal(receive_carried(ends[0], text, sizeof(text), &fd), 0);
	assert_int_equal(fd, -1);
	ends[1] = dup(0);
}

static const char *words_of(const char *text)
{
	static char line[32];
	int pair[2];

	assert_true(words_open(pair));
	assert_int_equal(write(pair[1], text, strlen(text)), strlen(text));
	words_last(pair[0], line, sizeof(line));
	close(pair[0]);
	close(pair[1]);
	return line;
}

/* The last line, as much as there is room for, and nothing that moves a terminal's cursor. */
static void test_words(void **state)
{
	char byte = 'x';
	int pair[2];

	(void)state;
	assert_string_equal(words_of(""), "");
	assert_string_equal(words_of("one\ntwo\n"), "two");
	assert_string_equal(words_of("one\ntwo"), "two");
	assert_string_equal(words_of("\033[2J\r\303\244"), "?[2J???");
	assert_string_equal(words_of("0123456789012345678901234567890123456789\n"),
			    "0123456789012345678901234567890");
	/* Who writes without end is not held up. */
	assert_true(words_open(pair));
	while (write(pair[1], &byte, 1) == 1)
		;
	assert_int_equal(errno, EAGAIN);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_receive), TEST(test_too_much), TEST(test_words),
	};

	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
