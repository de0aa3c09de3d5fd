// SOURCES: tests/unit/shim/shim.c
// CFLAGS: -Itests/unit/shim -O2
// SPDX-License-Identifier: GPL-2.0
/*
 * The system-call MSRs of one CPU that two guests, KVM and ordinary processes
 * share, in random order: host/syscall_msrs.c as it is, beside models of KVM on
 * Intel's CPUs and on AMD's.  Each of them must always run with its own.
 * SEED=n repeats a run, OPS=n changes its length.
 *
 * Does it find anything?  Each of these was put into syscall_msrs.c on purpose and
 * was found within 20000 operations: lazily on a CPU with VMX; not writing
 * STAR, FLAG_MASK, SYSENTER_CS, EFER; not putting one of them back; taking what
 * was found first for what is there now; putting the host's back not at all when
 * the module or a CPU goes or the host sleeps, or (AMD) by an interrupt when the
 * module goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include "shim.h"
#include <cmocka.h>

/* ---- what syscall_msrs.c needs of the kernel, beyond the shim */

#define DEFINE_PER_CPU(type, name) type name
#define this_cpu_ptr(p)		(p)
#define per_cpu_ptr(p, cpu)	((void)(cpu), (p))
#define BIT(n)			(1U << (n))
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_SYSCALL_MASK	0xc0000084
#define MSR_IA32_SYSENTER_CS	0x174
#define MSR_IA32_VMX_EXIT_CTLS	0x483
#define MSR_IA32_VMX_ENTRY_CTLS	0x484
#define VM_EXIT_LOAD_IA32_EFER	(1U << 21)
#define VM_ENTRY_LOAD_IA32_EFER	(1U << 15)
#define EFER_SCE		1
#define __USER32_CS		0x23
#define __KERNEL_CS		0x10
#define X86_EFLAGS_CF		0x1
#define X86_EFLAGS_PF		0x4
#define X86_EFLAGS_AF		0x10
#define X86_EFLAGS_ZF		0x40
#define X86_EFLAGS_SF		0x80
#define X86_EFLAGS_TF		0x100
#define X86_EFLAGS_IF		0x200
#define X86_EFLAGS_DF		0x400
#define X86_EFLAGS_OF		0x800
#define X86_EFLAGS_IOPL		0x3000
#define X86_EFLAGS_NT		0x4000
#define X86_EFLAGS_RF		0x10000
#define X86_EFLAGS_AC		0x40000
#define X86_EFLAGS_ID		0x200000
#define X86_VENDOR_INTEL	0
#define X86_VENDOR_AMD		2
#define X86_VENDOR_HYGON	9
#define boot_cpu_data		machine
#define cpuid_base_hypervisor(signature, leaves) (machine.emulated)
#define cpuid_ecx(leaf)		(machine.vmx ? 1U << 5 : 0)
#define CPUHP_AP_ONLINE_DYN	0
#define register_syscore_ops(p)	((void)(p))
#define unregister_syscore_ops(p) ((void)(p))
#define cpuhp_remove_state_nocalls(state) ((void)(state))
#define cpuhp_setup_state_nocalls(state, name, up, down) (going_down = (down), 1)

struct syscore_ops { int (*suspend)(void); };
struct user_return_notifier {
	void (*on_user_return)(struct user_return_notifier *notifier);
	bool registered;
};

static struct {
	unsigned int x86_vendor;
	bool vmx, emulated, efer_by_vmx;
} machine;

static int (*going_down)(unsigned int cpu);
static void cpuhp_remove_state(int state);
static void rdmsrq_(u32 msr, u64 *value);
static void wrmsrq(u32 msr, u64 value);
#define rdmsrq(msr, value)	rdmsrq_(msr, &(value))
static int rdmsrq_safe(u32 msr, u64 *value);

static struct user_return_notifier *notifiers[2];

static void user_return_notifier_register(struct user_return_notifier *n)
{
	assert_false(n->registered);
	n->registered = true;
	notifiers[notifiers[0] ? 1 : 0] = n;
}

static void user_return_notifier_unregister(struct user_return_notifier *n)
{
	assert_true(n->registered);
	n->registered = false;
	notifiers[notifiers[0] == n ? 0 : 1] = NULL;
}

#include "host/syscall_msrs.c"

/* ---- the CPU */

static u64 msr[NR_MSRS];		/* indexes as in syscall_msrs.c */
static u64 host[NR_MSRS];
static u64 kvm_guest[2][NR_MSRS];
static unsigned long writes;

static int index_of(u32 number)
{
	int i;

	for (i = 0; i < NR_MSRS; i++)
		if (numbers[i] == number)
			return i;
	abort();
}

static void rdmsrq_(u32 number, u64 *value)
{
	*value = msr[index_of(number)];
}

static void wrmsrq(u32 number, u64 value)
{
	int i = index_of(number);

	assert_false(i == CSTAR && machine.x86_vendor == X86_VENDOR_INTEL && !machine.emulated);
	assert_false(i == SYSENTER_CS && machine.x86_vendor == X86_VENDOR_AMD && !machine.emulated);
	msr[i] = value;
	writes++;
}

