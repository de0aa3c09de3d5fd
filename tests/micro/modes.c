// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that goes through the Switcher on every way there is, in the same order
 * for ever: tests/system/every.sh strikes it at each instruction there.  Not one of
 * the runner's tests, but a program of its own, which ends when it is killed.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "micro.h"

unsigned int slow = 1;

SNIPPET(calls, "syscall\n");
SNIPPET(divides, "xor %ecx, %ecx; div %ecx\n");
SNIPPET(touches, "mov (%rdi), %rax\n");
SNIPPET(sets_keys, "wrpkru\nud2\n");

#define HOLE	0x500000000		/* nothing is there */
#define LOW	0x10000000		/* the page of calls, for 32-bit code */

/* Interrupts are returned from. */
static void interrupted(struct frame *f)
{
	if (f->vector < LGUEST_IRQ_VECTOR)
		guest_fail("unexpected event: rip instead of vector", f->rip, f->vector);
}

/* Until it ends with something else than a fault that only means a fill. */
static void run_filled(struct frame f, u64 vector)
{
	struct frame g = f;

	for (run(&g); g.vector != vector; run(&g)) {
		if (g.vector == 14) {
			SHARED->fill_address = SHARED->cr2;
			SHARED->fill_error = g.error | LGUEST_FILL_STRICT;
		} else if (g.vector < LGUEST_IRQ_VECTOR || g.vector > 255) {
			guest_fail("vector", g.vector, vector);
		}
		g = f;
	}
}

static struct frame user_code(char *code)
{
	return user_at((void (*)(void))code);
}

/* A system call whose way to the user is by sysret, and one by iretq. */
static void system_calls(void)
{
	struct frame f = user_code(calls);

	run_filled(f, LGUEST_VECTOR_SYSCALL);
	f.rcx = f.rip;
	f.r11 = f.rflags = 2 | IF;
	run_filled(f, LGUEST_VECTOR_SYSCALL);
	f.cs = USER32_CS;		/* a CPU of AMD's has it there, too */
	f.rip = LOW + (u64)calls % PAGE;
	run_filled(f, 6);
}

static void faults(void)
{
	struct frame f = user_code(touches), k = kernel_at((void (*)(void))touches);

	f.rdi = k.rdi = HOLE;
	for (int direct = 0; direct < 2; direct++) {
		SHARED->direct_faults = direct;
		run(&f);
		f = user_code(touches);
		f.rdi = HOLE;
	}
	run(&k);
	SHARED->direct_faults = 0;
	run_filled(user_code(divides), 0);
}

/* With protection keys set by the user nothing is direct. */
static void slow_ways(void)
{
	struct frame f = user_code(sets_keys);

	f.rax = 0xc0000000;
	run_filled(f, 6);
	system_calls();
	f.rax = 0;
	run_filled(f, 6);
	f = user_code(calls);
	f.rflags |= TF;
	run(&f);			/* not for direct_iret */
}

/* With the two others more than the Switcher knows, so it looks for each in vain. */
#define MANY	8

static void goes_all_ways(void)
{
	u64 other = new_space(), many[MANY], n = 0;

	for (int i = 0; i < MANY; i++)
		many[i] = new_space();
	on_event = interrupted;
	map(MAIN_CR3, LOW, gpa_of(calls) & -PAGE, P_ | U_);
	map(other, LOW, gpa_of(calls) & -PAGE, P_ | U_);
	HCALL(LOAD_CR3, other);
	HCALL(LOAD_CR3, MAIN_CR3);
	for (;;) {
		system_calls();
		faults();
		HCALL(LOAD_CR3, many[n++ % MANY] | LGUEST_CR3_NOFLUSH);
		HCALL(LOAD_CR3, other | LGUEST_CR3_NOFLUSH);
		HCALL(LOAD_CR3, MAIN_CR3 | LGUEST_CR3_NOFLUSH);
		HCALL(GET_TIME);
		if (guest_arg)
			slow_ways();
	}
}

void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	exit(1);
}

void skip(const char *why)
{
	fail("%s", why);
}

int main(int argc, char **argv)
{
	(void)argv;
	guest_arg = argc > 1;		/* the CPU has protection keys */
	for (;;) {
		struct guest *g = make_guest(goes_all_ways);
		int kind;

		do
			kind = go(g);
		while (kind == -EINTR);
		if (kind || !strstr(g->reason, "the Switcher took trap"))
			fail("the guest ends with %d: %s\n", kind, g->reason);
		end_guest(g);
	}
}
