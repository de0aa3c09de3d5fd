// SPDX-License-Identifier: GPL-2.0
/*
 * Hypercalls: what the guest kernel asks the Host for.  <lguest/guest.h> says
 * what each of them means; bad ones end the guest.
 * Read next: direct.c.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include "lg.h"
#include "trace.h"

#define MESSAGE_SIZE 256

static bool entry_ok(u64 address)
{
	return canonical(address) && canonical(address + PAGE_SIZE) &&
	       (s64)address < 0;
}

/*
 * The host writes to the shared page for as long as the guest lives, behind its
 * file system's back if it is a file's: so it has to be memory only, private or
 * shared (shmem).
 */
static struct page *pin_shared_page(struct lg_cpu *cpu, u64 gpa)
{
	struct folio *folio;
	struct page *page;

	if (pin_user_pages_fast(launcher_address(cpu->lg, GPA(gpa)), 1,
				FOLL_WRITE | FOLL_LONGTERM, &page) != 1)
		return NULL;
	folio = page_folio(page);
	if (folio_test_anon(folio) || folio_test_swapbacked(folio) ||
	    folio_test_hugetlb(folio))
		return page;
	unpin_user_page(page);
	return NULL;
}

/* Two vCPUs with one page would be nonsense that is hard to see. */
static bool take_shared_page(struct lg_cpu *cpu, struct page *page)
{
	struct lguest *lg = cpu->lg;
	bool taken = false;
	struct lg_cpu *other;
	unsigned int i;

	mutex_lock(&lg->requests);
	for_each_vcpu(lg, other, i)
		taken |= other != cpu && other->shared_page == page;
	if (!taken)
		cpu->shared_page = page;
	mutex_unlock(&lg->requests);
	return !taken;
}

/*
 * The second INIT: the guest has moved the page, and copied what was in it.  The new one is
 * mapped where the Switcher looks, so nobody finds the old one from now on.
 */
static void leave_shared_page(struct lg_cpu *cpu, struct page *page)
{
	forget_own_pages(cpu);
	unpin_user_pages_dirty_lock(&page, 1, true);
	cpu->shared_moved = true;
}

bool entries_ok(u64 event_entry, u64 syscall_entry)
{
	return entry_ok(event_entry) && entry_ok(syscall_entry);
}

/**
 * pin_shared() - the guest's page becomes the vCPU's
 * @cpu: the vCPU
 * @shared: its guest-physical address, not yet checked
 *
 * Return: 0; -EINVAL if it is no such page; -EEXIST if it is another vCPU's.
 */
int pin_shared(struct lg_cpu *cpu, u64 shared)
{
	struct page *page;

	if (!PAGE_ALIGNED(shared) || !guest_range_ok(cpu->lg, GPA(shared), PAGE_SIZE))
		return -EINVAL;
	page = pin_shared_page(cpu, shared);
	if (!page)
		return -EINVAL;
	if (!take_shared_page(cpu, page)) {
		unpin_user_page(page);
		return -EEXIST;
	}
	cpu->shared_gpa = shared;
	return 0;
}

/* The page that is pinned, and the entry points, are there for the Host and the Switcher. */
void use_shared(struct lg_cpu *cpu, u64 event_entry, u64 syscall_entry, u64 entry_end)
{
	cpu->event_entry = event_entry;
	cpu->syscall_entry = syscall_entry;
	cpu->entry_start = min(event_entry, syscall_entry);
	cpu->entry_end = entry_end;
	cpu->shared = page_address(cpu->shared_page);
	map_shared(cpu, cpu->shared_page);
}

