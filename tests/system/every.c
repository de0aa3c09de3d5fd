// SPDX-License-Identifier: GPL-2.0
/*
 * An NMI, or a machine check, at every instruction of the Switcher: a debugger of
 * the lab's host, which stops it there and has QEMU's monitor strike.
 *
 *	every SOCKET BASE nmi|mce SHARE SEED INSNS SYMBOLS
 *
 * BASE: slot 256.  INSNS: a file with the offset of each instruction of the Switcher
 * that should be reached.  SYMBOLS: lines "ADDRESS NAME" of the host's kernel and, from
 * 0, of the Switcher.  Of all the places one in SHARE is struck, which ones by SEED; if
 * SHARE is 0 each instruction, but on one way only.
 *
 * The places are found by walking: each way through the Switcher is gone once,
 * instruction by instruction, to its end, and later struck at each of them, and at the
 * guest's instruction where it ends.  What several ways share is struck on each.
 *
 * Of each strike this must be so:
 *   - the host's handler comes next: the guest does not run before it, nor is
 *     anything entered
 *   - when it begins, CR3, CR4, GS base, descriptor tables and TR are the host's, as
 *     when the Switcher was entered
 *   - NMIs are blocked when the handler begins: another one waits for its end
 * After every second strike there is another one, in or behind the Switcher's own handler;
 * where machine checks are sent it is one with an NMI, or an NMI.  The last line says
 * how many were sent; who has started us compares that with what the host has counted.
 */
#define _GNU_SOURCE 1
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <lguest/guest.h>
#include "lib/reach.h"
#include "switcher.h"

#define SIZE		(LG_TEXT_PAGES * 4096)
#define STUB(vector)	(16 * (vector))
#define CR4_PCE		0x100
/* Single steps: alone; and so that interrupts and timers wait. */
#define STEP		1
#define STEP_QUIETLY	7

static int fd;
static uint64_t base;
static bool mce;
static unsigned int share, seed;

static void say(const char *data);

/* Without us the machine goes on. */
static __attribute__((noreturn)) void die(const char *what)
{
	static bool dying;

	printf("every: %s\n", what);
	if (!dying) {
		dying = true;
		say("D");
	}
	exit(1);
}

/* ---- gdb's remote protocol ---- */

static char reply[16384];

static int next_char(void)
{
	static unsigned char buf[4096];
	static ssize_t have, at;

	if (at == have) {
		at = 0;
		have = read(fd, buf, sizeof(buf));
		if (have <= 0)
			die("the machine is gone");
	}
	return buf[at++];
}

static void receive(void)
{
	size_t n = 0;
	int c;

	while (next_char() != '$')
		;
	while ((c = next_char()) != '#')
		if (n < sizeof(reply) - 1)
			reply[n++] = c;
	reply[n] = 0;
	next_char();
	next_char();
	if (write(fd, "+", 1) != 1)
		die("the machine is gone");
}

static void say(const char *data)
{
	char frame[4096];
	unsigned char sum = 0;
	const char *at;
	int n;

	for (at = data; *at; at++)
		sum += *at;
	n = snprintf(frame, sizeof(frame), "$%s#%02x", data, sum);
	if (write(fd, frame, n) != n)
		die("the machine is gone");
}

static const char *ask(const char *data)
{
	say(data);
	receive();
	return reply;
}

#define ASK(...) ({ \
	char packet_[256]; \
	snprintf(packet_, sizeof(packet_), __VA_ARGS__); \
	ask(packet_); \
})

static void must(const char *answer)
{
	if (strcmp(answer, "OK"))
		die(answer);
}

static uint64_t little_endian(const char *hex, unsigned int bytes)
{
	uint64_t value = 0;
	unsigned int byte, i;

	for (i = bytes; i-- > 0; ) {
		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			die("a register without a value");
		value = value << 8 | byte;
	}
	return value;
}

