// SOURCES: launcher/devices/net/net_user.c launcher/devices/net/net_window.c launcher/devices/net/net_rules.c launcher/devices/virtio/virtqueue.c launcher/hardware/memory.c launcher/message.c launcher/terminal.c launcher/distribution.c launcher/io.c
// SPDX-License-Identifier: GPL-2.0
/*
 * The stream from passt, and the windows of its connections, which have no scale: K6.
 * A script stands for passt; it writes what the test has put into a file.
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
#include "devices/net/net_window.h"

#define FRAMES		3000U
#define FRAME_SIZE	1514U

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

/* A stream of frames, in whatever parts it comes. */
static void test_in_order(void **state)
{
	unsigned int i;

	(void)state;
	open_with(FRAMES);
	for (i = 0; i < FRAMES; i++) {
		int number = take();

		while (number < 0 && net.fd >= 0 && wait_for_bytes())
			number = take();
		assert_int_equal(number, i);
	}
	assert_int_equal(take(), -1);
	free(net.state);
}

/* ---- windows */

/* The least frame of a SYN, by IPv4 and IPv6; its checksum is right for zero addresses. */
static size_t make_syn(uint8_t *frame, bool v6, const uint8_t *options, size_t size)
{
	size_t at = v6 ? 54 : 34, i;
	uint32_t sum = 0;

	memset(frame, 0, at + 20);
	memcpy(frame + 12, v6 ? "\x86\xdd\x60" : "\x08\x00\x45", 3);
	frame[v6 ? 20 : 23] = 6;
	frame[at + 3] = 80;
	frame[at + 12] = (20 + size) << 2;
	frame[at + 13] = 0x02;
	if (size)
		memcpy(frame + at + 20, options, size);
	for (i = 0; i < 20 + size; i += 2)
		sum += frame[at + i] << 8 | frame[at + i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	frame[at + 16] = sum >> 8;
	frame[at + 17] = sum;
	return at + 20 + size;
}

static bool checksum_is_right(const uint8_t *frame, size_t size, size_t at)
{
	uint32_t sum = 0;

	for (; at < size; at += 2)
		sum += frame[at] << 8 | frame[at + 1];
	return ((sum & 0xffff) + (sum >> 16)) == 0xffff;
}

static void test_no_scale(void **state)
{
	/* As Linux's are; with the scale at an odd place; with none; with one cut off. */
	static const struct {
		uint8_t options[20], after[20];
	} cases[] = {
		{ { 2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7 },
		  { 2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 1, 1, 1 } },
		{ { 1, 1, 3, 3, 14, 1, 2, 4, 255, 255 }, { 1, 1, 1, 1, 1, 1, 2, 4, 255, 255 } },
		{ { 3, 3, 9, 3, 3, 2 }, { 1, 1, 1, 1, 1, 1 } },
		{ { 2, 4, 5, 180 }, { 2, 4, 5, 180 } },
		{ { 0, 3, 3, 7 }, { 0, 3, 3, 7 } },
		{ { 8, 17, [17] = 3, 4, 7 }, { 8, 17, [17] = 3, 4, 7 } },
		{ { 8, 0, 3, 3, 7 }, { 8, 0, 3, 3, 7 } },
	};
	uint8_t frame[128];
	unsigned int i, v6;

	(void)state;
	for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = make_syn(frame, v6 = i % 2, cases[i / 2].options, 20);

		assert_true(checksum_is_right(frame, size, v6 ? 54 : 34));
		window_unscale(frame, size);
		assert_memory_equal(frame + size - 20, cases[i / 2].after, 20);
		assert_true(checksum_is_right(frame, size, v6 ? 54 : 34));
	}
}

/* Only what begins a connection is changed, and nothing behind the frame is read. */
static void test_other_frames(void **state)
{
	static const uint8_t options[20] = { 1, 3, 3, 7 };
	uint8_t whole[128], before[128], *frame;
	size_t size = make_syn(whole, false, options, 20), part, i;
	unsigned int seed = 20261201;

	(void)state;
	whole[34 + 13] = 0x10;
	memcpy(before, whole, size);
	window_unscale(whole, size);
	assert_memory_equal(whole, before, size);
	whole[34 + 13] = 0x02;
	whole[14 + 7] = 1;
	memcpy(before, whole, size);
	window_unscale(whole, size);
	assert_memory_equal(whole, before, size);
	for (part = 0; part <= size; part++)
		for (i = 0; i < 200; i++) {
			frame = malloc(part ? part : 1);
			assert_non_null(frame);
			memcpy(frame, whole, part);
			if (part > 60)
				frame[34 + rand_r(&seed) % (part - 34)] = rand_r(&seed);
			if (part > 14)
				frame[14 + rand_r(&seed) % (part - 14)] = rand_r(&seed);
			window_unscale(frame, part);
			free(frame);
		}
}

/* The same acknowledgement is one for a moment; another number, window or port is not. */
static void test_acks(void **state)
{
	static struct acks acks;
	uint8_t frame[128];
	unsigned int v6;

	(void)state;
	for (v6 = 0; v6 < 2; v6++) {
		size_t at = v6 ? 54 : 34, size = make_syn(frame, v6, NULL, 0);
		size_t length = v6 ? 20 : 40;

		memset(&acks, 0, sizeof(acks));
		frame[at + 13] = 0x10;
		frame[v6 ? 19 : 17] = length;
		assert_false(acks_again(&acks, frame, size, size, 1000));
		assert_true(acks_again(&acks, frame, size, size, 1050));
		assert_false(acks_again(&acks, frame, size, size, 1100));
		assert_true(acks_again(&acks, frame, size, size + 6, 1101));	/* padded */
		frame[at + 11]++;
		assert_false(acks_again(&acks, frame, size, size, 1102));
		frame[at + 15]++;
		assert_false(acks_again(&acks, frame, size, size, 1103));
		frame[at + 1]++;
		assert_false(acks_again(&acks, frame, size, size, 1104));
		assert_true(acks_again(&acks, frame, size, size, 1105));
		frame[at + 13] = 0x11;		/* an end is none */
		assert_false(acks_again(&acks, frame, size, size, 1106));
		frame[at + 13] = 0x10;
		frame[v6 ? 19 : 17] = length + 1;	/* nor are data */
		assert_false(acks_again(&acks, frame, size, size + 1, 1107));
		assert_false(acks_again(&acks, frame, 20, size, 1108));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_no_scale),
		cmocka_unit_test(test_other_frames),
		cmocka_unit_test(test_acks),
	};

	return cmocka_run_group_tests_name("net_user", tests, start, finish);
}
