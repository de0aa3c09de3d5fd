/* SPDX-License-Identifier: GPL-2.0 */
/* From instruction bytes to what they mean; for emulate.c and mmio.c. */
#ifndef LGUEST_DECODE_H
#define LGUEST_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum meaning {
	INSN_UNKNOWN,		/* the guest gets its fault */
	INSN_SKIP,		/* has no effect */
	INSN_SKIP_LOUDLY,	/* the same, but worth a note */
	INSN_IN,		/* port in imm, or in dx if has_imm is false */
	INSN_OUT,
	INSN_RDMSR,
	INSN_WRMSR,
	INSN_RDPMC,
	INSN_FROM_CR,		/* number is the register, rm the general one */
	INSN_TO_CR,
	INSN_FROM_DR,
	INSN_TO_DR,
	INSN_STORE_SMSW,	/* store a constant in register rm */
	INSN_STORE_ZERO,
	/* Accesses to memory; width bytes there. */
	INSN_LOAD,		/* into register reg */
	INSN_LOAD_ZERO,		/* zero-extended to reg_width bytes */
	INSN_LOAD_SIGN,		/* sign-extended */
	INSN_STORE,		/* register reg */
	INSN_STORE_IMM,		/* imm */
};

struct insn {
	enum meaning meaning;
	uint8_t length;
	uint8_t width;		/* bytes of the operand */
	uint8_t reg_width;	/* bytes of the register, for loads */
	uint8_t reg;		/* 0 rax ... 15 r15, or CR/DR number */
	uint8_t rm;		/* general register named by ModRM.rm */
	bool high_byte;		/* reg is ah, ch, dh or bh of reg - 4 */
	bool memory;		/* ModRM names memory */
	bool has_imm;
	uint64_t imm;
};

#define INSN_LONGEST 15

/*
 * Decode one 64-bit mode instruction of at most size bytes.  False if it is
 * not one of those above, or if bytes are missing.
 */
bool decode(const uint8_t *bytes, size_t size, struct insn *insn);

#endif /* LGUEST_DECODE_H */
