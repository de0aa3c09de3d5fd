// SPDX-License-Identifier: GPL-2.0
/*
 * What ought to be: a reference that shares no code and no constants with the
 * Host.  It follows the manual (SDM 3A, 4.5 to 4.7 and 4.10) where that speaks,
 * and DESIGN where the Host promises something of its own.
 *
 * For each shadow leaf it remembers what the leaf had to be when it was last
 * filled.  A leaf that is anything else, is there without a fill, or outlives
 * a flush that ought to have taken it, is a bug.
 */
#include "shadow_world.h"

enum { P = 1, W = 2, U = 4, A = 32, D = 64, PS = 128 };
#define NX (1ULL << 63)
#define ADDRESS 0x000ffffffffff000ULL

/* ---- the guest's tables */

enum found { MISSING, RESERVED, OUTSIDE, PAGE };
struct look {
	enum found found;
	int level;		/* where it ended */
	u64 at[5], entry[5];
	bool w, u, nx, a;
	u64 frame;		/* of the 4 KiB */
};

static bool breaks_rules(u64 e, int level)
{
	u64 low = 0;

	if (e >> boot_cpu_data.x86_phys_bits << boot_cpu_data.x86_phys_bits &
	    ADDRESS)
		return true;
	if (!(e & PS) || level == 1)
		return false;
	if (level == 4)
		return true;
	low = level == 3 ? 0x3fffe000 : 0x1fe000;	/* bit 12 is PAT */
	return e & low;
}

static struct look look_linear(u64 va)
{
	struct look l = { .found = MISSING, .level = 4 };

	if (va >> 39)
		return l;
	return (struct look) { .found = PAGE, .level = 3, .w = true, .a = true,
			       .frame = va >> 12 };
}

static struct look look(struct lg_root *root, u64 va)
{
	struct look l = { .w = true, .u = true, .a = true };
	u64 table = root->pfn, e, size;
	int level;

	if (root->linear)
		return look_linear(va);
	for (level = 4; ; level--) {
		unsigned int index = va >> (3 + 9 * level) & 511;

		l.level = level;
		if (table >= FRAMES) {
			l.found = OUTSIDE;
			return l;
		}
		e = w.ram[table * 512 + index];
		l.at[level] = table * 512 + index;
		l.entry[level] = e;
		if (!(e & P) || breaks_rules(e, level)) {
			l.found = e & P ? RESERVED : MISSING;
			return l;
		}
		l.w &= !!(e & W);
		l.u &= !!(e & U);
		l.nx |= !!(e & NX);
		l.a &= !!(e & A);
		table = (e & ADDRESS) >> 12;
		if (level == 1 || e & PS)
			break;
	}
	size = level == 1 ? 1 : level == 2 ? 512 : 512 * 512;
	table &= ~(size - 1);
	l.frame = table + (va >> 12 & (size - 1));
	l.found = table + size <= DEVICE_LIMIT ? PAGE : OUTSIDE;
	return l;
}

/* ---- what an access has to lead to */

static struct outcome fault(bool user, u32 error, u32 why)
{
	return (struct outcome) { .kind = FAULT,
		.code = (error & 0x12) | why | (user ? 4 : 0) };
}

static bool forbidden(const struct look *l, u64 va, bool user, u32 error)
{
	bool lower = !(va >> 63);

	if (user && (!l->u || !lower))
		return true;
	if (error & 2 && !l->w)
		return true;
	return error & 16 && (l->nx || (!user && lower && l->u));
}

static struct outcome filled(const struct look *l, u64 va, u32 error)
{
	struct outcome o = { .kind = FILLED, .level = 1 };
	u64 frame = l->frame, block = frame / BLOCK;
	bool dirty = w.cpu->root->linear || error & 2 ||
		     l->entry[l->level] & D;

	o.gpa = frame << 12 | (va & 4095);
	/* One that is partly about to change is filled in pieces. */
	if (l->level > 1 && w.huge[block] &&
	    !(w.change_end && w.around_first < (s64)((block + 1) * BLOCK) &&
	      w.around_end > (s64)(block * BLOCK))) {
		o.level = 2;
		frame = block * BLOCK;
		o.leaf = PS;
	}
	o.leaf |= w.host[frame].pfn << 12 | sme_me_mask | P | U | A;
	if (l->w && dirty)
		o.leaf |= W | D;
	if (l->nx)
		o.leaf |= NX;
	return o;
}

struct outcome expect_access(u64 va, bool user, u32 error)
{
	struct lg_root *root = w.cpu->root;
	struct look l;

