// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses to devices that are done here, without a visit to the launcher: the
 * three that a virtio driver makes all the time.
 *
 *	notify		a store of a number to which an eventfd is attached
 *	status		a load of a line's status word: why it was raised
 *	acknowledge	a store, to the address behind it, of bits to clear
 *
 * Only what compilers make of a 32-bit register access is understood; any other
 * instruction goes to the launcher, as all other accesses do.
 * Read next: step.c.
 */
#include <linux/atomic.h>
#include "lg.h"

#define MOV_STORE	0x89	/* mov r32 to r/m32 */
#define MOV_LOAD	0x8b	/* mov r/m32 to r32 */
#define MOV_IMMEDIATE	0xc7	/* mov imm32 to r/m32, with reg = 0 */
#define REX_R		4
#define REX_W		8

/* General registers by their number in an instruction. */
static unsigned long *register_at(struct lg_cpu *cpu, unsigned int number)
{
	struct user_regs_struct *regs = regs_of(cpu);

	switch (number) {
	case 0: return &regs->ax;
	case 1: return &regs->cx;
	case 2: return &regs->dx;
	case 3: return &regs->bx;
	case 4: return &regs->sp;
	case 5: return &regs->bp;
	case 6: return &regs->si;
	case 7: return &regs->di;
	case 8: return &regs->r8;
	case 9: return &regs->r9;
	case 10: return &regs->r10;
	case 11: return &regs->r11;
	case 12: return &regs->r12;
	case 13: return &regs->r13;
	case 14: return &regs->r14;
	default: return &regs->r15;
	}
}

/*
 * Bytes of ModRM, SIB and displacement (SDM 2A, table 2-2), or 0 if ModRM names
 * a register:
 *	mod (7-6)  0: none, 1: 1 byte, 2: 4 bytes of displacement, 3: register
 *	rm (2-0)   4: a SIB byte follows; 5 with mod 0: 4 bytes, relative to rip
 */
static size_t operand_length(const u8 *modrm, size_t left)
{
	unsigned int mod = modrm[0] >> 6, rm = modrm[0] & 7;
	size_t length = 1;

	if (mod == 3)
		return 0;
	if (rm == 4) {
		if (left < 2)
			return 0;
		length++;
		if (mod == 0 && (modrm[1] & 7) == 5)
			length += 4;
	} else if (mod == 0 && rm == 5) {
		length += 4;
	}
	return length + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

struct access {
	size_t length;			/* of the instruction */
	unsigned long *to;		/* a load: the register, else NULL */
	u32 value;			/* a store: what */
};

/* False if it is anything else than a 32-bit move from or to memory. */
static bool decode(struct lg_cpu *cpu, const u8 *insn, size_t size,
		   struct access *access)
{
	unsigned long *reg;
	size_t at = 0;
	u8 rex = 0, opcode;

	if (size && (insn[0] & 0xf0) == 0x40)
		rex = insn[at++];
	if (rex & REX_W || size < at + 2)
		return false;
	opcode = insn[at++];
	reg = register_at(cpu, (insn[at] >> 3 & 7) | (rex & REX_R ? 8 : 0));
	access->length = operand_length(insn + at, size - at);
	if (!access->length)
		return false;
	access->to = opcode == MOV_LOAD ? reg : NULL;
	access->value = *reg;
	access->length += at;
	if (opcode == MOV_IMMEDIATE && !(insn[at] >> 3 & 7)) {
		if (access->length + sizeof(access->value) > size)
			return false;
		memcpy(&access->value, insn + access->length,
		       sizeof(access->value));
		access->length += sizeof(access->value);
	} else if (opcode != MOV_STORE && opcode != MOV_LOAD) {
		return false;
	}
	return access->length <= size &&
	       canonical(regs_of(cpu)->ip + access->length);
}

static struct lg_irq_status *status_at(struct lguest *lg, u64 gpa)
{
	unsigned int i;

	for (i = 0; i < READ_ONCE(lg->nr_irq_status); i++)
		if (READ_ONCE(lg->irq_status[i].address) == gpa)
			return &lg->irq_status[i];
	return NULL;
}

/**
 * set_irq_status() - IRQ_STATUS
 * @lg: the guest
 * @irq: line, below LGUEST_IRQS
 * @address: device address of its status word
 * @value: of the word
 *
 * Under lg->requests.
 *
 * Return: 0, or -EINVAL if the line has one elsewhere.
 */
int set_irq_status(struct lguest *lg, unsigned int irq, u64 address, u32 value)
{
	struct lg_irq_status *status;
	unsigned int i;

	for (i = 0; i < lg->nr_irq_status; i++) {
		status = &lg->irq_status[i];
		if ((status->irq == irq) != (status->address == address))
			return -EINVAL;
		if (status->irq == irq) {
			atomic_set(&status->word, value);
			return 0;
		}
	}
	status = &lg->irq_status[i];
	status->irq = irq;
	atomic_set(&status->word, value);
	WRITE_ONCE(status->address, address);
	smp_wmb();
	WRITE_ONCE(lg->nr_irq_status, i + 1);
	return 0;
}

/* An eventfd raises the line: a device used a buffer. From any context. */
void mark_irq_status(struct lguest *lg, unsigned int irq)
{
	unsigned int i;

	for (i = 0; i < READ_ONCE(lg->nr_irq_status); i++)
		if (READ_ONCE(lg->irq_status[i].irq) == irq)
			atomic_or(1, &lg->irq_status[i].word);
}

static bool do_load(struct lg_cpu *cpu, u64 gpa, struct access *access)
{
	struct lg_irq_status *status = status_at(cpu->lg, gpa);

	if (status)
		*access->to = (u32)atomic_read(&status->word);
	return status;
}

static bool do_store(struct lg_cpu *cpu, u64 gpa, struct access *access)
{
	struct lg_irq_status *status = status_at(cpu->lg, gpa - 4);

	if (!status)
		return signal_device_eventfd(cpu->lg, gpa, access->value);
	atomic_andnot(access->value, &status->word);
	return true;
}

/**
 * access_device() - do an access to a device, if it is one of those done here
 * @cpu: the vCPU, which took a page fault at it
 * @gpa: the device address
 * @error: of the fault
 *
 * Return: true if it is done; false: it is the launcher's.
 */
bool access_device(struct lg_cpu *cpu, u64 gpa, u32 error)
{
	bool write = error & X86_PF_WRITE;
	struct access access;
	u8 insn[15];
	size_t size;

	if (error & X86_PF_INSTR ||
	    !(status_at(cpu->lg, write ? gpa - 4 : gpa) ||
	      (write && device_eventfd_at(cpu->lg, gpa))))
		return false;
	size = read_virtual(cpu, regs_of(cpu)->ip, insn, sizeof(insn));
	if (!decode(cpu, insn, size, &access) || write != !access.to)
		return false;
	if (!(write ? do_store(cpu, gpa, &access) : do_load(cpu, gpa, &access)))
		return false;
	regs_of(cpu)->ip += access.length;
	/* The bytes read were enough, even if more could not be. */
	memset(&cpu->need, 0, sizeof(cpu->need));
	return true;
}
