// SPDX-License-Identifier: GPL-2.0
/*P:100
 * The linked file is an ordinary ELF executable.  It has the segments of the
 * kernel and those of the layer, so the launcher has only to copy each to its
 * physical address and start at e_entry, which is physical as well.
 *
 *	ELF header | program headers | note | kernel segments | layer segments
 *
 * The layer must be mapped when the kernel switches to its own page tables.
 * Those are static, and one entry in them makes room for it:
 *
 *	level2_fixmap_pgt	lguest_layer_pte	the layer
 *	+-----+			+-----+			+------+
 *	| 503 |---------------> |  0  |---------------> | text | P A
 *	| ... |			| ... |			| data | P RW A D NX
 *	+-----+			+-----+			+------+
 *
 * The first table is the kernel's, the second a page of the layer.  Both are
 * filled in here, in the file.
 * Read next: linked.c.
:*/
#include <stdlib.h>

#include "result.h"

#define PAGE		4096ULL
#define PTE_P		0x001ULL
#define PTE_RW		0x002ULL
#define PTE_A		0x020ULL
#define PTE_D		0x040ULL
#define PTE_NX		(1ULL << 63)

#define FIXMAP_SLOT	((LAYER_VA >> 21) & 511)

static uint64_t layer_phys(uint64_t va)
{
	return va - LAYER_VA + LAYER_PHYS;
}

/* A symbol of the layer, looked for by elf_each_symbol(). */
struct wanted {
	const char *name;
	uint64_t va;
};

static int match(void *arg, const char *name, const Elf64_Sym *sym)
{
	struct wanted *w = arg;

	if (sym->st_shndx == SHN_UNDEF || strcmp(name, w->name))
		return 0;
	w->va = sym->st_value;
	return 1;
}