	if (va >> 47 != 0 && va >> 47 != 0x1ffff)
		return (struct outcome) { .kind = GENERAL };
	if ((va >> 39 & 511) == 256 || (va >> 39 & 511) == 508)
		return fault(user, error, 0);
	l = look(root, va);
	switch (l.found) {
	case MISSING:
		return fault(user, error, 0);
	case RESERVED:
		return fault(user, error, 9);
	case OUTSIDE:
		return (struct outcome) { .kind = KILLED };
	case PAGE:
		break;
	}
	if (!root->linear && forbidden(&l, va, user, error))
		return fault(user, error, 1);
	if (l.frame >= FRAMES)
		return (struct outcome) {
			.kind = root->linear && l.frame >= DEVICE_LIMIT ?
				KILLED : DEVICE,
			.gpa = l.frame << 12 | (va & 4095) };
	return filled(&l, va, error);
}

size_t expect_read(u64 va, u8 *to, size_t len, bool *kill)
{
	size_t done;

	*kill = false;
	for (done = 0; done < len; done++, va++) {
		struct look l;

		if (va >> 47 != 0 && va >> 47 != 0x1ffff)
			break;
		l = look(w.cpu->root, va);
		*kill = l.found == OUTSIDE;
		if (l.found != PAGE || l.frame >= FRAMES)
			break;
		to[done] = ((u8 *)w.ram)[l.frame << 12 | (va & 4095)];
	}
	return done;
}

/* ---- what the leaves had to be when they were filled */

struct memory {
	u64 root, va;		/* with the level in its low bits */
	u64 leaf, frame;
	bool user;
};

#define MEMORIES (1UL << 18)
static struct memory memories[MEMORIES];

static u64 name_of(struct lg_root *root, u64 va)
{
	if (va >> 63)
		return NO_ROOT;
	return root->linear ? LINEAR_ROOT - root->index : root->pfn;
}

static struct memory *recall(u64 root, u64 va, int level)
{
	u64 key = (va & ~(level == 2 ? 0x1fffffULL : 0xfffULL)) | level;
	u64 i = (key * 0x9e3779b97f4a7c15ULL ^ root * 0xd6e8feb86659fd93ULL) >> 46;
	u64 n;

	for (n = 0; n < MEMORIES; n++, i++) {
		struct memory *m = &memories[i % MEMORIES];

		if (m->va && (m->va != key || m->root != root))
			continue;
		m->va = key;
		m->root = root;
		return m;
	}
	CHECK(!"too many memories");
	return NULL;
}

static u64 *table_at(u64 entry)
{
	return (u64 *)(uintptr_t)(entry & ADDRESS & ~sme_me_mask);
}

/* The leaf of an address in the kernel view, or 0. */
static u64 leaf_of(struct lg_root *root, u64 va)
{
	u64 *table = va >> 63 ? root->pml4[LG_KERNEL] : root->low[LG_KERNEL], e;
	int level;

	if ((va >> 39 & 511) == 256 || (va >> 39 & 511) == 508)
		return 0;
	for (level = 4; ; level--) {
		e = table[va >> (3 + 9 * level) & 511];
		if (!e || level == 1 || (level < 4 && e & PS))
			return e;
		table = table_at(e);
	}
}

/* The same, if it is one of 4 KiB; bit 7 is PAT there, which none has. */
u64 shadow_leaf(u64 va)
{
	u64 leaf = leaf_of(w.cpu->root, va);

	return leaf & PS ? 0 : leaf;
}

/* The access was filled: remember the leaf; A and D have to be in the tables. */
void note_fill(u64 va, const struct outcome *o)
{
	struct lg_root *root = w.cpu->root;
	struct look l = look(root, va);
	struct memory *m = recall(name_of(root, va), va, o->level);
	int level;

	m->leaf = o->leaf;
	m->frame = o->level == 2 ? l.frame & ~(BLOCK - 1) : l.frame;
	m->user = l.u;
	if (root->linear)
		return;
	for (level = 4; level >= l.level; level--)
		w.twin[l.at[level]] |= A;
	if (o->leaf & W)
		w.twin[l.at[l.level]] |= D;
	for (level = 4; level >= l.level; level--)
		CHECK(w.ram[l.at[level]] == w.twin[l.at[level]]);
}

/*
 * An entry that nobody faulted for: the guest's tables, as they are, have to
 * allow just that.
 */
