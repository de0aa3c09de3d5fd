// SPDX-License-Identifier: GPL-2.0
/*
 * A module for a guest: instructions that ring 3 may not use, or not with their true
 * result, as a kernel uses them.  It prints what they give.  With the parameter
 * `last` it ends with one for which there is no answer, or leaves its stack.
 */
#include <linux/module.h>
#include <asm/asm.h>
#include <asm/desc.h>
#include <asm/msr.h>

static char *last;
module_param(last, charp, 0);

static void table_registers(void)
{
	struct desc_ptr gdt = {}, idt = {};
	u16 words[3] = { 1, 1, 1 };
	struct desc_ptr many[3] = {};
	long second = sizeof(many[0]);

	asm volatile("sgdt %0" : "=m" (gdt));
	asm volatile("sidt %0" : "=m" (idt));
	asm volatile("sldt %0" : "=m" (words[0]));
	asm volatile("str %0" : "=m" (words[1]));
	asm volatile("smsw %0" : "=m" (words[2]));
	pr_info("lg: gdt %#x %d, idt %#x %#lx\n", gdt.size,
		gdt.address == (unsigned long)get_current_gdt_rw(), idt.size, idt.address);
	pr_info("lg: ldt %#x tr %#x cr0 %#x\n", words[0], words[1], words[2]);
	/* An address of base, index and displacement. */
	asm volatile("sgdt 10(%1,%2)" : "+m" (many) : "r" (many), "r" (second));
	pr_info("lg: %d %d %d\n", many[0].size, many[1].size, many[2].size == gdt.size);
}

static void string_ports(void)
{
	u8 bytes[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	void *to = bytes, *from = bytes;
	unsigned long times = 3;

	asm volatile("rep insb" : "+D" (to), "+c" (times) : "d" (0x80) : "memory");
	asm volatile("insw" : "+D" (to) : "d" (0x80) : "memory");
	pr_info("lg: ins %8ph, %ld, %lu\n", bytes, (long)(to - (void *)bytes), times);
	times = 2;
	asm volatile("rep outsl" : "+S" (from), "+c" (times) : "d" (0x80) : "memory");
	pr_info("lg: outs %ld, %lu\n", (long)(from - (void *)bytes), times);
}

static void others(void)
{
	unsigned long cr4, dr7;
	u32 low = 1, high = 1;

	asm volatile("mov %%cr4, %0" : "=r" (cr4));
	asm volatile("mov %%dr7, %0" : "=r" (dr7));
	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (0x1a0));
	asm volatile("clts; wbinvd; invlpg (%0)" : : "r" (&low) : "memory");
	pr_info("lg: cr4 %#lx dr7 %#lx msr %u %u\n", cr4, dr7, low, high);
	/* A fault that Linux has in its table. */
	asm volatile("1: mov (%1), %0\n2:" _ASM_EXTABLE(1b, 2b)
		     : "+r" (low) : "r" (0x8000000000000000));
	pr_info("lg: no address %u\n", low);
}

/* Until the stack ends. */
static noinline int deeper(volatile int *above)
{
	volatile int here[64] = { *above + 1 };

	if (here[0] > 0)
		here[1] = deeper(here);
	return here[1];
}

static int __init begin(void)
{
	int depth = 0;

	table_registers();
	string_ports();
	others();
	if (last && !strcmp(last, "cli"))
		asm volatile(".globl here_is_cli\nhere_is_cli: cli");
	if (last && !strcmp(last, "hlt"))
		asm volatile("hlt");
	if (last && !strcmp(last, "cr3"))
		asm volatile("mov %0, %%cr3" : : "r" (0UL) : "memory");
	if (last && !strcmp(last, "stack"))
		return deeper(&depth);
	return 0;
}
module_init(begin);

MODULE_DESCRIPTION("Privileged instructions");
MODULE_LICENSE("GPL");
