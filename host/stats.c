// SPDX-License-Identifier: GPL-2.0
/*
 * Counters: /sys/kernel/debug/lguest/<process>/stats, one "name value" a line.
 * They are plain words that only the vCPU's own task changes; a reader may see
 * them a moment old.
 * Read next: check_host.c.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include "lg.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static struct dentry *top;

static const char *const count_names[LG_COUNT_MAX] = {
	[LG_COUNT_SWITCHES] = "world_switches",
	[LG_COUNT_FILLS] = "shadow_fills",
	[LG_COUNT_GUEST_FAULTS] = "guest_page_faults",
	[LG_COUNT_SPURIOUS] = "spurious_faults",
	[LG_COUNT_DROPS] = "shadow_drops",
	[LG_COUNT_TABLES] = "shadow_tables_made",
	[LG_COUNT_ROOTS] = "address_spaces_made",
	[LG_COUNT_INTERRUPTS] = "interrupts_given",
	[LG_COUNT_EXITS] = "launcher_visits",
	[LG_COUNT_SLEEPS] = "halt_sleeps",
	[LG_COUNT_WAITS] = "memory_waits",
	[LG_COUNT_HOST_PAGES] = "host_page_waits",
	[LG_COUNT_LOCK_WAITS] = "lock_waits",
	[LG_COUNT_LOCK_NS] = "lock_wait_ns",
};

static const char *const direct_names[LG_NR_DIRECT] = {
	[LG_DIRECT_SYSCALL] = "syscalls",
	[LG_DIRECT_IRET] = "irets",
	[LG_DIRECT_CR3] = "cr3_loads",
	[LG_DIRECT_FAULT] = "faults",
};

static const char *const call_names[LG_NR_CALLS] = {
	[LHCALL_FLUSH_ASYNC] = "FLUSH_ASYNC",
	[LHCALL_INIT] = "INIT",
	[LHCALL_SHUTDOWN] = "SHUTDOWN",
	[LHCALL_LOAD_CR3] = "LOAD_CR3",
	[LHCALL_FLUSH_TLB] = "FLUSH_TLB",
	[LHCALL_SET_CLOCKEVENT] = "SET_CLOCKEVENT",
	[LHCALL_HALT] = "HALT",
	[LHCALL_LOAD_TLS] = "LOAD_TLS",
	[LHCALL_NOTIFY] = "NOTIFY",
	[LHCALL_SEND_INTERRUPTS] = "SEND_INTERRUPTS",
	[LHCALL_IRET] = "IRET",
	[LHCALL_GET_TIME] = "GET_TIME",
	[LHCALL_DROP_SPACE] = "DROP_SPACE",
	[LHCALL_NEW_SPACE] = "NEW_SPACE",
	[LHCALL_SEND_IPI] = "SEND_IPI",
	[LHCALL_KICK] = "KICK",
	[LHCALL_WAIT] = "WAIT",
	[LHCALL_FLUSH_MULTI] = "FLUSH_MULTI",
};

static void show_cpu(struct seq_file *m, struct lg_cpu *cpu)
{
	unsigned int i;

	for (i = 0; i < LG_COUNT_MAX; i++)
		seq_printf(m, "%s %llu\n", count_names[i], cpu->counts[i]);
	for (i = 0; i < LG_NR_DIRECT; i++)
		seq_printf(m, "direct_%s %llu\n", direct_names[i],
			   READ_ONCE(cpu->state->direct[i]));
	for (i = 0; i < ARRAY_SIZE(cpu->traps); i++) {
		if (!cpu->traps[i])
			continue;
		if (i == LG_TRAP_SYSCALL)
			seq_printf(m, "exit_syscall %llu\n", cpu->traps[i]);
		else if (i == LG_TRAP_COMPAT)
			seq_printf(m, "exit_compat_syscall %llu\n", cpu->traps[i]);
		else if (i == LG_TRAP_NONE)
			seq_printf(m, "exit_not_entered %llu\n", cpu->traps[i]);
		else
			seq_printf(m, "exit_vector_%u %llu\n", i, cpu->traps[i]);
	}
	/* How long the visits to the host were, in powers of two. */
	for (i = 0; i < LG_VISIT_TIMES; i++)
		if (cpu->visit_times[i])
			seq_printf(m, "visits_below_%llu_ns %llu\n",
				   2ULL << i, cpu->visit_times[i]);
	for (i = 0; i < ARRAY_SIZE(cpu->hcalls); i++)
		if (cpu->hcalls[i])
			seq_printf(m, "hypercall_%s %llu\n", call_names[i],
				   cpu->hcalls[i]);
}

static int stats_show(struct seq_file *m, void *unused)
{
	struct lguest *lg = m->private;
	struct lg_cpu *cpu;
	unsigned int i;

	seq_printf(m, "shadow_tables %lu\n", READ_ONCE(lg->nr_tables));
	seq_printf(m, "tlb_interrupts %llu\n",
		   (u64)atomic64_read(&lg->interrupted));
	for_each_vcpu(lg, cpu, i) {
		seq_printf(m, "vcpu %u\n", i);
		show_cpu(m, cpu);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

void init_stats(void)
{
	top = debugfs_create_dir("lguest", NULL);
}

void free_stats(void)
{
	debugfs_remove(top);
}

void add_stats(struct lguest *lg)
{
	char name[12];

	snprintf(name, sizeof(name), "%d", task_tgid_nr(current));
	lg->debugfs = debugfs_create_dir(name, top);
	debugfs_create_file("stats", 0400, lg->debugfs, lg, &stats_fops);
}

/* Waits for readers. */
void remove_stats(struct lguest *lg)
{
	debugfs_remove(lg->debugfs);
}