/* INIT: pin the shared page, remember the entry points. */
static void init_guest(struct lg_cpu *cpu, u64 shared, u64 event_entry,
		       u64 syscall_entry, u64 entry_end)
{
	struct page *old = cpu->shared_page;
	int err;

	if (cpu->shared_moved) {
		kill_guest(cpu, "already have lguest_shared");
		return;
	}
	if (!entries_ok(event_entry, syscall_entry)) {
		kill_guest(cpu, "bad entry address %#llx or %#llx: not in the upper half",
			   event_entry, syscall_entry);
		return;
	}
	err = pin_shared(cpu, shared);
	if (err) {
		kill_guest(cpu, err == -EEXIST ?
			   "guest page %#llx is another vCPU's lguest_shared" :
			   "bad guest page %#llx for lguest_shared", shared);
		return;
	}
	use_shared(cpu, event_entry, syscall_entry, entry_end);
	if (old) {
		leave_shared_page(cpu, old);
		return;
	}
	memset(cpu->shared->hcall_status, 0xff, LGUEST_RING_SIZE);
	cpu->shared->vcpu = cpu->id;
	cpu->shared->vcpus = READ_ONCE(cpu->lg->nr_cpus);
	start_clock(cpu);
}

static void shut_down(struct lg_cpu *cpu, u64 text, u64 reason)
{
	u64 limit = cpu->lg->pfn_limit << PAGE_SHIFT;
	char *message;

	if (reason == LGUEST_SHUTDOWN_RESTART) {
		end_guest(cpu->lg, LG_DEAD_RESTART);
		return;
	}
	message = kzalloc(MESSAGE_SIZE + 1, GFP_KERNEL);
	if (!message) {
		kill_guest(cpu, "out of memory for the last words");
		return;
	}
	/* The string may end before the buffer does, and RAM with it. */
	lgread(cpu, message, GPA(text),
	       text < limit ? min_t(u64, MESSAGE_SIZE, limit - text)
			    : MESSAGE_SIZE);
	kill_guest(cpu, "%s: %s", reason == LGUEST_SHUTDOWN_POWEROFF ?
		   "POWEROFF" : "CRASH", message);
	kfree(message);
}

static void notify(struct lg_cpu *cpu, u64 value)
{
	if (signal_eventfd(cpu->lg, value))
		return;
	cpu->exit.value = value;
	cpu->exit.kind = LGUEST_EXIT_NOTIFY;
}

static void halt_vcpu(struct lg_cpu *cpu)
{
	cpu->halted = true;
	try_to_wake(cpu);
}

static void kick(struct lg_cpu *cpu, u64 n)
{
	struct lg_cpu *other = vcpu_of(cpu->lg, n);

	if (!other) {
		kill_guest(cpu, "Bad hypercall %d: no vCPU %llu", LHCALL_KICK, n);
		return;
	}
	end_wait(other);
}

static void send_ipis(struct lg_cpu *cpu, u64 vcpus, u64 vector)
{
	struct lg_cpu *other;
	unsigned int i;

	if ((vector != X86_TRAP_NMI && vector < LGUEST_IPI_VECTOR) || vector > 255 ||
	    vcpus >> smp_load_acquire(&cpu->lg->nr_cpus)) {
		kill_guest(cpu, "Bad hypercall %d: no IPI %#llx to vCPUs %#llx",
			   LHCALL_SEND_IPI, vector, vcpus);
		return;
	}
	for_each_vcpu(cpu->lg, other, i)
		if (vcpus & BIT_ULL(i))
			send_ipi(other, vector);
}

static enum lg_next flush(struct lg_cpu *cpu, u64 kind, u64 address)
{
	switch (kind) {
	case LGUEST_FLUSH_ONE:
		flush_one(cpu, address);
		break;
	case LGUEST_FLUSH_USER:
		return flush_user(cpu);
	case LGUEST_FLUSH_ALL:
		return flush_everything(cpu);
	default:
		kill_guest(cpu, "Bad hypercall %d: no flush kind %llu",
			   LHCALL_FLUSH_TLB, kind);
	}
	return LG_RUN;
}

