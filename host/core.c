// SPDX-License-Identifier: GPL-2.0
/*
 * The loop that runs a vCPU.
 * Read next: saved.c.
 */
#include <linux/cpu.h>
#include <linux/interrupt.h>
#include <linux/log2.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <asm/fpu/api.h>
#include <asm/tsc.h>
#include "lg.h"
#include "trace.h"
#include "compat/async_fault.h"
#include "compat/fpu.h"
#include "compat/host_work.h"
#include "compat/split_lock.h"

static void count_visit(struct lg_cpu *cpu)
{
	u64 ns;

	if (!cpu->visit_began)
		return;
	ns = (rdtsc() - cpu->visit_began) * 1000000 / tsc_khz;
	cpu->visit_times[min_t(unsigned int, ilog2(ns | 1), LG_VISIT_TIMES - 1)]++;
}

/*H:112
 * A host that is itself a guest of KVM may find that a page of its memory is not
 * there yet: KVM has to bring it from a disk or from another machine.  Rather than
 * stop the whole machine, KVM raises a page fault, with a word of the kernel's set
 * and a token in CR2, and an interrupt when the page has come.  It does this only
 * at ring 3, so also while a guest runs; and that word must be clear before the
 * host's own next page fault.  To us it is no fault: this task waits for the page,
 * as any other of the host would, and the guest goes on where it was.
 *
 * Interrupts stay off from the fault until the task waits under its token,
 * so that no other message of KVM can come between.
 */
bool take_async_fault(struct lg_cpu *cpu)
{
	u32 why;

	if (cpu->state->trapnum != X86_TRAP_PF)
		return false;
	why = take_async_flags();
	if (likely(!why))
		return false;
	cpu->state->trapnum = LG_TRAP_NONE;
	return why & KVM_PV_REASON_PAGE_NOT_PRESENT;
}

void wait_for_host_page(struct lg_cpu *cpu)
{
	kernel_fpu_end_irqs_off();
	count(cpu, LG_COUNT_HOST_PAGES);
	cpu->visit_began = 0;
	wait_for_async_page((u32)cpu->cr2);
	local_irq_enable();
}

static void cross_over(struct lg_cpu *cpu)
{
	/* RCU need not wait until we leave: nothing here is its reader. */
	rcu_note_context_switch(false);
	count_visit(cpu);
	if (unlikely(cpu->stepping)) {
		enter_guest_to_step(cpu);
	} else {
		maybe_deliver_interrupt(cpu);
		enter_guest(cpu);
	}
}

/* The guest came back; interrupts are still off.  Return: is there a page to wait for? */
static bool note_exit(struct lg_cpu *cpu)
{
	struct lg_state *state = cpu->state;
	bool wait = take_async_fault(cpu);

	raise_nmi(cpu);
	cpu->visit_began = rdtsc();
	trace_lguest_exit(current->pid, state->trapnum, state->error,
			  state->regs.ip, cpu->user);
	cpu->trap_pending = true;
	cpu->hcall_done = false;
	if (state->trapnum < LG_TRAP_SWITCHER)
		cpu->traps[min_t(u64, state->trapnum, LG_TRAP_NONE)]++;
	return wait;
}

/*H:115
 * A vCPU is a task of the host like any other.  What the kernel wants of a task
 * before it is in user space again it says by flags: signals, and work (limits of
 * its cgroup, memory errors, NUMA balancing, live patching).  A guest that computes
 * must not keep it from that, so read() ends, and if no signal comes the kernel
 * begins it anew.
 */
static bool user_space_calls(void)
{
	return read_thread_flags() & LG_TIF_USER_SPACE;
}

static int go_to_user_space(struct lg_cpu *cpu)
{
	if (!task_sigpending(current)) {
		cpu->anew = true;
		set_thread_flag(TIF_SIGPENDING);
	}
	return -ERESTARTSYS;
}

/*
 * Where kernel_fpu_begin() keeps softirqs off (from 6.15 on) those that host
 * interrupts raise wait for us.
 */
static bool softirqs_wait(void)
{
	return softirq_count() && local_softirq_pending();
}

static bool called_away(struct lg_cpu *cpu)
{
	return user_space_calls() || READ_ONCE(cpu->lg->dead) ||
	       READ_ONCE(cpu->break_out) || READ_ONCE(cpu->inject) >= 0;
}

/*
 * With interrupts off.  What is a question to the task and its memory (check_task())
 * is asked before each entry, not once in read(): another thread may give both of
 * them an LDT meanwhile.
 */
static bool must_leave(struct lg_cpu *cpu)
{
	return called_away(cpu) || check_task() || read_thread_flags() & LG_TIF_RESCHED ||
	       cpu->halted || cpu->exit.kind || cpu->locked_bus || softirqs_wait();
}

