// SPDX-License-Identifier: GPL-2.0
/*
 * Privileged instructions in paths that no boot takes.  The Host lets the launcher
 * do most of those that Linux uses without an operation; here is what needs more
 * than registers, and what is said of one that nobody does.
 * Read next: absent.c.
 */
#include <linux/kdebug.h>
#include <linux/kernel.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <asm/desc.h>
#include <asm/ia32.h>
#include <asm/insn-eval.h>
#include <asm/insn.h>
#include "layer.h"

/*G:350
 * To emulate an instruction of a 32-bit program (UMIP's are, see cpuid.c), Linux
 * looks for its segments in the GDT that SGDT names.  Here that is the Host's, or
 * a fault; so its function becomes this one, which knows the guest's own.  (Where the
 * function has another name SGDT still is emulated, below, if the Host has UMIP.)
:*/
extern char get_desc[] __weak;

static bool lguest_get_desc(struct desc_struct *desc, unsigned short selector)
{
	unsigned int n = selector >> 3, tls = n - GDT_ENTRY_TLS_MIN;

	if (selector & SEGMENT_TI_MASK || n >= GDT_ENTRIES)
		return false;
	if (tls < GDT_ENTRY_TLS_ENTRIES)
		*desc = current->thread.tls_array[tls];
	else
		*desc = get_current_gdt_rw()[n];
	return true;
}

/*G:355
 * The five that UMIP takes from ring 3, with a result in memory: Linux reports an
 * oops with some.  In registers the launcher does them.
 */
static size_t table_register(const struct insn *insn, void *result)
{
	struct desc_ptr table = { .size = GDT_SIZE - 1,
				  .address = (unsigned long)get_current_gdt_rw() };
	u16 word = 0;

	switch (insn->opcode.bytes[1] << 4 | X86_MODRM_REG(insn->modrm.value)) {
	case 0x010:		/* sgdt */
		break;
	case 0x011:		/* sidt: nobody looks what is there */
		table = (struct desc_ptr){};
		break;
	case 0x014:		/* smsw */
		word = pv_ops.cpu.read_cr0();
		fallthrough;
	case 0x000:		/* sldt: there is none */
	case 0x001:		/* str */
		memcpy(result, &word, sizeof(word));
		return sizeof(word);
	default:
		return 0;
	}
	memcpy(result, &table, sizeof(table));
	return sizeof(table);
}

static bool store_table_register(struct insn *insn, struct pt_regs *regs)
{
	u8 result[sizeof(struct desc_ptr)];
	size_t size = 0;

	if (insn->opcode.nbytes == 2 && insn->opcode.bytes[0] == 0x0f &&
	    insn->opcode.bytes[1] <= 1 && X86_MODRM_MOD(insn->modrm.value) != 3)
		size = table_register(insn, result);
	if (!size || copy_to_kernel_nofault(insn_get_addr_ref(insn, regs), result, size))
		return false;
	regs->ip += insn->length;
	return true;
}

/* INS and OUTS: what the launcher does for IN and OUT, but in memory, and often. */
static bool string_port(struct insn *insn, struct pt_regs *regs)
{
	unsigned int width = insn->opcode.bytes[0] & 1 ? min(insn->opnd_bytes, (u8)4) : 1;
	unsigned long times = insn_has_rep_prefix(insn) ? regs->cx : 1, i;
	bool in = insn->opcode.bytes[0] < 0x6e;
	const u8 nothing_there = 0xff;

	if (insn->opcode.nbytes != 1 || (insn->opcode.bytes[0] & 0xfc) != 0x6c ||
	    times > PAGE_SIZE || regs->flags & X86_EFLAGS_DF)
		return false;
	for (i = 0; in && i < times * width; i++)
		if (copy_to_kernel_nofault((u8 *)regs->di + i, &nothing_there, 1))
			return false;
	if (in)
		regs->di += times * width;
	else
		regs->si += times * width;
	if (insn_has_rep_prefix(insn))
		regs->cx = 0;
	regs->ip += insn->length;
	return true;
}

