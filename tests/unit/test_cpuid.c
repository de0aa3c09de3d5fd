// CFLAGS: -Itests/unit/shim -Wno-unused-function
// SPDX-License-Identifier: GPL-2.0
/*
 * What the guest layer shows of a CPU: no feature without those that it is never
 * without on real CPUs, whatever the machine leaves out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include "shim/shim.h"
#include <cmocka.h>

/* ---- Linux's names for what Intel and AMD have numbered */

enum {
	CPUID_1_EDX = 0,
	CPUID_8000_0001_EDX = 1,
	CPUID_1_ECX = 4,
	CPUID_8000_0001_ECX = 6,
	CPUID_7_0_EBX = 9,
	CPUID_7_1_EAX = 12,
	CPUID_8000_0008_EBX = 13,
	CPUID_7_ECX = 16,
	CPUID_7_EDX = 18,
	NCAPINTS = 22,
};

#define B(name, word, bit) X86_FEATURE_##name = (word) * 32 + (bit)
enum {
	B(FPU, 0, 0), B(VME, 0, 1), B(DE, 0, 2), B(PSE, 0, 3), B(TSC, 0, 4),
	B(MSR, 0, 5), B(PAE, 0, 6), B(CX8, 0, 8), B(PGE, 0, 13), B(CMOV, 0, 15),
	B(PSE36, 0, 17), B(CLFLUSH, 0, 19), B(MMX, 0, 23), B(FXSR, 0, 24),
	B(XMM, 0, 25), B(XMM2, 0, 26), B(SELFSNOOP, 0, 27),
	B(SYSCALL, 1, 11), B(NX, 1, 20), B(MMXEXT, 1, 22), B(FXSR_OPT, 1, 25),
	B(GBPAGES, 1, 26), B(RDTSCP, 1, 27), B(LM, 1, 29), B(3DNOWEXT, 1, 30),
	B(3DNOW, 1, 31),
	B(XMM3, 4, 0), B(PCLMULQDQ, 4, 1), B(SSSE3, 4, 9), B(FMA, 4, 12),
	B(CX16, 4, 13), B(PCID, 4, 17), B(XMM4_1, 4, 19), B(XMM4_2, 4, 20),
	B(MOVBE, 4, 22), B(POPCNT, 4, 23), B(AES, 4, 25), B(XSAVE, 4, 26),
	B(OSXSAVE, 4, 27), B(AVX, 4, 28), B(F16C, 4, 29), B(RDRAND, 4, 30),
	B(HYPERVISOR, 4, 31), B(HT, 0, 28), B(CMP_LEGACY, 6, 1),
	B(LAHF_LM, 6, 0), B(ABM, 6, 5), B(SSE4A, 6, 6), B(MISALIGNSSE, 6, 7),
	B(3DNOWPREFETCH, 6, 8), B(XOP, 6, 11), B(FMA4, 6, 16), B(TBM, 6, 21),
	B(FSGSBASE, 9, 0), B(BMI1, 9, 3), B(AVX2, 9, 5),
	B(FDP_EXCPTN_ONLY, 9, 6), B(BMI2, 9, 8), B(ERMS, 9, 9),
	B(ZERO_FCS_FDS, 9, 13), B(AVX512F, 9, 16), B(AVX512DQ, 9, 17),
	B(RDSEED, 9, 18), B(ADX, 9, 19), B(AVX512IFMA, 9, 21),
	B(CLFLUSHOPT, 9, 23), B(CLWB, 9, 24), B(AVX512PF, 9, 26),
	B(AVX512ER, 9, 27), B(AVX512CD, 9, 28), B(SHA_NI, 9, 29),
	B(AVX512BW, 9, 30), B(AVX512VL, 9, 31),
	B(AVX512_BF16, 12, 5),
	B(CLZERO, 13, 0), B(XSAVEERPTR, 13, 2), B(AMD_SSB_NO, 13, 26),
	B(BTC_NO, 13, 29),
	B(AVX512VBMI, 16, 1), B(AVX512_VBMI2, 16, 6), B(GFNI, 16, 8),
	B(VAES, 16, 9), B(VPCLMULQDQ, 16, 10), B(AVX512_VNNI, 16, 11),
	B(AVX512_BITALG, 16, 12), B(AVX512_VPOPCNTDQ, 16, 14), B(UMIP, 16, 2),
	B(CLDEMOTE, 16, 25), B(MOVDIRI, 16, 27), B(MOVDIR64B, 16, 28),
	B(AVX512_4VNNIW, 18, 2), B(AVX512_4FMAPS, 18, 3), B(FSRM, 18, 4),
	B(AVX512_VP2INTERSECT, 18, 8), B(MD_CLEAR, 18, 10), B(SERIALIZE, 18, 14),
	B(AVX512_FP16, 18, 23),
};

