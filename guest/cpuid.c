// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's CPU as Linux sees it, first part: CPUID.
 * Read next: cpu.c.
 */
#include <linux/kernel.h>
#include <linux/log2.h>
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/processor.h>
#include "compat/cpuid.h"
#include "layer.h"

/*G:300
 * CPUID.  At ring 3 the instruction gives the raw truth about the machine, and
 * guest user sees just that; the kernel gets to see, by allow-lists, only what
 * works here.  A feature unknown to these lists stays hidden.
:*/

#define F(name)		BIT(X86_FEATURE_##name & 31)

/* Leaf 1. */
#define LEAF1_ECX	(F(XMM3) | F(PCLMULQDQ) | F(SSSE3) | F(CX16) | \
			 F(XMM4_1) | F(XMM4_2) | F(MOVBE) | F(POPCNT) | \
			 F(AES) | F(RDRAND) | F(XSAVE) | F(OSXSAVE) | \
			 F(AVX) | F(FMA) | F(F16C))
/* Always shown.  Whether the CPU has PCIDs is the Host's business. */
#define LEAF1_ECX_SET	(F(PCID) | F(HYPERVISOR))
/* Not: MCE, APIC, SEP, MTRR, MCA, PAT, PN, DS, ACPI, HT, TM, PBE. */
#define LEAF1_EDX	(F(FPU) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | \
			 F(PAE) | F(CX8) | F(CMOV) | F(PSE36) | F(CLFLUSH) | \
			 F(MMX) | F(FXSR) | F(XMM) | F(XMM2) | F(SELFSNOOP))
#define LEAF1_EDX_SET	F(PGE)		/* without it Linux gives up PCID */

/* Leaf 7. */
#define LEAF7_EBX	(F(FSGSBASE) | F(BMI1) | F(AVX2) | \
			 F(FDP_EXCPTN_ONLY) | F(BMI2) | F(ERMS) | \
			 F(ZERO_FCS_FDS) | F(RDSEED) | F(ADX) | \
			 F(CLFLUSHOPT) | F(CLWB) | F(SHA_NI) | F(AVX512F) | \
			 F(AVX512DQ) | F(AVX512IFMA) | F(AVX512PF) | \
			 F(AVX512ER) | F(AVX512CD) | F(AVX512BW) | \
			 F(AVX512VL))
/*
 * UMIP is in force where the Host has it, and then Linux emulates what it takes away.
 * Not: RDPID, which gives the Host's CPU number.
 */
#define LEAF7_ECX	(F(AVX512VBMI) | F(AVX512_VBMI2) | F(GFNI) | F(VAES) | \
			 F(VPCLMULQDQ) | F(AVX512_VNNI) | F(AVX512_BITALG) | \
			 F(AVX512_VPOPCNTDQ) | F(CLDEMOTE) | F(UMIP) | \
			 F(MOVDIRI) | F(MOVDIR64B))
#define LEAF7_EDX	(F(AVX512_4VNNIW) | F(AVX512_4FMAPS) | F(FSRM) | \
			 F(AVX512_VP2INTERSECT) | F(MD_CLEAR) | F(SERIALIZE) | \
			 F(AVX512_FP16))
/* Leaf 7.1: EAX: SHA512 SM3 SM4 AVX_VNNI AVX512_BF16 CMPCCXADD FZRM FSRS FSRC
 * AVX_IFMA; EDX: AVX_VNNI_INT8 AVX_NE_CONVERT AVX_VNNI_INT16 PREFETCHI. */
#define LEAF71_EAX	(BIT(0) | BIT(1) | BIT(2) | BIT(4) | BIT(5) | BIT(7) | \
			 BIT(10) | BIT(11) | BIT(12) | BIT(23))
#define LEAF71_EDX	(BIT(4) | BIT(5) | BIT(10) | BIT(14))

/* Those of EDX that work with AVX's registers. */
#define LEAF71_EDX_AVX	(BIT(4) | BIT(5) | BIT(10))