static void note_quiet_fill(u64 va)
{
	struct look l = look(w.cpu->root, va);
	struct outcome o;

	CHECK(l.found == PAGE && l.frame < FRAMES && l.a);
	CHECK(va >> 63 || w.cpu->root->linear || l.u);
	o = filled(&l, va, 0);
	CHECK(o.level == 1 && o.leaf == shadow_leaf(va));
	note_fill(va, &o);
}

/*
 * The fill of @va may have given its 16 neighbours entries too.  @before: the
 * leaves there until then.
 */
void note_neighbours(u64 va, const u64 *before)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		u64 at = (va & ~0xffffULL) | i << 12, leaf = shadow_leaf(at);

		if (leaf && leaf != before[i] && at != (va & ~0xfffULL))
			note_quiet_fill(at);
	}
}

/*
 * The flush of @va may have renewed its leaf, which was @before.  One that has
 * only lost the right to write is no new one.
 */
bool note_renewed(u64 va, u64 before)
{
	u64 leaf = shadow_leaf(va);

	if (!leaf || leaf == before || leaf == (before & ~(W | D)))
		return false;
	note_quiet_fill(va & ~0xfffULL);
	return true;
}

/* ---- the CPU's walk through the shadow tables, at ring 3 */

bool cpu_may(u64 va, u32 error, u64 *leaf)
{
	u64 *table = table_at(root_cr3(w.cpu->root,
				       w.cpu->user ? LG_USER : LG_KERNEL)), e;
	int level = shim_five_levels ? 5 : 4;

	for (; ; level--) {
		e = table[va >> (3 + 9 * level) & 511];
		*leaf = e;
		if (e == w.lg->slot.entry || e == w.lg->slot.entry_area)
			return false;
		if (!(e & P) || !(e & U) || (error & 2 && !(e & W)) ||
		    (error & 16 && e & NX))
			return false;
		if (level == 1 || (level < 4 && e & PS))
			return true;
		table = table_at(e);
	}
}

/* ---- all leaves of a half */

typedef void (*leaf_fn)(struct lg_root *root, u64 va, int level, u64 leaf);

static unsigned long seen_tables;

/* Half of the run's time is here: no sanitizer between the zeros. */
__attribute__((no_sanitize("address", "undefined"), noinline))
static unsigned int next_entry(const u64 *table, unsigned int i, unsigned int end)
{
	while (i + 8 <= end && !(table[i] | table[i + 1] | table[i + 2] |
				 table[i + 3] | table[i + 4] | table[i + 5] |
				 table[i + 6] | table[i + 7]))
		i += 8;
	while (i < end && !table[i])
		i++;
	return i;
}

static void each_leaf(struct lg_root *root, u64 *table, int level, u64 va,
		      leaf_fn fn)
{
	unsigned int i;

	seen_tables++;
	for (i = next_entry(table, 0, 512); i < 512;
	     i = next_entry(table, i + 1, 512)) {
		u64 e = table[i];
		u64 at = va | (u64)i << (3 + 9 * level);

		CHECK(e & P);		/* absent is exactly 0 */
		if (level == 1 || e & PS) {
			CHECK(level <= 2);
			fn(root, at, level, e);
			continue;
		}
		CHECK((e & ~ADDRESS) == (P | W | U | A));
		CHECK((e & sme_me_mask) == sme_me_mask);
		each_leaf(root, table_at(e), level - 1, at, fn);
	}
}

static void each_top(struct lg_root *root, u64 *top, unsigned int first,
		     unsigned int end, leaf_fn fn)
{
	unsigned int i;

	for (i = next_entry(top, first, end); i < end;
	     i = next_entry(top, i + 1, end)) {
		u64 va = (u64)i << 39 | (i < 256 ? 0 : 0xffffULL << 48);
		u64 nx = i < 256 && !root->kernel_only ? NX : 0;

		if (i == 256 || i == 508)
			continue;
		CHECK((top[i] & ~ADDRESS) == (P | W | U | A | nx));
		each_leaf(root, table_at(top[i]), 3, va, fn);
	}
}

/* After a flush: nothing that the guest's tables do not say now. */
static void check_fresh(struct lg_root *root, u64 va, int level, u64 leaf)
{
	struct look l = look(root, va);
	bool dirty = root->linear || l.entry[l.level] & D;

	CHECK(l.found == PAGE && l.frame < FRAMES);
	CHECK(level == 1 || l.level >= 2);
	CHECK((leaf & ADDRESS & ~sme_me_mask) >> 12 == w.host[l.frame].pfn);
	CHECK(!(leaf & W) || (l.w && dirty));
	CHECK(leaf & NX || !l.nx);
	CHECK(l.a);
	CHECK(va >> 63 || root->kernel_only || l.u);
}

