// SPDX-License-Identifier: GPL-2.0
/*P:050
 * A distribution's kernel is stripped, but it carries all its symbols in its
 * read-only data, packed, so that it can print names in an oops.  These tables
 * (scripts/kallsyms.c in the kernel's source makes them) have no header and no
 * pointer to them that we could follow: the names of the tables are themselves
 * only symbols.  So they are found by their form.  In the image they lie in
 * one of these orders, each table aligned to 8 bytes, or in some 7.x to 4:
 *
 *	6.1	offsets base num_syms names markers        token_table index
 *	6.2	offsets base num_syms names markers seqs   token_table index
 *	6.4	num_syms names markers token_table index   offsets base seqs
 *	7.x	num_syms names markers token_table index   offsets seqs
 *
 * token_table	256 strings, one after the other.  Code 0x30 is always "0", and
 *		so on to "9": that run of bytes is what we search for.
 * index	256 16-bit offsets into token_table: they prove the find.
 * num_syms	a 32-bit count.
 * names	per symbol a length (7 bits, or 14 in two bytes) and as many
 *		codes; their tokens, put together, are the type letter followed
 *		by the name.
 * markers	the 32-bit offset in names of every 256th symbol: the proof for
 *		num_syms and names.
 * offsets	32 bits per symbol, in one of three encodings, see below.
 * base		one 64-bit address.
 *
 * None of it is believed before it is checked; read_names() and the three
 * decoders at the end hold the checks.  What is read here is used by link.c.
 * Read next: kernel.c.
:*/
#define _GNU_SOURCE 1
#include <stdio.h>
#include <stdlib.h>

#include "kallsyms.h"

#define TOKENS		256
#define NAME_MAX_LEN	512	/* KSYM_NAME_LEN */
#define SYMS_MIN	16	/* fewer is no kernel */
#define SYMS_MAX	(1U << 22)
#define NAMES_MAX	(64UL << 20)	/* bytes of all names; Linux has 6 MiB */
#define KERNEL_HALF	0xffff800000000000ULL

/* The tables, as file offsets; all have been checked to lie in the file. */
struct tables {
	const struct elf *elf;
	const uint8_t *data;
	size_t size;
	size_t alignment;	/* of each table */
	size_t token_table;
	size_t index;		/* its end is index + 512 */
	uint16_t token[TOKENS];	/* offsets into token_table */
	size_t num_syms;
	uint32_t nr;
	size_t names;
	size_t names_end;
	/*
	 * Symbols that may still be looked at before we give up: what looks
	 * like num_syms a million times over must not cost a million tries.
	 */
	uint64_t budget;
};

/* Does a token table with its index lie around the run of digits at @digits? */
static bool try_tokens(struct tables *t, size_t digits)
{
	const uint8_t *d = t->data;
	size_t pos = digits, start;
	unsigned int i;

	/* Forward, from token '0' over the last one, is where the index is. */
	for (i = '0'; i < TOKENS; i++) {
		const uint8_t *nul = memchr(d + pos, 0, t->size - pos);

		if (!nul || nul - (d + pos) > NAME_MAX_LEN)
			return false;
		pos = nul - d + 1;
	}
	pos = align_up(pos, t->alignment);
	if (!range_ok(pos, 2 * TOKENS, t->size))
		return false;

	/* The index says how far back the table starts.  Is it right? */
	t->index = pos;
	for (i = 0; i < TOKENS; i++)
		t->token[i] = get16(d + pos + 2 * i);
	if (t->token[0] != 0 || t->token['0'] > digits)
		return false;
	start = digits - t->token['0'];
	if (start % t->alignment)
		return false;
	t->token_table = start;
	for (i = 0, pos = start; i < TOKENS; i++) {
		if (pos - start != t->token[i] || pos >= t->index)
			return false;
		pos += strnlen((const char *)d + pos, t->index - pos) + 1;
	}
	return pos <= t->index;
}

static bool find_tokens(struct tables *t)
{
	static const char digits[] = "0\0" "1\0" "2\0" "3\0" "4\0"
				     "5\0" "6\0" "7\0" "8\0" "9";
	size_t pos = 0;

	while (pos < t->size) {
		const uint8_t *at = memmem(t->data + pos, t->size - pos,
					   digits, sizeof(digits));

		if (!at)
			return false;
		pos = at - t->data;
		if (try_tokens(t, pos))
			return true;
		pos++;
	}
	return false;
}