static enum lg_next flush_vcpus(struct lg_cpu *cpu, const u64 *arg)
{
	u64 stride = arg[0] >> 32 ?: PAGE_SHIFT, start = arg[2], end = arg[3];
	struct lg_pages pages = { .start = start };

	if (stride != PAGE_SHIFT && stride != PMD_SHIFT && stride != PUD_SHIFT) {
		kill_guest(cpu, "Bad hypercall %d: no stride %llu",
			   LHCALL_FLUSH_MULTI, stride);
		return LG_RUN;
	}
	pages.size = 1ULL << stride;
	if (end > start)
		pages.nr = ((end - start - 1) >> stride) + 1;
	return flush_multi(cpu, (u32)arg[0], (arg[1] & PHYSICAL_PAGE_MASK) >> PAGE_SHIFT, &pages);
}

static enum lg_next load_tls(struct lg_cpu *cpu, u64 d0, u64 d1, u64 d2)
{
	u64 desc[3] = { d0, d1, d2 };

	if (load_tls_entries(cpu, desc))
		kill_guest(cpu, "bad TLS descriptor: %#llx %#llx %#llx",
			   d0, d1, d2);
	return LG_RUN;
}

/* The first one: where it leads, what came next may not be mapped any more. */
static enum lg_next load_space(struct lg_cpu *cpu, u64 cr3, u64 rip)
{
	bool goes_on = cpu->root->linear && rip;
	enum lg_next next;

	if (goes_on && !canonical(rip)) {
		kill_guest(cpu, "Bad hypercall %d: no address %#llx", LHCALL_LOAD_CR3, rip);
		return LG_RUN;
	}
	next = load_root(cpu, cr3);
	if (goes_on && next == LG_RUN)
		regs_of(cpu)->ip = rip;
	return next;
}

static enum lg_next sleeps(struct lg_cpu *cpu)
{
	cpu->need.call = true;
	return LG_RETRY;
}

/*H:500
 * One call.  Those that pin pages or allocate are put off until sleeping is
 * possible; do_sleeping_hypercall() then does them.
 */
static enum lg_next do_call(struct lg_cpu *cpu, const struct lguest_hcall *call)
{
	const u64 *arg = call->arg;

	trace_lguest_hypercall(current->pid, call->number, arg[0], arg[1]);
	switch (call->number) {
	case LHCALL_FLUSH_ASYNC:
	case LHCALL_SEND_INTERRUPTS:
		return LG_RUN;
	case LHCALL_INIT:
	case LHCALL_SHUTDOWN:
		return sleeps(cpu);
	case LHCALL_LOAD_CR3:
		return load_space(cpu, arg[0], arg[1]);
	case LHCALL_FLUSH_TLB:
		return flush(cpu, arg[0], arg[1]);
	case LHCALL_FLUSH_MULTI:
		return flush_vcpus(cpu, arg);
	case LHCALL_SET_CLOCKEVENT:
		set_clockevent(cpu, arg[0]);
		return LG_RUN;
	case LHCALL_HALT:
		cpu->shared->irq_enabled = LGUEST_IF;
		fallthrough;
	case LHCALL_WAIT:
		halt_vcpu(cpu);
		return LG_LEAVE;
	case LHCALL_SEND_IPI:
		send_ipis(cpu, arg[0], arg[1]);
		return LG_RUN;
	case LHCALL_KICK:
		kick(cpu, arg[0]);
		return LG_RUN;
	case LHCALL_LOAD_TLS:
		return load_tls(cpu, arg[0], arg[1], arg[2]);
	case LHCALL_NOTIFY:
		notify(cpu, arg[0]);
		return LG_LEAVE;
	case LHCALL_IRET:
		return return_from_event(cpu);
	case LHCALL_GET_TIME:
		write_times(cpu);
		regs_of(cpu)->ax = ktime_get_ns();
		return LG_RUN;
	case LHCALL_NEW_SPACE:
		return new_space(cpu, arg[0]);
	case LHCALL_DROP_SPACE:
		drop_space(cpu, arg[0]);
		return LG_RUN;
	default:
		kill_guest(cpu, "Bad hypercall %llu", call->number);
		return LG_RUN;
	}
}

