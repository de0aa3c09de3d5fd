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
 *		but lguest_start_kernel: the guest begins
 *		but lguest_unexpected, lguest_sort_fault, lguest_is_sysenter: C code decides
 *		but linux_page_fault, linux_general_protection: Linux's goes on
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
 *	cpu.c		registers, segments, the IDT
 *	boot.c		the first C code, which sets up all of these
:*/

/* Where layer.lds puts the layer. */
#define LAYER_VA	0xfffffffffee00000
#define LAYER_PA	0x800000
#define LAYER_SIZE	0x200000

#ifndef __ASSEMBLY__
#include <linux/types.h>

struct pt_regs;
struct mm_struct;

/* As entry.S has it on the stack. */
struct fault_frame {
	unsigned long error, ip, cs, flags, sp;
};

extern struct lguest_shared lguest_shared;

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
void lguest_unexpected(void);
extern char lguest_page_fault[], lguest_general_protection[];
extern void *linux_page_fault, *linux_general_protection;
extern u32 lguest_flush_later, lguest_ring_waits;

/* end.c */
void lguest_shutdown(const char *text, unsigned long reason);
void setup_machine_ops(void);

/* patch.c */
void patch_jump(char *at, const void *to);
void patch_text(void);

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
extern bool lguest_in_halt;
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

/* bus.c */
void add_virtio_devices(void);

#endif /* !__ASSEMBLY__ */
#endif /* _GUEST_LAYER_H */
