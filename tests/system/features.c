// SPDX-License-Identifier: GPL-2.0
/*
 * A program for a guest, and for the host: what programs ask of a kernel that not
 * every machine has.  It prints what it gets, a line each.
 *
 *	features same	what must be the same on both
 *	features guest	what a guest refuses, and the error
 *	features kexec FILE	load a kernel, both ways
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/kexec.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* The result of a call, or its error. */
static void say(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, result);
}

/* ---- what UMIP takes away, and Linux gives back */

struct __attribute__((packed)) table {
	uint16_t size;
	uint64_t base;
};

static void table_registers(void)
{
	struct table gdt = {}, idt = {};
	unsigned long cr0 = 0, ldt = 0, task = 0;
	uint16_t words[3] = {};

	asm volatile("sgdt %0" : "=m" (gdt));
	asm volatile("sidt %0" : "=m" (idt));
	asm volatile("smsw %0" : "=r" (cr0));
	asm volatile("sldt %0" : "=r" (ldt));
	asm volatile("str %0" : "=r" (task));
	asm volatile("smsw %0" : "=m" (words[0]));
	asm volatile("sldt %0" : "=m" (words[1]));
	asm volatile("str %0" : "=m" (words[2]));
	printf("sgdt %#x %#lx sidt %#x %#lx\n", gdt.size, gdt.base, idt.size, idt.base);
	printf("smsw %#lx sldt %#lx str %#lx\n", cr0, ldt & 0xffff, task & 0xffff);
	printf("in memory %#x %#x %#x\n", words[0], words[1], words[2]);
}

/* ---- frames of signals: as large as Linux says, and what ptrace() says */

static volatile size_t frame_size, state_size;

static void in_signal(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	uint32_t *magic = (uint32_t *)((char *)u->uc_mcontext.fpregs + 464);

	(void)signal, (void)info;
	state_size = magic[4];		/* struct _fpx_sw_bytes: xstate_size */
	if (magic[0] != 0x46505853 ||
	    *(uint32_t *)((char *)u->uc_mcontext.fpregs + state_size) != 0x46505845)
		state_size = 0;
	frame_size = (char *)u->uc_mcontext.fpregs + magic[1] - (char *)u + 8;
}

/* A process that is ours to look at, and stands. */
static pid_t stopped_child(void)
{
	pid_t child = fork();

	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	return child;
}

static size_t state_of_child(void)
{
	static char area[16384];
	struct iovec io = { area, sizeof(area) };
	pid_t child = stopped_child();

	if (ptrace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &io))
		io.iov_len = 0;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return io.iov_len;
}

static void signal_frames(void)
{
	struct sigaction action = { .sa_sigaction = in_signal, .sa_flags = SA_SIGINFO };

	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	printf("a signal's frame %s its stack, ptrace() gives %s\n",
	       frame_size && frame_size <= getauxval(AT_MINSIGSTKSZ) ? "fits" : "does not fit",
	       state_size && state_of_child() == state_size ? "as much" : "another size");
}

/* ---- the number of the CPU, asked without a system call */

static Elf64_Sym *dynamic_symbol(char *image, const char *name)
{
	Elf64_Ehdr *header = (void *)image;
	Elf64_Shdr *section = (void *)(image + header->e_shoff);
	int i;

	for (i = 0; i < header->e_shnum; i++) {
		Elf64_Sym *s = (void *)(image + section[i].sh_offset);
		size_t n = section[i].sh_size / sizeof(*s);

		for (; section[i].sh_type == SHT_DYNSYM && n; n--, s++)
			if (!strcmp(image + section[section[i].sh_link].sh_offset + s->st_name,
				    name))
				return s;
	}
	return NULL;
}

static void cpu_number(void)
{
	char *image = (char *)getauxval(AT_SYSINFO_EHDR);
	Elf64_Sym *symbol = dynamic_symbol(image, "__vdso_getcpu");
	unsigned int cpu = 99, node = 99, real = 98, real_node = 98;
	long (*get)(unsigned int *, unsigned int *, void *);

	syscall(SYS_getcpu, &real, &real_node, NULL);
	if (!symbol) {
		puts("no getcpu() in the vDSO");
		return;
	}
	get = (void *)(image + symbol->st_value);
	say("getcpu() of the vDSO", get(&cpu, &node, NULL));
	printf("the CPU is %s, the node %s\n", cpu == real ? "right" : "wrong",
	       node == real_node ? "right" : "wrong");
}

/* ---- faults that Linux has in its tables */

static void bad_pointers(void)
{
	say("write() from no address", write(1, (void *)0x8000000000000000, 8));
	say("stat() of no address", syscall(SYS_stat, 0x123456789abcdef0, 0));
}

static void same(void)
{
	table_registers();
	signal_frames();
	cpu_number();
	bad_pointers();
}

/* ---- what is refused */

static void debug_registers(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_W, .bp_len = 8,
	};
	static long watched;
	size_t debug = offsetof(struct user, u_debugreg);
	pid_t child = stopped_child();

	say("debug register 0", ptrace(PTRACE_POKEUSER, child, debug, &watched));
	say("debug register 7", ptrace(PTRACE_POKEUSER, child, debug + 56, 0xd0001));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	attr.bp_addr = (uintptr_t)&watched;
	say("breakpoint of perf", syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

/* As a 32-bit program makes it. */
static long call_32(long number, long a, long b, long c)
{
	long result;

	asm volatile("int $0x80" : "=a" (result) : "0" (number), "b" (a), "c" (b), "d" (c)
		     : "memory", "r8", "r9", "r10", "r11");
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

/* Does it end a program, as it does one that may not use ports? */
static void use_ports(const char *what, void (*use)(void))
{
	pid_t child = fork();
	int status = 0;

	if (!child) {
		use();
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("%s: %s\n", what, WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "no signal");
}

static void use_cli(void)
{
	asm volatile("cli");
}

static void use_out(void)
{
	outb(0, 0x80);
}

static void refused(void)
{
	int mode = 0;

	say("PR_SET_TSC", prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0));
	say("PR_GET_TSC", prctl(PR_GET_TSC, &mode, 0, 0, 0));
	printf("mode of the TSC: %d\n", mode == PR_TSC_ENABLE);
	say("PR_SET_TSC back", prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0));
	say("ioperm", ioperm(0x80, 1, 1));
	say("iopl", iopl(3));
	use_ports("cli", use_cli);
	use_ports("outb", use_out);
	say("modify_ldt", (int)syscall(SYS_modify_ldt, 1, "0123456789abcdef", 16));
	say("pkey_alloc", syscall(SYS_pkey_alloc, 0, 0));
	say("32-bit ioperm", call_32(101, 0x80, 1, 1));
	say("32-bit iopl", call_32(110, 3, 0, 0));
	say("32-bit modify_ldt", call_32(123, 0, 0, 0));
	debug_registers();
}

static void kexec(const char *file)
{
	static char page[4096];
	struct kexec_segment segment = { page, sizeof(page), (void *)0x4000000, sizeof(page) };
	int fd = open(file, O_RDONLY);

	say("kexec_load", syscall(SYS_kexec_load, 0x4000000, 1, &segment, KEXEC_ARCH_X86_64));
	say("kexec_file_load", syscall(SYS_kexec_file_load, fd, -1, 1, "",
				       KEXEC_FILE_NO_INITRAMFS));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "same"))
		same();
	else if (argc > 1 && !strcmp(argv[1], "guest"))
		refused();
	else if (argc > 2 && !strcmp(argv[1], "kexec"))
		kexec(argv[2]);
	else
		return 2;
	return 0;
}