static uint64_t read_word(uint64_t address)
{
	return little_endian(ASK("m%llx,8", (unsigned long long)address), 8);
}

static void set_u32(unsigned int field, uint32_t value)
{
	must(ASK("M%llx,4:%08x", (unsigned long long)(base + LG_STATE_OFFSET + field),
		 __builtin_bswap32(value)));
}

/* What the monitor says to a command, as text. */
static const char *monitor(const char *command)
{
	static char said[16384];
	char packet[512];
	size_t n = 0;
	unsigned int c;
	int at = sprintf(packet, "qRcmd,");

	for (; *command; command++)
		at += sprintf(packet + at, "%02x", *command);
	say(packet);
	for (;;) {
		receive();
		if (reply[0] != 'O' || !strcmp(reply, "OK"))
			break;
		for (at = 1; sscanf(reply + at, "%2x", &c) == 1; at += 2)
			if (n < sizeof(said) - 1)
				said[n++] = c;
	}
	said[n] = 0;
	must(reply);
	return said;
}

/* ---- The machine ---- */

static uint64_t rip, rsp, rax, rcx, rdi;
static unsigned int cpl;

/* 16 general registers, rip, then eflags and cs with 4 bytes each. */
static void look(void)
{
	ask("g");
	rax = little_endian(reply, 8);
	rcx = little_endian(reply + 2 * 8 * 2, 8);
	rdi = little_endian(reply + 2 * 8 * 5, 8);
	rsp = little_endian(reply + 2 * 8 * 7, 8);
	rip = little_endian(reply + 2 * 8 * 16, 8);
	cpl = little_endian(reply + 2 * (8 * 17 + 4), 4) & 3;
}

static void step(int how)
{
	static int set;
	uint64_t was = rip;
	int i;

	if (set != how)
		must(ASK("Qqemu.sstep=%x", how));
	set = how;
	/* QEMU takes a look of the CPU at its APIC for a step, too. */
	for (i = 0; i < 3; i++) {
		ask("s");
		look();
		if (rip != was || how != STEP)
			break;
	}
}

static void breakpoint(char set, uint64_t address)
{
	must(ASK("%c0,%llx,1", set, (unsigned long long)address));
}

static void run(void)
{
	ask("c");
	look();
}

/* To the next breakpoint; the one where we are does not count. */
static void go_on(void)
{
	step(STEP_QUIETLY);
	run();
}

static bool inside(uint64_t address)
{
	return address - base < SIZE;
}

/* What must be the host's again. */
struct host {
	char cr3[20], cr4[20], gs[60], gdt[60], idt[60], tr[60];
};

static void take(const char *text, const char *name, char *to, size_t size)
{
	const char *at = strstr(text, name);

	if (!at)
		die("a register is not shown");
	snprintf(to, size, "%.*s", (int)strcspn(at, name[0] == 'C' ? " \r\n" : "\r\n"), at);
}

static struct host look_at_host(void)
{
	const char *text = monitor("info registers");
	struct host h;
	char *base_of;

	take(text, "CR3=", h.cr3, sizeof(h.cr3));
	take(text, "CR4=", h.cr4, sizeof(h.cr4));
	take(text, "GS =", h.gs, sizeof(h.gs));
	take(text, "GDT=", h.gdt, sizeof(h.gdt));
	take(text, "IDT=", h.idt, sizeof(h.idt));
	take(text, "TR =", h.tr, sizeof(h.tr));
	/* Of GS only the base: selector and limits may be the guest's. */
	base_of = strchr(h.gs + 4, ' ');
	if (!base_of)
		die("no GS base");
	memmove(h.gs, base_of, strlen(base_of) + 1);
	h.gs[17] = 0;
	return h;
}

/* ---- Symbols and instructions ---- */

static struct symbol {
	uint64_t address;
	char name[64];
} symbols[256];
static unsigned int nr_symbols;