/*
 * Those that ring 3 may not, and for which there is no answer: opcode, and a field
 * of ModRM or all of it, where these say which one it is.
 */
static const struct privileged {
	const char *name;
	u8 opcode[3];
	u8 mask, modrm;
} privileged[] = {
	{ "ins", { 0x6c } }, { "ins", { 0x6d } },
	{ "outs", { 0x6e } }, { "outs", { 0x6f } },
	{ "hlt", { 0xf4 } }, { "cli", { 0xfa } }, { "sti", { 0xfb } },
	{ "wrmsrns", { 0x0f, 0x01 }, 0xff, 0xc6 },
	{ "swapgs", { 0x0f, 0x01 }, 0xff, 0xf8 },
	{ "tlbsync", { 0x0f, 0x01 }, 0xff, 0xff },
	{ "invlpgb", { 0x0f, 0x01 }, 0xff, 0xfe },
	{ "sysret", { 0x0f, 0x07 } }, { "sysexit", { 0x0f, 0x35 } },
	{ "sysenter", { 0x0f, 0x34 } },
	{ "mov from cr", { 0x0f, 0x20 } }, { "mov to cr", { 0x0f, 0x22 } },
	{ "mov from dr", { 0x0f, 0x21 } }, { "mov to dr", { 0x0f, 0x23 } },
	{ "invpcid", { 0x0f, 0x38, 0x82 } },
	{ "xrstors", { 0x0f, 0xc7 }, 0x38, 3 << 3 },
	{ "xsaves", { 0x0f, 0xc7 }, 0x38, 5 << 3 },
};

static const char *name_of(const struct insn *insn)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(privileged); i++)
		if (!memcmp(insn->opcode.bytes, privileged[i].opcode, 3) &&
		    (insn->modrm.value & privileged[i].mask) == privileged[i].modrm)
			return privileged[i].name;
	return NULL;
}

/* #GP(0) of the kernel that Linux's exception table does not know. */
static int no_fixup(struct notifier_block *self, unsigned long event, void *data)
{
	struct die_args *die = data;
	u8 bytes[MAX_INSN_SIZE];
	struct insn insn;
	const char *name;

	if (event != DIE_GPF || user_mode(die->regs) || die->err ||
	    copy_from_kernel_nofault(bytes, (void *)die->regs->ip, sizeof(bytes)) ||
	    insn_decode(&insn, bytes, sizeof(bytes), INSN_MODE_64))
		return NOTIFY_DONE;
	if (store_table_register(&insn, die->regs) || string_port(&insn, die->regs))
		return NOTIFY_STOP;
	name = name_of(&insn);
	if (name)
		pr_emerg("lguest: no guest kernel can use `%s', as that at %pS does\n",
			 name, (void *)die->regs->ip);
	return NOTIFY_DONE;
}

static struct notifier_block no_fixup_block = {
	.notifier_call	= no_fixup,
};

/*G:358
 * SYSENTER of a 32-bit program; see entry.S.
 */
void *linux_general_protection;

/**
 * lguest_is_sysenter() - what was this general protection fault?
 * @frame: of the fault
 *
 * Return: 1 if it is a system call, 0 if it is Linux's.
 */
int lguest_is_sysenter(struct fault_frame *frame);

int lguest_is_sysenter(struct fault_frame *frame)
{
	static const u8 sysenter[] = { 0x0f, 0x34 };
	u8 bytes[2];

	return ia32_enabled() && frame->cs == __USER32_CS && !frame->error &&
	       !copy_from_user_nofault(bytes, (void __user *)frame->ip, sizeof(bytes)) &&
	       !memcmp(bytes, sysenter, sizeof(bytes));
}

/**
 * setup_privileged() - instructions that no operation of Linux's stands for
 */
void setup_privileged(void)
{
	patch_jump(get_desc, lguest_get_desc);
	register_die_notifier(&no_fixup_block);
}
