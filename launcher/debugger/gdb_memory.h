/* SPDX-License-Identifier: GPL-2.0 */
/* The guest as a debugger sees it: a vCPU's registers, and memory by that vCPU's tables. */
#ifndef LGUEST_GDB_MEMORY_H
#define LGUEST_GDB_MEMORY_H

#include "hardware/guest.h"

#define GDB_BREAKPOINTS_MOST	256

struct gdb_memory {
	struct guest *guest;
	unsigned int vcpu;	/* the one that is looked at */
	struct gdb_breakpoint {
		uint64_t address;
		gpa_t at;
		uint8_t original;
		bool in;	/* else it was there; or with address 0, nothing */
	} breakpoints[GDB_BREAKPOINTS_MOST];
};

/*
 * All of it on vCPU 0's thread, while all others stand, but for gdb_hit().
 * Registers as in hardware/host.h.
 */
int gdb_get_register(const struct gdb_memory *m, size_t offset, uint64_t *value);
int gdb_set_register(const struct gdb_memory *m, size_t offset, uint64_t value);
/* How many bytes were copied: fewer than size where the guest has no memory. */
size_t gdb_read(struct gdb_memory *m, uint64_t address, void *to, size_t size);
size_t gdb_write(struct gdb_memory *m, uint64_t address, const void *from, size_t size);

/* Breakpoints, in the guest's kernel; false if it has no code there, or there are too many. */
bool gdb_insert(struct gdb_memory *m, uint64_t address);
void gdb_remove(struct gdb_memory *m, uint64_t address);
void gdb_remove_all(struct gdb_memory *m);

/* On the thread of a vCPU that trapped at this rip: did it come to a breakpoint, or ... */
enum gdb_hit {
	GDB_NO_HIT,
	GDB_HIT,
	GDB_HIT_GONE,	/* to one that has been removed meanwhile: go on from there */
} gdb_hit(struct gdb_memory *m, uint64_t rip);

#endif /* LGUEST_GDB_MEMORY_H */