/* Leaf 0x80000001; EDX repeats leaf 1 on AMD's CPUs. */
#define EXT1_ECX	(F(LAHF_LM) | F(ABM) | F(SSE4A) | F(MISALIGNSSE) | \
			 F(3DNOWPREFETCH) | F(XOP) | F(FMA4) | F(TBM))
#define EXT1_EDX	(LEAF1_EDX | LEAF1_EDX_SET | F(SYSCALL) | F(NX) | \
			 F(MMXEXT) | F(FXSR_OPT) | F(GBPAGES) | F(RDTSCP) | \
			 F(LM) | F(3DNOWEXT) | F(3DNOW))
#define EXT7_EDX	BIT(8)			/* invariant TSC */
#define EXT8_EBX	(F(CLZERO) | F(XSAVEERPTR) | F(AMD_SSB_NO) | F(BTC_NO))
/* Leaf 0x80000021, EAX: LFENCE serializes, a null selector clears the base. */
#define EXT21_EAX	(BIT(2) | BIT(6))

/* XCR0: x87, SSE, AVX, the three of AVX-512.  Not MPX, PKRU, AMX. */
#define XCR0_SSE		0x3
#define XCR0_AVX		0x4
#define XCR0_AVX512		0xe0

#define MAX_LEAF		0xd
#define MAX_EXT_LEAF		0x80000021
#define HYPERVISOR_LEAF		0x40000000

struct leaf {
	u32 a, b, c, d;
};

static struct leaf raw_cpuid(u32 a, u32 c)
{
	struct leaf l = { .a = a, .c = c };

	native_cpuid(&l.a, &l.b, &l.c, &l.d);
	return l;
}

/* The state components that guest Linux may use. */
static u32 xstate_mask(void)
{
	u32 mask = XCR0_SSE | XCR0_AVX | XCR0_AVX512;

	if (!(raw_cpuid(1, 0).c & F(OSXSAVE)))
		return 0;
	mask &= xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (!(mask & XCR0_AVX))
		mask &= ~XCR0_AVX512;
	if ((mask & XCR0_AVX512) != XCR0_AVX512)
		mask &= ~XCR0_AVX512;
	return mask;
}

/*G:305
 * What is shown, in Linux's words of 32 features.  Some features are never
 * without others on real CPUs, and Linux counts on it (6.1 copies wrongly where
 * FSRM is and ERMS is not); but an emulator may leave out any, and we do.  Such
 * a feature is hidden if what it needs is.
 *
 * To show one more: its bit in the lists below, what it needs in needs[], and its
 * name in tests/system/boot.sh, which knows all that a guest may see.
:*/
static u32 features[NCAPINTS];

#define LEAF71(n)	(CPUID_7_1_EAX * 32 + (n))

static const struct need {
	u16 feature, needed;
} needs[] = {
#define NEEDS(a, b)	{ X86_FEATURE_##a, X86_FEATURE_##b }
	NEEDS(OSXSAVE, XSAVE), NEEDS(AVX, XSAVE),
	NEEDS(FMA, AVX), NEEDS(F16C, AVX), NEEDS(XOP, AVX), NEEDS(FMA4, AVX),
	NEEDS(VAES, AVX), NEEDS(VAES, AES),
	NEEDS(VPCLMULQDQ, AVX), NEEDS(VPCLMULQDQ, PCLMULQDQ),
	/* AVX_VNNI, SHA512, SM3, SM4, AVX_IFMA */
	{ LEAF71(4), X86_FEATURE_AVX }, { LEAF71(0), X86_FEATURE_AVX },
	{ LEAF71(1), X86_FEATURE_AVX }, { LEAF71(2), X86_FEATURE_AVX },
	{ LEAF71(23), X86_FEATURE_AVX },
	NEEDS(AVX2, AVX), NEEDS(AVX512F, AVX2),
	NEEDS(AVX512DQ, AVX512F), NEEDS(AVX512IFMA, AVX512F),
	NEEDS(AVX512PF, AVX512F), NEEDS(AVX512ER, AVX512F),
	NEEDS(AVX512CD, AVX512F), NEEDS(AVX512BW, AVX512F),
	NEEDS(AVX512VL, AVX512F), NEEDS(AVX512VBMI, AVX512F),
	NEEDS(AVX512_4VNNIW, AVX512F), NEEDS(AVX512_4FMAPS, AVX512F),
	NEEDS(AVX512_VPOPCNTDQ, AVX512F), NEEDS(AVX512_FP16, AVX512BW),
	NEEDS(AVX512_VBMI2, AVX512VL), NEEDS(AVX512_VNNI, AVX512VL),
	NEEDS(AVX512_BITALG, AVX512VL), NEEDS(AVX512_BF16, AVX512VL),
	NEEDS(AVX512_VP2INTERSECT, AVX512VL),
	NEEDS(FSRM, ERMS),
	/* FZRM, FSRS */
	{ LEAF71(10), X86_FEATURE_ERMS }, { LEAF71(11), X86_FEATURE_ERMS },
#undef NEEDS
};

