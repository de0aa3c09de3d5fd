// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets our input: a person on a terminal talks to the console, or to the
 * COMMAND; bytes from a file or pipe are a script for the guest's shell, which
 * gets them when it is ready and ends with them, or the input of the COMMAND,
 * byte for byte.
 * Read next: terminal.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "input.h"

#define KEYS_MOST	256	/* bytes read at once, from a terminal */
#define CTRL_D		0x04

void input_begin(struct keys *input, const struct input_settings *settings)
{
	memset(input, 0, offsetof(struct keys, waiting));	/* untouched, it takes no memory */
	input->settings = *settings;
	input->last = '\n';
}

bool input_wanted(const struct keys *input, bool ready)
{
	if (!input->settings.input || input->at_eof)
		return false;
	return input->settings.raw ||
	       (!input->size && (ready || !input->settings.wait_ready));
}

/* More bytes for the guest, behind those that wait. */
static void add(struct keys *input, const void *bytes, size_t size)
{
	if (input->at)
		memmove(input->waiting, input->waiting + input->at, input->size);
	input->at = 0;
	memcpy(input->waiting + input->size, bytes, size);
	input->size += size;
}

void input_gone(struct keys *input, size_t size)
{
	input->at += size;
	input->size -= size;
}

/*
 * End of input.  A terminal's way to say so is ^D: after an unfinished line
 * it only sends that line off, so it takes a second one.
 */
static void end_of_input(struct keys *input)
{
	static const uint8_t two[] = { CTRL_D, CTRL_D };

	input->at_eof = true;
	if (input->settings.framed)
		add(input, "0\n", 2);
	else if (input->settings.send_eof)
		add(input, two, input->last == '\n' ? 1 : 2);
}

/*
 * A guest that takes no input must still hear the escape keys: from a terminal
 * we always read, and what finds no room is lost, as on any terminal.
 */
static bool take_keys(struct keys *input, const uint8_t *keys, size_t size)
{
	uint8_t wanted[KEYS_MOST];
	size_t room = INPUT_MOST - input->size;
	bool end = false;

	size = escape_filter(&input->escape, keys, size, now_ns(), wanted, &end);
	if (size > room)
		size = room;
	add(input, wanted, size);
	return !end;
}

bool input_read(struct keys *input)
{
	static uint8_t keys[INPUT_MOST];
	char header[INPUT_HEADER + 1];
	ssize_t size = read(STDIN_FILENO, keys,
			    input->settings.framed ? INPUT_MOST : KEYS_MOST);

	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (size <= 0) {
		end_of_input(input);
		return true;
	}
	input->last = keys[size - 1];
	if (input->settings.raw)
		return take_keys(input, keys, size);
	if (input->settings.framed)
		add(input, header, sprintf(header, "%u\n", (unsigned int)size));
	add(input, keys, size);
	return true;
}
