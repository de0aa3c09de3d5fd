// SPDX-License-Identifier: GPL-2.0
/*
 * A program for the guest's first files, that no busybox has: it becomes a user, with
 * all the groups that he has, and then the program that its words name, by its path.
 * Who that is the launcher writes into its last bytes.  It is all here, header and code,
 * since a linker and a C library would make a megabyte of these seven system calls.
 * Read next: boot/agent/agent.c.
 */
#include <string.h>

#include "become.h"

#define TEXT(x)	#x
#define NUMBER(x) TEXT(x)

__asm__(".pushsection .rodata\n"
	".globl guest_become, guest_become_who, guest_become_end\n"
	".set base, 0x400000\n"
	"guest_become:\n"
	".byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0\n"
	".quad 0\n"
	".short 2, 62\n"			/* ET_EXEC, x86-64 */
	".long 1\n"
	".quad base + 1f - guest_become\n"
	".quad 64, 0\n"				/* its segments and sections */
	".long 0\n"
	".short 64, 56, 1, 0, 0, 0\n"
	".long 1, 5\n"				/* one to load: read, execute */
	".quad 0, base, base\n"
	".quad guest_become_end - guest_become, guest_become_end - guest_become, 0x1000\n"
	"1: lea 3f(%rip), %rbx\n"
	"mov $116, %eax\n"			/* setgroups */
	"mov 8(%rbx), %edi\n"
	"lea 12(%rbx), %rsi\n"
	"syscall\n"
	"test %eax, %eax\n"
	"jnz 2f\n"
	"mov $106, %eax\n"			/* setgid */
	"mov 4(%rbx), %edi\n"
	"syscall\n"
	"test %eax, %eax\n"
	"jnz 2f\n"
	"mov $105, %eax\n"			/* setuid */
	"mov (%rbx), %edi\n"
	"syscall\n"
	"test %eax, %eax\n"
	"jnz 2f\n"
	"mov (%rsp), %rdx\n"			/* how many words */
	"mov 16(%rsp), %rdi\n"
	"lea 16(%rsp), %rsi\n"
	"lea 16(%rsp, %rdx, 8), %rdx\n"
	"mov $59, %eax\n"			/* execve */
	"syscall\n"
	"2: mov $231, %eax\n"			/* exit_group */
	"mov $126, %edi\n"
	"syscall\n"
	".balign 4\n"
	"guest_become_who: 3:\n"
	".fill 3 + " NUMBER(BECOME_GROUPS) ", 4, 0\n"
	"guest_become_end:\n"
	".popsection");

extern const unsigned char guest_become[], guest_become_who[], guest_become_end[];

size_t become_program(const struct become *who, unsigned char *bytes)
{
	size_t size = guest_become_end - guest_become;

	memcpy(bytes, guest_become, size);
	memcpy(bytes + (guest_become_who - guest_become), who, sizeof(*who));
	return size;
}
