// SPDX-License-Identifier: GPL-2.0
/*
 * A module that is wrong in all the ways that the debug host looks for, to see
 * that it does.  how=0: what ends the host at once; how=1: the rest.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

static int how;
module_param(how, int, 0);

static DEFINE_MUTEX(one);
static DEFINE_MUTEX(two);
static DEFINE_SPINLOCK(spin);

static void locks_in_two_orders(void)
{
	mutex_lock(&one);
	mutex_lock(&two);
	mutex_unlock(&two);
	mutex_unlock(&one);
	mutex_lock(&two);
	mutex_lock(&one);
	mutex_unlock(&one);
	mutex_unlock(&two);
}

static void sleeps_in_a_spinlock(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
}

/* Ten, because one may stay in a register or on a stack. */
static noinline void loses_memory(void)
{
	void *p;
	int i;

	for (i = 0; i < 10; i++) {
		p = kmalloc(100, GFP_KERNEL);
		OPTIMIZER_HIDE_VAR(p);
	}
	p = alloc_page(GFP_KERNEL);
	OPTIMIZER_HIDE_VAR(p);
}

static int __init init(void)
{
	char *p = kmalloc(100, GFP_KERNEL);

	kfree(p);
	if (!how)
		WRITE_ONCE(p[5], 1);
	loses_memory();
	sleeps_in_a_spinlock();
	locks_in_two_orders();
	return 0;
}

static void __exit fini(void)
{
}

module_init(init);
module_exit(fini);
MODULE_LICENSE("GPL");
