// SPDX-License-Identifier: GPL-2.0
/* The console: pages of any bytes, input that fits or not, its control port: K10. */
#include "hardware/console.h"
#include "fuzz.h"

#define RAM	(16ULL << 20)
#define PAGES	6

static struct memory memory;
static struct console console;

static void output(struct console *c, unsigned int port, const uint8_t *bytes, size_t size)
{
	must(port < LGUEST_CONSOLE_PORTS && size <= LGUEST_CONSOLE_OUT);
	console_control(c, bytes, size);
}

static void act(struct input *in)
{
	unsigned int what = take(in, 1), n = what >> 4;
	struct lguest_console *page = memory_at(&memory, GPA(n % PAGES * 4096), 4096);
	size_t size = take(in, 1), at;
	const uint8_t *bytes;

	switch (what % 4) {
	case 0:
		page->magic = LGUEST_CONSOLE_MAGIC;
		page->port = size % 6;
		break;
	case 1:
		at = take(in, 2) % (4096 - 255);
		bytes = take_bytes(in, &size);
		memcpy((uint8_t *)page + at, bytes, size);
		break;
	case 2:
		console_notify(&console, what & 128 ? take(in, 8) : n % PAGES * 4096);
		break;
	case 3:
		bytes = take_bytes(in, &size);
		must(console_input(&console, n % LGUEST_CONSOLE_PORTS, bytes, size) <= size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, size };

	be_silent();
	if (!memory.base)
		must(memory_create(&memory, RAM));
	memset(memory.base, 0, PAGES * 4096);
	memset(&console, 0, sizeof(console));
	console_init(&console, &memory);
	console.output = output;
	while (in.left)
		act(&in);
	console_drain(&console);
	must(console.status >= -1 && console.status <= 255);
	return 0;
}