static bool name_char(unsigned char c)
{
	return c > ' ' && c < 0x7f;
}

/* nm says '?' of what is in a section that it cannot judge, as .data_nosave. */
static bool type_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '?';
}

/*
 * Unpack the name at *@pos into @out (NAME_MAX_LEN + 1 bytes, type letter
 * first), and move *@pos behind it.  Returns the length, 0 if it is no name.
 */
static size_t read_name(const struct tables *t, size_t *pos, char *out)
{
	const uint8_t *d = t->data;
	size_t len, n = 0;

	/* What is packed lies before the token table, which lies in the file */
	if (*pos + 2 > t->token_table)
		return 0;
	len = d[(*pos)++];
	if (len & 0x80)
		len = (len & 0x7f) | d[(*pos)++] << 7;
	if (!len || len > t->token_table - *pos)
		return 0;

	while (len--) {
		const char *c = (const char *)d + t->token_table +
				t->token[d[(*pos)++]];

		for (; *c; c++) {
			if (n == NAME_MAX_LEN || !name_char(*c))
				return 0;
			out[n++] = *c;
		}
	}
	out[n] = '\0';
	return n >= 2 && type_char(out[0]) ? n : 0;
}

/*
 * Do t->nr names and their markers begin at t->names?  On success sets
 * t->names_end, which is where the markers begin.
 */
static bool try_names(struct tables *t)
{
	char name[NAME_MAX_LEN + 1];
	size_t pos = t->names, markers;
	uint32_t i;

	/* Two bytes at least for every name */
	if (t->nr > (t->token_table - pos) / 2)
		return false;
	for (i = 0; i < t->nr; i++) {
		if (!t->budget)
			return false;
		t->budget--;
		if (!read_name(t, &pos, name))
			return false;
	}

	markers = align_up(pos, t->alignment);
	t->names_end = markers;
	if (!range_ok(markers, (t->nr + 255ULL) / 256 * 4, t->token_table))
		return false;
	for (pos = t->names, i = 0; i < t->nr; i++) {
		if (i % 256 == 0 &&
		    get32(t->data + markers + i / 256 * 4) != pos - t->names)
			return false;
		read_name(t, &pos, name);
	}
	return true;
}

/* Is there a number of symbols at @pos, and nothing up to the names? */
static bool count_ok(const struct tables *t, size_t pos)
{
	uint32_t nr = get32(t->data + pos);

	return nr >= SYMS_MIN && nr <= SYMS_MAX &&
	       (t->alignment == 4 || get32(t->data + pos + 4) == 0);
}

/* num_syms lies before the token table in all layouts: search backwards. */
static bool find_names(struct tables *t)
{
	size_t pos = t->token_table;

	t->budget = 16ULL * SYMS_MAX;
	while (pos >= t->alignment) {
		pos -= t->alignment;
		if (!count_ok(t, pos))
			continue;
		t->nr = get32(t->data + pos);
		t->num_syms = pos;
		t->names = pos + t->alignment;
		if (try_names(t))
			return true;
	}
	return false;
}

/* Unpack all names, which try_names() has found to be good, into @ks. */
static bool read_names(const struct tables *t, struct kallsyms *ks)
{
	char name[NAME_MAX_LEN + 1];
	size_t pos = t->names, used = 0, room = 0, len;
	uint32_t i;

	ks->nr = t->nr;
	ks->symbols = calloc(t->nr, sizeof(*ks->symbols));
	ks->by_name = calloc(t->nr, sizeof(*ks->by_name));
	if (!ks->symbols || !ks->by_name)
		return false;
	for (i = 0; i < t->nr; i++) {
		len = read_name(t, &pos, name);
		if (used + len > room) {
			char *more = room > NAMES_MAX ? NULL :
				     realloc(ks->names, 2 * room + 65536);

			if (!more)
				return false;
			ks->names = more;
			room = 2 * room + 65536;
		}
		ks->symbols[i].type = name[0];
		ks->symbols[i].name = used;
		memcpy(ks->names + used, name + 1, len);
		used += len;
	}
	return true;
}

/*
 * The three encodings of an address, by its 32-bit offset, the base, and the
 * address of the offset itself:
 *
 *	absolute per-cpu	x >= 0 is an address (of per-cpu data, which
 *				starts at 0), x < 0 is base - 1 - x
 *	relative		base + x, x without sign
 *	in place		(address of x) + x
 */
