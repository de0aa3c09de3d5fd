// SPDX-License-Identifier: GPL-2.0
/*
 * A 32-bit program without a library, for ia32.sh: what it prints must be the
 * same in a guest and on the host. Built with -m32 -nostdlib, so that no 32-bit
 * libraries are needed.
 */
#define N(list) (sizeof(list) / sizeof((list)[0]))

enum { EXIT = 1, FORK = 2, WRITE = 4, KILL = 37, SETITIMER = 104, WAIT4 = 114, SIGACTION = 67,
       GETPID = 20, YIELD = 158, SET_THREAD_AREA = 243 };

/* What the kernel has pushed for a handler (struct sigcontext_32). */
struct context {
	unsigned int gs, fs, es, ds, di, si, bp, sp, bx, dx, cx, ax, trap, error, ip, cs;
	unsigned int flags, sp_at_signal, ss, fpstate, oldmask, cr2;
};

struct action {
	void *handler;
	unsigned long mask, flags;
	void *restorer;
};

struct descriptor {	/* struct user_desc */
	unsigned int entry, base, limit, flags;
};

static int system_call(int number, int a, int b, int c)
{
	int result;

	asm volatile("int $0x80" : "=a"(result) : "0"(number), "b"(a), "c"(b), "d"(c), "S"(0), "D"(0)
		     : "memory");
	return result;
}

static void say(const char *what, unsigned int n, const unsigned int *values)
{
	char line[200], *at = line;
	unsigned int i;
	int shift;

	while (*what)
		*at++ = *what++;
	for (i = 0; i < n; i++) {
		*at++ = ' ';
		for (shift = 28; shift >= 0; shift -= 4)
			*at++ = "0123456789abcdef"[values[i] >> shift & 15];
	}
	*at++ = '\n';
	system_call(WRITE, 1, (int)line, at - line);
}
#define SAY(what, ...) do {					\
	unsigned int values_[] = { __VA_ARGS__ };		\
	say(what, N(values_), values_);				\
} while (0)

static void handle(int signal, void *handler)
{
	struct action action = { .handler = handler };

	system_call(SIGACTION, signal, (int)&action, 0);
}

/* Each faulting instruction ends where its handler lets it go on. */
static unsigned int resume, seen[8];

static void on_fault(int signal, struct context context)
{
	seen[0] = signal;
	seen[1] = context.trap;
	seen[2] = context.error;
	seen[3] = context.trap == 14 ? context.cr2 : 0;
	seen[4] = context.cs << 16 | context.ss;
	context.ip = resume;
	context.ax = 0x600d;
	asm volatile("" : : "m"(context) : "memory");
}

#define TRY(name, instruction) do {						\
	unsigned int got_ = 0;							\
	seen[0] = 0;								\
	asm volatile("movl $1f, %1\n\t" instruction "\n1:\tmovl %%eax, %0"	\
		     : "=m"(got_), "=m"(resume) : : "eax", "ecx", "edx", "memory", "cc");	\
	SAY(name, seen[0], seen[1], seen[2], seen[3], seen[4], got_);		\
} while (0)

__attribute__((used)) static unsigned int bounds[2] = { 1, 2 };

static void faults(void)
{
	static const int signals[] = { 4, 5, 8, 11, 7 };
	unsigned int i;

	for (i = 0; i < N(signals); i++)
		handle(signals[i], on_fault);
	TRY("divide", "xorl %%ecx, %%ecx\n\tdivl %%ecx");
	TRY("int3", "int3");
	TRY("into", "movb $127, %%al\n\taddb $1, %%al\n\tinto");
	TRY("bound", "movl $7, %%eax\n\tboundl %%eax, bounds");
	TRY("ud2", "ud2");
	TRY("hlt", "hlt");
	TRY("segment", "movl $0x4b, %%eax\n\tmovl %%eax, %%es");
	TRY("read", "movl 0x10, %%eax");
	TRY("write", "movl %%eax, faults");
	TRY("kernel", "movl 0xfffff000, %%eax");
	TRY("jump", "movl $0x20, %%eax\n\tjmp *%%eax");
	TRY("int 13", "int $13");
	TRY("int 0x90", "int $0x90");
	TRY("cli", "cli");
	TRY("out", "movl $0x80, %%edx\n\toutb %%al, %%dx");
}

/* What UMIP takes away, Linux emulates: with its segments, of which it needs the base. */
static void table_registers(void)
{
	struct __attribute__((packed)) { unsigned short size; unsigned int base; } gdt = {}, idt = {};
	unsigned int cr0 = 0;
	unsigned short ldt = 1, task = 1;

	asm volatile("sgdt %0" : "=m"(gdt));
	asm volatile("sidt %0" : "=m"(idt));
	asm volatile("smsw %0" : "=r"(cr0));
	asm volatile("sldt %0" : "=m"(ldt));
	asm volatile("str %0" : "=m"(task));
	SAY("tables", gdt.size, gdt.base, idt.size, idt.base, cr0 & 0xffff, ldt, task);
}

/* The way in that Intel's CPUs have, by hand: Linux goes on in its vDSO, and returns from there. */
__attribute__((used)) static unsigned int kept_sp, kept_bp;

