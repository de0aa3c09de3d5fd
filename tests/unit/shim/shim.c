// SPDX-License-Identifier: GPL-2.0
/* The shim's variables and its allocator, which counts and fails to order. */
#include "shim.h"

u64 sme_me_mask;
bool shim_five_levels;
struct shim_cpu boot_cpu_data = { .x86_phys_bits = 46 };
pgd_t shim_upper = { _PAGE_PRESENT };
void (*shim_rest)(void);
void (*shim_moment)(void);
void (*shim_listed)(struct list_head *item, struct list_head *head);
void (*shim_freed)(void *p);
long shim_allocated;
long shim_secondary;
unsigned long shim_reclaimed;
unsigned long shim_ram = 1UL << 20;
long shim_fail_after = -1;

void *shim_alloc(size_t size, size_t align)
{
	void *p;

	if (shim_fail_after == 0)
		return NULL;
	if (shim_fail_after > 0)
		shim_fail_after--;
	size = (size + align - 1) & -align;
	p = aligned_alloc(align, size);
	if (!p)
		abort();
	memset(p, 0, size);
	shim_allocated++;
	return p;
}

void shim_free(void *p)
{
	if (!p)
		return;
	if (shim_freed)
		shim_freed(p);
	shim_allocated--;
	free(p);
}