#define BIT(n)	(1UL << (n))
#define XCR_XFEATURE_ENABLED_MASK 0
#define X86_VENDOR_INTEL 0
#define FULL_XCR0	0xe7

/* ---- the machine: a CPU with all its bits set, but for some */

static struct {
	u32 leaf, sub;
	u32 r[4];
} machine[] = {
	{ 1, 0, {} }, { 7, 0, {} }, { 7, 1, {} }, { 0x80000001, 0, {} },
};

static u64 xcr0;
static u32 level_of_cache;	/* 0: leaf 4 is all ones, too */

/* Components of XSAVE, with their sizes and places; all else is all ones. */
static void other_leaf(u32 *a, u32 *b, u32 *c, u32 *d)
{
	static const struct { u32 size, at; } parts[10] = {
		[2] = { 256, 576 }, [5] = { 64, 1088 }, [6] = { 512, 1152 },
		[7] = { 1024, 1664 }, [9] = { 8, 2688 },
	};
	u32 leaf = *a, sub = *c;

	*a = *b = *c = *d = ~0U;
	if (leaf == 4 && level_of_cache)
		*a = level_of_cache << 5 | 0x1f;
	if (leaf != 0xd || sub < 2)
		return;
	*a = sub < ARRAY_SIZE(parts) ? parts[sub].size : 0;
	*b = sub < ARRAY_SIZE(parts) ? parts[sub].at : 0;
}

static void native_cpuid(u32 *a, u32 *b, u32 *c, u32 *d)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(machine); i++)
		if (machine[i].leaf == *a && machine[i].sub == *c)
			break;
	if (i == ARRAY_SIZE(machine)) {
		other_leaf(a, b, c, d);
		return;
	}
	*a = machine[i].r[0];
	*b = machine[i].r[1];
	*c = machine[i].r[2];
	*d = machine[i].r[3];
}

static u64 xgetbv(u32 index)
{
	assert_int_equal(index, 0);
	return xcr0;
}

/* The page of vCPU 0: GS base is 0. */
char gdt_page[4096] __attribute__((aligned(4096)));

struct shim_cpu boot_cpu_data;

static unsigned int order_base_2(unsigned long n)
{
	return n > 1 ? 64 - __builtin_clzl(n - 1) : 0;
}

#include "guest/cpuid.c"

static void full_machine(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(machine); i++)
		memset(machine[i].r, 0xff, sizeof(machine[i].r));
	xcr0 = FULL_XCR0;
	lguest_shared.vcpus = 1;
	lguest_shared.vcpu = 0;
	boot_cpu_data.x86_vendor = X86_VENDOR_INTEL;
}

static u32 *word_of(unsigned int feature)
{
	switch (feature / 32) {
	case CPUID_1_EDX:		return &machine[0].r[3];
	case CPUID_1_ECX:		return &machine[0].r[2];
	case CPUID_7_0_EBX:		return &machine[1].r[1];
	case CPUID_7_ECX:		return &machine[1].r[2];
	case CPUID_7_EDX:		return &machine[1].r[3];
	case CPUID_7_1_EAX:		return &machine[2].r[0];
	case CPUID_8000_0001_ECX:	return &machine[3].r[2];
	case CPUID_8000_0001_EDX:	return &machine[3].r[3];
	}
	fail_msg("feature %u", feature);
	return NULL;
}

static void lacks(unsigned int feature)
{
	*word_of(feature) &= ~BIT(feature % 32);
}

/* What Linux finds, by the operation. */
static u32 asked(u32 leaf, u32 sub, int reg)
{
	u32 r[4] = { leaf, 0, sub, 0 };

	lguest_cpuid(&r[0], &r[1], &r[2], &r[3]);
	return r[reg];
}