static uint64_t decode_percpu(uint32_t x, uint64_t base, uint64_t here)
{
	(void)here;
	return (int32_t)x >= 0 ? x : base - 1 - (int64_t)(int32_t)x;
}

static uint64_t decode_relative(uint32_t x, uint64_t base, uint64_t here)
{
	(void)here;
	return base + x;
}

static uint64_t decode_in_place(uint32_t x, uint64_t base, uint64_t here)
{
	(void)base;
	return here + (int64_t)(int32_t)x;
}

struct encoding {
	const char *layout;
	bool before;		/* offsets lie before num_syms */
	bool has_base;
	uint64_t (*decode)(uint32_t x, uint64_t base, uint64_t here);
};

static const struct encoding encodings[] = {
	{ "6.1 to 6.3", true, true, decode_percpu },
	{ "before 6.4, relative", true, true, decode_relative },
	{ "6.4 to 6.14", false, true, decode_percpu },
	{ "6.15 and later", false, true, decode_relative },
	{ "7.x, relative in place", false, false, decode_in_place },
};

/* The virtual address of a place in the file; 0 if it is never loaded. */
static uint64_t address_of(const struct elf *elf, size_t off)
{
	unsigned int i;

	for (i = 0; i < elf->nr_segments; i++) {
		const Elf64_Phdr *p = &elf->segments[i];

		if (p->p_type == PT_LOAD && off >= p->p_offset &&
		    off - p->p_offset < p->p_filesz)
			return p->p_vaddr + (off - p->p_offset);
	}
	return 0;
}

/* Is there anything at @va, or does something end there (as _end does)? */
static bool address_ok(const struct elf *elf, uint64_t va)
{
	unsigned int i;

	for (i = 0; i < elf->nr_segments; i++) {
		const Elf64_Phdr *p = &elf->segments[i];

		if (p->p_type == PT_LOAD && va >= p->p_vaddr &&
		    va - p->p_vaddr <= p->p_memsz)
			return true;
	}
	return false;
}

/*
 * Read the addresses as if they were encoded that way.  The wrong encoding
 * gives addresses outside of the kernel, or in no order; with the right one
 * hardly any is, but there are a few oddities in every kernel.  Zeros would
 * pass as per-cpu data, so half of them at least must be real addresses.
 */
static bool try_encoding(const struct tables *t, const struct encoding *e,
			 struct kallsyms *ks)
{
	size_t len = align_up(4ULL * t->nr, t->alignment), off;
	uint32_t i, outside = 0, unsorted = 0, upper = 0;
	uint64_t base = 0, here;

	if (e->before) {
		if (t->num_syms < len + 8)
			return false;
		off = t->num_syms - 8 - len;
	} else {
		off = t->index + 2 * TOKENS;
		if (!range_ok(off, len + (e->has_base ? 8 : 0), t->size))
			return false;
	}
	if (e->has_base) {
		base = get64(t->data + off + len);
		if (base < KERNEL_HALF || !address_ok(t->elf, base))
			return false;
	}
	here = address_of(t->elf, off);

	for (i = 0; i < t->nr; i++) {
		struct symbol *s = &ks->symbols[i];

		s->address = e->decode(get32(t->data + off + 4 * i), base,
				       here + 4 * i);
		outside += (s->type & ~0x20) != 'A' &&
			   !address_ok(t->elf, s->address);
		unsorted += i && s->address < s[-1].address;
		upper += s->address >= KERNEL_HALF;
	}
	return upper >= t->nr / 2 && outside <= t->nr / 100 && unsorted <= t->nr / 100;
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct kallsyms *ks = arg;
	const struct symbol *x = &ks->symbols[*(const uint32_t *)a];
	const struct symbol *y = &ks->symbols[*(const uint32_t *)b];
	int ret = strcmp(symbol_name(ks, x), symbol_name(ks, y));

	if (ret)
		return ret;
	return (x->address > y->address) - (x->address < y->address);
}

/* How far the search came: the farther, the more is known of what is wrong. */
enum found { NOTHING, TOKEN_TABLE, NAMES, ADDRESSES, NO_MEMORY };

/* Everything, for one alignment. */
static enum found read_tables(struct kallsyms *ks, struct tables *t)
{
	unsigned int i;