/* Calls that may come by the ring: those with an effect on memory only. */
static bool ring_call_ok(u64 number)
{
	return number == LHCALL_FLUSH_ASYNC || number == LHCALL_LOAD_CR3 ||
	       number == LHCALL_FLUSH_TLB || number == LHCALL_LOAD_TLS ||
	       number == LHCALL_SET_CLOCKEVENT || number == LHCALL_DROP_SPACE ||
	       number == LHCALL_NEW_SPACE;
}

/*H:510
 * The ring: calls that were put off by the guest, in order, before the call
 * that brought us here.  At most one round, whatever the status bytes say.
 */
static enum lg_next do_ring(struct lg_cpu *cpu)
{
	struct lguest_shared *shared = cpu->shared;
	unsigned int i;

	for (i = 0; i < LGUEST_RING_SIZE; i++) {
		unsigned int n = cpu->state->next_hcall;
		struct lguest_hcall call;
		enum lg_next next;

		if (READ_ONCE(shared->hcall_status[n]) == 0xff)
			break;
		smp_rmb();
		call = shared->hcalls[n];
		barrier();
		if (!ring_call_ok(call.number)) {
			kill_guest(cpu, "Bad hypercall %llu in the ring",
				   call.number);
			break;
		}
		next = do_call(cpu, &call);
		if (next == LG_RETRY)
			return next;
		cpu->hcalls[call.number]++;
		cpu->state->next_hcall = (n + 1) % LGUEST_RING_SIZE;
		WRITE_ONCE(shared->hcall_status[n], 0xff);
		/* 64 flushes of everything are long: let others run between. */
		if (need_resched() || signal_pending(current))
			return LG_RETRY;
	}
	return LG_RUN;
}

static void fetch_call(struct lg_cpu *cpu, struct lguest_hcall *call)
{
	struct user_regs_struct *regs = regs_of(cpu);

	*call = (struct lguest_hcall) {
		.number = regs->ax,
		.arg = { regs->di, regs->si, regs->dx, regs->r10 },
	};
}

/**
 * do_hypercall() - the guest kernel executed `syscall`
 * @cpu: the vCPU; its registers hold number and arguments
 */
enum lg_next do_hypercall(struct lg_cpu *cpu)
{
	struct lguest_hcall call;
	enum lg_next next;

	fetch_call(cpu, &call);
	if (!cpu->shared && call.number != LHCALL_INIT &&
	    call.number != LHCALL_LOAD_CR3) {
		kill_guest(cpu, "hypercall %llu before INIT", call.number);
		return LG_RUN;
	}
	if (cpu->shared && !cpu->hcall_done) {
		next = do_ring(cpu);
		if (next == LG_RETRY)
			return next;
		cpu->hcall_done = true;
	}
	next = do_call(cpu, &call);
	if (next != LG_RETRY && call.number < ARRAY_SIZE(cpu->hcalls))
		cpu->hcalls[call.number]++;
	return next;
}

/* The rest of a call that do_call() put off; sleeping is possible here. */
void do_sleeping_hypercall(struct lg_cpu *cpu)
{
	struct lguest_hcall call;

	fetch_call(cpu, &call);
	if (call.number == LHCALL_INIT)
		init_guest(cpu, call.arg[0], call.arg[1], call.arg[2],
			   call.arg[3]);
	else if (call.number == LHCALL_SHUTDOWN)
		shut_down(cpu, call.arg[0], call.arg[1]);
	else	/* the launcher has just changed the register */
		kill_guest(cpu, "Bad hypercall %llu", call.number);
	if (call.number < ARRAY_SIZE(cpu->hcalls))
		cpu->hcalls[call.number]++;
	cpu->trap_pending = false;
}
