// SPDX-License-Identifier: GPL-2.0
/*
 * Several vCPUs at one guest's shadow tables, by random schedules.  One of them is
 * in the Host, and does what shadow_ops.c has; the others are in the guest or out of
 * it.  At every store that the Host's code makes one of these may go in, come out,
 * use what its CPU has cached, or walk.  Where that code holds no lock another one
 * may be at the tables, too.
 */
#include "shadow_world.h"

static bool busy[LGUEST_VCPUS];		/* in the Host, in the middle of something */
static bool inside;			/* a moment is no time for another one */

static struct lg_cpu *any_vcpu(void)
{
	return w.lg->cpus[rnd() % w.lg->nr_cpus];
}

static u64 focus;			/* where all look, if not 0 */

static u64 somewhere(void)
{
	return focus && rnd() % 4 ? focus : an_address();
}

/* Whatever it does takes no lock. */
static void move(struct lg_cpu *cpu, bool now)
{
	if (!tlb_in(cpu)) {
		if (rnd() % 4 == 0)
			tlb_enter(cpu, now);
	} else if (rnd() % 8 == 0) {
		tlb_leave(cpu);
	} else {
		tlb_step(cpu, somewhere());
	}
}

static void moment(void)
{
	struct lg_cpu *cpu;

	if (inside || rnd() % 16)
		return;
	cpu = any_vcpu();
	if (cpu == w.cpu || busy[cpu->id] || tlb_moving(cpu))
		return;
	inside = true;
	move(cpu, false);
	inside = false;
}

/* Calls that change nothing of the guest's memory, and ask for nothing. */
static void some_call(void)
{
	u64 cr3 = rnd() % cr3_frames << PAGE_SHIFT;

	switch (rnd() % 6) {
	case 0:
		drop_space(w.cpu, cr3);
		break;
	case 1:
		new_space(w.cpu, cr3);
		break;
	case 2:
		load_root(w.cpu, cr3 | (rnd() % 2 ? LGUEST_CR3_NOFLUSH : 0));
		break;
	case 3:
		flush_user(w.cpu);
		break;
	case 4:
		flush_everything(w.cpu);
		break;
	default:
		spin_lock(&w.lg->lock);
		make_room(w.lg);
		spin_unlock(&w.lg->lock);
	}
	memset(&w.cpu->need, 0, sizeof(w.cpu->need));
}

/* Another vCPU does something, while @cpu is in the middle of something else. */
static void meanwhile(struct lg_cpu *cpu)
{
	struct lg_cpu *acts = w.cpu, *other = any_vcpu();
	bool was = busy[cpu->id], acting = busy[acts->id], in = inside;

	if (other == cpu || other == acts || busy[other->id] || tlb_moving(other))
		return;
	busy[cpu->id] = busy[acts->id] = inside = true;
	if (tlb_in(other))
		tlb_leave(other);
	w.cpu = other;
	CHECK(refill_spares(other) == 0);
	inside = in;
	some_call();
	w.cpu = acts;
	busy[cpu->id] = was;
	busy[acts->id] = acting;
	w.disturbed = true;
}

/* The lock has been given up for a moment, or somebody waits. */
void vcpus_rest(void)
{
	if (w.lg->nr_cpus > 1 && rnd() % 2 == 0)
		meanwhile(w.cpu);
}

/* @cpu is between two steps of its way into the guest. */
void at_any_time(struct lg_cpu *cpu)
{
	if (w.lg->nr_cpus > 1 && rnd() % 4 == 0)
		meanwhile(cpu);
}

void vcpus_create(unsigned int nr)
{
	memset(busy, 0, sizeof(busy));
	while (w.lg->nr_cpus < nr)
		world_vcpu();
}

void vcpus_destroy(void)
{
	unsigned int i;

	for (i = 0; i < w.lg->nr_cpus; i++)
		if (tlb_in(w.lg->cpus[i]))
			tlb_leave(w.lg->cpus[i]);
	w.cpu = w.lg->cpus[0];
}

/* It comes out, and is the one that acts. */
static void come_out(struct lg_cpu *cpu)
{
	w.cpu = cpu;
	if (tlb_in(cpu))
		tlb_leave(cpu);
}

static void with_moments(void (*operation)(void))
{
	w.disturbed = false;
	shim_moment = moment;
	operation();
	shim_moment = NULL;
	if (focus || rnd() % 4 == 0)
		tlb_check();
}

static void some_moves(unsigned int nr)
{
	while (nr--)
		move(any_vcpu(), true);
}

/* The entry of @level on the way to the focus; NULL: there is none. */
static u64 *entry_to_focus(int level)
{
	u64 table = w.cpu->root->pfn, *e;
	int at;

	for (at = 4; ; at--) {
		if (table >= TABLES)
			return NULL;
		e = &w.ram[table * 512 + index_of(focus, at)];
		if (at == level)
			return e;
		table = (*e & FRAME) >> PAGE_SHIFT;
	}
}

static void set_entry(u64 *e, u64 value)
{
	guest_write((e - w.ram) / 512, (e - w.ram) % 512, value);
}

/* The page becomes the user's or the kernel's own, or is one of another size. */
static void flip(void)
{
	u64 *two_mib = entry_to_focus(2), *page, value = rnd() % 5 << 21 | 0xe7;

	if (!two_mib)
		return;
	if (rnd() % 2)
		set_entry(two_mib, *two_mib & 0x80 ? (1 + rnd() % (TABLES - 1)) << 12 | 7 : value);
	page = *two_mib & 0x80 ? two_mib : entry_to_focus(1);
	if (!page)
		return;
	if (page != two_mib)
		set_entry(page, rnd() % FRAMES << 12 | 0x67);
	set_entry(page, *page ^ (rnd() % 2 ? 4 : 0));
	if (rnd() % 4 == 0)
		flush_a_page(focus);
	else if (rnd() % 4 == 0)
		flush_for_all(focus);
}

static void use_focus(void)
{
	bool user = rnd() % 2;

	access_page(focus, user, rnd() & 2);
	hint_page(focus, !user, 0);
}

/* All are in one address space, and at one address, while that changes. */
static void all_at_one(void)
{
	u64 frame = rnd() % cr3_frames;
	unsigned int i;

	focus = hot[rnd() % HOT];
	for (i = 0; i < w.lg->nr_cpus; i++) {
		come_out(w.lg->cpus[i]);
		repair_at(focus);
		load_cr3(frame, true);
	}
	for (i = 0; i < 6; i++) {
		come_out(any_vcpu());
		repair_at(focus);
		with_moments(use_focus);
		some_moves(8 * w.lg->nr_cpus);
		come_out(any_vcpu());
		flip();
		with_moments(use_focus);
		some_moves(4 * w.lg->nr_cpus);
	}
	focus = 0;
}

/* Now and then only one of them, for long: what the others know grows old. */
static struct lg_cpu *who_acts(void)
{
	if (w.op / 2048 % 2)
		return w.lg->cpus[w.op / 4096 % w.lg->nr_cpus];
	return any_vcpu();
}

void vcpus_operation(void)
{
	if (rnd() % 256 == 0)
		all_at_one();
	come_out(who_acts());
	with_moments(one_operation);
	tlb_others();
	if (rnd() % 4 && !tlb_in(w.cpu))
		tlb_enter(w.cpu, true);
	some_moves(2 * w.lg->nr_cpus);
}