static bool shown(unsigned int feature)
{
	return features[feature / 32] & BIT(feature % 32);
}

static void hide(unsigned int feature)
{
	features[feature / 32] &= ~BIT(feature % 32);
}

/* In the order of the list: what others need has been decided before them. */
static void hide_needy(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(needs); i++)
		if (!shown(needs[i].needed))
			hide(needs[i].feature);
}

/**
 * setup_features() - decide which features Linux gets to see
 *
 * The leaves that are read here are there on all CPUs that can be hosts.
 */
void setup_features(void)
{
	struct leaf one = raw_cpuid(1, 0), seven = raw_cpuid(7, 0);
	struct leaf ext = raw_cpuid(0x80000001, 0);
	u32 mask = xstate_mask();

	features[CPUID_1_ECX] = (one.c & LEAF1_ECX) | LEAF1_ECX_SET;
	features[CPUID_1_EDX] = (one.d & LEAF1_EDX) | LEAF1_EDX_SET;
	features[CPUID_7_0_EBX] = seven.b & LEAF7_EBX;
	features[CPUID_7_ECX] = seven.c & LEAF7_ECX;
	features[CPUID_7_EDX] = seven.d & LEAF7_EDX;
	if (seven.a)
		features[CPUID_7_1_EAX] = raw_cpuid(7, 1).a & LEAF71_EAX;
	features[CPUID_8000_0001_ECX] = ext.c & EXT1_ECX;
	features[CPUID_8000_0001_EDX] = ext.d & EXT1_EDX;

	/* These need the Host to have them switched on. */
	if (!mask)
		hide(X86_FEATURE_XSAVE);
	if (!(mask & XCR0_AVX))
		hide(X86_FEATURE_AVX);
	if (!(mask & XCR0_AVX512))
		hide(X86_FEATURE_AVX512F);
	hide_needy();
}

/*G:307
 * All vCPUs are the cores of one package, which share its last cache: Linux looks for an
 * idle CPU only among those that do.  Which thread of the machine's is beside which,
 * nobody can say.  In numbers of APICs a package takes a power of two.
:*/
static unsigned int package_bits(void)
{
	return order_base_2(lguest_shared.vcpus);
}

static void filter_leaf1(struct leaf *l)
{
	u32 numbers = 1U << package_bits();

	l->b = (l->b & 0xff00) | numbers << 16 | (u32)lguest_shared.vcpu << 24;
	l->c = features[CPUID_1_ECX];
	l->d = features[CPUID_1_EDX];
	if (numbers > 1)
		l->d |= F(HT);		/* says that EBX has them */
}

/* Caches of Intel's CPUs. */
static void filter_leaf4(struct leaf *l)
{
	u32 others = (1U << package_bits()) - 1, level = l->a >> 5 & 7;

	l->a &= 0x3fff;
	if (!(l->a & 0x1f))
		return;			/* no cache */
	l->a |= others << 26;
	if (level == 3)
		l->a |= others << 14;
}

static void filter_leaf7(struct leaf *l, u32 sub)
{
	u32 d = shown(X86_FEATURE_AVX) ? LEAF71_EDX : LEAF71_EDX & ~LEAF71_EDX_AVX;

	if (sub == 0)
		*l = (struct leaf){ .a = min(l->a, 1u),
				    .b = features[CPUID_7_0_EBX],
				    .c = features[CPUID_7_ECX],
				    .d = features[CPUID_7_EDX] };
	else if (sub == 1)
		*l = (struct leaf){ .a = features[CPUID_7_1_EAX], .d = l->d & d };
	else
		*l = (struct leaf){};
}

