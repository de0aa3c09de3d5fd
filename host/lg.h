/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The Host's private header: its structures, and who may touch what.
 * The way through the Host: core.c (the run loop), switcher.S,
 * interrupts_and_traps.c, hypercalls.c, shadow_tables.c, and the rest as needed.
 * Read next: core.c.
 */
#ifndef _LG_H
#define _LG_H

#include <linux/bitmap.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <asm/desc_defs.h>
#include <asm/trap_pf.h>
#include <asm/trapnr.h>
#include <asm/user_64.h>
#include <lguest/device.h>
#include <lguest/guest.h>
#include "switcher.h"

/*H:005
 * The order of the files: each uses those above it, and one below only where that is
 * said.  tests/system/order.sh holds it.
 *
 *	end.c			the end of a guest, from wherever it is noticed
 *	stats.c			counters, for who looks
 *	check_host.c		what a host must have
 *	predictions.c		what the CPU predicts, each guest's own
 *	switcher.S		between the host and the guest
 *	switcher_map.c		its pages, in slot 256
 *	syscall_msrs.c		where system calls lead
 *	clock.c			time and date
 *	memory.c		guest-physical memory
 *	tlb.c			which CPUs may still know an old entry
 *	direct.c		what the Switcher does by itself
 *		but unpin_root: an address space that no vCPU's table names any more
 *	eventfd.c		what tells the launcher of a NOTIFY
 *	shadow_tables.c		shadow tables: which there are, and what they hold
 *		but new_table_page, free_table_page: the pages of its tables
 *		but refill_spare_tables, free_spare_tables: those of the next ones
 *		but send_to_limbo, empty_limbo: where they wait until no CPU knows them
 *		but sync_lower_half, sync_needs_rest: a space that is loaded again is brought up to date
 *	notifier.c		the launcher's memory changes
 *	shadow_memory.c		the pages of shadow tables
 *	shrink.c		... which the host wants back
 *	page_walk.c		the guest's page tables
 *	device_access.c		stores to devices that are an eventfd's
 *	segments.c		FPU, TLS, and entering a guest
 *	step.c			single steps
 *	interrupts_and_traps.c	why a guest came out, and what it gets
 *		but demand_page, fill_stack: a page fault
 *		but do_hypercall: a call
 *	pending.c		what a vCPU is told from outside
 *	irqfd.c			what lets the launcher raise an interrupt
 *	timer.c			a vCPU's timer
 *	page_tables.c		a fault becomes a shadow entry
 *	page_sync.c		flushes: shadow entries become the guest's again
 *	hypercalls.c		the calls
 *	core.c			the loop that runs a vCPU
 *	saved.c			a vCPU's state, given to the launcher and taken from it
 *	dev.c			the device
 *	selftest_tables.c	the self-test's first stage
 *		but selftest_failed, selftest_say: its words, the same for all stages
 *	selftest.c		the self-test
 *	module.c		loading and unloading
:*/

/*H:010
 * A guest-physical address.  Not a number and not a pointer, so that it
 * cannot be used without going through memory.c, where it is checked.
:*/
typedef struct { u64 v; } lg_gpa_t;
#define GPA(x) ((lg_gpa_t){ (x) })

/* In a value for CR3: keep what the TLB has for its PCID. */
#define CR3_KEEP	BIT_ULL(63)
#define CR3_PCID	0xfffULL

