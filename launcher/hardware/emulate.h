/* SPDX-License-Identifier: GPL-2.0 */
/* What the launcher does for instructions that the CPU refused the guest. */
#ifndef LGUEST_EMULATE_H
#define LGUEST_EMULATE_H

#include <lguest/device.h>
#include <stdint.h>

#include "decode.h"

/*
 * Deal with a TRAP record or an MMIO record: either the instruction is done
 * and rip behind it, or the guest takes a fault.  0 or a negative errno.
 */
int emulate_trap(int fd, const struct lguest_exit *exit);
int emulate_mmio(int fd, const struct lguest_exit *exit);

/* Shared by both: registers by number (0 rax ... 15 r15). */
int get_register(int fd, unsigned int number, uint64_t *value);
int set_register(int fd, unsigned int number, uint64_t value);
/* Put width bytes into a register as a move does: 4 clear the upper half. */
int put_register(int fd, unsigned int number, unsigned int width,
		 bool high_byte, uint64_t value);
int finish_instruction(int fd, const struct insn *insn);
/* The guest takes #GP for it; -v tells.  Of device memory its kernel has no idea. */
int refuse_instruction(int fd, const struct lguest_exit *exit);

#endif /* LGUEST_EMULATE_H */