static int rdmsrq_safe(u32 number, u64 *value)
{
	assert_true(number == MSR_IA32_VMX_ENTRY_CTLS || number == MSR_IA32_VMX_EXIT_CTLS);
	*value = machine.efer_by_vmx ? ~0ULL << 32 : 0;
	return 0;
}

unsigned long switcher_address(struct lg_cpu *cpu, const char *label)
{
	return 0xffff800000000000UL + cpu->id * LG_VCPU_STRIDE + (label == switcher_compat);
}

const char switcher_syscall[1], switcher_compat[1];

/* ---- KVM, on Intel's CPUs: user-return MSRs */

static const int uret[] = { LSTAR, STAR, FLAG_MASK, EFER };
static struct user_return_notifier kvm_notifier;
static struct { u64 host, curr; } kvm_values[NR_MSRS];
static bool kvm_on;
static u64 kvm_sysenter_cs;		/* HOST_IA32_SYSENTER_CS of its guest */
static u64 svm_saved[NR_MSRS];		/* AMD: the host save area, ... */
static bool svm_loaded;			/* ... if the vCPU's task has filled it */

static void kvm_on_user_return(struct user_return_notifier *notifier)
{
	unsigned int i;

	if (kvm_notifier.registered)
		user_return_notifier_unregister(notifier);
	for (i = 0; i < ARRAY_SIZE(uret); i++) {
		msr[uret[i]] = kvm_values[uret[i]].host;
		kvm_values[uret[i]].curr = kvm_values[uret[i]].host;
	}
}

static void kvm_enable(void)		/* in an interrupt */
{
	unsigned int i;

	if (kvm_on)
		return;
	for (i = 0; i < ARRAY_SIZE(uret); i++)
		kvm_values[uret[i]].host = kvm_values[uret[i]].curr = msr[uret[i]];
	kvm_on = true;
	kvm_sysenter_cs = msr[SYSENTER_CS];
}

static void kvm_disable(void)
{
	if (kvm_on && kvm_notifier.registered)
		kvm_on_user_return(&kvm_notifier);
	kvm_on = false;
}

static void set_user_return_msr(int i, u64 value)
{
	if (value == kvm_values[i].curr)
		return;
	kvm_values[i].curr = msr[i] = value;
	if (!kvm_notifier.registered) {
		kvm_notifier.on_user_return = kvm_on_user_return;
		user_return_notifier_register(&kvm_notifier);
	}
}

static void run_vmx(const u64 *guest)
{
	unsigned int i;

	kvm_enable();
	for (i = 0; i < ARRAY_SIZE(uret); i++)
		if (uret[i] != EFER || !machine.efer_by_vmx)
			set_user_return_msr(uret[i], guest[uret[i]]);
	for (i = 0; i < ARRAY_SIZE(uret); i++)
		if (uret[i] != EFER || !machine.efer_by_vmx)
			assert_int_equal(msr[uret[i]], guest[uret[i]]);
	msr[SYSENTER_CS] = kvm_sysenter_cs;
}

/* ---- KVM, on AMD's: VMSAVE before the first entry, VMLOAD at each exit */

static void run_svm(const u64 *guest)
{
	kvm_on = true;
	if (!svm_loaded)
		memcpy(svm_saved, msr, sizeof(msr));
	svm_loaded = true;
	memcpy(msr, guest, sizeof(msr));
	memcpy(msr, svm_saved, sizeof(msr));
}

/* ---- who runs */

static struct lg_cpu vcpus[2];
static unsigned long seed, counts[9];

static unsigned int rnd(void)
{
	seed = seed * 6364136223846793005UL + 1442695040888963407UL;
	return seed >> 33;
}

static void other_task(void)
{
	svm_loaded = false;
}

static void guest_runs(struct lg_cpu *cpu)
{
	int i;

	other_task();
	load_syscall_msrs(cpu);
	assert_int_equal(msr[LSTAR], switcher_address(cpu, switcher_syscall));
	assert_int_equal(msr[STAR], host[STAR]);
	assert_int_equal(msr[FLAG_MASK], host[FLAG_MASK]);
	assert_true(msr[EFER] & EFER_SCE);
	if (machine.x86_vendor != X86_VENDOR_AMD || machine.emulated)
		assert_int_equal(msr[SYSENTER_CS], 0);
	if (machine.x86_vendor != X86_VENDOR_INTEL || machine.emulated)
		assert_int_equal(msr[CSTAR], switcher_address(cpu, switcher_compat));
	leave_syscall_msrs();
	for (i = 0; machine.vmx && i < NR_MSRS; i++)	/* what an interrupt may see */
		assert_true(msr[i] == host[i] || msr[i] == kvm_guest[0][i] ||
			    msr[i] == kvm_guest[1][i]);
}

static void kvm_guest_runs(void)
{
	const u64 *guest = kvm_guest[rnd() % 2];

	if (rnd() % 2)
		other_task();
	machine.vmx ? run_vmx(guest) : run_svm(guest);
}