static void sysenter(void)
{
	unsigned int result;

	seen[0] = 0;
	asm volatile("movl %%esp, kept_sp\n\tmovl %%ebp, kept_bp\n\tmovl $1f, %1\n\t"
		     "pushl $1f\n\tpushl %%ecx\n\tpushl %%edx\n\tpushl %%ebp\n\t"
		     "movl %%esp, %%ebp\n\tsysenter\n"
		     "1:\tmovl kept_sp, %%esp\n\tmovl kept_bp, %%ebp"
		     : "=a"(result), "=m"(resume) : "0"(GETPID) : "ecx", "edx", "memory", "cc");
	SAY("sysenter", seen[0], seen[1], (int)result == system_call(GETPID, 0, 0, 0));
}

static unsigned int thread_local = 0x7105ca1;

static unsigned int read_thread_local(void)
{
	unsigned int value;

	asm volatile("movl %%gs:0, %0" : "=r"(value));
	return value;
}

static int wait_for(int pid)
{
	int status = 0;

	system_call(WAIT4, pid, (int)&status, 0);
	return status;
}

/* A descriptor of the thread's own lasts over switches to other processes. */
static void threads(void)
{
	struct descriptor d = { -1U, (unsigned int)&thread_local, 0xfffff, 0x51 };
	unsigned int i, wrong = 0;
	int result = system_call(SET_THREAD_AREA, (int)&d, 0, 0), child;

	asm volatile("movl %0, %%gs" : : "r"(d.entry * 8 + 3));
	child = system_call(FORK, 0, 0, 0);
	if (!child)
		thread_local = 0xc411d;
	for (i = 0; i < 2000; i++) {
		wrong += read_thread_local() != (child ? 0x7105ca1 : 0xc411d);
		system_call(YIELD, 0, 0, 0);
	}
	if (!child)
		system_call(EXIT, wrong ? 1 : 42, 0, 0);
	SAY("thread", result, d.entry, wrong, wait_for(child));
}

/* The kernel's own way in, from the auxiliary vector: may be SYSENTER or SYSCALL. */
static void kernel_entry(unsigned int *stack)
{
	unsigned int *at = stack + 1 + stack[0] + 1, pid, i;

	while (*at)
		at++;
	for (at++; at[0] && at[0] != 32; at += 2)	/* AT_SYSINFO */
		;
	for (i = 0; i < 1000; i++) {
		asm volatile("call *%1" : "=a"(pid) : "r"(at[1]), "0"(GETPID) : "memory");
		if ((int)pid != system_call(GETPID, 0, 0, 0))
			break;
	}
	SAY("entry", !!at[1], i);
}

static volatile unsigned int ticks;

static void on_tick(int signal, struct context context)
{
	(void)signal, (void)context;
	ticks++;
}

/* Interrupts and signals come in the midst of it; x87 and all registers stay right. */
static void timer(void)
{
	static const int every_ms[4] = { 0, 1000, 0, 1000 }, never[4];
	unsigned int sum = 0, i, low, high;
	double x = 0;

	handle(14, on_tick);
	system_call(SETITIMER, 0, (int)every_ms, 0);
	while (ticks < 50)
		for (i = 1; i < 1000; i++)
			sum = sum * 1103515245 + i - sum;
	system_call(SETITIMER, 0, (int)never, 0);
	for (i = 1; i < 100000; i++)
		x += 1.0 / i;
	low = ((unsigned int *)&x)[0];
	high = ((unsigned int *)&x)[1];
	SAY("timer", ticks >= 50, low, high);
}

/*
 * 64-bit code in the same process, by far jumps to the other segment and back. (A far
 * call would push as a supervisor in QEMU before 9.1, a fault under SMAP.)
 */
static void long_mode(void)
{
	static struct { unsigned int ip; unsigned short cs; } back;
	unsigned int low, high;

	asm volatile(
		"movl	$2f, %2\n\t"
		"movw	%%cs, %3\n\t"
		"movl	%4, %%ecx\n\t"
		"ljmp	$0x33, $1f\n"
		".code64\n"
		"1:\tmovabsq $0x123456789abcdef0, %%r8\n\t"
		"leaq	1(%%r8), %%rax\n\t"
		"movq	%%rax, %%rdx\n\t"
		"shrq	$32, %%rdx\n\t"
		"ljmpl	*(%%rcx)\n"
		".code32\n"
		"2:" : "=&a"(low), "=&d"(high), "=m"(back.ip), "=m"(back.cs)
		: "i"(&back) : "ecx", "memory");
	SAY("64-bit", low, high);
}

__attribute__((used)) static void begin(unsigned int *stack)
{
	unsigned short cs, ss;

	asm("movw %%cs, %0; movw %%ss, %1" : "=r"(cs), "=r"(ss));
	SAY("segments", cs, ss);
	kernel_entry(stack);
	faults();
	table_registers();
	sysenter();
	threads();
	timer();
	long_mode();
	system_call(EXIT, 0, 0, 0);
}

asm(".globl _start\n_start:\tmovl %esp, %eax\n\tandl $-16, %esp\n\tsubl $12, %esp\n\tpushl %eax\n\tcall begin");
