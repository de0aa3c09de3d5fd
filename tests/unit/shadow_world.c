// SPDX-License-Identifier: GPL-2.0
/*
 * The launcher's memory, and the parts of the Host that the shadow tables call.
 *
 * Each guest frame has a page of the launcher, or none at the moment.  Before a
 * page changes, the shadow tables are told as the mmu notifier does it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include "shadow_world.h"
#include <cmocka.h>

struct world w;
static u64 random_state;
static bool failed;

/* A fixed, fast generator, one for all files: a run is its seed. */
u64 rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dULL >> 16;
}

/* What a failed test leaves behind would hide its message. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return failed;
}

void world_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "# SEED=%llu op %llu: %s:%d: %s\n",
		(unsigned long long)w.seed, (unsigned long long)w.op, file,
		line, what);
	failed = true;
	fail();
}

/* ---- what the shadow tables call */

void kill_guest(struct lg_cpu *cpu, const char *fmt, ...)
{
	va_list args;

	if (cpu->lg->dead)
		return;
	va_start(args, fmt);
	vsnprintf(w.reason, sizeof(w.reason), fmt, args);
	va_end(args);
	cpu->lg->dead = w.reason;
	w.killed = true;
}

void deliver_trap(struct lg_cpu *cpu, unsigned int vector, u64 error)
{
	CHECK(cpu == w.cpu && !w.trapped);
	w.trapped = true;
	w.vector = vector;
	w.trap_error = error;
}

/* Some of the stores to devices only signal somebody. */
bool access_device(struct lg_cpu *cpu, u64 gpa, u32 error)
{
	CHECK(!cpu->lg->lock.held);
	if (!(error & 2) || rnd() % 2)
		return false;
	w.device = true;
	w.device_at = gpa;
	return true;
}

/* As the real one does, it reads the instruction, and so takes the lock. */
enum lg_next exit_to_device(struct lg_cpu *cpu, u64 gpa, u32 error)
{
	u8 insn[15];

	(void)error;
	read_virtual(cpu, 0x1234000, insn, sizeof(insn));
	memset(&cpu->need, 0, sizeof(cpu->need));
	cpu->lg->dead = NULL;
	w.killed = false;
	w.device = true;
	w.device_at = gpa;
	return LG_LEAVE;
}

unsigned long launcher_address(const struct lguest *lg, lg_gpa_t gpa)
{
	return lg->base + gpa.v;
}

static u64 *entry_at(lg_gpa_t gpa)
{
	return &w.ram[gpa.v / 8];
}

bool lgread_atomic(struct lg_cpu *cpu, void *to, lg_gpa_t gpa, u64 len)
{
	u64 frame = gpa.v >> PAGE_SHIFT;

	CHECK(gpa.v < FRAMES * PAGE_SIZE && len > 0);
	CHECK((gpa.v & ~PAGE_MASK) + len <= PAGE_SIZE);
	if (!w.present[frame]) {
		cpu->need.page = launcher_address(cpu->lg, gpa) & PAGE_MASK;
		return false;
	}
	memcpy(to, (u8 *)w.ram + gpa.v, len);
	return true;
}

bool lgread_words(struct lg_cpu *cpu, u64 *to, lg_gpa_t gpa, unsigned int nr)
{
	CHECK(gpa.v % 8 == 0 && cpu->lg->lock.held);
	return lgread_atomic(cpu, to, gpa, 8 * nr);
}

int lgcmpxchg_atomic(struct lg_cpu *cpu, lg_gpa_t gpa, u64 old, u64 new)
{
	u64 frame = gpa.v >> PAGE_SHIFT;

	CHECK(gpa.v < FRAMES * PAGE_SIZE && gpa.v % 8 == 0);
	CHECK(cpu->lg->lock.held);
	if (!w.present[frame] || !w.writable[frame]) {
		cpu->need.page = launcher_address(cpu->lg, gpa) & PAGE_MASK;
		cpu->need.write = true;
		return -EFAULT;
	}
	/* Another vCPU was here: a bit changed that means nothing. */
	if (rnd() % 256 == 0)
		guest_write(frame, gpa.v / 8 % 512, *entry_at(gpa) ^ BIT_ULL(9));
	if (*entry_at(gpa) != old) {
		w.lost_race = true;
		return 0;
	}
	*entry_at(gpa) = new;
	return 1;
}

static u64 frame_at(unsigned long address)
{
	u64 frame = (address - w.lg->base) >> PAGE_SHIFT;

	CHECK(address % PAGE_SIZE == 0 && frame < FRAMES);
	return frame;
}

