/* SPDX-License-Identifier: GPL-2.0 */
/*G:005
 * What the files of the guest layer share.  The layer lives inside a stock
 * guest kernel without being part of it: it calls the kernel's functions by
 * their addresses, and the kernel reaches the layer through pv_ops, x86_init
 * and the like.
 * Read next: boot.c.
 */
#ifndef _GUEST_LAYER_H
#define _GUEST_LAYER_H

#include <lguest/guest.h>

/*G:006
 * The order of the files: each uses those above it, and one below only where that is
 * said.  tests/system/order.sh holds it.
 *
 *	entry.S		where the CPU comes in, and goes out
 *		but lguest_start_kernel, lguest_others: a vCPU begins
 *		but lguest_unexpected, lguest_sort_fault, lguest_is_sysenter: C code decides
 *		but linux_page_fault, linux_general_protection: Linux's goes on
 *	page.c		the page of a vCPU
 *	end.c		the end of a guest
 *	patch.c		jumps in Linux's code
 *	cpuid.c		CPUID
 *	emulator.c	for an emulator's sake
 *	vdso.c		what Linux gives to its programs
 *	irq.c		interrupts
 *	mmu.c		CR3, flushes, page tables
 *	privileged.c	privileged instructions of rare paths
 *	absent.c	what this machine has not
 *	poke.c		writing to Linux's text
 *	ahead.c		pages before they are asked for
 *	fault.c		page faults
 *	time.c		clocks and the timer
 *	console.c	the consoles
 *	bus.c		the devices
 *	power.c		the power button
 *	smp.c		the other vCPUs
 *	cpu.c		registers, segments, the IDT
 *	boot.c		the first C code, which sets up all of these
:*/

/* struct lguest_other, of which lguest_others[] has one for each vCPU. */
#define LGO_SHARED	0
#define LGO_GS_BASE	8
#define LGO_STACK	16
#define LGO_CODE	24
#define LGO_SHIFT	6

/* Where layer.lds puts the layer. */
#define LAYER_VA	0xfffffffffee00000
#define LAYER_PA	0x800000
#define LAYER_SIZE	0x200000

/* struct lguest_local in the page of a vCPU, and its fields for assembler. */
#define LGL_START	3584
#define LGL_FLUSH_LATER	(LGL_START + 0)
#define LGL_RING_WAITS	(LGL_START + 4)
#define LGL_DF_STACK	(LGL_START + 8)

#ifndef __ASSEMBLY__
#include <linux/stddef.h>
#include <linux/types.h>

struct pt_regs;
struct mm_struct;

/* As entry.S has it on the stack. */
struct fault_frame {
	unsigned long error, ip, cs, flags, sp;
};

/*G:007
 * The page of a vCPU: what it shares with the Host, and what is its own.  It is the
 * page of its GDT, of which Linux uses the first 128 bytes (`own`), and the Host none.
 * So each field is one instruction away, by %gs as Linux's own data of a CPU are, and no
 * interrupt, and no move of the task to another vCPU, comes between finding the page
 * and using it.
 *
 * READ_ONCE() would forget that the address is one of %gs; where a plain pointer is
 * wanted there is lguest_pages[].
:*/
struct lguest_local {
	u32 flush_later;		/* mmu.c; entry.S, too */
	u32 ring_waits;
	unsigned long double_fault_stack; /* its end; entry.S */
	unsigned long current_cr3;
	unsigned long never_loaded;
	u32 next_call;			/* in the ring */
	bool in_halt;			/* irq.c */
	bool poked;			/* poke.c */
	unsigned long cr0;		/* cpu.c */
	unsigned long debug_registers[8];
	u64 tls[3];
	u64 last_second;		/* time.c: of the Host's clock */
	unsigned long page;		/* guest-physical: where this page is */
	char text[256];			/* end.c: of a shutdown */
};

struct lguest_cpu {
	union {
		struct lguest_shared shared;
		u8 room[LGL_START];
	};
	struct lguest_local local;
};
_Static_assert(offsetof(struct lguest_cpu, local) == LGL_START, "LGL_START");
_Static_assert(LGL_START + offsetof(struct lguest_local, flush_later) ==
	       LGL_FLUSH_LATER, "LGL_FLUSH_LATER");
_Static_assert(LGL_START + offsetof(struct lguest_local, ring_waits) ==
	       LGL_RING_WAITS, "LGL_RING_WAITS");
_Static_assert(LGL_START + offsetof(struct lguest_local, double_fault_stack) ==
	       LGL_DF_STACK, "LGL_DF_STACK");
_Static_assert(sizeof(struct lguest_cpu) <= 4096, "one page");

extern struct lguest_cpu __seg_gs lguest_cpu __asm__("gdt_page");
#define lguest_shared	lguest_cpu.shared
#define lguest_local	lguest_cpu.local
#define READ_SHARED(x)	(*(const volatile typeof(x) *)&(x))


