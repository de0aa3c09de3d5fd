// SPDX-License-Identifier: GPL-2.0
/*
 * A decoder for the few instructions that reach the launcher: those that the
 * CPU refuses to a kernel at ring 3 (emulate.c), and plain moves to and from
 * device memory (mmio.c).  Two tables, one per opcode map, say what follows an
 * opcode and what it means; SDM volume 2, chapter 2 and appendix A.
 *
 *	[prefixes] [REX] opcode [ModRM [SIB] [displacement]] [immediate]
 *
 * Read next: mmio.c.
 */
#include <string.h>

#include "decode.h"

/* How an entry of the tables is to be read. */
#define BYTE_OP		0x01	/* operand of one byte, whatever the prefixes */
#define MODRM		0x02
#define IMM8		0x04	/* a port */
#define IMM_OPERAND	0x08	/* of the operand's size, at most 4 bytes */
#define MOFFS		0x10	/* an address, and rax as the register */
#define MEMORY_ONLY	0x20	/* ModRM must name memory ... */
#define ZERO_REG_FIELD	0x40	/* ... and must have reg = 0 */
#define WORD_SOURCE	0x80	/* movzx, movsx: 2 bytes in memory */
#define REGISTERS	0x100	/* ModRM whose mod counts as 3, 8 bytes */

struct opcode {
	uint8_t code;
	uint8_t meaning;
	uint16_t flags;
};

static const struct opcode one_byte[] = {
	{ 0xe4, INSN_IN, BYTE_OP | IMM8 },
	{ 0xe5, INSN_IN, IMM8 },
	{ 0xe6, INSN_OUT, BYTE_OP | IMM8 },
	{ 0xe7, INSN_OUT, IMM8 },
	{ 0xec, INSN_IN, BYTE_OP },
	{ 0xed, INSN_IN, 0 },
	{ 0xee, INSN_OUT, BYTE_OP },
	{ 0xef, INSN_OUT, 0 },
	{ 0x88, INSN_STORE, BYTE_OP | MODRM | MEMORY_ONLY },
	{ 0x89, INSN_STORE, MODRM | MEMORY_ONLY },
	{ 0x8a, INSN_LOAD, BYTE_OP | MODRM | MEMORY_ONLY },
	{ 0x8b, INSN_LOAD, MODRM | MEMORY_ONLY },
	{ 0xa0, INSN_LOAD, BYTE_OP | MOFFS },
	{ 0xa1, INSN_LOAD, MOFFS },
	{ 0xa2, INSN_STORE, BYTE_OP | MOFFS },
	{ 0xa3, INSN_STORE, MOFFS },
	{ 0xc6, INSN_STORE_IMM, BYTE_OP | MODRM | MEMORY_ONLY | ZERO_REG_FIELD | IMM_OPERAND },
	{ 0xc7, INSN_STORE_IMM, MODRM | MEMORY_ONLY | ZERO_REG_FIELD | IMM_OPERAND },
};

static const struct opcode two_byte[] = {
	{ 0x06, INSN_SKIP, 0 },				/* clts */
	{ 0x08, INSN_SKIP, 0 },				/* invd */
	{ 0x09, INSN_SKIP, 0 },				/* wbinvd, wbnoinvd */
	{ 0x20, INSN_FROM_CR, REGISTERS },
	{ 0x21, INSN_FROM_DR, REGISTERS },
	{ 0x22, INSN_TO_CR, REGISTERS },
	{ 0x23, INSN_TO_DR, REGISTERS },
	{ 0x30, INSN_WRMSR, 0 },
	{ 0x32, INSN_RDMSR, 0 },
	{ 0x33, INSN_RDPMC, 0 },
	{ 0xb6, INSN_LOAD_ZERO, BYTE_OP | MODRM | MEMORY_ONLY },
	{ 0xb7, INSN_LOAD_ZERO, WORD_SOURCE | MODRM | MEMORY_ONLY },
	{ 0xbe, INSN_LOAD_SIGN, BYTE_OP | MODRM | MEMORY_ONLY },
	{ 0xbf, INSN_LOAD_SIGN, WORD_SOURCE | MODRM | MEMORY_ONLY },
};