/* The state page of a vCPU, which the Switcher reads and writes. */
struct lg_state {
	struct user_regs_struct regs;
	u64 trapnum, error;
	u64 host_cr3, host_rsp, host_fs, host_gs;
	u64 load;			/* where the CR3 for the entry stands */
	u64 nmis, mces;			/* arrived in the Switcher itself */
	struct desc_ptr host_idt __aligned(16);
	struct desc_ptr guest_idt __aligned(16);
	u64 stale[LG_NR_STALE];		/* addresses to flush on the way in */
	u32 nr_stale;			/* non-zero: look at stale */
	u32 change_cr4;			/* non-zero: on the way in, and back */
	u32 flush_all;			/* ... turning global pages off and on */
	u16 verw;			/* non-zero: clear CPU buffers */
	u16 verw_sel;
	u64 host_cr4, guest_cr4;
	/* Direct switches; see direct.c. */
	u32 user;			/* mode: in guest user */
	u32 not_direct;			/* non-zero: always go to the host */
	u32 come_home;			/* non-zero: an NMI or #MC is waiting */
	u32 has_pku;
	u64 space;			/* the current one of spaces: its address */
	u64 keep;			/* CR3_KEEP, or 0 without PCIDs */
	u64 syscall_entry;
	u64 next_hcall;			/* cursor in the ring of calls */
	u64 event_entry;
	u64 direct[LG_NR_DIRECT];
	struct lg_space {
		u64 cr3;		/* as the guest gives it; 0: no more */
		u64 kernel, user;	/* CR3 for each view */
	} spaces[LG_NR_SPACES];
};

#define LGST_CHECK(off, field) \
	static_assert(offsetof(struct lg_state, field) == (off))
LGST_CHECK(LGST_R15, regs.r15);
LGST_CHECK(LGST_R14, regs.r14);
LGST_CHECK(LGST_R13, regs.r13);
LGST_CHECK(LGST_R12, regs.r12);
LGST_CHECK(LGST_RBP, regs.bp);
LGST_CHECK(LGST_RBX, regs.bx);
LGST_CHECK(LGST_R11, regs.r11);
LGST_CHECK(LGST_R10, regs.r10);
LGST_CHECK(LGST_R9, regs.r9);
LGST_CHECK(LGST_R8, regs.r8);
LGST_CHECK(LGST_RAX, regs.ax);
LGST_CHECK(LGST_RCX, regs.cx);
LGST_CHECK(LGST_RDX, regs.dx);
LGST_CHECK(LGST_RSI, regs.si);
LGST_CHECK(LGST_RDI, regs.di);
LGST_CHECK(LGST_RIP, regs.ip);
LGST_CHECK(LGST_CS, regs.cs);
LGST_CHECK(LGST_RFLAGS, regs.flags);
LGST_CHECK(LGST_RSP, regs.sp);
LGST_CHECK(LGST_SS, regs.ss);
LGST_CHECK(LGST_FS_BASE, regs.fs_base);
LGST_CHECK(LGST_GS_BASE, regs.gs_base);
LGST_CHECK(LGST_TRAPNUM, trapnum);
LGST_CHECK(LGST_ERROR, error);
LGST_CHECK(LGST_HOST_CR3, host_cr3);
LGST_CHECK(LGST_HOST_RSP, host_rsp);
LGST_CHECK(LGST_HOST_GS, host_gs);
LGST_CHECK(LGST_LOAD, load);
LGST_CHECK(LGST_NMIS, nmis);
LGST_CHECK(LGST_MCES, mces);
LGST_CHECK(LGST_HOST_IDT, host_idt);
LGST_CHECK(LGST_GUEST_IDT, guest_idt);
LGST_CHECK(LGST_STALE, stale);
LGST_CHECK(LGST_NR_STALE, nr_stale);
LGST_CHECK(LGST_CHANGE_CR4, change_cr4);
static_assert(LGST_NR_STALE % 8 == 0 && LGST_CHANGE_CR4 == LGST_NR_STALE + 4);
LGST_CHECK(LGST_FLUSH_ALL, flush_all);
LGST_CHECK(LGST_VERW, verw);
LGST_CHECK(LGST_VERW_SEL, verw_sel);
LGST_CHECK(LGST_HOST_CR4, host_cr4);
LGST_CHECK(LGST_GUEST_CR4, guest_cr4);
LGST_CHECK(LGST_USER, user);
LGST_CHECK(LGST_NOT_DIRECT, not_direct);
LGST_CHECK(LGST_COME_HOME, come_home);
LGST_CHECK(LGST_HAS_PKU, has_pku);
LGST_CHECK(LGST_SPACE, space);
LGST_CHECK(LGST_KEEP, keep);
LGST_CHECK(LGST_SYSCALL_ENTRY, syscall_entry);
LGST_CHECK(LGST_NEXT_HCALL, next_hcall);
LGST_CHECK(LGST_EVENT_ENTRY, event_entry);
LGST_CHECK(LGST_DIRECT, direct);
LGST_CHECK(LGST_SPACES, spaces);
static_assert(sizeof(struct lg_space) == LG_SPACE_SIZE);
static_assert(sizeof(struct lg_state) < PAGE_SIZE / 2, "the rest is a stack");
#undef LGST_CHECK

