// SPDX-License-Identifier: GPL-2.0
/*
 * Notifications that go to an eventfd, so that a device thread of the launcher
 * wakes up while the vCPU runs on.  Writers replace the whole table under
 * lg->requests; vCPUs read it under RCU.
 * Read next: irqfd.c.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include "lg.h"
#include "compat/eventfd.h"

static struct lg_eventfds *table_of(struct lguest *lg)
{
	return rcu_dereference_protected(lg->eventfds,
					 lockdep_is_held(&lg->requests));
}

static int find(const struct lg_eventfds *table, const struct lg_notify *what)
{
	unsigned int i;

	for (i = 0; table && i < table->nr; i++)
		if (!memcmp(&table->map[i].what, what, sizeof(*what)))
			return i;
	return -1;
}

static void publish(struct lguest *lg, struct lg_eventfds *new)
{
	struct lg_eventfds *old = table_of(lg);

	rcu_assign_pointer(lg->eventfds, new);
	synchronize_rcu();
	kfree(old);
}

static int detach(struct lguest *lg, const struct lg_notify *what)
{
	struct lg_eventfds *old = table_of(lg), *new;
	struct eventfd_ctx *ctx;
	int n = find(old, what);

	if (n < 0)
		return -ENOENT;
	ctx = old->map[n].ctx;
	new = kzalloc(struct_size(new, map, old->nr), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	memcpy(new->map, old->map, old->nr * sizeof(*old->map));
	new->nr = old->nr - 1;
	new->map[n] = new->map[new->nr];
	publish(lg, new);
	eventfd_ctx_put(ctx);
	return 0;
}

/**
 * attach_eventfd() - EVENTFD and DEVICE_EVENTFD
 * @lg: the guest
 * @what: what is to signal it; checked
 * @fd: an eventfd, or -1 to detach
 *
 * Return: 0 or the errors of the request.
 */
int attach_eventfd(struct lguest *lg, const struct lg_notify *what, int fd)
{
	struct lg_eventfds *old = table_of(lg), *new;
	unsigned int nr = old ? old->nr : 0;
	struct eventfd_ctx *ctx;

	if (fd == -1)
		return detach(lg, what);
	if (find(old, what) >= 0)
		return -EEXIST;
	if (nr == LG_MAX_EVENTFDS)
		return -ENOSPC;
	ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	new = kzalloc(struct_size(new, map, nr + 1), GFP_KERNEL_ACCOUNT);
	if (!new) {
		eventfd_ctx_put(ctx);
		return -ENOMEM;
	}
	if (old)
		memcpy(new->map, old->map, nr * sizeof(*old->map));
	new->map[nr] = (struct lg_eventfd) { *what, ctx };
	new->nr = nr + 1;
	publish(lg, new);
	return 0;
}

static bool signal(struct lguest *lg, const struct lg_notify *what)
{
	struct lg_eventfds *table;
	int n;

	rcu_read_lock();
	table = rcu_dereference(lg->eventfds);
	n = find(table, what);
	if (n >= 0)
		lg_eventfd_signal(table->map[n].ctx);
	rcu_read_unlock();
	return n >= 0;
}

/* NOTIFY: true if an eventfd took it. */
bool signal_eventfd(struct lguest *lg, u64 value)
{
	struct lg_notify what = { .value = value };

	return signal(lg, &what);
}

/* A store to a device: the same. */
bool signal_device_eventfd(struct lguest *lg, u64 gpa, u32 data)
{
	struct lg_notify what = { .value = gpa, .device = 1, .data = data };

	return signal(lg, &what);
}

/* Is there any for this device address?  If not, there is nothing to decode. */
bool device_eventfd_at(struct lguest *lg, u64 gpa)
{
	struct lg_eventfds *table;
	bool found = false;
	unsigned int i;

	rcu_read_lock();
	table = rcu_dereference(lg->eventfds);
	for (i = 0; table && i < table->nr && !found; i++)
		found = table->map[i].what.device &&
			table->map[i].what.value == gpa;
	rcu_read_unlock();
	return found;
}

/* At close: nobody else is left. */
void free_eventfds(struct lguest *lg)
{
	struct lg_eventfds *table = rcu_dereference_raw(lg->eventfds);
	unsigned int i;

	for (i = 0; table && i < table->nr; i++)
		eventfd_ctx_put(table->map[i].ctx);
	kfree(table);
}
