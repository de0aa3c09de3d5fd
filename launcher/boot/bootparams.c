// SPDX-License-Identifier: GPL-2.0
/*
 * What a kernel must know before its first instruction: struct boot_params,
 * the "zero page" of Documentation/arch/x86/boot.rst, as a 64-bit boot loader
 * fills it.  The guest layer finds it by rsi.
 * Read next: initramfs.c.
 */
#include <asm/bootparam.h>
#include <string.h>

#include "lguest.h"
#include "load.h"

#define LOW_RAM_END	0x9fc00		/* where a PC's BIOS data begin */
#define RAM		1		/* the e820 type */

static bool write_command_line(const struct memory *memory, const char *devices,
			       const char *params)
{
	char line[COMMAND_LINE_MOST + 1];
	/* The user's parameters win because they come later. */
	int length = snprintf(line, sizeof(line), "%s%s%s", devices,
			      *devices && *params ? " " : "", params);

	if (length > COMMAND_LINE_MOST) {
		problem("the kernel's command line has %d characters: it takes %d; shorten -p",
			length, COMMAND_LINE_MOST);
		return false;
	}
	return memory_write(memory, COMMAND_LINE_AT, line, length + 1);
}

/*L:150
 * RAM as on a PC: the kernel keeps away from 640 KiB to 1 MiB without asking,
 * so it is not offered any.
 :*/
static void describe_memory(struct boot_params *params, uint64_t size)
{
	struct boot_e820_entry *low = &params->e820_table[0];
	struct boot_e820_entry *high = &params->e820_table[1];

	low->size = LOW_RAM_END;
	low->type = RAM;
	high->addr = HIGH_RAM_START;
	high->size = size - HIGH_RAM_START;
	high->type = RAM;
	params->e820_entries = 2;
}

static void describe_initrd(struct boot_params *params, const struct initrd *initrd)
{
	if (!initrd->size)
		return;
	params->hdr.ramdisk_image = (uint32_t)initrd->at.v;
	params->hdr.ramdisk_size = (uint32_t)initrd->size;
	params->ext_ramdisk_image = initrd->at.v >> 32;
	params->ext_ramdisk_size = initrd->size >> 32;
}

bool load_boot_params(const struct memory *memory, const char *devices,
		      const char *user_params, const struct initrd *initrd)
{
	struct boot_params params;

	if (!write_command_line(memory, devices, user_params))
		return false;
	memset(&params, 0, sizeof(params));
	params.hdr.boot_flag = 0xaa55;
	params.hdr.header = 0x53726448;		/* "HdrS" */
	params.hdr.version = 0x020f;
	params.hdr.type_of_loader = 0xff;	/* none of the listed ones */
	params.hdr.loadflags = LOADED_HIGH | KEEP_SEGMENTS;
	params.hdr.vid_mode = 0xffff;		/* normal; there is no screen */
	params.hdr.hardware_subarch = 0;
	params.hdr.cmd_line_ptr = COMMAND_LINE_AT.v;
	params.hdr.cmdline_size = COMMAND_LINE_MOST;
	describe_memory(&params, memory->size);
	describe_initrd(&params, initrd);
	return memory_write(memory, BOOT_PARAMS_AT, &params, sizeof(params));
}