/*
 * hcall() - call the Host
 *
 * Returns what the call left in rax; see <lguest/guest.h> for the calls.
 */
static __always_inline unsigned long
hcall(unsigned long call, unsigned long a, unsigned long b, unsigned long c)
{
	unsigned long result;

	asm volatile("syscall"
		     : "=a" (result)
		     : "a" (call), "D" (a), "S" (b), "d" (c)
		     : "rcx", "r11", "memory");
	return result;
}

/* One with a fourth argument. */
static __always_inline unsigned long
hcall4(unsigned long call, unsigned long a, unsigned long b, unsigned long c,
       unsigned long d)
{
	register unsigned long r10 asm("r10") = d;
	unsigned long result;

	asm volatile("syscall"
		     : "=a" (result)
		     : "a" (call), "D" (a), "S" (b), "d" (c), "r" (r10)
		     : "rcx", "r11", "memory");
	return result;
}

/*
 * layer_pa() - guest-physical address of something inside the layer
 *
 * The kernel's __pa() is wrong here: the layer is not part of its image.
 */
static inline unsigned long layer_pa(const void *p)
{
	return (unsigned long)p - LAYER_VA + LAYER_PA;
}

/* Of layer.lds */
extern char lguest_layer_start[], lguest_layer_end[];

/* entry.S */
extern void *lguest_handlers[256];
extern char lguest_iret[], lguest_cmpxchg16b[];
extern char lguest_save_fl[], lguest_irq_disable[], lguest_irq_enable[];
extern char lguest_read_cr2[];
extern char lguest_df_stack_end[];
void lguest_unexpected(void);
extern char lguest_page_fault[], lguest_general_protection[];
extern void *linux_page_fault, *linux_general_protection;
extern char lguest_event_entry[], lguest_syscall_entry[], lguest_entry_end[];
unsigned long lguest_load_gs(unsigned int selector);

/* end.c */
void lguest_shutdown(const char *text, unsigned long reason);
void setup_machine_ops(void);

/* patch.c */
void patch_jump(char *at, const void *to);
void patch_text(void);

/* page.c */
extern struct lguest_cpu *lguest_pages[LGUEST_VCPUS];
void setup_first_page(void);
void lguest_move_page(unsigned long base);
struct lguest_cpu *lguest_make_page(unsigned int vcpu, unsigned long stack);

/* emulator.c */
void skip_sync_irets(void);

/* cpuid.c */
void setup_features(void);
void lguest_cpuid(unsigned int *a, unsigned int *b,
		  unsigned int *c, unsigned int *d);

/* cpu.c */
void setup_cpu_ops(void);

/* privileged.c */
void setup_privileged(void);

/* absent.c */
void setup_absent(void);
void no_sleep_states(void);

/* vdso.c */
void setup_vdso(void);

/* irq.c */
void setup_irq_ops(void);
int lguest_setup_irq(unsigned int line);

/* ahead.c */
void lguest_note_fault(unsigned long address);
void lguest_note_stack(unsigned long sp);
void setup_fault_ahead(void);

/* mmu.c */
unsigned long lguest_read_cr3(void);
void lguest_flush_page(unsigned long address, bool later);
unsigned long *lguest_entry_of(unsigned long address);
unsigned long lguest_rights_of(unsigned long address);
void lguest_do_late_calls(void);
void setup_mmu_ops(void);
void setup_multi_flush(void);

/* poke.c */
void setup_poking(void);
void lguest_end_poking(void);

/* time.c */
void setup_time_ops(void);

/* console.c */
void setup_early_console(void);
void setup_console(void);
void start_console(void);

/* power.c */
void setup_power_button(void);

/* smp.c */
struct lguest_other {
	unsigned long shared;		/* guest-physical */
	unsigned long gs_base;
	unsigned long stack;
	unsigned long code;
	bool go;			/* it may start, or start again */
	bool was_there;			/* ... again */
} __aligned(1 << LGO_SHIFT);
_Static_assert(offsetof(struct lguest_other, shared) == LGO_SHARED &&
	       offsetof(struct lguest_other, gs_base) == LGO_GS_BASE &&
	       offsetof(struct lguest_other, stack) == LGO_STACK &&
	       offsetof(struct lguest_other, code) == LGO_CODE &&
	       sizeof(struct lguest_other) == 1 << LGO_SHIFT, "LGO_");
extern struct lguest_other lguest_others[LGUEST_VCPUS];
void lguest_become(struct lguest_other *self) __attribute__((noreturn));	/* entry.S */
void setup_smp(void);

/* bus.c */
void add_virtio_devices(void);

#endif /* !__ASSEMBLY__ */
#endif /* _GUEST_LAYER_H */
