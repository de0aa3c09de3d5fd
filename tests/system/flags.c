// SPDX-License-Identifier: GPL-2.0
/*
 * Each flag of /proc/cpuinfo: an instruction that comes with it is executed, and gives
 * what it should.  Prints "FLAG right", "FLAG wrong", "FLAG signal N"; or "FLAG kernel"
 * for what is not a program's to use.
 */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define N(list) (sizeof(list) / sizeof((list)[0]))

typedef union {
	uint8_t b[64];
	uint16_t h[32];
	uint32_t w[16];
	uint64_t q[8];
	float f[16];
} __attribute__((aligned(64))) vector;

static vector a, b, c;

/* All of a, b and c, in elements of this kind. */
#define SET(kind, x, y, z) do { \
	for (unsigned int i_ = 0; i_ < N(a.kind); i_++) { \
		a.kind[i_] = x; \
		b.kind[i_] = y; \
		c.kind[i_] = z; \
	} \
} while (0)

static bool all_are(const void *wanted, size_t size, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += size)
		if (memcmp(c.b + i, wanted, size))
			return false;
	return true;
}
/* So many bytes of the result are this, over and over. */
#define ARE(type, value, bytes) ({ type v_ = value; all_are(&v_, sizeof(v_), bytes); })

/* c = insn(a, b), c being there before for those that add to it. */
#define DO(insn, reg, load) asm volatile(load " %0, %%" reg "1; " load " %1, %%" reg "2; " \
	load " %2, %%" reg "3; " insn "; " load " %%" reg "3, %2" \
	: "+m" (a), "+m" (b), "+m" (c) : : "memory", "cc")
#define XMM(insn) DO(insn, "xmm", "movdqu")
#define YMM(insn) DO(insn, "ymm", "vmovdqu")
#define ZMM(insn) DO(insn, "zmm", "vmovdqu64")
#define MMX(insn) do { DO(insn, "mm", "movq"); asm volatile("emms"); } while (0)

#define TEST(name) static bool name(void)

