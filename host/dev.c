// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/lguest: one open file is one guest.  <lguest/device.h> describes the
 * interface; here requests are taken apart and checked, and guests are made and
 * unmade.
 * Read next: eventfd.c.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "lg.h"

#define MAX_WORDS 5	/* of any request, its number included */

/*
 * What an open file holds: the guest once it is there, and the lock under which
 * it comes to be.
 */
struct lg_file {
	struct mutex lock;
	struct lguest *lg;	/* NULL, then constant; smp_store_release()d */
};

static struct lguest *guest_of(struct file *file)
{
	struct lg_file *f = file->private_data;

	return smp_load_acquire(&f->lg);
}

static struct lg_cpu *cpu_at(struct lguest *lg, loff_t id)
{
	return lg ? vcpu_of(lg, id) : NULL;
}

static int lguest_open(struct inode *inode, struct file *file)
{
	struct lg_file *f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);

	if (!f)
		return -ENOMEM;
	mutex_init(&f->lock);
	file->private_data = f;
	return 0;
}

/*H:700
 * Making a guest.  free_guest() undoes every stage of it, so that each failure
 * is one jump away from a clean end.
:*/

static void free_cpu(struct lg_cpu *cpu)
{
	cancel_clockevent(cpu);
	free_vcpu_pages(cpu);
	free_fpu(cpu);
	if (cpu->shared_page)
		unpin_user_pages_dirty_lock(&cpu->shared_page, 1, true);
	if (cpu->tsk)
		put_task_struct(cpu->tsk);
	kfree(cpu);
}

void free_guest(struct lguest *lg, bool watched)
{
	struct lg_cpu *cpu;
	unsigned int i;

	free_irqfds(lg);
	if (lg->debugfs)
		remove_stats(lg);
	if (watched) {
		remove_from_shrinker(lg);
		unwatch_launcher(lg);
	}
	free_shadow(lg);
	unmap_switcher(lg);
	for_each_vcpu(lg, cpu, i)
		free_cpu(cpu);
	free_eventfds(lg);
	if (!IS_ERR(lg->dead))
		kfree(lg->dead);
	mmdrop(lg->mm);
	kfree(lg);
}

static struct lg_cpu *alloc_cpu(struct lguest *lg, unsigned int id)
{
	struct lg_cpu *cpu = kzalloc(sizeof(*cpu), GFP_KERNEL_ACCOUNT);

	if (!cpu)
		return NULL;
	cpu->lg = lg;
	cpu->id = id;
	cpu->halted = id;	/* as if it had called WAIT */
	cpu->getreg = -1;
	cpu->inject = -1;
	cpu->in_guest = -1;
	init_clockdev(cpu);
	return cpu;
}

static void set_start_registers(struct lg_cpu *cpu)
{
	struct user_regs_struct *regs = regs_of(cpu);

	regs->ip = cpu->lg->start;
	regs->di = cpu->id;
	regs->cs = __USER_CS;
	regs->ss = __USER_DS;
	regs->flags = X86_EFLAGS_FIXED | X86_EFLAGS_IF;
}

/*
 * The next vCPU, the calling task's.  Others may run meanwhile: it is complete before
 * anybody finds it, and mapped only when nothing can fail any more.
 */
static int start_cpu(struct lguest *lg)
{
	unsigned int id = lg->nr_cpus;
	struct lg_cpu *cpu = alloc_cpu(lg, id);
	int err;

	if (!cpu)
		return -ENOMEM;
	err = make_vcpu_pages(cpu) ?: init_fpu(cpu) ?: start_linear(cpu);
	if (err) {
		free_cpu(cpu);
		return err;
	}
	map_vcpu(cpu);
	cpu->tsk = get_task_struct(current);
	set_start_registers(cpu);
	lg->cpus[id] = cpu;
	smp_store_release(&lg->nr_cpus, id + 1);
	return 0;
}

static atomic64_t guests_made;

struct lguest *new_guest(u64 base, u64 pfn_limit, u64 start, u64 device_limit)
{
	bool watched = false;
	struct lguest *lg;
	int err;

