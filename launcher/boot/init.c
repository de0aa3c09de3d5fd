// SPDX-License-Identifier: GPL-2.0
/*
 * The scripts of the guest's first files: boot/guest/init and those that it needs.
 * It finds the ports of the console device as /dev/hvc0 (console), hvc1 and hvc2 (a
 * command's output and errors) and hvc3 (what it tells the launcher: "ready", "exit N";
 * what it hears from there: "size ROWS COLUMNS", when the user's terminal has got a new
 * size).
 * Read next: become.c.
 */
#include "initramfs.h"

#define SCRIPT(name)						\
	__asm__(".pushsection .rodata\n"			\
		".globl guest_" #name "\n"			\
		"guest_" #name ":\n"				\
		".incbin \"boot/guest/" #name "\"\n"	\
		".byte 0\n"					\
		".popsection")

/*L:226
 * With --rootfs the host's folder, read-only, lies below an overlay whose upper
 * part is memory.  It is mounted over our own root; the script still has that, and
 * enters the other, its working directory, for the command alone (enter).
 *
 * Input for a command comes in pieces, each a line with its size and then so many
 * bytes; a size of 0 ends it.  Read and dd take not one byte too many.
 *
 * A first disk with a system of its own gets the machine, as from any boot loader.
 :*/
SCRIPT(init);
SCRIPT(enter);
SCRIPT(lease);

/*L:228
 * A program, not a script: it runs commands for `lguest exec` in a guest with a name.
 :*/
__asm__(".pushsection .rodata\n"
	".globl guest_agent, guest_agent_end\n"
	"guest_agent:\n"
	".incbin \"boot/agent/agent\"\n"
	"guest_agent_end:\n"
	".byte 0\n"
	".popsection");

/*L:229
 * What the power button starts.
 :*/
SCRIPT(poweroff);