TEST(fpu) { uint64_t n; asm("fld1; fld1; faddp; fistpll %0" : "=m" (n)); return n == 2; }
TEST(tsc)
{
	uint32_t x, y, d;

	asm volatile("rdtsc; mov %%eax, %0; rdtsc" : "=&r" (x), "=a" (y), "=d" (d));
	return x != y;
}
TEST(rdtscp)
{
	uint32_t x, y, d, n;

	asm volatile("rdtscp; mov %%eax, %0; rdtscp" : "=&r" (x), "=a" (y), "=d" (d), "=c" (n));
	return x != y;
}
TEST(cx8)
{
	uint64_t m = 5;

	asm("lock cmpxchg8b %0" : "+m" (m) : "a" (5), "d" (0), "b" (7), "c" (1) : "cc");
	return m == 0x100000007;
}
TEST(cx16)
{
	unsigned __int128 m = 5;
	asm("lock cmpxchg16b %0" : "+m" (m) : "a" (5UL), "d" (0UL), "b" (7UL), "c" (1UL) : "cc");
	return (uint64_t)m == 7 && m >> 64 == 1;
}
TEST(cmov)
{
	uint64_t n = 1;

	asm("cmp %0, %0; cmove %1, %0" : "+r" (n) : "r" (9UL) : "cc");
	return n == 9;
}
TEST(clflush) { a.q[0] = 3; asm volatile("clflush %0" : "+m" (a)); return a.q[0] == 3; }
TEST(clflushopt) { a.q[0] = 3; asm volatile("clflushopt %0" : "+m" (a)); return a.q[0] == 3; }
TEST(clwb) { a.q[0] = 3; asm volatile("clwb %0" : "+m" (a)); return a.q[0] == 3; }
TEST(cldemote) { a.q[0] = 3; asm volatile("cldemote %0" : "+m" (a)); return a.q[0] == 3; }
TEST(clzero) { a.q[7] = 3; asm volatile("clzero" : : "a" (&a) : "memory"); return !a.q[7]; }
TEST(prefetchw) { a.q[0] = 3; asm volatile("prefetchw %0" : "+m" (a)); return a.q[0] == 3; }
TEST(mmx) { SET(b, 1, 2, 4); MMX("paddb %%mm1, %%mm3"); return ARE(uint8_t, 5, 8); }
TEST(mmxext) { SET(b, 1, 2, 4); MMX("pminub %%mm1, %%mm3"); return ARE(uint8_t, 1, 8); }
TEST(now3d) { SET(f, 1, 2, 4); MMX("pfadd %%mm1, %%mm3"); return ARE(float, 5, 8); }
TEST(now3dext)
{
	SET(w, 1, 2, 4);
	a.w[1] = 9;
	MMX("pswapd %%mm1, %%mm3");
	return c.w[0] == 9 && c.w[1] == 1;
}
TEST(fxsr)
{
	static uint8_t area[512] __attribute__((aligned(16)));

	asm("fxsave %0" : "=m" (area));
	return *(uint32_t *)(area + 24) == 0x1f80;
}
TEST(sse) { SET(f, 1, 2, 4); XMM("addps %%xmm1, %%xmm3"); return ARE(float, 5, 16); }
TEST(sse2) { SET(q, 1, 2, ~0UL); XMM("paddq %%xmm2, %%xmm3"); return ARE(uint64_t, 1, 16); }
TEST(sse3) { SET(f, 1, 2, 4); XMM("haddps %%xmm3, %%xmm3"); return ARE(float, 8, 16); }
TEST(ssse3) { SET(b, (uint8_t)-3, 2, 4); XMM("pabsb %%xmm1, %%xmm3"); return ARE(uint8_t, 3, 16); }
TEST(sse41)
{
	SET(w, 1000, 2, 1000003);
	XMM("pmulld %%xmm1, %%xmm3");
	return ARE(uint32_t, 1000003000, 16);
}
TEST(sse42) { SET(q, 1, 2, 4); XMM("pcmpgtq %%xmm1, %%xmm3"); return ARE(uint64_t, ~0UL, 16); }
TEST(sse4a) { SET(q, 0x123456, 2, 0x123456); XMM("extrq $4, $8, %%xmm3"); return c.q[0] == 0x45; }
TEST(misalign)
{
	uint32_t old, with;
	float *at = (float *)(a.b + 4), got[4];

	SET(f, 2, 3, 4);
	asm volatile("stmxcsr %0" : "=m" (old));
	with = old | 1 << 17;
	asm volatile("ldmxcsr %1; movups %3, %%xmm3; addps (%2), %%xmm3; movups %%xmm3, %0; ldmxcsr %4"
		     : "=m" (got) : "m" (with), "r" (at), "m" (b), "m" (old) : "xmm3", "memory");
	return got[0] == 5 && got[3] == 5;
}
TEST(popcnt) { uint64_t n; asm("popcnt %1, %0" : "=r" (n) : "r" (0xf0f1UL) : "cc"); return n == 9; }
TEST(lzcnt) { uint64_t n; asm("lzcnt %1, %0" : "=r" (n) : "r" (1UL << 40) : "cc"); return n == 23; }
TEST(aes) { SET(b, 0, 0, 0); XMM("aesenc %%xmm1, %%xmm3"); return ARE(uint8_t, 0x63, 16); }
TEST(vaes)
{
	SET(b, 0, 0, 0);
	YMM("vaesenc %%ymm1, %%ymm2, %%ymm3");
	return ARE(uint8_t, 0x63, 32);
}
TEST(pclmul)
{
	SET(q, 3, 0, 3);
	XMM("pclmulqdq $0, %%xmm1, %%xmm3");
	return c.q[0] == 5 && !c.q[1];
}
TEST(vpclmul)
{
	SET(q, 3, 3, 0);
	YMM("vpclmulqdq $0, %%ymm1, %%ymm2, %%ymm3");
	return c.q[0] == 5 && c.q[2] == 5;
}
TEST(gfni) { SET(b, 2, 0, 0x80); XMM("gf2p8mulb %%xmm1, %%xmm3"); return ARE(uint8_t, 0x1b, 16); }
TEST(sha)
{
	SET(w, 0, 0, 0);
	c.w[0] = 5;
	c.w[1] = 1;
	XMM("sha256msg1 %%xmm1, %%xmm3");
	return c.w[0] == 0x02004005;
}
TEST(movbe)
{
	uint32_t m = 0x11223344, n;

	asm("movbe %1, %0" : "=r" (n) : "m" (m));
	return n == 0x44332211;
}
TEST(rdrand_)
{
	uint64_t x, y;

	asm volatile("1: rdrand %0; jnc 1b; 2: rdrand %1; jnc 2b"
	    : "=&r" (x), "=&r" (y) : : "cc");
	return x != y;
}
TEST(rdseed_)
{
	uint64_t x, y;

	asm volatile("1: rdseed %0; jnc 1b; 2: rdseed %1; jnc 2b"
	    : "=&r" (x), "=&r" (y) : : "cc");
	return x != y;
}
TEST(adx)
{
	uint64_t x = 1, y = 1;

	asm("clc; mov $-1, %%rcx; adox %%rcx, %0; adcx %%rcx, %1"
	    : "+r" (x), "+r" (y) : : "rcx", "cc");
	return x <= 1 && !y;
}
TEST(bmi1)
{
	uint64_t n;

	asm("andn %2, %1, %0" : "=r" (n) : "r" (0xfUL), "r" (0x3fUL) : "cc");
	return n == 0x30;
}
TEST(bmi2)
{
	uint64_t n;

	asm("pdep %2, %1, %0" : "=r" (n) : "r" (3UL), "r" (0x1010UL));
	return n == 0x1010;
}
TEST(tbm) { uint64_t n; asm("blcfill %1, %0" : "=r" (n) : "r" (0x7UL) : "cc"); return n == 0; }
TEST(avx) { SET(f, 1, 2, 0); YMM("vaddps %%ymm1, %%ymm2, %%ymm3"); return ARE(float, 3, 32); }
TEST(avx2) { SET(q, 1, 2, 0); YMM("vpaddq %%ymm1, %%ymm2, %%ymm3"); return ARE(uint64_t, 3, 32); }
TEST(muladd)
{
	SET(f, 2, 3, 4);
	YMM("vfmadd231ps %%ymm1, %%ymm2, %%ymm3");
	return ARE(float, 10, 32);
}
TEST(fma4)
{
	SET(f, 2, 3, 4);
	YMM("vfmaddps %%ymm3, %%ymm1, %%ymm2, %%ymm3");
	return ARE(float, 10, 32);
}
TEST(xop) { SET(w, 1, 2, 0); XMM("vprotd $4, %%xmm1, %%xmm3"); return ARE(uint32_t, 16, 16); }
TEST(f16c)
{
	SET(f, 1, 0, 0);
	XMM("vcvtps2ph $0, %%xmm1, %%xmm3");
	return ARE(uint16_t, 0x3c00, 8);
}
TEST(avx_vnni)
{
	SET(b, 1, 2, 0);
	YMM("%{vex%} vpdpbusd %%ymm1, %%ymm2, %%ymm3");
	return ARE(uint32_t, 8, 32);
}
TEST(avx512f)
{
	SET(q, 1, 2, 0);
	ZMM("vpaddq %%zmm1, %%zmm2, %%zmm3");
	return ARE(uint64_t, 3, 64);
}
TEST(avx512dq)
{
	SET(q, 1UL << 33, 3, 0);
	ZMM("vpmullq %%zmm1, %%zmm2, %%zmm3");
	return ARE(uint64_t, 3UL << 33, 64);
}
TEST(avx512bw)
{
	SET(b, 1, 2, 0);
	ZMM("vpaddb %%zmm1, %%zmm2, %%zmm3");
	return ARE(uint8_t, 3, 64);
}
TEST(avx512vl)
{
	SET(q, 1, 2, 0);
	YMM("vpaddq %%ymm1, %%ymm2, %%ymm16; vmovdqa64 %%ymm16, %%ymm3");
	return ARE(uint64_t, 3, 32);
}
TEST(avx512cd)
{
	SET(q, 1UL << 40, 0, 0);
	ZMM("vplzcntq %%zmm1, %%zmm3");
	return ARE(uint64_t, 23, 64);
}
TEST(avx512ifma)
{
	SET(q, 3, 5, 1);
	ZMM("vpmadd52luq %%zmm1, %%zmm2, %%zmm3");
	return ARE(uint64_t, 16, 64);
}
TEST(avx512vbmi)
{
	SET(b, 7, 0, 0);
	b.b[7] = 9;
	ZMM("vpermb %%zmm2, %%zmm1, %%zmm3");
	return ARE(uint8_t, 9, 64);
}
TEST(avx512vbmi2)
{
	SET(w, 1, 0x10000, 0);
	ZMM("vpshldd $16, %%zmm2, %%zmm1, %%zmm3");
	return ARE(uint32_t, 0x10001, 64);
}
TEST(avx512vnni)
{
	SET(b, 1, 2, 0);
	ZMM("vpdpbusd %%zmm1, %%zmm2, %%zmm3");
	return ARE(uint32_t, 8, 64);
}
TEST(avx512bitalg) { SET(b, 7, 0, 0); ZMM("vpopcntb %%zmm1, %%zmm3"); return ARE(uint8_t, 3, 64); }
TEST(avx512popcnt)
{
	SET(q, 0xff, 0, 0);
	ZMM("vpopcntq %%zmm1, %%zmm3");
	return ARE(uint64_t, 8, 64);
}
TEST(avx512bf16)
{
	SET(f, 1, 0, 0);
	ZMM("vcvtneps2bf16 %%zmm1, %%ymm3");
	return ARE(uint16_t, 0x3f80, 32);
}
TEST(avx512fp16)
{
	SET(h, 0x3c00, 0x3c00, 0);
	ZMM("vaddph %%zmm1, %%zmm2, %%zmm3");
	return ARE(uint16_t, 0x4000, 64);
}
TEST(intersect)
{
	uint32_t k;

	SET(w, 1, 1, 0);
	asm volatile("vmovdqu64 %1, %%zmm1; vmovdqu64 %2, %%zmm2;"
		     "vp2intersectd %%zmm1, %%zmm2, %%k2; kmovw %%k2, %0"
	    : "=r" (k) : "m" (a), "m" (b));
	return (k & 0xffff) == 0xffff;
}
TEST(fsgsbase)
{
	uint64_t old, n;

	asm volatile("rdgsbase %0; wrgsbase %2; rdgsbase %1; wrgsbase %0"
	    : "=&r" (old), "=&r" (n) : "r" (0x123456UL));
	return n == 0x123456;
}
TEST(lahf)
{
	uint64_t n;

	asm("cmp %%eax, %%eax; lahf; movzbl %%ah, %%eax" : "=a" (n) : : "cc");
	return n & 0x40;
}
TEST(syscall_) { return syscall(SYS_getpid) == getpid(); }
TEST(cpuid_)
{
	uint32_t n = 0, s[3];

	asm volatile("cpuid" : "+a" (n), "=b" (s[0]), "=c" (s[2]), "=d" (s[1]));
	return n;
}
TEST(nopl) { asm volatile("nopl 4(%rax)"); return true; }
TEST(serialize_) { asm volatile("serialize"); return true; }
TEST(movdiri)
{
	a.q[0] = 0;
	asm volatile("movdiri %1, %0; mfence" : "=m" (a.q[0]) : "r" (7UL));
	return a.q[0] == 7;
}
TEST(movdir64b)
{
	SET(q, 0, 7, 0);
	asm volatile("movdir64b %1, %0; mfence" : : "r" (&a), "m" (b) : "memory");
	return a.q[7] == 7;
}

