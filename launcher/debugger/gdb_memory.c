// SPDX-License-Identifier: GPL-2.0
/*
 * What a debugger reads and writes: guest memory by virtual address, without
 * the breakpoints that are in it.  The tables are the guest's, and may hold
 * anything: every address that comes of them is checked by memory.c.
 * Read next: command/manual.c.
 */
#include <string.h>

#include "gdb_memory.h"
#include "hardware/host.h"

#define PRESENT		1ULL
#define LARGE		0x80ULL
#define FRAME		0x000ffffffffff000ULL
#define KERNEL_MAP	0xffffffff80000000ULL	/* __START_KERNEL_map */
/* Privileged, so that the guest traps to us, and of one byte. */
#define HLT		0xf4

/* Only a vCPU's own thread may ask for its registers, and set them. */
struct access {
	size_t offset;
	uint64_t value;
};

static int get(struct guest *guest, void *with)
{
	struct access *a = with;

	return host_get_register(guest->fd, a->offset, &a->value);
}

static int set(struct guest *guest, void *with)
{
	const struct access *a = with;

	return host_set_register(guest->fd, a->offset, a->value);
}

int gdb_get_register(const struct gdb_memory *m, size_t offset, uint64_t *value)
{
	struct access a = { .offset = offset };
	int error = vcpu_do(m->guest, m->vcpu, get, &a);

	*value = a.value;
	return error;
}

int gdb_set_register(const struct gdb_memory *m, size_t offset, uint64_t value)
{
	struct access a = { offset, value };

	return vcpu_do(m->guest, m->vcpu, set, &a);
}

/*L:450
 * Before the guest has tables, virtual is physical, and its symbols are of no
 * use.  We know better: Linux maps itself at KERNEL_MAP, from physical 0 on, and so
 * a breakpoint in any function can be set before the first instruction.
 :*/
static gpa_t translate_linear(uint64_t address)
{
	return GPA(address >= KERNEL_MAP ? address - KERNEL_MAP : address);
}

static bool walk(const struct gdb_memory *m, uint64_t table, uint64_t address, gpa_t *at)
{
	uint64_t entry = 0;
	int level;

	if (table == ~0ULL) {
		*at = translate_linear(address);
		return true;
	}
	if ((uint64_t)((int64_t)(address << 16) >> 16) != address)
		return false;
	for (level = 4; level >= 1; level--) {
		unsigned int shift = 12 + 9 * (level - 1);

		table += (address >> shift & 511) * sizeof(entry);
		if (!memory_read(&m->guest->memory, GPA(table), &entry, sizeof(entry)) ||
		    !(entry & PRESENT))
			return false;
		table = entry & FRAME;
		if (level == 1 || (level < 4 && (entry & LARGE))) {
			uint64_t inside = (1ULL << shift) - 1;

			*at = GPA((table & ~inside) | (address & inside));
			return true;
		}
	}
	return false;
}

static bool translate(const struct gdb_memory *m, uint64_t address, gpa_t *at)
{
	uint64_t table;

	return !gdb_get_register(m, LHREG_CR3, &table) && walk(m, table, address, at);
}

/* Of a range, what lies in one page. */
static size_t in_page(uint64_t address, size_t size)
{
	size_t left = MEMORY_PAGE - address % MEMORY_PAGE;

	return size < left ? size : left;
}

/* Breakpoints in what was read give way to what they hide, ... */
static void hide_breakpoints(const struct gdb_memory *m, gpa_t at, uint8_t *bytes, size_t size)
{
	const struct gdb_breakpoint *b;

	for (b = m->breakpoints; b < m->breakpoints + GDB_BREAKPOINTS_MOST; b++)
		if (b->in && b->at.v >= at.v && b->at.v - at.v < size)
			bytes[b->at.v - at.v] = b->original;
}

/* ... and stay where it is overwritten. */
static void keep_breakpoints(struct gdb_memory *m, gpa_t at, const uint8_t *bytes, size_t size)
{
	static const uint8_t hlt = HLT;
	struct gdb_breakpoint *b;

	for (b = m->breakpoints; b < m->breakpoints + GDB_BREAKPOINTS_MOST; b++) {
		if (!b->in || b->at.v < at.v || b->at.v - at.v >= size)
			continue;
		b->original = bytes[b->at.v - at.v];
		memory_write(&m->guest->memory, b->at, &hlt, 1);
	}
}

