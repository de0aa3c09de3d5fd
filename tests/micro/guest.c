// SPDX-License-Identifier: GPL-2.0
/*
 * The guest half's own small kernel: hypercalls, events, page tables, and the
 * verdict.  Runs only inside a guest (see micro.h).  Read next: host.c.
 */
#include "micro.h"

u64 guest_fn, guest_sibling;	/* offsets in the image of what to run */
u64 guest_arg;
u64 guest_free;			/* next free page */
void (*on_event)(struct frame *f);

void guest_main(u64 vcpu);
void guest_event(struct frame *f);
void guest_caught(void) __attribute__((noreturn));

u64 hcall(u64 nr, u64 a, u64 b, u64 c, u64 d)
{
	register u64 r10 asm("r10") = d;

	asm volatile("syscall" : "+a" (nr)
		     : "D" (a), "S" (b), "d" (c), "r" (r10)
		     : "rcx", "r11", "memory");
	return nr;
}

u64 gpa_of(const volatile void *p)
{
	return (u64)p - KERNEL_VA;
}

static void shut_down(const char *text, u64 reason)
{
	HCALL(SHUTDOWN, gpa_of(text), reason);
}

static char *put_hex(char *to, u64 value)
{
	int shift = 60;

	while (shift && !(value >> shift & 15))
		shift -= 4;
	*to++ = '0';
	*to++ = 'x';
	for (; shift >= 0; shift -= 4) {
		u64 digit = value >> shift & 15;

		*to++ = digit < 10 ? '0' + digit : 'a' + digit - 10;
	}
	return to;
}

static char *put_text(char *to, const char *text)
{
	while (*text)
		*to++ = *text++;
	return to;
}

static char message[512];

void guest_fail(const char *what, u64 got, u64 want)
{
	char *to = put_text(message, what);

	to = put_text(to, ": got ");
	to = put_hex(to, got);
	to = put_text(to, ", want ");
	to = put_hex(to, want);
	*to = 0;
	shut_down(message, LGUEST_SHUTDOWN_CRASH);
	__builtin_unreachable();
}

void guest_done(void)
{
	shut_down("ok", LGUEST_SHUTDOWN_POWEROFF);
	__builtin_unreachable();
}

/* Called from the event entry. */
void guest_event(struct frame *f)
{
	u64 *catching = (u64 *)&own()->scratch[0];

	if (catching[0]) {
		*(struct frame *)catching[1] = *f;
		guest_caught();
	}
	if (!on_event)
		guest_fail("unexpected event: rip instead of vector", f->rip,
			   f->vector);
	on_event(f);
}

static struct frame state_at(u64 rip, u64 cs, u64 ss, u64 rsp)
{
	struct frame f;

	/* Not by an initialiser: that would call memset(). */
	for (unsigned int i = 0; i < sizeof(f) / 8; i++)
		((volatile u64 *)&f)[i] = 0;
	f.rip = rip;
	f.cs = cs;
	f.ss = ss;
	f.rsp = rsp;
	f.rflags = 2;
	return f;
}

/* A little below the stack in use; events of run() have another. */
struct frame kernel_at(void (*fn)(void))
{
	return state_at((u64)fn, KERNEL_CS, KERNEL_SS,
			KERNEL_VA + KERNEL_STACK - 0x8008);
}

struct frame user_at(void (*fn)(void))
{
	return state_at(TO_USER(fn), USER_CS, USER_SS, USER_VA + USER_STACK - 8);
}

u64 guest_page(void)
{
	volatile u64 *p = AT(guest_free);
	u64 page = guest_free;

	guest_free += PAGE;
	for (int i = 0; i < 512; i++)
		p[i] = 0;
	return page;
}

/* The entry for @va in the table of @level (4 to 1). */
volatile u64 *entry_of(u64 cr3, u64 va, int level)
{
	volatile u64 *table = AT(cr3);

	for (int l = 4; ; l--) {
		volatile u64 *e = table + (va >> (12 + 9 * (l - 1)) & 511);

		if (l == level)
			return e;
		if (!(*e & P_))
			*e = guest_page() | P_ | W_ | U_;
		table = AT(*e & PTE_FRAME);
	}
}

void map(u64 cr3, u64 va, u64 gpa, u64 bits)
{
	*entry_of(cr3, va, 1) = gpa | bits;
}

u64 new_space(void)
{
	u64 page = guest_page();
	volatile u64 *to = AT(page), *from = AT(MAIN_CR3);

	for (int i = 0; i < 512; i++)
		to[i] = from[i];
	return page;
}

void enable_interrupts(void)
{
	own()->irq_enabled = IF;
	if (own()->irq_pending)
		HCALL(SEND_INTERRUPTS);
}

void guest_main(u64 vcpu)
{
	void (*fn)(void) = (void *)(__executable_start +
				    (vcpu ? guest_sibling : guest_fn));

	HCALL(INIT, gpa_of(own()), guest_event_entry, guest_syscall_entry,
	      guest_entry_end);
	own()->kernel_gs_base = (u64)own();
	own()->sp0 = vcpu ? (u64)own() + SIBLING_STACK : KERNEL_VA + EVENT_STACK;
	fn();
	guest_done();
}