static void read_symbols(const char *path)
{
	FILE *f = fopen(path, "r");
	struct symbol *s = symbols;

	while (f && nr_symbols < 256 &&
	       fscanf(f, "%lx %63s", &s->address, s->name) == 2) {
		nr_symbols++;
		s++;
	}
	if (f)
		fclose(f);
}

static uint64_t symbol(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_symbols; i++)
		if (!strcmp(symbols[i].name, name))
			return symbols[i].address;
	printf("every: no symbol %s\n", name);
	die("so it ends");
	return 0;
}

static bool is_insn[SIZE], struck[SIZE];

static void read_insns(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long at;

	while (f && fscanf(f, "%lx", &at) == 1)
		if (at < SIZE)
			is_insn[at] = true;
	if (f)
		fclose(f);
}

static const char *place(uint64_t address)
{
	static char text[2][100];
	static int which;
	struct symbol *best = NULL, *s;
	uint64_t at = inside(address) ? address - base : address;

	for (s = symbols; s < symbols + nr_symbols; s++)
		if (s->address <= at && (!best || s->address >= best->address))
			best = s;
	which ^= 1;
	if (inside(address) && at < STUB(256))
		sprintf(text[which], "stub %d+%d", (int)at / 16, (int)at % 16);
	else
		snprintf(text[which], sizeof(text[0]), "%s+%#llx", best ? best->name : "?",
			 (unsigned long long)(best ? at - best->address : at));
	return text[which];
}

/* ---- Strikes ---- */

static unsigned int sent_nmis, sent_mces, troubles, strikes, second_strikes;
static const char *what_at;	/* for messages: where the strike was */
static struct host host;	/* as it entered the Switcher last */

static void trouble(const char *what, const char *was, const char *is)
{
	troubles++;
	if (troubles <= 40)
		printf("every: struck at %s: %s%s%s%s%s\n", what_at, what,
		       was ? ": was " : "", was ?: "", is ? ", is " : "", is ?: "");
}

static void send_nmi(void)
{
	monitor("nmi");
	sent_nmis++;
}

/*
 * Memory scrubbing found an error, nobody need act (UC, EN, S, code 0xc0), for this
 * CPU only, which may go on (RIPV, MCIP, LMCE): see nmi.sh.
 */
static void send_mce(void)
{
	monitor("mce 0 9 0xb1000000000000c0 0xd 0 0");
	sent_mces++;
}

static void compare(const char *when)
{
	struct host now = look_at_host();
	char what[200];

#define SAME(field) do { \
	if (strcmp(host.field, now.field)) { \
		snprintf(what, sizeof(what), "%s, %s is not the host's", when, #field); \
		trouble(what, host.field, now.field); \
	} \
} while (0)
	SAME(cr3);
	SAME(cr4);
	SAME(gs);
	SAME(gdt);
	SAME(idt);
	SAME(tr);
}

static uint64_t hash(uint64_t h, uint64_t value)
{
	h = (h ^ value) * 0x9e3779b97f4a7c15;
	return h ^ h >> 29;
}

/* Is this one of the places to be struck?  @how: on which way to it. */
static bool wanted(uint64_t how, uint64_t at)
{
	static bool planned[SIZE];

	if (share > 1)
		return (hash(seed, hash(how, at)) >> 8) % share == 0;
	if (share == 0 && planned[at])
		return false;
	return planned[at] = true;
}

/*
 * From these it goes on in a way of its own, so each of them is struck in any case,
 * though perhaps on one way only.
 */
