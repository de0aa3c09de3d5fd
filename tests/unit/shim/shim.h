/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of a kernel as the Host's pure files need to be built as a program:
 * every <linux/...> and <asm/...> header beside this file is this file.
 *
 * The test says what the machine does: it defines the functions at the end and
 * may look at, or set, the variables (shim.c).
 *
 *  - A physical address is an address of this program.  The struct page of an
 *    allocated page stands right behind it, so that a frame number which never
 *    came from an allocation leads ASan to the culprit.
 *  - A spinlock knows whether it is held: taking it twice is fatal, as it is
 *    on a real CPU.
 */
#ifndef SHIM_H
#define SHIM_H

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <linux/types.h>

typedef struct { int counter; } atomic_t;
typedef struct { __s64 counter; } atomic64_t;
#define atomic64_inc(v)	((v)->counter++)
#define atomic64_read(v) ((v)->counter)
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;
typedef unsigned int gfp_t;

#define U64_MAX		UINT64_MAX
#define BITS_PER_LONG	64
#define BIT_ULL(n)	(1ULL << (n))
#define __user
#define __acquires(lock)
#define __rcu
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define __aligned(n)	__attribute__((aligned(n)))
#define likely(x)	(x)
#define unlikely(x)	(x)
#define BUILD_BUG_ON(what) _Static_assert(!(what), #what)
#define smp_mb()	((void)0)
#define READ_ONCE(x)	(*(const volatile __typeof__(x) *)&(x))
#define smp_load_acquire(p)	(*(p))
/* At each store that others may see, they may do something. */
#ifdef SHIM_MOMENTS
extern void (*shim_moment)(void);
#define shim_at()	(shim_moment ? shim_moment() : (void)0)
#else
#define shim_at()	((void)0)
#endif
#define smp_store_release(p, value) (shim_at(), *(p) = (value), shim_at())
#define WRITE_ONCE(x, value) \
	(shim_at(), *(volatile __typeof__(x) *)&(x) = (value), shim_at())
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define min(a, b)	((a) < (b) ? (a) : (b))
#define max(a, b)	((a) > (b) ? (a) : (b))
#define min_t(type, a, b) min((type)(a), (type)(b))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define array_index_nospec(i, n) (i)
#define ERR_PTR(error)	((void *)(long)(error))
#ifndef ERESTART
#define ERESTART	85
#endif
#define DECLARE_BITMAP(name, bits) \
	unsigned long name[((bits) + BITS_PER_LONG - 1) / BITS_PER_LONG]
#define test_bit(n, map) ((map)[(n) / BITS_PER_LONG] >> (n) % BITS_PER_LONG & 1)
#define __set_bit(n, map) \
	((void)((map)[(n) / BITS_PER_LONG] |= 1UL << (n) % BITS_PER_LONG))

/* Lists. */
struct list_head { struct list_head *next, *prev; };

#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))
#define list_first_entry(head, type, member) \
	container_of((head)->next, type, member)
#define list_entry_of(p, t, member) \
	container_of(p, __typeof__(*(t)), member)
#define list_next_entry(item, member) \
	container_of((item)->member.next, __typeof__(*(item)), member)

#define list_for_each_entry(t, head, member)				\
	for ((t) = list_entry_of((head)->next, t, member);		\
	     &(t)->member != (head);					\
	     (t) = list_entry_of((t)->member.next, t, member))
#define list_for_each_entry_safe(t, n, head, member)			\
	for ((t) = list_entry_of((head)->next, t, member),		\
	     (n) = list_entry_of((t)->member.next, t, member);		\
	     &(t)->member != (head);					\
	     (t) = (n), (n) = list_entry_of((n)->member.next, n, member))

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	head->next = head->prev = head;
}

static inline void list_add(struct list_head *item, struct list_head *head)
{
	item->next = head->next;
	item->prev = head;
	head->next->prev = item;
	head->next = item;
}

static inline void list_del(struct list_head *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->next = item->prev = NULL;
}

/* The test hears of it. */
#ifdef SHIM_MOMENTS
extern void (*shim_listed)(struct list_head *item, struct list_head *head);
#endif

