// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest has at random: addresses that it uses, and the tables for them,
 * some of which even lead to a page.
 */
#include "shadow_world.h"

static const unsigned int indexes[] = { 0, 1, 255, 256, 257, 300, 508, 511 };
u64 hot[HOT];

unsigned int any_index(void)
{
	return indexes[rnd() % ARRAY_SIZE(indexes)];
}

static u64 any_address(void)
{
	u64 va = rnd() & 0xfff;
	int level;

	for (level = 1; level <= 4; level++)
		va |= (u64)any_index() << (3 + 9 * level);
	if (va >> 47)
		va |= 0xffffULL << 48;
	return va;
}

u64 an_address(void)
{
	u64 r = rnd();

	if (r % 64 == 0)
		return hot[r / 64 % HOT] = any_address();
	if (r % 64 == 1)
		return rnd() << 32 ^ rnd();	/* often not canonical */
	return hot[r / 64 % HOT] ^ (rnd() & 0xfff);
}

static u64 any_flags(void)
{
	u64 r = rnd();

	return 1 | (r & 15 ? 2 : 0) | (r >> 4 & 7 ? 4 : 0) | (r >> 7 & 0x260) |
	       (r >> 20 & 0x118) | (r >> 32 & 15 ? 0 : 1ULL << 63);
}

static u64 any_entry(void)
{
	u64 r = rnd() % 100, flags = any_flags();

	if (r < 66)
		return (rnd() % TABLES) << 12 | flags;
	if (r < 78)
		return (rnd() % FRAMES) << 12 | flags;
	if (r < 87)	/* 2 MiB, bit 12 is PAT */
		return (rnd() % 5) << 21 | (rnd() & 1) << 12 | flags | 0x80;
	if (r < 90)
		return (rnd() % 3) << 30 | (rnd() & 1) << 12 | flags | 0x80;
	if (r < 92)	/* device memory */
		return (FRAMES + rnd() % (DEVICE_LIMIT - FRAMES)) << 12 | flags;
	if (r < 94)
		return 1ULL << (46 + rnd() % 6) | flags;
	if (r < 95)
		return (DEVICE_LIMIT - 1 + rnd() % 3) << 12 | flags;
	if (r < 96)
		return rnd() << 16 ^ rnd();
	if (r < 98)
		return (rnd() << 16 ^ rnd()) & ~1ULL;
	return 0;
}

void edit(void)
{
	static const unsigned char bits[] = { 0, 1, 2, 5, 6, 7, 8, 9, 12, 21, 63 };
	u64 frame = rnd() % TABLES;
	unsigned int index = any_index();
	u64 old = guest_read(frame, index);

	if (rnd() % 3)
		guest_write(frame, index,
			    old ^ 1ULL << bits[rnd() % ARRAY_SIZE(bits)]);
	else
		guest_write(frame, index, any_entry());
}

/* A guest that works: an address leads to a page. */
void repair_at(u64 va)
{
	u64 table = w.cpu->root->pfn, e;
	int level;

	for (level = 4; level >= 1; level--) {
		unsigned int index = va >> (3 + 9 * level) & 511;

		if (table >= TABLES)
			return;
		e = guest_read(table, index);
		if (!(e & 1) || e >> 46 << 46 & FRAME || (e & 0x80) ||
		    (level > 1 && (e & FRAME) >> 12 >= TABLES) ||
		    (e & FRAME) >> 12 >= FRAMES) {
			e = (rnd() % (level > 1 ? TABLES : FRAMES)) << 12 |
			    any_flags();
			guest_write(table, index, e & ~0x80ULL);
		}
		table = (e & FRAME) >> 12;
	}
}

/* One of those that it uses does. */
void repair(void)
{
	repair_at(hot[rnd() % HOT]);
}

void fill_guest_tables(void)
{
	unsigned int frame, i;

	for (frame = 0; frame < TABLES; frame++)
		for (i = 0; i < ARRAY_SIZE(indexes); i++)
			guest_write(frame, indexes[i], any_entry());
	for (i = 0; i < HOT; i++)
		hot[i] = any_address();
}