static_assert(LGUEST_VCPUS * LG_VCPU_STRIDE <= PMD_SIZE, "their pages are in one table");

#define LG_REGIONS	512

/*H:020
 * One page of shadow table.  Beside each present entry we keep the guest's
 * entry that it was made from, which is all that is needed to bring it up to
 * date later (shadow_tables.c).
 */
struct shadow_table {
	struct list_head list;		/* lg->tables, lg->limbo or lg->spares */
	u64 *entries;			/* what the CPU walks */
	u64 *guest;			/* the guest's entries they came from */
	struct lg_root *root;		/* whose it is; NULL: the kernel half's */
	int level;			/* 1 (4 KiB entries) to 3 */
	bool split;			/* pieces of one large guest page */
	u64 stamp;			/* in limbo: lg->shrinks when it came there */
	/* The regions that leaves here may point to: a bit for each 512th. */
	u64 regions[LG_REGIONS / 64];
};

/* When an address space, or the kernel half, lost entries of 4 KiB and of 2 MiB last. */
struct lg_lost {
	u64 small, large;		/* lg->shrinks then */
	bool had_large;			/* one was made since all of them went */
};

/* One address space of the guest: both its views. */
struct lg_root {
	unsigned int index;		/* in lg->roots */
	u64 pfn;			/* guest frame of its top-level table */
	bool linear;			/* virtual = physical, before any CR3 */
	bool kernel_only;		/* holds supervisor pages below: no user view */
	bool stale;			/* to be synced before its next use */
	unsigned int syncs;		/* under way: each may rest */
	bool dropped;			/* of no use to the guest: goes with its last pin */
	bool dead;			/* not in lg->roots; waits for its tables */
	unsigned int pins;		/* places in vCPUs' tables that name it */
	unsigned long nr_tables;	/* that know it, those in limbo too */
	u64 last_use;
	u64 shrunk;			/* lg->shrinks when it lost an entry last */
	struct lg_lost lost;
	u64 hidden;			/* lg->shrinks when it lost its user view */
	u64 *pml4[2];			/* by view */
	u64 *low[2];			/* entries 0-255: see fill_fixed_slots() */
	u64 *pml5[2];			/* on 5-level hosts only */
	u64 guest[256];			/* guest entries of the lower half */
};

enum lg_view { LG_KERNEL, LG_USER };

/* Those that no vCPU's table names, and those that may be named. */
#define LG_UNPINNED_ROOTS 56
#define LG_ROOTS	(LG_UNPINNED_ROOTS + LG_NR_SPACES * LGUEST_VCPUS)
#define LG_VISIT_TIMES	32
#define LG_NR_CALLS	32		/* hypercalls that are counted: numbers below */

/* Slot 256 as this guest has it: tables, and per vCPU an IDT and a state page. */
struct lg_slot {
	struct mm_struct *mm;
	struct page *p4d, *pud, *pmd, *pte;	/* p4d on 5-level hosts only */
	u64 entry;			/* for top-level slot 256 */
	u64 entry_area;			/* for slot 508: the host's own */
};

/* What handle_trap() and its helpers answer. */
enum lg_next {
	LG_RUN,		/* done: the guest can go on */
	LG_RETRY,	/* do what cpu->need says, then call again */
	LG_LEAVE,	/* done, but the outer loop has something to look at */
};

