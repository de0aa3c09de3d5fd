// SPDX-License-Identifier: GPL-2.0
/*
 * pages MIB ROUNDS [SEED]: fill so much memory, each page with numbers that follow
 * from its place and the round; in each round find every page as the round before
 * left it. Prints "right N", the number of pages looked at, or what was wrong.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define WORDS	512	/* of a page */

static uint64_t mix(uint64_t page, uint64_t round, uint64_t seed)
{
	uint64_t x = page * 0x9e3779b97f4a7c15ULL ^ round << 48 ^ seed;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	return x ^ x >> 27;
}

int main(int argc, char **argv)
{
	uint64_t pages, rounds, seed, round, i, looked = 0;
	uint64_t (*memory)[WORDS];
	unsigned int w;

	if (argc < 3)
		return 2;
	pages = strtoull(argv[1], NULL, 0) << 8;
	rounds = strtoull(argv[2], NULL, 0);
	seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	memory = mmap(NULL, pages << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 3;
	for (round = 0; round <= rounds; round++) {
		for (i = 0; i < pages; i++) {
			/* Any order, each page once: the multiplier has no factor in common with it. */
			uint64_t page = i * 1000003 % pages, old = mix(page, round - 1, seed);

			for (w = 0; round && w < WORDS; w += 8)
				if (memory[page][w] != old) {
					printf("page %llu, word %u, round %llu: %llx, not %llx\n",
					       (unsigned long long)page, w, (unsigned long long)round,
					       (unsigned long long)memory[page][w], (unsigned long long)old);
					return 1;
				}
			looked += round != 0;
			old = mix(page, round, seed);
			for (w = 0; w < WORDS; w += 8)
				memory[page][w] = old;
		}
	}
	printf("right %llu\n", (unsigned long long)looked);
	return 0;
}
