// SPDX-License-Identifier: GPL-2.0
/*
 * A machine that is itself emulated by QEMU (TCG), as the lab's is.
 *
 * Linux's sync_core() makes the CPU forget what it fetched ahead by an IRET to
 * the next instruction, which ring 3 may do.  TCG before 9.1 refuses it (see
 * finish_iret() in the Host), so that each one would be a world switch, and
 * Linux patches itself a hundred thousand times while it boots.  TCG has no use
 * for the IRET in the first place: on it, and nowhere else, we jump over.
 * Read next: include/lguest/device.h.
 */
#include <linux/string.h>
#include <asm/processor.h>
#include <asm/sections.h>
#include "compat/cpuid.h"
#include "layer.h"

/*G:170
 * What the compiler makes of iret_to_self(), with its free choice of register:
 *
 *	8c d0			mov  %ss, %eax		<- becomes a jump
 *	50			push %rax
 *	54			push %rsp
 *	48 83 04 24 08		addq $8, (%rsp)
 *	9c			pushf
 *	8c c8			mov  %cs, %eax
 *	50			push %rax
 *	68 xx xx xx xx		push $1f
 *	48 cf			iretq
 *			1:
 */
static const u8 middle[] = { 0x54, 0x48, 0x83, 0x04, 0x24, 0x08, 0x9c };

/* "mov segment register to general register; push it": its length, or 0. */
static int mov_and_push(const u8 *p, u8 modrm)
{
	int rex = p[0] == 0x41;

	p += rex;
	if (p[0] != 0x8c || (p[1] & 0xf8) != modrm)
		return 0;
	if (p[2] == 0x41)
		return p[3] == 0x50 + (p[1] & 7) ? 4 + rex : 0;
	return p[2] == 0x50 + (p[1] & 7) ? 3 + rex : 0;
}

static void skip_iret(u8 *at)
{
	u8 *start = at, *end = at + sizeof(middle);
	int len, back;

	for (back = 3; back <= 5 && start == at; back++)
		if (mov_and_push(at - back, 0xd0) == back)
			start = at - back;
	len = mov_and_push(end, 0xc8);
	end += len;
	if (start == at || !len || end[0] != 0x68 || end[5] != 0x48 ||
	    end[6] != 0xcf)
		return;
	end += 7;
	start[0] = 0xeb;
	start[1] = end - start - 2;
}

static bool on_tcg(void)
{
	u32 eax = 0x40000000, ebx, ecx = 0, edx;

	native_cpuid(&eax, &ebx, &ecx, &edx);
	return ebx == 0x54474354 && ecx == 0x43544743 && edx == 0x47435447;
}

/**
 * skip_sync_irets() - spare an emulated CPU what only a real one needs
 *
 * Called before anything write-protects the kernel's text.
 */
void skip_sync_irets(void)
{
	u8 *p;

	if (!on_tcg())
		return;
	for (p = (u8 *)_stext + 8; p < (u8 *)_etext - 32; p++)
		if (*p == middle[0] && !memcmp(p, middle, sizeof(middle)))
			skip_iret(p);
}