/* Why and where something sleepable is needed before a trap can be handled. */
struct lg_need {
	unsigned long page;		/* launcher address to fault in */
	bool write;
	bool tables;			/* spare shadow tables */
	bool wait;			/* it is changing: wait until that is over */
	u64 quiet;			/* no vCPU may use what was taken out until then */
	bool call;			/* hypercall that sleeps */
	bool split_lock;		/* the host's policy for one */
};

struct lguest;

/*H:030
 * A virtual CPU.
 *   o  the owner task only, in read()
 *   i  set when the vCPU is made, then constant
 *   w  any task with the file: atomic, or WRITE_ONCE
 */
struct lg_cpu {
	struct lguest *lg;		/* i */
	unsigned int id;		/* i */
	struct task_struct *tsk;	/* i owner; referenced */

	struct lg_state *state;		/* o page, also in slot 256 */
	struct page *idt;		/* i */
	unsigned long va;		/* i of its pages in slot 256 */
	void *fpu;			/* o XSAVE area of the guest */
	u32 pkru;			/* o of guest user, until its next LOAD_CR3 */
	bool user;			/* o mode: in guest user */
	bool double_fault;		/* o one was delivered */

	struct lguest_shared *shared;	/* o the page's kernel address */
	struct page *shared_page;	/* o pinned */
	u64 shared_gpa;			/* o where it is for the guest */
	bool shared_moved;		/* o by the second INIT */
	u64 event_entry, syscall_entry;	/* o */
	u64 entry_start, entry_end;	/* o no interrupts while rip is inside */

	struct lg_root *root;		/* o current in the host only */
	/* Of each place in state->spaces, or NULL: written by the owner, under lg->lock. */
	struct lg_root *places[LG_NR_SPACES];
	struct lg_pcids *pcids;		/* o CPU whose PCIDs it has, ... */
	u64 pcid_round;			/* o ... if that is still in this round */
	u64 shrinks_seen;		/* o lg->shrinks at the last entry */
	u64 cr2;			/* o of the last hardware page fault */
	u64 dr6;			/* o of the last debug exception */
	bool locked_bus;		/* o by which the CPU told of a bus lock */
	u64 last_stale;			/* o spurious fault address, ... */
	unsigned int stale_tries;	/* o ... and how often in a row */
	struct desc_struct tls[3];	/* o */
	bool tls_used;			/* o */

	bool trap_pending;		/* o state->trapnum is not yet handled */
	bool hcall_done;		/* o ... but its ring of calls is */
	bool may_rest;			/* o preemption is on: what is long may rest */
	bool halted;			/* o in a HALT or WAIT */
	bool kicked;			/* w KICK: this HALT or WAIT, or the next, ends */
	bool asleep;			/* o in sleep_halted() */
	struct lg_need need;		/* o */
	struct lguest_exit exit;	/* o record for the launcher, if kind */
	bool exit_given;		/* o it was read */
	bool anew;			/* o the next read() goes on with the last */
	bool told;			/* w a read() or request has given ENOENT */
	int getreg;			/* w armed register, or -1 */
	int inject;			/* w armed trap, or -1 */
	u64 inject_error;		/* w */

	bool step;			/* w STEP: armed */
	bool stepping;			/* o this read() obeys it (step.c) */
	bool step_began;		/* o the guest was entered for it */
	bool stepped;			/* o it is done */
	bool step_tf;			/* o the guest had its own trap flag */
	u8 step_insn;			/* o its opcode, if it is about flags */
	u64 step_from;			/* o rip before it */

	DECLARE_BITMAP(irqs_pending, LGUEST_IRQS);	/* w */
	DECLARE_BITMAP(ipis, 64);	/* w from LGUEST_IPI_VECTOR on */
	bool nmi;			/* w one is to be delivered */
	bool break_out;			/* w */
	struct hrtimer timer;		/* o */
	unsigned int restarts, sleeps;	/* o those of clock.c, when it was started */
	int in_guest;			/* w CPU it runs on, or -1 */