void check_fresh_half(struct lg_root *root, bool upper)
{
	if (upper)
		each_top(root, root->pml4[LG_KERNEL], 256, 512, check_fresh);
	else
		each_top(root, root->low[LG_KERNEL], 0, 256, check_fresh);
}

void check_fresh_page(u64 va)
{
	struct lg_root *root = w.cpu->root;
	u64 *table = va >> 63 ? root->pml4[LG_KERNEL] : root->low[LG_KERNEL], e;
	int level;

	if ((va >> 39 & 511) == 256 || (va >> 39 & 511) == 508)
		return;
	for (level = 4; ; level--) {
		e = table[va >> (3 + 9 * level) & 511];
		if (!e)
			return;
		if (level == 1 || e & PS)
			break;
		table = table_at(e);
	}
	if (level == 2)
		va &= ~0x1fffffULL;
	check_fresh(root, va & ~0xfffULL, level, e);
}

/* ---- everything that is true at all times */

static void check_remembered(struct lg_root *root, u64 va, int level, u64 leaf)
{
	struct memory *m = recall(name_of(root, va), va, level);
	u64 i;

	/* A flush may have taken the right to write, and never gives it back. */
	if (leaf == (m->leaf & ~(W | D)))
		m->leaf = leaf;
	CHECK(leaf & U);
	CHECK(leaf == m->leaf);
	CHECK(m->frame < FRAMES);
	CHECK((leaf & ADDRESS & ~sme_me_mask) >> 12 == w.host[m->frame].pfn);
	CHECK(w.present[m->frame]);
	CHECK(!(leaf & W) || w.writable[m->frame]);
	CHECK(!(leaf & W) == !(leaf & D));
	CHECK(level == 1 || w.huge[m->frame / BLOCK]);
	for (i = 1; level == 2 && i < BLOCK; i += 73)
		CHECK(w.host[m->frame + i].pfn == w.host[m->frame].pfn + i);
	/* No user view of what the guest keeps from its users. */
	if (!(va >> 63) && !root->kernel_only)
		CHECK(m->user);
}

static void check_five(struct lg_root *root, int view)
{
	u64 *top = root->pml5[view];
	u64 bits = sme_me_mask | P | W | U | A;
	u64 low = (u64)(uintptr_t)root->low[view] | bits;
	u64 high = (u64)(uintptr_t)root->pml4[view] | bits;
	unsigned int i;

	CHECK(!top == !shim_five_levels);
	if (!top) {
		CHECK(root->low[view] == root->pml4[view]);
		return;
	}
	for (i = 0; i < 512; i++)
		CHECK(top[i] == (i == 0 ? low : i == 511 ? high :
				 i == 256 ? w.lg->slot.entry : 0));
	/* Each half once: no aliases beyond 48 bits. */
	for (i = 0; i < 256; i++) {
		CHECK(root->pml4[view][i] == 0);
		CHECK(root->low[view][i + 256] == 0);
	}
}

static void check_views(struct lg_root *root)
{
	u64 *kernel = root->pml4[LG_KERNEL], *user = root->pml4[LG_USER];
	u64 switcher = shim_five_levels ? 0 : w.lg->slot.entry;
	unsigned int i;

	for (i = 0; i < 256; i++)
		CHECK(root->low[LG_USER][i] ==
		      (root->kernel_only ? 0 : root->low[LG_KERNEL][i] & ~NX));
	for (i = 256; i < 512; i++) {
		u64 fixed = i == 256 ? switcher :
			    i == 508 ? w.lg->slot.entry_area : 0;

		CHECK(user[i] == fixed);
		CHECK(kernel[i] == (fixed ? fixed : w.lg->kernel_half[i - 256]));
	}
	check_five(root, LG_KERNEL);
	check_five(root, LG_USER);
}

/* Tables of a tree that was taken out, itself included. */
static unsigned long tables_in(u64 *table, int level)
{
	unsigned long n = 1;
	unsigned int i;

	for (i = next_entry(table, 0, 512); level > 1 && i < 512;
	     i = next_entry(table, i + 1, 512))
		if (!(table[i] & PS))
			n += tables_in(table_at(table[i]), level - 1);
	return n;
}

