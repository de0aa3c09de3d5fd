// SPDX-License-Identifier: GPL-2.0
/*
 * Leftovers.  Nearly all privileged instructions of a guest kernel are calls to
 * the layer; a few raw ones remain (port probing, MSRs, control registers).  At
 * ring 3 they raise #GP(0), and the Host hands them to us.  We answer as a
 * machine without that hardware would; what would be wrong to ignore goes back
 * as the fault it is, for the kernel's own exception tables or its oops.
 * Read next: decode.c.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/user.h>

#include "emulate.h"
#include "host.h"
#include "lguest.h"

#define GENERAL_PROTECTION 13

/* PE MP ET NE WP AM PG: what Linux sets. */
#define CR0_VALUE	0x80050033ULL
/* PSE PAE MCE PGE OSFXSR OSXMMEXCPT FSGSBASE PCIDE OSXSAVE. */
#define CR4_VALUE	0x000706f0ULL
#define DR6_VALUE	0xffff0ff0ULL
#define DR7_VALUE	0x00000400ULL

#define REG(name) offsetof(struct user_regs_struct, name)
static const size_t offsets[16] = {
	REG(rax), REG(rcx), REG(rdx), REG(rbx), REG(rsp), REG(rbp), REG(rsi),
	REG(rdi), REG(r8), REG(r9), REG(r10), REG(r11), REG(r12), REG(r13),
	REG(r14), REG(r15),
};

#define RAX 0
#define RCX 1
#define RDX 2

#define MSR_MICROCODE	0x8b	/* IA32_BIOS_SIGN_ID */

int get_register(int fd, unsigned int number, uint64_t *value)
{
	return host_get_register(fd, offsets[number & 15], value);
}

int set_register(int fd, unsigned int number, uint64_t value)
{
	return host_set_register(fd, offsets[number & 15], value);
}

/*L:440
 * Writing al or ax keeps the rest of rax; writing eax clears its upper half.
 :*/
int put_register(int fd, unsigned int number, unsigned int width,
		 bool high_byte, uint64_t value)
{
	uint64_t old, mask;
	int error;

	if (width == 8)
		return set_register(fd, number, value);
	mask = (1ULL << (8 * width)) - 1;
	if (width == 4)
		return set_register(fd, number, value & mask);
	error = get_register(fd, number, &old);
	if (error)
		return error;
	if (high_byte) {
		mask <<= 8;
		value <<= 8;
	}
	return set_register(fd, number, (old & ~mask) | (value & mask));
}

int finish_instruction(int fd, const struct insn *insn)
{
	uint64_t rip;
	int error = host_get_register(fd, REG(rip), &rip);

	return error ? error : host_set_register(fd, REG(rip), rip + insn->length);
}

/* edx:eax, as rdmsr and rdpmc give it. */
static int give(int fd, uint64_t value)
{
	int error = set_register(fd, RAX, (uint32_t)value);

	return error ? error : set_register(fd, RDX, value >> 32);
}

/*
 * Linux takes PCIDs from some CPUs (Alder Lake) unless their microcode is new
 * enough.  Here they are the Host's own work: the newest there can be.
 */
static int read_msr(int fd)
{
	uint64_t number;
	int error = get_register(fd, RCX, &number);

	if (error)
		return error;
	return give(fd, (uint32_t)number == MSR_MICROCODE ? ~0ULL : 0);
}

static int read_control(int fd, const struct insn *insn)
{
	uint64_t value = 0;
	int error = 0;

	switch (insn->reg) {
	case 0:
		value = CR0_VALUE;
		break;
	case 2:
		error = host_get_register(fd, LHREG_CR2, &value);
		break;
	case 3:
	case 8:
		break;
	case 4:
		value = CR4_VALUE;
		break;
	default:
		return -ENOSYS;
	}
	return error ? error : set_register(fd, insn->rm, value);
}

/* A new cr3 that nobody loads would be the end of the guest, silently. */
static int write_control(const struct insn *insn)
{
	switch (insn->reg) {
	case 0:
	case 2:
	case 4:
	case 8:
		return 0;
	default:
		return -ENOSYS;
	}
}

static int read_debug(int fd, const struct insn *insn)
{
	static const uint64_t values[8] = {
		[4] = DR6_VALUE, [5] = DR7_VALUE,	/* aliases */
		[6] = DR6_VALUE, [7] = DR7_VALUE,
	};

	if (insn->reg > 7)
		return -ENOSYS;
	return set_register(fd, insn->rm, values[insn->reg]);
}

/* ENOSYS: not ours; anything else is the Host's word. */
static int act(int fd, const struct insn *insn)
{
	switch (insn->meaning) {
	case INSN_SKIP_LOUDLY:
		note("the guest used a raw invlpg; it was ignored");
		return 0;
	case INSN_SKIP:
	case INSN_OUT:
	case INSN_WRMSR:
	case INSN_TO_DR:
		return 0;
	case INSN_IN:		/* nothing there: all ones */
		return put_register(fd, RAX, insn->width, false, ~0ULL);
	case INSN_RDMSR:
		return read_msr(fd);
	case INSN_RDPMC:
		return give(fd, 0);
	case INSN_FROM_CR:
		return read_control(fd, insn);
	case INSN_TO_CR:
		return write_control(insn);
	case INSN_FROM_DR:
		return read_debug(fd, insn);
	case INSN_STORE_SMSW:
		return put_register(fd, insn->rm, insn->width, false, CR0_VALUE);
	case INSN_STORE_ZERO:
		return put_register(fd, insn->rm, insn->width, false, 0);
	default:
		return -ENOSYS;
	}
}

int refuse_instruction(int fd, const struct lguest_exit *exit)
{
	char bytes[3 * sizeof(exit->insn) + 1] = "";
	uint64_t rip = 0;
	unsigned int i;

	host_get_register(fd, REG(rip), &rip);
	for (i = 0; i < exit->insn_len && i < sizeof(exit->insn); i++)
		snprintf(bytes + 3 * i, 4, " %02x", exit->insn[i]);
	note("the guest uses device memory by an instruction that is not emulated, and takes a fault: at %#llx:%s",
	     (unsigned long long)rip, bytes);
	return host_trap(fd, GENERAL_PROTECTION, 0);
}

int emulate_trap(int fd, const struct lguest_exit *exit)
{
	struct insn insn;
	int error = -ENOSYS;

	if (decode(exit->insn, exit->insn_len, &insn))
		error = act(fd, &insn);
	/* Its kernel may expect it (an exception table); if not, that names the instruction. */
	if (error == -ENOSYS)
		return host_trap(fd, GENERAL_PROTECTION, 0);
	return error ? error : finish_instruction(fd, &insn);
}