static inline void list_move(struct list_head *item, struct list_head *head)
{
#ifdef SHIM_MOMENTS
	if (shim_listed)
		shim_listed(item, head);
#endif
	list_del(item);
	list_add(item, head);
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

static inline void list_move_tail(struct list_head *item, struct list_head *head)
{
	list_del(item);
	list_add(item, head->prev);
}

static inline bool list_is_last(const struct list_head *item, const struct list_head *head)
{
	return item->next == head;
}

/* Locks, and what is only a field here. */
typedef struct { bool held; } spinlock_t;

static inline void spin_lock(spinlock_t *lock)
{
	if (lock->held)
		abort();	/* a CPU that waits for itself */
	lock->held = true;
	shim_at();
}

/* Who else could have it? */
static inline bool spin_trylock(spinlock_t *lock)
{
	spin_lock(lock);
	return true;
}

static inline void spin_unlock(spinlock_t *lock)
{
	if (!lock->held)
		abort();
	shim_at();
	lock->held = false;
}

/* What others do while a lock is given up for a moment. */
extern void (*shim_rest)(void);
static inline void cond_resched_lock(spinlock_t *lock)
{
	spin_unlock(lock);
	if (shim_rest)
		shim_rest();
	spin_lock(lock);
}

#define ktime_get_ns()	0ULL
#define cond_resched()	((void)0)
#define cpu_relax()	((void)0)

#define local_irq_save(flags)	((flags) = 1)
#define local_irq_restore(flags) ((void)(flags))

#define swap(a, b) \
	do { __typeof__(a) old_ = (a); (a) = (b); (b) = old_; } while (0)

struct mutex { int unused; };
struct hrtimer { int unused; };
struct rcu_head { int unused; };
struct mm_struct { unsigned long rss; };
struct task_struct;
struct eventfd_ctx;
struct dentry;
typedef struct { int unused; } wait_queue_head_t;
#define wake_up_all(queue) ((void)(queue))
struct desc_struct { u64 value; };
struct desc_ptr { u16 size; u64 address; } __attribute__((packed));

struct user_regs_struct {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx,
		      si, di, orig_ax, ip, cs, flags, sp, ss, fs_base, gs_base,
		      ds, es, fs, gs;
};

/* Notifiers: who registers one is called by the test, in the kernel's place. */
struct mmu_notifier { const struct mmu_notifier_ops *ops; };
struct mmu_notifier_range { unsigned long start, end; bool blockable; };
struct mmu_notifier_ops {
	int (*invalidate_range_start)(struct mmu_notifier *mn,
				      const struct mmu_notifier_range *range);
	void (*invalidate_range_end)(struct mmu_notifier *mn,
				     const struct mmu_notifier_range *range);
	void (*release)(struct mmu_notifier *mn, struct mm_struct *mm);
};
#define mmu_notifier_range_blockable(range) ((range)->blockable)
#define mmu_notifier_register(mn, mm) ((void)(mn), (void)(mm), 0)
#define mmu_notifier_unregister(mn, mm) ((void)(mn), (void)(mm))

/* CPUs are interrupted: the test says what happens there. */
#define cpu_online_mask ((void *)0)
void on_each_cpu_cond_mask(bool (*cond)(int cpu, void *info), void (*fn)(void *info),
			   void *info, bool wait, const void *mask);

#define X86_TRAP_GP	13
#define X86_TRAP_PF	14
#define X86_PF_PROT	(1U << 0)
#define X86_PF_WRITE	(1U << 1)
#define X86_PF_USER	(1U << 2)
#define X86_PF_RSVD	(1U << 3)
#define X86_PF_INSTR	(1U << 4)
#define X86_PF_PK	(1U << 5)

/* Page tables. */
#define PAGE_SHIFT	12
#define PAGE_SIZE	4096UL
#define PAGE_MASK	(~(PAGE_SIZE - 1))
#define PMD_SIZE	(2UL << 20)
#define PAGE_ALIGNED(x)	IS_ALIGNED((unsigned long)(x), PAGE_SIZE)

#define _PAGE_PRESENT	BIT_ULL(0)
#define _PAGE_RW	BIT_ULL(1)
#define _PAGE_USER	BIT_ULL(2)
#define _PAGE_ACCESSED	BIT_ULL(5)
#define _PAGE_DIRTY	BIT_ULL(6)
#define _PAGE_PSE	BIT_ULL(7)
#define _PAGE_PAT_LARGE	BIT_ULL(12)
#define _PAGE_NX	BIT_ULL(63)
#define _KERNPG_TABLE_NOENC \
	(_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY)
#define __PAGE_KERNEL_LARGE_EXEC \
	(_KERNPG_TABLE_NOENC | _PAGE_PSE | BIT_ULL(8))

extern u64 sme_me_mask;
extern bool shim_five_levels;
extern struct shim_cpu { u8 x86_phys_bits, x86_vendor; } boot_cpu_data;
#define X86_FEATURE_OSPKE 0
#define X86_FEATURE_CLEAR_CPU_BUF 0
#define X86_FEATURE_USE_IBPB 0
#define __KERNEL_DS	0x18
#define boot_cpu_has(feature) (feature)
#define pgtable_l5_enabled() shim_five_levels
#define X86_CR4_PCIDE	BIT_ULL(17)
#define __read_cr4()	X86_CR4_PCIDE

/* The launcher's own tables: only its PMD entries are asked for. */
typedef struct { u64 value; } pgd_t, p4d_t, pud_t, pmd_t;
pmd_t *shim_pmd(unsigned long address);
extern pgd_t shim_upper;
#define pgd_offset(mm, address) ((void)(mm), (void)(address), &shim_upper)
#define p4d_offset(pgd, address) (pgd)
#define pud_offset(p4d, address) (p4d)
#define pmd_offset(pud, address) ((void)(pud), shim_pmd(address))
#define pgd_none(e)	((e).value == 0)
#define p4d_none(e)	((e).value == 0)
#define pud_present(e)	((e).value & _PAGE_PRESENT)
#define pud_val(e)	((e).value)
#define pmd_val(e)	((e).value)

/* Pages and memory. */
struct page {
	unsigned long private;
	u64 pfn;
	bool dirty;
};

struct folio {
	struct page page;
};
#define page_folio(p)		((struct folio *)(p))
#define folio_test_anon(f)	true
#define folio_test_swapbacked(f) true
#define folio_test_dirty(f)	((f)->page.dirty)
#define folio_set_dirty(f)	((f)->page.dirty = true)

#define GFP_KERNEL_ACCOUNT 0
#define FOLL_WRITE	1
#define FOLL_HONOR_NUMA_FAULT 2
#define __pa(p)		((u64)(uintptr_t)(p))
#define pfn_to_page(pfn) ((struct page *)(((pfn) << PAGE_SHIFT) + PAGE_SIZE))
#define virt_to_page(p)	((struct page *)((char *)(p) + PAGE_SIZE))
#define page_to_pfn(page) ((page)->pfn)
#define ZERO_PFN	77	/* the page of zeros */
#define is_zero_pfn(n)	((n) == ZERO_PFN)
#define page_private(page) ((page)->private)
#define set_page_private(page, value) ((page)->private = (value))
#define put_page(page)	((void)(page))

void *shim_alloc(size_t size, size_t align);
void shim_free(void *p);
extern void (*shim_freed)(void *p);
extern long shim_allocated;	/* pieces of memory in use */
extern long shim_fail_after;	/* allocations until one fails; -1: none */

#define kzalloc(size, gfp)	shim_alloc(size, 16)
#define kfree(p)		shim_free(p)
extern long shim_secondary;	/* pages counted as SecPageTables */
extern unsigned long shim_ram;	/* pages */
extern unsigned long shim_reclaimed;	/* pages that came back, as told */
#define KERNEL_VERSION(a, b, c)	((a) << 16 | (b) << 8 | (c))
#define LINUX_VERSION_CODE	KERNEL_VERSION(6, 12, 0)
#define mm_account_reclaimed_pages(n)	((void)(shim_reclaimed += (n)))
#define NR_SECONDARY_PAGETABLE 0
#define mod_lruvec_page_state(page, what, n) \
	((void)(page), (void)(what), (void)(shim_secondary += (n)))
#define get_mm_rss(mm)	((mm)->rss)
#define totalram_pages() shim_ram
#define get_zeroed_page(gfp) \
	((unsigned long)shim_alloc(PAGE_SIZE + sizeof(struct page), PAGE_SIZE))
#define free_page(address)	shim_free((void *)(address))

/* The launcher's memory as memory.c reaches it; see test_address.c. */
#define TASK_SIZE_MAX	((1ULL << 47) - PAGE_SIZE)
#define ERESTARTSYS	512
#define access_ok(p, size) \
	((u64)(size) <= TASK_SIZE_MAX && \
	 (u64)(uintptr_t)(p) <= TASK_SIZE_MAX - (u64)(size))
#define pagefault_disable() ((void)0)
#define pagefault_enable() ((void)0)
#define user_access_begin(p, size) access_ok(p, size)
#define user_access_end() ((void)0)
#define __copy_from_user_inatomic(to, from, n) copy_from_user(to, from, n)
#define unsafe_get_user(to, p, label)					\
	do { if (copy_from_user(&(to), p, sizeof(to))) goto label; } while (0)
#define unsafe_try_cmpxchg_user(p, old, new, label) ({			\
	u64 seen_;							\
	if (copy_from_user(&seen_, p, sizeof(seen_)))			\
		goto label;						\
	seen_ == *(old) ? (*(p) = (new), true) : (*(old) = seen_, false); })
unsigned long copy_from_user(void *to, const void *from, unsigned long n);
int get_user_pages_fast(unsigned long address, int n, unsigned int flags,
			struct page **pages);
int get_user_pages_fast_only(unsigned long address, int n, unsigned int flags,
			     struct page **pages);

#endif /* SHIM_H */