static uint8_t area[16384] __attribute__((aligned(64)));

static uint64_t enabled(uint32_t which)
{
	uint32_t low, high;

	asm volatile("xgetbv" : "=a" (low), "=d" (high) : "c" (which));
	return low | (uint64_t)high << 32;
}

TEST(xsave)
{
	memset(area, 0, sizeof(area));
	asm volatile("xsave %0" : "+m" (area) : "a" (3), "d" (0));
	return (enabled(0) & 3) == 3 && *(uint32_t *)(area + 24) == 0x1f80;
}
TEST(xsaveopt)
{
	memset(area, 0, sizeof(area));
	asm volatile("movdqu %1, %%xmm5; xsaveopt %0"
	    : "+m" (area) : "m" (a), "a" (3), "d" (0) : "xmm5");
	return area[512] & 2;
}
TEST(xgetbv1)
{
	asm volatile("movdqu %0, %%xmm5" : : "m" (a) : "xmm5");
	return !(enabled(1) & ~enabled(0));
}
TEST(strings)
{
	void *to = area, *from = a.b;
	uint64_t n = 64;

	SET(b, 6, 0, 6);
	memset(area, 0, 64);
	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (n) : : "memory");
	return !memcmp(area, c.b, 64);
}
TEST(fills)
{
	void *to = area;
	uint64_t n = 64;

	SET(b, 0, 0, 5);
	asm volatile("rep stosb" : "+D" (to), "+c" (n) : "a" (5) : "memory");
	return !memcmp(area, c.b, 64);
}
TEST(compares)
{
	void *to = b.b, *from = a.b;
	uint64_t n = 64;

	SET(b, 6, 6, 0);
	asm volatile("repe cmpsb" : "+D" (to), "+S" (from), "+c" (n) : : "memory", "cc");
	return !n;
}
/* Linux gives a program what it likes, and no signal. */
TEST(umip)
{
	uint16_t table[5] = { 1 };

	asm volatile("sgdt %0" : "=m" (table));
	return table[0] != 1;
}

