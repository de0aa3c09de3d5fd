/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included before every file of lg.ko when it is built for the debug host:
 * kmemleak, which knows of slab objects only, is told of the module's pages
 * too.  A page allocated as a struct page is known by that address, one
 * allocated as memory by the memory's.
 */
#ifndef __ASSEMBLY__
#include <linux/gfp.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>

static inline struct page *tracked_page(struct page *page, gfp_t gfp)
{
	kmemleak_alloc(page, sizeof(*page), 1, gfp & ~__GFP_ZERO);
	return page;
}

static inline unsigned long tracked_memory(unsigned long at, size_t size, gfp_t gfp)
{
	kmemleak_alloc((void *)at, size, 1, gfp & ~__GFP_ZERO);
	return at;
}

#undef alloc_page
#undef __free_page
#undef free_page
#define alloc_page(gfp)		tracked_page(alloc_pages(gfp, 0), gfp)
#define __free_page(page)	(kmemleak_free(page), __free_pages(page, 0))
#define get_zeroed_page(gfp)	tracked_memory(get_zeroed_page(gfp), PAGE_SIZE, gfp)
#define free_page(at)		(kmemleak_free((void *)(at)), free_pages(at, 0))
#define alloc_pages_exact(size, gfp) \
	((void *)tracked_memory((unsigned long)alloc_pages_exact(size, gfp), size, gfp))
#define free_pages_exact(at, size) \
	(kmemleak_free(at), free_pages_exact(at, size))
#endif