	u64 traps[LG_NR_TRAPS];		/* o counters by reason */
	u64 hcalls[LG_NR_CALLS];	/* o counters by call */
	u64 visit_began;		/* o in TSC ticks; 0: do not count it */
	u64 visit_times[LG_VISIT_TIMES]; /* o by logarithm of the ns */
	u64 counts[16];			/* o enum lg_count, which must fit */
};

/*
 * What is counted of each vCPU.  One more takes a number here, a name in stats.c,
 * and count() where it happens; column_of() in launcher/command/cmd_stat.c says under which
 * title `lguest stat` shows it.
 */
enum lg_count {
	LG_COUNT_SWITCHES,		/* world switches */
	LG_COUNT_FILLS,			/* shadow entries made */
	LG_COUNT_GUEST_FAULTS,		/* page faults given to the guest */
	LG_COUNT_SPURIOUS,		/* shadow entry was right already */
	LG_COUNT_DROPS,			/* shadow entries dropped by flushes */
	LG_COUNT_TABLES,		/* shadow tables made */
	LG_COUNT_ROOTS,			/* address spaces made */
	LG_COUNT_INTERRUPTS,		/* virtual interrupts given */
	LG_COUNT_EXITS,			/* returns to the launcher */
	LG_COUNT_SLEEPS,		/* sleeps in HALT */
	LG_COUNT_WAITS,			/* for a change of the launcher's memory */
	LG_COUNT_HOST_PAGES,		/* waits for a page of the host's own */
	LG_COUNT_LOCK_WAITS,		/* times that another had lg->lock, ... */
	LG_COUNT_LOCK_NS,		/* ... and the nanoseconds of these waits */
	LG_COUNT_MAX
};
_Static_assert(LG_COUNT_MAX <= sizeof(((struct lg_cpu *)0)->counts) / sizeof(u64), "room to count");

#define LG_MAX_EVENTFDS	64
/* What signals an eventfd: a NOTIFY, or a store to a device.  No padding. */
struct lg_notify {
	u64 value;			/* of NOTIFY, or the device address */
	u32 device;			/* 1: a store ... */
	u32 data;			/* ... of this */
};
struct lg_eventfd {
	struct lg_notify what;
	struct eventfd_ctx *ctx;
};
struct lg_eventfds {
	struct rcu_head rcu;
	unsigned int nr;
	struct lg_eventfd map[];
};

/*H:040
 * A guest.
 *   i  set by INITIALIZE, then constant
 *   l  lg->lock: the shadow tables; taken by vCPUs and by the mmu notifier,
 *      never held while anything may sleep
 *   r  lg->requests: held during a request, may sleep
 */
struct lguest {
	u64 number;			/* i from 1, never used again */
	struct mm_struct *mm;		/* i mmgrab()ed */
	unsigned long base;		/* i launcher address of guest-physical 0 */
	u64 start;			/* i where each vCPU starts */
	u64 pfn_limit, device_limit;	/* i */
	struct lg_slot slot;		/* i */
	struct mutex requests;
	struct mmu_notifier notifier;

	spinlock_t lock;
	struct lg_root *roots[LG_ROOTS];	/* l */
	u64 root_clock;			/* l */
	u64 kernel_half[256];		/* l entries that all kernel views share */
	u64 kernel_guest[256];		/* l guest entries they came from */
	struct list_head tables;	/* l shadow tables, but those in ... */
	struct list_head limbo;		/* l taken out, to be freed; oldest first */
	unsigned long nr_tables, max_tables;	/* l of both; i */
	unsigned long dead_roots;	/* l that wait for their tables */
	u64 shrinks;			/* l entries taken away so far (tlb.c) */
	u64 kernel_shrunk;		/* l its value when the kernel half lost one */
	struct lg_lost kernel_lost;	/* l */
	int changing;			/* l changes under way, all of them ... */
	unsigned long changing_start, changing_end;	/* l ... in here */
	atomic64_t interrupted;		/* vCPUs were, on behalf of TLBs */
	struct list_head spares;	/* l tables for the next fills */
	unsigned int nr_spares;		/* l */
	struct lg_root *spare_root;	/* l for the next address space, or NULL */
	wait_queue_head_t changed;