int get_user_pages_fast_only(unsigned long address, int n, unsigned int flags,
			     struct page **pages)
{
	u64 frame = frame_at(address);

	CHECK(n == 1 && w.lg->lock.held);
	CHECK(frame < w.change_first || frame >= w.change_end);
	if (!w.present[frame] || ((flags & FOLL_WRITE) && !w.writable[frame]))
		return 0;
	*pages = &w.host[frame];
	return 1;
}

pmd_t *shim_pmd(unsigned long address)
{
	static pmd_t pmd;
	u64 frame = frame_at(address);

	CHECK(frame + BLOCK <= w.change_first || frame >= w.change_end);
	pmd.value = _PAGE_PRESENT | _PAGE_USER | _PAGE_RW;
	if (w.huge[frame / BLOCK])
		pmd.value |= _PAGE_PSE;
	return &pmd;
}

/* ---- the launcher's pages come and go */

static struct mmu_notifier_range range_of(s64 first, u64 count)
{
	return (struct mmu_notifier_range) {
		.start = w.lg->base + first * PAGE_SIZE,
		.end = w.lg->base + (first + count) * PAGE_SIZE,
		.blockable = true,
	};
}

/* Also of memory that is not the guest's. */
void world_begin(s64 first, u64 count)
{
	struct mmu_notifier_range range = range_of(first, count);
	struct mmu_notifier *mn = &w.lg->notifier;

	CHECK(mn->ops->invalidate_range_start(mn, &range) == 0);
	CHECK(!w.lg->lock.held);
	tlb_frames_gone(first < 0 ? 0 : first, first + (s64)count);
	/* All that is under way counts as one range, but for what is not the guest's. */
	if (w.change_end && first < (s64)FRAMES && first + (s64)count > 0) {
		w.around_first = min(w.around_first, first);
		w.around_end = max(w.around_end, first + (s64)count);
	}
}

void world_end(s64 first, u64 count)
{
	struct mmu_notifier_range range = range_of(first, count);
	struct mmu_notifier *mn = &w.lg->notifier;

	mn->ops->invalidate_range_end(mn, &range);
	CHECK(!w.lg->lock.held);
}

/* One that takes its time: what is there meanwhile is nobody's to look at. */
void world_begin_long(u64 first, u64 count)
{
	if (w.change_end)
		return;
	world_begin(first, count);
	w.change_first = first;
	w.change_end = min(first + count, FRAMES);
	w.around_first = first;
	w.around_end = first + count;
}

static void replace(u64 frame);

void world_end_long(void)
{
	u64 first = w.change_first, end = w.change_end, i;

	if (!end)
		return;
	for (i = first; i < end; i++)
		if (rnd() % 2)
			replace(i);
	w.change_first = w.change_end = 0;
	world_end(first, end - first);
}

/*
 * The vCPUs that run there come out of the guest.  Before they do, another one
 * makes room, and theirs may go on by all that they have cached.
 */
void on_each_cpu_cond_mask(bool (*cond)(int cpu, void *info), void (*fn)(void *info),
			   void *info, bool wait, const void *mask)
{
	bool chosen[CPUS];
	int on;

	CHECK(!w.lg->lock.held && mask == cpu_online_mask);
	for (on = 0; on < CPUS; on++)
		chosen[on] = cond(on, info);
	spin_lock(&w.lg->lock);
	make_room(w.lg);
	spin_unlock(&w.lg->lock);
	vcpus_rest();
	for (on = 0; on < CPUS; on++) {
		if (!chosen[on])
			continue;
		w.interrupted++;
		fn(info);
		if (wait)
			tlb_interrupt(on);
	}
}

/* A new page for a frame. */
static void replace(u64 frame)
{
	w.host[frame].pfn = w.next_pfn++;
	w.present[frame] = true;
	w.writable[frame] = true;
	w.huge[frame / BLOCK] = false;
}

static void swap_out(u64 frame)
{
	world_begin(frame, 1);
	w.present[frame] = false;
	w.huge[frame / BLOCK] = false;
	world_end(frame, 1);
}

static void move(u64 frame)
{
	world_begin(frame, 1);
	replace(frame);
	world_end(frame, 1);
}

static void share(u64 frame)
{
	world_begin(frame, 1);
	w.writable[frame] = false;
	w.huge[frame / BLOCK] = false;
	world_end(frame, 1);
}

