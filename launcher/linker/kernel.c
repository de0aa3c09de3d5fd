// SPDX-License-Identifier: GPL-2.0
/*P:060
 * With the image unpacked and its symbols read, we can ask it questions.  The
 * first is whether we read it right: at the address of linux_banner must be
 * "Linux version " and the release.  The second is whether it can be a guest:
 * only a kernel built with CONFIG_XEN_PV has the entry code for a kernel that
 * does not run at ring 0, and only with CONFIG_PARAVIRT_XXL (which comes with
 * it) can all privileged operations be replaced.
 * Read next: versions.c.
:*/
#include <stdlib.h>

#include "bzimage.h"
#include "distribution.h"
#include "kernel.h"

static int read_banner(struct kernel *k, struct lguest_error *err)
{
	static const char start[] = "Linux version ";
	const size_t len = sizeof(start) - 1;
	uint64_t va;
	const uint8_t *at;

	if (kernel_symbol(k, "linux_banner", &va, err) < 0)
		return -1;
	at = elf_at(&k->elf, va, 128);
	if (at && !memcmp(at, start, len))
		k->release = release_word(at + len, 128 - len);
	if (!k->release)
		return link_fail(err, "reading the symbols of %s: linux_banner should be at %#llx, but there is something else; this kernel packs its symbols in a way unknown to this lguest",
				 k->name, (unsigned long long)va);
	return 0;
}

int kernel_open(struct kernel *k, const struct blob *file, const char *name,
		struct lguest_error *err)
{
	memset(k, 0, sizeof(*k));
	k->name = name;
	if (bzimage_unpack(file, name, &k->image, err) < 0 ||
	    elf_open(&k->elf, &k->image, name, ET_EXEC, err) < 0 ||
	    kallsyms_read(&k->ks, &k->elf, name, err) < 0 ||
	    read_banner(k, err) < 0) {
		kernel_close(k);
		return -1;
	}
	return 0;
}

void kernel_close(struct kernel *k)
{
	free(k->release);
	kallsyms_free(&k->ks);
	elf_close(&k->elf);
	blob_free(&k->image);
	memset(k, 0, sizeof(*k));
}

/* Without CONFIG_KALLSYMS_ALL only the text's symbols are there. */
static bool names_data(const struct kernel *k)
{
	uint32_t i;

	for (i = 0; i < k->ks.nr; i++)
		if (strchr("BbDdRr", k->ks.symbols[i].type))
			return true;
	return false;
}

int kernel_symbol(const struct kernel *k, const char *name, uint64_t *address,
		  struct lguest_error *err)
{
	unsigned int found = kallsyms_lookup(&k->ks, name, address);

	if (found == 1)
		return 0;
	if (!found && !names_data(k))
		return link_fail(err, "reading the symbols of %s: only functions have names in it; it was built without CONFIG_KALLSYMS_ALL, so give lguest another, or %s",
				 k->name, how_to_install(PACKAGE_KERNEL, NULL).text);
	if (!found)
		return link_fail(err, "reading the symbols of %s: it has no symbol '%s'; this is no kernel that lguest knows, so give it another, or %s",
				 k->name, name, how_to_install(PACKAGE_KERNEL, NULL).text);
	return link_fail(err, "reading the symbols of %s: '%s' could be any of %u places; this is no kernel that lguest knows, so give it another, or %s",
			 k->name, name, found, how_to_install(PACKAGE_KERNEL, NULL).text);
}

int kernel_check(const struct kernel *k, struct lguest_error *err)
{
	static const char * const xen_pv[] = {
		"xen_iret", "early_xen_iret_patch", "asm_xenpv_exc_nmi",
	};
	static const char * const needed[] = {
		"pv_ops", "x86_init", "init_top_pgt", "level2_fixmap_pgt",
		"x86_64_start_reservations",
	};
	uint64_t va;
	size_t i;

	for (i = 0; i < sizeof(xen_pv) / sizeof(*xen_pv); i++)
		if (!kallsyms_lookup(&k->ks, xen_pv[i], &va))
			return link_fail(err, "linking %s: this kernel (%s) was built without CONFIG_XEN_PV, whose entry code a guest needs; give lguest another, or %s",
					 k->name, k->release,
					 how_to_install(PACKAGE_KERNEL, NULL).text);
	for (i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (kernel_symbol(k, needed[i], &va, err) < 0)
			return -1;
	return 0;
}