static int layer_symbol(const struct elf *layer, const char *name,
			uint64_t len, uint64_t *va, struct lguest_error *err)
{
	struct wanted w = { .name = name };

	if (!elf_each_symbol(layer, match, &w))
		return link_fail(err, "linking: the layer has no symbol %s",
				 name);
	*va = w.va;
	if (!elf_at(layer, w.va, len))
		return link_fail(err, "linking: the layer's %s is not in one of its segments, or in its bss",
				 name);
	return 0;
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* The layer must lie in its place, and the kernel not. */
static int check_places(const struct elf *kernel, const struct elf *layer,
			struct lguest_error *err)
{
	unsigned int i;

	for (i = 0; i < layer->nr_segments; i++) {
		const Elf64_Phdr *p = &layer->segments[i];

		if (p->p_type != PT_LOAD || !p->p_memsz)
			continue;
		if (p->p_vaddr < LAYER_VA ||
		    !range_ok(p->p_vaddr - LAYER_VA, p->p_memsz, LAYER_SPAN))
			return link_fail(err, "linking: the layer has a segment at %#llx, outside of its 2 MiB at %#llx; see layer.lds",
					 (unsigned long long)p->p_vaddr,
					 LAYER_VA);
		if ((p->p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
			return link_fail(err, "linking: the layer's segment at %#llx is writable and executable; see layer.lds",
					 (unsigned long long)p->p_vaddr);
	}
	for (i = 0; i < kernel->nr_segments; i++) {
		const Elf64_Phdr *p = &kernel->segments[i];

		if (p->p_type == PT_LOAD &&
		    (overlap(p->p_paddr, p->p_memsz, LAYER_PHYS, LAYER_SPAN) ||
		     overlap(p->p_vaddr, p->p_memsz, LAYER_VA, LAYER_SPAN)))
			return link_fail(err, "linking: the kernel itself has a segment (%#llx at physical %#llx) where the layer should be",
					 (unsigned long long)p->p_vaddr,
					 (unsigned long long)p->p_paddr);
	}
	return 0;
}

static uint64_t pte_flags(const Elf64_Phdr *p)
{
	if (p->p_flags & PF_X)
		return PTE_P | PTE_A;
	if (p->p_flags & PF_W)
		return PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX;
	return PTE_P | PTE_A | PTE_NX;
}

/* Fill the layer's page table, in the layer's file. */
static int fill_table(const struct elf *layer, uint8_t *table,
		      struct lguest_error *err)
{
	unsigned int i;
	uint64_t va;

	memset(table, 0, PAGE);
	for (i = 0; i < layer->nr_segments; i++) {
		const Elf64_Phdr *p = &layer->segments[i];

		if (p->p_type != PT_LOAD)
			continue;
		for (va = p->p_vaddr & ~(PAGE - 1);
		     va < p->p_vaddr + p->p_memsz; va += PAGE) {
			uint8_t *entry = table + (va >> 12 & 511) * 8;
			uint64_t pte = layer_phys(va) | pte_flags(p);

			if (get64(entry) && get64(entry) != pte)
				return link_fail(err, "linking: two segments of the layer with different rights share the page at %#llx; see layer.lds",
						 (unsigned long long)va);
			put64(entry, pte);
		}
	}
	return 0;
}

/* Build the page tables in the two images. */
static int map_layer(const struct elf *kernel, uint64_t fixmap,
		     const struct elf *layer, struct lguest_error *err)
{
	uint8_t *slot = elf_at(kernel, fixmap + FIXMAP_SLOT * 8, 8);
	uint64_t table;

	if (!slot)
		return link_fail(err, "linking: the kernel's level2_fixmap_pgt (%#llx) is not in the image",
				 (unsigned long long)fixmap);
	if (get64(slot) != 0)
		return link_fail(err, "linking: entry %llu of the kernel's level2_fixmap_pgt is in use (%#llx), so there is no place for the layer",
				 FIXMAP_SLOT, (unsigned long long)get64(slot));
	if (layer_symbol(layer, "lguest_layer_pte", PAGE, &table, err) < 0)
		return -1;
	if (table % PAGE)
		return link_fail(err, "linking: the layer's lguest_layer_pte (%#llx) is not page aligned",
				 (unsigned long long)table);
	if (fill_table(layer, elf_at(layer, table, PAGE), err) < 0)
		return -1;
	/* The kernel's own entries have the same bits: _KERNPG_TABLE. */
	put64(slot, layer_phys(table) | PTE_P | PTE_RW | PTE_A | PTE_D);
	return 0;
}

/* The note: its header, its owner padded to 4 bytes, its contents. */
struct note {
	Elf64_Nhdr header;
	char owner[8];
	struct lguest_link_note link;
} __attribute__((packed));

static unsigned int count_loads(const struct elf *elf)
{
	unsigned int i, n = 0;

	for (i = 0; i < elf->nr_segments; i++)
		n += elf->segments[i].p_type == PT_LOAD;
	return n;
}

/* Where a segment goes in the file: file and memory agree within a page. */
static uint64_t place(uint64_t end, const Elf64_Phdr *p)
{
	return align_up(end, PAGE) + p->p_vaddr % PAGE;
}

/*
 * A kernel's last segment ends in its bss: as zeros in the vmlinuz, ten megabytes of
 * them.  The guest's memory is zero where nothing is loaded, so they are left out, by
 * whole pages.
 */
static uint64_t size_in_file(const struct elf *elf, const Elf64_Phdr *p)
{
	const uint8_t *bytes = elf->file->data + p->p_offset;
	uint64_t size = p->p_filesz;

	while (size && !bytes[size - 1])
		size--;
	size = align_up(size, PAGE);
	return size < p->p_filesz ? size : p->p_filesz;
}

static uint64_t place_all(uint64_t end, const struct elf *elf)
{
	unsigned int i;

	for (i = 0; i < elf->nr_segments; i++)
		if (elf->segments[i].p_type == PT_LOAD)
			end = place(end, &elf->segments[i]) +
			      size_in_file(elf, &elf->segments[i]);
	return end;
}

/* Copy the segments of @elf behind @end, and their headers to @to. */
static Elf64_Phdr *copy_segments(struct blob *out, uint64_t *end,
				 Elf64_Phdr *to, const struct elf *elf,
				 bool is_layer)
{
	unsigned int i;

	for (i = 0; i < elf->nr_segments; i++) {
		const Elf64_Phdr *p = &elf->segments[i];

		if (p->p_type != PT_LOAD)
			continue;
		*to = *p;
		to->p_align = PAGE;
		to->p_offset = place(*end, p);
		to->p_filesz = size_in_file(elf, p);
		if (is_layer)
			to->p_paddr = layer_phys(p->p_vaddr);
		memcpy(out->data + to->p_offset,
		       elf->file->data + p->p_offset, to->p_filesz);
		*end = to->p_offset + to->p_filesz;
		to++;
	}
	return to;
}

static void make_note(struct note *n, uint64_t file_size, const char *release)
{
	memset(n, 0, sizeof(*n));
	n->header.n_namesz = sizeof(LGUEST_NOTE_OWNER);
	n->header.n_descsz = sizeof(n->link);
	n->header.n_type = LGUEST_NOTE_LINK;
	strcpy(n->owner, LGUEST_NOTE_OWNER);
	n->link.version = LGUEST_LINK_VERSION;
	n->link.file_size = file_size;
	snprintf(n->link.release, sizeof(n->link.release), "%s", release);
}

static int assemble(const struct elf *kernel, const struct elf *layer,
		    uint64_t entry, const char *release, struct blob *out,
		    struct lguest_error *err)
{
	unsigned int nr = count_loads(kernel) + count_loads(layer) + 1;
	uint64_t note_off = sizeof(Elf64_Ehdr) + nr * sizeof(Elf64_Phdr);
	uint64_t end = note_off + sizeof(struct note);
	Elf64_Phdr *segments = calloc(nr, sizeof(*segments)), *to;
	Elf64_Ehdr header = kernel->header;
	struct note note;

	out->size = place_all(place_all(end, kernel), layer);
	out->data = calloc(1, out->size);
	if (!segments || !out->data) {
		free(segments);
		blob_free(out);
		return link_fail(err, "linking: no memory");
	}
	make_note(&note, out->size, release);
	segments[0] = (Elf64_Phdr) {
		.p_type = PT_NOTE,
		.p_flags = PF_R,
		.p_offset = note_off,
		.p_filesz = sizeof(note),
		.p_align = 4,
	};
	to = copy_segments(out, &end, segments + 1, kernel, false);
	copy_segments(out, &end, to, layer, true);

	header.e_entry = entry;
	header.e_phoff = sizeof(header);
	header.e_phnum = nr;
	header.e_ehsize = sizeof(header);
	header.e_phentsize = sizeof(*segments);
	header.e_shoff = 0;
	header.e_shnum = 0;
	header.e_shstrndx = 0;
	memcpy(out->data, &header, sizeof(header));
	memcpy(out->data + sizeof(header), segments, nr * sizeof(*segments));
	memcpy(out->data + note_off, &note, sizeof(note));
	free(segments);
	return 0;
}

int output_make(const struct elf *kernel, uint64_t fixmap,
		const struct elf *layer, const char *release,
		struct blob *out, struct lguest_error *err)
{
	uint64_t start;

	out->data = NULL;
	out->size = 0;
	if (check_places(kernel, layer, err) < 0 ||
	    layer_symbol(layer, "lguest_start", 1, &start, err) < 0 ||
	    map_layer(kernel, fixmap, layer, err) < 0)
		return -1;
	return assemble(kernel, layer, layer_phys(start), release, out, err);
}