/* The block becomes one 2 MiB page. */
static void collapse(u64 block)
{
	u64 i, base = (w.next_pfn + BLOCK) & ~(BLOCK - 1);

	world_begin(block * BLOCK, BLOCK);
	w.next_pfn = base + BLOCK;
	for (i = 0; i < BLOCK; i++) {
		w.host[block * BLOCK + i].pfn = base + i;
		w.present[block * BLOCK + i] = true;
		w.writable[block * BLOCK + i] = true;
	}
	w.huge[block] = !(w.lg->base & (PMD_SIZE - 1));
	world_end(block * BLOCK, BLOCK);
}

void world_disturb(void)
{
	u64 frame = rnd() % 4 ? rnd() % TABLES : rnd() % FRAMES;

	/* The first page of a block, for huge pages lie there. */
	if (rnd() % 4 == 0)
		frame &= ~(BLOCK - 1);
	switch (rnd() % 8) {
	case 0: case 1: swap_out(frame); break;
	case 2: case 3: move(frame); break;
	case 4: share(frame); break;
	default: collapse(rnd() % (FRAMES / BLOCK)); break;
	}
}

/* A notification that changes nothing; also for what is not guest memory. */
void world_zap(u64 first, u64 count)
{
	world_begin(first, count);
	world_end(first, count);
}

void world_fault_in(unsigned long address, bool write)
{
	u64 frame = frame_at(address);

	if (!w.present[frame])
		replace(frame);
	else if (write && !w.writable[frame])
		move(frame);
}

/* ---- the guest's stores */

void guest_write(u64 frame, unsigned int index, u64 value)
{
	w.ram[frame * 512 + index] = value;
	w.twin[frame * 512 + index] = value;
}

u64 guest_read(u64 frame, unsigned int index)
{
	return w.ram[frame * 512 + index];
}

/* ---- begin and end */

void world_forget(void)
{
	w.trapped = w.killed = w.device = false;
	w.lg->dead = NULL;
	memset(&w.cpu->need, 0, sizeof(w.cpu->need));
}

/* One vCPU more. */
unsigned int world_flushes;

void flush_all_cpus(void)
{
	world_flushes++;
}

struct lg_cpu *world_vcpu(void)
{
	struct lg_cpu *cpu = calloc(1, sizeof(*cpu));

	cpu->lg = w.lg;
	cpu->id = w.lg->nr_cpus;
	cpu->state = calloc(1, sizeof(*cpu->state));
	cpu->shared = calloc(1, sizeof(*cpu->shared));
	cpu->in_guest = -1;
	CHECK(start_linear(cpu) == 0);
	w.lg->cpus[w.lg->nr_cpus++] = cpu;
	return cpu;
}

void world_create(u64 seed, bool five_levels, u64 mask, u64 misalign)
{
	u64 i;

	memset(&w, 0, sizeof(w));
	shim_allocated = shim_secondary = 0;
	w.seed = seed;
	random_state = seed * 2 + 1;
	w.op = 1;
	w.next_pfn = 0x1000000;
	shim_five_levels = five_levels;
	sme_me_mask = mask;
	w.ram = malloc(FRAMES * PAGE_SIZE);
	w.twin = malloc(FRAMES * PAGE_SIZE);
	w.lg = calloc(1, sizeof(*w.lg));
	for (i = 0; i < FRAMES * 512; i++)
		w.ram[i] = i < TABLES * 512 ? 0 : rnd() << 16 ^ rnd();
	memcpy(w.twin, w.ram, FRAMES * PAGE_SIZE);
	w.lg->base = 0x7f0000000000 + misalign;
	w.lg->pfn_limit = FRAMES;
	w.lg->device_limit = DEVICE_LIMIT;
	w.lg->slot.entry = 0x5000000 | TABLE_BITS;
	w.lg->slot.entry_area = 0x6000000 | TABLE_BITS;
	for (i = 0; i < FRAMES; i++)
		if (rnd() % 2)
			replace(i);
	w.lg->mm = &w.mm;
	w.mm.rss = FRAMES;
	init_shadow_memory(w.lg);
	CHECK(watch_launcher(w.lg) == 0);
	w.cpu = world_vcpu();
	/* It cannot happen before there are tables. */
	collapse(0);
	collapse(2);
}

void world_destroy(void)
{
	unsigned int i;

	free_shadow(w.lg);
	CHECK(w.lg->nr_tables == 0);
	CHECK(shim_allocated == 0 && shim_secondary == 0);
	for (i = 0; i < w.lg->nr_cpus; i++) {
		free(w.lg->cpus[i]->state);
		free(w.lg->cpus[i]->shared);
		free(w.lg->cpus[i]);
	}
	free(w.lg);
	free(w.ram);
	free(w.twin);
	w.lg = NULL;
}
