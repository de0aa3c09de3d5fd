/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world that test_shadow.c and test_shadow_cases.c put around the Host's shadow
 * tables: a launcher's memory whose pages come and go (shadow_world.c), CPUs with TLBs
 * (shadow_tlb.c), several vCPUs (shadow_vcpus.c), a guest's tables (shadow_guest.c), what happens to all of these
 * (shadow_ops.c), and what ought to, found without the Host's code (shadow_model.c).
 */
#ifndef SHADOW_WORLD_H
#define SHADOW_WORLD_H

#include "shim/shim.h"
#include "lg.h"
#include "page_tables.h"

#define FRAMES		2048UL		/* guest RAM: 8 MiB */
#define DEVICE_LIMIT	600000UL	/* one whole GiB page, and a half */
#define TABLES		96		/* frames that hold tables for sure */
#define BLOCK		512UL
#define CPUS		5		/* of the machine */
#define NO_ROOT		(~0ULL)		/* the half that all spaces share */
#define LINEAR_ROOT	(~0ULL - 1)

struct world {
	struct lguest *lg;
	struct lg_cpu *cpu;
	struct mm_struct mm;		/* the launcher's */
	u64 *ram;			/* what guest-physical memory holds */
	u64 *twin;			/* what the tables in it should hold */
	struct page host[FRAMES];	/* the launcher's page behind a frame */
	bool present[FRAMES], writable[FRAMES];
	bool huge[FRAMES / BLOCK];
	u64 next_pfn;
	u64 seed, op;			/* for the message when it fails */

	/* What the Host did since these were cleared. */
	bool trapped, killed, device;
	bool lost_race;			/* a table entry was not as walked */
	bool disturbed;			/* another vCPU was at the tables meanwhile */
	u64 change_first, change_end;	/* frames that change for a while, ... */
	s64 around_first, around_end;	/* ... with what changed meanwhile */
	unsigned long interrupted;	/* CPUs were, on behalf of others */
	unsigned int vector;
	u64 trap_error, device_at;
	char reason[128];
};

extern struct world w;

void world_failed(const char *file, int line, const char *what);
#define CHECK(what) \
	do { if (!(what)) world_failed(__FILE__, __LINE__, #what); } while (0)

/* shadow_world.c */
u64 rnd(void);
void world_create(u64 seed, bool five_levels, u64 sme_mask, u64 misalign);
struct lg_cpu *world_vcpu(void);
void world_destroy(void);
void world_forget(void);
void world_fault_in(unsigned long address, bool write);
void world_disturb(void);
void world_zap(u64 first, u64 count);
void world_begin(s64 first, u64 count);
void world_end(s64 first, u64 count);
void world_begin_long(u64 first, u64 count);
void world_end_long(void);
void guest_write(u64 frame, unsigned int index, u64 value);
u64 guest_read(u64 frame, unsigned int index);

/* shadow_tlb.c */
extern unsigned long tlb_loads, tlb_kept, tlb_rounds;
void tlb_create(bool have_pcids);
void tlb_destroy(void);
bool tlb_in(struct lg_cpu *cpu);
bool tlb_moving(struct lg_cpu *cpu);
void tlb_enter(struct lg_cpu *cpu, bool now);
void tlb_leave(struct lg_cpu *cpu);
void tlb_step(struct lg_cpu *cpu, u64 address);
void tlb_others(void);
void tlb_run(u64 (*address)(void));
void tlb_interrupt(int on);
void tlb_frames_gone(u64 first, u64 end);
void tlb_flushed(u64 vcpus, struct lg_root *root, u64 start, u64 end);
void tlb_check(void);

/* shadow_vcpus.c */
void vcpus_create(unsigned int nr);
void vcpus_destroy(void);
void vcpus_operation(void);
void vcpus_rest(void);
void at_any_time(struct lg_cpu *cpu);

/* shadow_guest.c */
#define HOT 48
extern u64 hot[HOT];		/* addresses that the guest uses again and again */
unsigned int any_index(void);
u64 an_address(void);
void edit(void);
void repair_at(u64 address);
void repair(void);
void fill_guest_tables(void);

/* shadow_ops.c */
extern unsigned int cr3_frames;	/* address spaces begin at frames below */
extern unsigned long outcomes[5], renewed;
void access_page(u64 address, bool user, u32 error);
void hint_page(u64 address, bool user, u32 error);
void any_access(void);
void flush_a_page(u64 address);
void flush_for_all(u64 address);
void flush_all(void);
extern unsigned int world_flushes;	/* of all CPUs */
void load_cr3(u64 frame, bool keep);
void one_operation(void);

/* shadow_model.c */
enum kind { FILLED, FAULT, GENERAL, DEVICE, KILLED };
struct outcome {
	enum kind kind;
	u32 code;		/* FAULT */
	u64 gpa;		/* DEVICE, FILLED */
	u64 leaf;		/* FILLED: the shadow leaf as it has to be */
	int level;		/* FILLED: of that leaf */
};
struct outcome expect_access(u64 address, bool user, u32 error);
size_t expect_read(u64 address, u8 *to, size_t len, bool *kill);
void note_fill(u64 address, const struct outcome *o);
void note_neighbours(u64 address, const u64 *before);
bool note_renewed(u64 address, u64 before);
u64 shadow_leaf(u64 address);
bool cpu_may(u64 address, u32 error, u64 *leaf);
void check_fresh_half(struct lg_root *root, bool upper);
void check_fresh_page(u64 address);
void check_everything(void);
struct lg_root *root_at(struct lg_cpu *cpu, unsigned int place);
bool for_users(u64 word, u64 va, int level, u64 leaf);

#endif