static sigjmp_buf back;
static volatile int caught;

static void on_signal(int number)
{
	caught = number;
	siglongjmp(back, 1);
}

TEST(nx)
{
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*page = 0xc3;
	mprotect(page, 4096, PROT_READ | PROT_EXEC);
	((void (*)(void))page)();
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
	if (!sigsetjmp(back, 1)) {
		((void (*)(void))page)();
		return false;
	}
	if (caught != SIGSEGV)
		return false;
	caught = 0;
	return true;
}

static const struct {
	const char *flags;
	bool (*test)(void);
} tests[] = {
	{ " fpu ", fpu }, { " tsc ", tsc }, { " rdtscp ", rdtscp }, { " cx8 ", cx8 }, { " cx16 ", cx16 },
	{ " cmov ", cmov }, { " clflush ", clflush }, { " clflushopt ", clflushopt }, { " clwb ", clwb },
	{ " cldemote ", cldemote }, { " clzero ", clzero }, { " 3dnowprefetch ", prefetchw },
	{ " mmx ", mmx }, { " mmxext ", mmxext }, { " 3dnow ", now3d }, { " 3dnowext ", now3dext },
	{ " fxsr fxsr_opt ", fxsr }, { " sse ", sse }, { " sse2 ", sse2 }, { " pni ", sse3 },
	{ " ssse3 ", ssse3 }, { " sse4_1 ", sse41 }, { " sse4_2 ", sse42 }, { " sse4a ", sse4a },
	{ " misalignsse ", misalign }, { " popcnt ", popcnt }, { " abm ", lzcnt }, { " aes ", aes },
	{ " vaes ", vaes }, { " pclmulqdq ", pclmul }, { " vpclmulqdq ", vpclmul }, { " gfni ", gfni },
	{ " sha_ni ", sha }, { " movbe ", movbe }, { " rdrand ", rdrand_ }, { " rdseed ", rdseed_ },
	{ " adx ", adx }, { " bmi1 ", bmi1 }, { " bmi2 ", bmi2 }, { " tbm ", tbm }, { " avx ", avx },
	{ " avx2 ", avx2 }, { " fma ", muladd }, { " fma4 ", fma4 }, { " xop ", xop }, { " f16c ", f16c },
	{ " avx_vnni ", avx_vnni }, { " avx512f ", avx512f }, { " avx512dq ", avx512dq },
	{ " avx512bw ", avx512bw }, { " avx512vl ", avx512vl }, { " avx512cd ", avx512cd },
	{ " avx512ifma ", avx512ifma }, { " avx512vbmi ", avx512vbmi }, { " avx512_vbmi2 ", avx512vbmi2 },
	{ " avx512_vnni ", avx512vnni }, { " avx512_bitalg ", avx512bitalg },
	{ " avx512_vpopcntdq ", avx512popcnt }, { " avx512_bf16 ", avx512bf16 },
	{ " avx512_fp16 ", avx512fp16 }, { " avx512_vp2intersect ", intersect },
	{ " fsgsbase ", fsgsbase }, { " lahf_lm ", lahf }, { " syscall lm ", syscall_ },
	{ " cpuid ", cpuid_ }, { " nopl ", nopl }, { " serialize ", serialize_ },
	{ " movdiri ", movdiri }, { " movdir64b ", movdir64b }, { " xsave ", xsave },
	{ " xsaveopt xsaveerptr ", xsaveopt }, { " xgetbv1 ", xgetbv1 },
	{ " erms fsrm rep_good ", strings }, { " fsrs fzrm ", fills }, { " fsrc ", compares },
	{ " umip ", umip }, { " nx ", nx },
};