	if (!limits_ok(base, pfn_limit, start, device_limit))
		return ERR_PTR(-EINVAL);
	lg = kzalloc(sizeof(*lg), GFP_KERNEL_ACCOUNT);
	if (!lg)
		return ERR_PTR(-ENOMEM);
	lg->number = atomic64_inc_return(&guests_made);
	lg->mm = current->mm;
	mmgrab(lg->mm);
	lg->base = base;
	lg->start = start;
	lg->pfn_limit = pfn_limit;
	lg->device_limit = device_limit;
	mutex_init(&lg->requests);
	spin_lock_init(&lg->lock);
	init_waitqueue_head(&lg->changed);
	init_waitqueue_head(&lg->breakers);

	init_shadow_memory(lg);
	err = map_switcher(lg);
	if (!err)
		err = start_cpu(lg);
	if (!err) {
		err = watch_launcher(lg);
		watched = !err;
	}
	if (err) {
		free_guest(lg, watched);
		return ERR_PTR(err);
	}
	add_to_shrinker(lg);
	add_stats(lg);
	return lg;
}

/*
 * A vCPU's task must be one that returns to user space: there signals and other work
 * are done, and read() is begun anew.  The kernel's workers for io_uring have a user's
 * memory, but never go there, and hold locks of others meanwhile.
 */
static bool may_have_vcpu(struct task_struct *task)
{
	return !(task->flags & (PF_KTHREAD | PF_IO_WORKER));
}

static int initialize(struct lg_file *f, const u64 *arg)
{
	struct lguest *lg;
	int err = 0;

	if (!may_have_vcpu(current))
		return -EPERM;
	mutex_lock(&f->lock);
	if (f->lg) {
		err = -EBUSY;
		goto unlock;
	}
	lg = new_guest(arg[0], arg[1], arg[2], arg[3]);
	if (IS_ERR(lg))
		err = PTR_ERR(lg);
	else
		smp_store_release(&f->lg, lg);
unlock:
	mutex_unlock(&f->lock);
	return err;
}

static unsigned int vcpus = LGUEST_VCPUS;
module_param(vcpus, uint, 0644);
MODULE_PARM_DESC(vcpus, "vCPUs that a guest may have, 1 to 16 (default 16)");

static int next_vcpu(struct lguest *lg, loff_t id)
{
	if (id >= 0 && id < lg->nr_cpus)
		return -EEXIST;
	if (id != lg->nr_cpus || id >= LGUEST_VCPUS)
		return -EINVAL;
	return id < READ_ONCE(vcpus) ? start_cpu(lg) : -ENOSPC;
}

static int make_vcpu(struct lguest *lg, loff_t id)
{
	int err;

	if (READ_ONCE(lg->dead))
		return -ENOENT;
	if (!may_have_vcpu(current) || current->mm != lg->mm)
		return -EPERM;
	mutex_lock(&lg->requests);
	err = next_vcpu(lg, id);
	mutex_unlock(&lg->requests);
	return err;
}

/*H:710
 * The requests.  Each returns 0 or an errno; the table says how many words
 * follow its number.
:*/

static int req_irq(struct lg_cpu *cpu, const u64 *arg)
{
	if (arg[0] >= LGUEST_IRQS)
		return -EINVAL;
	set_interrupt(cpu, arg[0]);
	return 0;
}

/* The vCPU's own task has heard it: from here on read() gives the reason. */
static int is_dead(struct lg_cpu *cpu)
{
	if (current == cpu->tsk)
		WRITE_ONCE(cpu->told, true);
	return -ENOENT;
}

static int req_break(struct lg_cpu *cpu, const u64 *arg)
{
	if (arg[0] > 1)
		return -EINVAL;
	if (!arg[0]) {
		WRITE_ONCE(cpu->break_out, false);
		wake_up_all(&cpu->lg->breakers);
		return 0;
	}
	WRITE_ONCE(cpu->break_out, true);
	kick_cpu(cpu);
	if (wait_event_interruptible(cpu->lg->breakers,
				     !READ_ONCE(cpu->break_out) ||
				     READ_ONCE(cpu->lg->dead)))
		return -EINTR;
	return READ_ONCE(cpu->break_out) ? is_dead(cpu) : 0;
}