static void check_counts(void)
{
	unsigned long n = 0, roots = w.lg->spare_root ? 1 : 0, limbo = 0;
	u64 stamp = 0;
	struct shadow_table *t;

	list_for_each_entry(t, &w.lg->tables, list)
		n++;
	list_for_each_entry(t, &w.lg->limbo, list) {
		n++;
		limbo += tables_in(t->entries, t->level);
		CHECK(t->stamp >= stamp && t->stamp <= w.lg->shrinks);
		stamp = t->stamp;
	}
	CHECK(n == w.lg->nr_tables);
	CHECK(w.lg->dead_roots <= n);
	CHECK(n == seen_tables + limbo);	/* each on one path, none lost */
	CHECK(n <= w.lg->max_tables + 3);
	n = 0;
	list_for_each_entry(t, &w.lg->spares, list)
		n++;
	CHECK(n == w.lg->nr_spares);
	/* Every page is counted; dead roots may wait for their tables. */
	for (n = 0; n < LG_ROOTS; n++)
		roots += w.lg->roots[n] != NULL;
	n = 2 * (w.lg->nr_tables + w.lg->nr_spares) +
	    roots * (shim_five_levels ? 6 : 2);
	CHECK(shim_secondary == (long)n || (limbo && shim_secondary > (long)n));
}

struct lg_root *root_at(struct lg_cpu *cpu, unsigned int place)
{
	return cpu->places[place];
}

/* Every root is pinned by each place that names it, and by nothing else. */
static void check_pins(void)
{
	unsigned int pins[LG_ROOTS] = {}, i, n;
	struct lg_root *root;

	for (i = 0; i < w.lg->nr_cpus; i++)
		for (n = 0; n < LG_NR_SPACES; n++) {
			root = root_at(w.lg->cpus[i], n);
			CHECK(!root || root == w.lg->roots[root->index]);
			if (root)
				pins[root->index]++;
		}
	for (n = 0; n < LG_ROOTS; n++) {
		root = w.lg->roots[n];
		CHECK(!root || root->pins == pins[n]);
		CHECK(!root || root->pins || !root->dropped);
		CHECK(!root || n < 56 + 8 * w.lg->nr_cpus);
	}
}

/*
 * What a vCPU's Switcher may load by itself is there, and needs no look: none since
 * this vCPU told of changes everywhere.
 */
static void check_spaces(struct lg_cpu *cpu)
{
	unsigned int i;

	for (i = 0; i < LG_NR_SPACES; i++) {
		struct lg_space *s = &cpu->state->spaces[i];
		struct lg_root *root = root_at(cpu, i);

		if (!s->cr3)
			continue;
		CHECK(root && root == w.lg->roots[root->index]);
		CHECK(root->pfn == (s->cr3 & ADDRESS) >> 12 && !root->linear);
		CHECK((s->kernel & ADDRESS) == root_cr3(root, LG_KERNEL));
		CHECK((s->user & ADDRESS) == root_cr3(root, LG_USER));
		CHECK(root == cpu->root || !root->stale || w.lg->nr_cpus > 1);
	}
}

/*
 * A leaf that guest user comes to by @word: is it one that may be?  What the tables
 * do not have any more was.
 */
bool for_users(u64 word, u64 va, int level, u64 leaf)
{
	unsigned int n;

	for (n = 0; n < LG_ROOTS; n++) {
		struct lg_root *root = w.lg->roots[n];

		if (root && root_cr3(root, LG_USER) == (word & ADDRESS))
			return leaf_of(root, va) != leaf ||
			       recall(name_of(root, va), va, level)->user;
	}
	return true;
}

void check_everything(void)
{
	unsigned int n, i, found = 0;

	CHECK(!w.lg->lock.held);
	seen_tables = 0;
	for (n = 0; n < LG_ROOTS; n++) {
		struct lg_root *root = w.lg->roots[n];

		if (!root)
			continue;
		for (i = 0; i < w.lg->nr_cpus; i++)
			found += root == w.lg->cpus[i]->root;
		check_views(root);
		each_top(root, root->low[LG_KERNEL], 0, 256, check_remembered);
	}
	CHECK(found == w.lg->nr_cpus);
	each_top(w.cpu->root, w.cpu->root->pml4[LG_KERNEL], 256, 512,
		 check_remembered);
	check_counts();
	check_pins();
	for (i = 0; i < w.lg->nr_cpus; i++)
		check_spaces(w.lg->cpus[i]);
	CHECK(!memcmp(w.ram, w.twin, TABLES * PAGE_SIZE));
}