/* What a kernel needs that runs, its clock (clock.sh), and words of its own. */
static const char kernel[] = " vme de pse msr pae pge pse36 ss pdpe1gb pcid hypervisor "
	"constant_tsc tsc_reliable nonstop_tsc tsc_known_freq md_clear amd_ssb_no btc_no vmmcall retpoline "
	"rsb_ctxsw xtopology cpuid_fault ";

static const char *verdict(const char *flag)
{
	static char text[40];
	char word[80];

	snprintf(word, sizeof(word), " %s ", flag);
	if (strstr(kernel, word))
		return "kernel";
	for (size_t i = 0; i < N(tests); i++) {
		if (!strstr(tests[i].flags, word))
			continue;
		caught = 0;
		if (!sigsetjmp(back, 1))
			return tests[i].test() ? "right" : "wrong";
		snprintf(text, sizeof(text), "signal %d", caught);
		return text;
	}
	return "unknown";
}

int main(void)
{
	char line[8192], *flag, *rest;
	FILE *f = fopen("/proc/cpuinfo", "r");

	signal(SIGILL, on_signal);
	signal(SIGSEGV, on_signal);
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "flags", 5))
			continue;
		rest = strchr(line, ':') + 1;
		while ((flag = strsep(&rest, " \n")))
			if (*flag)
				printf("%s %s\n", flag, verdict(flag));
		return 0;
	}
	return 1;
}