	char *dead;			/* cmpxchg: first reason wins */
	wait_queue_head_t breakers;
	struct lg_eventfds __rcu *eventfds;	/* r, read under RCU */
	struct lg_irqfd *irqfds[LGUEST_IRQS];	/* r */
	struct lg_irq_status {
		u64 address;			/* r, then constant */
		unsigned int irq;		/* r, then constant */
		atomic_t word;
	} irq_status[LGUEST_IRQS];
	unsigned int nr_irq_status;		/* r, grows */
	unsigned int nr_cpus;		/* r, grows; smp_store_release()d */
	struct lg_cpu *cpus[LGUEST_VCPUS];	/* r, constant once it counts */
	struct dentry *debugfs;
	struct list_head all_guests;	/* for shrink.c */
};

/* One dead value is no sentence but an errno for read(). */
#define LG_DEAD_RESTART ((char *)ERR_PTR(-ERESTART))

/* end.c */
__printf(2, 3) void kill_guest(struct lg_cpu *cpu, const char *fmt, ...);
void end_guest(struct lguest *lg, char *reason);
void kick_cpu(struct lg_cpu *cpu);

/* core.c */
ssize_t run_guest(struct lg_cpu *cpu, char __user *buf, size_t size);
bool take_async_fault(struct lg_cpu *cpu);
void wait_for_host_page(struct lg_cpu *cpu);
int satisfy_need(struct lg_cpu *cpu);

/* saved.c */
int req_save(struct lg_cpu *cpu, const u64 *arg);
int req_restore(struct lg_cpu *cpu, const u64 *arg);

/* check_host.c */
int check_host(void);
void forget_host(void);
bool cpu_is_good(void);

/* switcher_map.c */
int init_switcher(void);
void free_switcher(void);
int map_switcher(struct lguest *lg);
void unmap_switcher(struct lguest *lg);
int make_vcpu_pages(struct lg_cpu *cpu);
void map_vcpu(struct lg_cpu *cpu);
void free_vcpu_pages(struct lg_cpu *cpu);
void map_shared(struct lg_cpu *cpu, struct page *page);
unsigned int ist_of(unsigned int vector);
void flush_all_cpus(void);
unsigned long switcher_address(struct lg_cpu *cpu, const char *label);
extern const char switcher_start[], switcher_end[];
extern const char switcher_enter[], switcher_syscall[], switcher_compat[];
void switch_worlds(unsigned long enter);		/* switcher.S */

/* segments.c: everything of a CPU that a guest changes, but its registers */
void init_fpu_size(void);
int init_fpu(struct lg_cpu *cpu);
void free_fpu(struct lg_cpu *cpu);
void load_guest_fpu(struct lg_cpu *cpu);
void save_guest_fpu(struct lg_cpu *cpu);
void forget_nm(void);
unsigned int fpu_area_size(void);
u64 fpu_features(void);
bool fpu_possible(const void *area);
void enter_guest(struct lg_cpu *cpu);
int load_tls_entries(struct lg_cpu *cpu, const u64 desc[3]);
int check_task(void);

/* syscall_msrs.c */
int init_syscall_msrs(void);
void free_syscall_msrs(void);
void load_syscall_msrs(struct lg_cpu *cpu);
void leave_syscall_msrs(void);
void end_msr_laziness_here(void);

/* predictions.c */
int init_predictions(void);
void free_predictions(void);
void separate_predictions(struct lg_cpu *cpu);

/* interrupts_and_traps.c */
enum lg_next handle_trap(struct lg_cpu *cpu);
void deliver_trap(struct lg_cpu *cpu, unsigned int vector, u64 error);
void deliver_syscall(struct lg_cpu *cpu);
enum lg_next return_from_event(struct lg_cpu *cpu);
void raise_nmi(struct lg_cpu *cpu);
void handle_host_interrupt(struct lg_cpu *cpu);
bool is_host_vector(u64 trap);
enum lg_next exit_to_device(struct lg_cpu *cpu, u64 gpa, u32 error);
bool registers_possible(const struct user_regs_struct *regs, bool user);