static void user_runs(void)
{
	other_task();	/* KVM_RUN ends before its task returns */
	while (notifiers[0] || notifiers[1]) {
		struct user_return_notifier *n = notifiers[notifiers[0] ? 0 : 1];

		n->on_user_return(n);
	}
	assert_memory_equal(msr, host, sizeof(msr));
}

static void cpuhp_remove_state(int state)
{
	(void)state;
	other_task();	/* it calls this in the CPU's own hotplug task */
	going_down(0);
}

static void module_goes(void)
{
	free_syscall_msrs();
	assert_false(cpu_msrs.notifier.registered);
	memset(&cpu_msrs, 0, sizeof(cpu_msrs));		/* the next one's */
	assert_int_equal(init_syscall_msrs(), 0);
}

static void cpu_offline_online(void)
{
	other_task();
	going_down(0);
	kvm_disable();
	assert_memory_equal(msr, host, sizeof(msr));
}

static void host_suspends(void)
{
	other_task();
	sleeper.suspend();
	kvm_disable();
	assert_memory_equal(msr, host, sizeof(msr));
}

static void one_operation(void)
{
	unsigned int what = rnd() % 32;

	if (what < 10)
		guest_runs(&vcpus[rnd() % 2]);
	else if (what < 20)
		kvm_guest_runs();
	else if (what < 25)
		user_runs();
	else if (what < 27 && machine.vmx)
		kvm_enable();
	else if (what < 29)
		kvm_disable();
	else if (what == 29)
		module_goes();
	else if (what == 30)
		cpu_offline_online();
	else if (what == 31)
		host_suspends();
	counts[what < 10 ? 0 : what < 20 ? 1 : what < 25 ? 2 : what < 27 ? 3 : what - 24]++;
}

static void set_values(u64 *values, u64 code, u64 flag_mask, u64 efer)
{
	values[LSTAR] = code;
	values[CSTAR] = code + 1;
	values[STAR] = code << 40;
	values[FLAG_MASK] = flag_mask;
	values[SYSENTER_CS] = code & 0xff;
	values[EFER] = efer;
}

static void mix(void)
{
	unsigned long i, ops = getenv("OPS") ? strtoul(getenv("OPS"), NULL, 0) : 200000;

	memset(&cpu_msrs, 0, sizeof(cpu_msrs));
	memset(notifiers, 0, sizeof(notifiers));
	memset(&kvm_notifier, 0, sizeof(kvm_notifier));
	kvm_on = svm_loaded = false;
	used = 0;
	vcpus[1].id = 1;
	seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 0) : (unsigned long)time(NULL);
	print_message("# SEED=%lu OPS=%lu\n", seed, ops);
	set_values(host, 0xffffffff81a00010, OUR_FLAG_MASK, 0xd01);
	host[STAR] = OUR_STAR;
	set_values(kvm_guest[0], 0xffffffff82b00020, 0, 0xd01);
	set_values(kvm_guest[1], 0xffffffff83c00030, X86_EFLAGS_TF, 0xd00);
	memcpy(msr, host, sizeof(msr));
	assert_int_equal(init_syscall_msrs(), 0);
	for (i = 0; i < ops; i++)
		one_operation();
	free_syscall_msrs();
	user_runs();
}

static void test_vmx(void **test_state)
{
	(void)test_state;
	machine.x86_vendor = X86_VENDOR_INTEL;
	machine.vmx = true;
	machine.efer_by_vmx = true;
	mix();
	assert_int_equal(used, BIT(LSTAR) | BIT(STAR) | BIT(FLAG_MASK) | BIT(SYSENTER_CS));
	machine.efer_by_vmx = false;
	mix();
	machine.emulated = true;
	mix();
	machine.emulated = machine.vmx = false;
}

static void test_svm(void **test_state)
{
	(void)test_state;
	machine.x86_vendor = X86_VENDOR_AMD;
	mix();
	assert_int_equal(used, BIT(LSTAR) | BIT(CSTAR));
	machine.emulated = true;	/* as the lab is */
	mix();
	machine.emulated = false;
}

/* Without KVM nothing may be slower than need be: two writes, whatever number of stays. */
static void test_cost(void **test_state)
{
	unsigned int i;

	(void)test_state;
	machine.x86_vendor = X86_VENDOR_INTEL;
	memcpy(msr, host, sizeof(msr));
	assert_int_equal(init_syscall_msrs(), 0);
	writes = 0;
	for (i = 0; i < 1000; i++)
		guest_runs(&vcpus[0]);
	assert_int_equal(writes, 2);
	user_runs();
	assert_int_equal(writes, 4);
	free_syscall_msrs();

	machine.vmx = true;
	assert_int_equal(init_syscall_msrs(), 0);
	writes = 0;
	guest_runs(&vcpus[0]);
	assert_int_equal(writes, 4);
	free_syscall_msrs();
	machine.vmx = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vmx),
		cmocka_unit_test(test_svm),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