static int attach(struct lg_cpu *cpu, const struct lg_notify *what, int fd)
{
	int err;

	mutex_lock(&cpu->lg->requests);
	err = attach_eventfd(cpu->lg, what, fd);
	mutex_unlock(&cpu->lg->requests);
	return err;
}

static int req_eventfd(struct lg_cpu *cpu, const u64 *arg)
{
	struct lg_notify what = { .value = arg[0] };

	return what.value ? attach(cpu, &what, (int)arg[1]) : -EINVAL;
}

static bool is_device_word(const struct lguest *lg, u64 gpa)
{
	return gpa % 4 == 0 && gpa >> PAGE_SHIFT >= lg->pfn_limit &&
	       gpa >> PAGE_SHIFT < lg->device_limit;
}

static int req_device_eventfd(struct lg_cpu *cpu, const u64 *arg)
{
	struct lg_notify what = { .value = arg[0], .device = 1, .data = arg[1] };

	if (!is_device_word(cpu->lg, arg[0]) || arg[1] > U32_MAX)
		return -EINVAL;
	return attach(cpu, &what, (int)arg[2]);
}

static int req_irqfd(struct lg_cpu *cpu, const u64 *arg)
{
	int err;

	if (arg[0] >= LGUEST_IRQS)
		return -EINVAL;
	mutex_lock(&cpu->lg->requests);
	err = attach_irqfd(cpu, arg[0], (int)arg[1]);
	mutex_unlock(&cpu->lg->requests);
	return err;
}

static int req_irq_status(struct lg_cpu *cpu, const u64 *arg)
{
	int err;

	if (arg[0] >= LGUEST_IRQS || !is_device_word(cpu->lg, arg[1]) ||
	    arg[2] > U32_MAX)
		return -EINVAL;
	mutex_lock(&cpu->lg->requests);
	err = set_irq_status(cpu->lg, arg[0], arg[1], arg[2]);
	mutex_unlock(&cpu->lg->requests);
	if (!err && arg[2])
		set_interrupt(cpu, arg[0]);
	return err;
}

static bool is_register(u64 offset)
{
	return offset < sizeof(struct user_regs_struct) && offset % 8 == 0 &&
	       offset != offsetof(struct user_regs_struct, orig_ax);
}

static bool is_settable(u64 offset)
{
	return is_register(offset) &&
	       (offset <= offsetof(struct user_regs_struct, ip) ||
		offset == offsetof(struct user_regs_struct, sp));
}

static int req_getreg(struct lg_cpu *cpu, const u64 *arg)
{
	if (!is_register(arg[0]) && arg[0] != LHREG_CR2 && arg[0] != LHREG_CR3)
		return -ENOENT;
	/* A signal came after all: what was to be begun anew ended with EINTR. */
	if (current == cpu->tsk)
		cpu->anew = false;
	WRITE_ONCE(cpu->getreg, arg[0]);
	return 0;
}

/*
 * Only the vCPU's own task, which then is not in read(): the registers are in the
 * state page, and while the vCPU runs the Switcher tests them there and uses them.
 */
static int req_setreg(struct lg_cpu *cpu, const u64 *arg)
{
	if (current != cpu->tsk)
		return -EPERM;
	if (!is_settable(arg[0]))
		return -ENOENT;
	if (arg[0] == offsetof(struct user_regs_struct, ip) && !canonical(arg[1]))
		return -EINVAL;
	*(u64 *)((char *)regs_of(cpu) + arg[0]) = arg[1];
	return 0;
}

static int req_trap(struct lg_cpu *cpu, const u64 *arg)
{
	if (arg[0] > 31 || !cpu->shared)
		return -EINVAL;
	WRITE_ONCE(cpu->inject_error, arg[1]);
	WRITE_ONCE(cpu->inject, arg[0]);
	kick_cpu(cpu);
	return 0;
}

static int req_step(struct lg_cpu *cpu, const u64 *arg)
{
	if (arg[0] > 1)
		return -EINVAL;
	WRITE_ONCE(cpu->step, arg[0]);
	return 0;
}

