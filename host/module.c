// SPDX-License-Identifier: GPL-2.0
/*
 * The module: loading and unloading.
 * Read next: selftest.c.
 */
#include <linux/module.h>
#include "lg.h"

/*H:130
 * Loading and unloading.  What is done here is undone there, in turn.
:*/

static bool selftest;
module_param(selftest, bool, 0444);
MODULE_PARM_DESC(selftest, "make no device, but try all that guests need on each CPU");

static int __init init(void)
{
	int err;

	err = check_host();
	if (err)
		return err;
	err = init_switcher();
	if (err)
		goto err_forget_host;
	init_fpu_size();
	err = init_syscall_msrs();
	if (err)
		goto err_free_switcher;
	err = init_predictions();
	if (err)
		goto err_free_syscall_msrs;
	err = init_shrinker();
	if (err)
		goto err_free_predictions;
	init_clock();
	init_stats();
	/* Last: from here on anyone may open it. */
	err = selftest ? run_selftest() : init_device();
	if (err)
		goto err_free_stats;
	return 0;

err_free_stats:
	free_stats();
	free_clock();
	free_shrinker();
err_free_predictions:
	free_predictions();
err_free_syscall_msrs:
	free_syscall_msrs();
err_free_switcher:
	free_switcher();
err_forget_host:
	forget_host();
	return err;
}

static void __exit fini(void)
{
	if (!selftest)
		free_device();
	free_stats();
	free_clock();
	free_shrinker();
	free_predictions();
	free_syscall_msrs();
	flush_all_cpus();
	free_switcher();
	forget_host();
}

module_init(init);
module_exit(fini);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("lguest: virtual machines without hardware support");
