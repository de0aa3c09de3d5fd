// SPDX-License-Identifier: GPL-2.0
/*
 * The consoles: four ports, each a page with a ring each way (see struct
 * lguest_console).  Port 0 is the boot console from the first message on, and
 * then hvc0; the others are hvc1 to hvc3, where `lguest run -- COMMAND` finds
 * the command's input and output and its exit status.
 * Read next: bus.c.
 */
#include <linux/console.h>
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqflags.h>
#include <linux/printk.h>
#include <linux/types.h>
#include <asm/processor.h>
#include <asm/x86_init.h>
#include "compat/hvc.h"
#include "layer.h"

/* In the layer, so that they exist before any allocator does. */
static struct lguest_console ports[LGUEST_CONSOLE_PORTS] __aligned(PAGE_SIZE);

/*G:700
 * Output: fill the ring and tell the launcher, which empties it before we go
 * on.  A launcher that does not is no reason to wait: the rest is lost.
:*/
static void put_in_ring(struct lguest_console *port, const u8 *buf, u32 count)
{
	u32 head, room;

	while (count) {
		head = port->out_head;
		room = LGUEST_CONSOLE_OUT -
			(head - READ_ONCE(port->out_tail));
		if (!room || room > LGUEST_CONSOLE_OUT)
			break;
		for (; room && count; room--, count--)
			port->out[head++ % LGUEST_CONSOLE_OUT] = *buf++;
		barrier();
		WRITE_ONCE(port->out_head, head);
		hcall(LHCALL_NOTIFY, layer_pa(port), 0, 0);
	}
}

/*
 * Two vCPUs may speak at once.  One that was stopped in here, or that an NMI took away
 * to say something, is not waited for for ever.
 */
#define MOST_TRIES	(1 << 20)

static int speaks;

static bool begin_to_speak(void)
{
	int i;

	for (i = 0; i < MOST_TRIES; i++) {
		if (!READ_ONCE(speaks) && !cmpxchg(&speaks, 0, 1))
			return true;
		cpu_relax();
	}
	return false;
}

static void put(u32 n, const u8 *buf, u32 count)
{
	unsigned long flags;
	bool alone;

	local_irq_save(flags);
	alone = begin_to_speak();
	put_in_ring(&ports[n % LGUEST_CONSOLE_PORTS], buf, count);
	if (alone)
		smp_store_release(&speaks, 0);
	local_irq_restore(flags);
}

static long put_chars(u32 vtermno, const u8 *buf, int count)
{
	put(vtermno, buf, count);
	return count;
}

/*G:710
 * Input, which the launcher put into the ring before it raised the interrupt.
 * It has more if it says so, and wants to know when the ring is empty.  The
 * barrier goes with the one in the launcher: one of us sees the other's word.
:*/
static long get_chars(u32 vtermno, u8 *buf, int count)
{
	struct lguest_console *port = &ports[vtermno % LGUEST_CONSOLE_PORTS];
	u32 tail = port->in_tail;
	u32 filled = READ_ONCE(port->in_head) - tail;
	int n = 0;

	if (filled > LGUEST_CONSOLE_IN)
		return 0;
	while (n < count && filled--)
		buf[n++] = READ_ONCE(port->in[tail++ % LGUEST_CONSOLE_IN]);
	barrier();
	WRITE_ONCE(port->in_tail, tail);
	mb();
	if (n && READ_ONCE(port->in_more) && READ_ONCE(port->in_head) == tail)
		hcall(LHCALL_NOTIFY, layer_pa(port), 0, 0);
	return n;
}

static const struct hv_ops port_ops = {
	.get_chars	= get_chars,
	.put_chars	= put_chars,
	.notifier_add	= notifier_add_irq,
	.notifier_del	= notifier_del_irq,
	.notifier_hangup = notifier_hangup_irq,
};

/*G:720
 * The boot console.  Linux drops it when hvc0 takes over.
:*/
static void early_write(struct console *con, const char *s, unsigned int n)
{
	const char *line;

	while (n) {
		for (line = s; n && *s != '\n'; n--)
			s++;
		put(LGUEST_PORT_CONSOLE, (const u8 *)line, s - line);
		if (!n)
			break;
		put(LGUEST_PORT_CONSOLE, (const u8 *)"\r\n", 2);
		s++;
		n--;
	}
}

static struct console early_lguest = {
	.name	= "earlylguest",
	.write	= early_write,
	.flags	= CON_PRINTBUFFER | CON_BOOT | CON_ANYTIME,
	.index	= -1,
};

/* Linux's own traps are there: what is said without a level from now on is no last word. */
static void forget_early_printk(void)
{
	early_console = NULL;
}

/**
 * setup_early_console() - messages from now on appear at once
 */
void setup_early_console(void)
{
	int i;

	for (i = 0; i < LGUEST_CONSOLE_PORTS; i++) {
		ports[i].magic = LGUEST_CONSOLE_MAGIC;
		ports[i].port = i;
		hcall(LHCALL_NOTIFY, layer_pa(&ports[i]), 0, 0);
	}
	early_console = &early_lguest;
	register_console(&early_lguest);
	x86_init.hyper.init_after_bootmem = forget_early_printk;
	/* The default; a console= on the command line wins over it. */
	add_preferred_console("hvc", 0, NULL);
}

/**
 * setup_console() - offer hvc0.. as consoles, before console_init() looks
 */
void setup_console(void)
{
	int i;

	for (i = 0; i < LGUEST_CONSOLE_PORTS; i++)
		hvc_instantiate(i, i, &port_ops);
}

/*G:730
 * One line serves all ports, and a terminal wants an interrupt of its own (it
 * would be polled instead, slowly).  So each port gets one that only exists in
 * Linux, raised from the line's handler if the port has input: with interrupts
 * off, so that handler must never become a thread.
:*/
static irqreturn_t console_interrupt(int irq, void *unused)
{
	int i;

	for (i = 0; i < LGUEST_CONSOLE_PORTS; i++)
		if (READ_ONCE(ports[i].in_head) != ports[i].in_tail)
			generic_handle_irq(LGUEST_IRQS + i);
	return IRQ_HANDLED;
}

/* Linux's number of a port's interrupt, or 0: none. */
static int setup_port_irq(int port)
{
	int irq = irq_alloc_desc_at(LGUEST_IRQS + port, 0);

	if (irq < 0)
		return 0;
	irq_set_chip_and_handler(irq, &dummy_irq_chip, handle_simple_irq);
	return irq;
}

/**
 * start_console() - make the terminals, when the tty layer is ready
 */
void start_console(void)
{
	int line = lguest_setup_irq(LGUEST_IRQ_CONSOLE);
	int i;

	for (i = 0; i < LGUEST_CONSOLE_PORTS; i++)
		if (IS_ERR(hvc_alloc(i, setup_port_irq(i), &port_ops, 256)))
			pr_err("lguest: no hvc%d\n", i);
	if (line < 0 || request_irq(line, console_interrupt, IRQF_NO_THREAD,
				    "console", NULL))
		pr_err("lguest: no console input\n");
}