static bool has(unsigned int feature)
{
	static const struct { u32 leaf, sub; int reg; } at[NCAPINTS] = {
		[CPUID_1_EDX] = { 1, 0, 3 }, [CPUID_1_ECX] = { 1, 0, 2 },
		[CPUID_7_0_EBX] = { 7, 0, 1 }, [CPUID_7_ECX] = { 7, 0, 2 },
		[CPUID_7_EDX] = { 7, 0, 3 }, [CPUID_7_1_EAX] = { 7, 1, 0 },
		[CPUID_8000_0001_ECX] = { 0x80000001, 0, 2 },
		[CPUID_8000_0001_EDX] = { 0x80000001, 0, 3 },
	};

	return asked(at[feature / 32].leaf, at[feature / 32].sub,
		     at[feature / 32].reg) & BIT(feature % 32);
}

/* ---- the tests */

static void test_all(void **state)
{
	(void)state;
	full_machine();
	setup_features();
	assert_int_equal(asked(1, 0, 2), LEAF1_ECX | LEAF1_ECX_SET);
	assert_int_equal(asked(1, 0, 3), LEAF1_EDX | LEAF1_EDX_SET);
	assert_int_equal(asked(7, 0, 0), 1);
	assert_int_equal(asked(7, 0, 1), LEAF7_EBX);
	assert_int_equal(asked(7, 0, 2), LEAF7_ECX);
	assert_int_equal(asked(7, 0, 3), LEAF7_EDX);
	assert_int_equal(asked(7, 1, 0), LEAF71_EAX);
	assert_int_equal(asked(7, 1, 3), LEAF71_EDX);
	assert_int_equal(asked(7, 1, 1) | asked(7, 1, 2), 0);
	assert_int_equal(asked(0x80000001, 0, 2), EXT1_ECX);
	assert_int_equal(asked(0x80000001, 0, 3), EXT1_EDX);
}

/* An emulator that was told to have no ERMS: 6.1's memmove() then writes wild. */
static void test_fsrm(void **state)
{
	(void)state;
	full_machine();
	lacks(X86_FEATURE_ERMS);
	setup_features();
	assert_false(has(X86_FEATURE_ERMS));
	assert_false(has(X86_FEATURE_FSRM));
	assert_int_equal(asked(7, 1, 0) & (BIT(10) | BIT(11)), 0);
	full_machine();
	lacks(X86_FEATURE_FSRM);
	setup_features();
	assert_true(has(X86_FEATURE_ERMS));
}

static void no_avx(void)
{
	setup_features();
	assert_int_equal(asked(1, 0, 2) & (F(AVX) | F(FMA) | F(F16C)), 0);
	assert_int_equal(asked(7, 0, 1) & (F(AVX2) | F(AVX512F) | F(AVX512DQ) |
					   F(AVX512IFMA) | F(AVX512PF) | F(AVX512ER) |
					   F(AVX512CD) | F(AVX512BW) | F(AVX512VL)), 0);
	assert_int_equal(asked(7, 0, 2), F(GFNI) | F(UMIP) | F(CLDEMOTE) |
					 F(MOVDIRI) | F(MOVDIR64B));
	assert_int_equal(asked(7, 0, 3), F(FSRM) | F(MD_CLEAR) | F(SERIALIZE));
	assert_int_equal(asked(7, 1, 0), BIT(7) | BIT(10) | BIT(11) | BIT(12));
	assert_int_equal(asked(7, 1, 3), BIT(14));
	assert_int_equal(asked(0x80000001, 0, 2) & (F(XOP) | F(FMA4)), 0);
}

static void test_avx(void **state)
{
	(void)state;
	full_machine();
	lacks(X86_FEATURE_AVX);
	no_avx();
	full_machine();
	xcr0 = 3;
	no_avx();
	assert_true(has(X86_FEATURE_XSAVE));
	full_machine();
	lacks(X86_FEATURE_OSXSAVE);
	no_avx();
	assert_false(has(X86_FEATURE_XSAVE));
	/* One of the three parts of AVX-512 is none. */
	full_machine();
	xcr0 = 0x67;
	setup_features();
	assert_true(has(X86_FEATURE_AVX2));
	assert_false(has(X86_FEATURE_AVX512F));
	assert_false(has(X86_FEATURE_AVX512_FP16));
}

