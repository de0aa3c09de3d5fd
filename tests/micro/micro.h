/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tiny guests: what both halves of a test share.
 *
 * A test is a function in one of the topic files (abi.c, hypercalls.c,
 * traps.c, memory.c and so on: the Makefile has them in the order of reading).
 * It runs on the host, in a process of its own, so that a crash or a hang is a
 * verdict like any other.  Most make a guest from another function of the same
 * file:
 *
 *	static void divides(void)		// guest half
 *	{
 *		EXPECT(...);
 *	}
 *
 *	TEST("D9 #DE arrives")			// host half
 *	{
 *		guest_passes(divides);
 *	}
 *
 * That works because the whole program is position-independent: its image is
 * copied into the guest's memory, and there the same code runs at other
 * addresses.  Static variables are the guest's own copy; the test sets them
 * before it makes the guest, and reads the guest's with IN_GUEST().  Guest
 * code may not call the C library, nor follow pointers that the host made.
 *
 * Where things are in a guest:
 *
 *	guest-physical		what
 *	0x1000			the shared page
 *	0x2000			page tables made by the host half
 *	0x10000			stacks
 *	0x48000			for each further vCPU its shared page and stacks
 *	0x100000		the image of this program
 *	after it		free (guest_page())
 *
 * All of it is mapped twice, with 2 MiB pages: at KERNEL (for guest kernel
 * only) and at USER (for both).  Device memory follows RAM at KERNEL only.
 *
 * Read next: entry.S and guest.c (the guest half's own small kernel), host.c
 * (the host half), run.c (the runner).
 */
#ifndef MICRO_H
#define MICRO_H

#define KERNEL_VA	0xffffffff80000000
#define USER_VA		0x400000000
#define SHARED_GPA	0x1000
#define BOOT_CR3	0x2000		/* with virtual = physical for the start */
#define MAIN_CR3	0x8000
#define EVENT_STACK	0x20000		/* tops */
#define KERNEL_STACK	0x30000
#define USER_STACK	0x40000
#define SIBLINGS_GPA	0x40000		/* of vCPU n: SIBLING_SIZE * n behind it */
#define SIBLING_SIZE	0x8000
#define SIBLING_STACK	0x5000		/* top, for events from user */
#define IMAGE_GPA	0x100000
#define GUEST_SIZE	(8UL << 20)
#define DEVICE_SIZE	(2UL << 20)

#define KERNEL_CS	0x10
#define KERNEL_SS	0x18
#define USER_CS		0x33
#define USER32_CS	0x23
#define USER_SS		0x2b

#ifndef __ASSEMBLY__
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>
#include <lguest/device.h>
#include <lguest/guest.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;

#define PAGE	4096UL
#define IF	0x200
#define TF	0x100
#define DF	0x400
#define AC	0x40000
#define NT	0x4000
#define RF	0x10000

/* No access by the GOT, which holds the host's addresses. */
#pragma GCC visibility push(hidden)

/* From the linker: the image of this program. */
extern char __executable_start[], _end[];

/* Page table entry bits. */
#define P_	1UL
#define W_	2UL
#define U_	4UL
#define A_	0x20UL
#define D_	0x40UL
#define PS_	0x80UL
#define NX_	(1UL << 63)
#define PTE_FRAME 0x000ffffffffff000UL

/* Page fault error code bits. */
#define PF_PROT		1
#define PF_WRITE	2
#define PF_USER		4
#define PF_RSVD		8
#define PF_FETCH	16
#define PF_PKEY		32

/* ---- The guest half ---- */

/* The state of guest code that was stopped, or is to be started. */
struct frame {
	u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi,
	    rdi;
	u64 vector, error, rip, cs, rflags, rsp, ss;
};

#define SHARED	((volatile struct lguest_shared *)(KERNEL_VA + SHARED_GPA))

/* Of the vCPU that this runs on, in its kernel. */
static inline volatile struct lguest_shared *own(void)
{
	u64 base;

	asm volatile("rdgsbase %0" : "=r" (base));
	return (volatile struct lguest_shared *)base;
}

u64 hcall(u64 nr, u64 a, u64 b, u64 c, u64 d);
#define HCALL(nr, ...) HCALL_(nr, ##__VA_ARGS__, 0, 0, 0, 0)
#define HCALL_(nr, a, b, c, d, ...) \
	hcall(LHCALL_##nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d))

/* Go to a state; come back with the state at its first event. */
void run(struct frame *f);
/* A state to start with: rip, rsp, segments and flags set. */
struct frame kernel_at(void (*fn)(void));
struct frame user_at(void (*fn)(void));
/* An event outside run(); a test may set it.  NULL: the test fails. */
extern void (*on_event)(struct frame *f);

void enable_interrupts(void);
void guest_spin_in_entry(void);
void guest_fail(const char *what, u64 got, u64 want) __attribute__((noreturn));
void guest_done(void) __attribute__((noreturn));
u64 guest_page(void);			/* guest-physical, zeroed */
u64 gpa_of(const volatile void *p);	/* of an image address */
volatile u64 *entry_of(u64 cr3, u64 va, int level);	/* tables made on demand */
void map(u64 cr3, u64 va, u64 gpa, u64 bits);	/* 4 KiB */
u64 new_space(void);			/* a copy of MAIN_CR3's top level */
extern char guest_event_entry[], guest_syscall_entry[], guest_entry_end[];
extern char guest_boot[];

#define STR_(x) #x
#define STR(x) STR_(x)
#define WHERE __FILE__ ":" STR(__LINE__) ": "
#define EXPECT(cond) do { \
	if (!(cond)) \
		guest_fail(WHERE #cond, 0, 1); \
} while (0)
#define EXPECT_EQ(got, want) do { \
	u64 got_ = (u64)(got), want_ = (u64)(want); \
	if (got_ != want_) \
		guest_fail(WHERE #got " == " #want, got_, want_); \
} while (0)

/* The kernel address of a guest-physical one, and the user's of a kernel one. */
#define AT(gpa)	((void *)(KERNEL_VA + (gpa)))
#define TO_USER(p) ((u64)(p) - KERNEL_VA + USER_VA)

/* Code for run(), in assembler; what follows it is a ud2. */
#define SNIPPET(name, text) \
	extern char name[], name##_end[]; \
	asm(".pushsection .text\n.balign 16\n" #name ":\n" text \
	    "\n" #name "_end:\nud2\n.popsection")

static inline u64 rdtsc(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a" (low), "=d" (high));
	return (u64)high << 32 | low;
}

/* ---- The host half ---- */

struct guest {
	int fd;
	u8 *mem;
	u64 size;
	struct lguest_exit exit;
	char reason[300];
	unsigned int vcpus;	/* make_guest_with(): how many, ... */
	int made[LGUEST_VCPUS], ended[LGUEST_VCPUS];	/* ... and what their calls gave */
	volatile unsigned int broken[LGUEST_VCPUS];	/* how often by BREAK */
	pthread_t threads[LGUEST_VCPUS];
};

extern u64 guest_arg;		/* for the guest half to read */

struct guest *make_guest(void (*fn)(void));
/* Memory and file without INITIALIZE. */
struct guest *raw_guest(u64 size);
int initialize(struct guest *g, u64 start);
void load_image(struct guest *g, void (*fn)(void));
/* read(): a kind of exit, 0 for a dead guest (reason is set), or -errno. */
int go(struct guest *g);
int go_reflecting(struct guest *g);
int go_for(struct guest *g, int ms);	/* go(), with a signal to end it */
void end_guest(struct guest *g);
long request_at(struct guest *g, u64 cpu, u64 a, u64 b, u64 c);
#define request(g, ...) REQUEST_(g, ##__VA_ARGS__, 0, 0)
#define REQUEST_(g, a, b, c, ...) request_at(g, 0, a, b, c)
#define REG(r) offsetof(struct user_regs_struct, r)
u64 getreg(struct guest *g, u64 offset);
u64 stat_of(struct guest *g, const char *name);
/* That of another process; 0 if it has no guest yet. */
u64 stat_of_process(pid_t pid, const char *name);
/*
 * Guests with several vCPUs: a thread for each but the first.  @sibling is what they
 * run, each once it was kicked; they end when the guest does.
 */
struct guest *make_guest_with(unsigned int nr, void (*fn)(void), void (*sibling)(void));
void allow_vcpus(unsigned int nr);
long make_vcpu(struct guest *g, u64 n);
int go_at(struct guest *g, u64 n, struct lguest_exit *exit);
void join_siblings(struct guest *g);
void guest_with_passes(unsigned int nr, void (*fn)(void), void (*sibling)(void));
void guest_with_dies(unsigned int nr, void (*fn)(void), void (*sibling)(void),
		     const char *reason);
void guest_passes(void (*fn)(void));
void guest_dies(void (*fn)(void), const char *reason);
void passes(struct guest *g);
void dies(struct guest *g, const char *reason);
#define IN_GUEST(g, var) \
	(*(volatile __typeof__(var) *)((g)->mem + IMAGE_GPA + \
				       ((char *)&(var) - __executable_start)))

void fail(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
void skip(const char *why) __attribute__((noreturn));
#define CHECK(cond) do { \
	if (!(cond)) \
		fail(WHERE "%s", #cond); \
} while (0)
#define CHECK_EQ(got, want) do { \
	long long got_ = (long long)(got), want_ = (long long)(want); \
	if (got_ != want_) \
		fail(WHERE "%s is %lld (%#llx), want %lld (%#llx)", #got, got_, \
		     got_, want_, want_); \
} while (0)
/* A call that must fail with this errno. */
#define CHECK_ERRNO(call, want) do { \
	errno = 0; \
	long long r_ = (long long)(call); \
	if (r_ != -1 || errno != (want)) \
		fail(WHERE "%s gives %lld, errno %d; want errno %d", #call, r_, \
		     errno, want); \
} while (0)

void on_cpu(int cpu);
int host_has_kprobes(void);
int witness(void);		/* its device, open (../witness/witness.c) */
u64 now_ns(void);
extern unsigned int slow;	/* this host is so many times slower: for limits */
extern unsigned int times;	/* as many rounds as usual (tests/long/rounds.sh) */

struct test {
	const char *name;
	void (*fn)(void);
	const char *file;
	unsigned int seconds;
};
#define TEST_S(seconds, name) TEST_AT(seconds, name, __COUNTER__)
#define TEST(name) TEST_AT(20, name, __COUNTER__)
#define TEST_AT(seconds, name, n) TEST_N(seconds, name, n)
#define TEST_N(seconds, name, n) \
	static void test_##n(void); \
	static struct test entry_##n \
	__attribute__((section("tests"), used, aligned(8))) = \
		{ name, test_##n, __FILE__, seconds }; \
	static void test_##n(void)

#pragma GCC visibility pop
#endif /* !__ASSEMBLY__ */
#endif