	if (!find_tokens(t))
		return NOTHING;
	if (!find_names(t))
		return TOKEN_TABLE;
	if (!read_names(t, ks))
		return NO_MEMORY;
	for (i = 0; i < sizeof(encodings) / sizeof(*encodings); i++) {
		if (!try_encoding(t, &encodings[i], ks))
			continue;
		ks->layout = encodings[i].layout;
		return ADDRESSES;
	}
	return NAMES;
}

static void sort_names(struct kallsyms *ks)
{
	uint32_t i;

	for (i = 0; i < ks->nr; i++)
		ks->by_name[i] = i;
	qsort_r(ks->by_name, ks->nr, sizeof(*ks->by_name), compare, ks);
}

static int complain(enum found found, const char *name, struct lguest_error *err)
{
	static const char * const why[] = {
		[NOTHING] = "found no kallsyms token table; the kernel needs CONFIG_KALLSYMS",
		[TOKEN_TABLE] = "found no list of names before the token table; this kernel packs its symbols in a way unknown to this lguest",
		[NAMES] = "found the names, but their addresses make no sense; this kernel packs its symbols in a way unknown to this lguest",
		[NO_MEMORY] = "no memory for them",
	};

	return link_fail(err, "reading the symbols of %s: %s", name, why[found]);
}

int kallsyms_read(struct kallsyms *ks, const struct elf *vmlinux,
		  const char *name, struct lguest_error *err)
{
	static const size_t alignments[] = { 8, 4 };
	enum found found, most = NOTHING;
	unsigned int i;

	memset(ks, 0, sizeof(*ks));
	for (i = 0; i < sizeof(alignments) / sizeof(*alignments); i++) {
		struct tables t = {
			.elf = vmlinux,
			.data = vmlinux->file->data,
			.size = vmlinux->file->size,
			.alignment = alignments[i],
		};

		found = read_tables(ks, &t);
		if (found == ADDRESSES) {
			sort_names(ks);
			return 0;
		}
		kallsyms_free(ks);
		if (found > most)
			most = found;
	}
	return complain(most, name, err);
}

void kallsyms_free(struct kallsyms *ks)
{
	free(ks->symbols);
	free(ks->by_name);
	free(ks->names);
	memset(ks, 0, sizeof(*ks));
}

/* The first place in by_name that is not before @name. */
static uint32_t first_of_name(const struct kallsyms *ks, const char *name)
{
	uint32_t low = 0, high = ks->nr;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct symbol *s = &ks->symbols[ks->by_name[mid]];

		if (strcmp(symbol_name(ks, s), name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The symbols that are called @name and, if there is a @suffix, that and a number. */
static unsigned int look_up(const struct kallsyms *ks, const char *name, const char *suffix,
			    uint64_t *address)
{
	uint64_t global_address = 0, static_address = 0;
	unsigned int globals = 0, statics = 0;
	char whole[NAME_MAX_LEN + 1];
	size_t len;
	uint32_t i;

	snprintf(whole, sizeof(whole), "%s%s", name, suffix);
	len = strlen(whole);
	for (i = first_of_name(ks, whole); i < ks->nr; i++) {
		const struct symbol *s = &ks->symbols[ks->by_name[i]];
		const char *number = symbol_name(ks, s) + len;

		if (strncmp(symbol_name(ks, s), whole, len) || (!*suffix && *number))
			break;
		if (*suffix && (!*number || number[strspn(number, "0123456789")]))
			continue;
		/* They are sorted, so aliases are neighbours, counted once. */
		if (s->type >= 'A' && s->type <= 'Z') {
			globals += !globals || s->address != global_address;
			global_address = s->address;
		} else {
			statics += !statics || s->address != static_address;
			static_address = s->address;
		}
	}
	*address = globals ? global_address : static_address;
	return globals ? globals : statics;
}

/*
 * LLVM's link-time optimisation makes some static functions known to other files, as
 * NAME.llvm.NUMBER; they are called as ever.  What GCC calls NAME.isra.0 or
 * NAME.constprop.0 takes other arguments, and is no NAME.
 */
unsigned int kallsyms_lookup(const struct kallsyms *ks, const char *name,
			     uint64_t *address)
{
	unsigned int found = look_up(ks, name, "", address);

	return found ? found : look_up(ks, name, ".llvm.", address);
}
