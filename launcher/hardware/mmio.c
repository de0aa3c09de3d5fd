// SPDX-License-Identifier: GPL-2.0
/*
 * Device memory: guest-physical addresses that are not RAM.  The Host hands
 * over the address and the instruction; a move of 1, 2, 4 or 8 bytes is done
 * here on the device that lies there, everything else is the guest's fault.
 * An address without a device reads as all ones and takes any write.
 * Read next: jail/confine.c.
 */
#include <errno.h>

#include "emulate.h"
#include "host.h"
#include "mmio.h"

static const struct device_memory *devices;

void mmio_add(struct device_memory *device)
{
	device->next = devices;
	devices = device;
}

uint64_t mmio_limit(uint64_t ram_size)
{
	const struct device_memory *d;
	uint64_t limit = ram_size;

	for (d = devices; d; d = d->next)
		if (limit < d->start.v + d->size)
			limit = d->start.v + d->size;
	return limit;
}

static const struct device_memory *find(uint64_t address, unsigned int width)
{
	const struct device_memory *d;

	for (d = devices; d; d = d->next)
		if (address >= d->start.v && address - d->start.v < d->size &&
		    width <= d->size - (address - d->start.v))
			return d;
	return NULL;
}

static uint64_t mmio_read(uint64_t address, unsigned int width)
{
	const struct device_memory *d = find(address, width);

	return d ? d->read(d, address - d->start.v, width) : ~0ULL;
}

static void mmio_write(uint64_t address, unsigned int width, uint64_t value)
{
	const struct device_memory *d = find(address, width);

	if (d)
		d->write(d, address - d->start.v, width, value);
}

static uint64_t extend(uint64_t value, unsigned int width, bool sign)
{
	unsigned int shift = 64 - 8 * width;

	value <<= shift;
	return sign ? (uint64_t)((int64_t)value >> shift) : value >> shift;
}

static int load(int fd, const struct insn *insn, uint64_t address)
{
	uint64_t value = extend(mmio_read(address, insn->width), insn->width,
				insn->meaning == INSN_LOAD_SIGN);

	return put_register(fd, insn->reg, insn->reg_width, insn->high_byte, value);
}

static int store(int fd, const struct insn *insn, uint64_t address)
{
	uint64_t value = insn->imm;
	int error = 0;

	if (insn->meaning == INSN_STORE)
		error = get_register(fd, insn->reg, &value);
	if (error)
		return error;
	if (insn->high_byte)
		value >>= 8;
	mmio_write(address, insn->width, extend(value, insn->width, false));
	return 0;
}

int emulate_mmio(int fd, const struct lguest_exit *exit)
{
	bool write = exit->access & LGUEST_ACCESS_WRITE;
	struct insn insn;
	int error;

	if ((exit->access & LGUEST_ACCESS_FETCH) ||
	    !decode(exit->insn, exit->insn_len, &insn))
		return refuse_instruction(fd, exit);
	switch (insn.meaning) {
	case INSN_LOAD:
	case INSN_LOAD_ZERO:
	case INSN_LOAD_SIGN:
		error = write ? -ENOSYS : load(fd, &insn, exit->value);
		break;
	case INSN_STORE:
	case INSN_STORE_IMM:
		error = write ? store(fd, &insn, exit->value) : -ENOSYS;
		break;
	default:
		error = -ENOSYS;
	}
	if (error == -ENOSYS)
		return refuse_instruction(fd, exit);
	return error ? error : finish_instruction(fd, &insn);
}