/*
 * 0f 00 and 0f 01 are groups: ModRM.reg chooses, and often whether ModRM
 * names memory.  A group's instructions have no other bytes.
 */
#define IN_MEMORY	1
#define IN_REGISTER	2
#define EITHER		3

struct group {
	uint8_t code;
	uint8_t reg;
	uint8_t where;
	uint8_t meaning;
};

static const struct group groups[] = {
	{ 0x00, 0, IN_REGISTER, INSN_STORE_ZERO },	/* sldt */
	{ 0x00, 1, IN_REGISTER, INSN_STORE_ZERO },	/* str */
	{ 0x00, 2, EITHER, INSN_SKIP },			/* lldt */
	{ 0x00, 3, EITHER, INSN_SKIP },			/* ltr */
	{ 0x01, 2, IN_MEMORY, INSN_SKIP },		/* lgdt */
	{ 0x01, 3, IN_MEMORY, INSN_SKIP },		/* lidt */
	{ 0x01, 4, IN_REGISTER, INSN_STORE_SMSW },
	{ 0x01, 6, EITHER, INSN_SKIP },			/* lmsw */
	{ 0x01, 7, IN_MEMORY, INSN_SKIP_LOUDLY },	/* invlpg */
};

#define XSETBV_MODRM	0xd1	/* 0f 01 d1: reg 2, rm 1 */

/* The state of one decode: what is left, and what the prefixes said. */
struct reader {
	const uint8_t *at, *end;
	bool failed;		/* ran out of bytes, or met what we refuse */
	bool short_operand;	/* 66 */
	bool short_address;	/* 67 */
	bool repeat;		/* f2 or f3 */
	uint8_t rex;		/* 0: none */
};

#define REX_W	8
#define REX_R	4
#define REX_B	1

static uint8_t next(struct reader *r)
{
	if (r->at == r->end) {
		r->failed = true;
		return 0;
	}
	return *r->at++;
}

/* A little-endian number of 0 to 8 bytes. */
static uint64_t number(struct reader *r, unsigned int bytes)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < bytes; i++)
		value |= (uint64_t)next(r) << (8 * i);
	return value;
}

static uint64_t sign_extend(uint64_t value, unsigned int bytes)
{
	unsigned int shift = 64 - 8 * bytes;

	return (uint64_t)((int64_t)(value << shift) >> shift);
}

/*L:430
 * Prefixes come in any order; REX counts only right before the opcode.  LOCK
 * makes each of our instructions illegal.  Returns the opcode's first byte.
 :*/
static uint8_t prefixes(struct reader *r)
{
	for (;;) {
		uint8_t byte = next(r);

		switch (byte) {
		case 0x66:
			r->short_operand = true;
			break;
		case 0x67:
			r->short_address = true;
			break;
		case 0xf2:
		case 0xf3:
			r->repeat = true;
			break;
		case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
			break;
		case 0xf0:
			r->failed = true;
			return 0;
		default:
			if ((byte & 0xf0) != 0x40)
				return byte;
			r->rex = byte;
			continue;
		}
		r->rex = 0;
		if (r->failed)
			return 0;
	}
}

static unsigned int operand_width(const struct reader *r, uint16_t flags)
{
	if (flags & BYTE_OP)
		return 1;
	if (r->rex & REX_W)
		return 8;
	return r->short_operand ? 2 : 4;
}

static void registers(const struct reader *r, struct insn *insn, uint8_t byte)
{
	insn->reg = (byte >> 3 & 7) | (r->rex & REX_R ? 8 : 0);
	insn->rm = (byte & 7) | (r->rex & REX_B ? 8 : 0);
}

/*
 * ModRM: mod (7-6), reg (5-3), rm (2-0).  rm = 4 means a SIB byte follows;
 * mod 1 and 2 bring 1 and 4 bytes of displacement; mod 0 brings 4 with rm = 5
 * (relative to rip) or with SIB base 5.  mod 3 is a register.
 */