/* pending.c */
bool maybe_deliver_interrupt(struct lg_cpu *cpu);
bool may_wake(struct lg_cpu *cpu);
void try_to_wake(struct lg_cpu *cpu);
void set_interrupt(struct lg_cpu *cpu, unsigned int irq);
void send_ipi(struct lg_cpu *cpu, unsigned int vector);
void end_wait(struct lg_cpu *cpu);

/* step.c */
void begin_step_read(struct lg_cpu *cpu);
void look_at_step(struct lg_cpu *cpu);
void enter_guest_to_step(struct lg_cpu *cpu);
enum lg_next finish_step(struct lg_cpu *cpu);
enum lg_next note_step(struct lg_cpu *cpu, u64 trap, enum lg_next next);

/* hypercalls.c */
enum lg_next do_hypercall(struct lg_cpu *cpu);
void do_sleeping_hypercall(struct lg_cpu *cpu);
bool entries_ok(u64 event_entry, u64 syscall_entry);
int pin_shared(struct lg_cpu *cpu, u64 shared);
void use_shared(struct lg_cpu *cpu, u64 event_entry, u64 syscall_entry, u64 entry_end);

/* clock.c */
void init_clock(void);
void free_clock(void);
void start_clock(struct lg_cpu *cpu);
void write_times(struct lg_cpu *cpu);

/* direct.c */
u64 root_cr3(struct lg_root *root, enum lg_view view);
void prepare_direct(struct lg_cpu *cpu);
void note_direct(struct lg_cpu *cpu);
void remember_space(struct lg_cpu *cpu, u64 cr3);
void announce_space(struct lg_cpu *cpu, struct lg_root *root, u64 cr3);
void forget_space(struct lg_cpu *cpu, struct lg_root *root);
void forget_spaces(struct lg_cpu *cpu);

/* tlb.c */
struct lg_pcids {			/* of a physical CPU */
	u64 round;
	unsigned int next;
};
void shrunk(struct lguest *lg, struct lg_root *root);
void prepare_tlb(struct lg_cpu *cpu, struct lg_pcids *pcids);
void forget_own_pages(struct lg_cpu *cpu);
bool cpu_passed(struct lg_cpu *cpu, u64 stamp);
bool passed(struct lguest *lg, u64 stamp);
bool settled(struct lguest *lg, struct lg_root *root, u64 stamp);
u64 who_names(struct lguest *lg, struct lg_root *root);
#define LG_ALL_VCPUS	(~0ULL)
void chase(struct lguest *lg, u64 vcpus, u64 stamp);

/* timer.c */
void init_clockdev(struct lg_cpu *cpu);
void set_clockevent(struct lg_cpu *cpu, u64 ns);
void take_clockevent(struct lg_cpu *cpu);
void cancel_clockevent(struct lg_cpu *cpu);
u64 clockevent_left(struct lg_cpu *cpu);

/* memory.c */
bool limits_ok(u64 base, u64 pfn_limit, u64 start, u64 device_limit);
bool guest_range_ok(const struct lguest *lg, lg_gpa_t gpa, u64 len);
unsigned long launcher_address(const struct lguest *lg, lg_gpa_t gpa);
bool lgread_words(struct lg_cpu *cpu, u64 *to, lg_gpa_t gpa, unsigned int nr);
bool lgread_atomic(struct lg_cpu *cpu, void *to, lg_gpa_t gpa, u64 len);
int lgcmpxchg_atomic(struct lg_cpu *cpu, lg_gpa_t gpa, u64 old, u64 new);
void lgread(struct lg_cpu *cpu, void *to, lg_gpa_t gpa, u64 len);
int fault_in(unsigned long address, bool write);

