// SOURCES: launcher/devices/net/net_user.c launcher/devices/net/net_rules.c launcher/devices/virtio/virtqueue.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c launcher/distribution.c launcher/io.c
// SPDX-License-Identifier: GPL-2.0
/*
 * The stream from passt: what a guest has no buffers for is kept, in order, and nothing
 * is lost: K6. A script stands for passt; it writes what the test has put into a file.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/net/net.h"

#define FRAMES		3000U
#define FRAME_SIZE	1514U
#define FRAMES_TOO_MANY	8000U	/* 12 MB: more than is kept */

/* As passt's words are: --foreground --quiet --fd N. */
static const char program[] = "#!/bin/sh\nexec /bin/cat $FRAMES >&$4\n";
static char folder[] = "/tmp/lguest-user-XXXXXX", fake[64], frames[64];
static struct net net;

/* Nothing is sent here. */
void parts_peek(const struct iovec *parts, uint8_t *to, size_t size)
{
	(void)parts, (void)to, (void)size;
	fail();
}

static void write_frames(unsigned int count)
{
	FILE *file = fopen(frames, "w");
	uint32_t length = htonl(FRAME_SIZE);
	uint8_t frame[FRAME_SIZE] = { 0 };
	unsigned int i;

	assert_non_null(file);
	for (i = 0; i < count; i++) {
		memcpy(frame + 100, &i, sizeof(i));
		assert_int_equal(fwrite(&length, sizeof(length), 1, file), 1);
		assert_int_equal(fwrite(frame, sizeof(frame), 1, file), 1);
	}
	assert_int_equal(fclose(file), 0);
}

static int start(void **state)
{
	FILE *file;

	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(fake, sizeof(fake), "%s/passt", folder);
	snprintf(frames, sizeof(frames), "%s/frames", folder);
	file = fopen(fake, "w");
	if (!file || fputs(program, file) < 0 || fclose(file))
		return -1;
	setenv("FRAMES", frames, 1);
	setenv("PATH", folder, 1);
	return chmod(fake, 0755);
}

static int finish(void **state)
{
	(void)state;
	unlink(fake);
	unlink(frames);
	return rmdir(folder);
}

static void open_with(unsigned int count)
{
	write_frames(count);
	memset(&net, 0, sizeof(net));
	net.way = &net_user;
	assert_null(net_user.open(&net, NULL));
}

static bool wait_for_bytes(void)
{
	struct pollfd fd = { .fd = net.fd, .events = POLLIN };

	return poll(&fd, 1, 20000) == 1;
}

/* The next frame's number, or -1 if there is none. */
static int take(void)
{
	static uint8_t frame[NET_FRAME_MOST];
	struct iovec parts[2] = { { &net.header, NET_HEADER }, { frame, sizeof(frame) } };
	size_t size = net_user.receive(&net, parts, 2);
	int number;

	if (!size)
		return -1;
	assert_int_equal(size, NET_HEADER + FRAME_SIZE);
	memcpy(&number, frame + 100, sizeof(number));
	return number;
}

/* More than the socket holds comes while the guest has no buffer. */
static void test_kept(void **state)
{
	unsigned int i;

	(void)state;
	open_with(FRAMES);
	while (net.fd >= 0 && wait_for_bytes())
		assert_true(net_user.keep(&net));
	assert_int_equal(net.fd, -1);
	for (i = 0; i < FRAMES; i++)
		assert_int_equal(take(), i);
	assert_int_equal(take(), -1);
	free(net.state);
}

/* When there is no room for more it waits in the socket, and passt is told by that. */
static void test_full(void **state)
{
	unsigned int i;

	(void)state;
	open_with(FRAMES_TOO_MANY);
	while (wait_for_bytes() && net_user.keep(&net))
		;
	assert_true(net.fd >= 0);
	for (i = 0; i < FRAMES_TOO_MANY; i++) {
		int number = take();

		while (number < 0 && net.fd >= 0 && wait_for_bytes())
			number = take();
		assert_int_equal(number, i);
	}
	free(net.state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("net_user", tests, start, finish);
}
