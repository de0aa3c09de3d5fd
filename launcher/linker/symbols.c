// SPDX-License-Identifier: GPL-2.0
/*P:080
 * What the layer leaves undefined must be in the kernel.  ld takes addresses
 * as assignments in a linker script, so we write one:
 *
 *	"pv_ops" = 0xffffffff82a398c0;
 *
 * A name that several static functions share has no meaning from outside, and
 * guessing would be a crash at best: that is an error here, and so is a name
 * that is missing.  All are listed at once.
 *
 * The other way round, nothing in the layer is known to Linux.  Some macros in
 * its headers leave entries in sections (__bug_table, __jump_table, ...) which
 * the kernel collects into tables when it is built; the layer's would be
 * in none.  ld puts a section that its script does not name anywhere it likes,
 * so after linking we look for those.
 * Read next: ld.c.
:*/
#define _GNU_SOURCE 1
#include <ctype.h>
#include <stdlib.h>

#include "ld.h"

struct resolver {
	const struct layer *layer;
	const struct kernel *kernel;
	FILE *out;
	FILE *missing;
	FILE *ambiguous;
};

static bool word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '$';
}

/*
 * Does the layer's own script have the word @name?  With @assigned, as in
 * `name = .;`.
 */
static bool script_has(const struct blob *script, const char *name,
		       bool assigned)
{
	const char *text = (const char *)script->data;
	const char *end = text + script->size;
	size_t len = strlen(name);
	const char *at;

	for (at = text; (at = memmem(at, end - at, name, len)); at++) {
		const char *next = at + len;

		if ((at > text && word_char(at[-1])) ||
		    (next < end && word_char(*next)))
			continue;
		while (next < end && isspace((unsigned char)*next))
			next++;
		if (!assigned || (next < end && *next == '=' &&
				  (next + 1 == end || next[1] != '=')))
			return true;
	}
	return false;
}

/*
 * One family of names is left out of kallsyms, because they are absolute: the
 * kernel's linker script (vmlinux.lds.S, INIT_PER_CPU) makes them from others.
 * init_per_cpu__X is X's place in the image, before there are per-CPU areas.
 */
static unsigned int lookup(const struct kallsyms *ks, const char *name,
			   uint64_t *va)
{
	static const char prefix[] = "init_per_cpu__";
	const size_t len = sizeof(prefix) - 1;
	uint64_t load;
	unsigned int found = kallsyms_lookup(ks, name, va);

	if (found || strncmp(name, prefix, len) ||
	    kallsyms_lookup(ks, "__per_cpu_load", &load) != 1)
		return found;
	found = kallsyms_lookup(ks, name + len, va);
	*va += load;
	return found;
}

static int resolve(void *arg, const char *name, const Elf64_Sym *sym)
{
	struct resolver *r = arg;
	unsigned int found;
	uint64_t va;

	if (sym->st_shndx != SHN_UNDEF ||
	    ELF64_ST_BIND(sym->st_info) == STB_LOCAL ||
	    script_has(&r->layer->script_file, name, true))
		return 0;
	found = lookup(&r->kernel->ks, name, &va);
	if (found == 1)
		fprintf(r->out, "\"%s\" = %#llx;\n", name,
			(unsigned long long)va);
	else if (found)
		fprintf(r->ambiguous, " %s (%u places)", name, found);
	else if (ELF64_ST_BIND(sym->st_info) != STB_WEAK)
		fprintf(r->missing, " %s", name);
	return 0;
}

int ld_symbols(const struct layer *layer, const struct kernel *kernel,
	       FILE *out, struct lguest_error *err)
{
	char *missing = NULL, *ambiguous = NULL;
	size_t missing_len = 0, ambiguous_len = 0;
	struct resolver r = {
		.layer = layer,
		.kernel = kernel,
		.out = out,
		.missing = open_memstream(&missing, &missing_len),
		.ambiguous = open_memstream(&ambiguous, &ambiguous_len),
	};
	int ret = 0;

	if (r.missing && r.ambiguous)
		elf_each_symbol(&layer->elf, resolve, &r);
	else
		ret = link_fail(err, "linking: no memory");
	if (r.missing)
		fclose(r.missing);
	if (r.ambiguous)
		fclose(r.ambiguous);

	if (!ret && (missing_len || ambiguous_len))
		ret = link_fail(err, "linking %s to Linux %s:%s%s%s%s%s; the layer does not fit this kernel, which is a bug in lguest",
				layer->object, kernel->release,
				missing_len ? " the kernel lacks:" : "",
				missing_len ? missing : "",
				missing_len && ambiguous_len ? ";" : "",
				ambiguous_len ? " more than one place is called:" : "",
				ambiguous_len ? ambiguous : "");
	free(missing);
	free(ambiguous);
	return ret;
}

int ld_check_sections(const struct layer *layer, const struct elf *linked,
		      struct lguest_error *err)
{
	unsigned int i;

	for (i = 0; i < linked->nr_sections; i++) {
		const Elf64_Shdr *s = &linked->sections[i];
		const char *name = elf_section_name(linked, s);

		if (!(s->sh_flags & SHF_ALLOC) || !s->sh_size)
			continue;
		if (!name || !script_has(&layer->script_file, name, false))
			return link_fail(err, "linking %s: it has a section %s for which there is no place in %s; Linux would never look at it there, so the code that needs it must go (or the script must discard it)",
					 layer->object, name ? name : "?",
					 layer->script);
	}
	return 0;
}
