// SPDX-License-Identifier: GPL-2.0
/*
 * A guest of KVM that does nothing but system calls, from its ring 3 to its ring 0,
 * so it lives from what is in LSTAR, STAR and SYSCALL_MASK.  Each 4096 of them it
 * comes to this program, which counts and looks whether none was lost.
 *
 *	kvm_guest	until SIGTERM; a line for every 16 rounds
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define MEMORY		(2UL << 20)
#define TABLES		0x1000
#define USER_CODE	0x10000
#define KERNEL_CODE	0x11000
#define CALLS		4096

asm(".pushsection .rodata\n"
    "user_code:\n"
    "1:	syscall\n"
    "	jmp	1b\n"
    "kernel_code:\n"
    "	incq	%r12\n"
    "	testl	$4095, %r12d\n"
    "	jnz	1f\n"
    "	outb	%al, $0x10\n"
    "1:	sysretq\n"
    "code_end:\n"
    ".popsection");
extern const char user_code[], kernel_code[], code_end[];

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	stop = number;
}

static void fill_memory(char *memory)
{
	uint64_t *tables = (uint64_t *)(memory + TABLES);

	tables[0] = (TABLES + 0x1000) | 7;	/* present, writable, user's */
	tables[512] = (TABLES + 0x2000) | 7;
	tables[1024] = 0x87;			/* the first 2 MiB */
	memcpy(memory + USER_CODE, user_code, kernel_code - user_code);
	memcpy(memory + KERNEL_CODE, kernel_code, code_end - kernel_code);
}

/* All that this CPU has: from Linux 6.12 on KVM wants to be told before other registers. */
static void set_cpuid(int kvm, int vcpu)
{
	struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 list[200]; } cpuid = {
		.head.nent = 200,
	};

	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) || ioctl(vcpu, KVM_SET_CPUID2, &cpuid))
		err(1, "KVM_SET_CPUID2");
}

/* In ring 3 of long mode; `syscall` needs no descriptors, nor anything else. */
static void set_registers(int vcpu)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry list[3]; } msrs = {
		.head.nmsrs = 3,
		.list = {
			{ .index = 0xc0000081, .data = 0x23ULL << 48 | 0x10ULL << 32 },
			{ .index = 0xc0000082, .data = KERNEL_CODE },
			{ .index = 0xc0000084, .data = 0 },
		},
	};
	struct kvm_regs regs = { .rip = USER_CODE, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs))
		err(1, "KVM_GET_SREGS");
	sregs.cr0 = 0x80010033;
	sregs.cr3 = TABLES;
	sregs.cr4 = 0x20;
	sregs.efer = 0xd01;
	sregs.cs = (struct kvm_segment){ .limit = ~0u, .selector = 0x33, .type = 11,
		.present = 1, .dpl = 3, .s = 1, .l = 1, .g = 1 };
	sregs.ss = (struct kvm_segment){ .limit = ~0u, .selector = 0x2b, .type = 3,
		.present = 1, .dpl = 3, .s = 1, .db = 1, .g = 1 };
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs))
		err(1, "KVM_SET_SREGS");
	if (ioctl(vcpu, KVM_SET_REGS, &regs))
		err(1, "KVM_SET_REGS");
	if (ioctl(vcpu, KVM_SET_MSRS, &msrs) != 3)
		err(1, "KVM_SET_MSRS");
}

static int make_vcpu(int kvm)
{
	char *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY, .userspace_addr = (uintptr_t)memory,
	};
	int vm = ioctl(kvm, KVM_CREATE_VM, 0), vcpu;

	if (vm < 0 || memory == MAP_FAILED)
		err(1, "KVM_CREATE_VM");
	fill_memory(memory);
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		err(1, "KVM_SET_USER_MEMORY_REGION");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		err(1, "KVM_CREATE_VCPU");
	set_cpuid(kvm, vcpu);
	set_registers(vcpu);
	return vcpu;
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR), vcpu;
	struct kvm_regs regs;
	struct kvm_run *run;
	unsigned long rounds = 0;

	if (kvm < 0)
		err(1, "/dev/kvm");
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	vcpu = make_vcpu(kvm);
	run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		   MAP_SHARED, vcpu, 0);
	while (!stop) {
		if (ioctl(vcpu, KVM_RUN, 0))
			continue;	/* a signal */
		if (run->exit_reason != KVM_EXIT_IO)
			errx(1, "after %lu rounds: exit %u", rounds, run->exit_reason);
		rounds++;
		if (ioctl(vcpu, KVM_GET_REGS, &regs) || regs.r12 != rounds * CALLS)
			errx(1, "%llu system calls in %lu rounds", regs.r12, rounds);
		if (rounds % 16 == 0)
			printf("round %lu\n", rounds);
	}
	printf("the end\n");
	return 0;
}
