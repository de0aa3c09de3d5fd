// SPDX-License-Identifier: GPL-2.0
/*
 * A driver tells a device that there is work by storing a number to a register
 * of it.  When an eventfd is attached to that address and number, the store is
 * done here: the guest goes on at once, and the launcher's device thread wakes
 * up.  Only what compilers make of a 32-bit register write is understood; any
 * other instruction goes to the launcher as every access to a device does.
 */
#include "lg.h"

#define MOV_REGISTER	0x89	/* mov r32 to r/m32 */
#define MOV_IMMEDIATE	0xc7	/* mov imm32 to r/m32, with reg = 0 */
#define REX_R		4
#define REX_W		8

/* General registers by their number in an instruction. */
static u32 register_value(struct lg_cpu *cpu, unsigned int number)
{
	const struct user_regs_struct *regs = regs_of(cpu);

	switch (number) {
	case 0: return regs->ax;
	case 1: return regs->cx;
	case 2: return regs->dx;
	case 3: return regs->bx;
	case 4: return regs->sp;
	case 5: return regs->bp;
	case 6: return regs->si;
	case 7: return regs->di;
	case 8: return regs->r8;
	case 9: return regs->r9;
	case 10: return regs->r10;
	case 11: return regs->r11;
	case 12: return regs->r12;
	case 13: return regs->r13;
	case 14: return regs->r14;
	default: return regs->r15;
	}
}

/*
 * Bytes of ModRM, SIB and displacement (SDM 2A, table 2-2), or 0 if ModRM names
 * a register:
 *	mod (7-6)  0: none, 1: 1 byte, 2: 4 bytes of displacement, 3: register
 *	rm (2-0)   4: a SIB byte follows; 5 with mod 0: 4 bytes, relative to rip
 */
static size_t operand_length(const u8 *modrm, size_t left)
{
	unsigned int mod = modrm[0] >> 6, rm = modrm[0] & 7;
	size_t length = 1;

	if (mod == 3)
		return 0;
	if (rm == 4) {
		if (left < 2)
			return 0;
		length++;
		if (mod == 0 && (modrm[1] & 7) == 5)
			length += 4;
	} else if (mod == 0 && rm == 5) {
		length += 4;
	}
	return length + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

/* The length of a 32-bit store, with what it stores; 0 if it is anything else. */
static size_t decode_store(struct lg_cpu *cpu, const u8 *insn, size_t size,
			   u32 *value)
{
	size_t at = 0, operand;
	u8 rex = 0, opcode;

	if (size && (insn[0] & 0xf0) == 0x40)
		rex = insn[at++];
	if (rex & REX_W || size < at + 2)
		return 0;
	opcode = insn[at++];
	operand = operand_length(insn + at, size - at);
	if (!operand || size - at < operand)
		return 0;
	if (opcode == MOV_REGISTER) {
		*value = register_value(cpu, (insn[at] >> 3 & 7) |
					(rex & REX_R ? 8 : 0));
		return at + operand;
	}
	if (opcode != MOV_IMMEDIATE || insn[at] >> 3 & 7 ||
	    size - at - operand < sizeof(*value))
		return 0;
	memcpy(value, insn + at + operand, sizeof(*value));
	return at + operand + sizeof(*value);
}

/**
 * notify_by_store() - do a store to a device, if an eventfd is there for it
 * @cpu: the vCPU, which took a page fault at it
 * @gpa: the device address
 * @error: of the fault
 *
 * Return: true if it is done; false: see what else the access may be.
 */
bool notify_by_store(struct lg_cpu *cpu, u64 gpa, u32 error)
{
	struct user_regs_struct *regs = regs_of(cpu);
	u8 insn[15];
	size_t size;
	u32 value;

	if (!(error & X86_PF_WRITE) || !device_eventfd_at(cpu->lg, gpa))
		return false;
	size = read_virtual(cpu, regs->ip, insn, sizeof(insn));
	size = decode_store(cpu, insn, size, &value);
	if (!size || !canonical(regs->ip + size) ||
	    !signal_device_eventfd(cpu->lg, gpa, value))
		return false;
	regs->ip += size;
	/* The bytes read were enough, even if more could not be. */
	memset(&cpu->need, 0, sizeof(cpu->need));
	return true;
}