static const struct {
	int (*fn)(struct lg_cpu *cpu, const u64 *arg);
	unsigned int args;
} requests[] = {
	[LHREQ_INITIALIZE] = { NULL, 4 },
	[LHREQ_IRQ] = { req_irq, 1 },
	[LHREQ_BREAK] = { req_break, 1 },
	[LHREQ_EVENTFD] = { req_eventfd, 2 },
	[LHREQ_GETREG] = { req_getreg, 1 },
	[LHREQ_SETREG] = { req_setreg, 2 },
	[LHREQ_TRAP] = { req_trap, 2 },
	[LHREQ_DEVICE_EVENTFD] = { req_device_eventfd, 3 },
	[LHREQ_IRQFD] = { req_irqfd, 2 },
	[LHREQ_IRQ_STATUS] = { req_irq_status, 3 },
	[LHREQ_STEP] = { req_step, 1 },
	[LHREQ_VCPU] = { NULL, 0 },
	[LHREQ_SAVE] = { req_save, 2 },
	[LHREQ_RESTORE] = { req_restore, 2 },
};

static int do_request(struct file *file, u64 number, const u64 *arg, loff_t id)
{
	struct lguest *lg = guest_of(file);
	struct lg_cpu *cpu = cpu_at(lg, id);

	if (number == LHREQ_INITIALIZE)
		return initialize(file->private_data, arg);
	if (number == LHREQ_VCPU)
		return make_vcpu(lg, id);
	if (!cpu)
		return -EINVAL;
	if (READ_ONCE(lg->dead))
		return is_dead(cpu);
	return requests[number].fn(cpu, arg);
}

static ssize_t lguest_write(struct file *file, const char __user *buf,
			    size_t size, loff_t *off)
{
	u64 number, arg[MAX_WORDS - 1];
	size_t len;
	int err;

	if (size < sizeof(number))
		return -EINVAL;
	if (copy_from_user(&number, buf, sizeof(number)))
		return -EFAULT;
	if (number != LHREQ_INITIALIZE && !guest_of(file))
		return -EINVAL;
	if (number >= ARRAY_SIZE(requests))
		return -EINVAL;
	number = array_index_nospec(number, ARRAY_SIZE(requests));
	if (!requests[number].args && number != LHREQ_VCPU)
		return -EINVAL;
	len = requests[number].args * sizeof(*arg);
	if (size < sizeof(number) + len)
		return -EINVAL;
	/* Only what has not been read: another thread may change the number now. */
	if (copy_from_user(arg, buf + sizeof(number), len))
		return -EFAULT;
	err = do_request(file, number, arg, *off);
	return err ? err : sizeof(number) + len;
}

static ssize_t give_reason(struct lguest *lg, char __user *buf, size_t size)
{
	const char *reason = lg->dead;

	if (IS_ERR(reason))
		return PTR_ERR(reason);
	size = min(size, strlen(reason) + 1);
	return copy_to_user(buf, reason, size) ? -EFAULT : size;
}

static ssize_t lguest_read(struct file *file, char __user *buf, size_t size,
			   loff_t *off)
{
	struct lguest *lg = guest_of(file);
	struct lg_cpu *cpu = cpu_at(lg, *off);
	ssize_t got;

	if (!cpu)
		return -EINVAL;
	if (current != cpu->tsk || current->mm != lg->mm)
		return -EPERM;
	/* It may have died as a signal came, which the last read() told instead. */
	if (READ_ONCE(lg->dead) && READ_ONCE(cpu->told))
		return give_reason(lg, buf, size);
	got = run_guest(cpu, buf, size);
	return got == -ENOENT ? is_dead(cpu) : got;
}

static int lguest_release(struct inode *inode, struct file *file)
{
	struct lg_file *f = file->private_data;

	if (f->lg)
		free_guest(f->lg, true);
	kfree(f);
	return 0;
}

static const struct file_operations lguest_fops = {
	.owner = THIS_MODULE,
	.open = lguest_open,
	.read = lguest_read,
	.write = lguest_write,
	.release = lguest_release,
	.llseek = default_llseek,
};

static struct miscdevice lguest_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "lguest",
	.fops = &lguest_fops,
	.mode = 0660,
};

int init_device(void)
{
	return misc_register(&lguest_dev);
}

void free_device(void)
{
	misc_deregister(&lguest_dev);
}