/* cond_resched() would not do it for a lazy reschedule. */
static void let_others_run(void)
{
	if (read_thread_flags() & LG_TIF_RESCHED)
		schedule();
}

/*H:118
 * One stay in the guest, or none if there is what keeps us out.  Interrupts are off
 * from before the mark in_guest until a host interrupt that ended the stay has been
 * handled.
 *
 * First the mark, then all looks: at what keeps us out, at what is to be delivered
 * (kick_cpu()), and, in prepare_tlb(), at what was taken out of the shadow tables so
 * far.  Who changes any of it does so first and looks at the mark then, and if it is
 * set interrupts us.  A mark that stays behind would make others wait for a guest that
 * does not run: so it is set here and cleared here, and nowhere else.
 */
static bool stay(struct lg_cpu *cpu, bool *wait)
{
	bool stays;

	WRITE_ONCE(cpu->in_guest, smp_processor_id());
	smp_mb();
	stays = !must_leave(cpu);
	if (stays) {
		cross_over(cpu);
		*wait = note_exit(cpu);
	}
	smp_store_release(&cpu->in_guest, -1);
	return stays;
}

/*H:120
 * Run the guest for as long as nothing needs sleep.
 */
static void run_guest_atomic(struct lg_cpu *cpu)
{
	bool wait = false, stayed;

	kernel_fpu_begin();
	load_guest_fpu(cpu);
	do {
		if (unlikely(cpu->stepping))
			look_at_step(cpu);
		local_irq_disable();
		if (unlikely(!cpu_is_good()))
			kill_guest(cpu, "this CPU cannot run guests; the host's log says why");
		stayed = stay(cpu, &wait);
		if (likely(stayed)) {
			handle_host_interrupt(cpu);
			take_clockevent(cpu);
		}
		if (unlikely(wait))
			break;
		local_irq_enable();
	} while (stayed && handle_trap(cpu) == LG_RUN);
	save_guest_fpu(cpu);
	if (unlikely(wait))
		wait_for_host_page(cpu);
	else
		kernel_fpu_end();
}

/*
 * That there is no memory now is no reason to end: the kernel lets a program's fault come
 * again, too, until somebody was ended who had more, or a signal comes.
 */
static int bring_page(struct lg_cpu *cpu, const struct lg_need *need)
{
	int err = fault_in(need->page, need->write);

	if (err == -EINTR)
		return -ERESTARTSYS;
	if (err == -ENOMEM) {
		cpu->visit_began = 0;
		schedule_timeout_interruptible(1);
	} else if (err) {
		kill_guest(cpu, "guest memory at %#lx is not there",
			   need->page - cpu->lg->base);
	}
	return 0;
}

/* Do the sleepable thing that handle_trap() asked for. */
int satisfy_need(struct lg_cpu *cpu)
{
	struct lg_need need = cpu->need;
	struct lguest *lg = cpu->lg;

	memset(&cpu->need, 0, sizeof(cpu->need));
	if (need.wait) {
		count(cpu, LG_COUNT_WAITS);
		return wait_event_interruptible(lg->changed,
						!page_is_changing(lg, need.page));
	}
	if (need.split_lock) {
		/* False: there is a SIGBUS for us now. */
		cpu->trap_pending = !judge_split_lock(regs_of(cpu)->ip);
		return cpu->trap_pending ? -ERESTARTSYS : 0;
	}
	if (need.quiet)
		chase(lg, LG_ALL_VCPUS, need.quiet);
	if (need.tables && refill_spares(cpu))
		kill_guest(cpu, "out of memory for shadow tables");
	if (need.call)
		do_sleeping_hypercall(cpu);
	return need.page ? bring_page(cpu, &need) : 0;
}

/* Handle what the last stay ended with, as often as it takes. */
static int finish_trap(struct lg_cpu *cpu)
{
	enum lg_next next;
	int err;

	while (cpu->trap_pending && !READ_ONCE(cpu->lg->dead)) {
		err = satisfy_need(cpu);
		if (err)
			return err;
		if (!cpu->trap_pending)
			break;
		cpu->may_rest = true;
		next = handle_trap(cpu);
		cpu->may_rest = false;
		if (next != LG_RETRY)
			break;
		if (user_space_calls())
			return go_to_user_space(cpu);
		if (READ_ONCE(cpu->break_out))
			return -EAGAIN;
		let_others_run();
	}
	return 0;
}

/*
 * The host has its CPUs tell of locked accesses that hold up all of them (#DB).  What it
 * wants to be done about them only it knows ("split_lock_detect="), and its handler is
 * for programs.  So each costs a guest what a split lock costs a program by default.
 */
static void rest_from_bus_lock(struct lg_cpu *cpu)
{
	cpu->locked_bus = false;
	cpu->visit_began = 0;
	schedule_timeout_killable(msecs_to_jiffies(10));
}

