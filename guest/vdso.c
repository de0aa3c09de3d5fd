// SPDX-License-Identifier: GPL-2.0
/*
 * The code that Linux lends its programs (vDSO).  Its getcpu() asks the CPU for its
 * number, by a segment's limit or RDPID, and gets the Host's.  Here it becomes the
 * system call of that name, which asks Linux.
 * Read next: irq.c.
 */
#include <linux/elf.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <asm/unistd.h>
#include "compat/vdso.h"
#include "layer.h"

/* In the order of enum kind: mov $number, %eax and what makes the call. */
enum kind { IS_64, IS_X32, IS_32 };

static const u8 code[][24] = {
	[IS_64] = { 0xb8, 0x35, 0x01, 0x00, 0x00,	/* 309 */
		    0x0f, 0x05, 0xc3 },
	[IS_X32] = { 0xb8, 0x35, 0x01, 0x00, 0x40,
		     0x0f, 0x05, 0xc3 },
	[IS_32] = { 0x53,				/* push %ebx */
		    0x8b, 0x5c, 0x24, 0x08,		/* mov 8(%esp), %ebx */
		    0x8b, 0x4c, 0x24, 0x0c,
		    0x8b, 0x54, 0x24, 0x10,
		    0xb8, 0x3e, 0x01, 0x00, 0x00,	/* 318 */
		    0xcd, 0x80, 0x5b, 0xc3 },
};

/*G:370
 * Where the function is: section headers, the table of dynamic symbols among them,
 * and the symbol in there.  The image is the kernel's own, so nothing is checked.
 */
#define FIND(bits)								\
static void *find_##bits(void *image, const char *name)				\
{										\
	Elf##bits##_Ehdr *header = image;					\
	Elf##bits##_Shdr *all = image + header->e_shoff, *section = all;	\
	Elf##bits##_Shdr *end = all + header->e_shnum;				\
	Elf##bits##_Sym *symbol;						\
										\
	while (section < end && section->sh_type != SHT_DYNSYM)			\
		section++;							\
	if (section == end)							\
		return NULL;							\
	symbol = image + section->sh_offset;					\
	for (; (void *)symbol < image + section->sh_offset + section->sh_size; symbol++) \
		if (!strcmp(image + all[section->sh_link].sh_offset + symbol->st_name, name)) \
			return image + symbol->st_value;			\
	return NULL;								\
}
FIND(64)
FIND(32)

/* True if programs of 64 bits ask Linux now. */
static bool ask_linux(const struct vdso_image *image)
{
	Elf32_Ehdr *header = image->data;
	enum kind kind = header->e_machine == EM_386 ? IS_32 :
			 header->e_ident[EI_CLASS] == ELFCLASS32 ? IS_X32 : IS_64;
	void *at = kind == IS_64 ? find_64(header, "__vdso_getcpu") :
				   find_32(header, "__vdso_getcpu");

	if (at)
		memcpy(at, code[kind], kind == IS_32 ? 22 : 8);
	return at && kind == IS_64;
}

/**
 * setup_vdso() - no program shall see the Host's CPU number
 *
 * Called among the initcalls: Linux has patched the images, and not yet made them
 * read-only.
 */
void setup_vdso(void)
{
	bool found = false;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vdso_images); i++)
		found |= vdso_images[i] && ask_linux(vdso_images[i]);
	if (!found)
		pr_err("lguest: getcpu() of the vDSO was not found, and gives the Host's CPU number\n");
}