/* Whatever is missing: what is shown has what it needs, and nothing is made up. */
static void test_any(void **state)
{
	unsigned int i, n, k;

	(void)state;
	srand(1);
	for (n = 0; n < 1000; n++) {
		full_machine();
		for (i = rand() % 4; i < ARRAY_SIZE(needs); i += 1 + rand() % 40) {
			lacks(needs[i].needed);
			k = rand() % ARRAY_SIZE(needs);
			lacks(needs[k].feature);
		}
		setup_features();
		for (i = 0; i < ARRAY_SIZE(needs); i++) {
			if (!has(needs[i].feature))
				continue;
			assert_true(has(needs[i].needed));
			assert_true(*word_of(needs[i].feature) &
				    BIT(needs[i].feature % 32));
		}
	}
}

/* What is not in the lists is not there, whatever the machine has. */
static bool is_shown(u32 leaf)
{
	switch (leaf) {
	case 0 ... 2:		/* maker, features, caches of old CPUs */
	case 4:			/* caches */
	case 7:
	case 0xd:
	case 0x80000000 ... 0x80000008:
	case 0x80000021:
		return true;
	default:		/* MONITOR, power, PMU, topology, APIC, SGX, AMX ... */
		return false;
	}
}

static void test_leaves(void **state)
{
	static const u32 from[] = { 0, 0x40000001, 0x80000000 };
	unsigned int i, n, r;

	(void)state;
	full_machine();
	setup_features();
	for (i = 0; i < ARRAY_SIZE(from); i++)
		for (n = 0; n < 0x200; n++)
			for (r = 0; r < 4 && !is_shown(from[i] + n); r++)
				assert_int_equal(asked(from[i] + n, 0, r), 0);
	/* One CPU, the first, which shares its caches with nobody. */
	assert_int_equal(asked(1, 0, 1), 0x1ff00);
	assert_int_equal(asked(4, 0, 0), 0x3fff);
	/* Four levels of tables, on whatever machine. */
	assert_int_equal(asked(0x80000008, 0, 0), 48 << 8 | 0xff);
	assert_int_equal(asked(0x80000008, 0, 2), 0);
}

/* Cores of one package, each with its own caches but the last; numbers come in powers of two. */
static void test_package(void **state)
{
	static const struct { unsigned int vcpus, numbers; } cases[] = {
		{ 1, 1 }, { 2, 2 }, { 3, 4 }, { 4, 4 }, { 5, 8 }, { 16, 16 },
	};
	unsigned int i;
	u32 n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		full_machine();
		setup_features();
		lguest_shared.vcpus = cases[i].vcpus;
		lguest_shared.vcpu = cases[i].vcpus - 1;
		n = cases[i].numbers;
		assert_int_equal(asked(1, 0, 1), (u32)lguest_shared.vcpu << 24 | n << 16 | 0xff00);
		assert_int_equal(!!(asked(1, 0, 3) & F(HT)), n > 1);
		assert_int_equal(asked(4, 0, 0), (n - 1) << 26 | 0x3fff);
		assert_int_equal(asked(0x80000008, 0, 2) & 0xff, cases[i].vcpus - 1);
		assert_int_equal(1 << (asked(0x80000008, 0, 2) >> 12), n);
		assert_false(asked(0x80000001, 0, 2) & F(CMP_LEGACY));
		boot_cpu_data.x86_vendor = X86_VENDOR_INTEL + 1;
		assert_int_equal(!!(asked(0x80000001, 0, 2) & F(CMP_LEGACY)), n > 1);
	}
	/* The third level is shared by all. */
	full_machine();
	setup_features();
	lguest_shared.vcpus = 4;
	level_of_cache = 3;
	assert_int_equal(asked(4, 3, 0), 3 << 26 | 3 << 14 | 3 << 5 | 0x1f);
	level_of_cache = 0;
}

static void test_xstate(void **state)
{
	(void)state;
	full_machine();
	setup_features();
	assert_int_equal(asked(0xd, 0, 0), 0xe7);
	assert_int_equal(asked(0xd, 0, 1), 2688);
	assert_int_equal(asked(0xd, 0, 2), 2688);
	assert_int_equal(asked(0xd, 1, 0), 5);
	assert_int_equal(asked(0xd, 7, 0), 1024);
	assert_int_equal(asked(0xd, 9, 0), 0);
	xcr0 = 7;
	setup_features();
	assert_int_equal(asked(0xd, 0, 0), 7);
	assert_int_equal(asked(0xd, 0, 1), 832);
	assert_int_equal(asked(0xd, 7, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_fsrm),
		cmocka_unit_test(test_avx),
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_package),
		cmocka_unit_test(test_xstate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