size_t gdb_read(struct gdb_memory *m, uint64_t address, void *to, size_t size)
{
	size_t done = 0, part;
	gpa_t at;

	for (; done < size; done += part) {
		uint8_t *bytes = (uint8_t *)to + done;

		part = in_page(address + done, size - done);
		if (!translate(m, address + done, &at) ||
		    !memory_read(&m->guest->memory, at, bytes, part))
			break;
		hide_breakpoints(m, at, bytes, part);
	}
	return done;
}

size_t gdb_write(struct gdb_memory *m, uint64_t address, const void *from, size_t size)
{
	size_t done = 0, part;
	gpa_t at;

	for (; done < size; done += part) {
		const uint8_t *bytes = (const uint8_t *)from + done;

		part = in_page(address + done, size - done);
		if (!translate(m, address + done, &at) ||
		    !memory_write(&m->guest->memory, at, bytes, part))
			break;
		keep_breakpoints(m, at, bytes, part);
	}
	return done;
}

/*
 * A place in the table: that of this address, or else one that nothing is in; the
 * search for a free one begins behind those that were removed last.
 */
static struct gdb_breakpoint *find(struct gdb_memory *m, uint64_t address)
{
	struct gdb_breakpoint *b, *free = NULL;

	for (b = m->breakpoints; b < m->breakpoints + GDB_BREAKPOINTS_MOST; b++) {
		if (b->address == address && b->address)
			return b;
		if (!b->in && (!free || (free->address && !b->address)))
			free = b;
	}
	return free;
}

/* In the lower half are programs: there HLT would be their end. */
static bool is_kernel(const struct gdb_memory *m, uint64_t address)
{
	uint64_t table;

	return address && ((int64_t)address < 0 ||
			   (!gdb_get_register(m, LHREG_CR3, &table) && table == ~0ULL));
}

bool gdb_insert(struct gdb_memory *m, uint64_t address)
{
	struct gdb_breakpoint *b = find(m, address);
	static const uint8_t hlt = HLT;
	uint8_t original;
	gpa_t at;

	if (b && b->in && b->address == address)
		return true;
	if (!b || !is_kernel(m, address) || !translate(m, address, &at) ||
	    !memory_read(&m->guest->memory, at, &original, 1))
		return false;
	/* The same byte by another name: what it hides is known. */
	hide_breakpoints(m, at, &original, 1);
	memory_write(&m->guest->memory, at, &hlt, 1);
	*b = (struct gdb_breakpoint){ address, at, original, true };
	return true;
}

static bool shared(const struct gdb_memory *m, const struct gdb_breakpoint *one)
{
	const struct gdb_breakpoint *b;

	for (b = m->breakpoints; b < m->breakpoints + GDB_BREAKPOINTS_MOST; b++)
		if (b != one && b->in && b->at.v == one->at.v)
			return true;
	return false;
}

/* What the guest itself has written there meanwhile is not ours to undo. */
static void take_out(struct gdb_memory *m, struct gdb_breakpoint *b)
{
	uint8_t now;

	if (b->in && !shared(m, b) && memory_read(&m->guest->memory, b->at, &now, 1) && now == HLT)
		memory_write(&m->guest->memory, b->at, &b->original, 1);
	b->in = false;
}

void gdb_remove(struct gdb_memory *m, uint64_t address)
{
	struct gdb_breakpoint *b = find(m, address);

	if (b && b->address == address)
		take_out(m, b);
}

void gdb_remove_all(struct gdb_memory *m)
{
	struct gdb_breakpoint *b;

	for (b = m->breakpoints; b < m->breakpoints + GDB_BREAKPOINTS_MOST; b++)
		take_out(m, b);
}

/*L:452
 * A record of a trap may be older than the removal of its breakpoint.  The
 * instruction which is there again is then tried anew, once.
 :*/
enum gdb_hit gdb_hit(struct gdb_memory *m, uint64_t rip)
{
	struct gdb_breakpoint *b;
	uint64_t table;
	uint8_t now;
	gpa_t at;

	if (host_get_register(m->guest->fd, LHREG_CR3, &table) ||
	    !walk(m, table, rip, &at) || !memory_read(&m->guest->memory, at, &now, 1))
		return GDB_NO_HIT;
	for (b = m->breakpoints; b < m->breakpoints + GDB_BREAKPOINTS_MOST; b++) {
		if (!b->address || b->at.v != at.v)
			continue;
		if (b->in)
			return now == HLT ? GDB_HIT : GDB_NO_HIT;
		b->address = 0;
		return GDB_HIT_GONE;
	}
	return GDB_NO_HIT;
}