/*
 * Leaf 0xd describes the XSAVE area.  Linux checks that the sizes fit the
 * components, so they are computed from those that are left.
 */
static void filter_xstate(struct leaf *l, u32 sub)
{
	u32 mask = xstate_mask();
	u32 size = 512 + 64;
	struct leaf part;
	int i;

	if (!mask || (sub > 1 && !(sub < 32 && mask & BIT(sub)))) {
		*l = (struct leaf){};
		return;
	}
	if (sub > 1)
		return;
	for (i = 2; i < 32; i++) {
		if (!(mask & BIT(i)))
			continue;
		part = raw_cpuid(0xd, i);
		size = max(size, part.a + part.b);
	}
	if (sub == 0)
		*l = (struct leaf){ .a = mask, .b = size, .c = size };
	else	/* XSAVEOPT and XGETBV(1); not XSAVEC, XSAVES, XFD */
		*l = (struct leaf){ .a = l->a & (BIT(0) | BIT(2)), .b = size };
}

static void basic_leaf(struct leaf *l, u32 leaf, u32 sub)
{
	switch (leaf) {
	case 0:
		l->a = min_t(u32, l->a, MAX_LEAF);
		break;
	case 1:
		filter_leaf1(l);
		break;
	case 2:
		break;
	case 4:
		filter_leaf4(l);
		break;
	case 7:
		filter_leaf7(l, sub);
		break;
	case 0xd:
		filter_xstate(l, sub);
		break;
	default:
		*l = (struct leaf){};
	}
}

static void extended_leaf(struct leaf *l, u32 leaf)
{
	switch (leaf) {
	case 0x80000000:
		l->a = min_t(u32, l->a, MAX_EXT_LEAF);
		break;
	case 0x80000001:
		l->b = 0;
		l->c = features[CPUID_8000_0001_ECX];
		/* AMD's and Hygon's word for HT with cores and no threads. */
		if (lguest_shared.vcpus > 1 && boot_cpu_data.x86_vendor != X86_VENDOR_INTEL)
			l->c |= F(CMP_LEGACY);
		l->d = features[CPUID_8000_0001_EDX];
		break;
	case 0x80000002 ... 0x80000006:
		break;
	case 0x80000007:
		*l = (struct leaf){ .d = l->d & EXT7_EDX };
		break;
	case 0x80000008:
		/* Widths of addresses: whatever the Host has, 4 levels of tables. */
		*l = (struct leaf){ .a = (l->a & 0xff) | 48 << 8,
				    .b = l->b & EXT8_EBX,
				    .c = package_bits() << 12 |
					 (u32)(lguest_shared.vcpus - 1) };
		break;
	case 0x80000021:
		*l = (struct leaf){ .a = l->a & EXT21_EAX };
		break;
	default:
		*l = (struct leaf){};
	}
}

/**
 * lguest_cpuid() - the operation: what Linux asks, and what it is told
 * @a: leaf, and EAX
 * @b: EBX
 * @c: number in the leaf, and ECX
 * @d: EDX
 */
void lguest_cpuid(unsigned int *a, unsigned int *b,
		  unsigned int *c, unsigned int *d)
{
	u32 leaf = *a, sub = *c;
	struct leaf l = raw_cpuid(leaf, sub);

	if (leaf <= MAX_LEAF)
		basic_leaf(&l, leaf, sub);
	else if (leaf == HYPERVISOR_LEAF)	/* "lguest" */
		l = (struct leaf){ .a = HYPERVISOR_LEAF,
				   .b = 0x6575676c, .c = 0x7473 };
	else if (leaf >= 0x80000000 && leaf <= MAX_EXT_LEAF)
		extended_leaf(&l, leaf);
	else	/* and nothing of a hypervisor below ours */
		l = (struct leaf){};

	*a = l.a;
	*b = l.b;
	*c = l.c;
	*d = l.d;
}