static bool special(uint64_t at)
{
	static bool chosen[SIZE];
	static const char *const ranges[][2] = {
		{ "sysret_test", "sysret_done" }, { "iret_test", "iret_done" },
		{ "switcher_syscall", "syscall_on_stack" },
		{ "switcher_compat", "compat_on_stack" },
		{ "change_cr4", "trap_in_switcher" },
	};
	unsigned int i;

	for (i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (at >= symbol(ranges[i][0]) && at < symbol(ranges[i][1]) && !chosen[at])
			return chosen[at] = true;
	return false;
}

static uint64_t handler_of(bool machine_check)
{
	if (machine_check && !mce)
		return 0;		/* this kernel knows none */
	return symbol(machine_check ? "do_machine_check" : "asm_exc_nmi");
}

static bool at_a_handler(void)
{
	return rip == handler_of(false) || (mce && rip == handler_of(true));
}

static void at_handlers(char set)
{
	breakpoint(set, handler_of(false));
	if (mce)
		breakpoint(set, handler_of(true));
}

#define MAX_STEPS 400

/* Second strikes: what was done already, a place and how it was reached. */
static uint64_t done_inside[1 << 14];

static bool new_inside(uint64_t key)
{
	uint64_t *at = &done_inside[key % (1 << 14)];

	if (second_strikes > 3 << 12)
		die("too many second strikes");
	for (; *at; at = at == done_inside + (1 << 14) - 1 ? done_inside : at + 1)
		if (*at == key)
			return false;
	*at = key;
	return true;
}

/* The Switcher's handler of what comes within itself. */
static bool in_own_handler(uint64_t at)
{
	return at < STUB(256) || at - symbol("trap_entry") < 16 ||
	       (at >= symbol("trap_in_switcher") && at < symbol("switcher_end"));
}

/*
 * Along the way that the first strike has opened, to a place that was not struck
 * yet.  A place counts as another one if the way through the handler was.
 */
static bool strike_again(bool first_is_mce, bool *in_handler)
{
	uint64_t key = first_is_mce, at;
	unsigned int n;

	for (n = 0, *in_handler = true; n < MAX_STEPS; n++) {
		step(STEP);
		if (!inside(rip))
			return false;
		at = rip - base;
		if (n > 0 && !in_own_handler(at))
			*in_handler = false;
		if (*in_handler)
			key = hash(key, at);
		if (!wanted(key, at) || !new_inside(hash(key, at)))
			continue;
		struck[at] = true;
		second_strikes++;
		if (mce && !first_is_mce)
			send_mce();
		send_nmi();
		return true;
	}
	trouble("it does not come home", NULL, place(rip));
	return false;
}

/* A second NMI as the handler begins has to wait for the first one's end. */
static void blocked(void)
{
	uint64_t frame = read_word(rsp), nmi = handler_of(false);

	send_nmi();
	step(STEP);
	if (rip == nmi || read_word(rsp) == nmi) {
		/* It returns to its own beginning now, for ever: no use to go on. */
		trouble("NMIs are not blocked when the host's handler begins", NULL, NULL);
		say("qRcmd,71756974");		/* quit */
		exit(1);
	}
	breakpoint('Z', nmi);
	run();
	breakpoint('z', nmi);
	if (rip != nmi || read_word(rsp) != frame)
		trouble("the NMI after it does not come at its end", NULL, place(rip));
}

/*
 * The CPU stands where it is to be struck, and no breakpoint is there.  True: there was
 * a second strike in the Switcher's handler, which may have more places on this way.
 */
static bool strike(bool with_mce, bool and_again)
{
	bool again = false, in_handler = false;

	strikes++;
	what_at = strdup(place(rip));
	if (inside(rip))
		struck[rip - base] = true;
	if (with_mce)
		send_mce();
	else
		send_nmi();
	if (and_again)
		again = strike_again(with_mce, &in_handler);
	if (!at_a_handler()) {
		at_handlers('Z');
		run();
		at_handlers('z');
	}
	if (again ? !at_a_handler() : rip != handler_of(with_mce)) {
		trouble("the host's handler does not come next", NULL, place(rip));
	} else {
		compare("when the host's handler begins");
		if (!mce && !again)
			blocked();
	}
	free((void *)what_at);
	return again && in_handler;
}

/* ---- Ways ---- */

/*
 * A way through the Switcher: where it begins, and what decides where it goes.  It is
 * walked once, instruction by instruction, to know its places.
 */
static struct way {
	uint64_t key, landing;
	unsigned int nr;
	uint16_t at[MAX_STEPS];
	uint8_t tries[MAX_STEPS + 1];	/* of each, the last is that of landing */
} ways[256];
static unsigned int nr_ways, nr_places, out_of_reach;
#define DONE	255
#define TRIES	20

static uint64_t state(unsigned int field)
{
	return read_word(base + LG_STATE_OFFSET + field);
}

/*
 * What C asks for rarely is asked for here, in the state page, as C does it: to
 * flush stale entries, all entries, buffers; and a CR4 that is not the host's, as on
 * a host with LASS.  This one has PCE for it, which changes nothing.
 */
static unsigned int ask_for_rare_things(void)
{
	static unsigned int turn;
	uint32_t cr4 = state(LGST_HOST_CR4);

	turn = (turn + 1) % 5;
	if (turn == 1 || turn == 2) {
		set_u32(LGST_NR_STALE, 1);
		/* What was struck before it entered is asked for still. */
		set_u32(LGST_FLUSH_ALL, turn == 2);
	}
	if (turn == 3)
		set_u32(LGST_VERW, 1);
	if (turn == 4)
		set_u32(LGST_GUEST_CR4, cr4 ^ CR4_PCE);
	if (turn == 2 || turn == 4)
		set_u32(LGST_CHANGE_CR4, 1);
	return turn;
}

static bool interrupt_here(void)
{
	return rip - base >= STUB(32) && rip - base < STUB(256);
}

/* At an entry. */
static uint64_t key_here(void)
{
	uint64_t at = rip - base, key = hash(1, at);

	if (at < STUB(256))		/* what there is to do on the way home */
		key = hash(key, (uint32_t)state(LGST_CHANGE_CR4));
	if (interrupt_here())
		return key;		/* whatever it interrupts */
	if (at == symbol("switcher_enter"))
		return hash(key, ask_for_rare_things());
	if (at == STUB(14))
		key = hash(key, read_word(base + LG_SHARED_OFFSET + LGS_DIRECT_FAULTS));
	/* The mode, and whether anything may be direct. */
	key = hash(key, state(LGST_USER));
	if (at < STUB(32))		/* and where */
		return hash(key, read_word(rsp + (at / 16 == 14 || at / 16 == 13 ? 8 : 0)));
	if (rax == LHCALL_IRET) {	/* and where that leads */
		key = hash(key, read_word(base + LG_SHARED_OFFSET + LGS_IRET_CS));
		key = hash(key, read_word(base + LG_SHARED_OFFSET + LGS_IRET_RFLAGS));
		key = hash(key, read_word(base + LG_SHARED_OFFSET + LGS_IRET_RCX));
	}
	return hash(hash(hash(key, rax), rdi), rcx);
}

static struct way *way_here(uint64_t key)
{
	struct way *w;

	for (w = ways; w < ways + nr_ways; w++)
		if (w->key == key)
			return w;
	return NULL;
}

/* To its end, and no strike. */
static void walk(uint64_t key)
{
	struct way *w = &ways[nr_ways++];
	static bool seen[SIZE];
	unsigned int i;

	if (nr_ways == 256)
		die("too many ways");
	memset(seen, 0, sizeof(seen));
	w->key = key;
	for (i = 0; inside(rip); i++) {
		if (i == MAX_STEPS)
			die("a way without end");
		if (!seen[rip - base])
			w->at[w->nr++] = rip - base;
		seen[rip - base] = true;
		step(STEP_QUIETLY);
	}
	w->landing = rip;
	for (i = 0; i <= w->nr; i++) {
		bool want = i == w->nr ? cpl == 3 && wanted(key, 0) :
			    special(w->at[i]) || wanted(key, w->at[i]);

		w->tries[i] = want ? 0 : DONE;
		nr_places += want;
	}
}

/*
 * One strike on this way, if one is left to do; else to the next entry.  Interrupts
 * may lead it elsewhere: then it is tried again another time.  If all places are to be
 * struck, this one is until it opens no way through the handler that is new.
 */
static void strike_on(struct way *w)
{
	uint64_t entry = rip, target;
	unsigned int i;
	bool again;

	for (i = 0; i <= w->nr && w->tries[i] == DONE; i++)
		;
	if (i > w->nr) {
		go_on();
		return;
	}
	target = i < w->nr ? base + w->at[i] : w->landing;
	if (++w->tries[i] == TRIES) {
		w->tries[i] = DONE;
		out_of_reach++;
		if (share <= 1)
			printf("every: not met again: %s\n", place(target));
	}
	if (target != entry) {
		breakpoint('Z', target);
		go_on();
		breakpoint('z', target);
		if (rip != target)
			return;		/* at an entry */
	} else {
		breakpoint('z', entry);
	}
	again = strike(mce && strikes % 3, share == 1 || strikes % 2);
	w->tries[i] = again && share == 1 ? 0 : DONE;
	if (target == entry)
		breakpoint('Z', entry);
	go_on();
}

static unsigned int left_to_do(void)
{
	unsigned int i, n = 0;
	struct way *w;

	for (w = ways; w < ways + nr_ways; w++)
		for (i = 0; i <= w->nr; i++)
			n += w->tries[i] != DONE;
	return n;
}

/* Ways that are met rarely are waited for, but not for ever. */
#define PATIENCE 600

static void explore(void)
{
	unsigned int since = 0, entries = 0, before;
	struct way *w;
	uint64_t key;

	go_on();
	while (since < PATIENCE && (since < 150 || left_to_do())) {
		if (!inside(rip))
			die(place(rip));
		/* One task, one CPU: it is the same each time. */
		if (rip == base + symbol("switcher_enter") && entries++ % 16 == 0)
			host = look_at_host();
		/* Interrupts, and the ways in after them, tell nothing of the guest. */
		since += rip != base + symbol("switcher_enter") && !interrupt_here();
		key = key_here();
		w = way_here(key);
		before = strikes;
		if (w) {
			strike_on(w);
		} else {
			walk(key);
			run();
			since = 0;
		}
		if (strikes != before)
			since = 0;
	}
}

/* Every entry, but those of what strikes here. */
static void at_entries(char set)
{
	unsigned int i;

	breakpoint(set, base + symbol("switcher_enter"));
	breakpoint(set, base + symbol("switcher_syscall"));
	breakpoint(set, base + symbol("switcher_compat"));
	for (i = 0; i < 256; i++)
		if (i != 2 && i != 18)
			breakpoint(set, base + STUB(i));
}

static unsigned int not_reached(void)
{
	unsigned int at, n = 0;

	for (at = 0; at < SIZE; at++) {
		if (!is_insn[at] || struck[at])
			continue;
		n++;
		if (share <= 1 && at >= STUB(256))
			printf("every: not struck: %s\n", place(base + at));
	}
	return n;
}

int main(int argc, char **argv)
{
	if (argc != 8)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	base = strtoull(argv[2], NULL, 16);
	mce = !strcmp(argv[3], "mce");
	share = atoi(argv[4]);
	seed = atoi(argv[5]);
	read_insns(argv[6]);
	read_symbols(argv[7]);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	fd = reach();
	/* It stops as we come, and says so before or after this. */
	for (ask("qAttached"); strcmp(reply, "1"); receive())
		;
	at_entries('Z');
	explore();
	at_entries('z');
	printf("every: %u ways, %u places, %u strikes, %u second ones, %u places out of reach\n",
	       nr_ways, nr_places, strikes, second_strikes,
	       out_of_reach + left_to_do());
	printf("every: %u instructions not struck\n", not_reached());
	printf("every: %u NMIs, %u machine checks, %u troubles\n", sent_nmis, sent_mces,
	       troubles);
	say("D");
	receive();
	return troubles != 0;
}