static uint8_t modrm(struct reader *r, struct insn *insn)
{
	uint8_t byte = next(r), mod = byte >> 6, rm = byte & 7;
	unsigned int displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	registers(r, insn, byte);
	insn->memory = mod != 3;
	if (!insn->memory)
		return byte;
	if (rm == 4) {
		uint8_t base = next(r) & 7;

		if (mod == 0 && base == 5)
			displacement = 4;
	} else if (mod == 0 && rm == 5) {
		displacement = 4;
	}
	number(r, displacement);
	return byte;
}

/* Without REX, byte registers 4 to 7 are ah, ch, dh and bh. */
static void name_byte_register(const struct reader *r, struct insn *insn)
{
	if (insn->reg_width == 1 && !r->rex && insn->reg >= 4) {
		insn->reg -= 4;
		insn->high_byte = true;
	}
}

static bool opcode(struct reader *r, const struct opcode *op, struct insn *insn)
{
	unsigned int width = operand_width(r, op->flags);

	insn->meaning = op->meaning;
	insn->width = op->flags & WORD_SOURCE ? 2 : width;
	insn->reg_width = width;
	if (op->meaning == INSN_LOAD_ZERO || op->meaning == INSN_LOAD_SIGN)
		insn->reg_width = operand_width(r, 0);
	if (op->flags & MODRM)
		modrm(r, insn);
	if ((op->flags & MEMORY_ONLY) && !insn->memory)
		return false;
	if ((op->flags & ZERO_REG_FIELD) && (insn->reg & 7))
		return false;
	if (op->flags & MOFFS) {
		number(r, r->short_address ? 4 : 8);
		insn->memory = true;
	}
	if (op->flags & IMM8) {
		insn->imm = next(r);
		insn->has_imm = true;
	}
	if (op->flags & IMM_OPERAND) {
		unsigned int bytes = width < 4 ? width : 4;

		insn->imm = sign_extend(number(r, bytes), bytes);
		insn->has_imm = true;
	}
	/* No port is wider than 4 bytes. */
	if ((op->meaning == INSN_IN || op->meaning == INSN_OUT) && width == 8)
		insn->width = 4;
	if (op->flags & REGISTERS) {
		registers(r, insn, next(r));
		insn->width = 8;
	}
	name_byte_register(r, insn);
	return true;
}

static bool find(struct reader *r, const struct opcode *table, size_t entries,
		 uint8_t code, struct insn *insn)
{
	size_t i;

	for (i = 0; i < entries; i++)
		if (table[i].code == code)
			return opcode(r, &table[i], insn);
	return false;
}

static bool find_group(struct reader *r, uint8_t code, struct insn *insn)
{
	uint8_t byte = modrm(r, insn);
	uint8_t where = insn->memory ? IN_MEMORY : IN_REGISTER;
	size_t i;

	insn->width = operand_width(r, 0);
	if (code == 0x01 && byte == XSETBV_MODRM) {
		insn->meaning = INSN_SKIP;
		return true;
	}
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (groups[i].code != code || groups[i].reg != (byte >> 3 & 7) ||
		    !(groups[i].where & where))
			continue;
		insn->meaning = groups[i].meaning;
		return true;
	}
	return false;
}

#define ENTRIES(table) (sizeof(table) / sizeof((table)[0]))

bool decode(const uint8_t *bytes, size_t size, struct insn *insn)
{
	struct reader r = { .at = bytes };
	uint8_t code;
	bool known;

	memset(insn, 0, sizeof(*insn));
	r.end = bytes + (size < INSN_LONGEST ? size : INSN_LONGEST);
	code = prefixes(&r);
	if (r.failed)
		return false;
	if (code != 0x0f) {
		known = find(&r, one_byte, ENTRIES(one_byte), code, insn);
	} else {
		code = next(&r);
		if (code <= 0x01)
			known = find_group(&r, code, insn);
		else
			known = find(&r, two_byte, ENTRIES(two_byte), code, insn);
	}
	/* A repeated move to memory does not exist (xacquire and friends). */
	if (r.repeat && insn->memory)
		known = false;
	if (!known || r.failed) {
		memset(insn, 0, sizeof(*insn));
		return false;
	}
	insn->length = r.at - bytes;
	return true;
}