static void sleep_halted(struct lg_cpu *cpu)
{
	WRITE_ONCE(cpu->asleep, true);
	set_current_state(TASK_INTERRUPTIBLE);	/* a barrier, too */
	if (may_wake(cpu) || called_away(cpu)) {
		__set_current_state(TASK_RUNNING);
	} else {
		count(cpu, LG_COUNT_SLEEPS);
		cpu->visit_began = 0;
		schedule();
	}
	WRITE_ONCE(cpu->asleep, false);
	if (READ_ONCE(cpu->inject) >= 0)
		cpu->halted = false;
	try_to_wake(cpu);
}

static ssize_t give_register(struct lg_cpu *cpu, char __user *buf, size_t size)
{
	int offset = READ_ONCE(cpu->getreg);
	u64 value;

	if (size < sizeof(value))
		return -EINVAL;
	if (offset == LHREG_CR2)
		value = cpu->shared ? cpu->shared->cr2 : cpu->cr2;
	else if (offset == LHREG_CR3)
		value = cpu->root->linear ? ~0ULL : cpu->root->pfn << PAGE_SHIFT;
	else
		value = *(u64 *)((char *)regs_of(cpu) + offset);
	if (copy_to_user(buf, &value, sizeof(value)))
		return -EFAULT;
	WRITE_ONCE(cpu->getreg, -1);
	return sizeof(value);
}

static ssize_t give_exit(struct lg_cpu *cpu, char __user *buf, size_t size)
{
	if (size < sizeof(cpu->exit))
		return -EINVAL;
	if (copy_to_user(buf, &cpu->exit, sizeof(cpu->exit)))
		return -EFAULT;
	cpu->exit_given = true;
	if (cpu->stepping) {
		WRITE_ONCE(cpu->step, false);
		cpu->stepping = false;
		cpu->stepped = false;
	}
	count(cpu, LG_COUNT_EXITS);
	return sizeof(cpu->exit);
}

static void take_injected(struct lg_cpu *cpu)
{
	int vector = xchg(&cpu->inject, -1);

	if (vector >= 0)
		deliver_trap(cpu, vector, READ_ONCE(cpu->inject_error));
}

/*H:100
 * The life of a vCPU is one loop, in read() on the launcher's file: look
 * whether something keeps the guest from running; run it; see why it stopped.
 *
 * The inner part runs without sleeping, with the guest's extended state (FPU)
 * in the CPU.  Most reasons are dealt with there.  What may sleep, and what the
 * launcher must know, leaves it for the outer loop.
:*/

/**
 * run_guest() - read(): run a vCPU until the launcher is needed
 * @cpu: vCPU of the calling task
 * @buf: where the record, the register or the reason goes
 * @size: of the buffer
 *
 * Return: bytes given, or the errors in <lguest/device.h>.
 */
ssize_t run_guest(struct lg_cpu *cpu, char __user *buf, size_t size)
{
	struct lguest *lg = cpu->lg;
	bool anew = cpu->anew;
	int err;

	cpu->anew = false;
	/* Another thread may have asked since the launcher began this read(). */
	if (READ_ONCE(cpu->getreg) >= 0 && !anew)
		return give_register(cpu, buf, size);
	/* The launcher has had its record, so what it was for is seen to. */
	if (cpu->exit_given) {
		memset(&cpu->exit, 0, sizeof(cpu->exit));
		cpu->exit_given = false;
	}
	begin_step_read(cpu);
	/* The outer loop: interrupts are on, no lock is held, sleeping is allowed. */
	while (!READ_ONCE(lg->dead)) {
		/* First what ends read(): a record, or somebody's wish. */
		if (cpu->exit.kind)
			return give_exit(cpu, buf, size);
		if (user_space_calls())
			return go_to_user_space(cpu);
		if (READ_ONCE(cpu->break_out))
			return -EAGAIN;
		err = check_task();
		if (err)
			return err;
		/* The rest of what ended the last stay, if that had to sleep. */
		err = finish_trap(cpu);
		if (err)
			return err;
		if (READ_ONCE(lg->dead) || cpu->exit.kind)
			continue;
		if (READ_ONCE(cpu->inject) >= 0)
			take_injected(cpu);
		if (cpu->stepped) {
			cpu->exit.kind = LGUEST_EXIT_STEP;
			continue;
		}
		/* But one that was never started has nowhere to go. */
		if (cpu->stepping && cpu->shared)
			cpu->halted = false;
		if (cpu->halted) {
			sleep_halted(cpu);
			continue;
		}
		if (unlikely(cpu->locked_bus))
			rest_from_bus_lock(cpu);
		let_others_run();
		/* Nothing is left to do: into the guest, until something is again. */
		run_guest_atomic(cpu);
	}
	return lg->dead == LG_DEAD_RESTART ? -ERESTART : -ENOENT;
}
