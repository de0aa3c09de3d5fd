/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the shadow tables' files share: shadow_tables.c (the structure),
 * shadow_memory.c (where tables come from and go), page_walk.c (the guest's
 * tables), page_tables.c (the fill) and page_sync.c (bringing up to date).  All
 * of it under lg->lock.
 * Read next: shadow_tables.c.
 */
#ifndef _LG_PAGE_TABLES_H
#define _LG_PAGE_TABLES_H

#include "lg.h"

#define FRAME		0x000ffffffffff000ULL
#define GIB		(1ULL << 30)

/* Entries of the top level. */
#define LOWER_HALF	256
#define SWITCHER_SLOT	256
#define ENTRY_AREA_SLOT	508

#define TABLE_BITS (_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED)

/* A walk through the guest's tables; arrays are indexed by level, 4 to 1. */
struct walk {
	u64 address;
	u64 entry[5];
	u64 at[5];		/* guest-physical address of each entry */
	int leaf;		/* level where it ended */
	u64 rights;		/* RW and US, if all entries have them */
	bool nx;		/* any entry has it */
	u64 path_rights;	/* the same two, without the leaf's */
	bool path_nx;
	u64 leaf_pfn;		/* first frame of the page, small or large */
	u64 pfn;		/* frame of this 4 KiB */
};

enum walk_result { WALK_FOUND, WALK_ABSENT, WALK_RESERVED, WALK_STOP };

static inline unsigned int index_of(u64 address, int level)
{
	return (address >> (PAGE_SHIFT + 9 * (level - 1))) & 511;
}

/* Pages of 4 KiB behind one entry. */
static inline u64 pages_of(int level)
{
	return 1ULL << (9 * (level - 1));
}

/*
 * Guest memory in pieces of 2 MiB, numbered modulo LG_REGIONS: a table notes in
 * which of them its leaves lie, so that the notifier can pass over most tables.
 */
static inline void note_region(struct shadow_table *t, u64 pfn)
{
	u64 region = (pfn >> 9) % LG_REGIONS;

	t->regions[region / 64] |= 1ULL << (region % 64);
}

static inline bool in_regions(const struct shadow_table *t, u64 first, u64 end)
{
	u64 at = first >> 9, left = min(((end - 1) >> 9) - at + 1, (u64)LG_REGIONS);

	for (; left; at++, left--)
		if (t->regions[at % LG_REGIONS / 64] & 1ULL << (at % 64))
			return true;
	return false;
}

/* page_walk.c */
u64 reserved_bits(u64 entry, int level);
enum walk_result walk_guest(struct lg_cpu *cpu, struct walk *w);
int set_accessed_dirty(struct lg_cpu *cpu, struct walk *w, bool write);
u32 violation(struct lg_cpu *cpu, struct walk *w, u32 error);

/* shadow_tables.c */
void lock_tables(struct lg_cpu *cpu) __acquires(&cpu->lg->lock);
struct shadow_table *table_of(u64 entry);
u64 entry_to(u64 *table, u64 bits);
bool leads_to_table(const struct shadow_table *t, u64 entry);
u64 top_entry(struct lguest *lg, struct lg_root *root, unsigned int i);
u64 *top_guest(struct lguest *lg, struct lg_root *root, unsigned int i);
void set_top(struct lguest *lg, struct lg_root *root, unsigned int i, u64 entry);
struct lg_lost *lost_of(struct lguest *lg, struct lg_root *root);
void drop_entry(struct lguest *lg, struct shadow_table *t, unsigned int i);
void drop_top(struct lguest *lg, struct lg_root *root, unsigned int i);
void drop_lower_half(struct lguest *lg, struct lg_root *root);
void make_kernel_only(struct lguest *lg, struct lg_root *root);
void retire_root(struct lguest *lg, struct lg_root *root);
struct lg_root *find_root(struct lguest *lg, u64 pfn);

/* shadow_memory.c */
u64 *new_table_page(void);
void free_table_page(u64 *page);
int refill_spare_tables(struct lguest *lg);
void free_spare_tables(struct lguest *lg);
struct shadow_table *take_spare(struct lg_cpu *cpu, struct lg_root *root,
				int level);
void send_to_limbo(struct lguest *lg, struct shadow_table *t);
unsigned long empty_limbo(struct lguest *lg, unsigned long most);
bool make_room(struct lguest *lg);

/* page_tables.c */
bool entry_stale(u64 then, u64 now);
void fill_quietly(struct lg_cpu *cpu, struct walk *w, struct shadow_table *t,
		  unsigned int i, u64 guest);

/* page_sync.c */
bool sync_needs_rest(struct lg_cpu *cpu, unsigned long nr);
void sync_lower_half(struct lg_cpu *cpu, struct lg_root *root);

#endif /* _LG_PAGE_TABLES_H */