/* shadow_tables.c, shadow_memory.c */
void init_shadow_memory(struct lguest *lg);
unsigned long shrink_shadow(struct lguest *lg, unsigned long most);
void free_shadow(struct lguest *lg);
int start_linear(struct lg_cpu *cpu);
enum lg_next load_root(struct lg_cpu *cpu, u64 cr3);
enum lg_next new_space(struct lg_cpu *cpu, u64 cr3);
void drop_space(struct lg_cpu *cpu, u64 cr3);
int refill_spares(struct lg_cpu *cpu);
void unpin_root(struct lguest *lg, struct lg_root *root);
void zap_launcher_range(struct lguest *lg, unsigned long start,
			unsigned long end, bool may_rest);

/* page_walk.c, page_tables.c, page_sync.c */
size_t read_virtual(struct lg_cpu *cpu, u64 address, void *to, size_t len);
enum lg_next demand_page(struct lg_cpu *cpu, u64 address, u32 error,
			 bool only_try);
void fill_stack(struct lg_cpu *cpu);
void flush_one(struct lg_cpu *cpu, u64 address);
enum lg_next flush_user(struct lg_cpu *cpu);
enum lg_next flush_everything(struct lg_cpu *cpu);
struct lg_pages {			/* of FLUSH_MULTI */
	u64 start, size, nr;
};
enum lg_next flush_multi(struct lg_cpu *cpu, u64 vcpus, u64 table,
			 const struct lg_pages *pages);

/* notifier.c */
int watch_launcher(struct lguest *lg);
void unwatch_launcher(struct lguest *lg);
bool is_changing(struct lguest *lg, unsigned long start, unsigned long size);
bool page_is_changing(struct lguest *lg, unsigned long page);

/* shrink.c */
int init_shrinker(void);
void free_shrinker(void);
void add_to_shrinker(struct lguest *lg);
void remove_from_shrinker(struct lguest *lg);

/* eventfd.c */
int attach_eventfd(struct lguest *lg, const struct lg_notify *what, int fd);
bool signal_eventfd(struct lguest *lg, u64 value);
bool signal_device_eventfd(struct lguest *lg, u64 gpa, u32 data);
bool device_eventfd_at(struct lguest *lg, u64 gpa);
void free_eventfds(struct lguest *lg);

/* device_access.c */
bool access_device(struct lg_cpu *cpu, u64 gpa, u32 error);
int set_irq_status(struct lguest *lg, unsigned int irq, u64 address, u32 value);
void mark_irq_status(struct lguest *lg, unsigned int irq);

/* irqfd.c */
int attach_irqfd(struct lg_cpu *cpu, unsigned int irq, int fd);
void free_irqfds(struct lguest *lg);

/* dev.c */
struct lguest *new_guest(u64 base, u64 pfn_limit, u64 start, u64 device_limit);
void free_guest(struct lguest *lg, bool watched);
int init_device(void);
void free_device(void);

/* selftest.c */
int run_selftest(void);

/* stats.c */
void init_stats(void);
void free_stats(void);
void add_stats(struct lguest *lg);
void remove_stats(struct lguest *lg);

/* The vCPU with this number, or NULL: a loop over all ends there. */
static inline struct lg_cpu *vcpu_of(struct lguest *lg, u64 n)
{
	unsigned int nr = smp_load_acquire(&lg->nr_cpus);

	return n < nr ? lg->cpus[array_index_nospec(n, nr)] : NULL;
}

#define for_each_vcpu(lg, cpu, n) \
	for ((n) = 0; ((cpu) = vcpu_of(lg, n)); (n)++)

/* So many places of lg->roots are used: of those without a pin as many with any number. */
static inline unsigned int nr_roots(const struct lguest *lg)
{
	return LG_UNPINNED_ROOTS + LG_NR_SPACES * READ_ONCE(lg->nr_cpus);
}

static inline struct user_regs_struct *regs_of(struct lg_cpu *cpu)
{
	return &cpu->state->regs;
}

static inline void count(struct lg_cpu *cpu, enum lg_count what)
{
	cpu->counts[what]++;
}

/* Canonical in 48 bits, which is what every guest sees. */
static inline bool canonical(u64 address)
{
	return (s64)(address << 16) >> 16 == (s64)address;
}

#endif /* _LG_H */
