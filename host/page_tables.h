/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What page_tables.c (structure, fill) and page_sync.c (bringing up to date)
 * share.  All of it under lg->lock.
 */
#ifndef _LG_PAGE_TABLES_H
#define _LG_PAGE_TABLES_H

#include "lg.h"

#define FRAME		0x000ffffffffff000ULL
#define GIB		(1ULL << 30)
#define SYNC_BUFFER	(5 * PAGE_SIZE)
/* A hardware PCID for guests: Linux uses neither it nor any above it. */
#define LG_PCID		2056

/* A walk through the guest's tables; arrays are indexed by level, 4 to 1. */
struct walk {
	u64 address;
	u64 entry[5];
	u64 at[5];		/* guest-physical address of each entry */
	int leaf;		/* level where it ended */
	u64 rights;		/* RW and US, if all entries have them */
	bool nx;		/* any entry has it */
	u64 leaf_pfn;		/* first frame of the page, small or large */
	u64 pfn;		/* frame of this 4 KiB */
};

enum walk_result { WALK_FOUND, WALK_ABSENT, WALK_RESERVED, WALK_STOP };
enum walk_result walk_guest(struct lg_cpu *cpu, struct walk *w);

struct shadow_table *table_of(u64 entry);
bool leads_to_table(const struct shadow_table *t, u64 entry);
u64 top_entry(struct lguest *lg, struct lg_root *root, unsigned int i);
u64 *top_guest(struct lguest *lg, struct lg_root *root, unsigned int i);
void drop_entry(struct lguest *lg, struct shadow_table *t, unsigned int i);
void drop_top(struct lguest *lg, struct lg_root *root, unsigned int i);
void drop_lower_half(struct lguest *lg, struct lg_root *root);

bool entry_stale(u64 then, u64 now);
void sync_lower_half(struct lg_cpu *cpu, struct lg_root *root);

#endif /* _LG_PAGE_TABLES_H */
