// SPDX-License-Identifier: GPL-2.0
/*
 * The console device: the rings of struct lguest_console in <lguest/guest.h>.
 * The guest layer tells the address of a port's page by NOTIFY, and again for
 * each piece of output.  Everything in the page is hostile: each counter is
 * read once, and bytes are copied out before anyone looks at them.
 *
 * Bytes go to the supervisor and come from it: machine/machine.c, machine/line.c.
 * Read next: devices/net/virtio_net.c.
 */
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "lguest.h"

void console_init(struct console *console, const struct memory *memory)
{
	memset(console, 0, sizeof(*console));
	console->memory = memory;
	console->status = -1;
	pthread_mutex_init(&console->drains, NULL);
	pthread_mutex_init(&console->lock, NULL);
}

static uint32_t read_once(const uint32_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void publish(uint32_t *counter, uint32_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELEASE);
}

/*D:010
 * The counters run freely, so head - tail is the number of waiting bytes even
 * after they wrapped.  More than the ring holds is nonsense: forget it all.
 :*/
static size_t take(struct console_port *port, struct lguest_console *page,
		   uint8_t *to)
{
	uint32_t head = read_once(&page->out_head);
	uint32_t size = head - port->out_tail;
	uint32_t i;

	if (size > LGUEST_CONSOLE_OUT) {
		if (!port->complained)
			problem("the guest's console ring is damaged; some of its output is lost");
		port->complained = true;
		size = 0;
	}
	for (i = 0; i < size; i++)
		to[i] = page->out[(port->out_tail + i) % LGUEST_CONSOLE_OUT];
	port->out_tail = head;
	publish(&page->out_tail, head);
	return size;
}

static void drain(struct console *console, unsigned int number)
{
	struct console_port *port = &console->ports[number];
	uint8_t bytes[LGUEST_CONSOLE_OUT];
	size_t size = take(port, port->page, bytes);

	if (size)
		console->output(console, number, bytes, size);
}

static void make_known(struct console *console, unsigned int number,
		       struct lguest_console *page)
{
	struct console_port *port = &console->ports[number];

	if (port->page == page)
		return;
	pthread_mutex_lock(&console->lock);
	port->page = page;
	port->out_tail = read_once(&page->out_tail);
	port->in_head = read_once(&page->in_head);
	pthread_mutex_unlock(&console->lock);
}

bool console_notify(struct console *console, uint64_t value)
{
	struct lguest_console *page;
	uint32_t number;

	if (value % MEMORY_PAGE)
		return false;
	page = memory_at(console->memory, GPA(value), sizeof(*page));
	if (!page || read_once(&page->magic) != LGUEST_CONSOLE_MAGIC)
		return false;
	number = read_once(&page->port);
	if (number >= LGUEST_CONSOLE_PORTS) {
		note("the guest has a console port %u; there are only %u",
		     number, LGUEST_CONSOLE_PORTS);
		return true;
	}
	pthread_mutex_lock(&console->drains);
	make_known(console, number, page);
	drain(console, number);
	pthread_mutex_unlock(&console->drains);
	if (console->taken && atomic_load(&console->ports[number].asked))
		console->taken(console);
	return true;
}

void console_drain(struct console *console)
{
	unsigned int i;

	pthread_mutex_lock(&console->drains);
	for (i = 0; i < LGUEST_CONSOLE_PORTS; i++)
		if (console->ports[i].page)
			drain(console, i);
	pthread_mutex_unlock(&console->drains);
}

static size_t fill(struct console_port *port, const uint8_t *bytes, size_t size)
{
	struct lguest_console *page = port->page;
	uint32_t used = port->in_head - read_once(&page->in_tail);
	uint32_t i = 0;

	while (i < size && used + i < LGUEST_CONSOLE_IN && used <= LGUEST_CONSOLE_IN) {
		page->in[(port->in_head + i) % LGUEST_CONSOLE_IN] = bytes[i];
		i++;
	}
	port->in_head += i;
	publish(&page->in_head, port->in_head);
	return i;
}

static void ask(struct console_port *port, bool more)
{
	atomic_store(&port->asked, more);
	publish(&port->page->in_more, more);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/*D:020
 * What does not fit is asked for, and then tried again: the guest may have
 * emptied the ring just before it could see the question.
 :*/
size_t console_input(struct console *console, unsigned int number,
		     const uint8_t *bytes, size_t size)
{
	struct console_port *port = &console->ports[number];
	size_t done = 0;

	pthread_mutex_lock(&console->lock);
	if (port->page) {
		done = fill(port, bytes, size);
		if (done < size) {
			ask(port, true);
			done += fill(port, bytes + done, size - done);
		}
		if (done == size && atomic_load(&port->asked))
			ask(port, false);
	}
	pthread_mutex_unlock(&console->lock);
	return done;
}

/* "ready" or "exit N"; anything else is passed over. */
static void obey(struct console *console)
{
	char *text = console->line, *end;
	unsigned long status;

	if (!strcmp(text, "ready")) {
		atomic_store(&console->ready, true);
	} else if (!strncmp(text, "exit ", 5) && text[5] >= '0' && text[5] <= '9') {
		status = strtoul(text + 5, &end, 10);
		if (!*end && status <= 255)
			console->status = status;
	}
}

void console_control(struct console *console, const uint8_t *bytes, size_t size)
{
	for (; size; size--, bytes++) {
		if (*bytes == '\r')
			continue;
		if (*bytes != '\n') {
			if (console->line_size < sizeof(console->line) - 1)
				console->line[console->line_size++] = *bytes;
			continue;
		}
		console->line[console->line_size] = '\0';
		console->line_size = 0;
		obey(console);
	}
}
